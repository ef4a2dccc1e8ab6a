//! The facts about a log that replication goes by.

use crate::kafka::{
    log::Log,
    replica::LogView,
    types::{LeaderEpoch, Offset},
};

impl LogView for Log {
    fn start_offset(&self) -> Offset {
        Log::start_offset(self)
    }

    fn end_offset(&self) -> Offset {
        Log::end_offset(self)
    }

    fn high_watermark(&self) -> Offset {
        Log::high_watermark(self)
    }

    fn latest_epoch(&self) -> Option<LeaderEpoch> {
        Log::latest_epoch(self).map(|latest| latest.epoch)
    }

    fn end_offset_for_epoch(&self, epoch: LeaderEpoch) -> Option<(LeaderEpoch, Offset)> {
        Log::end_offset_for_epoch(self, epoch)
    }

    fn min_insync_replicas(&self) -> usize {
        // At least 1, as the table of settings has it.
        usize::try_from(self.config().min_insync_replicas).unwrap_or(1)
    }

    fn acknowledged_end(&self) -> Offset {
        Log::acknowledged_end(self)
    }
}
