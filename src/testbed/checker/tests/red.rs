//! Each guarantee beside a history that breaks it and a sound twin: a new guarantee does not compile
//! without its own.

use super::{breach, breaches, holds, says};
use crate::testbed::{
    plan::{Cause, Guarantee},
    scenario::explanations,
};

/// What a guarantee is asked of, a history it holds in, and what to replace there to break it.
struct Twins {
    of: &'static str,
    sound: &'static str,
    breaking: &'static [(&'static str, &'static str)],
}

const WORK: &str = "
    shop acks 0..1
    billing/1 joins 1 orders-0
    billing/1 starts 0 committed
    billing/1 polls 0..1
    billing/1 processes 0..1
    billing/1 commits 2
    b1 accepts billing/1 orders-0@2
    log 0..1
    left committed 2
    left state Stable";

/// A partition on three brokers, and the metadata log on two of them; leadership of that moves.
const REPLICATED: &str = "
    b1 leads M 1@0
    b1 writes M 0..2 1
    b2 copies M 0..2 1
    b1 syncs M 3
    b2 syncs M 3
    b1 shows M 3
    b2 shows M 3
    b2 leads M 2@3
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
    shop acks 0..1
    billing/1 polls 0..1
    trial checks
    log 0..1";

const KEYED: &str = "
    shop sends shop#0 shop#1 shop#2
    log 0=shop#0:red 1=shop#1:blue 2=shop#2:red orders-1@";

const TWICE: (&str, &str) = (
    "billing/1 commits 2",
    "billing/1 crashes\n billing/1 starts 0 committed\n billing/1 processes 1",
);
const NEVER: (&str, &str) = ("billing/1 processes 0..1", "billing/1 processes 0");

fn twins(guarantee: Guarantee) -> Twins {
    let (of, sound, breaking): (_, _, &[_]) = match guarantee {
        Guarantee::ProcessedAtMostOnce => ("billing", WORK, &[TWICE]),
        Guarantee::ProcessedAtLeastOnce => ("billing", WORK, &[NEVER]),
        Guarantee::ProcessedExactlyOnce => ("billing", WORK, &[TWICE, NEVER]),
        // Their work was done once; it is the sink that shows it twice or not at all.
        Guarantee::EffectAtMostOnce => (
            "billing",
            WORK,
            &[
                ("billing/1 commits", "billing/1 repeats 1\n billing/1 commits"),
                // One record at two places.
                ("log 0..1", "log 0 1=shop#0"),
            ],
        ),
        Guarantee::EffectAtLeastOnce => ("billing", WORK, &[("processes 0..1", "finishes 0..1")]),
        Guarantee::EffectExactlyOnce => (
            "billing",
            WORK,
            &[
                ("billing/1 commits", "billing/1 repeats 1\n billing/1 commits"),
                ("processes 0..1", "finishes 0..1"),
            ],
        ),
        Guarantee::PartitionOrder => ("orders", WORK, &[("log 0..1", "log 0=shop#1 1=shop#0")]),
        Guarantee::KeyOrder => (
            "orders",
            KEYED,
            &[
                ("2=shop#2:red orders-1@", "orders-1@0=shop#2:red"),
                ("0=shop#0:red 1=shop#1:blue 2=shop#2:red", "0=shop#2:red 1=shop#0:red"),
            ],
        ),
        Guarantee::TopicOrder => ("billing", WORK, &[("polls 0..1", "polls 1 0")]),
        Guarantee::NoDuplicateAppend => ("orders", WORK, &[("log 0..1", "log 0..1 2=shop#1")]),
        Guarantee::AckedRecordsSurvive => ("shop", WORK, &[("log 0..1", "log 0")]),
        Guarantee::NoCommitPassesUnprocessed => ("billing", WORK, &[NEVER]),
        Guarantee::OffsetsAgree => (
            "orders",
            WORK,
            &[("log 0..1", "log 0 1=till#0"), ("left committed 2", "left committed 1")],
        ),
        Guarantee::MonotonePolls => ("billing", WORK, &[("polls 0..1", "polls 0..1 0")]),
        Guarantee::OneOwner => (
            "billing",
            WORK,
            &[("polls", "polls 0\n billing/2 joins 1 orders-0\n billing/1 polls")],
        ),
        Guarantee::NoSkip => ("billing", WORK, &[("polls 0..1", "polls 1")]),
        Guarantee::LagDrains => ("billing", WORK, &[("log 0..1", "log 0..2")]),
        Guarantee::GroupSettles => {
            ("billing", WORK, &[("Stable", "PreparingRebalance"), ("log 0..1", "stuck a member")])
        }
        Guarantee::ReplicasAgree
        | Guarantee::CommittedReadsStable
        | Guarantee::WritesAccepted
        | Guarantee::QuorumAgrees
        | Guarantee::ClusterHeals => return replicated_twins(guarantee),
    };
    Twins { of, sound, breaking }
}

fn replicated_twins(guarantee: Guarantee) -> Twins {
    let (of, breaking): (_, &[_]) = match guarantee {
        Guarantee::ReplicasAgree => (
            "orders",
            &[
                ("b3 copies 0..1 0", "b3 copies 0 0\n b3 copies 1 0 =7"),
                ("b3 follows b1 0", "b3 leads 0@0"),
                ("b3 copies 0..1 0", "b3 copies 0 0"),
            ],
        ),
        Guarantee::CommittedReadsStable => (
            "billing",
            &[
                ("log 0..1", "log 0"),
                ("log 0..1", "log 0 1=shop#9"),
                ("polls 0..1", "polls 0..1 1=till#0"),
            ],
        ),
        Guarantee::WritesAccepted => {
            ("shop", &[("shop acks 0..1", "shop acks 0..1\n shop doubts shop#7")])
        }
        Guarantee::QuorumAgrees => (
            "cluster",
            &[
                ("b2 copies M 0..2 1", "b2 copies M 0..1 1"),
                ("b2 leads M 2@3", "b2 leads M 1@3"),
                ("b2 leads M 2@3", "b3 leads M 2@0"),
                ("b1 shows M 3", "b1 shows M 3\n b1 shows M 2"),
                ("b2 syncs M 3", "b2 syncs M 2"),
            ],
        ),
        Guarantee::ClusterHeals => (
            "cluster",
            &[
                ("b3 copies 0..1 0", "b3 copies 0 0"),
                ("trial checks", "c shrinks b1,b2\n trial checks"),
                ("trial checks", "c elects nobody\n trial checks"),
                ("b1 shows 2", "b1 shows 1"),
            ],
        ),
        other => unreachable!("{other:?} is not about replicas"),
    };
    Twins { of, sound: REPLICATED, breaking }
}

/// Every guarantee a scenario file may name.
fn guarantees() -> Vec<Guarantee> {
    let named = explanations().into_iter().filter(|one| one.kind == "a guarantee");
    let value = |name: &str| serde_json::from_value(name.into()).unwrap();
    named.map(|one| value(one.name)).collect()
}

#[test]
fn every_guarantee_holds_in_a_sound_history_and_is_seen_broken() {
    assert!(guarantees().len() >= 18);
    for guarantee in guarantees() {
        let Twins { of, sound, breaking } = twins(guarantee);
        holds(guarantee, of, sound);
        assert!(!breaking.is_empty(), "{guarantee:?} was never seen red");
        for (part, wrong) in breaking {
            assert!(sound.contains(part), "{guarantee:?}: no `{part}` to break");
            breaches(guarantee, of, &sound.replacen(part, wrong, 1));
        }
    }
}

#[test]
fn a_record_doubled_by_a_retry_has_two_effects_whatever_the_sink() {
    let lines = "
        shop sends shop#0
        shop retries orders-0
        shop hears-of 0=shop#0
        billing/1 joins 1 orders-0
        billing/1 starts 0 committed
        billing/1 polls 0=shop#0 1=shop#0
        billing/1 processes 0..1
        billing/1 commits 2
        b1 accepts billing/1 orders-0@2
        log 0=shop#0 1=shop#0";
    holds(Guarantee::ProcessedAtMostOnce, "billing", lines);
    for lines in [lines.to_owned(), format!("upserts\n{lines}")] {
        let (guarantee, cause) = (Guarantee::EffectAtMostOnce, Cause::RetryDuplicate);
        let violation = breach(guarantee, "billing", &lines, cause, "0@1");
        assert_eq!(
            says(&violation),
            [
                "shop#0 was sent, once",
                "shop sent its batch again after NetworkException",
                "billing/1 effected orders-0@0, which is shop#0",
                "billing/1 effected orders-0@1, which is shop#0",
            ]
        );
    }
    let sent_again = lines.replace("1=shop#0", "1=shop#0.2");
    holds(Guarantee::EffectAtMostOnce, "billing", &sent_again);
}

#[test]
fn an_effect_is_judged_apart_from_the_work_behind_it() {
    let repeated = WORK.replace("billing/1 commits", "billing/1 repeats 1\n billing/1 commits");
    holds(Guarantee::ProcessedExactlyOnce, "billing", &repeated);
    holds(Guarantee::EffectAtLeastOnce, "billing", &repeated);
    holds(Guarantee::EffectAtMostOnce, "billing", &format!("upserts\n{repeated}"));
    let absent = WORK.replace("processes 0..1", "finishes 0..1");
    holds(Guarantee::ProcessedExactlyOnce, "billing", &absent);
    breaches(Guarantee::EffectAtLeastOnce, "billing", &format!("upserts\n{absent}"));
}
