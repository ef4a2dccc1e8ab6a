//! One connection: two queues of bytes, and what travels beside them.
//!
//! Each direction keeps all its bytes, readable ones first and those on the way behind, in one buffer:
//! a byte is copied once in and once out, and an arrival only moves the border. The segments on the way
//! stand beside the buffer, each with one timer; as they arrive in order, the n-th timer of a direction
//! is the n-th segment's, whatever happened in between.
//!
//! Invariants of a direction:
//! - `buffer.len()` = `readable` + the sum of `Data` segments in `flight`;
//! - the first `stalled` segments of `flight` have met a blocked way and wait for a retry; all behind
//!   them still have their timer to come;
//! - after the receiving end closed nothing is readable, and bytes that arrive are answered with a reset;
//! - what lay unread when a reset came is read before it, and nothing that arrives later is.

use std::{
    collections::VecDeque,
    io::{self, ErrorKind, IoSlice},
    sync::{Arc, Weak},
    task::{Context, Poll, Wake, Waker},
};

use tokio::io::ReadBuf;

use super::{
    fabric::{Fabric, KernelWork},
    link::Link,
};
use crate::{
    env::Address,
    sim::{
        lock::Lock,
        machine::Process,
        trace::{Event, fingerprint},
    },
};

/// Bytes a direction holds before its writer waits: 64 KiB of the sender's buffer and as much of the
/// receiver's.
pub(super) const CAPACITY: usize = 128 * 1024;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Payload {
    Syn,
    SynAck,
    Data(u32),
    Fin,
    Reset,
    /// Died with its sender's power. Its timer may still come.
    Lost,
}

impl Payload {
    fn bytes(self) -> usize {
        match self {
            Payload::Data(bytes) => bytes as usize,
            _ => 0,
        }
    }

    fn code(self) -> u64 {
        match self {
            Payload::Data(bytes) => u64::from(bytes),
            Payload::Syn => 1 << 32,
            Payload::SynAck => 2 << 32,
            Payload::Fin => 3 << 32,
            Payload::Reset => 4 << 32,
            Payload::Lost => 5 << 32,
        }
    }
}

struct Segment {
    payload: Payload,
    sent: u64,
    due: u64,
}

/// What becomes of bytes at the receiving end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Receiver {
    Open,
    /// The process closed it; the kernel waits for the other end's, and answers bytes with a reset.
    Closed,
    /// The kernel knows no such connection, and answers bytes and an end with a reset.
    Unknown,
    /// Closed or unknown, and the other side has been told.
    Silent,
}

struct Direction {
    buffer: VecDeque<u8>,
    readable: usize,
    flight: VecDeque<Segment>,
    last_due: u64,
    stalled: usize,
    /// When the first of the stalled segments should have arrived.
    stalled_since: u64,
    retry_set: bool,
    finished: bool,
    end_of_file: bool,
    receiver: Receiver,
    read_error: Option<ErrorKind>,
    write_error: Option<ErrorKind>,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Direction {
    fn new() -> Self {
        Direction {
            buffer: VecDeque::new(),
            readable: 0,
            flight: VecDeque::new(),
            last_due: 0,
            stalled: 0,
            stalled_since: 0,
            retry_set: false,
            finished: false,
            end_of_file: false,
            receiver: Receiver::Open,
            read_error: None,
            write_error: None,
            reader: None,
            writer: None,
        }
    }

    fn wake_reader(&mut self) {
        if let Some(waker) = self.reader.take() {
            waker.wake();
        }
    }

    fn wake_writer(&mut self) {
        if let Some(waker) = self.writer.take() {
            waker.wake();
        }
    }

    fn drop_readable(&mut self) {
        self.buffer.drain(..self.readable);
        self.readable = 0;
    }

    /// Forgets segments from `first` on: their bytes go, their timers find nothing.
    fn lose_from(&mut self, first: usize) {
        let lost: usize = self.flight.range(first..).map(|segment| segment.payload.bytes()).sum();
        self.buffer.truncate(self.buffer.len() - lost);
        for segment in self.flight.range_mut(first..) {
            segment.payload = Payload::Lost;
        }
    }
}

pub(super) struct Connection {
    pub id: u64,
    /// Of the connecting side and of the accepting side.
    pub addresses: [Address; 2],
    /// `links[side]` leads away from that side.
    pub links: [Arc<Link>; 2],
    fabric: Arc<Fabric>,
    /// For work that outlives the packet that caused it.
    itself: Weak<Connection>,
    state: Lock<State>,
}

struct State {
    established: bool,
    owners: [Option<Arc<Process>>; 2],
    /// `directions[side]` carries what that side sends.
    directions: [Direction; 2],
}

/// The timers of one direction wake this.
pub(super) struct Arrival {
    connection: Arc<Connection>,
    direction: usize,
}

impl Wake for Arrival {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.connection.arrive(self.direction);
    }
}

/// A repetition of stalled segments.
struct Retry {
    connection: Arc<Connection>,
    direction: usize,
}

impl Wake for Retry {
    fn wake(self: Arc<Self>) {
        self.connection.retry(self.direction);
    }
}

impl Connection {
    pub fn new(
        id: u64,
        addresses: [Address; 2],
        links: [Arc<Link>; 2],
        fabric: Arc<Fabric>,
        client: Arc<Process>,
    ) -> Arc<Self> {
        let state = State {
            established: false,
            owners: [Some(client), None],
            directions: [Direction::new(), Direction::new()],
        };
        let state = Lock::new(state);
        Arc::new_cyclic(|itself| Connection {
            id,
            addresses,
            links,
            fabric,
            itself: itself.clone(),
            state,
        })
    }

    /// The waker for timers of what `side` sends.
    pub fn arrivals(self: &Arc<Self>, side: usize) -> Waker {
        Waker::from(Arc::new(Arrival { connection: self.clone(), direction: side }))
    }

    pub fn set_owner(&self, side: usize, owner: Arc<Process>) {
        self.state.lock().owners[side] = Some(owner);
    }

    pub fn is_owned_by(&self, side: usize, process: &Arc<Process>) -> bool {
        self.state.lock().owners[side].as_ref().is_some_and(|owner| Arc::ptr_eq(owner, process))
    }

    /// Sends something that is not data.
    pub fn send(&self, side: usize, payload: Payload, arrivals: &Waker) {
        self.put(&mut self.state.lock().directions[side], side, payload, arrivals);
    }

    /// A segment goes onto the link.
    fn put(&self, direction: &mut Direction, side: usize, payload: Payload, arrivals: &Waker) {
        let timers = &self.fabric.timers;
        let now = timers.now();
        let passage = self.links[side].pass(now, HEADER_BYTES + payload.bytes() as u64);
        let due = passage.due.max(direction.last_due + 1).max(now + 1);
        direction.last_due = due;
        direction.flight.push_back(Segment { payload, sent: passage.sent, due });
        timers.wake_at(due, arrivals);
    }

    /// A timer of `direction` came: its next segment is there. Runs under madsim's timer lock.
    fn arrive(&self, side: usize) {
        let state = &mut *self.state.lock();
        let direction = &mut state.directions[side];
        let due = direction.flight[direction.stalled].due;
        if direction.stalled > 0 || self.links[side].is_blocked() {
            if direction.stalled == 0 {
                direction.stalled_since = due;
            }
            direction.stalled += 1;
            self.fabric.trace.record(due, Event::Stalled, self.id, side as u64, 0);
        } else {
            self.deliver(state, side, due);
        }
    }

    /// Takes the first segment off the way of `side`'s packets.
    fn deliver(&self, state: &mut State, side: usize, time: u64) {
        let direction = &mut state.directions[side];
        let segment = direction.flight.pop_front().expect("a delivery has its segment");
        let payload = segment.payload;
        self.fabric.trace.record(time, Event::Delivered, self.id, side as u64, payload.code());
        match payload {
            Payload::Syn => self.defer(KernelWork::Connect),
            Payload::SynAck => {
                state.established = true;
                direction.wake_reader();
            }
            Payload::Data(bytes) if direction.receiver == Receiver::Open => {
                direction.readable += bytes as usize;
                direction.wake_reader();
            }
            Payload::Data(bytes) => {
                let unread = direction.readable;
                direction.buffer.drain(unread..unread + bytes as usize);
                direction.wake_writer();
                if direction.receiver != Receiver::Silent {
                    self.answer_with_reset(direction, side);
                }
            }
            Payload::Fin => match direction.receiver {
                Receiver::Open => {
                    direction.end_of_file = true;
                    direction.wake_reader();
                }
                Receiver::Unknown => self.answer_with_reset(direction, side),
                Receiver::Closed | Receiver::Silent => {}
            },
            Payload::Reset => Self::break_end(state, side),
            Payload::Lost => {}
        }
    }

    /// The receiver of `side`'s packets tells that side, once.
    fn answer_with_reset(&self, direction: &mut Direction, side: usize) {
        direction.receiver = Receiver::Silent;
        self.defer(|connection| KernelWork::Reset(connection, 1 - side));
    }

    /// Leaves something to the kernels' task: a timer's wake must not send.
    fn defer(&self, work: impl FnOnce(Arc<Connection>) -> KernelWork) {
        if let Some(connection) = self.itself.upgrade() {
            self.fabric.kernel.push(work(connection));
        }
    }

    /// The receiver of `side`'s packets learns that the connection is gone.
    fn break_end(state: &mut State, side: usize) {
        let refused = side == 1 && !state.established;
        let kind = if refused { ErrorKind::ConnectionRefused } else { ErrorKind::ConnectionReset };
        let inbound = &mut state.directions[side];
        inbound.read_error.get_or_insert(kind);
        inbound.receiver = Receiver::Silent;
        inbound.wake_reader();
        // As Linux has it: who was told of the end writes into a broken pipe.
        let kind = if inbound.end_of_file { ErrorKind::BrokenPipe } else { kind };
        let outbound = &mut state.directions[1 - side];
        outbound.write_error.get_or_insert(kind);
        outbound.wake_writer();
    }

    /// Stalled segments are repeated, and get through or not. Runs under madsim's timer lock.
    fn retry(&self, side: usize) {
        let state = &mut *self.state.lock();
        state.directions[side].retry_set = false;
        if self.links[side].is_blocked() {
            return;
        }
        let mut waiting = std::mem::take(&mut state.directions[side].stalled);
        while waiting > 0 {
            let due = state.directions[side].flight[0].due;
            self.deliver(state, side, due);
            waiting -= 1;
        }
    }

    /// The way of `side`'s packets is open again after a cut: TCP repeats at its next retry.
    pub fn schedule_retry(self: &Arc<Self>, side: usize) {
        let direction = &mut self.state.lock().directions[side];
        if direction.stalled == 0 || direction.retry_set {
            return;
        }
        direction.retry_set = true;
        let retry = self.links[side].next_retry(direction.stalled_since, self.fabric.timers.now());
        let waker = Waker::from(Arc::new(Retry { connection: self.clone(), direction: side }));
        self.fabric.timers.wake_at(retry, &waker);
    }

    /// The way of `side`'s packets was released: what waited is there.
    pub fn release(&self, side: usize) {
        self.retry(side);
    }

    /// The connecting side's view of the handshake.
    pub fn poll_established(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let state = &mut *self.state.lock();
        let inbound = &mut state.directions[1];
        match inbound.read_error {
            Some(kind) => Poll::Ready(Err(io::Error::new(kind, "nobody listens there"))),
            None if state.established => Poll::Ready(Ok(())),
            None => {
                inbound.reader = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    pub fn poll_read(
        &self,
        side: usize,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let state = &mut *self.state.lock();
        let inbound = &mut state.directions[1 - side];
        if inbound.readable > 0 {
            let bytes = inbound.readable.min(into.remaining());
            let (front, back) = inbound.buffer.as_slices();
            let from_front = bytes.min(front.len());
            into.put_slice(&front[..from_front]);
            into.put_slice(&back[..bytes - from_front]);
            inbound.buffer.drain(..bytes);
            inbound.readable -= bytes;
            self.make_room(inbound, side);
            return Poll::Ready(Ok(()));
        }
        // After an end of file reads go on to say so, even if a reset follows.
        if inbound.end_of_file {
            return Poll::Ready(Ok(()));
        }
        if let Some(kind) = inbound.read_error {
            return Poll::Ready(Err(kind.into()));
        }
        match &mut inbound.reader {
            Some(waker) => waker.clone_from(context.waker()),
            none => *none = Some(context.waker().clone()),
        }
        Poll::Pending
    }

    /// A waiting writer hears of room after the way back, and only of room worth waking up for.
    fn make_room(&self, inbound: &mut Direction, reader: usize) {
        if inbound.writer.is_some()
            && CAPACITY - inbound.buffer.len() >= CAPACITY / 4
            && let Some(writer) = inbound.writer.take()
        {
            let now = self.fabric.timers.now();
            let delay = self.links[reader].shortest_latency();
            self.fabric.timers.wake_at(now + delay, &writer);
        }
    }

    pub fn poll_write(
        &self,
        side: usize,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
        arrivals: &Waker,
    ) -> Poll<io::Result<usize>> {
        let state = &mut *self.state.lock();
        let outbound = &mut state.directions[side];
        if let Some(kind) = outbound.write_error {
            return Poll::Ready(Err(kind.into()));
        }
        if outbound.finished {
            return Poll::Ready(Err(ErrorKind::BrokenPipe.into()));
        }
        let mut room = CAPACITY - outbound.buffer.len();
        if room == 0 {
            match &mut outbound.writer {
                Some(waker) => waker.clone_from(context.waker()),
                none => *none = Some(context.waker().clone()),
            }
            return Poll::Pending;
        }
        let mut written = 0;
        let mut content = 0;
        for part in parts {
            let taken = &part[..room.min(part.len())];
            outbound.buffer.extend(taken);
            content = fingerprint(taken) ^ u64::rotate_left(content, 1);
            written += taken.len();
            room -= taken.len();
        }
        if written > 0 {
            let now = self.fabric.timers.now();
            let end = (self.id << 1) | side as u64;
            self.fabric.trace.record(now, Event::Sent, end, written as u64, content);
            match self.links[side].split(written) {
                None => self.put(outbound, side, Payload::Data(written as u32), arrivals),
                Some(first) => {
                    self.put(outbound, side, Payload::Data(first as u32), arrivals);
                    self.put(outbound, side, Payload::Data((written - first) as u32), arrivals);
                }
            }
        }
        Poll::Ready(Ok(written))
    }

    /// No more bytes from `side`; the other direction stays.
    pub fn finish(&self, side: usize, arrivals: &Waker) -> io::Result<()> {
        let outbound = &mut self.state.lock().directions[side];
        if let Some(kind) = outbound.write_error {
            return Err(kind.into());
        }
        if !outbound.finished {
            outbound.finished = true;
            self.put(outbound, side, Payload::Fin, arrivals);
        }
        Ok(())
    }

    /// The process at `side` lets go of the connection, or the kernel does it for a killed one: an end
    /// of file goes out, or a reset if bytes lay unread.
    pub fn close(&self, side: usize, arrivals: &Waker) {
        let state = &mut *self.state.lock();
        state.owners[side] = None;
        let [outbound, inbound] = ends(&mut state.directions, side);
        outbound.writer = None;
        inbound.reader = None;
        let unread = inbound.readable > 0;
        inbound.drop_readable();
        match inbound.receiver {
            Receiver::Open => inbound.receiver = Receiver::Closed,
            Receiver::Closed | Receiver::Unknown | Receiver::Silent => return,
        }
        let given_up = side == 0 && !state.established;
        if given_up {
            // A connect that is given up is not repeated.
            let stalled = outbound.stalled;
            for segment in outbound.flight.range_mut(..stalled) {
                segment.payload = Payload::Lost;
            }
        }
        if unread || given_up {
            inbound.receiver = Receiver::Silent;
            outbound.finished = true;
            self.put(outbound, side, Payload::Reset, arrivals);
        } else if !outbound.finished {
            outbound.finished = true;
            self.put(outbound, side, Payload::Fin, arrivals);
        }
    }

    /// The machine at `side` lost power: what it had not sent is gone, and nobody is told.
    pub fn lose_power(&self, side: usize) {
        let state = &mut *self.state.lock();
        state.owners[side] = None;
        let [outbound, inbound] = ends(&mut state.directions, side);
        let now = self.fabric.timers.now();
        // Behind a gap nothing is of use to the receiver.
        let first = match outbound.stalled {
            0 => outbound.flight.partition_point(|segment| segment.sent <= now),
            _ => 0,
        };
        outbound.lose_from(first);
        outbound.writer = None;
        outbound.finished = true;
        inbound.reader = None;
        inbound.drop_readable();
        // A powerless machine answers nothing (its links are blocked); after a start, a reset.
        inbound.receiver = Receiver::Unknown;
    }

    /// The kernel at `side` says that it knows no such connection.
    pub fn refuse(&self, side: usize, arrivals: &Waker) {
        let state = &mut *self.state.lock();
        state.directions[1 - side].receiver = Receiver::Silent;
        self.put(&mut state.directions[side], side, Payload::Reset, arrivals);
    }

    /// A reset out of nowhere reaches the receiver of `side`'s packets, whose kernel then knows the
    /// connection no more.
    pub fn forge_reset(&self, side: usize) {
        let state = &mut *self.state.lock();
        Self::break_end(state, side);
        state.directions[side].receiver = Receiver::Unknown;
    }
}

/// What a packet weighs beside its bytes, for bandwidth: Ethernet, IP and TCP headers.
const HEADER_BYTES: u64 = 66;

/// The directions that leave and reach `side`.
fn ends(directions: &mut [Direction; 2], side: usize) -> [&mut Direction; 2] {
    let [first, second] = directions;
    if side == 0 { [first, second] } else { [second, first] }
}
