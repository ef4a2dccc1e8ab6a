//! Which seeds to run, from the environment.

use std::ops::RangeInclusive;

/// `RETRIAL_SEED=n`, `RETRIAL_SEEDS=A..=B` (or `A..B`), otherwise `default`.
///
/// # Panics
/// If a variable does not say what it should.
pub fn seeds(default: RangeInclusive<u64>) -> RangeInclusive<u64> {
    if let Ok(seed) = std::env::var("RETRIAL_SEED") {
        let seed = seed.trim().parse().expect("RETRIAL_SEED is a whole number, like 17");
        return seed..=seed;
    }
    let Ok(range) = std::env::var("RETRIAL_SEEDS") else { return default };
    parse(&range).unwrap_or_else(|| panic!("RETRIAL_SEEDS is a range like 0..=999, not `{range}`"))
}

fn parse(range: &str) -> Option<RangeInclusive<u64>> {
    let (first, last) = range.trim().split_once("..")?;
    let first = first.trim().parse().ok()?;
    let last = match last.strip_prefix('=') {
        Some(last) => last.trim().parse().ok()?,
        None => last.trim().parse::<u64>().ok()?.checked_sub(1)?,
    };
    (first <= last).then_some(first..=last)
}

#[test]
fn ranges_are_read_as_rust_writes_them() {
    assert_eq!(parse("0..=9"), Some(0..=9));
    assert_eq!(parse("5..8"), Some(5..=7));
    assert_eq!(parse("9..=5"), None);
    assert_eq!(parse("all"), None);
}
