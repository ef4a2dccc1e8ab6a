//! A coordinator's events as history events.
use crate::{kafka::coordinator::group::GroupEvent, testbed::history::EventKind};
pub(super) fn kind_of(event: GroupEvent) -> Option<EventKind> {
    match event {}
}
