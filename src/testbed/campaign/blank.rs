//! A plan before its campaign fills it: a cluster that nobody uses and nothing befalls.

use indexmap::IndexMap;

use super::actors::up_to;
use crate::testbed::plan::{
    ClusterPlan, ConfigMap, End, NetworkPlan, Plan, RunPlan, Span, SpanRange, TopicPlan,
};

/// A trial that still runs after this long does not get anywhere.
const LIMIT: Span = Span::from_millis(600_000);

/// Load and faults end after `end_ms`; a packet takes one to `latency_ms`.
pub(super) fn blank(title: &str, cluster: ClusterPlan, end_ms: u64, latency_ms: u64) -> Plan {
    Plan {
        name: String::new(),
        title: title.into(),
        kafka: "4.1".into(),
        run: RunPlan { seed: 0, end: End::At(Span::from_millis(end_ms)), limit: LIMIT },
        network: NetworkPlan {
            latency: SpanRange { min: Span::from_millis(1), ..up_to(latency_ms) },
            loss: 0.0,
        },
        cluster,
        behaviour: Default::default(),
        topics: IndexMap::new(),
        producers: IndexMap::new(),
        groups: IndexMap::new(),
        readers: IndexMap::new(),
        steps: Vec::new(),
        expectations: Vec::new(),
        ignored: Vec::new(),
    }
}

/// A topic that the cluster places as it sees fit.
pub(super) fn topic(partitions: u32, replication_factor: u32) -> TopicPlan {
    TopicPlan { partitions, replication_factor, replicas: None, config: ConfigMap::new() }
}
