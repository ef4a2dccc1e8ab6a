//! The phases of a trial: set up, load and faults, heal, drain, check.

use std::{sync::Arc, time::Duration};

use super::{run::latency, trial::UnfiredStep};
use crate::{
    env::{Address, Instant},
    kafka::{
        config::{Side, find},
        types::{Offset, TopicPartition},
    },
    sim::{Digest, World},
    testbed::{
        cluster::{Placement, Stage, Status, add_brokers, bootstrap, contents},
        history::{EventKind, NodeName, Phase, Recorder},
        nemesis::Nemesis,
        plan::{Action, End, GroupPlan, Plan, Start},
        workload::{Actors, Auditor, Findings, Progress, audit_program, cast},
    },
};

/// How often the driver looks whether the trial has become quiet. Nothing in the trial depends on it but
/// when it ends.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How long after the heal replicas may take to be in sync again: sessions and `replica.lag.time.max.ms` pass,
/// logs are fetched. A partition that may have lost records for good stays without a leader: then the rest of
/// the trial is judged.
const CLUSTER_HEALS_WITHIN: Duration = Duration::from_secs(120);

/// How long reading back may take: everything is healed and at rest.
const READ_BACK_LIMIT: Duration = Duration::from_secs(120);

/// What the drive of a trial leaves beside its history.
#[derive(Default)]
pub(super) struct Driven {
    pub unfired: Vec<UnfiredStep>,
    /// Of what the world did.
    pub digest: Option<Digest>,
    pub messages: u64,
    /// What it still waited for when its bound was reached.
    pub stuck: Option<String>,
}

struct Drive {
    world: World,
    plan: Arc<Plan>,
    stage: Stage,
    actors: Arc<Actors>,
    nemesis: Arc<Nemesis>,
    progress: Arc<Progress>,
    auditor: Arc<Auditor>,
    placement: Placement,
    trial: NodeName,
}

pub(super) async fn drive(world: World, plan: Arc<Plan>, recorder: Recorder) -> Driven {
    let drive = Drive::set_up(world, plan, recorder);
    let stuck = drive.phases().await;
    if let Some(what) = &stuck {
        let what = what.as_str().into();
        drive.stage.record(&drive.trial, None, EventKind::NoProgress { what });
    }
    let trace = drive.world.trace();
    let (digest, messages) = (Some(trace.digest()), trace.messages());
    Driven { unfired: drive.nemesis.unfired(), digest, messages, stuck }
}

impl Drop for Drive {
    fn drop(&mut self) {
        self.stage.clear();
    }
}

impl Drive {
    fn set_up(world: World, plan: Arc<Plan>, recorder: Recorder) -> Drive {
        let latency = latency(&plan.network.latency);
        let stage = Stage::new(world.clone(), recorder.clone());
        let (actors, orders) = Actors::new(&plan);
        let actors = Arc::new(actors);
        let placement = Placement::of(&plan);
        let nemesis = Arc::new(Nemesis::new(
            Arc::clone(&plan),
            stage.clone(),
            Arc::clone(&actors),
            placement.clone(),
            latency,
        ));
        let progress = Arc::new(Progress::default());
        recorder.watch(Arc::clone(&progress) as _);
        recorder.watch(Arc::clone(&nemesis) as _);
        let addresses: Vec<Address> = bootstrap(&plan);
        let auditor = Auditor::new(Arc::clone(&plan), addresses.clone());
        let trial: NodeName = "trial".into();
        // Scenario files and campaigns are checked against the same table before they come here.
        add_brokers(&plan, &stage, &placement).expect("the plan's broker settings are checked");
        cast(&plan, &stage, &actors, &addresses).expect("the plan's client settings are checked");
        let audit = audit_program(Arc::clone(&auditor), orders, &stage, &trial);
        stage.add(trial.clone(), audit);
        Drive { world, plan, stage, actors, nemesis, progress, auditor, placement, trial }
    }

    /// All phases in turn. Says what the trial still waited for where a bound was reached.
    async fn phases(&self) -> Option<String> {
        let limit = Instant::default() + self.plan.run.limit.0;
        self.phase(Phase::Load);
        self.world.spawn(Box::pin(Arc::clone(&self.nemesis).keep_time()));
        for node in self.placement.controllers().chain(self.placement.brokers()) {
            self.stage.start(&node, None);
        }
        self.stage.start(&self.trial, None);
        self.start_actors();
        let stuck = self.load(limit).await;
        self.heal();
        if stuck.is_some() {
            return stuck;
        }
        let heals_by = self.world.now() + CLUSTER_HEALS_WITHIN;
        loop {
            self.phase(Phase::Drain);
            if let Some(stuck) = self.drain(limit, heals_by).await {
                return Some(stuck);
            }
            self.phase(Phase::Check);
            let findings = match self.read_back().await {
                Ok(findings) => findings,
                Err(error) => return Some(format!("the cluster could not be read back: {error}")),
            };
            // What a fault began may show only now: a session that ends, a follower that leaves the ISR.
            if self.unhealed(heals_by).is_none() {
                self.record(findings);
                return None;
            }
        }
    }

    fn phase(&self, phase: Phase) {
        self.stage.record(&self.trial, None, EventKind::Phase { phase });
    }

    fn start_actors(&self) {
        let producers = self.plan.producers.iter().map(|(name, plan)| (name, &plan.start));
        let groups = self.plan.groups.iter().map(|(name, plan)| (name, &plan.start));
        let readers = self.plan.readers.iter().map(|(name, plan)| (name, &plan.start));
        for (name, start) in producers.chain(groups).chain(readers) {
            let Start::At(at) = start else { continue };
            let machines = self.actors.machines(name);
            let (stage, at) = (self.stage.clone(), Instant::default() + at.0);
            let world = self.world.clone();
            self.world.spawn(Box::pin(async move {
                world.sleep_until(at).await;
                machines.iter().for_each(|machine| stage.start(machine, None));
            }));
        }
    }

    /// Load and faults, until the plan's end.
    async fn load(&self, limit: Instant) -> Option<String> {
        if let End::At(at) = self.plan.run.end {
            self.world.sleep_until((Instant::default() + at.0).min(limit)).await;
            return None;
        }
        loop {
            let pending = self.progress.pending(&self.plan, &self.stage);
            let called = self.nemesis.is_through() && self.actors.all_called();
            if pending.is_none() && called {
                return None;
            }
            if self.world.now() >= limit {
                // With nothing left to do it is a step that never fired, which the report says.
                return pending.map(|what| format!("{what} after {}", self.plan.run.limit));
            }
            self.world.sleep(LOOK_EVERY).await;
        }
    }

    /// Ends every fault and brings every machine back that a fault or an error took down.
    fn heal(&self) {
        self.phase(Phase::Heal);
        self.nemesis.retire();
        self.world.heal_all();
        for name in self.stage.names() {
            self.nemesis.heal_links_of(&name);
            if self.actors.has(&name) {
                self.actors.control(&name).stall_until(Instant::default());
            }
        }
        for name in self.stage.names() {
            self.stage.resume(&name, None);
            let status = self.stage.status(&name);
            // Clients end when they are through; whoever serves comes back.
            let is_ended_server = status == Some(Status::Ended) && !self.actors.has(&name);
            let is_leaving = self.stage.is_leaving(&name);
            if status == Some(Status::Down) || is_ended_server || is_leaving {
                self.stage.start(&name, None);
            }
        }
    }

    /// Until the trial is quiet and its groups have been settled for as long as a dead member can go
    /// unnoticed.
    async fn drain(&self, limit: Instant, heals_by: Instant) -> Option<String> {
        let window = notice_window(&self.plan);
        let mut settled_since = None;
        loop {
            let now = self.world.now();
            let pending = self.progress.pending(&self.plan, &self.stage);
            let pending = pending.or_else(|| self.progress.unsettled(&self.plan, &self.stage));
            let pending = pending.or_else(|| self.unhealed(heals_by));
            if let Some(what) = &pending {
                tracing::debug!(at = ?now, what, "not quiet");
            }
            match pending {
                None => {
                    if *settled_since.get_or_insert(now) + window <= now {
                        return None;
                    }
                }
                Some(what) if now >= limit => {
                    return Some(format!("{what} after the heal, {}", self.plan.run.limit));
                }
                Some(_) => settled_since = None,
            }
            self.world.sleep(LOOK_EVERY).await;
        }
    }

    /// What of the cluster has not healed, while it has time to.
    fn unhealed(&self, heals_by: Instant) -> Option<String> {
        self.progress.unhealed().filter(|_| self.world.now() < heals_by)
    }

    async fn read_back(&self) -> Result<Findings, String> {
        let limit = self.world.now() + READ_BACK_LIMIT;
        tokio::select! {
            biased;
            findings = self.auditor.read() => findings,
            () = self.world.sleep_until(limit) => Err("no answer within the limit".into()),
        }
    }

    /// What everything holds now that the trial ends.
    fn record(&self, findings: Findings) {
        let record = |kind| {
            self.stage.record(&self.trial, None, kind);
        };
        self.look_into_logs(findings.logs.keys());
        for (partition, (start, end, records)) in findings.logs {
            record(EventKind::FinalLog { partition, start, end, records });
        }
        for (group, committed) in findings.committed {
            for (partition, offset) in committed {
                let (group, offset) = (group.as_str().into(), offset.filter(|o| *o >= Offset(0)));
                record(EventKind::FinalCommitted { group, partition, offset });
            }
        }
        for (group, state) in self.progress.group_states() {
            record(EventKind::FinalGroup { group, state: state.into() });
        }
    }
}

impl Drive {
    /// Records what each replica of these holds, by its disk.
    fn look_into_logs<'a>(&self, partitions: impl Iterator<Item = &'a TopicPartition> + Clone) {
        let added = self.plan.added_brokers().into_iter().map(|(name, _)| NodeName::from(name));
        for broker in self.placement.brokers().chain(added) {
            let disk = self.world.disk(&broker);
            for partition in partitions.clone() {
                let (partition, batches) = (partition.clone(), contents(&disk, partition));
                if !batches.is_empty() {
                    let kind = EventKind::LogContents { partition, batches };
                    self.stage.record(&broker, None, kind);
                }
            }
        }
    }
}

/// How long a coordinator may take a dead member for alive: the longest session of the plan's groups. A plan
/// without faults has no dead members.
fn notice_window(plan: &Plan) -> Duration {
    let harmless = |action: &Action| {
        matches!(
            action,
            Action::Note
                | Action::Start { .. }
                | Action::Stop { .. }
                | Action::CreateTopic { .. }
                | Action::AlterConfig { .. }
        )
    };
    if plan.steps.iter().all(|step| harmless(&step.action)) {
        return Duration::ZERO;
    }
    let session = |group: &GroupPlan| {
        let default = || find(Side::Consumer, "session.timeout.ms").map(|row| row.default);
        let given = group.config.get("session.timeout.ms").map(String::as_str);
        given.or_else(default).and_then(|ms| ms.parse().ok()).map(Duration::from_millis)
    };
    plan.groups.values().filter_map(session).max().unwrap_or_default()
}
