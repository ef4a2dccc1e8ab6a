//! TCP, as tokio does it.

use std::{io, sync::Mutex};

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

/// A network with one address bound from the start, so that its port is known before a broker that is told
/// its own address is made. Whoever listens on that address takes the listener over.
pub struct BoundNetwork {
    address: Address,
    listener: Mutex<Option<Box<dyn Listener>>>,
}

impl BoundNetwork {
    /// Port 0 takes a free one.
    pub async fn bind(address: Address) -> io::Result<Self> {
        let listener = RealNetwork.listen(address).await?;
        Ok(BoundNetwork { address: listener.local_address(), listener: Mutex::new(Some(listener)) })
    }

    /// The address bound, with the real port.
    pub fn address(&self) -> &Address {
        &self.address
    }
}

impl Network for BoundNetwork {
    fn listen(&self, address: Address) -> BoxFuture<'static, io::Result<Box<dyn Listener>>> {
        let mut listener = self.listener.lock().expect("no panic while it is locked");
        match listener.take_if(|_| address == self.address) {
            Some(bound) => Box::pin(std::future::ready(Ok(bound))),
            None => RealNetwork.listen(address),
        }
    }

    fn connect(&self, address: Address) -> BoxFuture<'static, io::Result<Stream>> {
        RealNetwork.connect(address)
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
            // One client has one address, whichever protocol the listener was bound for.
            let peer = Address::new(peer.ip().to_canonical().to_string(), peer.port());
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
