//! A consumer's program: the plan's loop of calls, over and over.

use std::{sync::Arc, time::Duration};

use indexmap::IndexMap;
use tokio::sync::mpsc;

use super::{
    Control,
    handle::{Handler, InHand, Thrown},
    observe::Journal,
};
use crate::{
    env::{Address, Env},
    kafka::{
        client::{ClientError, Consumer, ConsumerRecord, OffsetsByPartition},
        config::ConsumerConfig,
        types::TopicPartition,
    },
    testbed::{
        cluster::{Exit, Program},
        history::{CommitKind, Delivery, EventKind, RecordId},
        plan::{App, ClientFlavour, LoopStep, OnError, SeekTo},
    },
};

/// How long one poll waits: often enough for auto-commit and a stop, seldom enough to cost little.
const POLL_TIMEOUT: Duration = Duration::from_secs(1);
/// `KafkaConsumer.DEFAULT_CLOSE_TIMEOUT_MS`.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(30);

/// What a consumer reads.
pub(super) enum Reads {
    /// As a member of its group.
    Topics(Vec<String>),
    /// By `assign()`.
    Partitions(Vec<TopicPartition>, IndexMap<TopicPartition, SeekTo>),
}

/// What one consumer's program needs, over all of its starts.
pub(super) struct ConsumerApp {
    /// Whose ledgers it writes: its group, or the reader's own name.
    pub group: Arc<str>,
    pub reads: Reads,
    pub app: App,
    pub client: ClientFlavour,
    pub config: ConsumerConfig,
    pub bootstrap: Vec<Address>,
    pub journal: Journal,
    pub control: Arc<Control>,
}

/// What a step of the loop leads to.
enum Next {
    Step,
    /// Give the rest of this round up and poll again.
    PollAgain,
    End(Exit),
    /// End in an orderly way: close the client first.
    Close,
}

struct Run {
    app: Arc<ConsumerApp>,
    consumer: Consumer,
    handler: Handler,
    batch: Vec<InHand>,
    /// The last poll returned something.
    busy: bool,
    workers: Vec<mpsc::UnboundedSender<InHand>>,
    next_worker: usize,
}

pub(super) fn program(app: Arc<ConsumerApp>) -> Program {
    Arc::new(move |env, _start| {
        let app = Arc::clone(&app);
        Box::pin(async move {
            app.control.begin();
            match Run::begin(app.clone(), &env).await {
                Ok(run) => run.run().await,
                Err(error) => {
                    app.journal.error(&error);
                    Exit::Died
                }
            }
        })
    })
}

impl Run {
    async fn begin(app: Arc<ConsumerApp>, env: &Env) -> Result<Self, ClientError> {
        let observer = Arc::new(app.journal.clone());
        let mut consumer = Consumer::new(env, &app.bootstrap, app.config.clone(), Some(observer))?;
        if app.client != ClientFlavour::Java {
            consumer.consume_by_record();
        }
        match &app.reads {
            Reads::Topics(topics) => {
                let topics = topics.iter().map(|topic| topic.as_str().into());
                consumer.subscribe(topics, None).await?;
            }
            Reads::Partitions(partitions, seeks) => {
                consumer.assign(partitions.iter().cloned()).await?;
                for (partition, to) in seeks {
                    seek(&mut consumer, &app.journal, partition, *to)?;
                }
            }
        }
        let handler = |stream: &str| Handler {
            clock: Arc::clone(&env.clock),
            journal: app.journal.clone(),
            control: Arc::clone(&app.control),
            process: app.app.process,
            effect: app.app.effect,
            group: Arc::clone(&app.group),
            rng: env.rng.stream(stream),
        };
        let mut workers = Vec::new();
        if app.app.steps.contains(&LoopStep::HandOff) {
            for worker in 0..app.app.workers.max(1) {
                let (sender, receiver) = mpsc::unbounded_channel();
                let handler = handler(&format!("app/worker-{worker}"));
                env.tasks.spawn("worker", Box::pin(work(handler, receiver)));
                workers.push(sender);
            }
        }
        let handler = handler("app");
        let (batch, next_worker) = (Vec::new(), 0);
        Ok(Run { app, consumer, handler, batch, busy: false, workers, next_worker })
    }

    async fn run(mut self) -> Exit {
        let app = Arc::clone(&self.app);
        'round: while !app.control.is_stopping() {
            for step in &app.app.steps {
                match self.step(*step).await {
                    Next::Step => {}
                    Next::PollAgain => continue 'round,
                    Next::End(exit) => return exit,
                    Next::Close => break 'round,
                }
            }
        }
        self.consumer.close(CLOSE_TIMEOUT).await;
        app.journal.record(None, EventKind::ConsumerClosed);
        Exit::Orderly
    }

    async fn step(&mut self, step: LoopStep) -> Next {
        match step {
            LoopStep::Poll => self.poll().await,
            LoopStep::Process => self.process(None).await,
            LoopStep::ProcessThenCommit => self.process(Some(CommitOf::Consumed)).await,
            LoopStep::ProcessThenCommitRecord => self.process(Some(CommitOf::Record)).await,
            LoopStep::Commit => self.commit(None).await,
            LoopStep::CommitAsync => {
                self.app.journal.commits_are(CommitKind::Async);
                match self.consumer.commit_async(None) {
                    Ok(_) => Next::Step,
                    Err(error) => self.failed(&error),
                }
            }
            LoopStep::HandOff => {
                for record in std::mem::take(&mut self.batch) {
                    let (partition, offset) = (record.partition.clone(), record.offset);
                    let event = EventKind::HandedOff { partition, offset };
                    self.app.journal.record(Some(record.polled), event);
                    // A worker ends only with its machine.
                    let _ = self.workers[self.next_worker].send(record);
                    self.next_worker = (self.next_worker + 1) % self.workers.len();
                }
                Next::Step
            }
        }
    }

    async fn poll(&mut self) -> Next {
        let records = match self.consumer.poll(POLL_TIMEOUT).await {
            Ok(records) => records,
            Err(error) => return self.failed(&error),
        };
        let delivered: Vec<_> = records.iter().map(|(at, record)| delivery(at, record)).collect();
        self.batch.clear();
        // That nothing came is worth an event only where it ends a time of work.
        if delivered.is_empty() && !self.busy {
            return Next::PollAgain;
        }
        self.busy = !delivered.is_empty();
        let event = EventKind::Polled { records: delivered.clone() };
        let polled = self.app.journal.record(None, event);
        let in_hand =
            |Delivery { partition, offset, record: id }| InHand { partition, offset, id, polled };
        self.batch.extend(delivered.into_iter().map(in_hand));
        if self.busy { Next::Step } else { Next::PollAgain }
    }

    /// Handles the batch, and commits after each record if the loop says so.
    async fn process(&mut self, commit: Option<CommitOf>) -> Next {
        let by_record = self.app.client != ClientFlavour::Java;
        for record in std::mem::take(&mut self.batch) {
            let next = record.offset + 1;
            if by_record {
                // These clients count a record as consumed when their iterator hands it out.
                self.consumer.mark_consumed(&record.partition, next);
            }
            while self.handler.handle(&record).await == Err(Thrown) {
                match self.app.app.on_error {
                    OnError::Retry => {}
                    OnError::Skip => break,
                    OnError::PollAgain => return Next::PollAgain,
                    OnError::Crash => return Next::End(Exit::Died),
                    OnError::Close => return Next::Close,
                }
            }
            let committed = match commit {
                None => Next::Step,
                Some(CommitOf::Consumed) => self.commit(None).await,
                Some(CommitOf::Record) => {
                    self.commit(Some([(record.partition.clone(), next)].into())).await
                }
            };
            if !matches!(committed, Next::Step) {
                return committed;
            }
        }
        Next::Step
    }

    async fn commit(&mut self, offsets: Option<OffsetsByPartition>) -> Next {
        self.app.journal.commits_are(CommitKind::Sync);
        loop {
            match self.consumer.commit_sync(offsets.clone()).await {
                Ok(()) => return Next::Step,
                Err(error) if self.app.app.on_error == OnError::Retry && error.is_retriable() => {
                    self.app.journal.error(&error);
                }
                Err(error) => return self.failed(&error),
            }
        }
    }

    /// A call of the client failed.
    fn failed(&mut self, error: &ClientError) -> Next {
        self.app.journal.error(error);
        match self.app.app.on_error {
            OnError::Crash => Next::End(Exit::Died),
            OnError::Close => Next::Close,
            OnError::Skip | OnError::Retry | OnError::PollAgain => Next::PollAgain,
        }
    }
}

/// What a commit inside the loop over a batch covers.
#[derive(Clone, Copy)]
enum CommitOf {
    /// What the client says is consumed.
    Consumed,
    /// Exactly the record just handled.
    Record,
}

/// Handles what it is given until its machine ends. A failing handler drops the record: nobody listens.
async fn work(mut handler: Handler, mut records: mpsc::UnboundedReceiver<InHand>) {
    while let Some(record) = records.recv().await {
        let _ = handler.handle(&record).await;
    }
}

fn delivery(partition: &TopicPartition, record: &ConsumerRecord) -> Delivery {
    Delivery { partition: partition.clone(), offset: record.offset, record: record_id(record) }
}

/// Who the record says it is.
pub(super) fn record_id(record: &ConsumerRecord) -> Option<RecordId> {
    let header = record.headers.iter().find(|header| &*header.key == RecordId::HEADER)?;
    str::from_utf8(header.value.as_deref()?).ok()?.parse().ok()
}

fn seek(
    consumer: &mut Consumer,
    journal: &Journal,
    partition: &TopicPartition,
    to: SeekTo,
) -> Result<(), ClientError> {
    let partitions = [partition.clone()];
    match to {
        SeekTo::Beginning => consumer.seek_to_beginning(&partitions),
        SeekTo::End => consumer.seek_to_end(&partitions),
        SeekTo::Offset(offset) => {
            let offset = crate::kafka::types::Offset(offset);
            consumer.seek(partition, offset)?;
            let (partition, why) = (partition.clone(), "seek".into());
            journal.record(None, EventKind::PositionSet { partition, offset, why });
            Ok(())
        }
    }
}
