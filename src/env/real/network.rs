//! TCP, as tokio does it.

use std::io;

use tokio::net::{TcpListener, TcpStream};

use crate::env::{Address, BoxFuture, Listener, Network, Stream};

pub(super) struct RealNetwork;

impl Network for RealNetwork {
    fn listen(&self, address: Address) -> BoxFuture<'static, io::Result<Box<dyn Listener>>> {
        Box::pin(async move {
            let listener = TcpListener::bind((&*address.host, address.port)).await?;
            let address = Address::new(address.host, listener.local_addr()?.port());
            Ok(Box::new(RealListener { listener, address }) as Box<dyn Listener>)
        })
    }

    fn connect(&self, address: Address) -> BoxFuture<'static, io::Result<Stream>> {
        Box::pin(async move {
            let stream = TcpStream::connect((&*address.host, address.port)).await?;
            Ok(without_delay(stream)? as Stream)
        })
    }
}

struct RealListener {
    listener: TcpListener,
    /// As asked for, with the real port.
    address: Address,
}

impl Listener for RealListener {
    fn accept(&mut self) -> BoxFuture<'_, io::Result<(Stream, Address)>> {
        Box::pin(async move {
            let (stream, peer) = self.listener.accept().await?;
            let peer = Address::new(peer.ip().to_string(), peer.port());
            Ok((without_delay(stream)? as Stream, peer))
        })
    }

    fn local_address(&self) -> Address {
        self.address.clone()
    }
}

/// Requests are written whole: waiting for more to fill a packet would only delay them.
fn without_delay(stream: TcpStream) -> io::Result<Box<TcpStream>> {
    stream.set_nodelay(true)?;
    Ok(Box::new(stream))
}
