//! Which brokers get the replicas of new partitions (`StripedReplicaPlacer`).
//!
//! Racks in turn, and in each rack its brokers in turn, each partition beginning one further; fenced brokers
//! only where the others of their rack are used up, and never first. Where it all begins is drawn, and drawn
//! again once every unfenced broker has had its turn at leading.

use std::collections::BTreeMap;

use rand::{Rng, RngExt, seq::SliceRandom};

use super::Refusal;
use crate::kafka::{protocol::ResponseError, types::BrokerId};

/// A broker that may get replicas.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Usable {
    pub id: BrokerId,
    pub rack: Option<String>,
    pub fenced: bool,
}

/// Brokers of one rack, taken in turn.
#[derive(Default)]
struct Turns {
    brokers: Vec<BrokerId>,
    /// How many this partition has taken.
    index: usize,
    /// Where it began.
    offset: usize,
    /// The partition that took last.
    round: usize,
}

impl Turns {
    fn begin(&mut self, random: &mut impl Rng) {
        if !self.brokers.is_empty() {
            self.brokers.sort();
            self.offset = random.random_range(0..self.brokers.len());
        }
    }

    /// `None` once the partition has had all of them.
    fn next(&mut self, round: usize) -> Option<BrokerId> {
        let count = self.brokers.len();
        if count == 0 {
            return None;
        }
        if self.round != round {
            (self.round, self.index) = (round, 0);
            self.offset = (self.offset + 1) % count;
        }
        let broker = self.brokers[(self.index + self.offset) % count];
        (self.index < count).then(|| {
            self.index += 1;
            broker
        })
    }
}

#[derive(Default)]
struct Rack {
    unfenced: Turns,
    fenced: Turns,
}

impl Rack {
    fn next(&mut self, round: usize) -> Option<BrokerId> {
        self.unfenced.next(round).or_else(|| self.fenced.next(round))
    }
}

struct Racks {
    racks: Vec<Rack>,
    unfenced: usize,
    /// Partitions placed, and those placed since all was shuffled.
    round: usize,
    since_shuffle: usize,
    offset: usize,
}

impl Racks {
    fn new(brokers: &[Usable], random: &mut impl Rng) -> Self {
        // By name, brokers without a rack first.
        let mut racks: BTreeMap<Option<&String>, Rack> = BTreeMap::new();
        for broker in brokers {
            let rack = racks.entry(broker.rack.as_ref()).or_default();
            let list = if broker.fenced { &mut rack.fenced } else { &mut rack.unfenced };
            list.brokers.push(broker.id);
        }
        let mut racks: Vec<_> = racks.into_values().collect();
        for rack in &mut racks {
            rack.fenced.begin(random);
            rack.unfenced.begin(random);
        }
        let unfenced = brokers.iter().filter(|broker| !broker.fenced).count();
        let offset = random.random_range(0..racks.len());
        Racks { racks, unfenced, round: 0, since_shuffle: 0, offset }
    }

    /// Of the next partition. There are `factor` brokers at least, one of them unfenced.
    fn place(&mut self, factor: usize, random: &mut impl Rng) -> Vec<BrokerId> {
        // With one unfenced broker there is no other order.
        if self.since_shuffle == self.unfenced && self.unfenced > 1 {
            self.shuffle(random);
            self.since_shuffle = 0;
        }
        let (count, round) = (self.racks.len(), self.round);
        self.offset %= count;
        let mut first = self.offset;
        let leader = loop {
            if let Some(leader) = self.racks[first].unfenced.next(round) {
                break leader;
            }
            first = (first + 1) % count;
        };
        let mut placed = vec![leader];
        let mut at = self.offset;
        // The leader's rack is passed over the first time round.
        let mut pass_over = Some(first);
        while placed.len() < factor {
            if pass_over == Some(at) {
                pass_over = None;
            } else {
                placed.extend(self.racks[at].next(round));
            }
            at = (at + 1) % count;
        }
        self.round += 1;
        self.since_shuffle += 1;
        self.offset += 1;
        placed
    }

    fn shuffle(&mut self, random: &mut impl Rng) {
        self.racks.shuffle(random);
        for rack in &mut self.racks {
            rack.fenced.brokers.shuffle(random);
            rack.unfenced.brokers.shuffle(random);
        }
    }
}

/// Replicas of each partition, the preferred leader first.
pub(super) fn place_replicas(
    brokers: &[Usable],
    partitions: usize,
    factor: usize,
    random: &mut impl Rng,
) -> Result<Vec<Vec<BrokerId>>, Refusal> {
    let total = brokers.len();
    let problem = if brokers.iter().all(|broker| broker.fenced) {
        "All brokers are currently fenced.".into()
    } else if factor > total {
        format!(
            "The target replication factor of {factor} cannot be reached because only {total} broker(s) are \
             registered."
        )
    } else {
        let mut racks = Racks::new(brokers, random);
        return Ok((0..partitions).map(|_| racks.place(factor, random)).collect());
    };
    Err((ResponseError::InvalidReplicationFactor, problem))
}
