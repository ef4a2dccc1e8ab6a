//! When a node writes a snapshot of its metadata (`SnapshotGenerator`).

use crate::{env::Instant, kafka::config::MetadataLogConfig};

/// What was loaded since the last snapshot, of this node's own or another's.
///
/// Like Kafka's it is looked at when something was loaded: time alone makes no snapshot of what did not change.
#[derive(Clone, Copy, Debug)]
pub(in crate::kafka::broker) struct SnapshotSchedule {
    bytes: u64,
    since: Instant,
    /// One is being written.
    is_writing: bool,
}

impl SnapshotSchedule {
    pub fn new(now: Instant) -> Self {
        SnapshotSchedule { bytes: 0, since: now, is_writing: false }
    }

    pub fn loaded(&mut self, bytes: u64) {
        self.bytes += bytes;
    }

    /// A snapshot was loaded: of what is in it none of this node's own is needed.
    pub fn snapshot_loaded(&mut self, now: Instant) {
        (self.bytes, self.since) = (0, now);
    }

    pub fn is_due(&self, now: Instant, config: &MetadataLogConfig) -> bool {
        let is_old = |interval| now.since(self.since) >= interval;
        let by_time = config.snapshot_interval.is_some_and(is_old);
        !self.is_writing && self.bytes > 0 && (self.bytes >= config.snapshot_after_bytes || by_time)
    }

    pub fn begin(&mut self, now: Instant) {
        *self = SnapshotSchedule { is_writing: true, ..SnapshotSchedule::new(now) };
    }

    pub fn written(&mut self) {
        self.is_writing = false;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::SnapshotSchedule;
    use crate::{
        env::Instant,
        kafka::config::{BrokerConfig, MetadataLogConfig, Settings, Side},
    };

    fn config(bytes: &str, interval: &str) -> MetadataLogConfig {
        let pairs = [
            ("metadata.log.max.record.bytes.between.snapshots", bytes),
            ("metadata.log.max.snapshot.interval.ms", interval),
        ];
        let settings = Settings::from_pairs(Side::Broker, pairs).unwrap();
        BrokerConfig::from_settings(&settings).unwrap().metadata_log
    }

    fn at(seconds: u64) -> Instant {
        Instant::default() + Duration::from_secs(seconds)
    }

    #[test]
    fn bytes_or_time_make_a_snapshot_due_and_nothing_new_makes_none() {
        let both = config("100", "10000");
        let mut schedule = SnapshotSchedule::new(at(0));
        assert!(!schedule.is_due(at(99), &both));
        schedule.loaded(99);
        assert!(!schedule.is_due(at(9), &both));
        assert!(schedule.is_due(at(10), &both) && !schedule.is_due(at(99), &config("100", "0")));
        schedule.loaded(1);
        assert!(schedule.is_due(at(0), &both));
        schedule.snapshot_loaded(at(5));
        schedule.loaded(1);
        assert!(!schedule.is_due(at(14), &both) && schedule.is_due(at(15), &both));
    }

    #[test]
    fn one_is_written_at_a_time_and_what_comes_meanwhile_counts_for_the_next() {
        let config = config("100", "0");
        let mut schedule = SnapshotSchedule::new(at(0));
        schedule.loaded(150);
        schedule.begin(at(1));
        schedule.loaded(150);
        assert!(!schedule.is_due(at(2), &config));
        schedule.written();
        assert!(schedule.is_due(at(2), &config));
        schedule.begin(at(2));
        schedule.written();
        assert!(!schedule.is_due(at(3), &config));
    }
}
