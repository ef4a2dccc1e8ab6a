//! How a trial's cost grows with the cluster: the standard trial with more brokers, partitions or records, else the same.

use std::{hint::black_box, time::Duration};

use cpu_time::ProcessTime;
use retrial::testbed::{
    plan::{Controllers, Plan, Span, SpanRange},
    runner::run_trial,
};

/// Trials of each size.
const TRIALS: u64 = 8;
/// In which the producers send, however many records.
const SENDING_MS: u64 = 25_000;

/// One quantity, and its sizes in rising order; the first is the standard trial's.
struct Growth {
    what: &'static str,
    sizes: [u32; 3],
    set: fn(&mut Plan, u32),
}

const GROWTHS: [Growth; 3] = [
    Growth { what: "brokers", sizes: [3, 5, 9], set: brokers },
    Growth { what: "partitions", sizes: [6, 60, 600], set: partitions },
    Growth { what: "records", sizes: [1_000, 4_000, 16_000], set: records },
];

/// The quorum stays as it is.
fn brokers(plan: &mut Plan, count: u32) {
    plan.cluster.brokers = count;
    plan.cluster.controllers = Controllers::Combined(3);
}

fn partitions(plan: &mut Plan, count: u32) {
    for topic in plan.topics.values_mut() {
        topic.partitions = count;
    }
}

fn records(plan: &mut Plan, count: u32) {
    let each = u64::from(count) / plan.producers.len() as u64;
    let every = Span(Duration::from_micros(1_000 * SENDING_MS / each));
    for producer in plan.producers.values_mut() {
        producer.records = each;
        producer.every = SpanRange::fixed(every);
    }
}

/// Prints a row for each size: linear growth shows the same cost of one more throughout.
pub fn show(standard: &Plan) {
    println!("growth of the standard trial, milliseconds of CPU");
    println!("  {:>10} {:>8} {:>9} {:>9} {:>14}", "", "", "a trial", "messages", "one more costs");
    for Growth { what, sizes, set } in GROWTHS {
        let mut before: Option<(u32, f64)> = None;
        for size in sizes {
            let mut plan = standard.clone();
            set(&mut plan, size);
            let (cost, messages) = cost(&plan);
            let more = before.map_or(String::new(), |(fewer, less)| {
                format!("{:.3}", (cost - less) / f64::from(size - fewer))
            });
            println!("  {what:>10} {size:>8} {cost:>9.1} {messages:>9} {more:>14}");
            before = Some((size, cost));
        }
    }
}

/// Milliseconds of CPU and messages of a trial, on average.
fn cost(plan: &Plan) -> (f64, u64) {
    let started = ProcessTime::now();
    let mut messages = 0;
    for seed in 0..TRIALS {
        let trial = black_box(run_trial(&plan.clone().into(), None, seed));
        assert!(trial.passed(), "seed {seed}: {:?} {:?}", trial.end, trial.judgements);
        messages += trial.messages;
    }
    (1000.0 * started.elapsed().as_secs_f64() / TRIALS as f64, messages / TRIALS)
}
