//! What drawn settings promise: the guarantees that must hold on every seed.

use crate::testbed::plan::{
    EffectKind, Expectation, ExpectedVerdict, Guarantee, LoopStep, Plan, ProducerPlan, Tolerance,
};

/// The guarantee holds on every seed.
pub(super) fn holds(guarantee: Guarantee, of: &str) -> Expectation {
    Expectation::Guarantee {
        guarantee,
        of: of.into(),
        verdict: ExpectedVerdict::Holds,
        records: None,
        count: None,
        cause: None,
        over: Tolerance::EverySeed,
        say: None,
    }
}

fn has(producer: &ProducerPlan, setting: &str, value: &str) -> bool {
    producer.config.get(setting).is_some_and(|given| given == value)
}

/// One send is one record at most: retries are numbered, or there are none.
pub(super) fn never_doubles(producer: &ProducerPlan) -> bool {
    !has(producer, "enable.idempotence", "false") || has(producer, "retries", "0")
}

/// No retry comes after what was sent behind it.
pub(super) fn keeps_order(producer: &ProducerPlan) -> bool {
    never_doubles(producer) || has(producer, "max.in.flight.requests.per.connection", "1")
}

/// What the drawn settings promise of clients and topics, but for those that are `doomed`.
pub(super) fn claims(plan: &Plan, doomed: &[&str]) -> Vec<Expectation> {
    let mut claims = Vec::new();
    let mut claim = |guarantee, of: &str| claims.push(holds(guarantee, of));
    let writers = |topic: &str| {
        let topic = topic.to_owned();
        plan.producers.values().filter(move |producer| producer.topic == topic)
    };
    for topic in plan.topics.keys().filter(|topic| !doomed.contains(&topic.as_str())) {
        claim(Guarantee::OffsetsAgree, topic);
        if writers(topic).count() == 0 {
            continue;
        }
        if writers(topic).all(never_doubles) {
            claim(Guarantee::NoDuplicateAppend, topic);
        }
        if writers(topic).all(keeps_order) {
            claim(Guarantee::PartitionOrder, topic);
        }
    }
    for name in plan.producers.keys() {
        claim(Guarantee::AckedRecordsSurvive, name);
    }
    for (name, group) in &plan.groups {
        let commits_first = group.app.steps.get(1) == Some(&LoopStep::Commit);
        if commits_first {
            claim(Guarantee::ProcessedAtMostOnce, name);
        } else {
            claim(Guarantee::ProcessedAtLeastOnce, name);
            claim(Guarantee::NoCommitPassesUnprocessed, name);
            claim(Guarantee::LagDrains, name);
            // A retry that is not recognised puts a record where no upsert finds it again.
            let single = group.topics.iter().all(|topic| writers(topic).all(never_doubles));
            match group.app.effect {
                EffectKind::Upsert if single => claim(Guarantee::EffectExactlyOnce, name),
                EffectKind::Upsert => claim(Guarantee::EffectAtLeastOnce, name),
                _ => {}
            }
        }
        for guarantee in [Guarantee::MonotonePolls, Guarantee::OneOwner, Guarantee::GroupSettles] {
            claim(guarantee, name);
        }
    }
    claims
}
