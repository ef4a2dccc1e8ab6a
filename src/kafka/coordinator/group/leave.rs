//! LeaveGroup: members go of their own will, or are sent away by an administrator.

use kafka_protocol::messages::{
    LeaveGroupRequest, LeaveGroupResponse, leave_group_request::MemberIdentity,
    leave_group_response::MemberResponse,
};

use super::{
    Effect, GroupCoordinator, GroupResponse, GroupState, LeaveReason, Now, Request, turn::Turn,
};
use crate::kafka::{protocol::ResponseError, types::MemberId};

/// From this version on several members may leave at once, each with its own error.
const BATCHED: i16 = 3;

impl GroupCoordinator {
    pub fn handle_leave_group(
        &mut self,
        now: Now,
        mut request: Request<LeaveGroupRequest>,
        effects: &mut Vec<Effect>,
    ) {
        let (token, version) = (request.token, request.caller.api_version);
        if version < BATCHED {
            let alone = MemberIdentity::default().with_member_id(request.body.member_id.clone());
            request.body.members = vec![alone];
        }
        let response = if request.body.group_id.is_empty() {
            let code = ResponseError::InvalidGroupId.code();
            LeaveGroupResponse::default().with_error_code(code)
        } else if let Some(mut turn) = self.turn(&request.body.group_id, now, effects) {
            return turn.leave(request);
        } else {
            let unknown = Err(ResponseError::UnknownMemberId);
            answer(request.body.members.into_iter().map(|member| (member, unknown)), version)
        };
        let response = GroupResponse::Leave(response);
        effects.push(Effect::Reply { request: token, response });
    }
}

impl Turn<'_> {
    fn leave(&mut self, request: Request<LeaveGroupRequest>) {
        let mut results = Vec::with_capacity(request.body.members.len());
        let mut left = Vec::new();
        for member in request.body.members {
            let result = self.leave_one(&member);
            if let Ok(id) = &result {
                left.push(id.clone());
            }
            results.push((member, result.map(|_| ())));
        }
        let first_append = self.writes.next_token();
        if !left.is_empty() {
            let names = || left.iter().map(MemberId::as_str).collect::<Vec<_>>().join(", ");
            match self.group.state {
                GroupState::Stable | GroupState::CompletingRebalance => {
                    self.prepare_rebalance(format!("{} left", names()));
                }
                GroupState::PreparingRebalance => self.maybe_complete_join(),
                GroupState::Empty => {}
            }
        }
        let response = answer(results.into_iter(), request.caller.api_version);
        let response = GroupResponse::Leave(response);
        if self.writes.next_token() == first_append {
            self.reply_in_order(request.token, response);
        } else {
            self.promise(first_append, request.token, response);
        }
    }

    /// Without a member id an administrator removes a static member by its instance.
    fn leave_one(&mut self, member: &MemberIdentity) -> Result<MemberId, ResponseError> {
        let instance = member.group_instance_id.as_ref();
        let id = if member.member_id.is_empty() {
            let owner = instance.and_then(|instance| self.group.static_members.get(instance));
            owner.cloned().ok_or(ResponseError::UnknownMemberId)?
        } else {
            MemberId::from(member.member_id.as_str())
        };
        if self.group.is_pending(id.as_str()) {
            self.remove_pending(id.as_str());
            return Ok(id);
        }
        if !member.member_id.is_empty() {
            self.group.validate_member(id.as_str(), instance)?;
        }
        let said = member.reason.as_deref().filter(|said| !said.is_empty());
        self.remove_member(id.as_str(), LeaveReason::Left(said.map(Into::into)));
        Ok(id)
    }
}

fn answer(
    results: impl Iterator<Item = (MemberIdentity, Result<(), ResponseError>)>,
    version: i16,
) -> LeaveGroupResponse {
    let members = results.map(|(member, result)| {
        MemberResponse::default()
            .with_member_id(member.member_id)
            .with_group_instance_id(member.group_instance_id)
            .with_error_code(result.err().map_or(0, |error| error.code()))
    });
    let mut members: Vec<MemberResponse> = members.collect();
    if version >= BATCHED {
        return LeaveGroupResponse::default().with_members(members);
    }
    let code = members.pop().map_or(0, |alone| alone.error_code);
    LeaveGroupResponse::default().with_error_code(code)
}
