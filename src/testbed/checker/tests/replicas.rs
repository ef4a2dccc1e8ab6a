//! The invariants of replication and the quorum, each broken by hand, and what excuses a breach.

use super::{breach, history_of, holds, says, unknown};
use crate::testbed::{
    checker::{Breach, Index, Invariant},
    plan::{Cause, Guarantee},
};

fn broke(lines: &str) -> Vec<Breach> {
    let history = history_of(lines);
    Index::of(&history).scene.breaches().to_vec()
}

/// The invariants that broke, each with its cause, and a `!` where nothing excuses it.
fn told(lines: &str) -> Vec<String> {
    let tell = |breach: &Breach| {
        let sign = if breach.excused { "" } else { "!" };
        format!("{sign}{} {:?}", breach.invariant, breach.violation.cause)
    };
    broke(lines).iter().map(tell).collect()
}

/// Three replicas that agree on two records, which are committed.
const BEGIN: &str = "
    c makes b1,b2,b3
    b1 leads 0@0
    b2 follows b1 0
    b3 follows b1 0
    b1 writes 0..1 0
    b2 copies 0..1 0
    b3 copies 0..1 0
    b1 shows 2
    b2 shows 2
    b3 shows 2
    ";

fn after(lines: &str) -> Vec<String> {
    told(&format!("{BEGIN}{lines}"))
}

#[test]
fn sound_replicas_break_nothing() {
    assert_eq!(after(""), [""; 0]);
    // Leadership moves, what was not committed is cut, the ISR shrinks and grows, all by the book.
    let moved = "
        b1 writes 2 0
        c shrinks b2,b3
        c elects b2
        b2 leads 1@2
        b3 follows b2 1
        b2 writes 2 1
        b3 copies 2 1
        b2 shows 3
        b1 follows b2 1
        b1 cuts 3..2
        b1 copies 2 1
        c grows b1,b2,b3
        b2 confirms b1,b2,b3 3
        b1 shows 3
        b3 shows 3
        trial checks";
    assert_eq!(after(moved), [""; 0]);
}

#[test]
fn two_brokers_that_lead_in_one_epoch_are_two_leaders() {
    let lines = "b1 leads 3@0\n b2 leads 3@0";
    assert_eq!(told(lines), ["!one-leader-per-epoch Unexplained"]);
    let quorum = "b1 leads M 3@0\n b2 leads M 3@0";
    assert_eq!(told(quorum), ["!one-leader-per-epoch Unexplained"]);
    assert_eq!(told("b1 leads 3@0\n b2 leads 4@0\n b1 leads 3@0"), [""; 0]);
}

#[test]
fn a_leader_without_committed_records_has_lost_them() {
    let without = "b2 cuts 2..1\n c elects b2\n b2 leads 1@1";
    assert_eq!(after(without), ["!committed-stays TruncatedAfterElection"]);
    let others = "b2 cuts 2..1\n b2 copies 1 0 =9\n c elects b2\n b2 leads 1@2";
    assert_eq!(after(others), ["!committed-stays TruncatedAfterElection"]);
    let shown = "b1 cuts 2..1\n b1 writes 1 0 =9\n b1 shows 2";
    assert_eq!(
        after(shown),
        [
            "!committed-stays TruncatedAfterElection",
            // The others have what was there before.
            "!high-watermark-within-isr Unexplained",
        ]
    );
}

#[test]
fn a_leader_that_is_told_late_need_not_have_what_later_ones_committed() {
    let late = "
        c elects b2
        c elects b3
        b3 leads 2@2
        b3 writes 2 2
        b1 copies 2 2
        b2 cuts 2..2
        c shrinks b1,b3
        b3 shows 3
        b2 leads 1@2";
    assert_eq!(after(late), [""; 0]);
}

#[test]
fn an_unclean_election_excuses_what_it_loses_and_what_follows() {
    let lines = "
        b2 cuts 2..1
        c elects b2 unclean
        b2 leads 1@1
        b2 writes 1 1 =5
        b2 shows 2
        b3 shows 2";
    assert_eq!(after(lines)[0], "committed-stays UncleanElection");
    assert!(after(lines).iter().all(|told| !told.starts_with('!')), "{:?}", after(lines));
}

/// Of `min.insync.replicas=2` replicas one may lose its power, and nothing is lost.
#[test]
fn losses_are_excused_once_too_few_replicas_are_intact() {
    let one = "
        b2 loses-power
        b2 recovers 1
        b2 boots
        c elects b2
        b2 leads 1@1";
    assert_eq!(after(one), ["!committed-stays UnflushedPowerLoss"]);
    let two = format!("b3 loses-power\n{one}");
    assert_eq!(after(&two), ["committed-stays UnflushedPowerLoss"]);
    let wiped = "
        b2 crashes
        b3 crashes
        b2 suffers wiped-disk
        b3 suffers wiped-disk
        c elects b2
        b2 leads 1@0";
    assert_eq!(after(wiped), ["committed-stays WipedDisk"]);
    let lied = two.replacen("b2 loses-power", "b2 lies\n b2 loses-power", 1);
    assert_eq!(after(&lied), ["committed-stays LyingDisk"]);
}

#[test]
fn a_replica_that_has_its_records_again_counts_as_intact() {
    let lines = "
        b3 loses-power
        b3 recovers 1
        b3 boots
        b3 copies 1 0
        b2 loses-power
        b2 recovers 1
        b2 boots
        c elects b2
        b2 leads 1@1";
    assert_eq!(after(lines), ["!committed-stays UnflushedPowerLoss"]);
    let some = lines.replace("b3 recovers 1", "b3 recovers 0").replace("copies 1 0", "copies 0 0");
    assert_eq!(after(&some), ["committed-stays UnflushedPowerLoss"]);
}

#[test]
fn power_losses_excuse_nothing_in_the_quorum() {
    let lines = "
        b1 leads M 1@0
        b1 writes M 0..2 1
        b2 copies M 0..2 1
        b1 syncs M 3
        b2 syncs M 3
        b1 shows M 3
        b2 loses-power
        b1 loses-power
        b2 recovers __cluster_metadata-0@1
        b2 boots
        b2 leads M 2@1";
    assert_eq!(told(lines), ["!committed-stays UnflushedPowerLoss"]);
    let wiped = lines.replace("b1 loses-power", "b2 suffers wiped-disk");
    assert_eq!(told(&wiped), ["committed-stays WipedDisk"]);
}

#[test]
fn a_follower_that_shows_other_records_is_divergent() {
    let lines = BEGIN.replace("b3 copies 0..1 0", "b3 copies 0 0\n b3 copies 1 0 =7");
    // The leader could count it as a copy of its own.
    assert_eq!(
        told(&lines),
        ["!high-watermark-within-isr Unexplained", "!replicas-agree Unexplained"]
    );
    let fetched =
        "b2 cuts 2..1\n b2 copies 1 5\n b2 shows 1\n b2 cuts 2..1\n b2 copies 1 0\n b2 shows 2";
    assert_eq!(after(fetched), [""; 0]);
}

/// b2 leads with another record at 2 than b1 has, and has shown it.
const DEPOSED: &str = "
    b1 writes 2 0
    c shrinks b2,b3
    c elects b2
    b2 leads 1@2
    b3 follows b2 1
    b2 writes 2 1 =5
    b3 copies 2 1 =5
    b2 shows 3
    b1 follows b2 1
    ";

#[test]
fn a_divergence_names_what_the_follower_left_undone() {
    let after = |lines: &str| after(&format!("{DEPOSED}{lines}"));
    assert_eq!(after("b1 parts b2@2\n b1 cuts 3..2\n b1 copies 2 1 =5\n b1 shows 3"), [""; 0]);
    let shown = after("b1 parts b2@2\n b1 shows 3\n b1 cuts 3..2\n b1 copies 2 1 =5");
    assert_eq!(shown, ["!replicas-agree ShownBeforeTruncation"]);
    let kept = "
        b1 shows 3
        b2 writes 3 1
        b3 copies 3 1
        b1 copies 3 1
        c grows b1,b2,b3
        b2 shows 4
        trial checks";
    assert_eq!(after(kept), ["!replicas-agree NotTruncated", "!heals NotTruncated"]);
}

#[test]
fn a_follower_that_sleeps_through_epochs_is_a_stale_one() {
    let lines = "
        b1 writes 2 0
        b3 copies 2 0
        c shrinks b1,b2
        c elects b2
        b2 leads 1@2
        b1 follows b2 1
        b1 cuts 3..2
        b2 writes 2 1 =5
        b1 copies 2 1 =5
        b2 shows 3
        c elects b1
        b1 leads 2@3
        b2 follows b1 2
        b1 writes 3 2
        b2 copies 3 2
        b3 copies 3 2
        b3 shows 4";
    let history = history_of(&format!("{BEGIN}{lines}"));
    let breaches = Index::of(&history).scene.breaches().to_vec();
    let [breach] = &breaches[..] else { panic!("{breaches:?}") };
    assert_eq!(breach.violation.cause, Cause::StaleFollower);
    assert_eq!(
        says(&breach.violation),
        [
            "b3 follows b1 in epoch 0, and hears of no later one",
            "b3 has its record at 2",
            "b1 truncates 3 to 2",
            "b2 showed orders-0@2 as committed",
            "b3 takes a record of epoch 2 at 3, behind its own",
            "b3's high watermark rises to 4",
        ]
    );
}

/// What a leader took over without is compared anew, with those that have shown it long ago.
#[test]
fn a_replica_that_came_back_with_more_is_compared_again() {
    let lines = "
        b1 crashes
        b2 cuts 2..1
        c elects b2
        b2 leads 1@1
        b2 writes 1 1 =5
        b2 shows 2
        b1 boots
        b1 follows b2 1
        b1 copies 2 1
        b1 shows 3";
    let told = after(lines);
    assert_eq!(told[0], "!committed-stays TruncatedAfterElection");
    assert!(told.contains(&"!replicas-agree NotTruncated".to_owned()), "{told:?}");
}

#[test]
fn what_compaction_wrote_anew_is_not_compared() {
    let lines =
        BEGIN.replace("b3 copies 0..1 0", "b1 compacts 2\n b3 copies 0 0\n b3 copies 1 0 =7");
    assert_eq!(told(&lines), [""; 0]);
}

#[test]
fn the_high_watermark_waits_for_the_isr_and_the_majority() {
    let early = "b1 writes 2 0\n b2 copies 2 0\n b1 shows 3";
    assert_eq!(after(early), ["!high-watermark-within-isr Unexplained"]);
    assert_eq!(after(&format!("c shrinks b1,b2\n {early}")), [""; 0]);
    // The leader knows already what no broker has told of.
    let ahead = early.replace("b1 shows", "b1 confirms b1,b2 1\n b1 shows");
    assert_eq!(after(&ahead), [""; 0]);
    let alone = "b1 leads M 1@0\n b1 writes M 0 1\n b1 shows M 1";
    assert_eq!(told(alone), ["!high-watermark-within-isr Unexplained"]);
    let two = "b1 leads M 1@0\n b1 writes M 0 1\n b3 copies M 0 1\n b1 syncs M 1\n";
    assert_eq!(told(&format!("{two} b3 syncs M 1\n b1 shows M 1")), [""; 0]);
    assert_eq!(told(&format!("{two} b1 shows M 1")), ["!high-watermark-within-isr Unexplained"]);
    // What a majority has lost is not committed because somebody called it so once.
    let cut = "b1 shows M 1\n b3 cuts M 1..0\n b1 leads M 2@1\n b1 shows M 1";
    let again = told(&format!("{two} b3 syncs M 1\n {cut}"));
    assert_eq!(again, ["!high-watermark-within-isr Unexplained"]);
}

/// Its leader still counts it as a member, by the fetches before its end.
#[test]
fn a_member_of_the_isr_that_lost_records_with_its_power_had_them() {
    let lost = "
        b1 writes 2 0
        b2 copies 2 0
        b3 copies 2 0
        b3 loses-power
        b3 recovers 2
        b3 boots
        b1 shows 3";
    assert_eq!(after(lost), [""; 0]);
}

#[test]
fn what_a_voter_has_synced_ends_where_its_log_was_cut() {
    let begin = "
        b1 leads M 1@0
        b1 writes M 0..2 1
        b1 syncs M 3
        b2 copies M 0..2 1
        b2 syncs M 3";
    assert_eq!(told(&format!("{begin}\n b1 shows M 3")), [""; 0]);
    let unsynced = ["!high-watermark-within-isr Unexplained"];
    let again = "b2 copies M 1..2 1\n b1 shows M 3";
    assert_eq!(told(&format!("{begin}\n b2 cuts M 3..1\n {again}")), unsynced);
    // What was called committed once is not counted again.
    let later =
        "b1 shows M 3\n b2 cuts M 3..1\n b2 copies M 1..2 1\n b1 leads M 2@3\n b1 shows M 3";
    assert_eq!(told(&format!("{begin}\n {later}")), [""; 0]);
}

#[test]
fn a_leaders_high_watermark_does_not_fall_but_a_followers_may() {
    assert_eq!(after("b1 shows 1"), ["!high-watermark-rises Unexplained"]);
    assert_eq!(after("b2 shows 1"), [""; 0]);
    assert_eq!(after("c elects b1\n b1 leads 1@2\n b1 shows 1"), [""; 0]);
}

#[test]
fn an_isr_is_the_controllers_to_decide() {
    let early = "b1 confirms b1,b3 1\n c shrinks b1,b2";
    assert_eq!(after(early), ["!isr-by-controller Unexplained"]);
    let late = "c shrinks b1,b2\n b1 confirms b1,b3 1";
    assert_eq!(after(late), ["!isr-by-controller Unexplained"]);
    assert_eq!(after("c shrinks b1,b2\n b1 confirms b1,b2 1"), [""; 0]);
}

#[test]
fn whoever_takes_records_leads_in_an_epoch_the_controller_gave_it() {
    assert_eq!(after("b2 leads 1@2"), ["!serves-in-epoch Unexplained"]);
    assert_eq!(after("c elects b3\n b2 leads 1@2"), ["!serves-in-epoch Unexplained"]);
    assert_eq!(after("b1 follows b2 1\n b1 writes 2 0"), ["!serves-in-epoch Unexplained"]);
    assert_eq!(after("b1 writes 2 4"), ["!serves-in-epoch Unexplained"]);
    assert_eq!(after("b1 crashes\n b1 writes 2 0"), ["!serves-in-epoch Unexplained"]);
}

#[test]
fn in_the_end_everything_is_healed() {
    let heals = |lines: &str| after(&format!("{lines}\n trial checks"));
    assert_eq!(heals(""), [""; 0]);
    assert_eq!(heals("c elects nobody"), ["!heals Unexplained"]);
    assert_eq!(heals("c shrinks b1,b2"), ["!heals Unexplained"]);
    assert_eq!(heals("b3 cuts 2..1"), ["!heals Unexplained"]);
    assert_eq!(heals("b3 cuts 2..1\n b3 copies 1 0 =3"), ["!heals Unexplained"]);
    assert_eq!(heals("b1 writes 2 0\n b2 copies 2 0\n b3 copies 2 0"), ["!heals Unexplained"]);
    let dark = "b1 loses-power\n b2 loses-power\n b3 loses-power\n c elects nobody";
    assert_eq!(heals(dark), ["heals UnflushedPowerLoss"]);
}

#[test]
fn the_disk_has_the_last_word_on_what_a_log_holds() {
    // What was cut and not synced is back.
    let lines = "
        b1 writes 2 0
        b2 copies 2 0
        b2 cuts 3..2
        b2 loses-power
        b2 recovers 3
        b2 finds 0..2 0
        b2 boots
        b3 copies 2 0
        b1 shows 3
        trial checks";
    assert_eq!(after(lines), [""; 0]);
}

/// The story of lesson 20.
#[test]
fn a_record_lost_by_an_election_has_its_tale() {
    let lines = "
        c makes b1,b2,b3
        b1 leads 1@0
        b2 follows b1 1
        b3 follows b1 1
        b1 writes 0..3 1
        b2 copies 0..1 1
        b3 copies 0..1 1
        b1 shows 2
        shop acks 0..3
        b1 crashes
        c elects b2
        b2 leads 1@2
        b2 writes 2..3 2
        b1 boots
        b1 follows b2 2
        b1 cuts 4..2
        log 0..1 2=till#0 3=till#1"
        .replace("b1 leads 1@0", "c elects b1\n b1 leads 1@0")
        .replace("b2 leads 1@2", "b2 leads 2@2");
    let (guarantee, cause) = (Guarantee::AckedRecordsSurvive, Cause::TruncatedAfterElection);
    let violation = breach(guarantee, "shop", &lines, cause, "0@2 0@3");
    assert_eq!(
        says(&violation),
        [
            "b2, b3 had fetched up to 1",
            "shop#2 was acked at orders-0@2",
            "b1 stopped",
            "b2 is elected: epoch 2 starts at 2",
            "offset 2 is taken by another record",
            "b1 truncates 4 to 2",
            "orders-0@2 holds till#0",
        ]
    );
    assert_eq!(told(&lines), [""; 0], "it was never committed");
    let unclean = lines.replace("c elects b2", "c elects b2 unclean");
    breach(guarantee, "shop", &unclean, Cause::UncleanElection, "0@2 0@3");
    // An answer that comes late is that of the lost record still, not of what has taken its place.
    let late = lines.replace("shop acks 0..3", "").replace("b1 boots", "shop acks 0..3\n b1 boots");
    let violation = breach(guarantee, "shop", &late, cause, "0@2 0@3");
    let said = says(&violation);
    assert_eq!(
        said[3..5],
        ["offset 2 is taken by another record", "shop#2 was acked at orders-0@2"]
    );
}

#[test]
fn nothing_about_replicas_is_not_green() {
    let alone = "shop acks 0\n log 0";
    unknown(Guarantee::ReplicasAgree, "orders", alone);
    unknown(Guarantee::QuorumAgrees, "cluster", alone);
    unknown(Guarantee::ClusterHeals, "cluster", alone);
    unknown(Guarantee::CommittedReadsStable, "billing", alone);
    unknown(Guarantee::WritesAccepted, "till", alone);
    holds(Guarantee::WritesAccepted, "shop", alone);
}

#[test]
fn a_refused_write_says_why() {
    let lines = "shop acks 0\n shop sends shop#1\n shop is-refused shop#1 NotEnoughReplicasException\n log 0";
    let violation = breach(Guarantee::WritesAccepted, "shop", lines, Cause::NotEnoughReplicas, "");
    assert_eq!(
        says(&violation),
        ["shop#1 was sent", "shop gave up with NotEnoughReplicasException"]
    );
}

#[test]
fn every_invariant_has_been_seen_broken_here() {
    let source = include_str!("replicas.rs");
    for invariant in Invariant::ALL {
        assert!(source.contains(&format!("!{invariant} ")), "{invariant}");
    }
}
