//! The file `quorum-state`: Kafka's own bytes, and bytes that are none.

use proptest::prelude::*;
use uuid::Uuid;

use super::super::{ElectionState, ElectionStateError, ReplicaKey};
use crate::kafka::types::{BrokerId, LeaderEpoch};

fn state(epoch: i32, leader: Option<i32>, voted: Option<(i32, u128)>) -> ElectionState {
    ElectionState {
        epoch: LeaderEpoch(epoch),
        leader: leader.map(BrokerId),
        voted: voted.map(|(id, bits)| ReplicaKey::new(BrokerId(id), Uuid::from_u128(bits))),
    }
}

#[test]
fn the_file_is_kafkas() {
    // The directory id as `Uuid.toString` of Kafka writes it.
    let id = 0x9d2c_7a58_11e4_4f3f_8a6b_00ff_10fe_dcba;
    let voted = state(7, None, Some((3, id)));
    let text = r#"{"leaderId":-1,"leaderEpoch":7,"votedId":3,"votedDirectoryId":"nSx6WBHkTz-KawD_EP7cug","data_version":1}"#;
    assert_eq!(String::from_utf8(voted.to_json()).unwrap(), text);
    assert_eq!(ElectionState::from_json(text.as_bytes()), Ok(voted));
    let led = state(7, Some(2), None);
    let text = r#"{"leaderId":2,"leaderEpoch":7,"votedId":-1,"votedDirectoryId":"AAAAAAAAAAAAAAAAAAAAAA","data_version":1}"#;
    assert_eq!(String::from_utf8(led.to_json()).unwrap(), text);
}

#[test]
fn a_file_from_before_directory_ids_is_read() {
    let text = r#"{"clusterId":"","leaderId":1,"leaderEpoch":2,"votedId":-1,"appliedOffset":0,"currentVoters":[{"voterId":1}],"data_version":0}"#;
    assert_eq!(ElectionState::from_json(text.as_bytes()), Ok(state(2, Some(1), None)));
}

#[test]
fn files_that_are_none_say_why() {
    let told = |text: &str| ElectionState::from_json(text.as_bytes()).unwrap_err().to_string();
    insta::assert_snapshot!([
        "",
        "\n",
        "{",
        "[1]",
        "{}",
        r#"{"data_version":2}"#,
        r#"{"data_version":"1"}"#,
        r#"{"data_version":1,"leaderEpoch":3}"#,
        r#"{"data_version":1,"leaderEpoch":-3,"leaderId":1,"votedId":-1}"#,
        r#"{"data_version":1,"leaderEpoch":3,"leaderId":4294967296,"votedId":-1}"#,
        r#"{"data_version":1,"leaderEpoch":3,"leaderId":1,"votedId":-1,"votedDirectoryId":"?"}"#,
    ]
    .map(told)
    .join("\n"));
}

proptest! {
    #[test]
    fn what_was_written_is_read(
        epoch in 0..i32::MAX,
        leader in prop::option::of(0..i32::MAX),
        voted in prop::option::of((0..i32::MAX, any::<u128>())),
    ) {
        let state = state(epoch, leader, voted);
        prop_assert_eq!(ElectionState::from_json(&state.to_json()), Ok(state));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(state) = ElectionState::from_json(&bytes) {
            prop_assert!(state.epoch.0 >= 0);
        }
        let cut = ElectionState::default().to_json();
        let short = ElectionState::from_json(&cut[..cut.len() - 1]);
        prop_assert!(matches!(short, Err(ElectionStateError::NotJson(_))));
    }
}
