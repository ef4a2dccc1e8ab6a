//! Machines by name: their programs, their lives, and the history of both.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use tokio::sync::Notify;

use crate::{
    env::{BoxFuture, Env},
    sim::{MachineOptions, World},
    testbed::history::{EventId, EventKind, Loss, NodeName, Recorder},
};

/// How a program came to its end by itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Exit {
    /// It closed what it had and returned.
    Orderly,
    /// It gave up without closing anything, as a process that hits an unhandled error does.
    Died,
}

/// What a machine runs, from each of its starts. The number counts the starts, from 1.
pub type Program = Arc<dyn Fn(Env, u32) -> BoxFuture<'static, Exit> + Send + Sync>;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// Not started yet.
    Waiting,
    Running,
    Paused,
    /// Killed, without power, or dead by its own error.
    Down,
    /// Ended in an orderly way.
    Ended,
}

impl Status {
    /// There is a process, standing still or not.
    fn is_up(self) -> bool {
        matches!(self, Status::Running | Status::Paused)
    }
}

struct Machine {
    program: Program,
    status: Status,
    starts: u32,
    /// Asks the program to end, once in each of its lives.
    farewell: Arc<Notify>,
    /// It has been asked.
    is_leaving: bool,
    /// It is started once it has ended.
    again: bool,
}

/// Handle to all machines of the trial; cheap to clone.
#[derive(Clone)]
pub struct Stage {
    pub world: World,
    pub recorder: Recorder,
    machines: Arc<Mutex<BTreeMap<NodeName, Machine>>>,
}

impl Stage {
    pub fn new(world: World, recorder: Recorder) -> Self {
        Stage { world, recorder, machines: Arc::default() }
    }

    /// Forgets what its machines run. Programs hold the stage, so nothing of it would leave memory before.
    pub fn clear(&self) {
        let machines = std::mem::take(&mut *self.machines());
        // What they drop may look at the stage again.
        drop(machines);
    }

    fn machines(&self) -> MutexGuard<'_, BTreeMap<NodeName, Machine>> {
        self.machines.lock().expect("no panic while the machines are locked")
    }

    pub fn add(&self, node: NodeName, program: Program) {
        self.world.add_machine(&node, MachineOptions::default());
        let machine = Machine {
            program,
            status: Status::Waiting,
            starts: 0,
            farewell: Arc::default(),
            is_leaving: false,
            again: false,
        };
        self.machines().insert(node, machine);
    }

    /// `None` for a machine that does not exist.
    pub fn status(&self, node: &str) -> Option<Status> {
        self.machines().get(node).map(|machine| machine.status)
    }

    /// Whether it has a process. Nobody has one that the stage does not know.
    pub fn is_up(&self, node: &str) -> bool {
        self.status(node).is_some_and(Status::is_up)
    }

    /// Names of all machines, in order.
    pub fn names(&self) -> Vec<NodeName> {
        self.machines().keys().cloned().collect()
    }

    /// Records an event at the present moment.
    pub fn record(&self, node: &NodeName, cause: Option<EventId>, kind: EventKind) -> EventId {
        self.recorder.record(self.world.now().as_nanos(), node, cause, kind)
    }

    /// Starts a machine that is not running. One that was asked to end starts when it has ended; nothing is done
    /// to others that run.
    pub fn start(&self, node: &NodeName, cause: Option<EventId>) {
        let (program, starts) = {
            let mut machines = self.machines();
            let Some(machine) = machines.get_mut(node) else { return };
            if machine.status.is_up() {
                if machine.is_leaving && !machine.again {
                    machine.again = true;
                    let (stage, name) = (self.clone(), node.clone());
                    self.world
                        .spawn(Box::pin(async move { stage.start_after(&name, cause).await }));
                }
                return;
            }
            machine.status = Status::Running;
            (machine.farewell, machine.is_leaving, machine.again) = (Arc::default(), false, false);
            machine.starts += 1;
            (Arc::clone(&machine.program), machine.starts)
        };
        let (stage, name) = (self.clone(), node.clone());
        self.world.start(node, move |env| {
            Box::pin(async move {
                let exit = program(env, starts).await;
                stage.ended(&name, exit);
            })
        });
        // A step may wait for this and crash the machine, which has to be there by then.
        self.record(node, cause, EventKind::MachineStarted { incarnation: starts });
    }

    /// Asks a machine's program to end in good order. One that is not up stays as it is.
    pub fn shut_down(&self, node: &NodeName) {
        if let Some(machine) = self.machines().get_mut(node)
            && machine.status.is_up()
        {
            (machine.is_leaving, machine.again) = (true, false);
            machine.farewell.notify_one();
        }
    }

    /// Whether it was asked to end, and has not.
    pub fn is_leaving(&self, node: &str) -> bool {
        self.machines().get(node).is_some_and(|machine| machine.is_leaving)
    }

    /// Waits until the machine's program is asked to end in this life of it.
    pub fn farewell(&self, node: &NodeName) -> impl Future<Output = ()> + use<> {
        let asked = self.machines().get(node).map(|machine| Arc::clone(&machine.farewell));
        async move {
            match asked {
                Some(asked) => asked.notified().await,
                None => std::future::pending().await,
            }
        }
    }

    async fn start_after(&self, node: &NodeName, cause: Option<EventId>) {
        self.world.ended(node).await;
        if self.machines().get(node).is_some_and(|machine| machine.again) {
            self.start(node, cause);
        }
    }

    fn ended(&self, node: &NodeName, exit: Exit) {
        let (status, loss) = match exit {
            Exit::Orderly => (Status::Ended, Loss::Nothing),
            Exit::Died => (Status::Down, Loss::Process),
        };
        self.set_status(node, status);
        self.record(node, None, EventKind::MachineStopped { loss });
    }

    fn set_status(&self, node: &NodeName, status: Status) {
        if let Some(machine) = self.machines().get_mut(node) {
            machine.status = status;
        }
    }

    /// Nobody waits for its end any more.
    fn forget_farewell(&self, node: &NodeName) {
        if let Some(machine) = self.machines().get_mut(node) {
            (machine.is_leaving, machine.again) = (false, false);
        }
    }

    /// Kills the process or cuts the power. A machine that is not up stays as it is.
    pub fn stop(&self, node: &NodeName, loss: Loss, cause: Option<EventId>) {
        if !self.is_up(node) {
            return;
        }
        self.set_status(node, Status::Down);
        self.forget_farewell(node);
        match loss {
            Loss::Power => self.world.power_loss(node),
            Loss::Process | Loss::Nothing => self.world.kill(node),
        }
        self.record(node, cause, EventKind::MachineStopped { loss });
    }

    pub fn pause(&self, node: &NodeName, cause: Option<EventId>) {
        if self.status(node) == Some(Status::Running) {
            self.set_status(node, Status::Paused);
            self.world.pause(node);
            self.record(node, cause, EventKind::MachinePaused);
        }
    }

    pub fn resume(&self, node: &NodeName, cause: Option<EventId>) {
        if self.status(node) == Some(Status::Paused) {
            self.set_status(node, Status::Running);
            self.world.resume(node);
            self.record(node, cause, EventKind::MachineResumed);
        }
    }
}
