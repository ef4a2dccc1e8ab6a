//! Heartbeat: a member's sign of life, and how it learns that it must rejoin.

use kafka_protocol::messages::HeartbeatRequest;

use super::{Effect, GroupCoordinator, GroupResponse, GroupState, Now, Request};
use crate::kafka::protocol::ResponseError;

impl GroupCoordinator {
    pub fn handle_heartbeat(
        &mut self,
        now: Now,
        request: Request<HeartbeatRequest>,
        effects: &mut Vec<Effect>,
    ) {
        let (token, body) = (request.token, request.body);
        let refused = if body.group_id.is_empty() {
            ResponseError::InvalidGroupId
        } else if let Some(mut turn) = self.turn(&body.group_id, now, effects) {
            let instance = body.group_instance_id.as_ref();
            match turn.group.validate_member(&body.member_id, instance) {
                Err(error) => error,
                Ok(()) if body.generation_id != turn.group.generation.0 => {
                    ResponseError::IllegalGeneration
                }
                Ok(()) => {
                    turn.renew_session(&body.member_id);
                    let rebalancing = turn.group.state == GroupState::PreparingRebalance;
                    let error = rebalancing.then_some(ResponseError::RebalanceInProgress);
                    return turn.reply_in_order(token, GroupResponse::heartbeat(error));
                }
            }
        } else {
            ResponseError::UnknownMemberId
        };
        let response = GroupResponse::heartbeat(Some(refused));
        effects.push(Effect::Reply { request: token, response });
    }
}
