//! One direction between two machines, and the faults that lie on it.

use std::{
    num::NonZeroU64,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rand_chacha::ChaCha8Rng;

use super::fabric::{Fabric, Host};
use crate::sim::{
    chance::{Chance, Latency, nanos},
    lock::Lock,
    trace::Event,
};

/// How a link treats packets.
#[derive(Clone, Debug)]
pub struct LinkOptions {
    /// From one machine to the other, drawn for each packet. Packets of one connection stay in order.
    pub latency: Latency,
    /// Bytes per second, shared by all connections over the link; `None` for a link without limit.
    pub bandwidth: Option<NonZeroU64>,
    /// Chance that a packet is lost on the way. TCP repeats it, so loss is a delay.
    pub loss: Chance,
    /// The delay a lost packet suffers. 200 ms is Linux's shortest retransmission timeout.
    pub loss_delay: Duration,
    /// Chance that a write arrives in two pieces, so that readers meet short reads.
    pub split: Chance,
    /// Packets that met a severed way or a machine without power are repeated 200 ms later, then after
    /// twice the time, and so on up to this pause (Linux: 2 minutes). It bounds how long after a heal
    /// bytes still stand. The default is short so that a trial's recovery fits into seconds.
    pub longest_retry: Duration,
}

impl Default for LinkOptions {
    /// A quiet data centre.
    fn default() -> Self {
        LinkOptions {
            latency: Latency::Uniform {
                min: Duration::from_micros(100),
                max: Duration::from_micros(500),
            },
            bandwidth: None,
            loss: Chance::NEVER,
            loss_delay: FIRST_RETRY,
            split: Chance::of(0.01),
            longest_retry: Duration::from_secs(1),
        }
    }
}

impl LinkOptions {
    /// From a machine to itself.
    pub fn loopback() -> Self {
        let latency =
            Latency::Uniform { min: Duration::from_micros(20), max: Duration::from_micros(50) };
        LinkOptions { latency, ..LinkOptions::default() }
    }
}

/// Linux's `TCP_RTO_MIN`.
const FIRST_RETRY: Duration = Duration::from_millis(200);

/// When a packet goes and comes.
pub(super) struct Passage {
    /// The last byte has left the sender.
    pub sent: u64,
    pub due: u64,
}

pub(super) struct Link {
    pub from: Arc<Host>,
    pub to: Arc<Host>,
    severed: AtomicBool,
    held: AtomicBool,
    traffic: Lock<Traffic>,
}

struct Traffic {
    options: LinkOptions,
    rng: ChaCha8Rng,
    busy_until: u64,
}

impl Link {
    pub fn new(from: Arc<Host>, to: Arc<Host>, options: LinkOptions, rng: ChaCha8Rng) -> Self {
        let traffic = Lock::new(Traffic { options, rng, busy_until: 0 });
        Link { from, to, severed: AtomicBool::new(false), held: AtomicBool::new(false), traffic }
    }

    /// Nothing arrives at the moment.
    pub fn is_blocked(&self) -> bool {
        self.severed.load(Ordering::Relaxed)
            || self.held.load(Ordering::Relaxed)
            || !self.to.has_power()
    }

    /// Draws the fate of a packet of `bytes` bytes that is sent at `now`.
    pub fn pass(&self, now: u64, bytes: u64) -> Passage {
        let traffic = &mut *self.traffic.lock();
        let mut sent = now;
        if let Some(bandwidth) = traffic.options.bandwidth {
            let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(bandwidth.get());
            sent = traffic.busy_until.max(now) + nanos as u64;
            traffic.busy_until = sent;
        }
        let mut due = sent + traffic.options.latency.draw(&mut traffic.rng);
        if traffic.options.loss.hits(&mut traffic.rng) {
            due += nanos(traffic.options.loss_delay);
        }
        Passage { sent, due }
    }

    /// Where to split a write of `bytes` bytes, if at all.
    pub fn split(&self, bytes: usize) -> Option<usize> {
        use rand::Rng as _;
        let traffic = &mut *self.traffic.lock();
        if bytes < 2 || !traffic.options.split.hits(&mut traffic.rng) {
            return None;
        }
        Some(1 + traffic.rng.next_u32() as usize % (bytes - 1))
    }

    pub fn shortest_latency(&self) -> u64 {
        self.traffic.lock().options.latency.shortest()
    }

    /// The first moment after `now` at which TCP repeats what first failed to arrive at `since`.
    pub fn next_retry(&self, since: u64, now: u64) -> u64 {
        let longest = nanos(self.traffic.lock().options.longest_retry).max(1);
        let mut pause = nanos(FIRST_RETRY).min(longest);
        let mut retry = since + pause;
        while retry <= now {
            pause = (pause * 2).min(longest);
            // Many pauses of the same length are stepped over at once.
            let missed = if pause == longest { (now - retry) / pause } else { 0 };
            retry += pause * (missed + 1);
        }
        retry
    }
}

/// The handle of a nemesis to one direction between two machines. Cheap to clone.
#[derive(Clone)]
pub struct LinkControl {
    pub(super) fabric: Arc<Fabric>,
    pub(super) link: Arc<Link>,
}

impl LinkControl {
    /// Applies to packets sent from here on.
    pub fn set_options(&self, options: LinkOptions) {
        self.link.traffic.lock().options = options;
        self.note(1);
    }

    pub fn options(&self) -> LinkOptions {
        self.link.traffic.lock().options.clone()
    }

    pub fn set_latency(&self, latency: Latency) {
        self.link.traffic.lock().options.latency = latency;
        self.note(2);
    }

    /// `None` lifts the limit.
    pub fn set_bandwidth(&self, bytes_per_second: Option<NonZeroU64>) {
        let mut traffic = self.link.traffic.lock();
        traffic.options.bandwidth = bytes_per_second;
        traffic.busy_until = 0;
        drop(traffic);
        self.note(3);
    }

    pub fn set_loss(&self, loss: Chance) {
        self.link.traffic.lock().options.loss = loss;
        self.note(4);
    }

    /// Nothing arrives until [`LinkControl::heal`]: bytes wait at the sender, connects hang. Also what
    /// is on the way already does not arrive.
    pub fn sever(&self) {
        self.link.severed.store(true, Ordering::Relaxed);
        self.note(5);
    }

    /// Opens the way. What waited arrives when TCP repeats it, see [`LinkOptions::longest_retry`].
    pub fn heal(&self) {
        if self.link.severed.swap(false, Ordering::Relaxed) {
            self.note(6);
            self.fabric.way_opened(&self.link);
        }
    }

    pub fn is_severed(&self) -> bool {
        self.link.severed.load(Ordering::Relaxed)
    }

    /// Packets wait on the way until [`LinkControl::release`].
    pub fn hold(&self) {
        self.link.held.store(true, Ordering::Relaxed);
        self.note(7);
    }

    /// Delivers at once, in order, what was held and would have arrived meanwhile.
    pub fn release(&self) {
        if self.link.held.swap(false, Ordering::Relaxed) {
            self.note(8);
            self.fabric.way_released(&self.link);
        }
    }

    /// Every connection over this link reads as reset at the link's end, as if something on the way had
    /// forged a reset. The sender learns of it when it next sends.
    pub fn reset(&self) {
        self.note(9);
        self.fabric.reset_over(&self.link);
    }

    fn note(&self, change: u64) {
        let (from, to) = (u64::from(self.link.from.id), u64::from(self.link.to.id));
        self.fabric.trace.record_now(Event::LinkChanged, from, to, change);
    }
}
