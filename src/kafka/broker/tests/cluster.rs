//! Clusters of other shapes than the bench's: how many brokers, how many controllers, together or apart.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use super::bench::{Change, Deaf, NodeConfig, PORT, node, pause, start_node};
use crate::{
    env::{Address, Env},
    kafka::{
        broker::{BrokerEndpoint, Node},
        config::BrokerConfig,
        types::BrokerId,
    },
    sim::{MachineOptions, World, run_beside},
};

const FOREVER: Duration = Duration::from_secs(1_000_000);
/// Controllers alone have ids from here on.
pub(super) const CONTROLLERS: i32 = 3000;

/// What the cluster is made of. Its topic `t` lies on broker 1.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    pub brokers: i32,
    /// Controllers that are not brokers; without any, the first brokers vote.
    pub controllers: i32,
    /// What the nodes have otherwise than the bench's.
    pub change: Change,
}

/// `b` and the id of a broker; `k` and the number of a controller.
pub(super) fn machine(id: i32) -> String {
    if id > CONTROLLERS { format!("k{}", id - CONTROLLERS) } else { format!("b{id}") }
}

fn endpoint(id: i32) -> BrokerEndpoint {
    BrokerEndpoint { id: BrokerId(id), advertised: Address::new(machine(id), PORT), rack: None }
}

/// Adds to a node's settings.
pub(super) fn set(node: &mut NodeConfig, pairs: &[(&str, &str)]) {
    let mut settings = node.config.settings.clone();
    pairs.iter().for_each(|(name, value)| settings.set(name, value).unwrap());
    node.config = BrokerConfig::from_settings(&settings).unwrap();
}

impl Shape {
    pub fn ids(self) -> impl Iterator<Item = i32> {
        (1..=self.brokers).chain(CONTROLLERS + 1..=CONTROLLERS + self.controllers)
    }

    pub fn config(self, id: i32) -> NodeConfig {
        let mut config = node();
        config.brokers = (1..=self.brokers).map(endpoint).collect();
        let controllers = CONTROLLERS + 1..=CONTROLLERS + self.controllers;
        config.controllers = controllers.map(endpoint).collect();
        config.voters = if self.controllers == 0 {
            NodeConfig::first_voters(&config.brokers)
        } else {
            config.controllers.iter().map(|controller| controller.id).collect()
        };
        (config.broker_id, config.listen) = (BrokerId(id), Address::new(machine(id), PORT));
        (self.change)(&mut config);
        config
    }

    pub fn start(self, world: &World, id: i32) {
        self.start_for(world, id, FOREVER);
    }

    /// The node shuts down in order after `lifetime`.
    pub fn start_for(self, world: &World, id: i32, lifetime: Duration) {
        start_node(world, &machine(id), lifetime, self.config(id));
    }

    /// Starts a node that shall refuse to start; what it says.
    pub async fn refusal(self, world: &World, env: &Env, id: i32) -> String {
        let said = Arc::new(Mutex::new(None));
        let (hears, config) = (Arc::clone(&said), self.config(id));
        world.start(&machine(id), move |env| {
            Box::pin(async move {
                let started = Node::start(env, config, Arc::new(Deaf)).await;
                let error = started.map(drop).expect_err("the node starts");
                *hears.lock().unwrap() = Some(error.to_string());
            })
        });
        loop {
            if let Some(error) = said.lock().unwrap().take() {
                return error;
            }
            pause(env, Duration::from_millis(10)).await;
        }
    }

    /// Starts all nodes and runs `body` beside them.
    pub fn run<F>(self, body: impl FnOnce(World, Env) -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.run_for(|_| FOREVER, body);
    }

    /// The same with nodes that shut down in order after a while.
    pub fn run_for<F>(
        self,
        lifetime: fn(i32) -> Duration,
        body: impl FnOnce(World, Env) -> F + Send + 'static,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        let setup = move |world: &World| {
            for id in self.ids() {
                world.add_machine(&machine(id), MachineOptions::default());
                self.start_for(world, id, lifetime(id));
            }
            world.add_machine("client", MachineOptions::default());
        };
        run_beside(5, "client", setup, body);
    }
}
