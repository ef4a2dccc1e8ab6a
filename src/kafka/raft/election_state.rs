//! The file `quorum-state`: epoch, leader and vote, all that a voter must never forget.
//!
//! One line of JSON as `FileQuorumStateStore` writes it, in data version 1 (version 0 is read too: it came
//! before directory ids). Reading and writing are functions on bytes; the file is the shell's.

use serde_json::{Map, Value};
use uuid::Uuid;

use super::ReplicaKey;
use crate::kafka::types::{BrokerId, LeaderEpoch};

pub const QUORUM_STATE_FILE: &str = "quorum-state";

/// Version 1 has the directory of the replica voted for, and no voters (KIP-853).
const DATA_VERSION: i64 = 1;

/// What a replica knows of the latest election.
///
/// - The epoch never falls.
/// - Within an epoch, neither vote nor leader is forgotten or changed once it is set.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ElectionState {
    pub epoch: LeaderEpoch,
    pub leader: Option<BrokerId>,
    pub voted: Option<ReplicaKey>,
}

#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ElectionStateError {
    #[error("quorum-state is empty")]
    Empty,
    #[error("quorum-state is not a line of JSON: {0}")]
    NotJson(String),
    #[error("quorum-state holds no object")]
    NotAnObject,
    #[error("quorum-state has data_version {0}, of which only 0 and 1 are known")]
    Version(i64),
    #[error("quorum-state has no {0}")]
    Missing(&'static str),
    #[error("quorum-state has {field} {value}, which is not {wanted}")]
    Unfit { field: &'static str, value: String, wanted: &'static str },
}

impl ElectionState {
    pub fn to_json(self) -> Vec<u8> {
        let number = |id: Option<BrokerId>| id.map_or(-1, |id| id.0);
        let directory = self.voted.map_or(Uuid::nil(), |voted| voted.directory);
        // Kafka's own order of the fields, though a JSON object has none.
        format!(
            "{{\"leaderId\":{},\"leaderEpoch\":{},\"votedId\":{},\"votedDirectoryId\":\"{}\",\"data_version\":{}}}",
            number(self.leader),
            self.epoch,
            number(self.voted.map(|voted| voted.id)),
            base64(directory),
            DATA_VERSION,
        )
        .into_bytes()
    }

    pub fn from_json(bytes: &[u8]) -> Result<Self, ElectionStateError> {
        let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
        if line.is_empty() {
            return Err(ElectionStateError::Empty);
        }
        let value: Value = serde_json::from_slice(line)
            .map_err(|error| ElectionStateError::NotJson(error.to_string()))?;
        let Value::Object(object) = value else { return Err(ElectionStateError::NotAnObject) };
        let version = number(&object, "data_version", i64::MIN)?;
        if !(0..=DATA_VERSION).contains(&version) {
            return Err(ElectionStateError::Version(version));
        }
        let epoch = number(&object, "leaderEpoch", 0)?;
        let leader = number(&object, "leaderId", -1)?;
        let voted = number(&object, "votedId", -1)?;
        let directory = if version == 0 { Uuid::nil() } else { directory(&object)? };
        let id = |id: i64| (id >= 0).then(|| BrokerId(int(id)));
        Ok(ElectionState {
            epoch: LeaderEpoch(int(epoch)),
            leader: id(leader),
            voted: id(voted).map(|id| ReplicaKey::new(id, directory)),
        })
    }
}

/// Checked to be in range by [`number`].
fn int(number: i64) -> i32 {
    i32::try_from(number).expect("a number of quorum-state was checked when it was read")
}

fn number(
    object: &Map<String, Value>,
    field: &'static str,
    least: i64,
) -> Result<i64, ElectionStateError> {
    let value = object.get(field).ok_or(ElectionStateError::Missing(field))?;
    let number = value
        .as_i64()
        .filter(|number| least == i64::MIN || (least..=i64::from(i32::MAX)).contains(number));
    number.ok_or_else(|| ElectionStateError::Unfit {
        field,
        value: value.to_string(),
        wanted: "a number it can have",
    })
}

fn directory(object: &Map<String, Value>) -> Result<Uuid, ElectionStateError> {
    let field = "votedDirectoryId";
    let value = object.get(field).ok_or(ElectionStateError::Missing(field))?;
    value.as_str().and_then(from_base64).ok_or_else(|| ElectionStateError::Unfit {
        field,
        value: value.to_string(),
        wanted: "a directory id",
    })
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// As `Uuid.toString` of Kafka: base64 for URLs, without padding.
fn base64(id: Uuid) -> String {
    // 128 bits are 22 digits, the last of which holds two bits.
    let digit = |index: u32| {
        let shifted =
            if index == 21 { id.as_u128() << 4 } else { id.as_u128() >> (122 - 6 * index) };
        let digit = usize::try_from(shifted & 63).expect("six bits");
        char::from(ALPHABET[digit])
    };
    (0..22).map(digit).collect()
}

fn from_base64(text: &str) -> Option<Uuid> {
    if text.len() != 22 {
        return None;
    }
    let mut bits: u128 = 0;
    for (index, letter) in text.bytes().enumerate() {
        let digit = ALPHABET.iter().position(|known| *known == letter)? as u128;
        bits = if index < 21 { (bits << 6) | digit } else { (bits << 2) | (digit >> 4) };
    }
    Some(Uuid::from_u128(bits))
}
