//! Replication through the wire: three brokers, one partition on all of them.

use std::{sync::Arc, time::Duration};

use kafka_protocol::messages::{
    BrokerId as WireBrokerId, FetchRequest, OffsetCommitRequest,
    fetch_request::{FetchPartition, FetchTopic, ReplicaState},
    offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic},
};
use kafka_protocol::protocol::StrBytes;

use super::{
    bench::{Wire, batch, pause},
    replicas::{
        LAG, ROUNDS, Stage, code, cut_from_brokers, describe, elect, isr, open, seen, send, until,
        with_replicas, with_settings,
    },
    requests::{fetch, produce, topic},
    storage::delete,
};
use crate::{
    env::Env,
    kafka::{
        broker::ReplicaChange,
        log::AppendOrigin,
        protocol::ResponseError,
        replica::{AcksState, ReplicaEvent, RequiredAcks},
        types::{BrokerId, LeaderEpoch, Offset},
    },
    sim::{Latency, LinkControl, World},
};

fn texts(values: &[&str]) -> Vec<String> {
    values.iter().map(|value| (*value).to_owned()).collect()
}

#[test]
fn a_record_sent_to_all_is_on_every_broker_and_seen_once_it_is() {
    with_replicas(&[], |_, env, stage| async move {
        let mut leader = open(&env, "b2").await;
        assert_eq!(send(&mut leader, -1, "a").await, 0);
        assert_eq!(send(&mut leader, 1, "b").await, 0);
        pause(&env, ROUNDS).await;
        for broker in ["b1", "b2", "b3"] {
            let mut wire = open(&env, broker).await;
            assert_eq!(seen(&mut wire).await, (texts(&["a", "b"]), 2), "{broker}");
            assert_eq!(isr(&mut wire).await, [1, 2, 3]);
        }
        let first = ReplicaChange::Leads { epoch: LeaderEpoch(0), start: Offset(0) };
        assert_eq!(stage.changes(2)[0], first);
        let leader = Some(BrokerId(2));
        assert_eq!(stage.changes(3)[0], ReplicaChange::Follows { leader, epoch: LeaderEpoch(0) });
    });
}

#[test]
fn a_follower_that_is_cut_off_holds_the_high_watermark_until_it_leaves_the_isr() {
    with_replicas(&[], |world, env, _| async move {
        let mut leader = open(&env, "b2").await;
        assert_eq!(send(&mut leader, -1, "a").await, 0);
        pause(&env, ROUNDS).await;
        world.isolate("b3");
        let before = env.clock.now();
        assert_eq!(send(&mut leader, -1, "b").await, ResponseError::RequestTimedOut.code());
        assert!(env.clock.now() - before >= Duration::from_secs(1));
        assert_eq!(send(&mut leader, 1, "c").await, 0);
        assert_eq!(seen(&mut leader).await, (texts(&["a"]), 1));
        until!(env, "the ISR shrinks", isr(&mut leader).await == [1, 2]);
        assert!(env.clock.now() - before >= LAG);
        until!(env, "it is committed", seen(&mut leader).await.1 == 3);
        assert_eq!(send(&mut leader, -1, "d").await, 0);
        world.rejoin("b3");
        until!(env, "the ISR grows", isr(&mut leader).await == [1, 2, 3]);
        pause(&env, ROUNDS).await;
        let mut follower = open(&env, "b3").await;
        assert_eq!(seen(&mut follower).await, (texts(&["a", "b", "c", "d"]), 4));
    });
}

#[test]
fn a_change_of_the_isr_is_asked_for_until_the_controller_answers() {
    // Nobody is fenced for his silence meanwhile: only what the leader asks for shrinks the ISR.
    let settings = [("request.timeout.ms", "1000"), ("broker.session.timeout.ms", "600000")];
    with_settings(&settings, &[], |world, env, stage| async move {
        let mut leader = open(&env, "b2").await;
        assert_eq!(send(&mut leader, -1, "a").await, 0);
        pause(&env, ROUNDS).await;
        world.isolate("b3");
        // The controller is on b1.
        world.links("b1", "b2").iter().for_each(LinkControl::sever);
        assert_eq!(send(&mut leader, 1, "b").await, 0);
        let asked = |change: &ReplicaChange| {
            matches!(change, ReplicaChange::Isr(ReplicaEvent::IsrShrinkProposed { .. }))
        };
        until!(env, "the leader asks", stage.changes(2).iter().any(asked));
        pause(&env, LAG).await;
        assert_eq!(isr(&mut leader).await, [1, 2, 3]);
        world.links("b1", "b2").iter().for_each(LinkControl::heal);
        until!(env, "the ISR shrinks", isr(&mut leader).await == [1, 2]);
    });
}

#[test]
fn too_few_in_sync_take_no_record_that_is_for_all() {
    with_replicas(&[("min.insync.replicas", "3")], |world, env, _| async move {
        let mut leader = open(&env, "b2").await;
        assert_eq!(send(&mut leader, -1, "a").await, 0);
        world.kill("b3");
        // Only a write shows that a follower that has all is away.
        assert_eq!(send(&mut leader, 1, "b").await, 0);
        until!(env, "the ISR shrinks", isr(&mut leader).await == [1, 2]);
        assert_eq!(send(&mut leader, -1, "c").await, ResponseError::NotEnoughReplicas.code());
        assert_eq!(send(&mut leader, 1, "d").await, 0);
        // What is not on as many as the topic asks for is not committed (KIP-966).
        pause(&env, ROUNDS).await;
        assert_eq!(seen(&mut leader).await, (texts(&["a"]), 1));
    });
}

#[test]
fn a_follower_that_comes_back_catches_up_also_without_what_it_had_not_synced() {
    for loses_power in [false, true] {
        with_replicas(&[], move |world, env, stage| async move {
            let mut leader = open(&env, "b2").await;
            assert_eq!(send(&mut leader, -1, "a").await, 0);
            pause(&env, ROUNDS).await;
            if loses_power {
                world.power_loss("b3");
            } else {
                world.kill("b3");
            }
            for value in ["b", "c", "d"] {
                assert_eq!(send(&mut leader, 1, value).await, 0);
            }
            stage.start(&world, 3);
            let mut follower = open(&env, "b3").await;
            let all = (texts(&["a", "b", "c", "d"]), 4);
            until!(env, "it catches up", seen(&mut follower).await == all);
            assert_eq!(isr(&mut leader).await, [1, 2, 3]);
            assert_eq!(send(&mut leader, -1, "e").await, 0);
        });
    }
}

#[test]
fn a_replica_that_comes_back_knows_what_was_committed() {
    with_replicas(&[], |world, env, stage| async move {
        let mut leader = open(&env, "b2").await;
        for value in ["a", "b"] {
            assert_eq!(send(&mut leader, -1, value).await, 0);
        }
        // The high watermarks are written down meanwhile.
        pause(&env, Duration::from_secs(7)).await;
        world.kill("b3");
        // Nobody tells it.
        world.links("b2", "b3").iter().for_each(LinkControl::sever);
        stage.start(&world, 3);
        let mut follower = open(&env, "b3").await;
        assert_eq!(seen(&mut follower).await, (texts(&["a", "b"]), 2));
        world.heal_all();
        assert_eq!(send(&mut leader, -1, "c").await, 0);
        until!(env, "it goes on", seen(&mut follower).await.1 == 3);
    });
}

#[test]
fn a_deposed_leader_gives_up_what_nobody_else_has() {
    with_replicas(&[], |world, env, stage| async move {
        let mut old = open(&env, "b2").await;
        assert_eq!(send(&mut old, -1, "a").await, 0);
        pause(&env, ROUNDS).await;
        // The client's link to b2 stays.
        cut_from_brokers(&world, "b2");
        assert_eq!(send(&mut old, 1, "lost").await, 0);
        let mut new = open(&env, "b3").await;
        until!(env, "b3 leads", send(&mut new, -1, "b").await == 0);
        assert_eq!(seen(&mut old).await, (texts(&["a"]), 1));
        world.heal_all();
        until!(env, "b2 is in sync", isr(&mut new).await == [1, 2, 3]);
        pause(&env, ROUNDS).await;
        assert_eq!(seen(&mut old).await, (texts(&["a", "b"]), 2));
        let truncated = ReplicaChange::Truncated { from: Offset(2), to: Offset(1) };
        assert!(stage.changes(2).contains(&truncated), "{:?}", stage.changes(2));
        let writes = stage.writes(2);
        let cut = writes.iter().position(|what| *what == "cut").unwrap();
        assert_eq!(writes[cut + 1..cut + 3], ["synced", "copied"]);
        assert_eq!(send(&mut old, -1, "c").await, ResponseError::NotLeaderOrFollower.code());
    });
}

#[test]
fn what_a_start_cuts_off_is_synced_before_it_is_written_over() {
    with_replicas(&[], |world, env, stage| async move {
        let mut leader = open(&env, "b2").await;
        // The second batch begins a sector.
        for value in [str::from_utf8(&[b'a'; 954]).unwrap(), "b"] {
            assert_eq!(send(&mut leader, -1, value).await, 0);
        }
        pause(&env, ROUNDS).await;
        world.kill("b3");
        let (disk, log) = (world.disk("b3"), "t-0/00000000000000000000.log");
        disk.corrupt(log, disk.read(log).unwrap().len() as u64 - 1).unwrap();
        let before = stage.writes(3).len();
        stage.start(&world, 3);
        until!(env, "it has caught up", stage.writes(3)[before..].contains(&"copied"));
        assert_eq!(stage.writes(3)[before..], ["synced", "copied"]);
    });
}

/// The line of t-0 in b2's recovery points.
fn recovery_point(world: &World) -> Option<i64> {
    let text = world.disk("b2").read("recovery-point-offset-checkpoint").ok()?;
    let text = String::from_utf8(text.to_vec()).unwrap();
    text.lines().find_map(|line| line.strip_prefix("t 0 "))?.parse().ok()
}

#[test]
fn a_cut_is_in_the_recovery_points_before_the_epochs_forget_it() {
    let settings = [("log.flush.offset.checkpoint.interval.ms", "1000")];
    let topic = [("flush.messages", "1"), ("retention.ms", "-1")];
    with_settings(&settings, &topic, |world, env, _| async move {
        let mut old = open(&env, "b2").await;
        assert_eq!(send(&mut old, -1, "a").await, 0);
        cut_from_brokers(&world, "b2");
        assert_eq!(send(&mut old, 1, "lost").await, 0);
        let mut new = open(&env, "b3").await;
        until!(env, "b3 leads", send(&mut new, -1, "b").await == 0);
        until!(env, "what is about to go is durable", recovery_point(&world) == Some(2));
        let epochs = || world.disk("b2").read("t-0/leader-epoch-checkpoint").unwrap();
        let before = epochs();
        world.disk("b2").set_sync_latency(Latency::Constant(Duration::from_millis(300)));
        world.heal_all();
        let mut steps = 0;
        while epochs() == before {
            pause(&env, Duration::from_millis(1)).await;
            steps += 1;
            assert!(steps < 60_000, "the epochs stay as they were");
        }
        assert!(recovery_point(&world) < Some(2));
    });
}

#[test]
fn a_flush_that_is_due_at_once_waits_for_none_that_is_due_later() {
    with_replicas(&[("flush.ms", "60000")], |world, env, _| async move {
        let mut old = open(&env, "b2").await;
        assert_eq!(send(&mut old, -1, "a").await, 0);
        pause(&env, ROUNDS).await;
        elect(&env, "t", 3).await;
        let mut new = open(&env, "b3").await;
        until!(env, "b3 leads", send(&mut new, -1, "b").await == 0);
        pause(&env, Duration::from_secs(2)).await;
        let epochs = world.disk("b3").read("t-0/leader-epoch-checkpoint").unwrap();
        let lines = String::from_utf8(epochs.to_vec()).unwrap();
        assert_eq!(lines.lines().count(), 4, "a version, a count and two epochs: {lines}");
    });
}

#[test]
fn a_write_that_waits_for_replicas_is_refused_when_its_leader_is_deposed() {
    with_replicas(&[], |world, env, _| async move {
        let mut leader = open(&env, "b2").await;
        assert_eq!(send(&mut leader, -1, "a").await, 0);
        world.links("b2", "b3").iter().for_each(LinkControl::sever);
        let mut request = produce(-1, "t", "b");
        request.timeout_ms = 30_000;
        let correlation = leader.send(11, &request).await;
        pause(&env, Duration::from_millis(500)).await;
        let before = env.clock.now();
        // The new leader is out of its reach: the metadata alone tells that it leads no longer.
        elect(&env, "t", 3).await;
        let answer =
            leader.receive::<kafka_protocol::messages::ProduceRequest>(correlation, 11).await;
        assert_eq!(code(&answer), ResponseError::NotLeaderOrFollower.code());
        assert!(env.clock.now() - before < Duration::from_secs(2));
    });
}

/// The record was cut off and another took its offset, which says nothing of the one that is gone.
#[test]
fn a_write_of_a_former_leadership_is_refused_though_its_leader_leads_again() {
    with_replicas(&[], |world, env, stage| async move {
        let mut b2 = open(&env, "b2").await;
        assert_eq!(send(&mut b2, -1, "a").await, 0);
        pause(&env, ROUNDS).await;
        cut_from_brokers(&world, "b2");
        let broker = stage.broker(2);
        let partition = broker.partitions.find("t", 0).unwrap();
        let lost = batch("lost");
        let written = partition.write(&broker, &lost, AppendOrigin::Client, RequiredAcks::All);
        let written = written.unwrap();
        assert_eq!(partition.check_acks(&written), Ok(AcksState::Waiting));
        let mut b3 = open(&env, "b3").await;
        until!(env, "b3 leads", send(&mut b3, -1, "b").await == 0);
        world.heal_all();
        until!(env, "b2 is in sync", isr(&mut b3).await == [1, 2, 3]);
        elect(&env, "t", 2).await;
        until!(env, "b2 leads again", send(&mut b2, -1, "c").await == 0);
        let (there, _) = seen(&mut b2).await;
        assert!(there.len() > 2 && !there.contains(&"lost".into()), "{there:?}");
        let refused = Err(ResponseError::NotLeaderOrFollower);
        assert_eq!(partition.check_acks(&written), refused);
    });
}

/// b3's fetch of the partition from its end, in b3's name; waits for a minute.
async fn ask_as_follower(leader: &mut Wire) -> i32 {
    let partition = FetchPartition::default()
        .with_current_leader_epoch(0)
        .with_fetch_offset(1)
        .with_last_fetched_epoch(0)
        .with_partition_max_bytes(1 << 20);
    let id = describe_id(leader).await;
    let asked = FetchTopic::default().with_topic_id(id).with_partitions(vec![partition]);
    let state = ReplicaState::default().with_replica_id(WireBrokerId(3)).with_replica_epoch(-1);
    let request = FetchRequest::default()
        .with_max_wait_ms(60_000)
        .with_min_bytes(1)
        .with_max_bytes(1 << 20)
        .with_replica_state(state)
        .with_topics(vec![asked]);
    leader.send(17, &request).await
}

#[test]
fn a_fetch_that_waits_is_refused_when_its_leader_is_deposed() {
    with_replicas(&[], |_, env, _| async move {
        let mut leader = open(&env, "b2").await;
        assert_eq!(send(&mut leader, -1, "a").await, 0);
        let correlation = ask_as_follower(&mut leader).await;
        pause(&env, ROUNDS).await;
        let before = env.clock.now();
        elect(&env, "t", 3).await;
        let answer = leader.receive::<FetchRequest>(correlation, 17).await;
        let code = answer.responses[0].partitions[0].error_code;
        assert_eq!(code, ResponseError::FencedLeaderEpoch.code());
        assert!(env.clock.now() - before < Duration::from_secs(2));
    });
}

/// What the leader knows of the session is older than what the follower told last: it must be told all again.
#[test]
fn a_follower_whose_fetch_got_lost_begins_a_new_session() {
    with_settings(&[("replica.socket.timeout.ms", "1000")], &[], |world, env, _| async move {
        let mut leader = open(&env, "b2").await;
        assert_eq!(send(&mut leader, -1, "a").await, 0);
        pause(&env, ROUNDS).await;
        // What b3 has asked for already still comes.
        world.link("b3", "b2").sever();
        assert_eq!(send(&mut leader, 1, "b").await, 0);
        pause(&env, Duration::from_secs(2)).await;
        world.heal_all();
        until!(env, "it is committed", seen(&mut leader).await.1 == 2);
        assert_eq!(isr(&mut leader).await, [1, 2, 3]);
    });
}

#[test]
fn a_leader_that_comes_back_elsewhere_is_found_there() {
    with_replicas(&[], |world, env, stage| async move {
        let mut leader = open(&env, "b2").await;
        assert_eq!(send(&mut leader, -1, "a").await, 0);
        pause(&env, ROUNDS).await;
        world.kill("b2");
        stage.start_at(&world, 2, 9093);
        let mut other = open(&env, "b3").await;
        until!(env, "b2 is gone", isr(&mut other).await == [1, 3]);
        until!(env, "b2 is in sync", isr(&mut other).await == [1, 2, 3]);
        elect(&env, "t", 2).await;
        until!(env, "b2 leads", describe(&mut other).await.leader_id.0 == 2);
        let epoch = describe(&mut other).await.leader_epoch;
        let follows = |id| {
            let leader = Some(BrokerId(2));
            let follows = ReplicaChange::Follows { leader, epoch: LeaderEpoch(epoch) };
            stage.changes(id).contains(&follows)
        };
        until!(env, "the others follow it", follows(1) && follows(3));
        // Longer than a member of the ISR may be silent.
        pause(&env, LAG * 3).await;
        assert_eq!(isr(&mut other).await, [1, 2, 3]);
    });
}

#[test]
fn a_follower_that_is_sent_damaged_records_waits_before_it_asks_again() {
    with_replicas(&[], |world, env, stage| async move {
        let mut leader = open(&env, "b2").await;
        assert_eq!(send(&mut leader, -1, "a").await, 0);
        pause(&env, ROUNDS).await;
        world.kill("b3");
        assert_eq!(send(&mut leader, 1, "b").await, 0);
        until!(env, "the ISR shrinks", isr(&mut leader).await == [1, 2]);
        let log = "t-0/00000000000000000000.log";
        let end = world.disk("b2").read(log).unwrap().len() as u64;
        world.disk("b2").corrupt(log, end - 2).unwrap();
        stage.start(&world, 3);
        pause(&env, Duration::from_secs(5)).await;
        let before = world.trace().messages();
        pause(&env, Duration::from_secs(10)).await;
        let said = world.trace().messages() - before;
        assert!(said < 1000, "{said}");
        assert_eq!(isr(&mut leader).await, [1, 2]);
    });
}

#[test]
fn whoever_asks_a_follower_is_told_the_leader() {
    with_replicas(&[], |_, env, _| async move {
        let mut follower = open(&env, "b1").await;
        let answer = follower.ask(11, &produce(1, "t", "a")).await;
        let told = &answer.responses[0].partition_responses[0];
        assert_eq!(told.error_code, ResponseError::NotLeaderOrFollower.code());
        assert_eq!((told.current_leader.leader_id.0, told.current_leader.leader_epoch), (2, 0));
        let host = &answer.node_endpoints[0];
        assert_eq!((host.node_id.0, host.host.as_str(), host.port), (2, "b2", 9092));
        // Before KIP-392 nobody read from followers.
        let refused = follower.ask(10, &fetch(0, 1, Duration::ZERO)).await;
        let code = refused.responses[0].partitions[0].error_code;
        assert_eq!(code, ResponseError::NotLeaderOrFollower.code());
        let id = describe_id(&mut follower).await;
        let partition = FetchPartition::default().with_partition_max_bytes(1 << 20);
        let asked = FetchTopic::default().with_topic_id(id).with_partitions(vec![partition]);
        let state = ReplicaState::default().with_replica_id(WireBrokerId(3));
        let request = FetchRequest::default().with_replica_state(state).with_topics(vec![asked]);
        let answer = follower.ask(17, &request).await;
        let told = &answer.responses[0].partitions[0];
        assert_eq!(told.error_code, ResponseError::NotLeaderOrFollower.code());
        assert_eq!(told.current_leader.leader_id.0, 2);
        assert_eq!(answer.node_endpoints[0].host.as_str(), "b2");
    });
}

async fn describe_id(wire: &mut Wire) -> uuid::Uuid {
    let request = kafka_protocol::messages::MetadataRequest::default().with_topics(None);
    wire.ask(12, &request).await.topics[0].topic_id
}

#[test]
fn a_consumer_is_sent_to_the_replica_in_its_rack_where_that_is_wanted() {
    let selector = "org.apache.kafka.common.replica.RackAwareReplicaSelector";
    for (settings, near) in [(vec![("replica.selector.class", selector)], 3), (vec![], -1)] {
        with_settings(&settings, &[], move |_, env, _| async move {
            let mut leader = open(&env, "b2").await;
            assert_eq!(send(&mut leader, -1, "a").await, 0);
            let request = fetch(0, 1, Duration::ZERO).with_rack_id(StrBytes::from_static_str("r3"));
            let answer = leader.ask(12, &request).await;
            assert_eq!(answer.responses[0].partitions[0].preferred_read_replica.0, near);
        });
    }
}

#[test]
fn deleted_records_are_gone_everywhere_before_the_answer() {
    with_replicas(&[], |world, env, _| async move {
        let mut leader = open(&env, "b2").await;
        for value in ["a", "b", "c"] {
            assert_eq!(send(&mut leader, -1, value).await, 0);
        }
        pause(&env, ROUNDS).await;
        let delete = |offset| delete("t", offset).with_timeout_ms(3000);
        let answer = leader.ask(2, &delete(2)).await;
        let result = &answer.topics[0].partitions[0];
        assert_eq!((result.error_code, result.low_watermark), (0, 2));
        for broker in ["b1", "b3"] {
            let mut wire = open(&env, broker).await;
            let answer = wire.ask(12, &fetch(2, 1, Duration::ZERO)).await;
            assert_eq!(answer.responses[0].partitions[0].log_start_offset, 2, "{broker}");
        }
        world.isolate("b3");
        let answer = leader.ask(2, &delete(3)).await;
        let timed_out = ResponseError::RequestTimedOut.code();
        assert_eq!(answer.topics[0].partitions[0].error_code, timed_out);
    });
}

fn commit(offset: i64) -> OffsetCommitRequest {
    let partition = OffsetCommitRequestPartition::default().with_committed_offset(offset);
    let asked =
        OffsetCommitRequestTopic::default().with_name(topic("t")).with_partitions(vec![partition]);
    OffsetCommitRequest::default()
        .with_group_id(StrBytes::from_static_str("g").into())
        .with_generation_id_or_member_epoch(-1)
        .with_topics(vec![asked])
}

/// Whoever coordinates group g now, once there is somebody.
async fn coordinator(env: &Env) -> String {
    let mut wire = open(env, "b1").await;
    super::requests::find_coordinator(&mut wire, env).await;
    let find = kafka_protocol::messages::FindCoordinatorRequest::default()
        .with_key(StrBytes::from_static_str("g"));
    wire.ask(3, &find).await.host.to_string()
}

async fn committed(wire: &mut Wire) -> (i16, i64) {
    use kafka_protocol::messages::{
        OffsetFetchRequest, offset_fetch_request::OffsetFetchRequestTopic,
    };
    let asked =
        OffsetFetchRequestTopic::default().with_name(topic("t")).with_partition_indexes(vec![0]);
    let request = OffsetFetchRequest::default()
        .with_group_id(StrBytes::from_static_str("g").into())
        .with_topics(Some(vec![asked]));
    let answer = wire.ask(7, &request).await;
    let offset = answer.topics.first().map_or(-2, |topic| topic.partitions[0].committed_offset);
    (answer.error_code, offset)
}

#[test]
fn a_coordinator_follows_its_partition_and_a_commit_waits_for_replicas() {
    with_replicas(&[], |world, env, _| async move {
        let first = coordinator(&env).await;
        let mut wire = open(&env, &first).await;
        until!(
            env,
            "offsets are committed",
            wire.ask(8, &commit(7)).await.topics[0].partitions[0].error_code == 0
        );
        pause(&env, ROUNDS).await;
        // The controller stays within reach of the one that is elected.
        let next = ["b2", "b3"].into_iter().find(|name| *name != first).unwrap();
        cut_from_brokers(&world, &first);
        let answer = wire.ask(8, &commit(8)).await;
        assert_ne!(answer.topics[0].partitions[0].error_code, 0, "nobody else has it");
        world.heal_all();
        elect(&env, "__consumer_offsets", next[1..].parse().unwrap()).await;
        let not_here = ResponseError::NotCoordinator.code();
        until!(env, "the old one gives up", committed(&mut wire).await.0 == not_here);
        let mut wire = open(&env, next).await;
        until!(env, "the new one knows", matches!(committed(&mut wire).await, (0, 7 | 8)));
        until!(
            env,
            "it takes commits",
            wire.ask(8, &commit(9)).await.topics[0].partitions[0].error_code == 0
        );
        assert_eq!(committed(&mut wire).await, (0, 9));
    });
}

async fn story(world: World, env: Env, stage: Arc<Stage>) {
    let mut leader = open(&env, "b2").await;
    assert_eq!(send(&mut leader, -1, "a").await, 0);
    world.kill("b3");
    assert_eq!(send(&mut leader, 1, "b").await, 0);
    until!(env, "the ISR shrinks", isr(&mut leader).await == [1, 2]);
    stage.start(&world, 3);
    until!(env, "the ISR grows", isr(&mut leader).await == [1, 2, 3]);
    assert_eq!(describe(&mut leader).await.leader_id.0, 2);
}

#[test]
fn the_same_seed_gives_the_same_story() {
    assert_eq!(with_replicas(&[], story), with_replicas(&[], story));
}
