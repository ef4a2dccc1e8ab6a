//! Metadata that the disk has damaged: what a start cuts off, and what it refuses by name.

use std::time::Duration;

use super::{
    bench::{NodeConfig, Wire, pause},
    cluster::{Shape, set},
    quorum::{make, topics},
};
use crate::{kafka::metadata::METADATA_TOPIC, sim::World};

/// Time for a checkpoint of what is durable.
const A_WHILE: Duration = Duration::from_secs(200);
const SHAPE: Shape = Shape { brokers: 1, controllers: 0, change: often };

fn often(node: &mut NodeConfig) {
    set(node, &[("metadata.log.max.record.bytes.between.snapshots", "4000")]);
}

fn path(name: &str) -> String {
    format!("{METADATA_TOPIC}-0/{name}")
}

const LOG: &str = "00000000000000000000.log";

/// Damages a file at each of these places.
fn damage(world: &World, path: &str, places: impl IntoIterator<Item = u64>) {
    for place in places {
        world.disk("b1").corrupt(path, place).unwrap();
    }
}

#[test]
fn a_torn_end_of_the_metadata_log_is_cut_off() {
    SHAPE.run(|world, env| async move {
        assert_eq!(make(&mut Wire::open(&env).await, "early").await, 0);
        pause(&env, A_WHILE).await;
        assert_eq!(make(&mut Wire::open(&env).await, "late").await, 0);
        pause(&env, Duration::from_secs(3)).await;
        world.kill("b1");
        let end = world.disk("b1").read(&path(LOG)).unwrap().len() as u64;
        damage(&world, &path(LOG), [end - 20]);
        SHAPE.start(&world, 1);
        assert_eq!(topics(&mut Wire::open(&env).await).await, ["early", "late", "t"]);
    });
}

#[test]
fn a_metadata_log_damaged_where_it_was_durable_is_refused_again_and_again() {
    // Without a snapshot, which could take the log's place.
    let shape = Shape { change: |_| (), ..SHAPE };
    shape.run(move |world, env| async move {
        Wire::open(&env).await;
        pause(&env, Duration::from_secs(100)).await;
        world.kill("b1");
        damage(&world, &path(LOG), [300]);
        for _ in 0..2 {
            let error = shape.refusal(&world, &env, 1).await;
            assert!(error.contains(METADATA_TOPIC), "{error}");
            assert!(error.contains("was committed and durable"), "{error}");
        }
    });
}

#[test]
fn a_damaged_snapshot_is_refused_by_name() {
    SHAPE.run(|world, env| async move {
        Wire::open(&env).await;
        pause(&env, A_WHILE).await;
        world.kill("b1");
        let files = world.disk("b1").files();
        let newest = files.iter().filter(|path| path.ends_with(".checkpoint")).max().unwrap();
        damage(&world, newest, 100..110);
        let error = SHAPE.refusal(&world, &env, 1).await;
        assert!(error.starts_with(&format!("failed to load {newest}: batch at byte")), "{error}");
    });
}

#[test]
fn a_damaged_quorum_state_is_refused_by_name() {
    SHAPE.run(|world, env| async move {
        Wire::open(&env).await;
        world.kill("b1");
        damage(&world, &path("quorum-state"), 0..4);
        let error = SHAPE.refusal(&world, &env, 1).await;
        assert!(error.contains("quorum-state"), "{error}");
    });
}
