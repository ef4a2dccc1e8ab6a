//! What a producer reads.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::settings::{ConfigError, Settings};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Acks {
    None,
    Leader,
    All,
}

/// What Kafka's producer once did otherwise. Written as `in-flight-limit = "per-connection"`; what is not
/// written is as it is at present.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct ProducerPolicy {
    pub in_flight_limit: InFlightLimit,
}

/// What `max.in.flight.requests.per.connection=1` limits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InFlightLimit {
    /// A partition's requests as well: the next batch waits until the one before is answered or given up,
    /// whichever broker leads meanwhile.
    #[default]
    PerPartition,
    /// A connection's requests alone: when a partition's leader moves, its next batch overtakes the one that
    /// waits for the former leader. Before 0.10 (KAFKA-3197).
    PerConnection,
}

/// `producer.properties`, as far as the producer models it.
#[derive(Clone, PartialEq, Debug)]
pub struct ProducerConfig {
    pub acks: Acks,
    pub enable_idempotence: bool,
    pub retries: u32,
    pub max_in_flight: usize,
    pub batch_size: usize,
    pub linger: Duration,
    pub buffer_memory: usize,
    pub max_block: Duration,
    pub max_request_size: usize,
    pub request_timeout: Duration,
    pub delivery_timeout: Duration,
    pub retry_backoff: Duration,
    pub retry_backoff_max: Duration,
    pub reconnect_backoff: Duration,
    pub reconnect_backoff_max: Duration,
    pub socket_connection_setup_timeout: Duration,
    pub metadata_max_age: Duration,
    /// Whether a client that reaches no broker starts over with the bootstrap addresses.
    pub rebootstraps: bool,
    pub partitioner_ignore_keys: bool,
    pub compression: String,
    pub client_id: String,
    /// No setting of Kafka's: present unless a trial says otherwise.
    pub policy: ProducerPolicy,
}

impl ProducerConfig {
    /// Refuses what Kafka's own constructor refuses with `ConfigException`.
    pub fn from_settings(settings: &Settings) -> Result<Self, Vec<ConfigError>> {
        let acks = match settings.text("acks") {
            "0" => Acks::None,
            "1" => Acks::Leader,
            _ => Acks::All,
        };
        let retries = settings.int("retries") as u32;
        let max_in_flight = settings.int("max.in.flight.requests.per.connection") as usize;
        let delivery_timeout = delivery_timeout(settings)?;
        Ok(ProducerConfig {
            acks,
            enable_idempotence: idempotence(settings, acks, retries, max_in_flight)?,
            retries,
            max_in_flight,
            batch_size: settings.int("batch.size") as usize,
            linger: settings.millis("linger.ms"),
            buffer_memory: settings.int("buffer.memory") as usize,
            max_block: settings.millis("max.block.ms"),
            max_request_size: settings.int("max.request.size") as usize,
            request_timeout: settings.millis("request.timeout.ms"),
            delivery_timeout,
            retry_backoff: settings.millis("retry.backoff.ms"),
            retry_backoff_max: settings.millis("retry.backoff.max.ms"),
            reconnect_backoff: settings.millis("reconnect.backoff.ms"),
            reconnect_backoff_max: settings.millis("reconnect.backoff.max.ms"),
            socket_connection_setup_timeout: settings.millis("socket.connection.setup.timeout.ms"),
            metadata_max_age: settings.millis("metadata.max.age.ms"),
            rebootstraps: settings.text("metadata.recovery.strategy") == "rebootstrap",
            partitioner_ignore_keys: settings.boolean("partitioner.ignore.keys"),
            compression: settings.text("compression.type").into(),
            client_id: settings.text("client.id").into(),
            policy: ProducerPolicy::default(),
        })
    }
}

/// `ProducerConfig.postProcessAndValidateIdempotenceConfigs`: a conflict with idempotence that was asked
/// for is refused; with the default it switches idempotence off.
fn idempotence(
    settings: &Settings,
    acks: Acks,
    retries: u32,
    max_in_flight: usize,
) -> Result<bool, Vec<ConfigError>> {
    const NAME: &str = "enable.idempotence";
    if !settings.boolean(NAME) {
        return Ok(false);
    }
    let mut conflicts = Vec::new();
    let mut conflict = |name, reason: &str| {
        conflicts.push(ConfigError::Conflict { names: vec![name, NAME], reason: reason.into() });
    };
    if acks != Acks::All {
        conflict("acks", "acks must be \"all\" when enable.idempotence = true");
    }
    if retries == 0 {
        conflict("retries", "retries must be greater than 0 when enable.idempotence = true");
    }
    // Kafka refuses this one even where idempotence is merely the default.
    let too_many = max_in_flight > 5;
    if too_many {
        conflict(
            "max.in.flight.requests.per.connection",
            "max.in.flight.requests.per.connection must be at most 5 when enable.idempotence = true",
        );
    }
    if conflicts.is_empty() {
        Ok(true)
    } else if settings.is_set(NAME) || too_many {
        Err(conflicts)
    } else {
        Ok(false)
    }
}

/// `KafkaProducer.configureDeliveryTimeout`: too short a value that was asked for is refused, the default
/// grows.
fn delivery_timeout(settings: &Settings) -> Result<Duration, Vec<ConfigError>> {
    const NAME: &str = "delivery.timeout.ms";
    let given = settings.millis(NAME);
    let least = settings.millis("linger.ms") + settings.millis("request.timeout.ms");
    if given >= least {
        Ok(given)
    } else if settings.is_set(NAME) {
        Err(vec![ConfigError::Conflict {
            names: vec![NAME, "linger.ms", "request.timeout.ms"],
            reason: "delivery.timeout.ms should be equal to or larger than linger.ms + request.timeout.ms"
                .into(),
        }])
    } else {
        Ok(least)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Acks, ProducerConfig};
    use crate::kafka::config::{ConfigError, Settings, Side};

    fn config(pairs: &[(&str, &str)]) -> Result<ProducerConfig, Vec<ConfigError>> {
        let settings = Settings::from_pairs(Side::Producer, pairs.iter().copied()).unwrap();
        ProducerConfig::from_settings(&settings)
    }

    #[test]
    fn defaults_are_those_of_kafka_4_1() {
        let config = config(&[]).unwrap();
        assert_eq!((config.acks, config.enable_idempotence), (Acks::All, true));
        assert_eq!(config.linger, Duration::from_millis(5));
        assert_eq!(
            (config.retries, config.max_in_flight, config.batch_size),
            (i32::MAX as u32, 5, 16384)
        );
    }

    #[test]
    fn a_conflict_with_idempotence_is_refused_only_if_it_was_asked_for() {
        assert!(!config(&[("acks", "1")]).unwrap().enable_idempotence);
        let refused = config(&[("acks", "1"), ("enable.idempotence", "true")]).unwrap_err();
        assert_eq!(refused[0].to_string(), "acks must be \"all\" when enable.idempotence = true");
    }

    #[test]
    fn a_delivery_timeout_below_one_attempt_is_refused() {
        assert!(config(&[("delivery.timeout.ms", "1000")]).is_err());
        assert!(config(&[("request.timeout.ms", "200000")]).is_ok());
    }
}
