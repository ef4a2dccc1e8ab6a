//! A relay between clients and the broker that keeps every request as it came over the wire.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Mutex, OnceLock},
};

use bytes::Bytes;

/// Listens from the beginning, so that the broker can be told to send its clients here.
pub(super) struct Recorder {
    pub(super) address: String,
    line: Arc<Line>,
}

#[derive(Default)]
struct Line {
    broker: OnceLock<String>,
    /// Requests without their length, in the order in which they were whole.
    requests: Mutex<Vec<Bytes>>,
}

impl Recorder {
    pub(super) fn listen() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let line = Arc::new(Line::default());
        let shared = Arc::clone(&line);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let line = Arc::clone(&shared);
                std::thread::spawn(move || line.relay(client));
            }
        });
        Recorder { address, line }
    }

    /// From here on connections reach the broker.
    pub(super) fn forward_to(&self, broker: &str) {
        self.line.broker.set(broker.to_owned()).expect("one broker");
    }

    pub(super) fn requests(&self) -> Vec<Bytes> {
        self.line.requests.lock().unwrap().clone()
    }
}

impl Line {
    /// Until either side is done: then the other is told.
    fn relay(&self, mut client: TcpStream) {
        let Some(mut broker) =
            self.broker.get().and_then(|address| TcpStream::connect(address).ok())
        else {
            return;
        };
        for stream in [&client, &broker] {
            stream.set_nodelay(true).unwrap();
        }
        let (mut answers, mut back) = (broker.try_clone().unwrap(), client.try_clone().unwrap());
        std::thread::spawn(move || {
            let _ = io::copy(&mut answers, &mut back);
            let _ = back.shutdown(Shutdown::Both);
        });
        while let Ok(request) = read_frame(&mut client) {
            let length = (request.len() as i32).to_be_bytes();
            // Kept first: once the answer is there, so is the request.
            self.requests.lock().unwrap().push(request.clone());
            if broker.write_all(&[&length, &request[..]].concat()).is_err() {
                break;
            }
        }
        let _ = broker.shutdown(Shutdown::Write);
    }
}

/// A frame without its length.
pub(super) fn read_frame(stream: &mut impl Read) -> io::Result<Bytes> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length) as usize;
    let mut frame = vec![0; length];
    stream.read_exact(&mut frame)?;
    Ok(frame.into())
}
