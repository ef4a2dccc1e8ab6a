//! Clients that nobody here wrote judge the broker: their programs run against `retrial serve`.
//!
//! Each folder beside this file holds one client's programs. A program takes the broker's address, does one
//! thing a user of that client does, and prints what came of it; [`snapshots`](self) hold what it must print.
//! To try one by hand: `retrial serve`, then `python tests/clients/kafka_python/producer.py 127.0.0.1:9092`.
//!
//! The clients come from their own package registries, once per target directory. Without Python, Node, kcat
//! or a network these tests say on one line that they judged nothing; with `RETRIAL_CLIENTS=required` they
//! fail instead. Time is real here, and bounds it only: nothing is expected after a while.

mod broker;
mod by_hand;
mod environment;
mod golden;
mod program;
mod recorder;
mod requests;
mod rskafka;
mod stored;
mod suites;
