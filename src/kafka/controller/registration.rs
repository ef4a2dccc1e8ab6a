//! Brokers come and go (`ClusterControlManager`): each start of a broker is registered and gets an epoch.

use std::{collections::BTreeSet, sync::Arc};

use kafka_protocol::messages::{
    BrokerRegistrationRequest, BrokerRegistrationResponse, UnregisterBrokerRequest,
    UnregisterBrokerResponse, broker_registration_request::Feature,
};

use super::{
    BrokerEpochCheck, Controller, ControllerResponse, Effect, EligibleLeaders, Refusal, Request,
    isr_updates::Upheaval, state::Decision, wire,
};
use crate::{
    env::Instant,
    kafka::{
        metadata::{BrokerEndpoint, BrokerFeature, BrokerRegistration, MetadataRecord, directory},
        protocol::ResponseError,
        types::{BrokerEpoch, BrokerId},
    },
};

impl Controller {
    pub fn handle_registration(
        &mut self,
        now: Instant,
        request: Request<BrokerRegistrationRequest>,
        effects: &mut Vec<Effect>,
    ) {
        let (records, response) = match self.register(now, &request.body) {
            Ok((records, epoch)) => {
                (records, BrokerRegistrationResponse::default().with_broker_epoch(epoch.0))
            }
            Err((code, message)) => {
                tracing::info!(broker = request.body.broker_id.0, message, "registration refused");
                let response = BrokerRegistrationResponse::default().with_broker_epoch(-1);
                (Vec::new(), response.with_error_code(code.code()))
            }
        };
        let response = ControllerResponse::Registration(response);
        self.decide(now, request.token, Decision { records, response }, effects);
    }

    fn register(
        &self,
        now: Instant,
        request: &BrokerRegistrationRequest,
    ) -> Result<(Vec<MetadataRecord>, BrokerEpoch), Refusal> {
        let id = wire::broker(request.broker_id);
        let existing = self.image.broker(id);
        self.check_registration(now, id, request)?;
        let known = existing.filter(|broker| broker.incarnation == request.incarnation_id);
        let mut records = Vec::new();
        if known.is_none() {
            let detects = self.config.policies.eligible_leaders == EligibleLeaders::Kip966;
            let last_epoch = existing.map(|broker| broker.epoch.0);
            let is_clean = last_epoch.is_some_and(|epoch| epoch == request.previous_broker_epoch);
            let upheaval = if detects && !is_clean {
                Upheaval::UncleanShutdown(id)
            } else {
                Upheaval::Gone(id)
            };
            self.isr_updates(upheaval, &mut records);
        }
        let epoch = known.map_or(BrokerEpoch(self.next_offset().0), |broker| broker.epoch);
        let endpoints = request.listeners.iter().map(|listener| BrokerEndpoint {
            name: listener.name.to_string(),
            host: listener.host.to_string(),
            port: listener.port,
            security_protocol: listener.security_protocol,
        });
        let features = request.features.iter().map(|feature| BrokerFeature {
            name: feature.name.to_string(),
            min: feature.min_supported_version,
            max: feature.max_supported_version,
        });
        let mut directories = request.log_dirs.clone();
        directories.sort();
        records.push(MetadataRecord::RegisterBroker(BrokerRegistration {
            id,
            epoch,
            incarnation: request.incarnation_id,
            endpoints: endpoints.collect(),
            features: features.collect(),
            rack: request.rack.as_ref().map(ToString::to_string),
            fenced: known.is_none_or(|broker| broker.fenced),
            in_controlled_shutdown: known.is_some_and(|broker| broker.in_controlled_shutdown),
            directories,
        }));
        Ok((records, epoch))
    }

    fn check_registration(
        &self,
        now: Instant,
        id: BrokerId,
        request: &BrokerRegistrationRequest,
    ) -> Result<(), Refusal> {
        let cluster_id = &self.config.cluster_id;
        if request.cluster_id.as_str() != cluster_id {
            let given = &request.cluster_id;
            let message = format!("Expected cluster ID {cluster_id}, but got cluster ID {given}");
            return Err((ResponseError::InconsistentClusterId, message));
        }
        let is_other = |broker: &BrokerRegistration| broker.incarnation != request.incarnation_id;
        if self.heartbeats.has_valid_session(now, id)
            && self.image.broker(id).is_some_and(|broker| is_other(broker))
        {
            let message = "Another broker is registered with that broker id.".into();
            return Err((ResponseError::DuplicateBrokerRegistration, message));
        }
        if request.is_migrating_zk_broker {
            let message = "Controller does not support registering ZK brokers.".into();
            return Err((ResponseError::BrokerIdNotRegistered, message));
        }
        self.check_directories(id, request)?;
        self.check_features(&request.features)
    }

    fn check_directories(
        &self,
        id: BrokerId,
        request: &BrokerRegistrationRequest,
    ) -> Result<(), Refusal> {
        let dirs = &request.log_dirs;
        let others = || self.image.brokers().filter(|broker| broker.id != id);
        let taken = dirs.iter().find_map(|dir| {
            let owner = others().find(|broker| broker.directories.contains(dir))?;
            Some((owner.id, dir))
        });
        let problem = if dirs.is_empty() {
            "No directories specified in request".into()
        } else if dirs.iter().any(|id| directory::is_reserved(*id)) {
            "Reserved directory ID in request".into()
        } else if dirs.iter().collect::<BTreeSet<_>>().len() != dirs.len() {
            "Duplicate directory ID in request".into()
        } else if let Some((owner, dir)) = taken {
            format!("Broker {owner} is already registered with directory {dir}")
        } else {
            return Ok(());
        };
        Err((ResponseError::InvalidRegistration, problem))
    }

    /// The broker must know every feature at the level that the cluster uses.
    fn check_features(&self, given: &[Feature]) -> Result<(), Refusal> {
        for (name, level) in self.image.features() {
            let range = given.iter().find(|feature| feature.name.as_str() == name);
            let (min, max) = range.map_or((0, 0), |feature| {
                (feature.min_supported_version, feature.max_supported_version)
            });
            if !(min..=max).contains(level) {
                let message = format!(
                    "Unable to register because the broker does not support finalized version {level} of \
                     {name}. The broker wants a version between {min} and {max}, inclusive."
                );
                return Err((ResponseError::UnsupportedVersion, message));
            }
        }
        Ok(())
    }

    pub fn handle_unregistration(
        &mut self,
        now: Instant,
        request: Request<UnregisterBrokerRequest>,
        effects: &mut Vec<Effect>,
    ) {
        let id = wire::broker(request.body.broker_id);
        let response = UnregisterBrokerResponse::default();
        let mut records = Vec::new();
        let response = match self.image.broker(id).map(|broker| broker.epoch) {
            Some(epoch) => {
                self.isr_updates(Upheaval::Gone(id), &mut records);
                records.push(MetadataRecord::UnregisterBroker { id, epoch });
                response
            }
            None => {
                let message = format!("Broker ID {id} is not currently registered");
                response
                    .with_error_code(ResponseError::BrokerIdNotRegistered.code())
                    .with_error_message(Some(wire::text(message)))
            }
        };
        let response = ControllerResponse::Unregistration(response);
        self.decide(now, request.token, Decision { records, response }, effects);
    }

    /// Whether a request comes from the broker's present incarnation.
    pub(super) fn check_broker_epoch(
        &self,
        id: BrokerId,
        epoch: BrokerEpoch,
    ) -> Result<&Arc<BrokerRegistration>, Refusal> {
        let stale = |message| Err((ResponseError::StaleBrokerEpoch, message));
        match self.image.broker(id) {
            None => stale(format!("No broker registration found for broker id {id}")),
            Some(broker)
                if self.config.policies.broker_epoch_check == BrokerEpochCheck::On
                    && broker.epoch != epoch =>
            {
                let expected = broker.epoch;
                stale(format!("Expected broker epoch {expected}, but got broker epoch {epoch}"))
            }
            Some(broker) => Ok(broker),
        }
    }
}
