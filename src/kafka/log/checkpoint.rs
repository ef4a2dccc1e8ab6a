//! Small text files that are replaced as a whole: offset checkpoints, leader epochs, partition metadata.
//!
//! A checkpoint is a version, a count, and one entry a line (`CheckpointFile`). Replacing one writes
//! `NAME.tmp`, syncs it, renames it over `NAME` and syncs the directory: at any time a crash leaves the
//! old or the new file, whole.

use std::{collections::BTreeMap, fmt::Write as _, io, str::FromStr};

use uuid::Uuid;

use crate::{
    env::{Disk, OpenMode},
    kafka::types::{Offset, TopicPartition},
};

/// The only version of either kind of checkpoint.
const VERSION: i32 = 0;

#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    #[error("failed to read {path}: {source}")]
    Io { path: String, source: io::Error },
    /// Kafka refuses to start its log directory over such a file.
    #[error("{path} is malformed: {reason}")]
    Malformed { path: String, reason: String },
}

/// `recovery-point-offset-checkpoint`, `log-start-offset-checkpoint` or
/// `replication-offset-checkpoint` (high watermarks). A file that does not exist holds nothing.
pub fn load_offsets(
    disk: &dyn Disk,
    path: &str,
) -> Result<BTreeMap<TopicPartition, Offset>, CheckpointError> {
    let entry = |line: &str| {
        let mut parts = line.split_whitespace();
        let topic = parts.next()?;
        let partition = parts.next()?.parse().ok()?;
        let offset = parts.next()?.parse().ok()?;
        let done = parts.next().is_none();
        done.then(|| (TopicPartition::new(topic, partition), Offset(offset)))
    };
    Ok(load(disk, path, entry)?.into_iter().collect())
}

/// Replaces a checkpoint of offsets; see [`load_offsets`].
pub async fn store_offsets(
    disk: &dyn Disk,
    path: &str,
    offsets: &BTreeMap<TopicPartition, Offset>,
) -> io::Result<()> {
    let lines =
        offsets.iter().map(|(at, offset)| format!("{} {} {offset}", at.topic, at.partition));
    write_atomically(disk, path, encode(lines).as_bytes()).await
}

/// The text of a checkpoint with these entries.
pub(super) fn encode(entries: impl ExactSizeIterator<Item = String>) -> String {
    let mut text = format!("{VERSION}\n{}\n", entries.len());
    for entry in entries {
        text.push_str(&entry);
        text.push('\n');
    }
    text
}

/// The entries of a checkpoint; none if there is no such file or it is empty.
pub(super) fn load<T>(
    disk: &dyn Disk,
    path: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Vec<T>, CheckpointError> {
    let Some(text) = read_text(disk, path)? else { return Ok(Vec::new()) };
    decode(&text, parse).map_err(|reason| CheckpointError::Malformed { path: path.into(), reason })
}

fn decode<T>(text: &str, parse: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, String> {
    let mut lines = text.lines();
    let Some(version) = lines.next() else { return Ok(Vec::new()) };
    if number::<i32>(version)? != VERSION {
        return Err(format!("version {version}, expected {VERSION}"));
    }
    let Some(count) = lines.next() else { return Ok(Vec::new()) };
    let count: usize = number(count)?;
    let entries: Vec<T> = lines
        .map(|line| parse(line).ok_or_else(|| format!("line `{line}`")))
        .collect::<Result<_, _>>()?;
    if entries.len() == count {
        Ok(entries)
    } else {
        Err(format!("{} entries, {count} expected", entries.len()))
    }
}

fn number<T: FromStr>(text: &str) -> Result<T, String> {
    text.trim().parse().map_err(|_| format!("`{text}` is not a number"))
}

/// The id of the topic a partition's directory belongs to, from `partition.metadata`.
pub fn load_partition_metadata(
    disk: &dyn Disk,
    dir: &str,
) -> Result<Option<Uuid>, CheckpointError> {
    let path = format!("{dir}/partition.metadata");
    let Some(text) = read_text(disk, &path)? else { return Ok(None) };
    let malformed =
        |reason: &str| CheckpointError::Malformed { path: path.clone(), reason: reason.into() };
    let field = |name| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    if field("version:") != Some("0") {
        return Err(malformed("its version is not 0"));
    }
    let id = field("topic_id:").and_then(id_from_text);
    id.map(Some).ok_or_else(|| malformed("it has no topic id"))
}

/// Records the topic's id in the partition's directory, which exists.
pub async fn store_partition_metadata(disk: &dyn Disk, dir: &str, topic: Uuid) -> io::Result<()> {
    let text = format!("version: 0\ntopic_id: {}", id_to_text(topic));
    write_atomically(disk, &format!("{dir}/partition.metadata"), text.as_bytes()).await
}

/// What of a replaced file is durable once that is done.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Durable {
    /// Neither contents nor name: after a power loss the name may stand for the old file, for the new one, or
    /// for one that is empty or full of zeros.
    Nothing,
    /// The contents: the name stands for the old file or for the new one.
    Contents,
    ContentsAndName,
}

/// Replaces a file so that a crash leaves the old or the new contents, whole and durable.
pub async fn write_atomically(disk: &dyn Disk, path: &str, contents: &[u8]) -> io::Result<()> {
    replace(disk, path, contents, Durable::ContentsAndName).await
}

/// Replaces a file so that the end of the process leaves the old or the new contents.
pub(super) async fn replace(
    disk: &dyn Disk,
    path: &str,
    contents: &[u8],
    durable: Durable,
) -> io::Result<()> {
    let temporary = format!("{path}.tmp");
    let file = disk.open(&temporary, OpenMode::Truncate)?;
    file.write_at(0, contents)?;
    if durable >= Durable::Contents {
        file.sync().await?;
    }
    disk.rename(&temporary, path)?;
    if durable >= Durable::ContentsAndName {
        disk.sync_dir(parent(path)).await?;
    }
    Ok(())
}

/// The directory that holds `path`.
pub(super) fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(dir, _)| dir)
}

/// The whole file as text; `None` if it does not exist.
pub fn read_text(disk: &dyn Disk, path: &str) -> Result<Option<String>, CheckpointError> {
    let bytes = match read_file(disk, path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(CheckpointError::Io { path: path.into(), source }),
    };
    let text = String::from_utf8(bytes).map_err(|_| CheckpointError::Malformed {
        path: path.into(),
        reason: "it is not UTF-8".into(),
    })?;
    Ok(Some(text))
}

/// All bytes of a file.
pub(super) fn read_file(disk: &dyn Disk, path: &str) -> io::Result<Vec<u8>> {
    let file = disk.open(path, OpenMode::Read)?;
    let mut bytes = vec![0; usize::try_from(file.len()).map_err(io::Error::other)?];
    let read = file.read_at(0, &mut bytes)?;
    bytes.truncate(read);
    Ok(bytes)
}

const BASE64_URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Kafka writes ids as base64 for URLs, without padding: 16 bytes in 22 letters.
pub fn id_to_text(id: Uuid) -> String {
    let bits = id.as_u128();
    let mut text = String::with_capacity(22);
    // 21 letters of six bits, then the last two bits followed by four zeros.
    for index in 0..21 {
        let six = (bits >> (122 - 6 * index)) as usize & 63;
        text.push(char::from(BASE64_URL[six]));
    }
    let last = (bits as usize & 3) << 4;
    let _ = text.write_char(char::from(BASE64_URL[last]));
    text
}

/// The id of a text, or `None` if it is not one.
pub fn id_from_text(text: &str) -> Option<Uuid> {
    if text.len() != 22 {
        return None;
    }
    let mut bits = 0_u128;
    for (index, letter) in text.bytes().enumerate() {
        let six = BASE64_URL.iter().position(|&known| known == letter)? as u128;
        bits = if index < 21 { bits << 6 | six } else { bits << 2 | six >> 4 };
    }
    Some(Uuid::from_u128(bits))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::{decode, encode, id_from_text, id_to_text};

    #[test]
    fn the_text_is_kafkas() {
        let text = encode(["orders 0 12".to_owned(), "orders 1 0".to_owned()].into_iter());
        assert_eq!(text, "0\n2\norders 0 12\norders 1 0\n");
        let entries = decode(&text, |line| Some(line.to_owned())).unwrap();
        assert_eq!(entries, ["orders 0 12", "orders 1 0"]);
    }

    #[test]
    fn a_short_or_foreign_file_is_refused() {
        let any = |line: &str| Some(line.to_owned());
        assert_eq!(decode("", any), Ok(vec![]));
        assert!(decode("1\n0\n", any).is_err());
        assert!(decode("0\n2\na\n", any).is_err());
        assert!(decode("x\n", any).is_err());
    }

    #[test]
    fn ids_are_written_as_kafka_does() {
        // `Uuid.METADATA_TOPIC_ID` and a value that uses every kind of letter.
        assert_eq!(id_to_text(Uuid::from_u128(1)), "AAAAAAAAAAAAAAAAAAAAAQ");
        for bits in [0, 1, u128::MAX, 0x0123_4567_89ab_cdef_fedc_ba98_7654_3210] {
            let id = Uuid::from_u128(bits);
            assert_eq!(id_from_text(&id_to_text(id)), Some(id));
        }
    }
}
