//! One body of tests for both worlds: what `env` promises of disks and streams must hold in the
//! simulated world and in the real one, or the system under test is tested against a fiction.
//!
//! Each claim is a function over an [`Env`]; [`both_worlds`] makes two tests of it, `real` and `sim`.
#![allow(clippy::unwrap_used)] // The claims are tests, if not marked so one by one.

mod clock;
mod disk;
mod stream;

use std::{sync::Arc, time::Duration};

use retrial::{
    env::{self, Env},
    sim::{MachineOptions, World, WorldOptions},
};

/// Makes a module per claim, with a test for each world.
macro_rules! both_worlds {
    ($($claim:ident)*) => {
        $(
            mod $claim {
                #[test]
                fn real() {
                    $crate::conformance::in_the_real_world(super::bodies::$claim);
                }

                #[test]
                fn sim() {
                    $crate::conformance::in_simulated_worlds(super::bodies::$claim);
                }
            }
        )*
    };
}
use both_worlds;

/// On tokio, in a scratch directory, with ports of 127.0.0.1.
fn in_the_real_world<F: Future<Output = ()> + Send + 'static>(claim: fn(Env) -> F) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let on_panic = Arc::new(|name: &'static str| {
        eprintln!("task {name} panicked");
        std::process::abort();
    });
    runtime.block_on(async {
        let env = env::real::env(directory.path().to_owned(), 1, on_panic).unwrap();
        claim(env).await;
    });
}

/// On one simulated machine, with several seeds: each orders tasks and delays in its own way.
fn in_simulated_worlds<F: Future<Output = ()> + Send + 'static>(claim: fn(Env) -> F) {
    for seed in 0..8 {
        let result = World::run(seed, WorldOptions::default(), |world| async move {
            world.add_machine("here", MachineOptions::default());
            world.start("here", move |env| Box::pin(claim(env)));
            tokio::select! {
                biased;
                _ = world.ended("here") => {}
                () = world.sleep(Duration::from_secs(60)) => panic!("the claim hangs"),
            }
        });
        if let Err(crash) = result {
            panic!("seed {seed}: {crash}");
        }
    }
}
