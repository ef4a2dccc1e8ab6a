//! Bad input of each kind and what must come of it: one body for the properties in this folder and for the
//! fuzz targets in `tests/fuzz`.
//!
//! None of them may panic, whatever it is given; what else must hold, each asserts.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use bytes::Bytes;
use kafka_protocol::{
    messages::{
        ApiKey, ApiVersionsRequest, FetchRequest, ListOffsetsRequest, MetadataRequest,
        OffsetFetchRequest, TopicName,
        fetch_request::{FetchPartition, FetchTopic},
        list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic},
    },
    protocol::StrBytes,
};
use retrial::{
    env::{Address, Disk, Env, OpenMode},
    kafka::{
        broker::{Node, NodeConfig},
        protocol::batch::{
            BatchBuilder, BatchHeader, BatchOptions, Batches, Compression, HEADER_LEN, recompress,
        },
        types::Timestamp,
    },
    sim::MachineOptions,
};
use tokio::sync::oneshot;

use super::{
    ground::{self, Deaf, Ground, env_of, in_a_world, node, simulated},
    honest::beside_honest_clients,
    stranger::{Outcome, Stranger, bare_frame, frame_of},
};

/// A request's body, and which of the served APIs and versions it goes to.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Modulo their number.
    pub api: u16,
    pub body: Vec<u8>,
}

/// Every API and version that a broker says it serves, and the one that brokers keep among themselves.
pub async fn served(stranger: &mut Stranger) -> Vec<(i16, i16)> {
    let answer = stranger.ask(0, &ApiVersionsRequest::default()).await;
    let public = answer
        .api_keys
        .iter()
        .flat_map(|api| (api.min_version..=api.max_version).map(|version| (api.api_key, version)));
    public.chain([(ApiKey::AllocateProducerIds as i16, 0)]).collect()
}

/// A request with an empty client id.
pub fn request(key: i16, version: i16, correlation: i32, body: &[u8]) -> Bytes {
    let flexible = ApiKey::try_from(key).is_ok_and(|key| key.request_header_version(version) >= 2);
    let head = if flexible { &[0, 0, 0][..] } else { &[0, 0] };
    bare_frame(key, version, correlation, &[head, body].concat())
}

/// A broker answers each request or closes the connection, or waits as it was asked to; others are
/// answered after that.
pub fn requests(attempts: Vec<Attempt>) {
    simulated(&[], |ground| async move {
        let mut stranger = Stranger::open(&ground).await;
        let served = served(&mut stranger).await;
        for (correlation, attempt) in (100..).zip(attempts) {
            let (key, version) = served[usize::from(attempt.api) % served.len()];
            try_request(&ground, &mut stranger, (key, version, correlation), &attempt.body).await;
        }
        let mut other = Stranger::open(&ground).await;
        let answer = other.ask(1, &MetadataRequest::default()).await;
        assert_eq!(answer.brokers.len(), 1);
    });
}

/// Sends one request, and leaves a connection to send the next one on.
pub async fn try_request(
    ground: &Ground,
    stranger: &mut Stranger,
    (key, version, correlation): (i16, i16, i32),
    body: &[u8],
) {
    stranger.send(&request(key, version, correlation, body)).await;
    match stranger.outcome(Duration::from_millis(50)).await {
        Outcome::Answer(answer) => {
            assert_eq!(answer[..4], correlation.to_be_bytes(), "API {key}, version {version}");
        }
        Outcome::Closed | Outcome::Nothing => *stranger = Stranger::open(ground).await,
    }
}

/// Whatever batches there are can be walked, judged, opened and packed anew.
pub fn batches(bytes: &[u8]) {
    let _ = BatchHeader::parse(bytes);
    for batch in Batches::new(Bytes::copy_from_slice(bytes)).flatten() {
        let header = &batch.header;
        let _ = (batch.check_crc(), header.next_offset(), header.last_sequence());
        let Ok(records) = batch.records() else { continue };
        let sound = records.take_while(Result::is_ok).count();
        assert!(sound <= usize::try_from(header.record_count).unwrap_or(0));
        for codec in Compression::ALL {
            let _ = recompress(&batch, codec);
        }
    }
}

/// A batch with a right length and checksum around any payload.
pub fn with_header(attributes: i16, count: i32, payload: &[u8]) -> Vec<u8> {
    let mut batch = BatchBuilder::new(Compression::None, 1 << 16);
    batch.append(Timestamp(1), None, None, &[]);
    let mut batch = batch.build(&BatchOptions::default())[..HEADER_LEN].to_vec();
    batch.extend(payload);
    let length = u32::try_from(batch.len() - 12).unwrap();
    batch[8..12].copy_from_slice(&length.to_be_bytes());
    reseal(&mut batch, 21, &attributes.to_be_bytes());
    reseal(&mut batch, 57, &count.to_be_bytes());
    batch
}

/// Something done to the files of a data directory before a broker opens it.
#[derive(Clone, Debug)]
pub struct Edit {
    /// Which file, modulo their number; odd numbers count those alone that hold anything.
    pub file: u8,
    pub change: Change,
}

/// Places are modulo the length of what they are in.
#[derive(Clone, Debug)]
pub enum Change {
    Remove,
    Cut {
        at: u16,
    },
    Flip {
        at: u16,
        bits: u8,
    },
    Insert {
        at: u16,
        bytes: Vec<u8>,
    },
    Replace {
        bytes: Vec<u8>,
    },
    /// Changes a batch of a log, or a snapshot, and makes its checksum right again.
    Reseal {
        batch: u8,
        at: u16,
        bytes: Vec<u8>,
    },
    /// Another file with the same contents: a segment or snapshot of another offset.
    Copy {
        offset: u64,
    },
}

type Files = Vec<(String, Vec<u8>)>;

/// How the broker ended that left a directory behind. After a clean end little of it is checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    Killed,
    Clean,
}

/// A broker opens the directory, says what is wrong with it, or stops because of it later.
pub fn directory(ended: Ended, edits: &[Edit]) {
    static KILLED: OnceLock<Files> = OnceLock::new();
    static CLEAN: OnceLock<Files> = OnceLock::new();
    let kept = if ended == Ended::Killed { &KILLED } else { &CLEAN };
    let mut files = kept.get_or_init(|| used_directory(ended)).clone();
    for edit in edits {
        apply(edit, &mut files);
    }
    in_a_world(|world| async move {
        world.add_machine("broker", MachineOptions::default());
        put_files(&env_of(&world, "broker").await, &files);
        world.kill("broker");
        world.add_machine("strangers", MachineOptions::default());
        let strangers = env_of(&world, "strangers").await;
        let broker = Address::new("broker", 9092);
        let config = small_segments(&broker);
        world.start("broker", |env| Box::pin(open(env, config)));
        let ground = Ground { broker, honest: strangers.clone(), strangers, simulated: true };
        tokio::select! {
            biased;
            _ = world.ended("broker") => {}
            () = read_all(&ground) => { let _ = world.ended("broker").await; }
        }
    });
}

/// Little data makes many files.
fn small_segments(address: &Address) -> NodeConfig {
    let mut config = node(address, &[("log.flush.offset.checkpoint.interval.ms", "100")]);
    let small = [("segment.bytes", "400"), ("index.interval.bytes", "100")];
    config.topics[0].config = small.map(|(name, value)| (name.into(), value.into())).to_vec();
    config
}

/// Serves for a second.
async fn open(env: Env, config: NodeConfig) {
    let clock = Arc::clone(&env.clock);
    match Node::start(env, config, Arc::new(Deaf)).await {
        Ok(node) => {
            let end = clock.now() + Duration::from_secs(1);
            if let Err(error) = node.run(clock.sleep_until(end)).await {
                assert!(!error.to_string().is_empty());
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// The files that a broker leaves behind: several segments, producers, a group.
fn used_directory(ended: Ended) -> Files {
    in_a_world(|world| async move {
        let broker = Address::new("broker", 9092);
        for name in ["broker", "honest"] {
            world.add_machine(name, MachineOptions::default());
        }
        let honest = env_of(&world, "honest").await;
        let (stop, stopped) = oneshot::channel();
        let config = small_segments(&broker);
        world.start("broker", |env| Box::pin(ground::serve(env, config, stopped)));
        let ground = Ground { broker, strangers: honest.clone(), honest, simulated: true };
        beside_honest_clients(&ground, ground.pause(Duration::from_millis(500))).await;
        match ended {
            Ended::Killed => world.kill("broker"),
            Ended::Clean => {
                stop.send(()).unwrap();
                world.ended("broker").await;
            }
        }
        let disk = env_of(&world, "broker").await.disk;
        let mut files = Vec::new();
        collect(disk.as_ref(), "", &mut files);
        let batches = |file: &&(String, Vec<u8>)| file.0.ends_with(".log") && !file.1.is_empty();
        assert!(files.iter().filter(batches).count() > 4, "a directory worth attacking");
        files
    })
}

fn collect(disk: &dyn Disk, directory: &str, files: &mut Files) {
    for name in disk.list(directory).unwrap() {
        let path = if directory.is_empty() { name } else { format!("{directory}/{name}") };
        let Ok(file) = disk.open(&path, OpenMode::Read) else {
            collect(disk, &path, files);
            continue;
        };
        let mut bytes = vec![0; usize::try_from(file.len()).unwrap()];
        file.read_at(0, &mut bytes).unwrap();
        files.push((path, bytes));
    }
}

fn put_files(env: &Env, files: &Files) {
    for (path, bytes) in files {
        if let Some((directory, _)) = path.rsplit_once('/') {
            env.disk.create_dir(directory).unwrap();
        }
        env.disk.open(path, OpenMode::Truncate).unwrap().write_at(0, bytes).unwrap();
    }
}

fn apply(edit: &Edit, files: &mut Files) {
    let (count, number) = (files.len(), usize::from(edit.file));
    let eligible = |index: &usize| number.is_multiple_of(2) || !files[*index].1.is_empty();
    let eligible: Vec<usize> = (0..count).filter(eligible).collect();
    let Some(&index) = eligible.get(number % eligible.len().max(1)) else { return };
    let (path, contents) = &mut files[index];
    let place = |at: u16, len: usize| usize::from(at) % len.max(1);
    let len = contents.len();
    match &edit.change {
        Change::Remove if count > 1 => drop(files.remove(index)),
        Change::Remove => {}
        Change::Cut { at } => contents.truncate(place(*at, len)),
        Change::Flip { at, bits } => {
            if let Some(byte) = contents.get_mut(place(*at, len)) {
                *byte ^= bits;
            }
        }
        Change::Insert { at, bytes } => {
            let at = place(*at, len);
            contents.splice(at..at, bytes.iter().copied());
        }
        Change::Replace { bytes } => contents.clone_from(bytes),
        Change::Reseal { batch, at, bytes } => {
            if path.ends_with(".snapshot") && len > 6 {
                overwrite(&mut contents[6..], place(*at, len - 6), bytes);
                let crc = crc32c::crc32c(&contents[6..]);
                contents[2..6].copy_from_slice(&crc.to_be_bytes());
            } else if let Some(range) = batch_of(contents, usize::from(*batch)) {
                reseal(&mut contents[range], *at, bytes);
            }
        }
        Change::Copy { offset } => {
            if let Some((directory, name)) = path.rsplit_once('/')
                && let Some((_, suffix)) = name.split_once('.')
            {
                let copy = (format!("{directory}/{offset:020}.{suffix}"), contents.clone());
                files.push(copy);
            }
        }
    }
}

/// Where the batch of that number, modulo how many there are, lies in a log.
fn batch_of(log: &[u8], number: usize) -> Option<std::ops::Range<usize>> {
    let sizes = Batches::new(Bytes::copy_from_slice(log)).map_while(Result::ok);
    let ends = sizes.scan(0, |end, batch| {
        let start = *end;
        *end += batch.header.size();
        Some(start..*end)
    });
    let ranges: Vec<_> = ends.collect();
    ranges.get(number % ranges.len().max(1)).cloned()
}

/// Overwrites a part of exactly one batch and makes its checksum right again.
pub fn reseal(batch: &mut [u8], at: u16, bytes: &[u8]) {
    let at = usize::from(at) % batch.len();
    overwrite(batch, at, bytes);
    if batch.len() > 21 {
        let crc = crc32c::crc32c(&batch[21..]);
        batch[17..21].copy_from_slice(&crc.to_be_bytes());
    }
}

fn overwrite(target: &mut [u8], at: usize, bytes: &[u8]) {
    let end = (at + bytes.len()).min(target.len());
    target[at..end].copy_from_slice(&bytes[..end - at]);
}

/// What a client reads of such a directory.
async fn read_all(ground: &Ground) {
    let mut stranger = Stranger::open(ground).await;
    let topic = || TopicName(StrBytes::from_static_str(ground::TOPIC));
    let both = [0, 1].map(|index| {
        let partition = FetchPartition::default().with_partition(index);
        partition.with_partition_max_bytes(1 << 20)
    });
    let wanted = FetchTopic::default().with_topic(topic()).with_partitions(both.to_vec());
    let fetch = FetchRequest::default().with_max_bytes(1 << 20).with_topics(vec![wanted]);
    let asked = ListOffsetsPartition::default().with_timestamp(1_000);
    let asked = ListOffsetsTopic::default().with_name(topic()).with_partitions(vec![asked]);
    let committed = OffsetFetchRequest::default()
        .with_group_id(StrBytes::from_static_str("honest").into())
        .with_topics(None);
    let frames = [
        frame_of(1, 1, &MetadataRequest::default()),
        frame_of(1, 12, &fetch),
        frame_of(1, 5, &ListOffsetsRequest::default().with_topics(vec![asked])),
        frame_of(1, 7, &committed),
    ];
    for frame in frames {
        stranger.send(&frame).await;
        if stranger.outcome(Duration::from_millis(200)).await == Outcome::Closed {
            return;
        }
    }
}
