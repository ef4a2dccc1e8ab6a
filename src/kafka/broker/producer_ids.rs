//! Producer ids from blocks that the controller gives out, so that no two brokers give the same one and
//! none is given again after a restart.

use std::sync::Mutex;

use crate::kafka::{controller::PRODUCER_ID_BLOCK, types::ProducerId};

#[derive(Default)]
pub(super) struct ProducerIds {
    block: Mutex<Block>,
}

#[derive(Default)]
struct Block {
    next: i64,
    end: i64,
    /// Somebody asked while there was none.
    ordered: bool,
}

/// The next id, or that a block has to be ordered first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum NextId {
    Id(ProducerId),
    /// The caller is the first to find the block empty: it orders one.
    OrderBlock,
    /// A block is on order.
    Wait,
}

impl ProducerIds {
    pub fn next(&self) -> NextId {
        let mut block = self.block.lock().expect("no panic while it is locked");
        if block.next < block.end {
            block.next += 1;
            NextId::Id(ProducerId(block.next - 1))
        } else if !block.ordered {
            block.ordered = true;
            NextId::OrderBlock
        } else {
            NextId::Wait
        }
    }

    pub fn wants_block(&self) -> bool {
        self.block.lock().expect("no panic while it is locked").ordered
    }

    /// A block of [`PRODUCER_ID_BLOCK`] ids from `first` on.
    pub fn refill(&self, first: ProducerId) {
        let mut block = self.block.lock().expect("no panic while it is locked");
        *block = Block { next: first.0, end: first.0 + PRODUCER_ID_BLOCK, ordered: false };
    }
}

#[cfg(test)]
mod tests {
    use super::{NextId, ProducerIds};
    use crate::kafka::types::ProducerId;

    #[test]
    fn one_order_per_empty_block_and_ids_in_turn() {
        let ids = ProducerIds::default();
        assert_eq!(ids.next(), NextId::OrderBlock);
        assert_eq!(ids.next(), NextId::Wait);
        ids.refill(ProducerId(2000));
        assert_eq!(ids.next(), NextId::Id(ProducerId(2000)));
        assert_eq!(ids.next(), NextId::Id(ProducerId(2001)));
    }
}
