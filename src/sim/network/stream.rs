//! A process's end of a connection.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::connection::Connection;
use crate::sim::machine::Process;

/// Dropping it closes the connection, if its process lives. A dead process's kernel has closed it
/// already, or, without power, nobody did.
pub(super) struct SimStream {
    connection: Arc<Connection>,
    side: usize,
    /// Wakes the connection when something this side sent arrives.
    arrivals: Waker,
    process: Arc<Process>,
}

impl SimStream {
    pub fn new(connection: Arc<Connection>, side: usize, process: Arc<Process>) -> Self {
        let arrivals = connection.arrivals(side);
        SimStream { connection, side, arrivals, process }
    }

    pub fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    pub fn arrivals(&self) -> &Waker {
        &self.arrivals
    }
}

impl AsyncRead for SimStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.connection.poll_read(self.side, context, buf)
    }
}

impl AsyncWrite for SimStream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.connection.poll_write(self.side, context, &[IoSlice::new(buf)], &self.arrivals)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.connection.poll_write(self.side, context, bufs, &self.arrivals)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Writes leave at once: there is nothing to flush.
    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.connection.finish(self.side, &self.arrivals))
    }
}

impl Drop for SimStream {
    fn drop(&mut self) {
        if self.process.is_alive() {
            self.connection.close(self.side, &self.arrivals);
        }
    }
}
