//! Ports: listening, connecting, accepting.

use std::{
    collections::VecDeque,
    future::poll_fn,
    io::{self, ErrorKind},
    sync::Arc,
    task::{Poll, Waker},
};

use super::{fabric::Fabric, stream::SimStream};
use crate::{
    env::{Address, BoxFuture, Listener, Network, Stream},
    sim::{lock::Lock, machine::Process},
};

/// Connections that wait for an accept; more are refused. Linux's `somaxconn` was 128 for decades.
const BACKLOG: usize = 128;

/// A bound port.
pub(super) struct Port {
    pub process: Arc<Process>,
    backlog: Lock<Backlog>,
}

#[derive(Default)]
struct Backlog {
    waiting: VecDeque<(SimStream, Address)>,
    acceptor: Option<Waker>,
}

impl Port {
    pub fn new(process: Arc<Process>) -> Self {
        Port { process, backlog: Lock::default() }
    }

    /// A handshake came in. Gives the stream back if the backlog is full.
    pub fn offer(&self, stream: SimStream, peer: Address) -> Result<(), SimStream> {
        let mut backlog = self.backlog.lock();
        if backlog.waiting.len() >= BACKLOG {
            return Err(stream);
        }
        backlog.waiting.push_back((stream, peer));
        if let Some(acceptor) = backlog.acceptor.take() {
            acceptor.wake();
        }
        Ok(())
    }
}

struct SimListener {
    port: Arc<Port>,
    address: Address,
}

impl Listener for SimListener {
    fn accept(&mut self) -> BoxFuture<'_, io::Result<(Stream, Address)>> {
        Box::pin(poll_fn(|context| {
            let mut backlog = self.port.backlog.lock();
            match backlog.waiting.pop_front() {
                Some((stream, peer)) => Poll::Ready(Ok((Box::new(stream) as Stream, peer))),
                None => {
                    backlog.acceptor = Some(context.waker().clone());
                    Poll::Pending
                }
            }
        }))
    }

    fn local_address(&self) -> Address {
        self.address.clone()
    }
}

impl Drop for SimListener {
    fn drop(&mut self) {
        if self.port.process.is_alive() {
            self.port.process.host.unbind(self.address.port);
            // Those who wait are closed outside the lock: their closing goes through the network.
            let waiting = std::mem::take(&mut self.port.backlog.lock().waiting);
            drop(waiting);
        }
    }
}

/// The network as one process sees it. Hosts are machines by name; `localhost`, `127.0.0.1` and
/// `0.0.0.0` mean the machine itself.
pub(in crate::sim) struct SimNetwork {
    pub fabric: Arc<Fabric>,
    pub process: Arc<Process>,
}

impl SimNetwork {
    fn bind(&self, mut address: Address) -> io::Result<SimListener> {
        self.process.check_alive()?;
        let host = &self.process.host;
        if !is_local(&address.host) && address.host != *host.name {
            let reason = format!("{} is not an address of {}", address.host, host.name);
            return Err(io::Error::new(ErrorKind::AddrNotAvailable, reason));
        }
        let port = Arc::new(Port::new(self.process.clone()));
        address.port = host.bind(address.port, port.clone())?;
        Ok(SimListener { port, address })
    }
}

impl Network for SimNetwork {
    fn listen(&self, address: Address) -> BoxFuture<'static, io::Result<Box<dyn Listener>>> {
        let listener = self.bind(address).map(|listener| Box::new(listener) as Box<dyn Listener>);
        Box::pin(std::future::ready(listener))
    }

    fn connect(&self, mut address: Address) -> BoxFuture<'static, io::Result<Stream>> {
        let (fabric, process) = (self.fabric.clone(), self.process.clone());
        Box::pin(async move {
            process.check_alive()?;
            if is_local(&address.host) {
                address.host = process.host.name.to_string();
            }
            // Dropping this future drops the stream, which gives the connection up.
            let stream = fabric.connect(process, address)?;
            poll_fn(|context| stream.connection().poll_established(context)).await?;
            Ok(Box::new(stream) as Stream)
        })
    }
}

fn is_local(host: &str) -> bool {
    matches!(host, "localhost" | "127.0.0.1" | "0.0.0.0" | "::1" | "::")
}
