//! The closed lists of a scenario's words, each with its meaning: what a file may say, and what
//! `retrial explain` says about it.

mod actors;
mod errors;
mod judging;
mod nearest;
mod steps;

pub(super) use actors::{
    AWAITS, EFFECTS, EXITS, FLAVOURS, LOOP_STEPS, ON_ERRORS, ON_SEND_ERRORS, SEEKS, SHAPES,
};
pub(super) use errors::ERRORS;
pub(super) use judging::{CAUSES, FACTS, GUARANTEES, VERDICTS};
pub use nearest::nearest;
pub(super) use steps::{ELECTIONS, EVENTS, VERBS, Verb};

/// A word and what it stands for.
#[derive(Debug)]
pub(super) struct Word<T: 'static> {
    pub value: T,
    pub name: &'static str,
    pub meaning: &'static str,
}

/// A value that a scenario has a word for.
pub(super) trait Named {
    fn name(&self) -> &'static str;
}

/// A list of words that leaves out no value of its type.
macro_rules! words {
    ($(#[$doc:meta])* $list:ident: $type:ident { $($value:ident $name:literal $meaning:literal)* }) => {
        $(#[$doc])*
        pub(in crate::testbed::scenario) const $list: &[$crate::testbed::scenario::words::Word<$type>] = &[
            $($crate::testbed::scenario::words::Word {
                value: $type::$value,
                name: $name,
                meaning: $meaning,
            }),*
        ];

        impl $crate::testbed::scenario::words::Named for $type {
            fn name(&self) -> &'static str {
                match self {
                    $($type::$value => $name),*
                }
            }
        }
    };
}
use words;

#[cfg(test)]
mod tests;
