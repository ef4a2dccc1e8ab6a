//! The brokers of one process, from binding their ports to their orderly end.

use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use futures_util::{StreamExt, future::join_all, stream::FuturesUnordered};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};

use super::{
    announce::{Format, Said, say},
    directory, files,
};
use crate::{
    cli::{args::Serve, exit::Exit, streams::Streams},
    env::{Address, Env, real},
    kafka::{
        behaviour::Behaviour,
        broker::{
            BrokerEndpoint, Event, Node, NodeConfig, Observer, Readiness, cluster_of,
            new_cluster_id,
        },
        config::BrokerConfig,
        types::BrokerId,
    },
};

/// A start takes two or three seconds. One that takes longer says what it waits for, and after this time again.
const PATIENCE: Duration = Duration::from_secs(5);
const LATER: Duration = Duration::from_secs(30);

/// A broker that is about to start: its world and what others are told of it.
struct Seat {
    env: Env,
    data: PathBuf,
    listen: Address,
    endpoint: BrokerEndpoint,
}

/// Serves until a signal comes or a broker's storage fails.
pub(super) async fn serve(
    args: &Serve,
    mut config: BrokerConfig,
    data: &Path,
    streams: &mut Streams<'_>,
) -> anyhow::Result<Exit> {
    let format = if args.json { Format::JsonLines } else { Format::Text };
    let seats = take_seats(args, data).await?;
    let connections = files::connections(files::raise_limit(), seats.len());
    config.max_connections = config.max_connections.min(connections);
    let nodes = start(&seats, &config).await?;
    let mut signals = Signals::listen().context("failed to listen for signals")?;
    let (stop, _) = watch::channel(false);
    // Those that still need the controller.
    let (staying, _) = watch::channel(seats.iter().map(|seat| seat.endpoint.id).collect());
    let starting: Vec<_> = nodes.iter().map(Node::readiness).collect();
    let mut running = FuturesUnordered::new();
    for (seat, node) in seats.iter().zip(nodes) {
        running.push(run(seat.endpoint.id, node, stop.subscribe(), &staying));
    }
    let mut up = pin!(async { join_all(starting.iter().map(Readiness::wait)).await });
    let clock = &seats[0].env.clock;
    let mut patience = clock.now() + PATIENCE;
    // While brokers that come up are waited for, whom clients cannot be told of yet.
    let mut is_starting = true;
    let mut exit = Exit::AsExpected;
    loop {
        tokio::select! {
            biased;
            () = signals.next() => {
                if stop.send_replace(true) {
                    std::process::exit(i32::from(Exit::Interrupted.code()));
                }
                is_starting = false;
                streams.complain("stopping; a second signal ends the process at once\n")?;
            }
            ended = running.next() => match ended {
                Some(Ok(())) => {}
                Some(Err(error)) => {
                    streams.complain(&format!("error: {error:#}\n"))?;
                    exit = Exit::NotAsExpected;
                    is_starting = false;
                    stop.send_replace(true);
                }
                None => break,
            },
            _ = &mut up, if is_starting => {
                is_starting = false;
                announce(&seats, format, streams)?;
            }
            () = clock.sleep_until(patience), if is_starting => {
                streams.complain(&awaited(&starting))?;
                patience = patience + LATER;
            }
        }
    }
    if exit == Exit::AsExpected {
        say(streams, format, &Said::Stopped)?;
    }
    Ok(exit)
}

/// One broker's life.
async fn run(
    id: BrokerId,
    node: Node,
    mut stop: watch::Receiver<bool>,
    staying: &watch::Sender<BTreeSet<BrokerId>>,
) -> anyhow::Result<()> {
    let leave = || {
        staying.send_if_modified(|staying| staying.remove(&id));
    };
    // The senders live as long as this.
    let stop = async { drop(stop.wait_for(|stop| *stop).await) };
    let others = async {
        leave();
        drop(staying.subscribe().wait_for(BTreeSet::is_empty).await);
    };
    let ended = node.run_until(stop, others).await;
    // Nobody waits for one that failed.
    leave();
    ended.with_context(|| format!("broker {id} stopped by itself"))
}

fn announce(seats: &[Seat], format: Format, streams: &mut Streams<'_>) -> io::Result<()> {
    for Seat { data, listen, endpoint, .. } in seats {
        let BrokerEndpoint { id, advertised, .. } = endpoint;
        let (address, listening) = (advertised, listen);
        say(streams, format, &Said::BrokerReady { broker: id.0, address, listening, data })?;
    }
    Ok(())
}

/// What a start that takes long waits for.
fn awaited(starting: &[Readiness]) -> String {
    // They differ by what has not reached them yet; whoever is awaited by all is the cause.
    let least = starting.iter().map(Readiness::awaited).min_by_key(Vec::len).unwrap_or_default();
    let mut names: Vec<_> = least.iter().map(|id| id.0.to_string()).collect();
    match (names.pop(), &names[..]) {
        (None, _) => "waiting for the brokers to read of one another\n".into(),
        (Some(last), []) => format!("waiting for broker {last} to be unfenced by the controller\n"),
        (Some(last), others) => {
            let others = others.join(", ");
            format!("waiting for brokers {others} and {last} to be unfenced by the controller\n")
        }
    }
}

/// Binds every broker's address and opens its directory.
async fn take_seats(args: &Serve, data: &Path) -> anyhow::Result<Vec<Seat>> {
    let mut seats = Vec::new();
    for index in 0..directory::brokers(data, args.brokers)? {
        let id = BrokerId(i32::from(index) + 1);
        let beyond = || format!("there is no port for broker {id}: the last one is 65535");
        let listen = args.listen.of(index).with_context(beyond)?;
        let network = real::BoundNetwork::bind(listen.clone()).await;
        let network = network.with_context(|| format!("failed to listen on {listen}"))?;
        let listen = network.address().clone();
        let advertised = match &args.advertise {
            Some(advertise) => advertise.of(index, &listen).with_context(beyond)?,
            None => listen.clone(),
        };
        let data = directory::of_broker(data, index + 1);
        let seed = real::draw_seed().context("failed to draw a random seed")?;
        let env = real::env(data.clone(), seed, Arc::new(crashed));
        let env = env.with_context(|| format!("failed to open {}", data.display()))?;
        let env = Env { network: Arc::new(network), ..env };
        let endpoint = BrokerEndpoint { id, advertised, rack: None };
        seats.push(Seat { env, data, listen, endpoint });
    }
    Ok(seats)
}

/// After a panic nothing about the process can be trusted: it ends as if killed, and the next start recovers.
fn crashed(task: &'static str) {
    eprintln!("error: the task {task} of a broker panicked");
    std::process::exit(i32::from(Exit::Crashed.code()));
}

async fn start(seats: &[Seat], config: &BrokerConfig) -> anyhow::Result<Vec<Node>> {
    let brokers: Vec<_> = seats.iter().map(|seat| seat.endpoint.clone()).collect();
    let cluster_id = cluster_id(seats)?;
    let mut nodes = Vec::new();
    for seat in seats {
        let id = seat.endpoint.id;
        let node = NodeConfig {
            broker_id: id,
            cluster_id: cluster_id.clone(),
            listen: seat.listen.clone(),
            brokers: brokers.clone(),
            controllers: Vec::new(),
            voters: NodeConfig::first_voters(&brokers),
            topics: Vec::new(),
            config: config.clone(),
            behaviour: Behaviour::default(),
        };
        let node = Node::start(seat.env.clone(), node, Arc::new(Log(id))).await;
        let failed = || format!("failed to start broker {id} in {}", seat.data.display());
        nodes.push(node.with_context(failed)?);
    }
    Ok(nodes)
}

/// The cluster the directories belong to, or a new one. Whether they all belong to it is the brokers' own
/// question.
fn cluster_id(seats: &[Seat]) -> anyhow::Result<String> {
    for seat in seats {
        let known = cluster_of(seat.env.disk.as_ref());
        let known = known.with_context(|| format!("failed to open {}", seat.data.display()))?;
        if let Some(known) = known {
            return Ok(known);
        }
    }
    let first = seats.first().expect("at least one broker is asked for");
    Ok(new_cluster_id(&first.env.rng))
}

/// Tells the log what an operator may want to know.
struct Log(BrokerId);

impl Observer for Log {
    fn observe(&self, event: Event) {
        match event {
            Event::LogRecovered { partition, end, cut_bytes } if cut_bytes > 0 => {
                tracing::warn!(broker = self.0.0, %partition, %end, cut_bytes, "torn end cut off");
            }
            event => tracing::trace!(broker = self.0.0, ?event),
        }
    }
}

/// SIGINT and SIGTERM.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            biased;
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
