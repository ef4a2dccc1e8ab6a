//! The end of a broker, and what a later one finds.

use std::time::Duration;

use super::{
    bench::{Wire, beside_a_broker, pause, start_broker},
    requests::{fetch, produce},
};

const LIFETIME: Duration = Duration::from_secs(10);
const LONG: Duration = Duration::from_secs(3600);

#[test]
fn a_waiting_fetch_is_let_go_when_the_broker_stops() {
    beside_a_broker(LIFETIME, |_, env| async move {
        let mut wire = Wire::open(&env).await;
        let start = env.clock.now();
        wire.send(12, &fetch(0, 1, LONG)).await;
        wire.frame().await;
        assert!(wire.is_closed().await);
        let waited = env.clock.now() - start;
        assert!(waited < LIFETIME + Duration::from_secs(1), "{waited:?}");
    });
}

#[test]
fn everything_acked_before_an_orderly_stop_survives_a_power_loss_after_it() {
    beside_a_broker(LIFETIME, |world, env| async move {
        let mut wire = Wire::open(&env).await;
        let mut acked = 0;
        // Sends into the stop, so that some requests meet a broker that is closing.
        loop {
            wire.send(9, &produce(1, "t", "a")).await;
            let Some(answer) = wire.frame().await else { break };
            let answer = crate::kafka::protocol::message::decode_response::<
                kafka_protocol::messages::ProduceResponse,
            >(answer, acked + 1, 9)
            .unwrap();
            if answer.responses[0].partition_responses[0].error_code != 0 {
                break;
            }
            acked += 1;
            pause(&env, Duration::from_millis(20)).await;
        }
        world.ended("b1").await;
        world.power_loss("b1");
        start_broker(&world, LONG);
        let mut wire = Wire::open(&env).await;
        let answer = wire.ask(12, &fetch(0, 1, Duration::ZERO)).await;
        let end = answer.responses[0].partitions[0].high_watermark;
        assert!(acked > 100);
        assert_eq!(end, i64::from(acked));
    });
}
