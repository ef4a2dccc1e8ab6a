//! A broker's standing with the controller: it registers when it starts, keeps its session by heartbeats, asks to be
//! unfenced when it is ready and to leave when it stops (`BrokerLifecycleManager`).
//!
//! Starting -> the controller says that the broker has read its own registration: it publishes its metadata and is
//! open to clients -> ready, it wants no fence any more -> unfenced, it leads and follows -> stopping, its leaderships
//! go elsewhere -> it may stop.
//!
//! Departures: a broker whose registration was overtaken, by a request of its own former life, registers again
//! (`stale-broker-epoch`), where Kafka's stays fenced. A controlled shutdown is given up when no heartbeat was answered
//! for `broker.session.timeout.ms`, by when the controller has fenced the broker; Kafka waits five minutes. Retries
//! pause without jitter.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use kafka_protocol::{
    messages::{
        BrokerHeartbeatRequest, BrokerId as WireBrokerId, BrokerRegistrationRequest,
        broker_registration_request::{Feature, Listener},
    },
    protocol::StrBytes,
};
use uuid::Uuid;

use super::{
    active_controller, controller_channel::ControllerChannel, node::draw_id, signal::Signal,
    state::Broker,
};
use crate::{
    env::{Env, Instant},
    kafka::{controller::StaleBrokerEpoch, protocol::ResponseError, types::BrokerEpoch},
};

const REGISTRATION_VERSION: i16 = 4;
const HEARTBEAT_VERSION: i16 = 1;
/// The one listener's name.
const LISTENER: &str = "PLAINTEXT";
/// After a failure (`BrokerLifecycleManager.resendExponentialBackoff`): doubled up to the session's timeout.
const FIRST_RETRY: Duration = Duration::from_millis(100);
/// Until the broker has caught up it asks this often (`NANOSECONDS.convert(10, MILLISECONDS)`).
const CATCHING_UP: Duration = Duration::from_millis(10);
/// The first answer to a broker that stops may be followed by better news soon.
const SOON: Duration = Duration::from_millis(50);
/// How long a broker waits to be let go (`BrokerServer.shutdown`).
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(300);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    /// Has not read its own registration yet.
    Starting,
    /// Fenced, and about to be ready.
    Recovery,
    Running,
}

/// What others know of the lifecycle, and ask of it.
pub(super) struct Lifecycle {
    incarnation: Uuid,
    directory: Uuid,
    /// The epoch of this registration; -1 until there is one.
    epoch: AtomicI64,
    /// The controller says that the broker knows its own registration.
    pub caught_up: Signal<bool>,
    running: Signal<bool>,
    wants_to_stop: Signal<bool>,
    may_stop: Signal<bool>,
}

impl Lifecycle {
    pub fn new(env: &Env, directory: Uuid) -> Self {
        Lifecycle {
            incarnation: draw_id(&mut env.rng.stream("incarnation")),
            directory,
            epoch: AtomicI64::new(BrokerEpoch::NONE.0),
            caught_up: Signal::new(false),
            running: Signal::new(false),
            wants_to_stop: Signal::new(false),
            may_stop: Signal::new(false),
        }
    }

    pub fn epoch(&self) -> BrokerEpoch {
        BrokerEpoch(self.epoch.load(Ordering::Relaxed))
    }

    /// The id of the data directory.
    pub fn directory(&self) -> Uuid {
        self.directory
    }

    /// Whether the broker is leaving.
    pub fn is_stopping(&self) -> bool {
        self.wants_to_stop.get()
    }

    /// Gives this broker's leaderships away, as far as the controller helps.
    pub async fn shut_down(&self, broker: &Broker) {
        if !self.running.get() || !broker.config.config.controlled_shutdown {
            return;
        }
        self.wants_to_stop.set(true);
        let clock = &broker.env.clock;
        tokio::select! {
            biased;
            () = self.may_stop.wait_for(|may_stop| may_stop) => {}
            () = broker.ending.wait() => {}
            () = clock.sleep_until(clock.now() + SHUTDOWN_TIMEOUT) => {
                tracing::warn!(broker = broker.id().0, "stopping without the controller's leave");
            }
        }
    }
}

/// One broker's dealings with the controller.
struct Dealings {
    broker: Arc<Broker>,
    channel: ControllerChannel,
    stage: Stage,
    is_registered: bool,
    /// Of the last life, if that ended in good order.
    previous_epoch: BrokerEpoch,
    failures: u32,
    last_answer: Instant,
    /// What the last heartbeat has said.
    said_ready: bool,
    said_stop: bool,
}

/// Runs until the broker stops.
pub(super) async fn run(broker: Arc<Broker>, previous_epoch: BrokerEpoch) {
    let timeout = broker.config.config.broker_session_timeout / 2;
    let now = broker.env.clock.now();
    let mut dealings = Dealings {
        channel: ControllerChannel::new("lifecycle", timeout),
        stage: Stage::Starting,
        is_registered: false,
        previous_epoch,
        failures: 0,
        last_answer: now,
        said_ready: false,
        said_stop: false,
        broker,
    };
    loop {
        let broker = Arc::clone(&dealings.broker);
        let pause = tokio::select! {
            biased;
            () = broker.ending.wait() => return,
            pause = dealings.step() => pause,
        };
        let clock = &broker.env.clock;
        // What is news to the controller is told at once.
        let may_be_ready =
            dealings.is_registered && dealings.stage == Stage::Recovery && !dealings.said_ready;
        let may_want_stop =
            dealings.is_registered && dealings.stage == Stage::Running && !dealings.said_stop;
        tokio::select! {
            biased;
            () = broker.ending.wait() => return,
            () = broker.lifecycle.wants_to_stop.wait_for(|wants| wants), if may_want_stop => {}
            () = broker.metadata.wait_until_published(), if may_be_ready => {}
            () = clock.sleep_until(clock.now() + pause) => {}
        }
    }
}

impl Dealings {
    /// Registers, or sends a heartbeat; how long to wait then.
    async fn step(&mut self) -> Duration {
        let answered = match self.is_registered {
            true => self.send_heartbeat().await,
            false => self.register().await,
        };
        let timeout = self.broker.config.config.broker_session_timeout;
        let now = self.broker.env.clock.now();
        match answered {
            Ok(pause) => {
                self.failures = 0;
                self.last_answer = now;
                pause
            }
            Err(reason) => {
                tracing::debug!(broker = self.broker.id().0, reason, "not heard by the controller");
                let is_stopping = self.broker.lifecycle.wants_to_stop.get();
                if is_stopping && now.since(self.last_answer) >= timeout {
                    self.broker.lifecycle.may_stop.set(true);
                }
                let pause = FIRST_RETRY * 2_u32.saturating_pow(self.failures.min(16));
                self.failures += 1;
                pause.min(timeout)
            }
        }
    }

    async fn register(&mut self) -> Result<Duration, String> {
        let broker = Arc::clone(&self.broker);
        let request = registration(&broker, self.previous_epoch);
        let answer = self.channel.ask(&broker, REGISTRATION_VERSION, &request).await;
        let answer = answer.map_err(|error| error.to_string())?;
        check(answer.error_code)?;
        self.is_registered = true;
        broker.lifecycle.epoch.store(answer.broker_epoch, Ordering::Relaxed);
        tracing::info!(broker = broker.id().0, epoch = answer.broker_epoch, "registered");
        Ok(Duration::ZERO)
    }

    async fn send_heartbeat(&mut self) -> Result<Duration, String> {
        let broker = Arc::clone(&self.broker);
        let (lifecycle, config) = (&broker.lifecycle, &broker.config.config);
        let is_ready = broker.metadata.is_published();
        let wants_to_stop = lifecycle.wants_to_stop.get();
        let is_first_of_stop = wants_to_stop && !self.said_stop;
        (self.said_ready, self.said_stop) = (is_ready, wants_to_stop);
        let request = BrokerHeartbeatRequest::default()
            .with_broker_id(WireBrokerId(broker.id().0))
            .with_broker_epoch(lifecycle.epoch().0)
            .with_current_metadata_offset(broker.metadata.last_read().0)
            .with_want_fence(!is_ready)
            .with_want_shut_down(wants_to_stop);
        let answer = self.channel.ask(&broker, HEARTBEAT_VERSION, &request).await;
        let answer = answer.map_err(|error| error.to_string())?;
        let is_stale = answer.error_code == ResponseError::StaleBrokerEpoch.code();
        let policy = broker.config.behaviour.controller.stale_broker_epoch;
        // An operator may also have taken its registration away, which is not for the broker to undo.
        let is_overtaken = || {
            let newest = broker.metadata.newest();
            newest.broker(broker.id()).is_some_and(|known| known.epoch != lifecycle.epoch())
        };
        if is_stale && policy == StaleBrokerEpoch::RegistersAgain && is_overtaken() {
            self.is_registered = false;
        }
        check(answer.error_code)?;
        Ok(match self.stage {
            Stage::Starting => {
                if answer.is_caught_up {
                    self.stage = Stage::Recovery;
                    lifecycle.caught_up.set(true);
                }
                CATCHING_UP
            }
            Stage::Recovery => {
                if !answer.is_fenced {
                    tracing::info!(broker = broker.id().0, "unfenced");
                    self.stage = Stage::Running;
                    lifecycle.running.set(true);
                }
                config.broker_heartbeat_interval
            }
            Stage::Running if answer.should_shut_down => {
                lifecycle.may_stop.set(true);
                config.broker_heartbeat_interval
            }
            Stage::Running if is_first_of_stop => SOON,
            Stage::Running => config.broker_heartbeat_interval,
        })
    }
}

fn check(code: i16) -> Result<(), String> {
    ResponseError::try_from_code(code).map_or(Ok(()), |error| Err(format!("{error:?}")))
}

pub(super) fn registration(
    broker: &Broker,
    previous_epoch: BrokerEpoch,
) -> BrokerRegistrationRequest {
    let text = |text: &str| StrBytes::from_string(text.to_owned());
    let endpoint = broker.config.endpoint(broker.id());
    let listener = endpoint.map(|endpoint| {
        Listener::default()
            .with_name(text(LISTENER))
            .with_host(text(&endpoint.advertised.host))
            .with_port(endpoint.advertised.port)
            .with_security_protocol(0)
    });
    let features = active_controller::supported_features().map(|feature| {
        Feature::default()
            .with_name(text(&feature.name))
            .with_min_supported_version(feature.min)
            .with_max_supported_version(feature.max)
    });
    let rack = endpoint.and_then(|endpoint| endpoint.rack.as_deref()).map(text);
    BrokerRegistrationRequest::default()
        .with_broker_id(WireBrokerId(broker.id().0))
        .with_cluster_id(text(&broker.config.cluster_id))
        .with_incarnation_id(broker.lifecycle.incarnation)
        .with_listeners(listener.into_iter().collect())
        .with_features(features.collect())
        .with_rack(rack)
        .with_is_migrating_zk_broker(false)
        .with_log_dirs(vec![broker.lifecycle.directory])
        .with_previous_broker_epoch(previous_epoch.0)
}
