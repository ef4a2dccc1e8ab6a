//! Settings of topics and nodes (`ConfigurationControlManager`): AlterConfigs, IncrementalAlterConfigs, and
//! what the controller itself reads of them.
//!
//! Whether a node's setting can change while it runs is looked at by the broker that is asked
//! (`ConfigAdminManager`), not here. Left out: resources other than topics and nodes, and that a change of
//! `min.insync.replicas` ends the eligibility of replicas at once (KIP-966): here it does with the
//! partition's next change.

use std::collections::{BTreeMap, BTreeSet};

use kafka_protocol::{
    messages::{
        AlterConfigsRequest, AlterConfigsResponse, IncrementalAlterConfigsRequest,
        IncrementalAlterConfigsResponse,
        alter_configs_request::AlterConfigsResource,
        alter_configs_response::AlterConfigsResourceResponse,
        incremental_alter_configs_request::{
            AlterConfigsResource as IncrementalResource, AlterableConfig,
        },
        incremental_alter_configs_response::AlterConfigsResourceResponse as IncrementalResponse,
    },
    protocol::StrBytes,
};

use super::{
    Adjustment, ConfigChange, Controller, ControllerResponse, Effect, Refusal, Request, altered,
    changed_settings, check_topic_name, state::Decision, wire,
};
use crate::{
    env::Instant,
    kafka::{
        config::{Settings, Side, TopicConfig},
        metadata::{ConfigResource, MetadataRecord, TopicImage},
        protocol::ResponseError,
        types::BrokerId,
    },
};

/// What has settings, as a request names it: the number of `ConfigResource.Type`, and its name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct ConfigResourceName {
    kind: i8,
    name: StrBytes,
}

/// Whether a topic may have these settings over its broker's.
pub fn check_topic_settings(
    given: &[(String, Option<String>)],
    defaults: &TopicConfig,
) -> Result<(), Refusal> {
    let without: Vec<_> = given.iter().filter(|(_, value)| value.is_none()).collect();
    if !without.is_empty() {
        let names: Vec<_> = without.iter().map(|(name, _)| name.as_str()).collect();
        let message = format!("Null value not supported for topic configs: {}", names.join(","));
        return Err((ResponseError::InvalidConfig, message));
    }
    let pairs = given.iter().filter_map(|(name, value)| Some((name.as_str(), value.as_deref()?)));
    let checked =
        Settings::from_pairs(Side::Topic, pairs).and_then(|settings| defaults.over(&settings));
    checked.map(|_| ()).map_err(|errors| {
        let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
        (ResponseError::InvalidConfig, errors.join("; "))
    })
}

impl Controller {
    pub fn handle_alter_configs(
        &mut self,
        now: Instant,
        request: Request<AlterConfigsRequest>,
        effects: &mut Vec<Effect>,
    ) {
        let asked = request.body.resources.iter().map(|resource| {
            let name = resource_name(resource.resource_type, &resource.resource_name);
            (name, replacement(resource))
        });
        let (mut records, results) = self.alter(asked.collect());
        if request.body.validate_only {
            records.clear();
        }
        let responses = results.into_iter().map(|(resource, result)| {
            let (code, message) = code_and_message(result);
            AlterConfigsResourceResponse::default()
                .with_resource_type(resource.kind)
                .with_resource_name(resource.name)
                .with_error_code(code)
                .with_error_message(message)
        });
        let response = AlterConfigsResponse::default().with_responses(responses.collect());
        let response = ControllerResponse::AlterConfigs(response);
        self.decide(now, request.token, Decision { records, response }, effects);
    }

    pub fn handle_incremental_alter_configs(
        &mut self,
        now: Instant,
        request: Request<IncrementalAlterConfigsRequest>,
        effects: &mut Vec<Effect>,
    ) {
        let asked = request.body.resources.iter().map(|resource| {
            let name = resource_name(resource.resource_type, &resource.resource_name);
            (name, adjustments(resource))
        });
        let (mut records, results) = self.alter(asked.collect());
        if request.body.validate_only {
            records.clear();
        }
        let responses = results.into_iter().map(|(resource, result)| {
            let (code, message) = code_and_message(result);
            IncrementalResponse::default()
                .with_resource_type(resource.kind)
                .with_resource_name(resource.name)
                .with_error_code(code)
                .with_error_message(message)
        });
        let response = IncrementalAlterConfigsResponse::default();
        let response = response.with_responses(responses.collect());
        let response = ControllerResponse::IncrementalAlterConfigs(response);
        self.decide(now, request.token, Decision { records, response }, effects);
    }

    #[expect(clippy::type_complexity, reason = "each resource with what became of it, in order")]
    fn alter(
        &self,
        asked: Vec<(ConfigResourceName, Result<ConfigChange, Refusal>)>,
    ) -> (Vec<MetadataRecord>, Vec<(ConfigResourceName, Result<(), Refusal>)>) {
        let mut times: BTreeMap<ConfigResourceName, usize> = BTreeMap::new();
        asked.iter().for_each(|(resource, _)| *times.entry(resource.clone()).or_default() += 1);
        let mut records = Vec::new();
        let results = asked.into_iter().map(|(resource, change)| {
            let result = if times[&resource] > 1 {
                let message = "Each resource must appear at most once.".into();
                Err((ResponseError::InvalidRequest, message))
            } else {
                change.and_then(|change| self.alter_resource(&resource, &change))
            };
            let result = result.map(|changes| records.extend(changes));
            (resource, result)
        });
        let results = results.collect();
        (records, results)
    }

    fn alter_resource(
        &self,
        resource: &ConfigResourceName,
        change: &ConfigChange,
    ) -> Result<Vec<MetadataRecord>, Refusal> {
        let resource = self.resource(resource)?;
        let none = BTreeMap::new();
        let before = self.image.config(&resource).unwrap_or(&none);
        let side = match resource {
            ConfigResource::Topic(_) => Side::Topic,
            ConfigResource::Broker(_) => Side::Broker,
        };
        let after = altered(side, before, change)?;
        if let ConfigResource::Topic(_) = resource {
            let given: Vec<_> =
                after.iter().map(|(name, value)| (name.clone(), Some(value.clone()))).collect();
            check_topic_settings(&given, &self.config.broker.topic_defaults)?;
        }
        self.check_presence(&resource)?;
        Ok(changed_settings(&resource, before, &after, change))
    }

    /// What the request names, if it can be (`ControllerConfigurationValidator`).
    fn resource(&self, asked: &ConfigResourceName) -> Result<ConfigResource, Refusal> {
        let refuse = |message: String| Err((ResponseError::InvalidRequest, message));
        let name = asked.name.as_str();
        match asked.kind {
            2 if name.is_empty() => refuse("Default topic resources are not allowed.".into()),
            2 => {
                check_topic_name(name)?;
                Ok(ConfigResource::Topic(name.into()))
            }
            4 if name.is_empty() => Ok(ConfigResource::Broker(String::new())),
            4 => match name.parse::<i32>() {
                Err(_) => refuse("Unable to parse broker name as a base 10 number.".into()),
                Ok(id) if id < 0 => refuse("Invalid negative broker ID.".into()),
                Ok(id) => Ok(ConfigResource::Broker(id.to_string())),
            },
            kind => refuse(format!("Unsupported resource type: {kind}")),
        }
    }

    fn check_presence(&self, resource: &ConfigResource) -> Result<(), Refusal> {
        match resource {
            ConfigResource::Topic(name) if self.image.topic(name.as_str()).is_none() => {
                let message = format!("The topic '{name}' does not exist.");
                Err((ResponseError::UnknownTopicOrPartition, message))
            }
            ConfigResource::Broker(node) if !node.is_empty() && !self.is_node(node) => {
                let message = format!("No node with id {node} found.");
                Err((ResponseError::BrokerIdNotRegistered, message))
            }
            _ => Ok(()),
        }
    }

    /// Departure: of the controllers only this one is known to it by its id.
    fn is_node(&self, name: &str) -> bool {
        let id = name.parse().map(BrokerId);
        id.is_ok_and(|id| id == self.config.node || self.image.broker(id).is_some())
    }

    /// A topic's setting: its own, else what this controller was told while it ran, alone or with all
    /// nodes. `None` where only its properties file says something.
    fn dynamic_setting<'a>(&'a self, topic: &'a TopicImage, name: &str) -> Option<&'a String> {
        let of_node = |node: &str| self.image.broker_config(node).and_then(|given| given.get(name));
        let own = topic.config.get(name);
        own.or_else(|| of_node(&self.config.node.to_string())).or_else(|| of_node(""))
    }

    pub(super) fn is_unclean_allowed(&self, topic: &TopicImage) -> bool {
        const NAME: &str = "unclean.leader.election.enable";
        match self.dynamic_setting(topic, NAME) {
            Some(value) => value.trim().eq_ignore_ascii_case("true"),
            None => self.config.broker.topic_defaults.unclean_leader_election,
        }
    }

    /// `min.insync.replicas`, but never more than the topic has replicas.
    pub(super) fn min_isr(&self, topic: &TopicImage) -> usize {
        let given = self.dynamic_setting(topic, "min.insync.replicas");
        let given = given.and_then(|value| value.trim().parse::<usize>().ok());
        let default = self.config.broker.topic_defaults.min_insync_replicas;
        let wanted = given.unwrap_or_else(|| usize::try_from(default).unwrap_or(1));
        let replicas = topic.partitions.values().next().map_or(1, |first| first.replicas.len());
        wanted.min(replicas)
    }
}

fn resource_name(kind: i8, name: &StrBytes) -> ConfigResourceName {
    ConfigResourceName { kind, name: name.clone() }
}

fn code_and_message(result: Result<(), Refusal>) -> (i16, Option<StrBytes>) {
    match result {
        Ok(()) => (0, None),
        Err((code, message)) => (code.code(), Some(wire::text(message))),
    }
}

/// Refuses a setting that is named twice.
fn check_repeated<'a>(names: impl Iterator<Item = &'a StrBytes> + Clone) -> Result<(), Refusal> {
    let different: BTreeSet<_> = names.clone().collect();
    if different.len() == names.count() {
        return Ok(());
    }
    Err((ResponseError::InvalidRequest, "Error due to duplicate config keys".into()))
}

/// What AlterConfigs asks of one resource.
pub fn replacement(asked: &AlterConfigsResource) -> Result<ConfigChange, Refusal> {
    check_repeated(asked.configs.iter().map(|config| &config.name))?;
    let given = asked.configs.iter().map(|config| {
        let value = given_value(&config.name, config.value.as_ref())?;
        Ok((config.name.to_string(), value))
    });
    Ok(ConfigChange::Replace(given.collect::<Result<_, Refusal>>()?))
}

/// What IncrementalAlterConfigs asks of one resource.
pub fn adjustments(asked: &IncrementalResource) -> Result<ConfigChange, Refusal> {
    check_repeated(asked.configs.iter().map(|config| &config.name))?;
    let given =
        asked.configs.iter().map(|config| Ok((config.name.to_string(), adjustment(config)?)));
    Ok(ConfigChange::Adjust(given.collect::<Result<_, Refusal>>()?))
}

fn given_value(name: &StrBytes, value: Option<&StrBytes>) -> Result<String, Refusal> {
    value.map(ToString::to_string).ok_or_else(|| {
        (ResponseError::InvalidRequest, format!("Null value not supported for : {name}"))
    })
}

/// Operations by the numbers of `AlterConfigOp.OpType`.
fn adjustment(config: &AlterableConfig) -> Result<Adjustment, Refusal> {
    let value = || given_value(&config.name, config.value.as_ref());
    match config.config_operation {
        0 => Ok(Adjustment::Set(value()?)),
        1 => Ok(Adjustment::Delete),
        2 => Ok(Adjustment::Append(value()?)),
        3 => Ok(Adjustment::Subtract(value()?)),
        other => Err((ResponseError::InvalidRequest, format!("Unknown operations type {other}"))),
    }
}
