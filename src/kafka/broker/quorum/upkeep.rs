//! Snapshots in the quorum's task: another node's are installed, this node's own are written, and what neither log nor
//! replicas need any more is removed.

use std::{io, sync::Arc, time::Duration};

use bytes::Bytes;

use super::{
    snapshots::{Snapshots, write_whole},
    task::{Stopped, Task},
};
use crate::{
    env::WallTime,
    kafka::{
        broker::{chores, observer::ReplicaChange, storage::Work, ticker::Due},
        log::{Log, LogError, ReadError},
        raft::OffsetAndEpoch,
        types::Offset,
    },
};

/// `KafkaRaftClient.RaftMetadataLogCleanerManager`
pub(super) const CLEAN_INTERVAL: Duration = Duration::from_secs(60);

/// Lets log and snapshots fit each other, as a crash may have left them (`KafkaMetadataLog.apply`). All before `durable`
/// was committed and synced once.
///
/// Departure: Kafka cuts a log of metadata at the first batch that is not sound, wherever that is; here a node that has
/// lost what it acknowledged does not start, since its vote counts as if it had it still.
pub(super) fn reconcile(
    log: &mut Log,
    snapshots: &Snapshots,
    durable: Offset,
    now: WallTime,
) -> Result<(), LogError> {
    let start = log.start_offset();
    let unfit = |dir: &str, reason: String| {
        let source = io::Error::other(reason);
        Err(LogError::Io { action: "open", path: dir.to_owned(), source })
    };
    let epoch = log.latest_epoch().map(|latest| latest.epoch).unwrap_or_default();
    let end = OffsetAndEpoch::new(log.end_offset(), epoch);
    if let Some(latest) = snapshots.latest().filter(|latest| *latest > end) {
        // The power went after a snapshot was complete and before it took the log's place.
        log.truncate_fully_and_start_at(latest.offset, now)?;
    } else if start > Offset(0) {
        let Some(first) = snapshots.earliest_from(start) else {
            let reason =
                format!("it starts at offset {start}, and no snapshot has what was before");
            return unfit(log.dir(), reason);
        };
        log.set_high_watermark(first.offset);
        raise_start(log, first.offset)?;
    }
    if log.end_offset() < durable {
        let end = log.end_offset();
        let reason = format!(
            "it is damaged at offset {end}, and all before offset {durable} was committed and durable"
        );
        return unfit(log.dir(), reason);
    }
    Ok(())
}

fn raise_start(log: &mut Log, start: Offset) -> Result<(), LogError> {
    log.advance_start_offset(start).map_err(|error| match error {
        ReadError::Log(error) => error,
        ReadError::OutOfRange { .. } => {
            let (path, source) = (log.dir().to_owned(), io::Error::other(error));
            LogError::Io { action: "cut the start of", path, source }
        }
    })
}

impl Task {
    /// What was fetched takes the place of the log. Where that starts then is durable before anything of it is removed.
    pub(super) async fn install(&mut self, snapshot: OffsetAndEpoch) -> Result<(), Stopped> {
        let completed = self.snapshots.complete_fetched(snapshot).await;
        self.check(completed)?;
        let contents = self.check(self.snapshots.contents(snapshot))?;
        let broker = Arc::clone(&self.broker);
        broker.metadata.will_start_at(snapshot.offset);
        broker.partitions.checkpoint_starts(&broker).await;
        let emptied = {
            let now = broker.env.clock.wall_time();
            broker.metadata.log.log().truncate_fully_and_start_at(snapshot.offset, now)
        };
        self.check(emptied)?;
        self.observe(ReplicaChange::Restarted { at: snapshot.offset });
        self.forget_before(snapshot).await?;
        broker.metadata.load_snapshot(broker.env.clock.now(), snapshot, contents);
        tracing::info!(broker = broker.id().0, %snapshot, "snapshot installed");
        self.log_changed = true;
        Ok(())
    }

    /// Begins to write a snapshot of this node's own, unless the log has gone past it or there is one.
    pub(super) fn write_snapshot(&mut self, id: OffsetAndEpoch, contents: Bytes) {
        let (start, dir) = {
            let log = self.broker.metadata.log.log();
            (log.start_offset(), log.dir().to_owned())
        };
        if id.offset <= start || self.snapshots.size(id).is_some() {
            return self.broker.metadata.snapshot_written();
        }
        let disk = Arc::clone(&self.broker.env.disk);
        let written = async move { (id, write_whole(disk, dir, id, contents).await) };
        self.writing = Some(Box::pin(written));
    }

    pub(super) fn snapshot_written(
        &mut self,
        id: OffsetAndEpoch,
        written: Result<u64, LogError>,
    ) -> Result<(), Stopped> {
        self.writing = None;
        let added = written.and_then(|size| self.snapshots.add(id, size));
        self.check(added)?;
        self.broker.metadata.snapshot_written();
        tracing::info!(broker = self.broker.id().0, snapshot = %id, "snapshot written");
        Ok(())
    }

    /// Removes old snapshots and what precedes the next one in the log, while there is too much of it or it is too old.
    pub(super) async fn clean(&mut self) -> Result<(), Stopped> {
        let broker = Arc::clone(&self.broker);
        let config = &broker.config.config.metadata_log;
        loop {
            let now = broker.env.clock.wall_time();
            let next = {
                let mut log = broker.metadata.log.log();
                let next = self.snapshots.next_start(log.size(), now, config);
                let fits = |next: &OffsetAndEpoch| {
                    (log.start_offset()..=log.high_watermark()).contains(&next.offset)
                };
                let Some(next) = next.filter(fits) else { return Ok(()) };
                let raised = raise_start(&mut log, next.offset);
                drop(log);
                self.check(raised)?;
                next
            };
            broker.partitions.checkpoint_starts(&broker).await;
            let deleted = broker.metadata.log.log().delete_below_start();
            self.check(deleted)?;
            self.forget_before(next).await?;
            chores::remove_later(&broker, &broker.metadata.log);
            tracing::info!(broker = broker.id().0, start = %next, "metadata log cleaned");
            self.log_changed = true;
        }
    }

    /// Removes the snapshots before `start`, and lets their going, and that of segments, be durable.
    async fn forget_before(&mut self, start: OffsetAndEpoch) -> Result<(), Stopped> {
        let forgotten = self.snapshots.forget_before(start);
        let forgotten = self.check(forgotten)?;
        let (dir, delay) = {
            let log = self.broker.metadata.log.log();
            (log.dir().to_owned(), log.config().file_delete_delay)
        };
        let synced = self.broker.env.disk.sync_dir(&dir).await;
        self.check(synced.map_err(|source| LogError::Io { action: "sync", path: dir, source }))?;
        if !forgotten.is_empty() {
            let at = self.broker.env.clock.now() + delay;
            self.broker.ticker.schedule(at, Due::Store(Work::Remove(forgotten)));
        }
        Ok(())
    }
}
