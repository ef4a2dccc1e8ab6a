//! A producer's program: sends its records at their pace and writes down every outcome.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::{StreamExt, stream::FuturesUnordered};
use kafka_protocol::protocol::StrBytes;
use rand_chacha::ChaCha8Rng;

use super::{Control, observe::Journal, pace::draw};
use crate::{
    env::{Address, BoxFuture, Env},
    kafka::{
        client::{Fate, Producer, ProducerRecord, RecordMetadata, SendError},
        config::ProducerConfig,
        protocol::batch::RecordHeader,
        types::{Offset, TopicPartition},
    },
    testbed::{
        cluster::{Exit, Program},
        history::{EventId, EventKind, Outcome, RecordId},
        plan::{AwaitSend, OnSendError, ProducerExit, ProducerPlan},
    },
};

/// How long `close()` waits: Java's default is for ever; the plan's limit bounds a trial anyway.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(3600);

/// What one producer's program needs, over all of its starts.
pub(super) struct ProducerApp {
    pub name: Arc<str>,
    pub plan: ProducerPlan,
    pub config: ProducerConfig,
    pub bootstrap: Vec<Address>,
    pub journal: Journal,
    pub control: Arc<Control>,
    /// The next record's number. Outlives a crash: the application reads its input from a place that
    /// remembers how far it got, and does not repeat a send whose outcome it never heard.
    pub next: AtomicU64,
}

/// A send on its way: what was sent and how it ended.
type Pending = BoxFuture<'static, Ended>;

type Ended = (Sent, Result<RecordMetadata, SendError>);

/// A send that the application makes anew.
struct Again {
    number: u64,
    attempt: u32,
}

struct Sent {
    id: RecordId,
    invoked: EventId,
    /// `None` if none was chosen.
    partition: Option<TopicPartition>,
}

/// One run of the program, from a start of the machine to its end.
struct Run {
    app: Arc<ProducerApp>,
    env: Env,
    /// Alone, but for a call that is under way.
    producer: Arc<Producer>,
    pending: FuturesUnordered<Pending>,
    rng: ChaCha8Rng,
    /// A send failed and the plan says to stop then.
    gave_up: bool,
}

pub(super) fn program(app: Arc<ProducerApp>) -> Program {
    Arc::new(move |env, _start| {
        let app = Arc::clone(&app);
        Box::pin(async move {
            app.control.begin();
            let observer = Arc::new(app.journal.clone());
            let producer = Producer::new(&env, &app.bootstrap, app.config.clone(), Some(observer));
            let producer = Arc::new(producer);
            let rng = env.rng.stream("app");
            let pending = FuturesUnordered::new();
            Run { app, env, producer, pending, rng, gave_up: false }.run().await
        })
    })
}

impl Run {
    async fn run(mut self) -> Exit {
        self.send_all().await;
        let app = Arc::clone(&self.app);
        if app.plan.app.flush {
            let producer = Arc::clone(&self.producer);
            self.hearing(async move { producer.flush().await }).await;
        }
        // An abandoned producer ends with its outcomes unheard.
        if app.plan.app.exit == ProducerExit::Close || app.plan.app.flush {
            self.await_outcomes().await;
        }
        let abandoned = self.pending.len() as u64;
        if app.plan.app.exit == ProducerExit::Close {
            let producer = Arc::into_inner(self.producer).expect("no call is under way");
            producer.close(CLOSE_TIMEOUT).await;
        }
        app.journal.record(None, EventKind::ProducerDone { abandoned });
        Exit::Orderly
    }

    async fn send_all(&mut self) {
        let app = Arc::clone(&self.app);
        let mut due = self.env.clock.now();
        while !self.gave_up && !app.control.is_stopping() {
            let number = app.next.load(Ordering::Relaxed);
            if number >= app.plan.records {
                return;
            }
            self.wait_until(due).await;
            app.next.store(number + 1, Ordering::Relaxed);
            self.send(number, 1).await;
            if app.plan.app.await_send == AwaitSend::Each {
                self.await_outcomes().await;
            }
            due = due.max(self.env.clock.now()) + draw(&app.plan.every, &mut self.rng);
        }
    }

    /// Takes outcomes as they come until the next send is due.
    async fn wait_until(&mut self, due: crate::env::Instant) {
        while self.env.clock.now() < due {
            let clock = Arc::clone(&self.env.clock);
            let ended = tokio::select! {
                biased;
                Some(ended) = self.pending.next() => ended,
                () = clock.sleep_until(due) => return,
            };
            self.ended(ended).await;
        }
    }

    /// Takes outcomes as they come while a call of the producer lasts, as Java's callbacks do: what was known
    /// when is part of the history. What is to be sent again waits for the call, which may itself wait for room.
    async fn hearing<T>(&mut self, call: impl Future<Output = T> + Send) -> T {
        let mut call = pin!(call);
        let mut again = Vec::new();
        let result = loop {
            tokio::select! {
                biased;
                result = &mut call => break result,
                Some(ended) = self.pending.next() => again.extend(self.hear(ended)),
            }
        };
        for next in again {
            self.resend(next).await;
        }
        result
    }

    async fn await_outcomes(&mut self) {
        while let Some(ended) = self.pending.next().await {
            self.ended(ended).await;
        }
    }

    async fn ended(&mut self, ended: Ended) {
        if let Some(next) = self.hear(ended) {
            self.resend(next).await;
        }
    }

    /// Writes the outcome down; returns what the plan wants to be sent again.
    fn hear(&mut self, (sent, result): Ended) -> Option<Again> {
        let failed = result.is_err();
        let Sent { id, invoked, partition } = sent;
        let (number, attempt) = (id.number, id.attempt);
        let (outcome, offset) = match result {
            Ok(metadata) => (Outcome::Ok, metadata.offset),
            Err(SendError { error, fate }) => {
                let error = error.exception_name().into();
                let outcome = match fate {
                    Fate::NotAppended => Outcome::Failed { error },
                    Fate::Unknown => Outcome::Unknown { error },
                };
                (outcome, None)
            }
        };
        let offset = offset.unwrap_or(Offset(-1));
        let kind = EventKind::SendEnded { record: id, outcome, partition, offset };
        self.app.journal.record(Some(invoked), kind);
        match self.app.plan.app.on_error {
            OnSendError::Resend if failed => return Some(Again { number, attempt: attempt + 1 }),
            OnSendError::Stop if failed => self.gave_up = true,
            _ => {}
        }
        None
    }

    /// Boxed, since a send hears outcomes while it waits, and those may want a send.
    fn resend(&mut self, Again { number, attempt }: Again) -> BoxFuture<'_, ()> {
        Box::pin(self.send(number, attempt))
    }

    async fn send(&mut self, number: u64, attempt: u32) {
        let plan = &self.app.plan;
        let id = RecordId { producer: Arc::clone(&self.app.name), number, attempt };
        let key = plan.key.as_ref().map(|key| key.render(number));
        let value = Bytes::from(plan.value.render(number));
        let kind = EventKind::Sent {
            record: id.clone(),
            topic: plan.topic.as_str().into(),
            key: key.as_deref().map(Into::into),
        };
        let invoked = self.app.journal.record(None, kind);
        let mut record =
            ProducerRecord::new(plan.topic.as_str(), key.map(Bytes::from), Some(value));
        record.partition = plan.partition;
        record.headers = vec![RecordHeader {
            key: StrBytes::from_static_str(RecordId::HEADER),
            value: Some(Bytes::from(id.to_string())),
        }];
        let producer = Arc::clone(&self.producer);
        let result = self.hearing(async move { producer.send(record).await }).await;
        match result {
            Ok(future) => {
                let sent = Sent { id, invoked, partition: Some(future.partition().clone()) };
                self.pending.push(Box::pin(async move { (sent, future.await) }));
            }
            Err(error) => {
                let sent = Sent { id, invoked, partition: None };
                self.pending.push(Box::pin(async move { (sent, Err(error)) }));
            }
        }
    }
}
