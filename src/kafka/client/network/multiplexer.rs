//! All connections of one client: who can be reached, what was sent, what came back.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use kafka_protocol::{
    ResponseError,
    messages::{ApiVersionsRequest, ApiVersionsResponse, ResponseHeader},
    protocol::{Decodable, HeaderVersion, Request, StrBytes},
};
use rand_chacha::ChaCha8Rng;

use super::{
    channel::{Channel, Failure, FailureCause, InFlight, Left, State, Wire},
    versions::BrokerVersions,
};
use crate::{
    env::{Address, Instant, Network, Stream},
    kafka::{client::retry::Backoff, protocol::message::encode_request, types::BrokerId},
};

/// Whom a connection is for. The group coordinator has a connection of its own, as in Kafka, so that a
/// heartbeat never queues behind a long-polling fetch to the same broker.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum NodeKey {
    Bootstrap(usize),
    Broker(BrokerId),
    Coordinator(BrokerId),
}

#[derive(Clone, Debug)]
pub(crate) struct NetworkConfig {
    pub(crate) client_id: String,
    pub(crate) reconnect: Backoff,
    /// `socket.connection.setup.timeout.ms`; its growth with repeated failures is left out.
    pub(crate) setup_timeout: Duration,
    pub(crate) request_timeout: Duration,
    /// `max.in.flight.requests.per.connection`.
    pub(crate) max_in_flight: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Readiness {
    Ready,
    Connecting,
    /// Unreachable just before; a new attempt is made at this instant at the earliest.
    BackingOff(Instant),
}

/// What became of a request.
#[derive(Debug)]
pub(crate) enum Answer {
    Response {
        version: i16,
        body: Bytes,
    },
    /// The request asks for no response (`acks = 0`) and all of it was written.
    NoneExpected,
    Failed(Failure),
}

/// Something that happened on the network since the last look.
pub(crate) enum NetworkEvent<C> {
    Ready,
    Lost,
    Answered(C, Answer),
}

/// Whether the broker answers a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Expect {
    Response,
    Nothing,
}

pub(crate) struct NetworkClient<C> {
    network: Arc<dyn Network>,
    config: NetworkConfig,
    rng: ChaCha8Rng,
    channels: BTreeMap<NodeKey, Channel<C>>,
    correlation: i32,
    events: VecDeque<NetworkEvent<C>>,
    /// The task that polls, so that bytes written by others are followed up by it.
    waker: Waker,
}

impl<C> NetworkClient<C> {
    pub(crate) fn new(network: Arc<dyn Network>, config: NetworkConfig, rng: ChaCha8Rng) -> Self {
        NetworkClient {
            network,
            config,
            rng,
            channels: BTreeMap::new(),
            correlation: 0,
            events: VecDeque::new(),
            waker: Waker::noop().clone(),
        }
    }

    pub(crate) fn config(&self) -> &NetworkConfig {
        &self.config
    }

    /// Makes the node known, or moves it to a new address, which ends its old connection.
    pub(crate) fn set_node(&mut self, node: NodeKey, address: &Address, now: Instant) {
        if self.channels.get(&node).is_some_and(|channel| channel.address != *address) {
            self.remove_node(node, now);
        }
        let task = &self.waker;
        self.channels.entry(node).or_insert_with(|| Channel::new(address.clone(), task));
    }

    pub(crate) fn remove_node(&mut self, node: NodeKey, now: Instant) {
        self.disconnect(node, FailureCause::Disconnected, now);
        self.channels.remove(&node);
    }

    pub(crate) fn nodes(&self) -> impl Iterator<Item = NodeKey> + '_ {
        self.channels.keys().copied()
    }

    pub(crate) fn in_flight(&self, node: NodeKey) -> usize {
        self.channels.get(&node).map_or(0, |channel| channel.in_flight.len())
    }

    pub(crate) fn has_in_flight(&self) -> bool {
        self.channels.values().any(|channel| !channel.in_flight.is_empty())
    }

    /// Whether a request could be sent at once, without starting a connection.
    pub(crate) fn can_send(&self, node: NodeKey) -> bool {
        self.channels.get(&node).is_some_and(|channel| {
            channel.is_ready() && channel.in_flight.len() < self.config.max_in_flight
        })
    }

    /// Lost and in its reconnect backoff.
    pub(crate) fn is_unavailable(&self, node: NodeKey, now: Instant) -> bool {
        self.channels.get(&node).is_none_or(|channel| {
            matches!(channel.state, State::Idle) && channel.failures > 0 && channel.retry_at > now
        })
    }

    /// Says whether the node can be used, and starts connecting if it may.
    pub(crate) fn ready(&mut self, node: NodeKey, now: Instant) -> Readiness {
        let Some(channel) = self.channels.get_mut(&node) else {
            return Readiness::BackingOff(Instant::FAR_FUTURE);
        };
        match channel.state {
            State::Connected(_) if channel.is_ready() => Readiness::Ready,
            State::Connected(_) | State::Connecting { .. } => Readiness::Connecting,
            State::Idle if channel.retry_at > now => Readiness::BackingOff(channel.retry_at),
            State::Idle => {
                let attempt = self.network.connect(channel.address.clone());
                channel.state =
                    State::Connecting { attempt, deadline: now + self.config.setup_timeout };
                // The attempt must be polled by the task that reads, so that it is woken.
                channel.waker().wake();
                Readiness::Connecting
            }
        }
    }

    /// The node among `candidates` with the least to do: ready ones by requests in flight, else one that
    /// is connecting, else one that may be tried (`NetworkClient.leastLoadedNode`). The search starts at
    /// a random place, so that clients spread.
    pub(crate) fn least_loaded(&mut self, candidates: &[NodeKey], now: Instant) -> Option<NodeKey> {
        if candidates.is_empty() {
            return None;
        }
        let start = rand::RngExt::random_range(&mut self.rng, 0..candidates.len());
        let rotated = candidates[start..].iter().chain(&candidates[..start]);
        rotated
            .filter_map(|node| {
                let channel = self.channels.get(node)?;
                let rank = match channel.state {
                    State::Connected(_) if self.can_send(*node) => (0, channel.in_flight.len()),
                    State::Connected(_) if channel.is_ready() => return None,
                    State::Connected(_) | State::Connecting { .. } => (1, 0),
                    State::Idle if channel.retry_at <= now => (2, 0),
                    State::Idle => return None,
                };
                Some((rank, *node))
            })
            .min_by_key(|(rank, _)| *rank)
            .map(|(_, node)| node)
    }

    /// Whether one of them is connected, connecting, or may be tried now.
    pub(crate) fn is_any_available(&self, candidates: &[NodeKey], now: Instant) -> bool {
        candidates
            .iter()
            .filter_map(|node| self.channels.get(node))
            .any(|channel| !matches!(channel.state, State::Idle) || channel.retry_at <= now)
    }

    /// Sends to a node that [`Self::can_send`]. `build` gets the version both sides know. Without one, or
    /// if the connection breaks, the failure arrives as an event like any other.
    pub(crate) fn send<R: Request>(
        &mut self,
        node: NodeKey,
        build: impl FnOnce(i16) -> R,
        expect: Expect,
        context: C,
        deadline: Instant,
    ) {
        let versions = self.channels.get(&node).and_then(|channel| match &channel.state {
            State::Connected(wire) => wire.versions.as_ref(),
            _ => None,
        });
        let Some(version) =
            versions.and_then(|versions| versions.highest_common(R::KEY, R::VERSIONS))
        else {
            let cause = match versions {
                Some(_) => FailureCause::UnsupportedVersion,
                None => FailureCause::Disconnected,
            };
            let failed = Answer::Failed(Failure { cause, left: Left::No });
            self.events.push_back(NetworkEvent::Answered(context, failed));
            self.waker.wake_by_ref();
            return;
        };
        let body = build(version);
        self.transmit(node, &body, version, expect, Some(context), deadline);
    }

    fn transmit<R: Request>(
        &mut self,
        node: NodeKey,
        body: &R,
        version: i16,
        expect: Expect,
        context: Option<C>,
        deadline: Instant,
    ) {
        self.correlation = self.correlation.wrapping_add(1) & i32::MAX;
        let frame = encode_request(self.correlation, &self.config.client_id, version, body)
            .expect("a body is built for its version, and bounded by max.request.size")
            .freeze();
        let channel = self.channels.get_mut(&node).expect("checked by the caller");
        let waker = channel.waker();
        let State::Connected(wire) = &mut channel.state else {
            unreachable!("checked by the caller")
        };
        let end = wire.queue(frame);
        let written = wire.flush(&mut Context::from_waker(&waker));
        if expect == Expect::Nothing && written.is_ok() {
            // Kafka completes such a request when its last byte is written; what a full socket buffer
            // still holds is taken as written, which is as weak a promise as `acks = 0` makes.
            if let Some(context) = context {
                self.events.push_back(NetworkEvent::Answered(context, Answer::NoneExpected));
                self.waker.wake_by_ref();
            }
            return;
        }
        channel.in_flight.push_back(InFlight {
            correlation: self.correlation,
            version,
            response_header_version: R::Response::header_version(version),
            context,
            deadline,
            end,
        });
        if written.is_err() {
            // The reading task meets the same error and fails all that is in flight in order.
            waker.wake();
        }
    }

    pub(crate) fn next_event(&mut self) -> Option<NetworkEvent<C>> {
        self.events.pop_front()
    }

    /// The earliest timeout of a request or of a connection attempt.
    pub(crate) fn next_deadline(&self) -> Instant {
        self.channels.values().map(Channel::deadline).min().unwrap_or(Instant::FAR_FUTURE)
    }

    /// Moves bytes both ways, completes and times out connections and requests. What happened is in
    /// [`Self::next_event`].
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, now: Instant) {
        if !self.waker.will_wake(cx.waker()) {
            self.waker = cx.waker().clone();
            self.channels.values().for_each(|channel| channel.set_task(&self.waker));
        }
        let news = |channel: &Channel<C>| channel.take_news() || channel.deadline() <= now;
        let with_news = self.channels.iter().filter(|(_, channel)| news(channel));
        let nodes: Vec<NodeKey> = with_news.map(|(node, _)| *node).collect();
        for node in nodes {
            self.poll_node(node, now);
        }
    }

    fn poll_node(&mut self, node: NodeKey, now: Instant) {
        let Some(channel) = self.channels.get_mut(&node) else { return };
        let expired = channel.deadline() <= now;
        let waker = channel.waker();
        let cx = &mut Context::from_waker(&waker);
        match &mut channel.state {
            State::Idle => {}
            State::Connecting { attempt, .. } => match attempt.as_mut().poll(cx) {
                Poll::Ready(Ok(stream)) => {
                    self.established(node, stream, now);
                    self.poll_connected(cx, node, now);
                }
                Poll::Ready(Err(_)) => self.disconnect(node, FailureCause::Disconnected, now),
                Poll::Pending if expired => self.disconnect(node, FailureCause::TimedOut, now),
                Poll::Pending => {}
            },
            State::Connected(_) => {
                self.poll_connected(cx, node, now);
                let channel = self.channels.get(&node);
                if channel.is_some_and(|channel| channel.deadline() <= now) {
                    self.disconnect(node, FailureCause::TimedOut, now);
                }
            }
        }
    }

    /// Asks for the broker's versions; the node is ready when they are known.
    fn established(&mut self, node: NodeKey, stream: Stream, now: Instant) {
        let channel = self.channels.get_mut(&node).expect("the node that is polled");
        channel.state = State::Connected(Wire::new(stream));
        let deadline = now + self.config.request_timeout;
        let request = ApiVersionsRequest::default()
            .with_client_software_name(StrBytes::from_static_str("retrial"))
            .with_client_software_version(StrBytes::from_static_str(env!("CARGO_PKG_VERSION")));
        self.transmit(node, &request, 3, Expect::Response, None, deadline);
    }

    fn poll_connected(&mut self, cx: &mut Context<'_>, node: NodeKey, now: Instant) {
        loop {
            let Some(channel) = self.channels.get_mut(&node) else { return };
            let State::Connected(wire) = &mut channel.state else { return };
            let read = match wire.flush(cx) {
                Ok(()) => wire.poll_frame(cx),
                Err(error) => Poll::Ready(Err(error)),
            };
            let handled = match read {
                Poll::Pending => return,
                Poll::Ready(Ok(frame)) => self.receive(node, frame, now),
                Poll::Ready(Err(error)) => Err(error),
            };
            if handled.is_err() {
                self.disconnect(node, FailureCause::Disconnected, now);
                return;
            }
        }
    }

    /// Matches a frame with the oldest request in flight; brokers answer in order.
    fn receive(&mut self, node: NodeKey, mut frame: Bytes, now: Instant) -> io::Result<()> {
        let invalid = |text: &'static str| io::Error::new(io::ErrorKind::InvalidData, text);
        let channel = self.channels.get_mut(&node).expect("the node that is polled");
        let request =
            channel.in_flight.pop_front().ok_or_else(|| invalid("an answer to no request"))?;
        let header = ResponseHeader::decode(&mut frame, request.response_header_version)
            .map_err(|_| invalid("unreadable response header"))?;
        if header.correlation_id != request.correlation {
            channel.in_flight.push_front(request);
            return Err(invalid("an answer to another request"));
        }
        match request.context {
            Some(context) => {
                let answer = Answer::Response { version: request.version, body: frame };
                self.events.push_back(NetworkEvent::Answered(context, answer));
                Ok(())
            }
            None => self.learn_versions(node, frame, request.version, now),
        }
    }

    fn learn_versions(
        &mut self,
        node: NodeKey,
        mut body: Bytes,
        version: i16,
        now: Instant,
    ) -> io::Result<()> {
        let code = body.first_chunk::<2>().map(|code| i16::from_be_bytes(*code));
        if version > 0 && code == Some(ResponseError::UnsupportedVersion.code()) {
            // An older broker answers in version 0 whatever was asked.
            let deadline = now + self.config.request_timeout;
            let request = ApiVersionsRequest::default();
            self.transmit(node, &request, 0, Expect::Response, None, deadline);
            return Ok(());
        }
        let response = ApiVersionsResponse::decode(&mut body, version)
            .map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
        let channel = self.channels.get_mut(&node).expect("the node that is polled");
        if let State::Connected(wire) = &mut channel.state {
            wire.versions = Some(BrokerVersions::from_response(&response));
        }
        channel.failures = 0;
        self.events.push_back(NetworkEvent::Ready);
        Ok(())
    }

    /// Closes the connection; all in flight on it fails, in order, and the reconnect backoff starts.
    pub(crate) fn disconnect(&mut self, node: NodeKey, cause: FailureCause, now: Instant) {
        let Some(channel) = self.channels.get_mut(&node) else { return };
        let wire = match std::mem::replace(&mut channel.state, State::Idle) {
            State::Idle => return,
            State::Connecting { .. } => None,
            State::Connected(wire) => Some(wire),
        };
        channel.retry_at = now + self.config.reconnect.delay(channel.failures, &mut self.rng);
        channel.failures += 1;
        for request in channel.in_flight.drain(..) {
            let left = wire.as_ref().map_or(Left::No, |wire| wire.has_left(request.end));
            let cause = match cause {
                FailureCause::TimedOut if request.deadline > now => FailureCause::Disconnected,
                other => other,
            };
            if let Some(context) = request.context {
                let answer = Answer::Failed(Failure { cause, left });
                self.events.push_back(NetworkEvent::Answered(context, answer));
            }
        }
        self.events.push_back(NetworkEvent::Lost);
        self.waker.wake_by_ref();
    }

    /// When the next of `candidates` leaves its reconnect backoff; the far future if none is in one.
    pub(crate) fn next_reconnect(&self, candidates: &[NodeKey], now: Instant) -> Instant {
        let waiting = candidates.iter().filter_map(|node| {
            let channel = self.channels.get(node)?;
            (matches!(channel.state, State::Idle) && channel.retry_at > now)
                .then_some(channel.retry_at)
        });
        waiting.min().unwrap_or(Instant::FAR_FUTURE)
    }
}
