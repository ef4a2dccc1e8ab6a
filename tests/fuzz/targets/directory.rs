//! A data directory that was tampered with, opened by a broker in the simulated world.
#![no_main]

use libfuzzer_sys::fuzz_target;
use retrial_fuzz::bodies::{self, Change, Edit, Ended};

/// A file, what is done to it, where, and with which bytes.
type Raw = (u8, u8, u16, Vec<u8>);

fn edit((file, kind, at, bytes): Raw) -> Edit {
    let first = bytes.first().copied().unwrap_or(1);
    let number = |bytes: &[u8]| bytes.iter().fold(0, |n: u64, byte| n << 8 | u64::from(*byte));
    let change = match kind % 7 {
        0 => Change::Remove,
        1 => Change::Cut { at },
        2 => Change::Flip { at, bits: first },
        3 => Change::Insert { at, bytes },
        4 => Change::Replace { bytes },
        5 => Change::Reseal { batch: kind / 7, at, bytes },
        _ => Change::Copy { offset: number(&bytes) },
    };
    Edit { file, change }
}

fuzz_target!(|input: (bool, Vec<Raw>)| {
    let (clean, edits) = input;
    let ended = if clean { Ended::Clean } else { Ended::Killed };
    let edits: Vec<_> = edits.into_iter().map(edit).collect();
    bodies::directory(ended, &edits);
});
