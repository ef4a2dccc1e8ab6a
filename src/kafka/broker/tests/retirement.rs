//! Directories of partitions that a broker gives up.

use std::time::Duration;

use uuid::Uuid;

use super::{
    bench::{Wire, beside_a_broker, pause},
    replicas::{describe, isr, open, reassign, until, with_replicas},
    topics::{create, delete_code},
};

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
