//! Expectations are met exactly or not at all; facts are counted.

use super::{super::judge, history_of};
use crate::testbed::{
    checker::Judgement,
    plan::{
        Cause, ClusterPlan, Comparison, ConfigMap, Controllers, End, Expectation, ExpectedVerdict,
        FactKind, Guarantee, NetworkPlan, Plan, RunPlan, Span, SpanRange, Tolerance,
    },
};

const LOST: &str = "
    shop acks 0..3
    billing/1 joins 1 orders-0
    billing/1 starts 0 reset-to-earliest
    billing/1 polls 0..3
    billing/1 commits 4
    billing/1 processes 0 1
    billing/1 errs CommitFailedException
    billing/1 crashes
    shop retries orders-0
    b1 generation 2 billing/1=orders-0 billing/2=
    log 0..3 orders-1@
    left committed 4";

fn plan(expectation: Expectation) -> Plan {
    Plan {
        name: "drawn".into(),
        title: "drawn".into(),
        kafka: "4.1".into(),
        run: RunPlan { seed: 1, end: End::Quiet, limit: Span::from_millis(1000) },
        network: NetworkPlan { latency: SpanRange::fixed(Span::from_millis(1)), loss: 0.0 },
        cluster: ClusterPlan {
            brokers: 1,
            controllers: Controllers::usual(1),
            racks: Vec::new(),
            config: ConfigMap::new(),
        },
        behaviour: Default::default(),
        topics: Default::default(),
        producers: Default::default(),
        groups: Default::default(),
        readers: Default::default(),
        steps: Vec::new(),
        expectations: vec![expectation],
        ignored: Vec::new(),
    }
}

fn judged(expectation: Expectation) -> Judgement {
    judge(&plan(expectation), &history_of(LOST)).remove(0)
}

/// At-least-once of billing, as expected so far as given.
fn expect(
    verdict: ExpectedVerdict,
    records: Option<&[&str]>,
    count: Option<Comparison>,
    cause: Option<Cause>,
) -> bool {
    let records =
        records.map(|records| records.iter().map(|record| record.parse().unwrap()).collect());
    let judgement = judged(Expectation::Guarantee {
        guarantee: Guarantee::ProcessedAtLeastOnce,
        of: "billing".into(),
        verdict,
        records,
        count,
        cause,
        over: Tolerance::EverySeed,
        say: None,
    });
    assert_eq!(judgement.actual, "violated: orders-0@2..3 (committed-before-processing)");
    judgement.met
}

#[test]
fn a_violation_is_as_expected_only_with_its_records_count_and_cause() {
    use ExpectedVerdict::{Holds, Violated};
    assert!(expect(Violated, None, None, None));
    assert!(!expect(Holds, None, None, None));
    assert!(expect(Violated, Some(&["orders-0@3", "orders-0@2"]), None, None));
    assert!(!expect(Violated, Some(&["orders-0@2"]), None, None));
    assert!(!expect(Violated, Some(&["orders-0@1", "orders-0@2", "orders-0@3"]), None, None));
    assert!(expect(Violated, None, Some(Comparison::Equal(2)), None));
    assert!(!expect(Violated, None, Some(Comparison::AtMost(1)), None));
    assert!(expect(Violated, None, None, Some(Cause::CommittedBeforeProcessing)));
    assert!(!expect(Violated, None, None, Some(Cause::HandedOff)));
}

#[test]
fn facts_are_counted() {
    let fact = |fact, of: &str, name: Option<&str>| {
        let expectation = Expectation::Fact {
            fact,
            of: of.into(),
            name: name.map(Into::into),
            is: Comparison::AtLeast(i64::MIN),
            after: None,
            over: Tolerance::EverySeed,
            say: None,
        };
        judged(expectation).actual
    };
    let table = [
        (FactKind::Partitions, "orders", "2"),
        (FactKind::LogStart, "orders-0", "0"),
        (FactKind::LogEnd, "orders-0", "4"),
        (FactKind::Committed, "billing orders-0", "4"),
        (FactKind::Lag, "billing orders-0", "0"),
        (FactKind::Generation, "billing", "2"),
        (FactKind::Rebalances, "billing", "1"),
        (FactKind::Records, "orders", "4"),
        (FactKind::Records, "orders-1", "0"),
        (FactKind::Acked, "shop", "4"),
        (FactKind::Delivered, "billing", "4"),
        (FactKind::Delivered, "billing/1", "4"),
        (FactKind::Processed, "billing", "2"),
        (FactKind::IdleMembers, "billing", "1"),
        (FactKind::Batches, "orders", "0"),
        (FactKind::Deduplicated, "orders", "0"),
        (FactKind::Retries, "shop", "1"),
        (FactKind::LogEnd, "orders-7", "the log of orders-7 was not read back"),
    ];
    for (kind, of, value) in table {
        assert_eq!(fact(kind, of, None), value, "{kind:?} of {of}");
    }
    assert_eq!(fact(FactKind::Retries, "shop", Some("NetworkException")), "1");
    assert_eq!(fact(FactKind::Retries, "shop", Some("TimeoutException")), "0");
    assert_eq!(fact(FactKind::Error, "billing/1", Some("CommitFailedException")), "1");
    assert_eq!(fact(FactKind::Error, "billing", Some("TimeoutException")), "0");
}

#[test]
fn facts_of_leadership_go_by_the_controllers_word() {
    let fact = |fact, of: &str, lines: &str| {
        let expectation = Expectation::Fact {
            fact,
            of: of.into(),
            name: None,
            is: Comparison::AtLeast(i64::MIN),
            after: None,
            over: Tolerance::EverySeed,
            say: None,
        };
        judge(&plan(expectation), &history_of(lines)).remove(0).actual
    };
    let begun = "
        c makes b1,b2,b3
        b1 leads 0@0
        b1 writes 0..4 0
        b1 shows 3";
    let moved = &format!(
        "{begun}
        c shrinks b2,b3
        c elects b2
        c assigns b4,b2"
    );
    let table = [
        (FactKind::Leader, "orders-0", "1", "2"),
        (FactKind::Epoch, "orders-0", "0", "1"),
        (FactKind::Isr, "orders-0", "3", "2"),
        (FactKind::Hw, "orders-0", "3", "0"),
        (FactKind::Elections, "orders", "0", "1"),
        (FactKind::Leads, "b1", "1", "0"),
        (FactKind::Leads, "b2", "0", "1"),
        (FactKind::Replicas, "b3", "1", "0"),
        (FactKind::Replicas, "b4", "0", "1"),
    ];
    for (kind, of, at_first, then) in table {
        assert_eq!(fact(kind, of, begun), at_first, "{kind:?} of {of}");
        assert_eq!(fact(kind, of, moved), then, "{kind:?} of {of}, moved");
    }
    assert_eq!(fact(FactKind::Leader, "orders-0", &format!("{begun}\n c elects nobody")), "-1");
    // A leader that leads on in a new epoch was not elected.
    let on = format!("{begun}\n c elects b1");
    assert_eq!(fact(FactKind::Elections, "orders", &on), "0");
    let metadata = format!("{begun}\n c makes M b1,b2");
    assert_eq!(fact(FactKind::Leads, "b1", &metadata), "1");
    let deleted = format!("{begun}\n c deletes orders");
    assert_eq!(fact(FactKind::Leads, "b1", &deleted), "0");
    assert_eq!(fact(FactKind::Replicas, "b3", &deleted), "0");
    let follower = format!("{moved}\n b2 leads 1@5\n b2 shows 4\n b1 shows 2");
    assert_eq!(fact(FactKind::Hw, "orders-0", &follower), "4");
}
