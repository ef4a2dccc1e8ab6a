//! Trials as a whole, from plan to history.

use std::sync::Arc;

use super::run_trial;
use crate::testbed::plan::Plan;

fn plan(json: &str) -> Arc<Plan> {
    Arc::new(serde_json::from_str(json).unwrap())
}

#[test]
fn smoke() {
    let plan = plan(
        r#"{"name":"smoke","title":"t","kafka":"4.1","run":{"seed":1,"end":"Quiet","limit":"5m"},
      "network":{"latency":{"min":"1ms","max":"4ms","shape":"uniform"},"loss":0.0},
      "cluster":{"brokers":2,"racks":[],"config":{"offsets.topic.replication.factor":"1"}},
      "topics":{"orders":{"partitions":2,"replication_factor":1,"replicas":null,"config":{}}},
      "producers":{"shop":{"topic":"orders","records":10,"every":{"min":"5ms","max":"5ms","shape":"uniform"},"key":null,"value":"{i}","partition":null,"client":"java","start":{"At":"0s"},
        "app":{"flush":true,"await_send":"none","on_error":"ignore","exit":"close"},"config":{}}},
      "groups":{"billing":{"topics":["orders"],"members":["billing/1","billing/2"],"client":"java","start":{"At":"0s"},"app":{"steps":["poll","process","commit"],"process":{"min":"1ms","max":"1ms","shape":"uniform"},"workers":1,"effect":"append","on_error":"poll-again"},"config":{"enable.auto.commit":"false","auto.offset.reset":"earliest"}}},"readers":{},"steps":[],"expectations":[],"ignored":[]}"#,
    );
    let trial = run_trial(&plan, None, 1);
    for event in &trial.history.events {
        println!(
            "{} {:>9} {:8} {:?} {:?}",
            event.id,
            event.at / 1000,
            event.node,
            event.cause.map(|c| c.0),
            event.kind
        );
    }
    println!("{:?} {} {:?}", trial.end, trial.digest, trial.unfired);
    assert_eq!(run_trial(&plan, None, 1).digest, trial.digest);
}
