//! Retrial: a whole Kafka cluster on trial.
//!
//! Brokers, producers and consumer groups run inside one seeded, single-threaded simulation with a
//! virtual disk, clock and network. A seed decides every delay, crash and rebalance, so a run can be
//! repeated exactly; checkers read what happened and say which delivery guarantees held.
//!
//! Five folders, and who may import whom (`tests/tidy` enforces it):
//!
//! | folder | what it is | imports |
//! |---|---|---|
//! | [`env`] | the seam: clock, network, disk, tasks, randomness | nothing |
//! | [`sim`] | the simulated world; knows nothing of Kafka | `env` |
//! | [`kafka`] | the system under test; does not know whether it is simulated | `env`'s traits |
//! | [`testbed`] | drives and judges: scenario, plan, trial, history, checkers, report | `sim`, `env`, `kafka` |
//! | [`cli`] | the door: one file per verb | `testbed`, `kafka::broker`, `env::real` |
//!
//! To read in order: [`env`], [`kafka`], [`sim`], [`testbed`]. `ARCHITECTURE.md` argues the design.

#[cfg(not(madsim))]
compile_error!(
    "retrial needs `--cfg madsim`, which .cargo/config.toml sets. It is missing for one of two reasons: \
     RUSTFLAGS is set in the environment and replaces it (unset it, or add `--cfg madsim` to it), or cargo \
     was started outside the project (change into it first)."
);

/// A trial makes some 150,000 small allocations: this allocator saves a twentieth of its CPU time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

pub mod cli;
pub mod env;
pub mod kafka;
pub mod sim;
pub mod testbed;
