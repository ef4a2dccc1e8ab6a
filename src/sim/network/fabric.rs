//! All hosts, links and connections of a world.

use std::{
    collections::{BTreeMap, VecDeque},
    future::poll_fn,
    io::{self, ErrorKind},
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    task::{Poll, Waker},
};

use super::{
    connection::{Connection, Payload},
    link::{Link, LinkControl, LinkOptions},
    listener::Port,
    stream::SimStream,
};
use crate::{
    env::{Address, Rng},
    sim::{lock::Lock, machine::Process, timers::Timers, trace::Trace},
};

/// A machine as the network knows it.
pub(in crate::sim) struct Host {
    pub id: u32,
    pub name: Arc<str>,
    powered: AtomicBool,
    ports: Lock<Ports>,
}

struct Ports {
    bound: BTreeMap<u16, Arc<Port>>,
    next: u16,
}

/// Where ports that the caller leaves open begin, as on Linux.
const FIRST_EPHEMERAL: u16 = 32768;

impl Host {
    pub fn has_power(&self) -> bool {
        self.powered.load(Ordering::Relaxed)
    }

    fn ephemeral(ports: &mut Ports) -> u16 {
        loop {
            let port = ports.next;
            ports.next = port.checked_add(1).unwrap_or(FIRST_EPHEMERAL);
            if !ports.bound.contains_key(&port) {
                return port;
            }
        }
    }

    /// Binds `number`, or a free port if it is 0.
    pub(super) fn bind(&self, number: u16, port: Arc<Port>) -> io::Result<u16> {
        let ports = &mut *self.ports.lock();
        let number = if number == 0 { Self::ephemeral(ports) } else { number };
        if ports.bound.contains_key(&number) {
            let reason = format!("port {number} of {} is taken", self.name);
            return Err(io::Error::new(ErrorKind::AddrInUse, reason));
        }
        ports.bound.insert(number, port);
        Ok(number)
    }

    pub(super) fn unbind(&self, number: u16) {
        self.ports.lock().bound.remove(&number);
    }
}

/// What a kernel does about an arrival, on the kernel's task because it sends in turn, which a timer's
/// wake must not do.
pub(super) enum KernelWork {
    /// A handshake for this connection came in.
    Connect(Arc<Connection>),
    /// Bytes of this connection came in that nobody at that side wants.
    Reset(Arc<Connection>, usize),
}

#[derive(Default)]
pub(super) struct Kernel {
    state: Lock<(VecDeque<KernelWork>, Option<Waker>)>,
}

impl Kernel {
    pub fn push(&self, work: KernelWork) {
        let mut state = self.state.lock();
        state.0.push_back(work);
        if let Some(task) = state.1.take() {
            task.wake();
        }
    }

    async fn next(&self) -> KernelWork {
        poll_fn(|context| {
            let mut state = self.state.lock();
            match state.0.pop_front() {
                Some(work) => Poll::Ready(work),
                None => {
                    state.1 = Some(context.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }
}

pub(in crate::sim) struct Fabric {
    pub(super) timers: Arc<Timers>,
    pub(super) trace: Trace,
    pub(super) kernel: Kernel,
    rng: Rng,
    options: LinkOptions,
    state: Lock<State>,
}

#[derive(Default)]
struct State {
    hosts: BTreeMap<Arc<str>, Arc<Host>>,
    links: BTreeMap<(u32, u32), Arc<Link>>,
    connections: BTreeMap<u64, Weak<Connection>>,
    opened: u64,
    /// Dead entries are swept when the table has grown to this size.
    sweep_at: usize,
}

impl Fabric {
    pub fn new(timers: Arc<Timers>, trace: Trace, rng: Rng, options: LinkOptions) -> Self {
        let kernel = Kernel::default();
        Fabric { timers, trace, kernel, rng, options, state: Lock::default() }
    }

    pub fn add_host(&self, name: &str) -> Arc<Host> {
        let mut state = self.state.lock();
        let host = Arc::new(Host {
            id: state.hosts.len() as u32,
            name: Arc::from(name),
            powered: AtomicBool::new(true),
            ports: Lock::new(Ports { bound: BTreeMap::new(), next: FIRST_EPHEMERAL }),
        });
        state.hosts.insert(host.name.clone(), host.clone());
        host
    }

    /// The kernels' task: runs as long as the world.
    pub async fn run_kernels(self: Arc<Self>) {
        loop {
            match self.kernel.next().await {
                KernelWork::Connect(connection) => self.accept(&connection),
                KernelWork::Reset(connection, side) => {
                    connection.refuse(side, &connection.arrivals(side));
                }
            }
        }
    }

    /// A handshake reached its host: into the backlog, or refused.
    fn accept(&self, connection: &Arc<Connection>) {
        let host = &connection.links[0].to;
        let port = host.ports.lock().bound.get(&connection.addresses[1].port).cloned();
        let arrivals = connection.arrivals(1);
        let Some(port) = port else {
            connection.refuse(1, &arrivals);
            return;
        };
        connection.set_owner(1, port.process.clone());
        let stream = SimStream::new(connection.clone(), 1, port.process.clone());
        match port.offer(stream, connection.addresses[0].clone()) {
            Ok(()) => connection.send(1, Payload::SynAck, &arrivals),
            Err(refused) => {
                connection.refuse(1, &arrivals);
                drop(refused);
            }
        }
    }

    /// Sends the handshake of a new connection to `address`, whose host is a machine's name.
    pub(super) fn connect(
        self: &Arc<Self>,
        process: Arc<Process>,
        address: Address,
    ) -> io::Result<SimStream> {
        let state = &mut *self.state.lock();
        let Some(to) = state.hosts.get(&*address.host).cloned() else {
            let reason = format!("no machine is named {}", address.host);
            return Err(io::Error::new(ErrorKind::NotFound, reason));
        };
        let from = process.host.clone();
        let own_port = Host::ephemeral(&mut from.ports.lock());
        let addresses = [Address::new(&*from.name, own_port), address];
        let links = [self.link_between(state, &from, &to), self.link_between(state, &to, &from)];
        state.opened += 1;
        let id = state.opened;
        let connection = Connection::new(id, addresses, links, self.clone(), process.clone());
        if state.connections.len() >= state.sweep_at {
            state.connections.retain(|_, connection| connection.strong_count() > 0);
            state.sweep_at = 64 + 2 * state.connections.len();
        }
        state.connections.insert(id, Arc::downgrade(&connection));
        let stream = SimStream::new(connection, 0, process);
        stream.connection().send(0, Payload::Syn, stream.arrivals());
        Ok(stream)
    }

    fn link_between(&self, state: &mut State, from: &Arc<Host>, to: &Arc<Host>) -> Arc<Link> {
        let link = state.links.entry((from.id, to.id)).or_insert_with(|| {
            let options = match from.id == to.id {
                true => LinkOptions::loopback(),
                false => self.options.clone(),
            };
            let rng = self.rng.stream(&format!("{}-{}", from.name, to.name));
            Arc::new(Link::new(from.clone(), to.clone(), options, rng))
        });
        link.clone()
    }

    pub fn link(self: &Arc<Self>, from: &Arc<Host>, to: &Arc<Host>) -> LinkControl {
        let link = self.link_between(&mut self.state.lock(), from, to);
        LinkControl { fabric: self.clone(), link }
    }

    /// Every link that was used or asked for, in the order of host ids.
    pub fn links(self: &Arc<Self>) -> Vec<LinkControl> {
        let state = self.state.lock();
        let control = |link: &Arc<Link>| LinkControl { fabric: self.clone(), link: link.clone() };
        state.links.values().map(control).collect()
    }

    /// Living connections in the order they were opened. Collected, as what is done with one may
    /// drop it.
    fn living(&self) -> Vec<Arc<Connection>> {
        self.state.lock().connections.values().filter_map(Weak::upgrade).collect()
    }

    /// The sides of connections whose packets go over `link`.
    fn over(&self, link: &Arc<Link>) -> Vec<(Arc<Connection>, usize)> {
        let sides = self
            .living()
            .into_iter()
            .flat_map(|connection| [0, 1].map(|side| (connection.clone(), side)));
        sides.filter(|(connection, side)| Arc::ptr_eq(&connection.links[*side], link)).collect()
    }

    pub(super) fn way_opened(&self, link: &Arc<Link>) {
        if !link.is_blocked() {
            for (connection, side) in self.over(link) {
                connection.schedule_retry(side);
            }
        }
    }

    pub(super) fn way_released(&self, link: &Arc<Link>) {
        for (connection, side) in self.over(link) {
            connection.release(side);
        }
    }

    pub(super) fn reset_over(&self, link: &Arc<Link>) {
        for (connection, side) in self.over(link) {
            connection.forge_reset(side);
        }
    }

    /// A process died and its kernel lives: ports are free again, peers read an end or a reset.
    pub fn close_all(&self, process: &Arc<Process>) {
        let bound = std::mem::take(&mut process.host.ports.lock().bound);
        for (connection, side) in self.owned_by(process) {
            connection.close(side, &connection.arrivals(side));
        }
        drop(bound);
    }

    /// The power went: nothing is sent, nobody is told.
    pub fn power_off(&self, host: &Arc<Host>) {
        host.powered.store(false, Ordering::Relaxed);
        let bound = std::mem::take(&mut host.ports.lock().bound);
        for connection in self.living() {
            for side in [0, 1] {
                if connection.links[side].from.id == host.id {
                    connection.lose_power(side);
                }
            }
        }
        drop(bound);
    }

    /// The machine answers again; what stalled at it meets a kernel that knows nothing of it.
    pub fn power_on(&self, host: &Arc<Host>) {
        if host.powered.swap(true, Ordering::Relaxed) {
            return;
        }
        for connection in self.living() {
            for side in [0, 1] {
                let link = &connection.links[side];
                if link.to.id == host.id && !link.is_blocked() {
                    connection.schedule_retry(side);
                }
            }
        }
    }

    /// Lets go of listeners and unfinished work, which hold the fabric, at the end of the world.
    pub fn let_go(&self) {
        self.kernel.state.lock().0.clear();
        let hosts: Vec<Arc<Host>> = self.state.lock().hosts.values().cloned().collect();
        for host in hosts {
            let bound = std::mem::take(&mut host.ports.lock().bound);
            drop(bound);
        }
    }

    fn owned_by(&self, process: &Arc<Process>) -> Vec<(Arc<Connection>, usize)> {
        let mut owned = Vec::new();
        for connection in self.living() {
            for side in [0, 1] {
                if connection.is_owned_by(side, process) {
                    owned.push((connection.clone(), side));
                }
            }
        }
        owned
    }
}
