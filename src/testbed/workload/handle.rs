//! The handler of one record: what the application does with it, and what can befall it meanwhile.

use std::{sync::Arc, time::Duration};

use rand_chacha::ChaCha8Rng;

use super::{Control, observe::Journal, pace::draw};
use crate::{
    env::Clock,
    kafka::types::{Offset, TopicPartition},
    testbed::{
        history::{EventId, EventKind, RecordId},
        plan::{EffectKind, SpanRange},
    },
};

/// Handling takes at least this long, so that a machine that dies on beginning a record never ends it.
const LEAST_TIME: Duration = Duration::from_micros(1);

/// A record in the application's hands.
#[derive(Clone, Debug)]
pub(super) struct InHand {
    pub partition: TopicPartition,
    pub offset: Offset,
    pub id: Option<RecordId>,
    /// The poll that returned it.
    pub polled: EventId,
}

/// The handler failed, as the plan told it to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Thrown;

pub(super) struct Handler {
    pub clock: Arc<dyn Clock>,
    pub journal: Journal,
    pub control: Arc<Control>,
    pub process: SpanRange,
    pub effect: EffectKind,
    /// Whose ledger the effect goes to.
    pub group: Arc<str>,
    pub rng: ChaCha8Rng,
}

impl Handler {
    pub async fn handle(&mut self, record: &InHand) -> Result<(), Thrown> {
        let InHand { partition, offset, id, polled } = record.clone();
        let begun = self.journal.record(
            Some(polled),
            EventKind::Processing { partition: partition.clone(), offset, record: id.clone() },
        );
        let takes = draw(&self.process, &mut self.rng).max(LEAST_TIME);
        self.clock.sleep_until(self.clock.now() + takes).await;
        while self.clock.now() < self.control.stalled_until() {
            self.clock.sleep_until(self.control.stalled_until()).await;
        }
        if self.control.take_throw() {
            let error = "HandlerException".into();
            self.journal
                .record(Some(begun), EventKind::ProcessingFailed { partition, offset, error });
            return Err(Thrown);
        }
        let done =
            EventKind::Processed { partition: partition.clone(), offset, record: id.clone() };
        let done = self.journal.record(Some(begun), done);
        if self.effect != EffectKind::None {
            let group = Arc::clone(&self.group);
            let effect = EventKind::Effect { group, partition, offset, record: id };
            self.journal.record(Some(done), effect);
        }
        Ok(())
    }
}
