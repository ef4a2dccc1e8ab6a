//! What Kafka once did, put on top of drawn trials: how often chance meets each, and that the present never does.
//!
//! An entry is a campaign, what is changed in its plans to bring the old behaviour back (a policy or a setting of
//! its time), and the guarantee whose breach is the entry's anomaly. The plans as they are drawn must keep every
//! promise they make.

use proptest::{collection::vec, prelude::*};

use super::{
    actors::config,
    draw::Campaign,
    nemeses::Nemesis,
    small_clusters::{Setting, plans},
};
use crate::testbed::{
    checker::Reached,
    plan::{Guarantee, Plan},
};

/// An entry of the catalogue of bugs and hazards.
pub struct Entry {
    /// Its number in the catalogue, and a letter where a nemesis helps.
    pub number: &'static str,
    pub name: &'static str,
    pub campaign: &'static Campaign,
    /// Brings the past back.
    pub past: fn(&mut Plan),
    /// The anomaly is the breach of one of these.
    pub breaks: &'static [Guarantee],
}

macro_rules! campaigns {
    ($($name:ident $word:literal $claim:literal $setting:expr, $nemesis:expr, $must_reach:expr;)+) => {
        $(pub const $name: Campaign = Campaign {
            name: $word,
            claim: $claim,
            strategy: || with_nemesis(plans($setting), $nemesis),
            must_reach: $must_reach,
        };)+
    };
}

campaigns! {
    CRASHES "replication"
        "nothing acknowledged is lost and replicas agree, whatever crashes, moves or is cut off"
        Setting::Crashes, None, MOVES;
    CRASHES_DEAF "replication-deaf-follower"
        "the same with a follower that hears nothing of the controller while leaders change"
        Setting::Crashes, Some(Nemesis::DeafFollower), MOVES;
    CRASHES_ELECTED "replication-elected"
        "the same with leaders that crash soon after their election, before anybody hears them"
        Setting::Crashes, Some(Nemesis::Elected), MOVES;
    CRASHES_ISR_ANSWER "replication-isr-answer"
        "the same with crashes while the answer to an ISR change is held up"
        Setting::Crashes, Some(Nemesis::IsrChangeAnswer), MOVES;
    CRASHES_ISR_REQUEST "replication-isr-request"
        "the same with a follower that loses its disk while an ISR change is held up, and no other crashes"
        Setting::Links, Some(Nemesis::IsrChangeRequest), WIPED;
    ONE_POWER_LOSS "disks"
        "nothing acknowledged is lost when one broker loses power, whatever moves or is cut off"
        Setting::OnePowerLoss, None, POWER;
    POWER_LOSS_OF_ALL "disks-all"
        "with a sync per record nothing acknowledged is lost even when everybody loses power"
        Setting::PowerLossOfAll, None, POWER;
    BEYOND "disks-beyond"
        "replicas and controllers agree on what is left when everybody loses power and nothing was synced"
        Setting::Beyond, None, POWER;
    SYNCED_TRUNCATED "disks-truncated"
        "with a sync per record nothing is lost by a follower that loses power when it has cut its log"
        Setting::Synced, Some(Nemesis::Truncated), CUT_IN_THE_DARK;
    QUORUM "quorum"
        "no committed metadata is lost, whatever crashes or loses power"
        Setting::Quorum { voters: 3 }, None, CONTROLLERS;
    QUORUM_5 "quorum-figure-8"
        "no committed metadata is lost by five voters of which one after the other crashes when it was elected"
        Setting::Quorum { voters: 5 }, Some(Nemesis::Figure8), CONTROLLERS;
    PRODUCERS "producers"
        "one send is one record, in the order of sends, whatever befalls connections and leaders"
        Setting::Producers, None, SENDS;
    NEW_PARTITIONS "new-partitions"
        "the first record sent to a new partition is the first in it, however late its leader hears of it"
        Setting::NewPartitions, None, &[Reached::BatchRetried, Reached::AppendRejected];
}

/// What everything drawn here must meet in some trial.
const MOVES: &[Reached] = &[
    Reached::LeaderMoved,
    Reached::IsrShrunk,
    Reached::IsrGrown,
    Reached::BrokerFenced,
    Reached::ReplicaTruncated,
];
const POWER: &[Reached] = &[
    Reached::LeaderMoved,
    Reached::IsrShrunk,
    Reached::IsrGrown,
    Reached::PowerLost,
    Reached::RecoveryLostRecords,
];
const WIPED: &[Reached] = &[Reached::LeaderMoved, Reached::IsrGrown, Reached::DiskWiped];
const CUT_IN_THE_DARK: &[Reached] =
    &[Reached::LeaderMoved, Reached::IsrGrown, Reached::ReplicaTruncated, Reached::PowerLost];
const CONTROLLERS: &[Reached] =
    &[Reached::ControllerMoved, Reached::LeaderMoved, Reached::PowerLost, Reached::BrokerFenced];
const SENDS: &[Reached] =
    &[Reached::BatchRetried, Reached::RetryWasDuplicate, Reached::LeaderMoved];

/// In half of the plans the nemesis acts beside chance. Plans are safe in all they leave to defaults, but for a
/// producer's first batch (entry 28), which Kafka 4.1 takes with any sequence, and 4.5 in a log that others wrote to.
fn with_nemesis(plans: BoxedStrategy<Plan>, nemesis: Option<Nemesis>) -> BoxedStrategy<Plan> {
    let few = match nemesis {
        Some(nemesis) => vec(nemesis.steps(), 0..=1).boxed(),
        None => Just(Vec::new()).boxed(),
    };
    (plans, few)
        .prop_map(|(mut plan, steps)| {
            plan.steps.extend(steps.into_iter().flatten());
            set(&mut plan, "first-sequence-on-empty-state", "zero");
            plan
        })
        .boxed()
}

pub(super) fn set(plan: &mut Plan, key: &str, value: &str) {
    plan.behaviour.set(key, value).expect("the list knows it");
}

/// As it was shipped: a follower waits for none of what it cuts off.
fn epochs_torn(plan: &mut Plan) {
    set(plan, "epoch-checkpoint-fsync", "off");
    set(plan, "truncation-fsync", "off");
}

fn of_producers(plan: &mut Plan, settings: &[(&str, &str)]) {
    for producer in plan.producers.values_mut() {
        producer.config.extend(config(settings));
    }
}

fn of_cluster(plan: &mut Plan, settings: &[(&str, &str)]) {
    plan.cluster.config.extend(config(settings));
}

const LOST: &[Guarantee] = &[Guarantee::AckedRecordsSurvive];
const DIFFER: &[Guarantee] = &[Guarantee::ReplicasAgree];
const LOST_OR_DIFFER: &[Guarantee] = &[Guarantee::AckedRecordsSurvive, Guarantee::ReplicasAgree];
const METADATA: &[Guarantee] = &[Guarantee::QuorumAgrees];

macro_rules! entries {
    ($($number:literal $name:literal $campaign:ident, $breaks:expr, $past:expr;)+) => {
        vec![$(Entry {
            number: $number,
            name: $name,
            campaign: &$campaign,
            past: $past,
            breaks: $breaks,
        }),+]
    };
}

/// Every entry with a drawn campaign, in the catalogue's order.
pub fn entries() -> Vec<Entry> {
    entries! {
        "1" "acks1-failover" CRASHES, LOST, |plan| of_producers(plan, &[("acks", "1"), ("enable.idempotence", "false")]);
        "2" "unclean-election" CRASHES, LOST, |plan| of_cluster(plan, &[("unclean.leader.election.enable", "true"), ("min.insync.replicas", "1")]);
        "3" "hw-truncation-loss" CRASHES, LOST, |plan| set(plan, "truncation", "high-watermark");
        "4" "hw-truncation-divergence" CRASHES, DIFFER, |plan| set(plan, "truncation", "high-watermark");
        "5" "fast-failover-divergence" CRASHES, DIFFER, |plan| set(plan, "truncation", "leader-epoch-kip101");
        "6" "zombie-follower-fetch" CRASHES, LOST_OR_DIFFER, zombie;
        "6n" "zombie-follower-fetch" CRASHES_DEAF, LOST_OR_DIFFER, zombie;
        "8" "isr-join-below-epoch-start" CRASHES, LOST, |plan| set(plan, "isr-join-gate", "high-watermark");
        "8n" "isr-join-below-epoch-start" CRASHES_ELECTED, LOST, |plan| set(plan, "isr-join-gate", "high-watermark");
        "9" "hw-ignores-pending-isr" CRASHES, LOST, |plan| set(plan, "high-watermark-over", "committed-isr");
        "9n" "hw-ignores-pending-isr" CRASHES_ISR_ANSWER, LOST, |plan| set(plan, "high-watermark-over", "committed-isr");
        "10" "diverging-fetch-advances-hw" CRASHES, LOST, |plan| set(plan, "diverging-fetch", "counts-as-progress");
        "12" "stale-broker-epoch-isr" CRASHES, LOST, |plan| set(plan, "alter-partition-broker-epoch", "off");
        "12n" "stale-broker-epoch-isr" CRASHES_ISR_REQUEST, LOST, |plan| set(plan, "alter-partition-broker-epoch", "off");
        "13" "uncommitted-read-on-demotion" CRASHES, DIFFER, |plan| set(plan, "follower-applies", "high-watermark-then-truncate");
        "15" "last-replica-standing" ONE_POWER_LOSS, LOST, |plan| set(plan, "eligible-leaders", "off");
        "16" "power-loss-all-isr" POWER_LOSS_OF_ALL, LOST, never_flushed;
        "18" "epoch-checkpoint-torn" ONE_POWER_LOSS, LOST_OR_DIFFER, epochs_torn;
        "18n" "epoch-checkpoint-torn" SYNCED_TRUNCATED, LOST_OR_DIFFER, epochs_torn;
        "19" "raft-ack-before-fsync" QUORUM, METADATA, |plan| set(plan, "quorum-flush", "never");
        "20" "raft-commit-before-epoch-record" QUORUM, METADATA, |plan| set(plan, "commit-rule", "epoch-start");
        "20n" "raft-commit-before-epoch-record" QUORUM_5, METADATA, |plan| set(plan, "commit-rule", "epoch-start");
        "20m" "raft-commit-before-epoch-record" QUORUM_5, METADATA, |plan| set(plan, "commit-rule", "any-epoch");
        "24" "retry-duplicates" PRODUCERS, &[Guarantee::NoDuplicateAppend], |plan| of_producers(plan, &[("enable.idempotence", "false")]);
        "25" "inflight-reorder" PRODUCERS, &[Guarantee::PartitionOrder], |plan| of_producers(plan, &[("enable.idempotence", "false")]);
        "28" "first-batch-gap" NEW_PARTITIONS, &[Guarantee::PartitionOrder], |plan| set(plan, "first-sequence-on-empty-state", "any");
    }
}

fn never_flushed(plan: &mut Plan) {
    plan.cluster.config.retain(|name, _| name != "log.flush.interval.messages");
}

/// Followers that name no epoch show with a truncation of their time.
fn zombie(plan: &mut Plan) {
    set(plan, "fetch-epoch-check", "off");
    set(plan, "truncation", "leader-epoch-kip279");
}
