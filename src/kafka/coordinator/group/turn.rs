//! One group's turn: the group with all that a step of it needs at hand.

use super::{
    AppendToken, Effect, GroupConfig, GroupEvent, GroupResponse, LeaveReason, Now, RequestToken,
    deadlines::Deadlines,
    group_state::Group,
    member::Member,
    writes::{Answer, Bond, Deferred, Write, Writes},
};
use crate::kafka::{
    coordinator::records::Record,
    protocol::ResponseError,
    types::{GroupId, MemberId},
};

/// What a deadline is for.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Due {
    /// The end of a member's session, or of the time a pending member has to come back.
    Session(GroupId, MemberId),
    /// The end of a group's wait for joining members.
    Join(GroupId),
    /// The end of a group's wait for members to ask for their assignment.
    Sync(GroupId),
    /// `offsets.commit.timeout.ms` after an append began.
    Append(AppendToken),
    /// Look for expired offsets and deserted groups.
    Expiry,
}

pub(super) struct Turn<'a> {
    pub group: &'a mut Group,
    pub config: &'a GroupConfig,
    pub deadlines: &'a mut Deadlines<Due>,
    pub writes: &'a mut Writes,
    pub now: Now,
    pub effects: &'a mut Vec<Effect>,
}

impl Turn<'_> {
    pub fn reply(&mut self, request: RequestToken, response: GroupResponse) {
        self.effects.push(Effect::Reply { request, response });
    }

    /// After the appends under way, as the runtime of Kafka's coordinators orders its answers.
    pub fn reply_in_order(&mut self, request: RequestToken, response: GroupResponse) {
        match self.writes.last_mut() {
            None => self.reply(request, response),
            Some(pending) => {
                let answer = Answer::Ready(response);
                pending.replies.push(Deferred { request, answer, bond: Bond::Order });
            }
        }
    }

    pub fn append(&mut self, write: Write, records: Vec<Record>) -> AppendToken {
        let append = self.writes.begin(write);
        self.deadlines.set(Due::Append(append), self.now.instant + self.config.commit_timeout);
        self.effects.push(Effect::Append { append, records });
        append
    }

    /// Answers once `append` is committed, and with an error if it fails.
    pub fn promise(&mut self, append: AppendToken, request: RequestToken, response: GroupResponse) {
        let pending = self.writes.get_mut(append).expect("an append just begun is under way");
        let answer = Answer::Ready(response);
        pending.replies.push(Deferred { request, answer, bond: Bond::Promise });
    }

    pub fn observe(&mut self, event: GroupEvent) {
        self.effects.push(Effect::Observe(event));
    }

    pub fn session_key(&self, member: &MemberId) -> Due {
        Due::Session(self.group.id.clone(), member.clone())
    }

    /// A member gave a sign of life.
    pub fn renew_session(&mut self, member: &str) {
        if let Some(member) = self.group.members.get(member) {
            let key = Due::Session(self.group.id.clone(), member.id.clone());
            self.deadlines.set(key, self.now.instant + member.session_timeout());
        }
    }

    /// Takes a member out and answers what it still waits for, so that it can join again.
    ///
    /// Kafka leaves a SyncGroup of a removed member unanswered; here no request waits for ever.
    pub fn remove_member(&mut self, id: &str, reason: LeaveReason) -> Option<Member> {
        let mut removed = self.group.remove(id)?;
        self.deadlines.cancel(&Due::Session(self.group.id.clone(), removed.id.clone()));
        if let Some(request) = removed.awaiting_join.take() {
            self.reply(request, GroupResponse::join_error("", ResponseError::UnknownMemberId));
        }
        if let Some(request) = removed.awaiting_sync.take() {
            self.reply(request, GroupResponse::sync_error(ResponseError::UnknownMemberId));
        }
        let group = self.group.id.clone();
        self.observe(GroupEvent::MemberLeft { group, who: removed.participant(), reason });
        Some(removed)
    }

    pub fn remove_pending(&mut self, id: &str) {
        let member = MemberId::from(id);
        self.group.remove(id);
        self.deadlines.cancel(&self.session_key(&member));
    }

    /// Lets `request` wait in place of an earlier one of the same member.
    ///
    /// Kafka forgets the earlier one, whose connection is gone as a rule; here it is told to join again.
    pub fn await_join(&mut self, member: &str, request: RequestToken) {
        let Some(member) = self.group.members.get_mut(member) else { return };
        let id = member.id.clone();
        if let Some(earlier) = member.awaiting_join.replace(request) {
            let response =
                GroupResponse::join_error(id.as_str(), ResponseError::RebalanceInProgress);
            self.reply(earlier, response);
        }
    }

    /// As [`Self::await_join`], for SyncGroup.
    pub fn await_sync(&mut self, member: &str, request: RequestToken) {
        let Some(member) = self.group.members.get_mut(member) else { return };
        if let Some(earlier) = member.awaiting_sync.replace(request) {
            self.reply(earlier, GroupResponse::sync_error(ResponseError::RebalanceInProgress));
        }
    }
}
