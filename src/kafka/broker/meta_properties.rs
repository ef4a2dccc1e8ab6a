//! `meta.properties`: whose data directory this is. Written when the directory is first used, read at every
//! start, so that no broker takes another's directory, or another cluster's, for its own.
//!
//! Departure: Kafka wants a directory formatted by `kafka-storage` and refuses one without the file
//! (`KafkaRaftServer.initializeLogDirs`); here a broker formats an empty directory itself and refuses one
//! that holds something else. The file has no comment with its date, which nobody reads.

use std::{collections::BTreeMap, io};

use uuid::Uuid;

use super::node::{NodeConfig, draw_id};
use crate::{
    env::{Disk, Env, Rng},
    kafka::{
        log::{CheckpointError, id_from_text, id_to_text, read_text, write_atomically},
        types::BrokerId,
    },
};

const FILE: &str = "meta.properties";
/// What a crash may leave of the very first write.
const UNFINISHED: &str = "meta.properties.tmp";
/// The root of a new file system is not quite empty.
const LOST_AND_FOUND: &str = "lost+found";

/// Why a data directory is not this broker's.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    #[error(transparent)]
    Read(#[from] CheckpointError),
    #[error(
        "the data directory has no {FILE} and is not empty (`{found}`): it is not a broker's, and is left alone"
    )]
    Foreign { found: String },
    #[error("the data directory belongs to broker {stored} ({FILE}), not to broker {expected}")]
    OtherBroker { stored: BrokerId, expected: BrokerId },
    #[error("the data directory belongs to cluster {stored} ({FILE}), not to cluster {expected}")]
    OtherCluster { stored: String, expected: String },
    #[error("failed to look into the data directory: {0}")]
    List(io::Error),
    #[error("failed to write {FILE}: {0}")]
    Write(io::Error),
}

/// `MetaProperties` as its two versions have it; version 0 calls the node `broker.id`.
#[derive(Clone, PartialEq, Eq, Debug)]
struct MetaProperties {
    version: i32,
    cluster_id: String,
    node_id: BrokerId,
    directory_id: Option<Uuid>,
}

impl MetaProperties {
    fn decode(text: &str) -> Result<Self, String> {
        let lines = text.lines().map(str::trim).filter(|line| !line.starts_with(['#', '!']));
        let values: BTreeMap<_, _> = lines
            .filter_map(|line| line.split_once(['=', ':']))
            .map(|(name, value)| (name.trim(), value.trim()))
            .collect();
        let number = |name: &str| match values.get(name) {
            None => Err(format!("it has no {name}")),
            Some(text) => text.parse().map_err(|_| format!("{name} `{text}` is not a number")),
        };
        let version = if values.contains_key("version") { number("version")? } else { 0 };
        let node_id = match version {
            0 => number("broker.id")?,
            1 => number("node.id")?,
            other => return Err(format!("version {other}, expected 0 or 1")),
        };
        let cluster_id = values.get("cluster.id").ok_or("it has no cluster.id")?;
        let directory_id = values.get("directory.id").map(|text| {
            id_from_text(text).ok_or_else(|| format!("directory.id `{text}` is not an id"))
        });
        Ok(MetaProperties {
            version,
            cluster_id: (*cluster_id).to_owned(),
            node_id: BrokerId(node_id),
            directory_id: directory_id.transpose()?,
        })
    }

    fn encode(&self) -> String {
        let node = if self.version == 0 { "broker.id" } else { "node.id" };
        let directory = self.directory_id.map(|id| format!("directory.id={}\n", id_to_text(id)));
        format!(
            "cluster.id={}\n{}{node}={}\nversion={}\n",
            self.cluster_id,
            directory.unwrap_or_default(),
            self.node_id,
            self.version
        )
    }
}

fn load(disk: &dyn Disk) -> Result<Option<MetaProperties>, CheckpointError> {
    let Some(text) = read_text(disk, FILE)? else { return Ok(None) };
    let malformed = |reason| CheckpointError::Malformed { path: FILE.into(), reason };
    MetaProperties::decode(&text).map(Some).map_err(malformed)
}

/// The cluster a data directory belongs to; `None` if it has not been used yet.
///
/// # Errors
/// A `meta.properties` that cannot be read.
pub fn cluster_of(disk: &dyn Disk) -> Result<Option<String>, CheckpointError> {
    Ok(load(disk)?.map(|properties| properties.cluster_id))
}

/// A new cluster's id, as `kafka-storage random-uuid` makes one.
pub fn new_cluster_id(rng: &Rng) -> String {
    id_to_text(draw_id(&mut rng.stream("cluster-id")))
}

/// Makes an empty data directory this broker's, or checks that it is (`MetaPropertiesEnsemble.verify`).
///
/// Tells the directory's id.
pub(super) async fn claim(env: &Env, config: &NodeConfig) -> Result<Uuid, DirectoryError> {
    let disk = env.disk.as_ref();
    let known = match load(disk)? {
        Some(known) => known,
        None => {
            refuse_foreign(disk)?;
            let (cluster_id, node_id) = (config.cluster_id.clone(), config.broker_id);
            MetaProperties { version: 1, cluster_id, node_id, directory_id: None }
        }
    };
    let expected = config.broker_id;
    if known.node_id != expected {
        return Err(DirectoryError::OtherBroker { stored: known.node_id, expected });
    }
    if known.cluster_id != config.cluster_id {
        let (stored, expected) = (known.cluster_id, config.cluster_id.clone());
        return Err(DirectoryError::OtherCluster { stored, expected });
    }
    if let Some(id) = known.directory_id {
        return Ok(id);
    }
    // Files from before directories had ids get one too.
    let id = draw_id(&mut env.rng.stream("directory-id"));
    let text = MetaProperties { directory_id: Some(id), ..known }.encode();
    let written = write_atomically(disk, FILE, text.as_bytes()).await;
    written.map_err(DirectoryError::Write)?;
    Ok(id)
}

fn refuse_foreign(disk: &dyn Disk) -> Result<(), DirectoryError> {
    let names = disk.list("").map_err(DirectoryError::List)?;
    match names.into_iter().find(|name| name != UNFINISHED && name != LOST_AND_FOUND) {
        Some(found) => Err(DirectoryError::Foreign { found }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::MetaProperties;
    use crate::kafka::types::BrokerId;

    fn properties() -> MetaProperties {
        MetaProperties {
            version: 1,
            cluster_id: "4L6g3nShT-eMCtK--X86sw".into(),
            node_id: BrokerId(3),
            directory_id: Some(Uuid::from_u128(7)),
        }
    }

    #[test]
    fn the_file_is_read_as_java_writes_it() {
        let text = "#\n#Sat Nov 21 08:47:42 UTC 2026\ncluster.id=4L6g3nShT-eMCtK--X86sw\n\
                    directory.id=AAAAAAAAAAAAAAAAAAAABw\nnode.id=3\nversion=1\n";
        assert_eq!(MetaProperties::decode(text), Ok(properties()));
        assert_eq!(MetaProperties::decode(&properties().encode()), Ok(properties()));
        assert!(text.ends_with(&properties().encode()));
    }

    #[test]
    fn version_0_calls_the_node_a_broker() {
        let old = MetaProperties { version: 0, directory_id: None, ..properties() };
        let text = "cluster.id=4L6g3nShT-eMCtK--X86sw\nbroker.id=3\n";
        assert_eq!(MetaProperties::decode(text), Ok(old.clone()));
        assert_eq!(MetaProperties::decode(&old.encode()), Ok(old));
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        let wrong = |text: &str| MetaProperties::decode(text).unwrap_err();
        assert_eq!(wrong(""), "it has no broker.id");
        assert_eq!(wrong("version=1\nbroker.id=1\n"), "it has no node.id");
        assert_eq!(wrong("version=1\nnode.id=1\n"), "it has no cluster.id");
        assert_eq!(wrong("version=2\nnode.id=1\n"), "version 2, expected 0 or 1");
        assert_eq!(wrong("version=1\nnode.id=one\n"), "node.id `one` is not a number");
        let id = "version=1\nnode.id=1\ncluster.id=c\ndirectory.id=short\n";
        assert_eq!(wrong(id), "directory.id `short` is not an id");
    }
}
