//! Which brokers get which replica of a new topic.

use crate::kafka::types::BrokerId;

/// Replicas of each partition, the preferred leader first: brokers in turn, beginning anywhere, as
/// Kafka's `StripedReplicaPlacer` does where there are no racks. `start` is drawn by the caller.
pub fn place(
    brokers: &[BrokerId],
    partitions: i32,
    replication_factor: usize,
    start: usize,
) -> Vec<Vec<BrokerId>> {
    let at = |index: usize| brokers[index % brokers.len()];
    let partition = |partition: usize| {
        (0..replication_factor.min(brokers.len())).map(|r| at(start + partition + r)).collect()
    };
    (0..partitions.max(0) as usize).map(partition).collect()
}

#[cfg(test)]
mod tests {
    use super::place;
    use crate::kafka::types::BrokerId;

    #[test]
    fn leaders_take_turns_and_replicas_differ() {
        let brokers = [BrokerId(1), BrokerId(2), BrokerId(3)];
        let placed = place(&brokers, 4, 2, 2);
        let leaders: Vec<_> = placed.iter().map(|replicas| replicas[0].0).collect();
        assert_eq!(leaders, [3, 1, 2, 3]);
        assert!(placed.iter().all(|replicas| replicas.len() == 2 && replicas[0] != replicas[1]));
    }
}
