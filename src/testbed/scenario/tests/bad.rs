//! What a wrong file is told, mistake by mistake.

use super::fixture::{GOOD, load};
use crate::testbed::scenario::{Scenario, words::ERRORS};

const SMALL: &str = r#"scenario = 1
title = "small"
[run]
end = "60s"
[cluster]
brokers = 2
[cluster.config]
offsets.topic.replication.factor = 1
[topics.orders]
partitions = 2
[producers.shop]
topic = "orders"
records = 10
every = "5ms"
[producers.shop.config]
acks = "all"
[groups.billing]
topics = ["orders"]
members = 2
[groups.billing.app]
loop = ["poll", "process", "commit"]
[groups.billing.config]
enable.auto.commit = false
[[step]]
id = "kill"
when = "acked"
of = "shop"
do = "crash"
node = "b1"
[[step]]
id = "back"
after = "kill"
wait = "1s"
do = "restart"
node = "b1"
[[expect]]
guarantee = "partition-order"
of = "orders"
verdict = "holds"
[[variant]]
id = "other"
[variant.set.producers.shop]
records = 20
"#;

/// The messages and helps when one line of the small file reads otherwise.
fn told(line: &str, instead: &str) -> Vec<String> {
    assert_eq!(SMALL.matches(&format!("{line}\n")).count(), 1, "{line}");
    let text = SMALL.replace(&format!("{line}\n"), &format!("{instead}\n"));
    let Err(problems) = load(&text) else { panic!("accepted: {instead}") };
    // Whatever is found must also be showable.
    assert!(problems.to_string().ends_with("nothing was run\n"));
    let told = |one: crate::testbed::scenario::Finding| match one.help {
        Some(help) => format!("{}: {} ({help})", one.line, one.message),
        None => format!("{}: {}", one.line, one.message),
    };
    problems.findings().map(told).collect()
}

fn told_once(line: &str, instead: &str, wanted: &str) {
    let told = told(line, instead);
    assert!(told.len() == 1 && told[0].contains(wanted), "{instead}\n{told:#?}");
}

#[test]
fn the_small_file_is_sound() {
    load(SMALL).unwrap_or_else(|problems| panic!("{problems}"));
}

#[test]
fn all_mistakes_are_told_at_once() {
    let text = include_str!("../../../../tests/fixtures/scenarios/everything-wrong.scenario.toml");
    let problems = Scenario::load("x", "everything-wrong.scenario.toml", text, &[]).unwrap_err();
    insta::assert_snapshot!(problems);
}

#[test]
fn all_syntax_errors_are_told_at_once() {
    let text = include_str!("../../../../tests/fixtures/scenarios/syntax.scenario.toml");
    let problems = Scenario::load("x", "syntax.scenario.toml", text, &[]).unwrap_err();
    insta::assert_snapshot!(problems);
}

#[test]
fn an_unknown_word_is_answered_with_the_nearest_one() {
    told_once(
        "every = \"5ms\"",
        "evry = \"5ms\"",
        "14: unknown key `evry` in [producers.shop] (did you mean `every`?)",
    );
    told_once(
        "brokers = 2",
        "brokers = 2\n[cluter]",
        "unknown key `cluter` at the top (did you mean `cluster`?)",
    );
    told_once("do = \"crash\"", "do = \"crsh\"", "unknown action `crsh` (did you mean `crash`?)");
    told_once(
        "when = \"acked\"",
        "when = \"ackd\"",
        "unknown event `ackd` (did you mean `acked`?)",
    );
    told_once(
        "guarantee = \"partition-order\"",
        "guarantee = \"partition-ordr\"",
        "did you mean `partition-order`?",
    );
    told_once(
        "verdict = \"holds\"",
        "verdict = \"violated\"\ncause = \"retry-reoder\"",
        "did you mean `retry-reorder`?",
    );
    told_once(
        "node = \"b1\"\n[[step]]",
        "node = \"leader:order-0\"\n[[step]]",
        "there is no `order-0` (did you mean `orders-0`?)",
    );
    told_once(
        "topic = \"orders\"",
        "topic = \"order\"",
        "there is no `order` (did you mean `orders`?)",
    );
    told_once("after = \"kill\"", "after = \"kil\"", "no step has id `kil` (did you mean `kill`?)");
    told_once(
        "acks = \"all\"",
        "ack = \"all\"",
        "Kafka has no producer setting `ack` (did you mean `acks`?)",
    );
    told_once(
        "loop = [\"poll\", \"process\", \"commit\"]",
        "loop = [\"poll\", \"proces\"]",
        "did you mean `process`?",
    );
}

#[test]
fn a_setting_of_another_side_is_sent_there() {
    told_once(
        "partitions = 2",
        "[topics.orders.config]\nacks = \"all\"",
        "`acks` is a Kafka producer setting; this is a topic table",
    );
    told_once(
        "acks = \"all\"",
        "session.timeout.ms = 6000",
        "`session.timeout.ms` is a Kafka consumer setting",
    );
}

#[test]
fn a_setting_without_effect_is_refused_unless_it_is_listed() {
    let wanted = "remove it, or write `ignored = [\"client.dns.lookup\"]` at the top of the file";
    told_once("acks = \"all\"", "client.dns.lookup = \"use_all_dns_ips\"", wanted);
    told_once("acks = \"all\"", "ssl.protocol = \"TLSv1.3\"", "nothing is secured");
    let listed = SMALL.replace("acks = \"all\"", "client.dns.lookup = \"use_all_dns_ips\"");
    let listed = listed.replace("[run]", "ignored = [\"client.dns.lookup\"]\n[run]");
    assert_eq!(load(&listed).unwrap().plan.ignored, ["client.dns.lookup"]);
    told_once(
        "title = \"small\"",
        "title = \"small\"\nignored = [\"acks\"]",
        "it cannot be ignored",
    );
    told_once(
        "title = \"small\"",
        "title = \"small\"\nignored = [\"akcs\"]",
        "Kafka has no setting `akcs`",
    );
}

#[test]
fn what_kafka_refuses_is_refused_before_the_run() {
    told_once("acks = \"all\"", "acks = 2", "`acks` cannot be `2`: expected one of all, -1, 0, 1");
    told_once(
        "acks = \"all\"",
        "acks = 1\nenable.idempotence = true",
        "acks must be \"all\" when enable.idempotence = true",
    );
    told_once(
        "acks = \"all\"",
        "delivery.timeout.ms = 100",
        "delivery.timeout.ms should be equal to or larger",
    );
    told_once(
        "enable.auto.commit = false",
        "heartbeat.interval.ms = 45000",
        "Heartbeat must be set lower than the session timeout",
    );
    told_once(
        "enable.auto.commit = false",
        "session.timeout.ms = 5000",
        "the broker accepts a session.timeout.ms from 6000 to 1800000",
    );
    told_once(
        "acks = \"all\"",
        "linger.ms = \"5ms\"",
        "`linger.ms` cannot be `5ms`: expected a whole number",
    );
    told_once(
        "[topics.orders]",
        "[topics.\"no good\"]\n[topics.orders]",
        "is not a legal name of a topic",
    );
}

#[test]
fn more_copies_than_there_are_is_refused() {
    told_once(
        "offsets.topic.replication.factor = 1",
        "num.partitions = 1",
        "is the default, 3: 2 brokers cannot keep so many copies",
    );
    told_once(
        "partitions = 2",
        "partitions = 2\nreplication-factor = 3",
        "`replication-factor` is 3: 2 brokers cannot keep so many copies",
    );
    let twice = SMALL.replace("[topics.orders]", "default.replication.factor = 3\n[topics.orders]");
    let told = load(&twice).unwrap_err().to_string();
    assert!(told.contains("`default.replication.factor` is 3: 2 brokers cannot"), "{told}");
}

#[test]
fn replicas_are_brokers_each_named_once() {
    let replicas = |lists: &str, wanted: &str| {
        told_once("partitions = 2", &format!("replicas = {lists}"), wanted);
    };
    replicas("[[\"b1\"], [\"b7\"]]", "there is no broker `b7` (the brokers are b1, b2)");
    replicas("[[\"b1\", \"b1\"]]", "`b1` is named twice: a broker keeps one copy of a partition");
    replicas("[[]]", "a partition needs a replica");
    replicas(
        "[[\"b1\"], [\"b1\", \"b2\"]]",
        "partition 0 has 1 replicas here and partition 1 has 2",
    );
    told_once(
        "partitions = 2",
        "replicas = [[\"b1\", \"b2\"]]\nreplication-factor = 1",
        "`replication-factor` is 1 and `replicas` lists 2 (leave `replication-factor` out)",
    );
    // Kafka takes the smaller of the two.
    let generous = SMALL.replace(
        "partitions = 2\n",
        "replicas = [[\"b1\", \"b2\"]]\nconfig.min.insync.replicas = 3\n",
    );
    let plan = load(&generous).unwrap_or_else(|problems| panic!("{problems}")).plan;
    assert_eq!(
        (plan.topics["orders"].partitions, plan.topics["orders"].replication_factor),
        (1, 2)
    );
}

#[test]
fn controllers_are_one_three_or_five() {
    let controllers = |given: &str, wanted: &str| {
        told_once("brokers = 2", &format!("brokers = 2\ncontrollers = {given}"), wanted);
    };
    controllers("2", "`controllers` cannot be 2: this build takes 1, 3 or 5");
    controllers(
        "3",
        "2 brokers cannot be 3 controllers as well (write controllers = { apart = 3 } for machines",
    );
    controllers("\"many\"", "expected 1, 3 or 5, or { apart = 3 }, found text");
    controllers("{ apart = \"3\" }", "expected 1, 3 or 5, found text");
    controllers("{ apart = 7 }", "`controllers` cannot be 7");
    controllers("{ apart = 3, b = 1 }", "unknown key `b` in `controllers`");
    told_once(
        "node = \"b1\"\n[[step]]",
        "node = \"c1\"\n[[step]]",
        "there is no `c1` (did you mean `b1`?)",
    );
}

#[test]
fn a_role_is_one_there_is() {
    let role = |role: &str, wanted: &str| {
        let line = format!("node = \"{role}\"\n[[step]]");
        told_once("node = \"b1\"\n[[step]]", &line, wanted);
    };
    role("folower:orders-0", "unknown role `folower` (did you mean `follower:orders-0`?)");
    role("boss:orders-0", "known: leader, follower, followers, isr, coordinator, step");
    role("isr:orders", "`orders` is a topic (expected a partition)");
    role("isr:orders-2", "`orders` has no partition 2");
    role("step:kil", "no step has id `kil` (did you mean `kill`?)");
    role("voter", "there is no `voter`");
}

#[test]
fn a_behaviour_is_one_kafka_had() {
    let behaviour = |line: &str, wanted: &str| {
        let table = format!("title = \"small\"\n[behaviour]\n{line}");
        told_once("title = \"small\"", &table, wanted);
    };
    behaviour(
        "trunctaion = \"high-watermark\"",
        "4: no behaviour is called `trunctaion` (did you mean `truncation`?)",
    );
    behaviour("nonsense = \"off\"", "no behaviour is called `nonsense` (known: truncation, ");
    behaviour(
        "truncation = \"high-watermrk\"",
        "4: `truncation` cannot be `high-watermrk`, allowed: on-fetch, leader-epoch-kip279, \
         leader-epoch-kip101, high-watermark (did you mean `high-watermark`?)",
    );
    behaviour("fetch-epoch-check = false", "is a name in quotes, not false (known: kip-320, off)");
    behaviour("truncation = 3", "expected text in quotes, found a whole number");
    let variant = SMALL.to_owned() + "[variant.set.behaviour]\ntruncation = \"hw\"\n";
    let told = load(&variant).unwrap_err().to_string();
    assert!(told.contains("`truncation` cannot be `hw`"), "{told}");
}

#[test]
fn an_operator_asks_for_what_can_be() {
    let order = |step: &str, wanted: &str| {
        told_once("do = \"crash\"\nnode = \"b1\"", step, wanted);
    };
    order("do = \"stop\"\nnode = \"shop\"", "`shop` is no broker");
    order(
        "do = \"delete-topic\"\ntopic = \"oders\"",
        "there is no `oders` (did you mean `orders`?)",
    );
    order(
        "do = \"add-partitions\"\ntopic = \"orders\"\npartitions = 2",
        "`orders` has 2 partitions already: 2 are not more",
    );
    order(
        "do = \"alter-config\"\ntopic = \"orders\"\nconfig.min.insync.replica = 2",
        "Kafka has no topic setting `min.insync.replica` (did you mean `min.insync.replicas`?)",
    );
    order("do = \"alter-config\"\ntopic = \"orders\"", "[[step]] needs `config`");
    order(
        "do = \"reassign\"\npartition = \"orders-0\"\nreplicas = [\"b3\"]",
        "there is no broker `b3`",
    );
    order("do = \"reassign\"\npartition = \"orders-0\"", "[[step]] needs `replicas`");
    order(
        "do = \"elect\"\nelection = \"uncleen\"",
        "unknown election `uncleen` (did you mean `unclean`?)",
    );
    order("do = \"elect\"\npartition = \"orders-5\"", "`orders` has no partition 5");
    order("do = \"add-broker\"\nnode = \"b2\"", "`b2` is there from the beginning");
    order("do = \"add-broker\"\nnode = \"b5\"", "brokers are numbered: write `b3`");
}

#[test]
fn a_length_of_time_has_a_unit() {
    told_once(
        "every = \"5ms\"",
        "every = 5",
        "expected a number and a unit in quotes, found a whole number",
    );
    told_once(
        "wait = \"1s\"",
        "wait = \"100\"",
        "`100` is not a length of time: expected a number and a unit",
    );
    told_once("every = \"5ms\"", "every = \"5ms..1ms\"", "ends before it begins");
}

#[test]
fn a_step_that_can_never_fire_is_refused() {
    told_once("of = \"shop\"", "of = \"shoop\"", "there is no `shoop` (did you mean `shop`?)");
    told_once(
        "of = \"shop\"",
        "of = \"billing\"",
        "`acked` never happens to `billing`, which is a group: this can never fire",
    );
    told_once(
        "of = \"shop\"",
        "of = \"shop\"\ncount = 15",
        "shop sends 10 records: the 15th `acked` can never come",
    );
    told_once(
        "after = \"kill\"\nwait = \"1s\"",
        "at = \"61s\"",
        "this step can never fire: the run is over at 1m",
    );
    told_once(
        "after = \"kill\"\nwait = \"1s\"",
        "after = \"back\"",
        "step `back` waits for itself: it can never fire",
    );
    told_once(
        "when = \"acked\"\nof = \"shop\"",
        "when = \"done\"\nrecord = \"orders-0@1\"",
        "`done` does not concern single records",
    );
    told_once("records = 10", "records = 10\nstart = \"by-step\"", "no step starts `shop`");
}

#[test]
fn a_step_has_one_moment_and_its_objects() {
    told_once("when = \"acked\"\nof = \"shop\"", "say = \"when?\"", "this step has no moment");
    told_once(
        "wait = \"1s\"",
        "wait = \"1s\"\nat = \"1s\"",
        "this step has another moment besides `after`, `wait`",
    );
    told_once("do = \"crash\"\nnode = \"b1\"", "do = \"crash\"", "[[step]] needs `node`");
    told_once("do = \"crash\"\nnode = \"b1\"", "do = \"sever\"", "this step names no links");
    told_once(
        "do = \"crash\"\nnode = \"b1\"",
        "do = \"sever\"\nlinks = [\"b1 - b2\"]",
        "`b1 - b2` is not a link",
    );
    told_once(
        "do = \"crash\"\nnode = \"b1\"",
        "do = \"crash\"\nnode = \"billing\"",
        "`billing` is a group (name a member: billing/1, billing/2)",
    );
    told_once(
        "do = \"crash\"\nnode = \"b1\"",
        "do = \"stall\"\nnode = \"b1\"\nfor = \"1s\"",
        "`b1` is a broker",
    );
    told_once(
        "do = \"crash\"\nnode = \"b1\"",
        "do = \"full-disk\"\nnode = \"shop\"",
        "`shop` keeps nothing on its disk",
    );
    told_once("do = \"crash\"", "do = \"crash\"\nby = \"1s\"", "unknown key `by` in [[step]]");
}

#[test]
fn a_scenario_must_expect_something_of_somebody() {
    let expect =
        "[[expect]]\nguarantee = \"partition-order\"\nof = \"orders\"\nverdict = \"holds\"";
    told_once(expect, "", "this scenario expects nothing");
    told_once("verdict = \"holds\"", "", "a guarantee needs a verdict");
    told_once("of = \"orders\"", "of = \"nobody\"", "there is no `nobody`");
    told_once(
        "of = \"orders\"",
        "of = \"billing\"",
        "`billing` is a group (expected a topic, a partition or a producer)",
    );
    told_once(
        "of = \"orders\"",
        "of = \"orders-2\"",
        "`orders` has no partition 2 (its partitions are 0 to 1)",
    );
    told_once(
        "verdict = \"holds\"",
        "verdict = \"holds\"\ncount = 1",
        "`count` belongs to a violation",
    );
    let fact = |rest: &str| format!("[[expect]]\nfact = {rest}");
    told_once(
        expect,
        &fact("\"log-end\"\nof = \"orders-0\"\nis = \"many\""),
        "`many` is no comparison",
    );
    told_once(
        expect,
        &fact("\"committed\"\nof = \"billing\"\nis = 1"),
        "`billing` is not a group and a partition",
    );
    told_once(
        expect,
        &fact("\"log-end\"\nof = \"orders-0\"\nis = 1\nafter = \"kill\""),
        "`log-end` is known at the end only",
    );
    told_once(
        expect,
        &fact("\"error\"\nof = \"shop\"\nname = \"TimeoutExeption\"\nis = 1"),
        "did you mean `TimeoutException`?",
    );
    told_once(
        expect,
        &fact("\"error\"\nof = \"shop\"\nname = \"ConfigException\"\nis = 1"),
        "found before anything runs",
    );
}

#[test]
fn a_file_of_another_version_is_not_read() {
    told_once(
        "scenario = 1",
        "scenario = 2\nfoo = 1",
        "this build reads version 1 of the format, not 2",
    );
    told_once("scenario = 1", "", "this is not a scenario: it does not begin with `scenario = 1`");
    told_once(
        "title = \"small\"",
        "title = \"small\"\nkafka = \"3.9\"",
        "this build has no profile of Kafka 3.9",
    );
}

#[test]
fn too_much_of_anything_is_refused_with_the_number() {
    told_once(
        "brokers = 2",
        "brokers = 16",
        "`brokers` cannot be 16: this build takes numbers from 1 to 15",
    );
    told_once("partitions = 2", "partitions = 257", "from 1 to 256");
    told_once("members = 2", "members = 65", "from 1 to 64");
    told_once("records = 10", "records = 1000001", "from 0 to 1000000");
    let long = format!("{SMALL}#{}", "x".repeat(1 << 20));
    let problems = load(&long).unwrap_err();
    assert!(
        problems.to_string().contains("too large for a scenario: 1048576 bytes are allowed"),
        "{problems}"
    );
}

#[test]
fn the_same_id_twice_is_shown_at_both_places() {
    let text = SMALL.replace("id = \"back\"", "id = \"kill\"");
    let told = load(&text).unwrap_err().to_string();
    assert!(told.contains("two steps have the id `kill`"), "{told}");
    assert!(told.contains("first here"), "{told}");
    told_once(
        "id = \"other\"",
        "id = \"other\"\n[[variant]]\nid = \"other\"",
        "two variants have the id `other`",
    );
    told_once("id = \"other\"", "id = \"all\"", "`all` cannot be a variant's id");
    told_once(
        "id = \"other\"",
        "id = \"other\"\nwithout = [\"gone\", \"back\"]",
        "there is no step `gone` to go without",
    );
    told_once("acks = \"all\"", "acks = \"all\"\n\"acks\" = \"1\"", "duplicate key");
    told_once(
        "[groups.billing]",
        "[groups.shop]\ntopics = [\"orders\"]\n[groups.billing]",
        "is the name of something else as well",
    );
}

#[test]
fn a_variant_changes_only_what_there_is() {
    let set = "[variant.set.producers.shop]";
    told_once(
        set,
        "[variant.set.producers.shp]",
        "there is no [producers.shp] to change (did you mean `shop`?)",
    );
    told_once(
        set,
        "[variant.set.producer.shop]",
        "`producer` cannot be changed (did you mean `producers`?)",
    );
    told_once("records = 20", "recrods = 20", "unknown key `recrods` in [producers.shop]");
    told_once(
        "records = 20",
        "config.enable.idempotence = true\nconfig.acks = 1",
        "acks must be \"all\"",
    );
}

#[test]
fn an_override_is_checked_like_the_file() {
    let told = |set: &str| {
        let problems = Scenario::load("x", "x.toml", SMALL, &[set.to_owned()]).unwrap_err();
        problems.to_string()
    };
    let text = told("producers.shop.config.ack=all");
    assert!(text.contains("--set:1:"), "{text}");
    assert!(text.contains("did you mean `acks`?"), "{text}");
    assert!(told("groups.biling.members=3").contains("there is no [groups.biling] to change"));
    assert!(told("nonsense").contains("expected a dotted key"));
    assert!(told("title=x").contains("`title` cannot be changed"));
}

#[test]
fn a_file_that_is_not_utf8_is_told_where() {
    let bytes = [b"scenario = 1\ntitle = \"".as_slice(), &[0xff, 0xfe], b"\""].concat();
    let problems = Scenario::load_bytes("x", "x.toml", &bytes, &[]).unwrap_err();
    let finding = problems.findings().next().unwrap();
    assert_eq!((finding.line, finding.column), (2, 10));
    assert!(finding.message.contains("not UTF-8"));
}

#[test]
fn problems_are_also_json() {
    let text = SMALL.replace("brokers = 2", "brokers = 99");
    let values = load(&text).unwrap_err().to_json();
    assert_eq!(values.len(), 1);
    assert_eq!(
        (values[0]["type"].as_str(), values[0]["line"].as_u64()),
        (Some("problem"), Some(6))
    );
}

#[test]
fn every_error_a_client_can_report_has_a_meaning() {
    for code in -1..=130 {
        let Some(error) = kafka_protocol::ResponseError::try_from_code(code) else { continue };
        let name = crate::kafka::client::exception_of(error);
        assert!(ERRORS.iter().any(|word| word.name == name), "{name}");
    }
    assert!(ERRORS.is_sorted_by_key(|word| word.name));
}

#[test]
fn a_good_file_has_no_problem_in_any_of_its_parts() {
    load(GOOD).unwrap_or_else(|problems| panic!("{problems}"));
}
