//! Strangers at a broker's door: whatever they send, and however, they get Kafka's answer or a closed
//! connection; the broker lives, its memory is bounded by its settings, and beside them honest clients
//! lose nothing.
#![allow(clippy::unwrap_used)] // Attacks are tests, if not marked so one by one.

mod bodies;
mod connections;
mod decoders;
mod ground;
mod honest;
mod limits;
mod middle;
mod stranger;

/// Makes a module per attack, with a test in the simulated world and one over TCP.
macro_rules! both_worlds {
    ($($attack:ident with $settings:expr;)*) => {
        $(
            mod $attack {
                #[test]
                fn simulated() {
                    $crate::hostile::ground::simulated($settings, super::attacks::$attack);
                }

                #[test]
                fn over_tcp() {
                    $crate::hostile::ground::over_tcp($settings, super::attacks::$attack);
                }
            }
        )*
    };
}
use both_worlds;
