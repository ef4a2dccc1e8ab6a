//! Blocks of producer ids, so that no two brokers give the same one (`ProducerIdControlManager`).

use kafka_protocol::messages::{
    AllocateProducerIdsRequest, AllocateProducerIdsResponse, ProducerId as WireProducerId,
};

use super::{Controller, ControllerResponse, Effect, Refusal, Request, state::Decision, wire};
use crate::{
    env::Instant,
    kafka::{
        metadata::MetadataRecord,
        protocol::ResponseError,
        types::{BrokerEpoch, BrokerId, ProducerId},
    },
};

/// Producer ids given to a broker at once (`ProducerIdsBlock.PRODUCER_ID_BLOCK_SIZE`).
pub const PRODUCER_ID_BLOCK: i64 = 1000;

impl Controller {
    pub fn handle_allocate_producer_ids(
        &mut self,
        now: Instant,
        request: Request<AllocateProducerIdsRequest>,
        effects: &mut Vec<Effect>,
    ) {
        let broker = wire::broker(request.body.broker_id);
        let epoch = BrokerEpoch(request.body.broker_epoch);
        let response = AllocateProducerIdsResponse::default();
        let (records, response) = match self.allocate(broker, epoch) {
            Ok((first, record)) => {
                let length = i32::try_from(PRODUCER_ID_BLOCK).expect("a thousand");
                let first = WireProducerId(first.0);
                let response = response.with_producer_id_start(first);
                (vec![record], response.with_producer_id_len(length))
            }
            Err((code, _)) => (Vec::new(), response.with_error_code(code.code())),
        };
        let response = ControllerResponse::ProducerIds(response);
        self.decide(now, request.token, Decision { records, response }, effects);
    }

    fn allocate(
        &self,
        broker: BrokerId,
        epoch: BrokerEpoch,
    ) -> Result<(ProducerId, MetadataRecord), Refusal> {
        self.check_broker_epoch(broker, epoch)?;
        let first = self.image.next_producer_id();
        let Some(next) = first.0.checked_add(PRODUCER_ID_BLOCK) else {
            let message = "Exhausted all producerIds".into();
            return Err((ResponseError::UnknownServerError, message));
        };
        let next = ProducerId(next);
        Ok((first, MetadataRecord::ProducerIds { broker, epoch, next }))
    }
}
