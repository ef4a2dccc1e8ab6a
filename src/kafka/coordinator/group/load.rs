//! From the log to the state, after a start or when a coordinator moves here.

use bytes::Bytes;

use super::{Effect, GroupCoordinator, GroupEvent, GroupState, Now, group_state::Group, turn::Due};
use crate::kafka::{
    coordinator::records::{GroupRecord, RecordError},
    types::GroupId,
};

impl GroupCoordinator {
    /// Takes in one record of the partition, in order. Records of kinds that are not kept are passed over.
    pub fn replay(
        &mut self,
        now: Now,
        key: Bytes,
        value: Option<Bytes>,
    ) -> Result<(), RecordError> {
        match GroupRecord::decode(key, value)? {
            GroupRecord::Offset { group, partition, value: Some(value) } => {
                self.offsets.put(&group, &partition, value);
                // An offset alone makes a group too: a simple one, without members.
                if !self.groups.contains_key(&group) {
                    self.groups.insert(group.clone(), Group::new(group, now));
                }
            }
            GroupRecord::Offset { group, partition, value: None } => {
                self.offsets.remove(group.as_str(), &partition);
            }
            GroupRecord::Group { group, value: Some(value) } => {
                self.groups.insert(group.clone(), Group::from_value(group, value));
            }
            GroupRecord::Group { group, value: None } => {
                self.groups.remove(&group);
            }
            GroupRecord::Other { .. } => {}
        }
        Ok(())
    }

    /// All records are in. Members get a whole session to report, and a group that is larger than is allowed
    /// rebalances, so that they can commit before some are sent away.
    pub fn loaded(&mut self, now: Now, effects: &mut Vec<Effect>) {
        self.deadlines.set(Due::Expiry, now.instant + self.config.retention_check_interval);
        let ids: Vec<GroupId> = self.groups.keys().cloned().collect();
        for id in ids {
            let Some(mut turn) = self.turn(id.as_str(), now, effects) else { continue };
            let members: Vec<_> = turn.group.members.keys().cloned().collect();
            for member in &members {
                turn.renew_session(member.as_str());
            }
            turn.observe(GroupEvent::Loaded {
                group: id.clone(),
                generation: turn.group.generation,
                members: turn.group.participants(),
            });
            if members.len() > turn.config.max_size {
                turn.prepare_rebalance("the group is larger than group.max.size".into());
            }
        }
    }

    /// Removes what a tombstone removes. A group that got members since its tombstone was decided on stays:
    /// its next generation is written after the tombstone.
    pub(super) fn forget_group(&mut self, id: &GroupId) {
        if self.groups.get(id).is_some_and(|group| group.state == GroupState::Empty) {
            let group = self.groups.remove(id).expect("it was just looked at");
            for member in group.pending_joins {
                self.deadlines.cancel(&Due::Session(id.clone(), member));
            }
        }
    }
}
