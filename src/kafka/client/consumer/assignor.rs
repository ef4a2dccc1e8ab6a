//! Who gets which partition: computed by the group's leader, one member among the others.
//!
//! `range` and `roundrobin`, which revoke everything first (the eager protocol). The sticky assignors
//! are not modelled; with Kafka's default list (`range, cooperative-sticky`) the clients offer `range`,
//! which is what a group of default members agrees on.

use std::collections::{BTreeMap, BTreeSet};

use crate::kafka::{
    config::AssignorKind,
    types::{MemberId, TopicName, TopicPartition},
};

/// A member as the leader sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MemberSubscription {
    pub member: MemberId,
    pub instance: Option<String>,
    pub topics: Vec<TopicName>,
}

/// Partitions by member; every member has an entry.
pub type Assignment = BTreeMap<MemberId, Vec<TopicPartition>>;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Assignor {
    Range,
    RoundRobin,
}

impl Assignor {
    /// `None` for strategies that are not modelled.
    pub fn from_config(kind: AssignorKind) -> Option<Self> {
        match kind {
            AssignorKind::Range => Some(Assignor::Range),
            AssignorKind::RoundRobin => Some(Assignor::RoundRobin),
            AssignorKind::Sticky | AssignorKind::CooperativeSticky => None,
        }
    }

    /// The name in JoinGroup.
    pub fn name(self) -> &'static str {
        match self {
            Assignor::Range => "range",
            Assignor::RoundRobin => "roundrobin",
        }
    }

    /// `partitions` counts those of each known topic; a topic without partitions is left out of it.
    pub fn assign(
        self,
        members: &[MemberSubscription],
        partitions: &BTreeMap<TopicName, i32>,
    ) -> Assignment {
        let mut assignment: Assignment =
            members.iter().map(|member| (member.member.clone(), Vec::new())).collect();
        let mut sorted: Vec<&MemberSubscription> = members.iter().collect();
        sorted.sort_by(|a, b| member_order(a, b));
        match self {
            Assignor::Range => assign_ranges(&sorted, partitions, &mut assignment),
            Assignor::RoundRobin => assign_in_turn(&sorted, partitions, &mut assignment),
        }
        assignment
    }
}

/// Static members first, by instance id; the others by member id (`AbstractPartitionAssignor.MemberInfo`).
fn member_order(a: &MemberSubscription, b: &MemberSubscription) -> std::cmp::Ordering {
    match (&a.instance, &b.instance) {
        (Some(a), Some(b)) => a.cmp(b),
        (Some(_), None) => std::cmp::Ordering::Less,
        (None, Some(_)) => std::cmp::Ordering::Greater,
        (None, None) => a.member.cmp(&b.member),
    }
}

/// Each topic by itself: consecutive partitions to each subscriber, the first ones get one more.
fn assign_ranges(
    members: &[&MemberSubscription],
    partitions: &BTreeMap<TopicName, i32>,
    assignment: &mut Assignment,
) {
    for (topic, count) in partitions {
        let subscribers: Vec<_> =
            members.iter().filter(|member| member.topics.contains(topic)).collect();
        let Ok(among) = i32::try_from(subscribers.len()) else { continue };
        if among == 0 {
            continue;
        }
        let (each, extra) = (count / among, count % among);
        let mut next = 0;
        for (index, member) in (0..).zip(subscribers) {
            let share = each + i32::from(index < extra);
            let range =
                (next..next + share).map(|number| TopicPartition::new(topic.clone(), number));
            assignment.get_mut(&member.member).expect("has an entry").extend(range);
            next += share;
        }
    }
}

/// All partitions of all topics dealt in turn; a member that does not subscribe is passed over.
fn assign_in_turn(
    members: &[&MemberSubscription],
    partitions: &BTreeMap<TopicName, i32>,
    assignment: &mut Assignment,
) {
    let wanted: BTreeSet<&TopicName> = members.iter().flat_map(|member| &member.topics).collect();
    let mut turn = 0;
    for (topic, count) in partitions.iter().filter(|(topic, _)| wanted.contains(topic)) {
        for number in 0..*count {
            while !members[turn % members.len()].topics.contains(topic) {
                turn += 1;
            }
            let member = &members[turn % members.len()].member;
            let partition = TopicPartition::new(topic.clone(), number);
            assignment.get_mut(member).expect("has an entry").push(partition);
            turn += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str, topics: &[&str]) -> MemberSubscription {
        MemberSubscription {
            member: name.into(),
            instance: None,
            topics: topics.iter().map(|topic| TopicName::from(*topic)).collect(),
        }
    }

    fn shown(assignment: &Assignment) -> String {
        let member = |(member, partitions): (&MemberId, &Vec<TopicPartition>)| {
            let names: Vec<String> = partitions.iter().map(ToString::to_string).collect();
            format!("{member}: {}", names.join(" "))
        };
        assignment.iter().map(member).collect::<Vec<_>>().join("; ")
    }

    fn counts(topics: &[(&str, i32)]) -> BTreeMap<TopicName, i32> {
        topics.iter().map(|(topic, count)| (TopicName::from(*topic), *count)).collect()
    }

    #[test]
    fn range_gives_the_first_members_one_more_of_each_topic() {
        let members = [member("b", &["t", "u"]), member("a", &["t", "u"])];
        let assignment = Assignor::Range.assign(&members, &counts(&[("t", 3), ("u", 3)]));
        assert_eq!(shown(&assignment), "a: t-0 t-1 u-0 u-1; b: t-2 u-2");
    }

    #[test]
    fn range_leaves_members_idle_when_partitions_run_out() {
        let members = [member("a", &["t"]), member("b", &["t"]), member("c", &["t"])];
        let assignment = Assignor::Range.assign(&members, &counts(&[("t", 2)]));
        assert_eq!(shown(&assignment), "a: t-0; b: t-1; c: ");
    }

    #[test]
    fn roundrobin_deals_over_all_topics_and_passes_over_who_does_not_subscribe() {
        let members = [member("a", &["t"]), member("b", &["t", "u"])];
        let assignment = Assignor::RoundRobin.assign(&members, &counts(&[("t", 3), ("u", 2)]));
        assert_eq!(shown(&assignment), "a: t-0 t-2; b: t-1 u-0 u-1");
    }

    #[test]
    fn static_members_come_first_by_instance() {
        let mut late = member("z", &["t"]);
        late.instance = Some("i-1".into());
        let members = [member("a", &["t"]), late];
        let assignment = Assignor::Range.assign(&members, &counts(&[("t", 1)]));
        assert_eq!(shown(&assignment), "a: ; z: t-0");
    }
}
