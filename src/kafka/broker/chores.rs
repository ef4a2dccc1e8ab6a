//! What a broker does of its own accord, again and again: Kafka's `LogManager` and its schedule.

use std::{sync::Arc, time::Duration};

use super::{state::Broker, ticker::Due};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Chore {
    /// Recovery points and high watermarks are written.
    CheckpointEnds,
    /// Log starts are written.
    CheckpointStarts,
}

impl Chore {
    pub const ALL: [Chore; 2] = [Chore::CheckpointEnds, Chore::CheckpointStarts];

    /// From the broker's start to the chore's first turn.
    pub fn initial_delay(self, broker: &Broker) -> Duration {
        broker.config.config.log_initial_task_delay
    }

    /// From the end of one turn to the next.
    fn interval(self, broker: &Broker) -> Duration {
        let config = &broker.config.config;
        match self {
            Chore::CheckpointEnds => config.flush_offset_checkpoint_interval,
            Chore::CheckpointStarts => config.flush_start_offset_checkpoint_interval,
        }
    }
}

/// One turn; sees to the next.
pub(super) async fn perform(broker: &Arc<Broker>, chore: Chore) {
    match chore {
        Chore::CheckpointEnds => broker.partitions.checkpoint_ends(broker).await,
        Chore::CheckpointStarts => broker.partitions.checkpoint_starts(broker).await,
    }
    let at = broker.env.clock.now() + chore.interval(broker);
    broker.ticker.schedule(at, Due::Chore(chore));
}
