//! A follower's side of a fetch session (KIP-227): it names to its leader only what has changed.

use std::cmp::Ordering;

use kafka_protocol::messages::FetchResponse;
use uuid::Uuid;

use super::fetch_sessions::next_epoch;
use crate::kafka::{
    protocol::ResponseError,
    types::{LeaderEpoch, Offset},
};

/// A partition by its topic's id and its number.
pub(super) type Key = (Uuid, i32);

/// What a fetch says of a partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Wanted {
    pub offset: Offset,
    pub last_fetched_epoch: Option<LeaderEpoch>,
    pub current_leader_epoch: Option<LeaderEpoch>,
    pub log_start: Offset,
}

/// The session with one leader. Both sides agree on `epoch`, and the leader knows `told`, which is in the order of
/// keys.
#[derive(Default, Debug)]
pub(super) struct ClientSession {
    /// 0 for none: then each request names all.
    id: i32,
    epoch: i32,
    told: Vec<(Key, Wanted)>,
}

/// What the next request carries.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Ask {
    pub session_id: i32,
    pub session_epoch: i32,
    pub changed: Vec<(Key, Wanted)>,
    pub forgotten: Vec<Key>,
}

impl ClientSession {
    /// For a request that is to fetch all that is `wanted`, in the order of keys.
    pub fn ask(&mut self, wanted: Vec<(Key, Wanted)>) -> Ask {
        let (mut changed, mut forgotten) = (Vec::new(), Vec::new());
        let told = if self.id == 0 { &[][..] } else { &self.told };
        let mut told = told.iter().peekable();
        for one in &wanted {
            loop {
                match told.peek().map_or(Ordering::Greater, |(key, _)| key.cmp(&one.0)) {
                    Ordering::Less => forgotten.extend(told.next().map(|(key, _)| *key)),
                    Ordering::Equal if told.next() == Some(one) => break,
                    Ordering::Equal | Ordering::Greater => {
                        changed.push(*one);
                        break;
                    }
                }
            }
        }
        forgotten.extend(told.map(|(key, _)| *key));
        self.told = wanted;
        Ask { session_id: self.id, session_epoch: self.epoch, changed, forgotten }
    }

    /// Takes in an answer's head. An error tells that the session is gone and the request is to be made
    /// again in full, or what else is wrong.
    pub fn answered(&mut self, response: &FetchResponse) -> Result<(), ResponseError> {
        if response.error_code != 0 {
            self.reset();
            let code = ResponseError::try_from_code(response.error_code);
            return Err(code.unwrap_or(ResponseError::UnknownServerError));
        }
        self.id = response.session_id;
        self.epoch = if self.id == 0 { 0 } else { next_epoch(self.epoch) };
        Ok(())
    }

    /// After an answer that did not come: whether the leader took the request is not known.
    pub fn reset(&mut self) {
        *self = ClientSession::default();
    }
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::FetchResponse;
    use uuid::Uuid;

    use super::{ClientSession, Key, Wanted};
    use crate::kafka::types::Offset;

    fn key(partition: i32) -> Key {
        (Uuid::from_u128(7), partition)
    }

    fn wanted(offsets: &[(i32, i64)]) -> Vec<(Key, Wanted)> {
        let wanted = |offset: i64| Wanted {
            offset: Offset(offset),
            last_fetched_epoch: None,
            current_leader_epoch: None,
            log_start: Offset(0),
        };
        offsets.iter().map(|(partition, offset)| (key(*partition), wanted(*offset))).collect()
    }

    fn answer(session: &mut ClientSession, id: i32, code: i16) {
        let response = FetchResponse::default().with_session_id(id).with_error_code(code);
        assert_eq!(session.answered(&response).is_ok(), code == 0);
    }

    #[test]
    fn only_what_changed_is_named_until_the_session_is_lost() {
        let mut session = ClientSession::default();
        let ask = session.ask(wanted(&[(0, 0), (1, 0)]));
        assert_eq!((ask.session_id, ask.session_epoch, ask.changed.len()), (0, 0, 2));
        answer(&mut session, 9, 0);
        let ask = session.ask(wanted(&[(0, 5), (1, 0)]));
        assert_eq!((ask.session_id, ask.session_epoch), (9, 1));
        assert_eq!(ask.changed, wanted(&[(0, 5)]));
        answer(&mut session, 9, 0);
        let ask = session.ask(wanted(&[(0, 5)]));
        assert_eq!((ask.session_epoch, ask.changed.len()), (2, 0));
        assert_eq!(ask.forgotten, [key(1)]);
        // FETCH_SESSION_ID_NOT_FOUND.
        answer(&mut session, 0, 70);
        let ask = session.ask(wanted(&[(0, 5)]));
        assert_eq!((ask.session_id, ask.session_epoch, ask.changed.len()), (0, 0, 1));
        // A leader that has no room keeps none.
        answer(&mut session, 0, 0);
        assert_eq!(session.ask(wanted(&[(0, 5)])).changed.len(), 1);
    }
}
