//! Directories of partitions that a broker gives up.

use std::{sync::Arc, time::Duration};

use uuid::Uuid;

use super::{
    bench::{Wire, beside_a_broker, pause},
    quorum::make,
    replicas::{describe, isr, open, reassign, send, until, with_replicas},
    storage::deleted,
    topics::{create, delete_code},
};
use crate::kafka::types::Offset;

/// Where logs start is stored half a minute after a start, and once a minute then.
const A_CHECKPOINT: Duration = Duration::from_secs(40);

/// Directories wait for a minute before they are removed. A partition that came back meanwhile and went again was to get
/// the name that the first still had, and the broker stopped.
#[test]
fn a_partition_leaves_a_broker_twice_within_a_minute() {
    with_replicas(&[], |world, env, _| async move {
        let mut wire = open(&env, "b2").await;
        let waiting = || {
            let names = world.disk("b3").names("");
            names.iter().filter(|name| name.ends_with("-delete")).count()
        };
        for times in 1..=2 {
            reassign(&env, "t", &[2, 1]).await;
            until!(env, "b3 gives it up", waiting() == times);
            assert_eq!(describe(&mut wire).await.replica_nodes.len(), 2);
            reassign(&env, "t", &[2, 1, 3]).await;
            until!(env, "b3 is back", isr(&mut wire).await == [1, 2, 3]);
        }
        pause(&env, Duration::from_secs(61)).await;
        assert_eq!(waiting(), 0);
        assert!(world.disk("b3").names("").iter().any(|name| name == "t-0"));
    });
}

/// File systems take no name beyond 255 characters, and the one that a deleted directory gets was longer than its own.
#[test]
fn a_topic_of_the_longest_name_can_be_deleted() {
    beside_a_broker(Duration::from_secs(3600), |world, env| async move {
        let mut wire = Wire::open(&env).await;
        let longest = "x".repeat(249).leak();
        assert_eq!(wire.ask(7, &create(longest)).await.topics[0].error_code, 0);
        assert_eq!(delete_code(&mut wire, &[(Some(longest), Uuid::nil())]).await, [0]);
        let names = world.disk("b1").names("");
        let deleted: Vec<_> = names.iter().filter(|name| name.ends_with("-delete")).collect();
        assert_eq!(deleted.len(), 2, "{names:?}");
        assert!(deleted.iter().all(|name| name.len() == 255), "{names:?}");
    });
}

/// The checkpoints had what they told of the first one, and the second one's log began where that had begun.
#[test]
fn a_topic_made_again_while_a_broker_was_away_has_nothing_of_the_first() {
    with_replicas(&[], |world, env, stage| async move {
        let mut leader = open(&env, "b2").await;
        for value in ["a", "b", "c"] {
            assert_eq!(send(&mut leader, -1, value).await, 0);
        }
        until!(env, "they are gone", deleted(&mut leader, "t", 2).await == (2, 0));
        let told = || world.disk("b3").read("log-start-offset-checkpoint").unwrap();
        let is_told = || String::from_utf8(told()).unwrap().contains("\nt 0 ");
        pause(&env, A_CHECKPOINT).await;
        assert!(is_told());
        world.kill("b3");
        assert_eq!(delete_code(&mut leader, &[(Some("t"), Uuid::nil())]).await, [0]);
        assert_eq!(make(&mut leader, "t").await, 0);
        reassign(&env, "t", &[2, 3]).await;
        stage.start(&world, 3);
        until!(env, "b3 has it", isr(&mut leader).await.contains(&3));
        world.kill("b3");
        assert!(!is_told());
        let before = stage.broker(3);
        stage.start(&world, 3);
        until!(env, "b3 is up", !Arc::ptr_eq(&before, &stage.broker(3)));
        let found = || stage.broker(3).partitions.find("t", 0);
        until!(env, "b3 has it again", found().is_some());
        assert_eq!(found().unwrap().log().start_offset(), Offset(0));
    });
}
