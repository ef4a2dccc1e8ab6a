//! What a node reads of the metadata log: `metadata.log.*` and `metadata.max.*`.

use std::time::Duration;

use super::super::settings::{ConfigError, Settings};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MetadataLogConfig {
    pub segment_bytes: u32,
    pub segment_age: Duration,
    /// Bytes of records between two snapshots.
    pub snapshot_after_bytes: u64,
    /// The longest time between two snapshots, if there is any change; `None` for no such bound.
    pub snapshot_interval: Option<Duration>,
    /// What log and snapshots may have together before old snapshots go.
    pub retention_bytes: Option<u64>,
    /// How old a snapshot may be before it goes, if there is a newer one.
    pub retention: Option<Duration>,
    /// How often an idle controller writes a record that says nothing.
    pub no_op_interval: Option<Duration>,
    /// What one Fetch and one FetchSnapshot of the quorum ask for at most.
    pub fetch_max_bytes: i32,
    pub fetch_snapshot_max_bytes: i32,
}

impl MetadataLogConfig {
    pub(super) fn of(settings: &Settings) -> Result<Self, Vec<ConfigError>> {
        let int = |name| settings.int(name);
        let (segment, least) = ("metadata.log.segment.bytes", "metadata.log.segment.min.bytes");
        if int(segment) < int(least) {
            let reason = format!("{segment} must not be below {}", int(least));
            return Err(vec![ConfigError::Conflict { names: vec![segment, least], reason }]);
        }
        let age = |name| settings.millis(name);
        let unless_zero = |time: Duration| Some(time).filter(|time| !time.is_zero());
        let bytes = |name| i32::try_from(int(name)).expect("the row's range is that of an int");
        Ok(MetadataLogConfig {
            segment_bytes: u32::try_from(int(segment)).expect("the row's range is that of an int"),
            segment_age: age("metadata.log.segment.ms").max(Duration::from_millis(1)),
            snapshot_after_bytes: int("metadata.log.max.record.bytes.between.snapshots")
                .unsigned_abs(),
            snapshot_interval: unless_zero(age("metadata.log.max.snapshot.interval.ms")),
            retention_bytes: u64::try_from(int("metadata.max.retention.bytes")).ok(),
            retention: settings.duration("metadata.max.retention.ms"),
            no_op_interval: unless_zero(age("metadata.max.idle.interval.ms")),
            fetch_max_bytes: bytes("controller.quorum.fetch.max.bytes"),
            fetch_snapshot_max_bytes: bytes("controller.quorum.fetch.snapshot.max.bytes"),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::MetadataLogConfig;
    use crate::kafka::config::{ConfigError, Settings, Side};

    fn config(pairs: &[(&str, &str)]) -> Result<MetadataLogConfig, Vec<ConfigError>> {
        let settings = Settings::from_pairs(Side::Broker, pairs.iter().copied()).unwrap();
        MetadataLogConfig::of(&settings)
    }

    #[test]
    fn defaults_are_kafkas() {
        let config = config(&[]).unwrap();
        assert_eq!((config.segment_bytes, config.snapshot_after_bytes), (1 << 30, 20 << 20));
        assert_eq!(config.snapshot_interval, Some(Duration::from_secs(3600)));
        assert_eq!(config.retention_bytes, Some(100 << 20));
        assert_eq!(config.no_op_interval, Some(Duration::from_millis(500)));
    }

    #[test]
    fn zero_or_less_is_never_and_small_segments_are_for_tests() {
        let never = [
            ("metadata.log.max.snapshot.interval.ms", "0"),
            ("metadata.max.retention.bytes", "-1"),
            ("metadata.max.retention.ms", "-1"),
            ("metadata.max.idle.interval.ms", "0"),
        ];
        let config_of = config(&never).unwrap();
        assert_eq!((config_of.snapshot_interval, config_of.retention_bytes), (None, None));
        assert_eq!((config_of.retention, config_of.no_op_interval), (None, None));
        let small = ("metadata.log.segment.bytes", "4096");
        assert!(config(&[small]).is_err());
        let smaller = ("metadata.log.segment.min.bytes", "4096");
        assert_eq!(config(&[small, smaller]).unwrap().segment_bytes, 4096);
    }
}
