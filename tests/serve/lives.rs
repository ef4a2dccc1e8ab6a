//! Starting, stopping, dying, and starting again.

use std::collections::{BTreeSet, VecDeque};

use rustix::process::Signal;

use super::{
    client::{admin, consume, create_topic, produce, producer, record, record_of, run},
    process::{Served, Starting},
};

/// A group of one need not wait for more members.
const AT_ONCE: [&str; 2] = ["--set", "group.initial.rebalance.delay.ms=0"];

#[test]
fn what_was_produced_and_committed_is_there_after_an_orderly_stop() {
    let data = tempfile::tempdir().unwrap();
    let served = Served::start_in(data.path(), 1, &AT_ONCE);
    run(async |env| {
        produce(&env, &served.addresses, 0..100).await;
        assert_eq!(consume(&env, &served.addresses, 100).await, (0..100).collect::<Vec<_>>());
        produce(&env, &served.addresses, 100..150).await;
    });
    served.stop();
    assert!(data.path().join("broker-1/.kafka_cleanshutdown").exists());
    let served = Served::start_in(data.path(), 1, &AT_ONCE);
    run(async |env| {
        assert_eq!(consume(&env, &served.addresses, 50).await, (100..150).collect::<Vec<_>>());
    });
    served.stop();
}

#[test]
fn every_record_acknowledged_after_its_sync_survives_a_kill() {
    let data = tempfile::tempdir().unwrap();
    let synced = [&AT_ONCE[..], &["--set", "log.flush.interval.messages=1"]].concat();
    let served = Served::start_in(data.path(), 1, &synced);
    let addresses = served.addresses.clone();
    let mut served = Some(served);
    let acked = run(async |env| {
        let producer = producer(&env, &addresses);
        let (mut acked, mut in_flight) = (Vec::new(), VecDeque::new());
        for number in 0.. {
            in_flight.push_back((number, producer.send(record(number)).await.unwrap()));
            if in_flight.len() < 20 {
                continue;
            }
            let (number, sent) = in_flight.pop_front().unwrap();
            match sent.await {
                Ok(_) => acked.push(number),
                Err(_) => break,
            }
            // Twenty more are on their way.
            if acked.len() == 200 {
                served.take().unwrap().kill();
            }
        }
        acked
    });
    assert!(acked.len() >= 200);
    let served = Served::start_in(data.path(), 1, &synced);
    let read = run(async |env| consume(&env, &served.addresses, acked.len()).await);
    let read: BTreeSet<_> = read.into_iter().collect();
    let lost: Vec<_> = acked.iter().filter(|number| !read.contains(number)).collect();
    assert!(lost.is_empty(), "{lost:?}");
}

#[test]
fn three_brokers_share_a_topic_and_keep_their_places_over_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let leaders = async |env: &_, addresses: &_| {
        let described = admin(env, addresses).describe_topics().await.unwrap();
        described.into_iter().map(|part| (part.partition, part.leader)).collect::<Vec<_>>()
    };
    let args = [&AT_ONCE[..], &["--brokers", "3"]].concat();
    let served = Served::start_in(data.path(), 3, &args);
    let before = run(async |env| {
        let brokers = admin(&env, &served.addresses).describe_cluster().await.unwrap();
        assert_eq!(brokers.len(), 3);
        create_topic(&env, &served.addresses, 6).await;
        produce(&env, &served.addresses, 0..300).await;
        leaders(&env, &served.addresses).await
    });
    let brokers: BTreeSet<_> = before.iter().filter_map(|(_, leader)| *leader).collect();
    assert_eq!((before.len(), brokers.len()), (6, 3));
    served.stop();
    // As many brokers as the directory holds, without being told.
    let served = Served::start_in(data.path(), 3, &AT_ONCE);
    run(async |env| {
        // A controlled shutdown takes leaderships from a broker, and ISRs with one member never pass to another: while
        // that one is gone nobody leads, and once it is unfenced it leads again (`handleBrokerUnfenced`).
        assert_eq!(leaders(&env, &served.addresses).await, before);
        assert_eq!(consume(&env, &served.addresses, 300).await, (0..300).collect::<Vec<_>>());
    });
}

/// Clients are told of brokers once the controller has unfenced them; without a controller that is never.
#[test]
fn a_start_that_waits_for_a_controller_says_so_and_stops_in_order() {
    let never = ["--set", "controller.quorum.election.timeout.ms=1000000", "--brokers", "3"];
    let mut waiting = Starting::start(&never);
    let said = waiting.complaint();
    assert_eq!(said, "waiting for brokers 1, 2 and 3 to be unfenced by the controller\n");
    assert_eq!(waiting.stop(), (Some(0), "{\"v\":1,\"type\":\"stopped\"}\n".into()));
}

/// Without a bound on connections the next topic's log found no file left, and the broker stopped itself. More connections than
/// these would wait in vain for a place in the backlog.
#[test]
fn a_flood_of_connections_leaves_files_for_the_logs() {
    let served = Served::start_with_files(100);
    run(async |env| {
        let producer = producer(&env, &served.addresses);
        producer.send(record_of("before", 1)).await.unwrap().await.unwrap();
        let mut flood = Vec::new();
        for _ in 0..100 {
            flood.push(env.network.connect(served.addresses[0].clone()).await.unwrap());
        }
        for topic in ["a", "b", "c", "d"] {
            producer.send(record_of(topic, 1)).await.unwrap().await.unwrap();
        }
        drop(flood);
    });
    served.stop();
}

#[test]
fn a_second_signal_ends_it_at_once_and_the_next_start_recovers() {
    let data = tempfile::tempdir().unwrap();
    let served = Served::start_in(data.path(), 1, &[]);
    // Both are there when it goes on.
    for signal in [Signal::STOP, Signal::INT, Signal::TERM, Signal::CONT] {
        served.signal(signal);
    }
    assert_eq!(served.end(), (Some(130), String::new()));
    Served::start_in(data.path(), 1, &[]).stop();
}

#[test]
fn a_temporary_directory_lasts_as_long_as_the_server() {
    let served = Served::start(2, &["--brokers", "2"]);
    let data = served.data.clone();
    assert!(data.iter().all(|data| data.join("meta.properties").exists()));
    served.signal(Signal::INT);
    assert_eq!(served.end().0, Some(0));
    assert!(!data[0].parent().unwrap().exists());
}

#[test]
fn clients_are_told_the_advertised_host_with_the_bound_port() {
    let any = ["--listen", "0.0.0.0:0", "--advertise", "localhost"];
    let served = Served::start(1, &any);
    let brokers = run(async |env| admin(&env, &served.addresses).describe_cluster().await.unwrap());
    assert_eq!(brokers[0].address, served.addresses[0]);
    assert_eq!(brokers[0].address.host, "localhost");
}
