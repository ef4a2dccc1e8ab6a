//! A trial's frame: a fresh thread, a fresh world, and what is made of their end.

use std::{sync::Arc, thread, time::Duration};

use super::{
    drive::{Driven, drive},
    setup::setup,
    trial::{Trial, TrialEnd},
};
use crate::{
    sim::{Chance, Crash, Latency, LinkOptions, World, WorldOptions},
    testbed::{
        checker::{Broken, judge_with_invariants},
        history::{EventKind, NodeName, Recorder},
        plan::{Plan, SpanRange, SpanShape},
    },
};

/// Room for deep futures and for histories on the stack of a debug build.
const STACK_BYTES: usize = 16 << 20;

/// Runs one trial on a fresh thread and judges it. The same plan and seed give the same trial, whatever
/// else runs beside it: the order of hash maps depends on a thread's past, so each trial gets a new one.
pub fn run_trial(plan: &Arc<Plan>, variant: Option<&str>, seed: u64) -> Trial {
    thread::scope(|scope| {
        let trial = thread::Builder::new()
            .name(format!("{} seed {seed}", plan.name))
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, || run_here(plan, variant, seed))
            .expect("the system has a thread to give");
        // What runs in the world is caught there; only the testbed itself can panic here.
        trial.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn run_here(plan: &Arc<Plan>, variant: Option<&str>, seed: u64) -> Trial {
    let recorder = Recorder::new(setup(plan, seed));
    let options = WorldOptions { link: link_options(plan) };
    let body = |world| drive(world, Arc::clone(plan), recorder.clone());
    let (driven, crash) = match World::run(seed, options, body) {
        Ok(driven) => (driven, None),
        Err(crash) => (Driven::default(), Some(crash)),
    };
    if let Some(crash) = &crash {
        let node: NodeName = crash.machine.as_deref().unwrap_or("trial").into();
        let at = recorder.with(|history| history.events.last().map_or(0, |event| event.at));
        recorder.record(at, &node, None, EventKind::Crashed { message: crash.to_string().into() });
    }
    let history = recorder.finish();
    // Of what the world did, unless it broke, and of what the history says of it.
    let digest = history.digest(driven.digest.map_or(0, |digest| digest.0));
    let (judgements, broken) = judge_with_invariants(plan, &history);
    Trial {
        plan: Arc::clone(plan),
        variant: variant.map(str::to_owned),
        seed,
        judgements,
        unfired: driven.unfired,
        digest: format!("{digest:032x}"),
        messages: driven.messages,
        virtual_time: Duration::from_nanos(history.events.last().map_or(0, |event| event.at)),
        end: end(driven.stuck, crash, broken),
        history,
    }
}

fn end(stuck: Option<String>, crash: Option<Crash>, broken: Option<Broken>) -> TrialEnd {
    match (crash, broken, stuck) {
        (Some(crash), ..) => {
            let message = crash.to_string();
            let node = crash.machine.unwrap_or_else(|| "trial".into());
            TrialEnd::Crashed { node, message }
        }
        (None, Some(broken), _) => TrialEnd::Broken(broken),
        (None, None, Some(what)) => TrialEnd::NoProgress { what },
        (None, None, None) => TrialEnd::Finished,
    }
}

fn link_options(plan: &Plan) -> LinkOptions {
    LinkOptions {
        latency: latency(&plan.network.latency),
        loss: Chance::of(plan.network.loss),
        ..LinkOptions::default()
    }
}

pub(super) fn latency(range: &SpanRange) -> Latency {
    let (min, max) = (range.min.0, range.max.0);
    match range.shape {
        SpanShape::Uniform => Latency::Uniform { min, max },
        SpanShape::Exponential => {
            Latency::Exponential { min, mean: max.saturating_sub(min) / 4, max }
        }
    }
}
