//! Byte streams between nodes, with TCP's semantics.
//!
//! What holds in both worlds (and `tests/conformance` checks): bytes arrive in order and unchanged or
//! not at all; a write may return before the peer has read; reads may be short; a clean shutdown of one
//! direction reads as end of file; a reset reads as an error; connecting where nobody listens fails.

use std::{fmt, io};

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite};

use super::BoxFuture;

/// Where a node can be reached. In the simulated world the host is the machine's name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Address {
    pub host: String,
    pub port: u16,
}

impl Address {
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Address { host: host.into(), port }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Both directions of a connection. Dropping it closes both.
pub trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}

pub type Stream = Box<dyn Connection>;

pub trait Listener: Send {
    /// The next connection and its peer's address. An error concerns that one connection; the
    /// listener goes on.
    fn accept(&mut self) -> BoxFuture<'_, io::Result<(Stream, Address)>>;

    /// The address bound to, with the real port if port 0 was asked for.
    fn local_address(&self) -> Address;
}

pub trait Network: Send + Sync {
    /// Fails with `AddrInUse` while another listener of the same machine holds the port.
    fn listen(&self, address: Address) -> BoxFuture<'static, io::Result<Box<dyn Listener>>>;

    /// Fails with `ConnectionRefused` where nobody listens; hangs while the way is severed, so callers
    /// bring their own timeout.
    fn connect(&self, address: Address) -> BoxFuture<'static, io::Result<Stream>>;
}
