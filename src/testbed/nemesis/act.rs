//! The nemesis itself: hears events, fires steps, keeps account of what must heal.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use tokio::sync::Notify;

use super::{board::Board, cast, faults, roles};
use crate::{
    sim::Latency,
    testbed::{
        cluster::{Placement, Stage},
        history::{Event, EventId, EventKind, FaultKind, Loss, NodeName, Watcher},
        plan::{Action, NodeRef, Plan},
        runner::UnfiredStep,
        workload::Actors,
    },
};

/// Shared between the recorder, which tells it of events, and the task that keeps its time.
pub struct Nemesis {
    pub(super) stage: Stage,
    plan: Arc<Plan>,
    actors: Arc<Actors>,
    pub(super) roles: roles::Roles,
    state: Mutex<State>,
    /// The earliest moment in `state` may have changed.
    pub(super) changed: Notify,
    trial: NodeName,
    /// Of a link without a fault.
    pub(super) latency: Latency,
}

struct State {
    board: Board,
    /// Faults that heal themselves, by the virtual time of their cure.
    cures: BTreeMap<Duration, Vec<(Action, EventId)>>,
    /// Machines that steps with an id acted on, for those that refer to them.
    acted_on: BTreeMap<String, Vec<NodeName>>,
}

impl Nemesis {
    /// `latency` is that of a link without a fault.
    pub fn new(
        plan: Arc<Plan>,
        stage: Stage,
        actors: Arc<Actors>,
        placement: Placement,
        latency: Latency,
    ) -> Self {
        let state = State {
            board: Board::new(&plan.steps),
            cures: BTreeMap::new(),
            acted_on: BTreeMap::new(),
        };
        Nemesis {
            roles: roles::Roles::new(placement),
            stage,
            plan,
            actors,
            state: Mutex::new(state),
            changed: Notify::new(),
            trial: "trial".into(),
            latency,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic while the nemesis is locked")
    }

    /// Whether each step has fired or never will.
    pub fn is_through(&self) -> bool {
        self.state().board.is_through(&self.plan.steps)
    }

    pub fn unfired(&self) -> Vec<UnfiredStep> {
        self.state().board.unfired(&self.plan.steps)
    }

    fn now(&self) -> Duration {
        Duration::from_nanos(self.stage.world.now().as_nanos())
    }

    /// The next moment something is due.
    pub(super) fn next_time(&self) -> Option<Duration> {
        let state = self.state();
        let cure = state.cures.keys().next().copied();
        [state.board.next_time(), cure].into_iter().flatten().min()
    }

    /// Does what is due at this moment: cures first, so that a fault that follows its own end lasts.
    pub(super) fn act_on_time(&self) {
        let now = self.now();
        loop {
            let mut state = self.state();
            let Some(entry) = state.cures.first_entry().filter(|entry| *entry.key() <= now) else {
                break;
            };
            let cures = entry.remove();
            drop(state);
            for (cure, cause) in cures {
                self.carry_out(&cure, Some(cause));
            }
        }
        let due = self.state().board.take_due(now);
        due.into_iter().for_each(|step| self.fire(step, None));
    }

    fn fire(&self, index: usize, cause: Option<EventId>) {
        let step = &self.plan.steps[index];
        let now = self.now();
        // Roles are played by the same machines until the fault's own end, whoever plays them then.
        let actions = match cast::cast(self, &step.action) {
            Ok(actions) => actions,
            Err(missed) => {
                return self
                    .state()
                    .board
                    .miss(index, format!("{missed} at {:.3}s", now.as_secs_f64()));
            }
        };
        self.state().board.fire(index, step.id.as_deref(), now);
        let say = step.say.as_deref().map(Into::into);
        let event = self.stage.record(&self.trial, cause, EventKind::Step { step: index, say });
        if let Some(id) = &step.id {
            let acted_on = actions.iter().flat_map(cast::machines).collect();
            self.state().acted_on.insert(id.clone(), acted_on);
        }
        for action in actions {
            self.carry_out(&action, Some(event));
            if let Some((lasts, cure)) = faults::cure(&action) {
                self.state().cures.entry(now + lasts).or_default().push((cure, event));
            }
        }
        self.changed.notify_one();
    }

    /// Fires nothing from here on: the trial heals.
    pub fn retire(&self) {
        let mut state = self.state();
        state.board.close();
        state.cures.clear();
    }

    /// Takes every fault off the links of a machine, without a word in the history.
    pub fn heal_links_of(&self, node: &NodeName) {
        faults::heal_links_of(self, node);
    }

    /// Machines a reference means at this moment: nobody while a role is not played.
    pub(super) fn resolve(&self, node: &NodeRef) -> Vec<NodeName> {
        match node {
            NodeRef::Step(step) => self.state().acted_on.get(step).cloned().unwrap_or_default(),
            role => self.roles.resolve(role, &self.stage.recorder),
        }
    }

    pub(super) fn carry_out(&self, action: &Action, cause: Option<EventId>) {
        let stage = &self.stage;
        let on = |node: &NodeRef, act: &dyn Fn(&NodeName)| self.resolve(node).iter().for_each(act);
        match action {
            Action::Crash { node } => on(node, &|node| stage.stop(node, Loss::Process, cause)),
            Action::PowerLoss { node } => on(node, &|node| stage.stop(node, Loss::Power, cause)),
            Action::Restart { node } => on(node, &|node| stage.start(node, cause)),
            Action::ShutDown { node } => on(node, &|node| stage.shut_down(node)),
            Action::Pause { node, .. } => on(node, &|node| stage.pause(node, cause)),
            Action::Resume { node } => on(node, &|node| stage.resume(node, cause)),
            Action::Stall { node, lasts } => on(node, &|node| {
                self.actors.control(node).stall_until(stage.world.now() + lasts.0);
                let what = format!("handler stalled for {lasts}");
                faults::record(self, node, FaultKind::Stall, what, cause);
            }),
            Action::Throw { node } => on(node, &|node| self.actors.control(node).throw()),
            Action::Start { actor } => {
                self.actors.machines(actor).iter().for_each(|node| stage.start(node, cause));
            }
            Action::Stop { actor } => {
                self.actors
                    .machines(actor)
                    .iter()
                    .for_each(|node| self.actors.control(node).stop());
            }
            Action::AddBroker { broker, .. } => stage.start(&broker.as_str().into(), cause),
            order @ (Action::CreateTopic { .. }
            | Action::DeleteTopic { .. }
            | Action::AddPartitions { .. }
            | Action::AlterConfig { .. }
            | Action::Reassign { .. }
            | Action::CancelReassignment { .. }
            | Action::Elect { .. }) => self.actors.order(order.clone()),
            Action::Note => {}
            fault => faults::lay(self, fault, cause),
        }
    }
}

impl Watcher for Nemesis {
    fn sees(&self, event: &Event) -> bool {
        self.state().board.wants(event) || self.actors.wants(event)
    }

    fn hear(&self, event: &Event) {
        for node in self.actors.hear(event) {
            self.stage.start(&node, Some(event.id));
        }
        let due = self.state().board.hear(event);
        due.into_iter().for_each(|step| self.fire(step, Some(event.id)));
    }
}
