//! Plays a text to the world and writes down what happens.
//!
//! A script has one input per line; what follows from it stands indented below. `ask b1` lets b1 send its
//! request and keeps it on the way; `fetch b1` also lets it and its answer arrive. `take b1` delivers the
//! oldest request of b1, `give b1` the oldest answer to it.

use std::{fmt::Write as _, time::Duration};

use super::{
    show,
    world::{Body, Message, Setup, World},
};
use crate::kafka::{
    protocol::ResponseError,
    replica::{ReadFrom, RequiredAcks, Visibility},
    types::{BrokerId, LeaderEpoch, Offset},
};

/// Fails with the whole transcript if anything else happens than the script says, or a rule is broken.
#[track_caller]
pub fn plays(script: &str) {
    plays_under(Setup::default(), script);
}

#[track_caller]
pub fn plays_under(setup: Setup, script: &str) {
    let script = script.trim_matches('\n');
    let indent = script.len() - script.trim_start().len();
    let wanted: Vec<&str> =
        script.lines().map(|line| line.get(indent..).unwrap_or("").trim_end()).collect();
    let wanted = wanted.join("\n").trim_end().to_owned() + "\n";
    let mut world = World::new(setup);
    let mut played = String::new();
    let mut known = 0;
    for line in wanted.lines().filter(|line| !line.starts_with("    ")) {
        writeln!(played, "{line}").unwrap();
        play(&mut world, line);
        for told in world.told.drain(..) {
            writeln!(played, "    {told}").unwrap();
        }
        for violation in world.violations.iter().skip(known) {
            writeln!(played, "    ! {violation}").unwrap();
        }
        known = world.violations.len();
    }
    assert!(played == wanted, "played:\n{played}\nwanted:\n{wanted}");
}

/// Plays a script for what it breaks: what is indented is left out.
pub fn run(setup: Setup, script: &str) -> World {
    let mut world = World::new(setup);
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        play(&mut world, line);
    }
    world
}

pub fn play(world: &mut World, line: &str) {
    let line = line.split('#').next().unwrap_or("");
    let words: Vec<&str> = line.split_whitespace().collect();
    let Some((verb, rest)) = words.split_first() else { return };
    let id = |at: usize| -> usize { rest[at].strip_prefix('b').unwrap().parse().unwrap() };
    let broker = |at: usize| BrokerId(i32::try_from(id(at)).unwrap());
    let offset = |at: usize| Offset(rest[at].parse().unwrap());
    match *verb {
        "produce" => {
            let acks =
                if rest.contains(&"acks=1") { RequiredAcks::Leader } else { RequiredAcks::All };
            if let Err(error) = world.produce(id(0), acks) {
                world.told.push(show::error_name(error));
            }
        }
        "ask" => {
            send(world, id(0));
        }
        "take" => deliver(world, |message| {
            message.from == Some(broker(0)) && matches!(message.body, Body::Ask { .. })
        }),
        "give" => deliver(world, |message| {
            message.to == Some(broker(0)) && matches!(message.body, Body::Answer { .. })
        }),
        "drop" => {
            let at = world.net.iter().position(|message| message.to == Some(broker(0)));
            world.net.remove(at.expect("a message to drop"));
        }
        "fetch" => rest.iter().for_each(|name| fetch(world, name)),
        "alter" => deliver(world, |message| matches!(message.body, Body::Alter { .. })),
        "altered" => deliver(world, |message| matches!(message.body, Body::Altered(_))),
        "alter-fails" => alter_fails(world, rest[0]),
        "see" => (0..rest.len()).for_each(|at| world.see(id(at), usize::MAX)),
        "see-next" => world.see(id(0), 1),
        "fence" => world.controller.fence(broker(0)),
        "unfence" => world.unfence(id(0)),
        "shut-down" => world.controller.shut_down(broker(0)),
        "elect" => world.controller.elect(broker(0)),
        "elect-unclean" => world.elect_unclean(id(0)),
        "reassign" => world.controller.reassign((0..rest.len()).map(broker).collect()),
        "kill" => world.kill(id(0)),
        "lose-power" => world.lose_power(id(0), offset(1)),
        "wipe" => world.wipe(id(0)),
        "restart" => world.restart(id(0)),
        "checkpoint" => world.checkpoint(id(0)),
        "sync" => world.sync(id(0)),
        "delete-records" => world.delete_records(id(0), offset(1)),
        "min-isr" => world.nodes[id(0)].log.min_isr = rest[1].parse().unwrap(),
        "tick" => world.tick(Duration::from_millis(rest[0].parse().unwrap())),
        "latest" => latest(world, id(0), &rest[1..]),
        "read" => read(world, id(0), offset(1)),
        "end" => epoch_end(world, id(0), rest[1].parse().unwrap()),
        "near" => near(world, id(0), rest[1], offset(2)),
        "logs" => {
            for id in 0..world.nodes.len() {
                let log = show::log(&world.nodes[id].log);
                world.told.push(format!("b{id} {log}"));
            }
        }
        "isr" => {
            let partition = &world.controller.latest().partition;
            let (isr, elr) = (show::ids(&partition.isr), show::ids(&world.controller.elr));
            let leader = partition.leader.map_or("none".to_owned(), |leader| format!("b{leader}"));
            world.told.push(format!("leader {leader} ISR {isr} ELR {elr}"));
        }
        other => panic!("`{other}` is no verb"),
    }
    world.check();
}

fn send(world: &mut World, id: usize) -> bool {
    let request = world.send(id);
    let text = request.as_ref().map_or("nothing".to_owned(), show::request);
    world.told.push(format!("b{id} asks: {text}"));
    request.is_some()
}

fn fetch(world: &mut World, name: &str) {
    let id: usize = name.strip_prefix('b').unwrap().parse().unwrap();
    if send(world, id) {
        let asked = world.net.len() - 1;
        world.deliver(asked);
        give_last(world);
    }
}

/// The answer to what was just delivered, if there is one.
fn give_last(world: &mut World) {
    if matches!(world.net.last(), Some(Message { body: Body::Answer { .. }, .. })) {
        let at = world.net.len() - 1;
        arrive(world, at);
    }
}

fn deliver(world: &mut World, which: impl Fn(&Message) -> bool) {
    match world.net.iter().position(which) {
        Some(at) => arrive(world, at),
        None => world.told.push("nothing on the way".to_owned()),
    }
}

fn arrive(world: &mut World, at: usize) {
    let message = &world.net[at];
    match (&message.body, message.to) {
        (Body::Answer { answer, records, .. }, Some(to)) => {
            world.told.push(format!("b{to} is told: {}", show::answer(answer, records)));
        }
        (Body::Altered(Err(error)), Some(to)) => {
            world.told.push(format!("b{to} is told: {}", show::error_name(*error)));
        }
        _ => {}
    }
    world.deliver(at);
}

/// The controller's answer is this error, and it did nothing.
fn alter_fails(world: &mut World, error: &str) {
    let at = world.net.iter().position(|message| matches!(message.body, Body::Alter { .. }));
    let mut message = world.net.remove(at.expect("an AlterPartition on the way"));
    message.body = Body::Altered(Err(error_named(error)));
    std::mem::swap(&mut message.from, &mut message.to);
    world.net.push(message);
    let at = world.net.len() - 1;
    arrive(world, at);
}

fn error_named(name: &str) -> ResponseError {
    let all = (-1..140_i16).filter_map(ResponseError::try_from_code);
    all.into_iter().find(|error| show::error_name(*error) == name).expect("an error of Kafka's")
}

/// ListOffsets of the latest offset.
fn latest(world: &mut World, id: usize, options: &[&str]) {
    let from = if options.contains(&"any") { ReadFrom::AnyReplica } else { ReadFrom::Leader };
    let bound = world.ask(id, |replica, facts| {
        replica.offset_bound(facts, from, None, Visibility::HighWatermark)
    });
    let latest = bound.expect("it is up").and_then(|bound| bound.latest);
    world.told.push(latest.map_or_else(show::error_name, |latest| latest.to_string()));
}

/// A consumer's fetch from this very broker.
fn read(world: &mut World, id: usize, offset: Offset) {
    let position = world.ask(id, |replica, facts| {
        let (from, visible) = (ReadFrom::AnyReplica, Visibility::HighWatermark);
        replica.check_read(facts.log, from, None, offset, None, visible)
    });
    let position = position.expect("it is up");
    world.told.push(position.map_or_else(show::error_name, |position| format!("{position:?}")));
}

fn epoch_end(world: &mut World, id: usize, epoch: i32) {
    let end = world.ask(id, |replica, facts| {
        replica.epoch_end(facts.log, ReadFrom::Leader, None, LeaderEpoch(epoch))
    });
    let end = end.expect("it is up");
    world.told.push(match end {
        Ok(Some((epoch, end))) => format!("epoch {epoch} ends at {end}"),
        Ok(None) => "unknown epoch".to_owned(),
        Err(error) => show::error_name(error),
    });
}

/// Where a consumer in this rack is sent to read an offset.
fn near(world: &mut World, id: usize, rack: &str, offset: Offset) {
    let near = world.ask(id, |replica, facts| {
        let leader = replica.leader().expect("it leads");
        leader.preferred_read_replica(facts, rack, offset)
    });
    let text = near.expect("it is up").map_or("the leader".to_owned(), |id| format!("b{id}"));
    world.told.push(text);
}
