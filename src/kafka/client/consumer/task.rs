//! The consumer's background task, and what a new consumer is made of.

use std::{
    collections::BTreeSet,
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll},
};

use super::{
    api::Shared,
    assignor::Assignor,
    core::Lifecycle,
    group::Group,
    heartbeat::{Heartbeat, HeartbeatConfig},
};
use crate::{
    env::{Env, Instant},
    kafka::{
        client::{
            error::ClientError,
            network::{AutoCreate, ClusterConfig, LazyTimer, NetworkConfig, WantedTopics},
            retry::Backoff,
        },
        config::ConsumerConfig,
        types::GroupId,
    },
};

/// Requests that a consumer pipelines to one broker (`ConsumerUtils`); commits and heartbeats must not
/// wait for each other.
const MAX_IN_FLIGHT: usize = 100;

/// The consumer's one task: network, heartbeats and what waits for the coordinator.
pub(super) struct ConsumerTask {
    shared: Arc<Shared>,
    timer: LazyTimer,
}

impl ConsumerTask {
    pub(super) fn spawn(env: &Env, shared: Arc<Shared>) {
        let mut task = ConsumerTask { shared, timer: LazyTimer::new(env.clock.clone()) };
        env.tasks.spawn("consumer", Box::pin(poll_fn(move |cx| task.poll(cx))));
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut core = self.shared.lock();
        if !core.task.will_wake(cx.waker()) {
            core.task = cx.waker().clone();
        }
        loop {
            if core.lifecycle == Lifecycle::Closed {
                return Poll::Ready(());
            }
            let now = self.shared.clock.now();
            let deadline = core.turn(cx, now);
            if self.timer.poll_until(cx, deadline).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

pub(super) fn new_group(
    id: &str,
    config: &ConsumerConfig,
    retry: &Backoff,
    now: Instant,
) -> Result<Group, ClientError> {
    if config.heartbeat_interval >= config.session_timeout {
        return Err(ClientError::IllegalArgument(
            "heartbeat.interval.ms must be lower than session.timeout.ms".into(),
        ));
    }
    let assignors: Vec<Assignor> =
        config.assignors.iter().filter_map(|kind| Assignor::from_config(*kind)).collect();
    if assignors.is_empty() {
        return Err(ClientError::IllegalArgument(
            "no strategy of partition.assignment.strategy is modelled".into(),
        ));
    }
    let heartbeat = HeartbeatConfig {
        session_timeout: config.session_timeout,
        interval: config.heartbeat_interval,
        max_poll_interval: config.max_poll_interval,
        retry: retry.clone(),
    };
    let heartbeat = Heartbeat::new(heartbeat, now);
    Ok(Group::new(GroupId::from(id), config.group_instance_id.clone(), assignors, heartbeat))
}

pub(super) fn cluster_config(config: &ConsumerConfig, retry: &Backoff) -> ClusterConfig {
    ClusterConfig {
        network: NetworkConfig {
            client_id: config.client_id.clone(),
            reconnect: Backoff::new(config.reconnect_backoff, config.reconnect_backoff_max),
            setup_timeout: config.socket_connection_setup_timeout,
            request_timeout: config.request_timeout,
            max_in_flight: MAX_IN_FLIGHT,
        },
        wanted: WantedTopics::Named(BTreeSet::new()),
        auto_create: match config.allow_auto_create_topics {
            true => AutoCreate::Allowed,
            false => AutoCreate::Refused,
        },
        metadata_max_age: config.metadata_max_age,
        rebootstraps: config.rebootstraps,
        retry: retry.clone(),
    }
}
