//! Rules of the house that no compiler knows: layers, the determinism fence, module docs, sizes.
//!
//! Each rule is a function from a source file to the places that break it, and each has been seen red
//! on a snippet.

mod fence;
mod handlers;
mod layers;
mod shape;
mod source;

use source::Source;

/// A place that breaks a rule: `src/a.rs:12: why`.
type Breach = String;

fn assert_none(breaches: &[Breach]) {
    assert!(breaches.is_empty(), "\n{}\n", breaches.join("\n"));
}

/// Applies a rule to every Rust file of the project.
fn everywhere(rule: fn(&Source) -> Vec<Breach>) -> Vec<Breach> {
    source::all().iter().flat_map(rule).collect()
}
