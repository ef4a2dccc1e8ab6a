//! Heartbeats of brokers: they keep the session, ask to be unfenced, and to stop in good order
//! (`ReplicationControlManager.processBrokerHeartbeat`).

use std::sync::Arc;

use kafka_protocol::messages::{BrokerHeartbeatRequest, BrokerHeartbeatResponse};
use uuid::Uuid;

use super::{
    Controller, ControllerResponse, Effect, Request, heartbeats::BrokerState,
    isr_updates::Upheaval, state::Decision, wire,
};
use crate::{
    env::Instant,
    kafka::{
        metadata::{BrokerRegistration, MetadataRecord, RegistrationChange},
        types::{BrokerEpoch, BrokerId, Offset},
    },
};

impl Controller {
    pub fn handle_heartbeat(
        &mut self,
        now: Instant,
        request: Request<BrokerHeartbeatRequest>,
        effects: &mut Vec<Effect>,
    ) {
        let body = &request.body;
        let id = wire::broker(body.broker_id);
        let broker = match self.check_broker_epoch(id, BrokerEpoch(body.broker_epoch)) {
            Ok(broker) => Arc::clone(broker),
            Err((code, _)) => {
                let response = BrokerHeartbeatResponse::default().with_error_code(code.code());
                let response = ControllerResponse::Heartbeat(response);
                let decision = Decision { records: Vec::new(), response };
                return self.decide(now, request.token, decision, effects);
            }
        };
        let read = Offset(body.current_metadata_offset);
        let is_caught_up = self.registered_at.get(&id).is_some_and(|at| read >= *at);
        let (before, next) = (self.heartbeats.state(id), self.next_state(body, id, is_caught_up));
        let mut records = Vec::new();
        if next != before {
            self.change_state(&broker, next, &mut records);
        }
        self.heartbeats.touch(now, id, next.is_fenced(), Some(read));
        self.lose_directories(&broker, &body.offline_log_dirs, &mut records);
        let response = ControllerResponse::Heartbeat(
            BrokerHeartbeatResponse::default()
                .with_is_caught_up(is_caught_up)
                .with_is_fenced(next.is_fenced())
                .with_should_shut_down(next == BrokerState::ShutdownNow),
        );
        self.decide(now, request.token, Decision { records, response }, effects);
        if next == BrokerState::ControlledShutdown {
            // The others must have read what it is that the shutdown changed, and what was before.
            self.heartbeats.begin_shutdown(id, self.last_offset());
        }
    }

    /// `BrokerHeartbeatManager.calculateNextBrokerState`.
    fn next_state(
        &self,
        request: &BrokerHeartbeatRequest,
        id: BrokerId,
        is_caught_up: bool,
    ) -> BrokerState {
        match self.heartbeats.state(id) {
            BrokerState::Fenced if request.want_shut_down => BrokerState::ShutdownNow,
            BrokerState::Fenced if !request.want_fence && is_caught_up => BrokerState::Unfenced,
            BrokerState::Fenced => BrokerState::Fenced,
            BrokerState::Unfenced if request.want_fence && request.want_shut_down => {
                BrokerState::ShutdownNow
            }
            BrokerState::Unfenced if request.want_fence => BrokerState::Fenced,
            BrokerState::Unfenced if !request.want_shut_down => BrokerState::Unfenced,
            BrokerState::Unfenced if self.leads(id) => BrokerState::ControlledShutdown,
            BrokerState::Unfenced => BrokerState::ShutdownNow,
            BrokerState::ControlledShutdown
                if self.leads(id) || !self.heartbeats.others_know_of_shutdown(id) =>
            {
                BrokerState::ControlledShutdown
            }
            BrokerState::ControlledShutdown | BrokerState::ShutdownNow => BrokerState::ShutdownNow,
        }
    }

    fn leads(&self, id: BrokerId) -> bool {
        let mut partitions = self.image.topics().flat_map(|topic| topic.partitions.values());
        partitions.any(|partition| partition.leader == id)
    }

    fn change_state(
        &self,
        broker: &BrokerRegistration,
        next: BrokerState,
        records: &mut Vec<MetadataRecord>,
    ) {
        let (id, epoch) = (broker.id, broker.epoch);
        match next {
            BrokerState::Fenced | BrokerState::ShutdownNow => self.fence(broker, records),
            BrokerState::Unfenced => {
                let change = RegistrationChange { fenced: Some(false), ..Default::default() };
                records.push(MetadataRecord::RegistrationChange { id, epoch, change });
                self.isr_updates(Upheaval::Unfenced(id), records);
            }
            BrokerState::ControlledShutdown => {
                if !broker.in_controlled_shutdown {
                    let enters_controlled_shutdown = true;
                    let change =
                        RegistrationChange { enters_controlled_shutdown, ..Default::default() };
                    records.push(MetadataRecord::RegistrationChange { id, epoch, change });
                }
                self.isr_updates(Upheaval::Gone(id), records);
            }
        }
    }

    /// Takes the broker out of each ISR and fences it.
    pub(super) fn fence(&self, broker: &BrokerRegistration, records: &mut Vec<MetadataRecord>) {
        let (id, epoch) = (broker.id, broker.epoch);
        self.isr_updates(Upheaval::Gone(id), records);
        let change = RegistrationChange { fenced: Some(true), ..Default::default() };
        records.push(MetadataRecord::RegistrationChange { id, epoch, change });
    }

    fn lose_directories(
        &self,
        broker: &BrokerRegistration,
        offline: &[Uuid],
        records: &mut Vec<MetadataRecord>,
    ) {
        let (lost, left): (Vec<Uuid>, Vec<Uuid>) =
            broker.directories.iter().partition(|id| offline.contains(id));
        if lost.is_empty() {
            return;
        }
        for directory in lost {
            self.isr_updates(Upheaval::DirectoryLost(broker.id, directory), records);
        }
        let (id, epoch) = (broker.id, broker.epoch);
        let change = RegistrationChange { directories: left, ..Default::default() };
        records.push(MetadataRecord::RegistrationChange { id, epoch, change });
    }
}
