//! Which partition of `__consumer_offsets` keeps a group, and so which broker coordinates it.

/// `Topic.GROUP_METADATA_TOPIC_NAME`.
pub const OFFSETS_TOPIC: &str = "__consumer_offsets";

/// Java's `String.hashCode` without its sign, modulo the topic's number of partitions
/// (`GroupCoordinatorService.partitionFor`).
pub fn partition_for(group: &str, partitions: i32) -> i32 {
    let hash = group
        .encode_utf16()
        .fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
    // `Utils.abs` takes the least integer to 0.
    hash.checked_abs().unwrap_or(0) % partitions.max(1)
}

#[cfg(test)]
mod tests {
    use super::partition_for;

    #[test]
    fn groups_lie_where_java_puts_them() {
        // "abc".hashCode() = 96354 and "polygenelubricants".hashCode() = Integer.MIN_VALUE.
        assert_eq!(partition_for("abc", 50), 4);
        assert_eq!(partition_for("polygenelubricants", 50), 0);
        // "console-consumer".hashCode() is negative.
        assert!((0..50).contains(&partition_for("console-consumer", 50)));
    }
}
