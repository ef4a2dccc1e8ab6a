//! A connection whose other end keeps to no rules.

use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use futures_util::future::join_all;
use kafka_protocol::protocol::Request;
use retrial::{
    env::{Env, Stream},
    kafka::protocol::{
        frame::FrameReader,
        message::{decode_response, encode_request},
    },
};
use tokio::io::AsyncWriteExt;

use super::ground::Ground;

pub struct Stranger {
    pub stream: Stream,
    reader: FrameReader,
    env: Env,
}

/// What came of something that was sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    Answer(Bytes),
    Closed,
    /// Neither, in the time given.
    Nothing,
}

impl Stranger {
    /// Connects, once the broker listens.
    pub async fn open(ground: &Ground) -> Self {
        Stranger::open_from(&ground.strangers, ground).await
    }

    pub async fn open_from(env: &Env, ground: &Ground) -> Self {
        loop {
            if let Ok(stream) = env.network.connect(ground.broker.clone()).await {
                return Stranger { stream, reader: FrameReader::new(1 << 30), env: env.clone() };
            }
            ground.pause(Duration::from_millis(10)).await;
        }
    }

    /// Many connections, a backlog's worth at a time.
    pub async fn crowd(ground: &Ground, count: usize) -> Vec<Self> {
        let mut crowd = Vec::new();
        while crowd.len() < count {
            let batch = (count - crowd.len()).min(100);
            crowd.extend(join_all((0..batch).map(|_| Stranger::open(ground))).await);
        }
        crowd
    }

    /// That the broker has closed the connection is for the reading to find out.
    pub async fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).await;
        let _ = self.stream.flush().await;
    }

    pub async fn outcome(&mut self, within: Duration) -> Outcome {
        let deadline = self.env.clock.now() + within;
        tokio::select! {
            biased;
            frame = self.reader.next(&mut self.stream) => match frame {
                Ok(Some(frame)) => Outcome::Answer(frame),
                Ok(None) | Err(_) => Outcome::Closed,
            },
            () = self.env.clock.sleep_until(deadline) => Outcome::Nothing,
        }
    }

    /// The correlation id of the next answer.
    pub async fn correlation(&mut self, within: Duration) -> i32 {
        match self.outcome(within).await {
            Outcome::Answer(mut frame) => frame.get_i32(),
            other => panic!("expected an answer, got {other:?}"),
        }
    }

    pub async fn ask<R: Request>(&mut self, version: i16, request: &R) -> R::Response {
        self.send(&frame_of(9, version, request)).await;
        match self.outcome(Duration::from_secs(60)).await {
            Outcome::Answer(frame) => decode_response(frame, 9, version).unwrap(),
            other => panic!("expected an answer, got {other:?}"),
        }
    }
}

/// A whole request.
pub fn frame_of<R: Request>(correlation: i32, version: i16, request: &R) -> Bytes {
    encode_request(correlation, "stranger", version, request).unwrap().freeze()
}

/// A frame around the fixed part of a head and whatever follows it.
pub fn bare_frame(key: i16, version: i16, correlation: i32, rest: &[u8]) -> Bytes {
    let mut frame = BytesMut::new();
    frame.put_i32(8 + i32::try_from(rest.len()).unwrap());
    frame.put_i16(key);
    frame.put_i16(version);
    frame.put_i32(correlation);
    frame.put_slice(rest);
    frame.freeze()
}
