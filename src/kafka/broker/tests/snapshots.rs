//! Snapshots of the metadata: they bound the log, a start begins with the newest, and whoever slept gets them from the
//! leader.

use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::DeleteTopicsRequest;
use rand::Rng as _;

use super::{
    bench::{NodeConfig, Wire, pause},
    cluster::{Shape, machine, set},
    quorum::{make, topics},
    requests::topic,
};
use crate::{
    env::Env,
    kafka::{broker::quorum::decode_snapshot, metadata::METADATA_TOPIC},
    sim::World,
};

/// Snapshots of a few hundred bytes, made and outdated within minutes.
fn soon(node: &mut NodeConfig) {
    set(
        node,
        &[
            ("metadata.log.max.record.bytes.between.snapshots", "2000"),
            ("metadata.log.segment.min.bytes", "4096"),
            ("metadata.log.segment.bytes", "4096"),
            ("metadata.max.retention.bytes", "8192"),
            ("controller.quorum.fetch.snapshot.max.bytes", "100"),
        ],
    );
}

/// Files of the metadata log that end so, by name.
fn files(world: &World, id: i32, ending: &str) -> Vec<String> {
    let dir = format!("{METADATA_TOPIC}-0/");
    let files = world.disk(&machine(id)).files().into_iter();
    let mut files: Vec<_> =
        files.filter(|path| path.starts_with(&dir) && path.ends_with(ending)).collect();
    files.sort();
    files
}

/// The offset that the file's name begins with.
fn offset(path: &str) -> i64 {
    path.split('/').next_back().unwrap()[..20].parse().unwrap()
}

fn size(world: &World, id: i32, ending: &str) -> usize {
    let read = |path: String| world.disk(&machine(id)).read(&path).unwrap().len();
    files(world, id, ending).into_iter().map(read).sum()
}

async fn open(env: &Env, id: i32) -> Wire {
    Wire::open_to(env, &machine(id)).await
}

const NAMES: [&str; 6] = ["one", "two", "three", "four", "five", "six"];

async fn make_all(env: &Env, id: i32) {
    let mut wire = open(env, id).await;
    for name in NAMES {
        assert_eq!(make(&mut wire, name).await, 0);
    }
}

fn all() -> Vec<&'static str> {
    let mut all = NAMES.to_vec();
    all.push("t");
    all.sort_unstable();
    all
}

#[test]
fn an_idle_clusters_log_is_bounded_and_a_start_goes_on_from_the_newest_snapshot() {
    let shape = Shape { brokers: 1, controllers: 0, change: soon };
    shape.run(move |world, env| async move {
        make_all(&env, 1).await;
        // 120 records that say nothing a minute, of more than 70 bytes each.
        pause(&env, Duration::from_secs(3600)).await;
        let (logs, snapshots) = (files(&world, 1, ".log"), files(&world, 1, ".checkpoint"));
        assert!(offset(&logs[0]) > 6000, "{logs:?}");
        assert!(size(&world, 1, ".log") < 30_000 && logs.len() < 8, "{logs:?}");
        assert!((1..8).contains(&snapshots.len()), "{snapshots:?}");
        // What the log begins with lies behind the oldest snapshot's end, or spans it.
        assert!(offset(&snapshots[0]) >= offset(&logs[0]), "{snapshots:?} {logs:?}");
        let newest = world.disk("b1").read(snapshots.last().unwrap()).unwrap();
        let image = decode_snapshot(Bytes::from(newest)).unwrap().image;
        let names: Vec<_> = image.topics().map(|topic| topic.name.as_str().to_owned()).collect();
        assert_eq!(names, all());
        for lose_power in [false, true] {
            if lose_power {
                world.power_loss("b1");
            } else {
                world.kill("b1");
            }
            shape.start(&world, 1);
            assert_eq!(topics(&mut open(&env, 1).await).await, all());
        }
        // All goes on from there.
        assert_eq!(make(&mut open(&env, 1).await, "later").await, 0);
    });
}

/// The node `id` is down while what it needs next leaves all logs, and loses its power again while it fetches the
/// snapshot.
fn sleeps_through_snapshots(brokers: i32, id: i32) {
    let shape = Shape { brokers, controllers: 0, change: soon };
    shape.run(move |world, env| async move {
        open(&env, id).await;
        world.power_loss(&machine(id));
        make_all(&env, 1).await;
        pause(&env, Duration::from_secs(600)).await;
        assert!(files(&world, 1, ".log").iter().all(|path| offset(path) > 100));
        assert!(files(&world, id, ".log").iter().all(|path| offset(path) < 100));
        let complete = files(&world, id, ".checkpoint");
        shape.start(&world, id);
        while size(&world, id, "-fetched.checkpoint.part") < 300 {
            pause(&env, Duration::from_micros(100)).await;
        }
        world.power_loss(&machine(id));
        assert_eq!(files(&world, id, ".checkpoint"), complete);
        shape.start(&world, id);
        assert_eq!(topics(&mut open(&env, id).await).await, all());
        let fetched = files(&world, id, ".checkpoint");
        let log = files(&world, id, ".log");
        assert!(offset(&fetched[0]) > 100 && offset(&log[0]) >= offset(&fetched[0]), "{log:?}");
        assert_eq!(files(&world, id, ".part"), [""; 0]);
        // What was installed outlives the power.
        world.power_loss(&machine(id));
        shape.start(&world, id);
        assert_eq!(topics(&mut open(&env, id).await).await, all());
    });
}

#[test]
fn a_voter_that_slept_through_snapshots_fetches_one_though_its_power_goes_meanwhile() {
    sleeps_through_snapshots(3, 3);
}

#[test]
fn an_observer_does_the_same() {
    sleeps_through_snapshots(2, 2);
}

#[test]
fn a_complete_snapshot_takes_the_place_of_the_log_at_the_start_after_a_kill_between_the_two() {
    let shape = Shape { brokers: 3, controllers: 0, change: soon };
    shape.run(move |world, env| async move {
        open(&env, 3).await;
        world.power_loss("b3");
        make_all(&env, 1).await;
        pause(&env, Duration::from_secs(600)).await;
        let complete = || files(&world, 3, ".checkpoint").iter().any(|path| offset(path) > 100);
        let first = || offset(&files(&world, 3, ".log")[0]);
        shape.start(&world, 3);
        while !complete() {
            pause(&env, Duration::from_micros(10)).await;
        }
        world.kill("b3");
        assert_eq!(first(), 0);
        // Nobody is there to say that the log lacks what the snapshot has.
        ["b1", "b2"].iter().for_each(|voter| world.kill(voter));
        shape.start(&world, 3);
        pause(&env, Duration::from_secs(5)).await;
        assert!(first() > 100);
        [1, 2].iter().for_each(|id| shape.start(&world, *id));
        assert_eq!(topics(&mut open(&env, 3).await).await, all());
    });
}

/// Where the metadata log starts, as a power loss would leave it in the checkpoint.
fn durable_start(world: &World, id: i32) -> i64 {
    let checkpoint = world.disk(&machine(id)).read_durable("log-start-offset-checkpoint");
    let text = String::from_utf8(checkpoint.unwrap_or_default()).unwrap();
    let entry = format!("{METADATA_TOPIC} 0 ");
    text.lines().find_map(|line| line.strip_prefix(&entry)?.parse().ok()).unwrap_or(0)
}

#[test]
fn where_the_metadata_log_starts_is_durable_before_anything_of_it_goes() {
    let shape = Shape { brokers: 3, controllers: 0, change: soon };
    shape.run(move |world, env| async move {
        open(&env, 3).await;
        world.power_loss("b3");
        make_all(&env, 1).await;
        // The first cleaning.
        while files(&world, 1, ".log.deleted").is_empty() {
            pause(&env, Duration::from_millis(1)).await;
        }
        let gone = files(&world, 1, ".log.deleted");
        assert!(durable_start(&world, 1) > offset(gone.last().unwrap()), "{gone:?}");
        // One that sleeps meanwhile gives up all of its log for a snapshot.
        pause(&env, Duration::from_secs(600)).await;
        shape.start(&world, 3);
        while offset(&files(&world, 3, ".log")[0]) == 0 {
            pause(&env, Duration::from_millis(1)).await;
        }
        assert_eq!(durable_start(&world, 3), offset(&files(&world, 3, ".log")[0]));
    });
}

#[test]
fn a_topic_of_the_plan_that_was_deleted_stays_away_after_a_start_from_a_snapshot() {
    let shape = Shape { brokers: 1, controllers: 0, change: soon };
    shape.run(move |world, env| async move {
        let mut wire = open(&env, 1).await;
        let delete = DeleteTopicsRequest::default().with_topic_names(vec![topic("t")]);
        assert_eq!(wire.ask(4, &delete).await.responses[0].error_code, 0);
        pause(&env, Duration::from_secs(600)).await;
        assert!(offset(&files(&world, 1, ".log")[0]) > 100);
        world.power_loss("b1");
        shape.start(&world, 1);
        assert_eq!(topics(&mut open(&env, 1).await).await, [""; 0]);
        assert_eq!(make(&mut open(&env, 1).await, "other").await, 0);
        pause(&env, Duration::from_secs(5)).await;
        assert_eq!(topics(&mut open(&env, 1).await).await, ["other"]);
    });
}

/// Waits until a file of the metadata log ends so, for so long at most, and a little longer.
async fn catch(world: &World, env: &Env, ending: &str, patience: Duration) -> bool {
    let given_up = env.clock.now() + patience;
    while files(world, 1, ending).is_empty() {
        if env.clock.now() >= given_up {
            return false;
        }
        pause(env, Duration::from_millis(1)).await;
    }
    let more = env.rng.stream("more").next_u32() % 3000;
    pause(env, Duration::from_micros(u64::from(more))).await;
    true
}

#[test]
fn a_loss_of_power_while_snapshots_are_written_or_logs_cleaned_loses_no_metadata() {
    let shape = Shape { brokers: 1, controllers: 0, change: soon };
    shape.run(move |world, env| async move {
        make_all(&env, 1).await;
        let (mut while_written, mut while_cleaned) = (0, 0);
        for round in 0..20 {
            world.power_loss("b1");
            let started = env.clock.now();
            shape.start(&world, 1);
            let mut wire = open(&env, 1).await;
            assert_eq!(topics(&mut wire).await, all(), "round {round}");
            if round % 2 == 0 {
                let caught = catch(&world, &env, ".part", Duration::from_secs(20)).await;
                while_written += u32::from(caught);
            } else {
                let almost = Duration::from_secs(60) - Duration::from_millis(1);
                env.clock.sleep_until(started + almost).await;
                let caught = catch(&world, &env, ".deleted", Duration::from_millis(200)).await;
                while_cleaned += u32::from(caught);
            }
        }
        assert!(while_written > 3 && while_cleaned > 3, "{while_written} {while_cleaned}");
    });
}
