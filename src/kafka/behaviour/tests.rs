//! The list and the policies say the same.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{Behaviour, BehaviourError, Choice, find, switches};

/// The keys and values that the policies' own types write, which are their defaults.
fn written(policy: impl Serialize) -> BTreeMap<String, String> {
    let table = toml::Table::try_from(policy).unwrap();
    let text = |value: toml::Value| value.as_str().unwrap().to_owned();
    table.into_iter().map(|(key, value)| (key, text(value))).collect()
}

#[test]
fn the_list_has_every_policy_and_its_default_first() {
    let Behaviour { replica, quorum, controller, log, producer } = Behaviour::default();
    let parts =
        [written(replica), written(quorum), written(controller), written(log), written(producer)];
    let count: usize = parts.iter().map(BTreeMap::len).sum();
    let all: BTreeMap<_, _> = parts.into_iter().flatten().collect();
    assert_eq!(all.len(), count, "no two policies share a key");
    let listed = switches().iter().map(|it| (it.key.into(), it.default().name.into()));
    assert_eq!(listed.collect::<BTreeMap<String, String>>(), all);
    assert_eq!(switches().len(), count, "no key is listed twice");
}

/// A policy that is given no value it knows says which it does know.
fn known_values<T: serde::de::DeserializeOwned>(_: T) -> BTreeSet<String> {
    let error = toml::Value::String("?".into()).try_into::<T>().err().unwrap().to_string();
    error.split('`').skip(3).step_by(2).map(str::to_owned).collect()
}

#[test]
fn the_list_has_every_value_of_every_policy() {
    let Behaviour { replica, quorum, controller, log, producer } = Behaviour::default();
    let check = |key: &str, known: BTreeSet<String>| {
        let listed = find(key).unwrap().choices.iter().map(|choice| choice.name.to_owned());
        assert!(!known.is_empty());
        assert_eq!(listed.collect::<BTreeSet<_>>(), known, "{key}");
    };
    check("truncation", known_values(replica.truncation));
    check("fetch-epoch-check", known_values(replica.fetch_epoch_check));
    check("isr-join-gate", known_values(replica.isr_join_gate));
    check("high-watermark-over", known_values(replica.high_watermark_over));
    check("alter-response-match", known_values(replica.alter_response_match));
    check("diverging-fetch", known_values(replica.diverging_fetch));
    check("fetch-broker-epoch", known_values(replica.fetch_broker_epoch));
    check("follower-applies", known_values(replica.follower_applies));
    check("under-min-isr", known_values(replica.under_min_isr));
    check("missed-epochs", known_values(replica.missed_epochs));
    check("quorum-flush", known_values(quorum.quorum_flush));
    check("commit-rule", known_values(quorum.commit_rule));
    check("pre-vote", known_values(quorum.pre_vote));
    check("eligible-leaders", known_values(controller.eligible_leaders));
    check("alter-partition-broker-epoch", known_values(controller.alter_partition_broker_epoch));
    check("directory-check", known_values(controller.directory_check));
    check("broker-epoch-check", known_values(controller.broker_epoch_check));
    check("stale-broker-epoch", known_values(controller.stale_broker_epoch));
    check("epoch-checkpoint-fsync", known_values(log.epoch_checkpoint_fsync));
    check("segment-dir-fsync", known_values(log.segment_dir_fsync));
    check("truncation-fsync", known_values(log.truncation_fsync));
    check("first-sequence-on-empty-state", known_values(log.first_sequence_on_empty_state));
    check("high-watermark-checkpoint", known_values(log.high_watermark_checkpoint));
    check("in-flight-limit", known_values(producer.in_flight_limit));
}

#[test]
fn every_choice_is_set_read_and_written_alone() {
    for switch in switches() {
        for choice in switch.choices {
            let mut behaviour = Behaviour::default();
            behaviour.set(switch.key, choice.name).unwrap();
            assert_eq!(switch.chosen(&behaviour), choice);
            let former: Vec<_> = behaviour.changed().map(|(at, to)| (at.key, to.name)).collect();
            let expected = (choice != switch.default()).then_some((switch.key, choice.name));
            assert_eq!(former, Vec::from_iter(expected));
            let text = toml::to_string(&behaviour).unwrap();
            assert_eq!(toml::from_str(&text), Ok(behaviour), "{text}");
        }
    }
}

#[test]
fn what_is_not_known_is_refused_with_what_is() {
    let mut behaviour = Behaviour::default();
    let key = behaviour.set("truncate", "on-fetch").unwrap_err();
    assert_eq!(key, BehaviourError::UnknownKey("truncate".into()));
    let value = behaviour.set("commit-rule", "any").unwrap_err();
    assert_eq!(
        value.to_string(),
        "`commit-rule` cannot be `any`, allowed: own-epoch-record, epoch-start, any-epoch"
    );
    assert!(toml::from_str::<Behaviour>("truncate = \"off\"").is_err());
}

#[test]
fn every_text_is_made_of_sentences() {
    for switch in switches() {
        assert!(switch.meaning.ends_with('.'), "{}", switch.key);
        assert!(switch.choices.len() > 1, "{}", switch.key);
        for Choice { name, versions, effect } in switch.choices {
            assert!(effect.ends_with('.'), "{name}");
            assert!(!versions.is_empty() && !versions.ends_with('.'), "{name}");
        }
    }
}
