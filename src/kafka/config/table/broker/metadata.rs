//! Settings `metadata.*` of `server.properties`: the metadata log, its snapshots, and how much of both is kept.

use super::{
    super::{INT_MAX, Kind, Row, modelled, other},
    COUNT, LONG, SIDE,
};

/// `Records.LOG_OVERHEAD`
const LOG_OVERHEAD: i64 = 12;
const SEGMENT: Kind = Kind::Int { min: LOG_OVERHEAD, max: INT_MAX };

pub(super) const ROWS: &[Row] = &[
    other(SIDE, "metadata.log.dir", Kind::Text, "", "Where the metadata log lies."),
    modelled(
        SIDE,
        "metadata.log.max.record.bytes.between.snapshots",
        Kind::Long { min: 1, max: i64::MAX },
        "20971520",
        "After how many bytes of records the metadata is snapshotted.",
    ),
    modelled(
        SIDE,
        "metadata.log.max.snapshot.interval.ms",
        LONG,
        "3600000",
        "After how long changed metadata is snapshotted; 0 for never by time.",
    ),
    modelled(
        SIDE,
        "metadata.log.segment.bytes",
        SEGMENT,
        "1073741824",
        "Size at which a new segment of the metadata log begins.",
    ),
    modelled(
        SIDE,
        "metadata.log.segment.min.bytes",
        SEGMENT,
        "8388608",
        "The least that `metadata.log.segment.bytes` may be; Kafka has it for tests.",
    ),
    modelled(
        SIDE,
        "metadata.log.segment.ms",
        Kind::Long { min: i64::MIN, max: i64::MAX },
        "604800000",
        "Age at which a new segment of the metadata log begins.",
    ),
    modelled(
        SIDE,
        "metadata.max.idle.interval.ms",
        COUNT,
        "500",
        "How often an idle controller writes a record that says nothing; 0 for never.",
    ),
    modelled(
        SIDE,
        "metadata.max.retention.bytes",
        Kind::Long { min: i64::MIN, max: i64::MAX },
        "104857600",
        "Size of log and snapshots above which old snapshots go, and what precedes them; -1 for no bound.",
    ),
    modelled(
        SIDE,
        "metadata.max.retention.ms",
        Kind::Long { min: i64::MIN, max: i64::MAX },
        "604800000",
        "Age at which a snapshot goes, and what precedes the next one; -1 for never.",
    ),
];
