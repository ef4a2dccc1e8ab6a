//! The seam: all that a node may ask of the outside world.
//!
//! Everything in `kafka/` runs on these five things and on nothing else, so that the same broker and
//! the same clients live in the simulated world (`sim/`) and in the real one (`env/real`), compiled
//! once. Traits are used as `dyn`: measured at +2 % per request against type parameters, and every
//! signature stays readable. Below `Node::start` each type takes the narrowest part it needs, so a
//! signature tells which part of the world it touches.

mod clock;
mod disk;
mod network;
pub mod real;
mod rng;
mod tasks;

use std::{future::Future, pin::Pin, sync::Arc};

pub use clock::{Clock, Instant, WallTime};
pub use disk::{Disk, File, OpenMode, Space};
pub use network::{Address, Connection, Listener, Network, Stream};
pub use rng::Rng;
pub use tasks::Tasks;

/// A boxed future that may move between threads: what an async method of a `dyn` trait returns.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One node's view of the world; cheap to clone.
///
/// `sim` builds one per node (its own clock skew, disk and random streams), `env::real` one per process.
#[derive(Clone)]
pub struct Env {
    pub clock: Arc<dyn Clock>,
    pub network: Arc<dyn Network>,
    pub disk: Arc<dyn Disk>,
    pub tasks: Arc<dyn Tasks>,
    pub rng: Rng,
}
