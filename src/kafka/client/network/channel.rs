//! One connection to one broker: bytes in and out, frames, and what is in flight on it.

use std::{
    collections::VecDeque,
    io,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use bytes::{Buf, Bytes};
use tokio::io::AsyncWrite;

use super::versions::BrokerVersions;
use crate::{
    env::{Address, BoxFuture, Instant, Stream},
    kafka::protocol::frame::FrameReader,
};

/// Nothing larger than this is a frame of ours; a broker that sends one speaks another protocol.
const LARGEST_FRAME: usize = 512 << 20;

/// Whether all bytes of a request were handed to the network. If not, no broker has read it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Left {
    Yes,
    No,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum FailureCause {
    /// The connection ended before the answer.
    Disconnected,
    /// No answer within the request's timeout; the connection was closed for it.
    TimedOut,
    /// No version of the request in common with the broker.
    UnsupportedVersion,
}

/// A request without an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Failure {
    pub(crate) cause: FailureCause,
    pub(crate) left: Left,
}

pub(super) struct InFlight<C> {
    pub(super) correlation: i32,
    pub(super) version: i16,
    pub(super) response_header_version: i16,
    /// `None` for the connection's own ApiVersions request.
    pub(super) context: Option<C>,
    pub(super) deadline: Instant,
    /// Stream position just behind the request's frame.
    pub(super) end: u64,
}

/// An established connection.
pub(super) struct Wire {
    stream: Stream,
    inbound: FrameReader,
    outbound: VecDeque<Bytes>,
    /// Bytes ever queued, and of those accepted by the stream.
    queued: u64,
    written: u64,
    /// `None` until the broker has answered ApiVersions.
    pub(super) versions: Option<BrokerVersions>,
}

impl Wire {
    pub(super) fn new(stream: Stream) -> Self {
        Wire {
            stream,
            inbound: FrameReader::new(LARGEST_FRAME),
            outbound: VecDeque::new(),
            queued: 0,
            written: 0,
            versions: None,
        }
    }

    /// Queues a frame and returns the stream position behind it.
    pub(super) fn queue(&mut self, frame: Bytes) -> u64 {
        self.queued += frame.len() as u64;
        self.outbound.push_back(frame);
        self.queued
    }

    /// Writes what the stream takes.
    pub(super) fn flush(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        while let Some(chunk) = self.outbound.front_mut() {
            match Pin::new(&mut self.stream).poll_write(cx, chunk) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(count)) => {
                    self.written += count as u64;
                    chunk.advance(count);
                    if chunk.is_empty() {
                        self.outbound.pop_front();
                    }
                }
                Poll::Ready(Err(error)) => return Err(error),
            }
        }
        // Real sockets need no flush; a buffering stream would.
        match Pin::new(&mut self.stream).poll_flush(cx) {
            Poll::Ready(Err(error)) => Err(error),
            _ => Ok(()),
        }
    }

    pub(super) fn has_left(&self, end: u64) -> Left {
        if self.written >= end { Left::Yes } else { Left::No }
    }

    /// The next whole frame, without its length; `Pending` until there is one.
    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        let next = pin!(self.inbound.next(&mut self.stream)).poll(cx);
        next.map(|read| match read {
            Ok(Some(frame)) => Ok(frame),
            Ok(None) => Err(io::ErrorKind::UnexpectedEof.into()),
            Err(error) => Err(io::Error::new(io::ErrorKind::InvalidData, error)),
        })
    }
}

/// Tells which connection has news, so that the others need not be asked: a client is woken for each
/// packet, and most of its connections are idle then.
pub(super) struct Bell {
    rung: AtomicBool,
    task: Mutex<Waker>,
}

impl Bell {
    fn new() -> Arc<Self> {
        Arc::new(Bell { rung: AtomicBool::new(true), task: Mutex::new(Waker::noop().clone()) })
    }

    fn answered_by(&self, task: &Waker) {
        self.task.lock().expect("no panic while it is locked").clone_from(task);
    }

    fn take(&self) -> bool {
        self.rung.swap(false, Ordering::AcqRel)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rung.store(true, Ordering::Release);
        let task = self.task.lock().expect("no panic while it is locked").clone();
        task.wake();
    }
}

pub(super) enum State {
    Idle,
    Connecting { attempt: BoxFuture<'static, io::Result<Stream>>, deadline: Instant },
    Connected(Wire),
}

/// A node's address with its connection, if there is one.
pub(super) struct Channel<C> {
    pub(super) address: Address,
    pub(super) state: State,
    /// Connection attempts that failed, and connections lost, since one was last ready.
    pub(super) failures: u32,
    /// No new attempt before this instant.
    pub(super) retry_at: Instant,
    pub(super) in_flight: VecDeque<InFlight<C>>,
    bell: Arc<Bell>,
    /// Rings it.
    waker: Waker,
}

impl<C> Channel<C> {
    /// `task` is who polls the channel.
    pub(super) fn new(address: Address, task: &Waker) -> Self {
        let bell = Bell::new();
        bell.answered_by(task);
        Channel {
            waker: Waker::from(Arc::clone(&bell)),
            bell,
            address,
            state: State::Idle,
            failures: 0,
            retry_at: Instant::default(),
            in_flight: VecDeque::new(),
        }
    }

    pub(super) fn set_task(&self, task: &Waker) {
        self.bell.answered_by(task);
    }

    /// Wakes the polling task for this channel.
    pub(super) fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// Whether there may be news since the last call.
    pub(super) fn take_news(&self) -> bool {
        self.bell.take()
    }

    pub(super) fn is_ready(&self) -> bool {
        matches!(&self.state, State::Connected(wire) if wire.versions.is_some())
    }

    /// The earliest instant at which waiting longer is pointless.
    pub(super) fn deadline(&self) -> Instant {
        match &self.state {
            State::Idle => Instant::FAR_FUTURE,
            State::Connecting { deadline, .. } => *deadline,
            State::Connected(_) => {
                // Timeouts differ by request (JoinGroup waits for a whole rebalance), so the oldest
                // request is not always the first to expire.
                let deadlines = self.in_flight.iter().map(|request| request.deadline);
                deadlines.min().unwrap_or(Instant::FAR_FUTURE)
            }
        }
    }
}
