//! Who takes part, by name: what starts when, and each one's switchboard.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use tokio::sync::mpsc;

use super::Control;
use crate::testbed::{
    history::{Event, NodeName},
    nemesis::Watch,
    plan::{Action, Plan, Start},
};

/// Names of all clients of the trial and what they wait for.
pub struct Actors {
    /// An actor's machines: a producer's or reader's own, a group's members.
    machines: BTreeMap<String, Vec<NodeName>>,
    controls: BTreeMap<NodeName, Arc<Control>>,
    /// Actors that start on an event.
    waiting: Mutex<Vec<(Watch, Vec<NodeName>)>>,
    /// What steps want of the cluster; the operator's program takes it.
    orders: mpsc::UnboundedSender<Action>,
}

impl Actors {
    /// The receiver gets the operator's orders.
    pub fn new(plan: &Plan) -> (Self, mpsc::UnboundedReceiver<Action>) {
        let (orders, receiver) = mpsc::unbounded_channel();
        let mut actors = Actors {
            machines: BTreeMap::new(),
            controls: BTreeMap::new(),
            waiting: Mutex::default(),
            orders,
        };
        for (name, producer) in &plan.producers {
            actors.add(name, vec![name.as_str().into()], &producer.start);
        }
        for (name, group) in &plan.groups {
            let members = group.members.iter().map(|member| member.as_str().into());
            actors.add(name, members.collect(), &group.start);
        }
        for (name, reader) in &plan.readers {
            actors.add(name, vec![name.as_str().into()], &reader.start);
        }
        (actors, receiver)
    }

    fn add(&mut self, name: &str, machines: Vec<NodeName>, start: &Start) {
        for machine in &machines {
            self.controls.insert(machine.clone(), Arc::default());
        }
        if let Start::When { event, of, count } = start {
            let watch = Watch::new(*event, Some(of.clone()), None, *count);
            let waiting = self.waiting.get_mut().expect("nobody else has it yet");
            waiting.push((watch, machines.clone()));
        }
        self.machines.insert(name.into(), machines);
    }

    /// Machines of an actor, or the one machine of that name.
    pub fn machines(&self, actor: &str) -> Vec<NodeName> {
        match self.machines.get(actor) {
            Some(machines) => machines.clone(),
            None => self
                .controls
                .get_key_value(actor)
                .map(|(name, _)| name.clone())
                .into_iter()
                .collect(),
        }
    }

    /// Whether the machine runs a client.
    pub fn has(&self, node: &str) -> bool {
        self.controls.contains_key(node)
    }

    pub fn control(&self, node: &str) -> Arc<Control> {
        Arc::clone(self.controls.get(node).expect("the loader knows every actor"))
    }

    /// Has the operator do something.
    pub fn order(&self, order: Action) {
        // The operator lives as long as the trial; after its end nobody wants anything.
        let _ = self.orders.send(order);
    }

    /// Whether some actor still waits for an event like this.
    pub fn wants(&self, event: &Event) -> bool {
        let waiting = self.waiting.lock().expect("no panic while it is locked");
        waiting.iter().any(|(watch, _)| watch.wants(event))
    }

    /// Whether nobody waits for an event any more.
    pub fn all_called(&self) -> bool {
        self.waiting.lock().expect("no panic while it is locked").is_empty()
    }

    /// Machines that the event starts.
    pub fn hear(&self, event: &Event) -> Vec<NodeName> {
        let mut waiting = self.waiting.lock().expect("no panic while it is locked");
        let called = waiting.extract_if(.., |(watch, _)| watch.hears(event));
        called.flat_map(|(_, machines)| machines).collect()
    }
}
