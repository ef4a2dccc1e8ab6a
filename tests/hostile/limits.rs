//! What Kafka's settings bound: connections, connections of one address, idle time, requests in memory.

use super::both_worlds;

both_worlds! {
    at_max_connections_newcomers_wait_until_one_ends with &[("max.connections", "12")];
    an_address_with_all_its_connections_is_turned_away with &[("max.connections.per.ip", "12")];
    who_is_slow_is_not_idle with &[("connections.max.idle.ms", "3000")];
    requests_wait_for_memory with
        &[("queued.max.request.bytes", "100000"), ("socket.request.max.bytes", "100000")];
    absurd_topics_are_refused with &[];
}

mod attacks {
    use std::time::Duration;

    use kafka_protocol::{
        messages::{
            ApiVersionsRequest, CreateTopicsRequest, TopicName,
            create_topics_request::CreatableTopic,
        },
        protocol::StrBytes,
    };

    use crate::hostile::{
        ground::Ground,
        honest::beside_honest_clients,
        stranger::{Outcome, Stranger, bare_frame, frame_of},
    };

    const SOON: Duration = Duration::from_secs(30);

    fn question() -> bytes::Bytes {
        frame_of(5, 0, &ApiVersionsRequest::default())
    }

    /// Opens connections that are let in, and one that is not.
    async fn fill(ground: &Ground) -> (Vec<Stranger>, Stranger, Outcome) {
        let mut let_in = Vec::new();
        loop {
            assert!(let_in.len() <= 12);
            let mut stranger = Stranger::open(ground).await;
            stranger.send(&question()).await;
            match stranger.outcome(Duration::from_secs(1)).await {
                Outcome::Answer(_) => let_in.push(stranger),
                outcome => return (let_in, stranger, outcome),
            }
        }
    }

    pub async fn at_max_connections_newcomers_wait_until_one_ends(ground: Ground) {
        beside_honest_clients(&ground, async {
            let (mut let_in, mut waiting, outcome) = fill(&ground).await;
            assert_eq!(outcome, Outcome::Nothing);
            // The honest two have their own.
            assert!((5..12).contains(&let_in.len()), "{}", let_in.len());
            let_in.pop();
            assert_eq!(waiting.correlation(SOON).await, 5);
            for stranger in &mut let_in {
                stranger.ask(0, &ApiVersionsRequest::default()).await;
            }
        })
        .await;
    }

    pub async fn an_address_with_all_its_connections_is_turned_away(ground: Ground) {
        beside_honest_clients(&ground, async {
            let (mut let_in, _, outcome) = fill(&ground).await;
            assert_eq!(outcome, Outcome::Closed);
            // Over TCP the honest two come from the same address.
            let expected = ground.pick(12..13, 5..12);
            assert!(expected.contains(&let_in.len()), "{}", let_in.len());
            let_in.pop();
            ground.pause(Duration::from_millis(500)).await;
            Stranger::open(&ground).await.ask(0, &ApiVersionsRequest::default()).await;
        })
        .await;
    }

    pub async fn who_is_slow_is_not_idle(ground: Ground) {
        beside_honest_clients(&ground, async {
            let mut silent = Stranger::open(&ground).await;
            let mut slow = Stranger::open(&ground).await;
            let question = question();
            let start = ground.strangers.clock.now();
            for part in question.chunks(question.len().div_ceil(4)) {
                slow.send(part).await;
                ground.pause(Duration::from_secs(1)).await;
            }
            assert_eq!(slow.correlation(SOON).await, 5);
            assert_eq!(silent.outcome(SOON).await, Outcome::Closed);
            assert_eq!(slow.outcome(SOON).await, Outcome::Closed);
            let lived = ground.strangers.clock.now() - start;
            assert!(lived >= Duration::from_secs(6), "{lived:?}");
        })
        .await;
    }

    pub async fn requests_wait_for_memory(ground: Ground) {
        // No honest clients: Kafka, too, has them wait while a stranger's request takes all there is.
        let mut hog = Stranger::open(&ground).await;
        let large = bare_frame(9999, 0, 1, &[0; 99_988]);
        hog.send(&large[..50_000]).await;
        ground.pause(Duration::from_millis(200)).await;
        let mut waiting = Stranger::open(&ground).await;
        waiting.send(&question()).await;
        assert_eq!(waiting.outcome(Duration::from_secs(1)).await, Outcome::Nothing);
        hog.send(&large[50_000..]).await;
        assert_eq!(hog.outcome(SOON).await, Outcome::Closed);
        assert_eq!(waiting.correlation(SOON).await, 5);
    }

    pub async fn absurd_topics_are_refused(ground: Ground) {
        let topic = |name: String, partitions| {
            CreatableTopic::default()
                .with_name(TopicName(StrBytes::from_string(name)))
                .with_num_partitions(partitions)
                .with_replication_factor(1)
        };
        beside_honest_clients(&ground, async {
            let mut stranger = Stranger::open(&ground).await;
            let absurd = vec![topic("absurd".into(), i32::MAX)];
            let many = (0..1_000).map(|index| topic(format!("many-{index}"), 10_000)).collect();
            for topics in [absurd, many] {
                let request = CreateTopicsRequest::default().with_topics(topics);
                let answer = stranger.ask(7, &request).await;
                assert!(answer.topics.iter().all(|topic| topic.error_code != 0));
            }
        })
        .await;
    }
}
