//! Bodies of requests, sent to a broker in the simulated world.
#![no_main]

use libfuzzer_sys::fuzz_target;
use retrial_fuzz::bodies::{self, Attempt};

fuzz_target!(|attempts: Vec<(u16, Vec<u8>)>| {
    bodies::requests(attempts.into_iter().map(|(api, body)| Attempt { api, body }).collect());
});
