//! A broker's standing with the controller, when others speak for it.

use kafka_protocol::messages::{BrokerId, UnregisterBrokerRequest};
use uuid::Uuid;

use super::{
    super::lifecycle::registration,
    bench::pause,
    replicas::{LAG, cut_from_brokers, isr, open, until, with_replicas, with_settings},
};
use crate::kafka::types::BrokerEpoch;

#[test]
fn a_broker_whose_registration_was_overtaken_registers_again() {
    let settings = [("broker.session.timeout.ms", "3000")];
    with_settings(&settings, &[], |world, env, stage| async move {
        let mut controller = open(&env, "b1").await;
        until!(env, "all are in sync", isr(&mut controller).await.len() == 3);
        cut_from_brokers(&world, "b3");
        until!(env, "b3 is fenced", isr(&mut controller).await.len() == 2);
        // Of a former life, which the controller comes to now.
        let late = registration(&stage.broker(3), BrokerEpoch::NONE);
        let late = late.with_incarnation_id(Uuid::from_u128(1));
        assert_eq!(controller.ask(4, &late).await.error_code, 0);
        world.heal_all();
        until!(env, "b3 is back", isr(&mut controller).await.len() == 3);
    });
}

#[test]
fn a_broker_that_was_unregistered_stays_away() {
    with_replicas(&[], |_, env, _| async move {
        let mut controller = open(&env, "b1").await;
        until!(env, "all are in sync", isr(&mut controller).await.len() == 3);
        let request = UnregisterBrokerRequest::default().with_broker_id(BrokerId(3));
        assert_eq!(controller.ask(0, &request).await.error_code, 0);
        pause(&env, LAG * 5).await;
        assert_eq!(isr(&mut controller).await.len(), 2);
    });
}
