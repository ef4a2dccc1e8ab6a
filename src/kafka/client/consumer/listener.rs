//! What an application hears of rebalances.

use super::api::{Consumer, ListenerFuture};
use crate::kafka::types::TopicPartition;

/// Called inside `poll`, `unsubscribe` and `close`, in the application's task
/// (`ConsumerRebalanceListener`).
pub trait RebalanceListener: Send {
    /// The partitions are about to be given up, and may still be committed.
    fn on_revoked<'a>(
        &'a mut self,
        consumer: &'a mut Consumer,
        partitions: &'a [TopicPartition],
    ) -> ListenerFuture<'a> {
        let _ = (consumer, partitions);
        Box::pin(std::future::ready(()))
    }

    /// The partitions are there; positions are not known yet. All of them, as the eager protocol gives
    /// up everything first.
    fn on_assigned<'a>(
        &'a mut self,
        consumer: &'a mut Consumer,
        partitions: &'a [TopicPartition],
    ) -> ListenerFuture<'a> {
        let _ = (consumer, partitions);
        Box::pin(std::future::ready(()))
    }

    /// The partitions may belong to another member already: a commit would fail.
    fn on_lost<'a>(
        &'a mut self,
        consumer: &'a mut Consumer,
        partitions: &'a [TopicPartition],
    ) -> ListenerFuture<'a> {
        self.on_revoked(consumer, partitions)
    }
}
