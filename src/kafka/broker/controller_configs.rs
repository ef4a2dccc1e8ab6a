//! The controller's changes of topics' settings.
//!
//! Departure: no setting of a broker can change while it runs; Kafka has some that can.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    controller::{Commitment, Refusal},
    state::Broker,
};
use crate::kafka::{
    config::Side,
    controller::{ConfigChange, altered, changed_settings, check_topic_settings},
    metadata::ConfigResource,
    protocol::ResponseError,
};

impl Broker {
    /// Changes a topic's settings, on the controller.
    pub async fn alter_topic_config(
        self: &Arc<Self>,
        topic: &str,
        change: &ConfigChange,
        commitment: Commitment,
    ) -> Result<(), Refusal> {
        let _turn = self.take_turn().await?;
        let image = self.metadata.image();
        let Some(topic) = image.topic(topic) else {
            let message = format!("The topic '{topic}' does not exist.");
            return Err((ResponseError::UnknownTopicOrPartition, message));
        };
        let altered = altered(Side::Topic, &topic.config, change)?;
        check(&altered, self)?;
        if commitment == Commitment::ValidateOnly {
            return Ok(());
        }
        let resource = ConfigResource::Topic(topic.name.clone());
        let records = changed_settings(&resource, &topic.config, &altered, change);
        if records.is_empty() { Ok(()) } else { self.commit(&records).await }
    }
}

fn check(settings: &BTreeMap<String, String>, broker: &Broker) -> Result<(), Refusal> {
    let given: Vec<_> =
        settings.iter().map(|(name, value)| (name.clone(), Some(value.clone()))).collect();
    check_topic_settings(&given, &broker.config.config.topic_defaults)
}
