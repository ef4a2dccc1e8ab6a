//! What a broker does with its disk of its own accord, and that nobody else has to wait for it.

use std::time::Duration;

use super::{
    bench::{Wire, beside_a_changed, pause},
    requests::{fetch, produce},
};
use crate::sim::Latency;

const LONG: Duration = Duration::from_secs(100_000);

fn setting(name: &str, value: &str) -> (String, String) {
    (name.into(), value.into())
}

#[test]
fn a_slow_disk_delays_no_other_deadline() {
    let sync_soon = |node: &mut super::bench::NodeConfig| {
        node.topics[0].config = vec![setting("flush.ms", "10")];
    };
    beside_a_changed(LONG, sync_soon, |world, env| async move {
        let mut wire = Wire::open(&env).await;
        world.disk("b1").set_sync_latency(Latency::Constant(Duration::from_secs(60)));
        wire.ask(9, &produce(1, "t", "a")).await;
        pause(&env, Duration::from_secs(1)).await;
        let start = env.clock.now();
        wire.ask(12, &fetch(1, 1, Duration::from_millis(200))).await;
        let waited = env.clock.now() - start;
        assert!(waited < Duration::from_secs(1), "{waited:?}");
    });
}
