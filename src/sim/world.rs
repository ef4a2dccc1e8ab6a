//! The world: machines that start and end, and handles to the faults that befall them.

use std::{
    collections::BTreeMap,
    future::{Future, poll_fn},
    sync::Arc,
    task::Poll,
    time::Duration,
};

use madsim::runtime::{Handle, NodeHandle, Runtime};

use super::{
    clock::{SimClock, WallClock},
    crash::{self, Crash, CrashSite, Guarded},
    disk::{DiskControl, SimDisk, Storage},
    lock::Lock,
    machine::{Ending, Life, Machine, MachineOptions, Process},
    network::{Fabric, LinkControl, LinkOptions, SimNetwork},
    tasks::SimTasks,
    timers::Timers,
    trace::{Event, Trace, fingerprint},
};
use crate::env::{BoxFuture, Env, Instant, Rng};

/// What all machines of a world share.
#[derive(Clone, Debug, Default)]
pub struct WorldOptions {
    /// Links between different machines begin with these; a machine's way to itself with
    /// [`LinkOptions::loopback`].
    pub link: LinkOptions,
}

/// A handle to the world that runs on this thread. Cheap to clone; for the driver of a trial, never for
/// what runs on a machine.
#[derive(Clone)]
pub struct World {
    shared: Arc<Shared>,
}

struct Shared {
    handle: Handle,
    timers: Arc<Timers>,
    trace: Trace,
    rng: Rng,
    fabric: Arc<Fabric>,
    machines: Lock<BTreeMap<String, Arc<Machine>>>,
    /// Runs the driver's own tasks and the network's kernels.
    driver: NodeHandle,
    site: Arc<CrashSite>,
}

impl World {
    /// Runs `body` in a new world on the current thread until it returns. All that still runs then is
    /// dropped, without a trace in the digest.
    ///
    /// **The same `seed`, `options` and `body` do the same, given a fresh OS thread**: the order of hash
    /// maps depends on a thread's history, so the caller makes one thread per trial.
    ///
    /// `Err` says that a task panicked, on a machine or in `body` itself, or that `body` waits for
    /// something nothing in the world can bring about.
    pub fn run<T, F>(
        seed: u64,
        options: WorldOptions,
        body: impl FnOnce(World) -> F,
    ) -> Result<T, Crash>
    where
        F: Future<Output = T>,
    {
        let runtime = Runtime::with_seed_and_config(seed, madsim::Config::default());
        let mut made = None;
        let result = crash::catching(|| {
            runtime.block_on(async {
                let world = World::new(seed, options);
                made = Some(world.clone());
                let site = world.shared.site.clone();
                site.watch(body(world)).await
            })
        });
        let cleaned = crash::catching(|| {
            if let Some(world) = made {
                world.take_apart(&runtime);
            }
        });
        let value = result??;
        cleaned.map(|()| value)
    }

    fn new(seed: u64, options: WorldOptions) -> World {
        let handle = Handle::current();
        let timers = Arc::new(Timers::new());
        let trace = Trace::new(timers.clone());
        let rng = Rng::new(seed);
        let network = rng.child("network");
        let fabric = Arc::new(Fabric::new(timers.clone(), trace.clone(), network, options.link));
        let driver = handle.create_node().name("driver").build();
        let shared = Shared {
            handle,
            timers,
            trace,
            rng,
            fabric: fabric.clone(),
            machines: Lock::default(),
            driver,
            site: Arc::default(),
        };
        let world = World { shared: Arc::new(shared) };
        world.spawn(Box::pin(fabric.run_kernels()));
        world
    }

    /// Tasks and timers hold the world and the world holds them: ends the tasks and fires the timers,
    /// so that nothing stays behind in memory.
    fn take_apart(self, runtime: &Runtime) {
        let shared = &self.shared;
        runtime.block_on(async {
            for machine in shared.machines() {
                if let Some(process) = machine.life.lock().process.clone() {
                    process.mark_dead();
                    shared.handle.kill(process.node.id());
                }
            }
            shared.handle.kill(shared.driver.id());
        });
        shared.timers.fire_all();
        shared.fabric.let_go();
    }

    /// Adds a machine; its name is its address. Nothing runs on it yet, but its kernel refuses
    /// connections. Panics if the name is taken.
    pub fn add_machine(&self, name: &str, options: MachineOptions) {
        let shared = &self.shared;
        let mut machines = shared.machines.lock();
        assert!(!machines.contains_key(name), "machine {name} is added once");
        let host = shared.fabric.add_host(name);
        let rng = shared.rng.child(name).stream("disk");
        let (timers, trace) = (shared.timers.clone(), shared.trace.clone());
        let storage = Arc::new(Storage::new(timers, trace, host.id, options.disk, rng));
        let wall = WallClock::new(shared.trace.clone(), host.id, options.skew_ms);
        shared.record(Event::MachineAdded, &host, fingerprint(name.as_bytes()));
        let machine = Machine { host, storage, wall, life: Lock::default() };
        machines.insert(name.to_owned(), Arc::new(machine));
    }

    /// Starts a process on a stopped machine: the next incarnation on the same disk. It runs until the
    /// future ends or it is stopped; all it spawned ends with it. Panics if the machine runs.
    ///
    /// Its random streams are those of `NAME/INCARNATION`.
    pub fn start(&self, name: &str, main: impl FnOnce(Env) -> BoxFuture<'static, ()>) {
        let shared = &self.shared;
        let machine = shared.machine(name);
        let process = {
            let mut life = machine.life.lock();
            assert!(life.process.is_none(), "machine {name} is started while it is stopped");
            life.starts += 1;
            let node = shared.handle.create_node().name(name).build();
            let process = Arc::new(Process::new(machine.host.clone(), life.starts, node));
            *life = Life { starts: life.starts, process: Some(process.clone()), ..Life::default() };
            process
        };
        machine.storage.set_in_use(true);
        shared.record(Event::MachineStarted, &machine.host, u64::from(process.incarnation));
        shared.fabric.power_on(&machine.host);
        let main = main(shared.env(&machine, &process));
        let (ended, of_machine, of_process) = (shared.clone(), machine.clone(), process.clone());
        let future = Box::pin(async move {
            main.await;
            ended.stop(&of_machine, &of_process, Ending::Exited);
        });
        let name = Some(machine.host.name.clone());
        process.node.spawn(Guarded { machine: name, site: shared.site.clone(), future });
    }

    /// Kills a machine's process, running or paused: the page cache stays, the kernel closes the
    /// sockets, so peers read an end of file or a reset. Nothing happens if none runs.
    pub fn kill(&self, name: &str) {
        self.stop(name, Ending::Killed);
    }

    /// Takes a machine's power: the page cache is lost page by page, and peers see nothing. What they
    /// send goes unanswered until the machine is started again, which then answers with resets. Also a
    /// stopped machine can lose power, and with it what its last process left in the page cache.
    pub fn power_loss(&self, name: &str) {
        let machine = self.shared.machine(name);
        if self.is_running(name) {
            self.stop(name, Ending::PowerLoss);
        } else {
            machine.life.lock().ending = Some(Ending::PowerLoss);
            self.shared.record(Event::MachineEnded, &machine.host, Ending::PowerLoss as u64);
            self.shared.power_off(&machine);
        }
    }

    fn stop(&self, name: &str, ending: Ending) {
        let machine = self.shared.machine(name);
        let process = machine.life.lock().process.clone();
        if let Some(process) = process {
            self.shared.stop(&machine, &process, ending);
        }
    }

    /// Stops a process without ending it, as `SIGSTOP` does: its kernel goes on accepting connections
    /// and filling buffers. Nothing happens if none runs.
    pub fn pause(&self, name: &str) {
        self.set_paused(name, true);
    }

    pub fn resume(&self, name: &str) {
        self.set_paused(name, false);
    }

    fn set_paused(&self, name: &str, paused: bool) {
        let shared = &self.shared;
        let machine = shared.machine(name);
        let mut life = machine.life.lock();
        if let Some(process) = &life.process
            && life.paused != paused
        {
            let node = process.node.id();
            if paused {
                shared.record(Event::MachinePaused, &machine.host, 0);
                shared.handle.pause(node);
            } else {
                shared.record(Event::MachineResumed, &machine.host, 0);
                shared.handle.resume(node);
            }
            life.paused = paused;
        }
    }

    /// Whether a process is on the machine, paused ones included.
    pub fn is_running(&self, name: &str) -> bool {
        self.shared.machine(name).life.lock().process.is_some()
    }

    pub fn is_paused(&self, name: &str) -> bool {
        self.shared.machine(name).life.lock().paused
    }

    /// How often the machine was started.
    pub fn incarnation(&self, name: &str) -> u32 {
        self.shared.machine(name).life.lock().starts
    }

    /// How the machine's last process ended; `None` while one runs and before the first.
    pub fn ending(&self, name: &str) -> Option<Ending> {
        self.shared.machine(name).life.lock().ending
    }

    /// Waits until the process on the machine ends, and says how. At once if none runs.
    ///
    /// Panics if the machine was never started.
    pub async fn ended(&self, name: &str) -> Ending {
        let machine = self.shared.machine(name);
        poll_fn(|context| {
            let mut life = machine.life.lock();
            match (&life.process, life.ending) {
                (None, Some(ending)) => Poll::Ready(ending),
                (None, None) => panic!("machine {name} was never started"),
                (Some(_), _) => {
                    if !life.waiting.iter().any(|waker| waker.will_wake(context.waker())) {
                        life.waiting.push(context.waker().clone());
                    }
                    Poll::Pending
                }
            }
        })
        .await
    }

    /// Names of all machines, sorted.
    pub fn machines(&self) -> Vec<String> {
        self.shared.machines.lock().keys().cloned().collect()
    }

    /// The way from one machine to another, or to itself.
    pub fn link(&self, from: &str, to: &str) -> LinkControl {
        let (from, to) = (self.shared.machine(from), self.shared.machine(to));
        self.shared.fabric.link(&from.host, &to.host)
    }

    /// The ways between two machines, there and back.
    pub fn links(&self, one: &str, other: &str) -> [LinkControl; 2] {
        [self.link(one, other), self.link(other, one)]
    }

    /// Severs every way between the machine and all others, in both directions.
    pub fn isolate(&self, name: &str) {
        for other in self.machines() {
            if other != name {
                self.links(name, &other).iter().for_each(LinkControl::sever);
            }
        }
    }

    /// Opens every way between the machine and all others, in both directions.
    pub fn rejoin(&self, name: &str) {
        for other in self.machines() {
            if other != name {
                self.links(name, &other).iter().for_each(LinkControl::heal);
            }
        }
    }

    /// Opens every way that is severed or held, and takes faults off every disk. Latencies, bandwidths
    /// and losses stay as set, and so do clocks and stopped machines.
    pub fn heal_all(&self) {
        for link in self.shared.fabric.links() {
            link.heal();
            link.release();
        }
        for machine in self.shared.machines() {
            DiskControl::new(machine.storage.clone()).heal();
        }
    }

    pub fn disk(&self, name: &str) -> DiskControl {
        DiskControl::new(self.shared.machine(name).storage.clone())
    }

    /// The machine's wall clock.
    pub fn wall_clock(&self, name: &str) -> WallClock {
        self.shared.machine(name).wall.clone()
    }

    pub fn now(&self) -> Instant {
        Instant::from_nanos(self.shared.timers.now())
    }

    pub async fn sleep(&self, duration: Duration) {
        self.shared.timers.sleep_until(self.now() + duration).await;
    }

    pub async fn sleep_until(&self, deadline: Instant) {
        self.shared.timers.sleep_until(deadline).await;
    }

    /// Runs `future` beside the driver, on no machine.
    pub fn spawn(&self, future: BoxFuture<'static, ()>) {
        let site = self.shared.site.clone();
        self.shared.driver.spawn(Guarded { machine: None, site, future });
    }

    pub fn trace(&self) -> &Trace {
        &self.shared.trace
    }

    /// The root of this world's random streams. Names of machines and `network` are taken.
    pub fn rng(&self) -> Rng {
        self.shared.rng.clone()
    }
}

impl Shared {
    fn machine(&self, name: &str) -> Arc<Machine> {
        match self.machines.lock().get(name) {
            Some(machine) => machine.clone(),
            None => panic!("no machine is named {name}"),
        }
    }

    fn machines(&self) -> Vec<Arc<Machine>> {
        self.machines.lock().values().cloned().collect()
    }

    fn env(&self, machine: &Machine, process: &Arc<Process>) -> Env {
        let (timers, wall) = (self.timers.clone(), machine.wall.clone());
        let (fabric, site) = (self.fabric.clone(), self.site.clone());
        let storage = machine.storage.clone();
        Env {
            clock: Arc::new(SimClock { timers, wall }),
            network: Arc::new(SimNetwork { fabric, process: process.clone() }),
            disk: Arc::new(SimDisk { storage, process: process.clone() }),
            tasks: Arc::new(SimTasks { process: process.clone(), site }),
            rng: self.rng.child(&format!("{}/{}", process.host.name, process.incarnation)),
        }
    }

    /// Ends `process`, unless something else did before.
    fn stop(&self, machine: &Machine, process: &Arc<Process>, ending: Ending) {
        if !process.is_alive() {
            return;
        }
        process.mark_dead();
        self.record(Event::MachineEnded, &machine.host, ending as u64);
        match ending {
            Ending::PowerLoss => self.power_off(machine),
            Ending::Exited | Ending::Killed => self.fabric.close_all(process),
        }
        // Outside of all locks: this may drop futures, and they what they hold.
        self.handle.kill(process.node.id());
        machine.storage.set_in_use(false);
        let waiting = {
            let mut life = machine.life.lock();
            life.process = None;
            life.paused = false;
            life.ending = Some(ending);
            std::mem::take(&mut life.waiting)
        };
        waiting.into_iter().for_each(|waker| waker.wake());
    }

    fn power_off(&self, machine: &Machine) {
        self.fabric.power_off(&machine.host);
        machine.storage.lose_power();
    }

    fn record(&self, event: Event, host: &super::network::Host, detail: u64) {
        self.trace.record_now(event, u64::from(host.id), detail, 0);
    }
}
