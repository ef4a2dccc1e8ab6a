//! Controllers that are not brokers, and brokers that do not vote: each serves what is its own, and brokers find whoever
//! leads.

use std::time::Duration;

use kafka_protocol::messages::{
    ApiKey, ApiVersionsRequest, CreateTopicsRequest, DescribeClusterRequest, MetadataRequest,
    VoteRequest, create_topics_request::CreatableTopic,
};

use super::{
    bench::{Wire, pause},
    cluster::{CONTROLLERS, Shape, machine},
    quorum::{make, topics},
    requests::{produce, topic},
};
use crate::env::Env;

const SHAPE: Shape = Shape { brokers: 2, controllers: 3, change: |_| () };

fn about_controllers() -> DescribeClusterRequest {
    DescribeClusterRequest::default().with_endpoint_type(2)
}

/// Who leads, as a controller tells.
async fn leader(env: &Env, controller: i32) -> i32 {
    let mut wire = Wire::connect_to(env, &machine(controller)).await;
    loop {
        let told = wire.ask(2, &about_controllers()).await;
        assert_eq!(told.error_code, 0);
        if told.controller_id.0 != -1 {
            return told.controller_id.0;
        }
        pause(env, Duration::from_millis(10)).await;
    }
}

#[test]
fn brokers_register_with_controllers_apart_and_follow_whoever_leads() {
    SHAPE.run(|world, env| async move {
        let mut wire = Wire::open_to(&env, "b2").await;
        assert_eq!(make(&mut wire, "before").await, 0);
        let first = leader(&env, CONTROLLERS + 1).await;
        assert!(first > CONTROLLERS);
        world.power_loss(&machine(first));
        assert_eq!(make(&mut wire, "after").await, 0);
        let survivor = if first == CONTROLLERS + 1 { CONTROLLERS + 2 } else { CONTROLLERS + 1 };
        let second = leader(&env, survivor).await;
        assert!(second != first && second > CONTROLLERS, "{first} {second}");
        SHAPE.start(&world, first);
        assert_eq!(topics(&mut Wire::open_to(&env, "b1").await).await, ["after", "before", "t"]);
        // A broker tells clients of brokers alone.
        let cluster = wire.ask(2, &DescribeClusterRequest::default()).await;
        let brokers: Vec<_> = cluster.brokers.iter().map(|broker| broker.broker_id.0).collect();
        assert_eq!((brokers, cluster.controller_id.0), (vec![1, 2], 2));
        let answer = wire.ask(9, &MetadataRequest::default().with_topics(None)).await;
        assert_eq!((answer.brokers.len(), answer.controller_id.0), (2, 2));
        let mut wire = Wire::open(&env).await;
        let answer = wire.ask(9, &produce(1, "t", "a")).await;
        assert_eq!(answer.responses[0].partition_responses[0].error_code, 0);
    });
}

#[test]
fn all_of_a_cluster_comes_back_after_a_loss_of_power_everywhere() {
    SHAPE.run(|world, env| async move {
        assert_eq!(make(&mut Wire::open(&env).await, "kept").await, 0);
        SHAPE.ids().for_each(|id| world.power_loss(&machine(id)));
        pause(&env, Duration::from_secs(5)).await;
        SHAPE.ids().for_each(|id| SHAPE.start(&world, id));
        assert_eq!(topics(&mut Wire::open(&env).await).await, ["kept", "t"]);
    });
}

#[test]
fn one_controller_is_enough_and_while_it_is_gone_brokers_serve_on() {
    let shape = Shape { controllers: 1, ..SHAPE };
    shape.run(move |world, env| async move {
        let mut wire = Wire::open(&env).await;
        world.power_loss("k1");
        pause(&env, Duration::from_secs(20)).await;
        let answer = wire.ask(9, &produce(1, "t", "a")).await;
        assert_eq!(answer.responses[0].partition_responses[0].error_code, 0);
        shape.start(&world, CONTROLLERS + 1);
        assert_eq!(make(&mut wire, "later").await, 0);
    });
}

#[test]
fn each_role_serves_what_is_its_own() {
    SHAPE.run(|_, env| async move {
        Wire::open(&env).await;
        let told = |answer: &kafka_protocol::messages::ApiVersionsResponse, key: ApiKey| {
            answer.api_keys.iter().any(|api| api.api_key == key as i16)
        };
        let versions = ApiVersionsRequest::default();
        let mut broker = Wire::connect_to(&env, "b1").await;
        let answer = broker.ask(0, &versions).await;
        assert!(told(&answer, ApiKey::Produce) && !told(&answer, ApiKey::Vote));
        broker.send(0, &VoteRequest::default()).await;
        assert!(broker.is_closed().await);
        let mut controller = Wire::connect_to(&env, "k1").await;
        let answer = controller.ask(0, &versions).await;
        assert!(!told(&answer, ApiKey::Produce) && !told(&answer, ApiKey::Metadata));
        for key in [ApiKey::Vote, ApiKey::Fetch, ApiKey::BrokerHeartbeat, ApiKey::CreateTopics] {
            assert!(told(&answer, key), "{key:?}");
        }
        controller.send(9, &MetadataRequest::default()).await;
        assert!(controller.is_closed().await);
    });
}

#[test]
fn controllers_tell_of_controllers_and_decide_for_whoever_asks() {
    SHAPE.run(|_, env| async move {
        Wire::open(&env).await;
        let mut wire = Wire::connect_to(&env, "k1").await;
        let told = wire.ask(2, &about_controllers()).await;
        let ids: Vec<_> =
            told.brokers.iter().map(|it| (it.broker_id.0, it.host.to_string())).collect();
        let expected: Vec<_> = (1..=3).map(|n| (CONTROLLERS + n, format!("k{n}"))).collect();
        assert_eq!((ids, told.endpoint_type), (expected, 2));
        let mismatched = wire.ask(2, &DescribeClusterRequest::default()).await;
        assert_eq!(mismatched.error_code, 114);
        let mismatched = Wire::open(&env).await.ask(2, &about_controllers()).await;
        assert_eq!(mismatched.error_code, 114);
        // Two of the three are not the active one.
        for (number, name) in [(1, "x"), (2, "y"), (3, "z")] {
            let wanted = CreatableTopic::default()
                .with_name(topic(name))
                .with_num_partitions(1)
                .with_replication_factor(1);
            let request = CreateTopicsRequest::default().with_topics(vec![wanted]);
            let mut wire = Wire::connect_to(&env, &format!("k{number}")).await;
            assert_eq!(wire.ask(7, &request).await.topics[0].error_code, 0);
        }
        assert_eq!(topics(&mut Wire::open(&env).await).await, ["t", "x", "y", "z"]);
    });
}
