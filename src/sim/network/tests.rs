//! What the network promises, fault by fault.

use std::{
    future::{Future, poll_fn},
    io::{self, ErrorKind},
    num::NonZeroU64,
    pin::Pin,
    task::Poll,
    time::Duration,
};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use crate::{
    env::{Address, Env, Listener, Stream},
    sim::{Chance, Ending, Latency, LinkOptions, MachineOptions, World, WorldOptions},
};

const MS: Duration = Duration::from_millis(1);

/// Runs `body` with several seeds, in worlds with running machines `a` and `b`.
fn with_seeds<F: Future<Output = ()>>(body: impl Fn(World, Env, Env) -> F) {
    for seed in 0..10 {
        let result = World::run(seed, WorldOptions::default(), |world| async {
            world.add_machine("a", MachineOptions::default());
            world.add_machine("b", MachineOptions::default());
            let (a, b) = (boot(&world, "a").await, boot(&world, "b").await);
            body(world, a, b).await;
        });
        if let Err(crash) = result {
            panic!("seed {seed}: {crash}");
        }
    }
}

/// Starts a process that does nothing by itself: the test acts in its place.
async fn boot(world: &World, name: &str) -> Env {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    world.start(name, |env| {
        Box::pin(async move {
            drop(sender.send(env));
            std::future::pending().await
        })
    });
    receiver.await.unwrap()
}

async fn listen(env: &Env) -> Box<dyn Listener> {
    env.network.listen(Address::new("0.0.0.0", 9092)).await.unwrap()
}

async fn connect(env: &Env, host: &str) -> io::Result<Stream> {
    env.network.connect(Address::new(host, 9092)).await
}

/// A connection from `a` to `b`, by its ends there.
async fn pair(a: &Env, b: &Env) -> (Stream, Stream) {
    let mut listener = listen(b).await;
    let (connected, accepted) = tokio::join!(biased; connect(a, "b"), listener.accept());
    (connected.unwrap(), accepted.unwrap().0)
}

/// What a future gives within a time; `None` if it is not ready then.
async fn within<T>(world: &World, time: Duration, future: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        value = future => Some(value),
        () = world.sleep(time) => None,
    }
}

async fn read(stream: &mut Stream, bytes: usize) -> io::Result<Vec<u8>> {
    let mut buf = vec![0; bytes];
    stream.read_exact(&mut buf).await.map(|_| buf)
}

async fn read_error(stream: &mut Stream) -> ErrorKind {
    stream.read(&mut [0; 16]).await.unwrap_err().kind()
}

/// Writes until a write would wait.
async fn fill(stream: &mut Stream) -> usize {
    let mut written = 0;
    loop {
        let attempt = poll_fn(|context| {
            Poll::Ready(Pin::new(&mut *stream).poll_write(context, &[7; 10_000]))
        });
        match attempt.await {
            Poll::Ready(count) => written += count.unwrap(),
            Poll::Pending => return written,
        }
    }
}

fn set_latency(world: &World, latency: Latency) {
    for link in world.links("a", "b") {
        link.set_latency(latency);
    }
}

#[test]
fn a_connect_takes_one_round_trip_and_a_message_half() {
    with_seeds(|world, a, b| async move {
        set_latency(&world, Latency::Constant(10 * MS));
        world
            .link("a", "b")
            .set_options(LinkOptions { split: Chance::NEVER, ..world.link("a", "b").options() });
        let start = world.now();
        let (mut one, mut other) = pair(&a, &b).await;
        assert_eq!(world.now().since(start).as_millis(), 20);
        let start = world.now();
        one.write_all(b"x").await.unwrap();
        read(&mut other, 1).await.unwrap();
        assert_eq!(world.now().since(start).as_millis(), 10);
    });
}

#[test]
fn bytes_stay_in_order_whatever_the_latency_and_reads_may_be_short() {
    with_seeds(|world, a, b| async move {
        let mut options = world.link("a", "b").options();
        let (min, mean, max) = (Duration::ZERO, 5 * MS, 200 * MS);
        options.latency = Latency::Exponential { min, mean, max };
        options.split = Chance::of(0.5);
        options.loss = Chance::of(0.1);
        world.link("a", "b").set_options(options);
        let (mut one, mut other) = pair(&a, &b).await;
        let sent: Vec<u8> = (0..100_000u32).map(|i| (i >> 4) as u8).collect();
        let pieces = sent.clone();
        world.spawn(Box::pin(async move {
            for piece in pieces.chunks(1000) {
                one.write_all(piece).await.unwrap();
                a.clock.sleep_until(a.clock.now() + 10 * MS).await;
            }
        }));
        let (mut received, mut short) = (Vec::new(), false);
        while received.len() < sent.len() {
            let mut buf = [0; 1000];
            let count = other.read(&mut buf).await.unwrap();
            received.extend_from_slice(&buf[..count]);
            short |= count < 1000;
        }
        assert!(received == sent && short);
    });
}

#[test]
fn a_fast_packet_waits_behind_a_slow_one() {
    with_seeds(|world, a, b| async move {
        let (mut one, mut other) = pair(&a, &b).await;
        let link = world.link("a", "b");
        link.set_latency(Latency::Constant(100 * MS));
        one.write_all(b"slow").await.unwrap();
        link.set_latency(Latency::Constant(MS));
        one.write_all(b"fast").await.unwrap();
        assert!(within(&world, 99 * MS, read(&mut other, 1)).await.is_none());
        let heard = within(&world, 2 * MS, read(&mut other, 8)).await.expect("both are there");
        assert_eq!(heard.unwrap(), b"slowfast");
    });
}

#[test]
fn bandwidth_serialises_all_connections_of_a_link() {
    with_seeds(|world, a, b| async move {
        let (mut one, mut other) = pair(&a, &b).await;
        world.link("a", "b").set_bandwidth(NonZeroU64::new(1_000_000));
        let start = world.now();
        one.write_all(&[1; 100_000]).await.unwrap();
        read(&mut other, 100_000).await.unwrap();
        let taken = world.now().since(start);
        assert!((100..103).contains(&taken.as_millis()), "{taken:?}");
    });
}

#[test]
fn loss_is_a_delay() {
    with_seeds(|world, a, b| async move {
        let (mut one, mut other) = pair(&a, &b).await;
        world.link("a", "b").set_loss(Chance::ALWAYS);
        one.write_all(b"x").await.unwrap();
        assert!(within(&world, 200 * MS, read(&mut other, 1)).await.is_none());
        assert!(within(&world, 2 * MS, read(&mut other, 1)).await.is_some());
    });
}

#[test]
fn a_severed_link_stalls_and_heals() {
    with_seeds(|world, a, b| async move {
        let (mut one, mut other) = pair(&a, &b).await;
        one.write_all(b"before ").await.unwrap();
        world.link("a", "b").sever();
        one.write_all(b"during ").await.unwrap();
        // Also what was on its way does not arrive.
        assert!(within(&world, 10_000 * MS, read(&mut other, 1)).await.is_none());
        // The other direction is open.
        other.write_all(b"back").await.unwrap();
        assert_eq!(read(&mut one, 4).await.unwrap(), b"back");
        world.link("a", "b").heal();
        one.write_all(b"after").await.unwrap();
        let heard = within(&world, 1001 * MS, read(&mut other, 19)).await;
        assert_eq!(heard.expect("TCP repeats within a second").unwrap(), b"before during after");
        assert!(within(&world, MS, one.write_all(b"!")).await.is_some());
        assert_eq!(read(&mut other, 1).await.unwrap(), b"!");
    });
}

#[test]
fn a_severed_writer_waits_once_its_buffer_is_full() {
    with_seeds(|world, a, b| async move {
        let (mut one, mut other) = pair(&a, &b).await;
        world.link("a", "b").sever();
        let written = fill(&mut one).await;
        assert_eq!(written, super::connection::CAPACITY);
        world.heal_all();
        assert!(read(&mut other, written).await.unwrap() == vec![7; written]);
        assert!(fill(&mut one).await > 0);
    });
}

#[test]
fn a_connect_over_a_severed_way_hangs_until_the_heal() {
    with_seeds(|world, a, b| async move {
        for link in world.links("a", "b") {
            let mut listener = listen(&b).await;
            link.sever();
            assert!(within(&world, 5000 * MS, connect(&a, "b")).await.is_none());
            let mut connecting = Box::pin(connect(&a, "b"));
            assert!(within(&world, 5000 * MS, &mut connecting).await.is_none());
            link.heal();
            connecting.await.unwrap();
            listener.accept().await.unwrap();
        }
    });
}

#[test]
fn held_packets_arrive_in_order_on_release() {
    with_seeds(|world, a, b| async move {
        let (mut one, mut other) = pair(&a, &b).await;
        world.link("a", "b").hold();
        for byte in 0..20u8 {
            one.write_all(&[byte]).await.unwrap();
        }
        assert!(within(&world, 1000 * MS, read(&mut other, 1)).await.is_none());
        world.link("a", "b").release();
        let heard = within(&world, MS / 10, read(&mut other, 20)).await.expect("there at once");
        assert_eq!(heard.unwrap(), (0..20).collect::<Vec<u8>>());
    });
}

#[test]
fn a_kill_reads_as_end_of_file_and_frees_the_port() {
    with_seeds(|world, a, b| async move {
        let (mut one, mut other) = pair(&a, &b).await;
        let _listener = listen_again(&b).await;
        other.write_all(b"last").await.unwrap();
        world.kill("b");
        let mut heard = Vec::new();
        one.read_to_end(&mut heard).await.unwrap();
        assert_eq!(heard, b"last");
        // The kernel is there, the process is not.
        one.write_all(b"hello?").await.unwrap();
        world.sleep(2 * MS).await;
        let error = one.write_all(b"hello?").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        let refused = connect(&a, "b").await.err().unwrap();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        let b = boot(&world, "b").await;
        pair(&a, &b).await;
    });
}

/// On another port, to be free after a kill.
async fn listen_again(env: &Env) -> Box<dyn Listener> {
    env.network.listen(Address::new("b", 0)).await.unwrap()
}

#[test]
fn a_kill_with_bytes_unread_reads_as_reset() {
    with_seeds(|world, a, b| async move {
        let (mut one, _other) = pair(&a, &b).await;
        one.write_all(b"unread").await.unwrap();
        world.sleep(2 * MS).await;
        world.kill("b");
        assert_eq!(read_error(&mut one).await, ErrorKind::ConnectionReset);
    });
}

#[test]
fn a_process_that_exits_closes_its_sockets() {
    with_seeds(|world, a, b| async move {
        world.kill("b");
        drop(b);
        let (ready, go) = tokio::sync::oneshot::channel::<()>();
        world.start("b", |env| {
            Box::pin(async move {
                let mut listener = listen(&env).await;
                let accepted = listener.accept().await.unwrap();
                let holding = async move {
                    let _held = accepted;
                    std::future::pending::<()>().await;
                };
                env.tasks.spawn("holder", Box::pin(holding));
                go.await.unwrap();
            })
        });
        world.sleep(MS).await;
        let mut stream = connect(&a, "b").await.unwrap();
        assert!(within(&world, 100 * MS, stream.read_u8()).await.is_none());
        ready.send(()).unwrap();
        assert_eq!(world.ended("b").await, Ending::Exited);
        assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0);
    });
}

#[test]
fn peers_behind_a_severed_way_hear_of_a_kill_after_the_heal() {
    with_seeds(|world, a, b| async move {
        let (mut one, _other) = pair(&a, &b).await;
        world.isolate("b");
        world.kill("b");
        assert!(within(&world, 30_000 * MS, one.read_u8()).await.is_none());
        world.heal_all();
        assert_eq!(one.read(&mut [0; 1]).await.unwrap(), 0);
    });
}

#[test]
fn power_loss_leaves_peers_half_open_until_the_restarted_machine_answers() {
    with_seeds(|world, a, b| async move {
        let (mut one, other) = pair(&a, &b).await;
        world.power_loss("b");
        // The process's futures are dropped after its death.
        drop(other);
        assert!(within(&world, 60_000 * MS, one.read_u8()).await.is_none());
        one.write_all(b"into the void").await.unwrap();
        let mut connecting = Box::pin(connect(&a, "b"));
        assert!(within(&world, 60_000 * MS, &mut connecting).await.is_none());
        boot(&world, "b").await;
        // Unknown to the new kernel, which says so when TCP repeats the bytes.
        assert_eq!(read_error(&mut one).await, ErrorKind::ConnectionReset);
        assert!(one.write_all(b"more").await.is_err());
        assert_eq!(connecting.await.err().unwrap().kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn a_silent_peer_of_a_power_loss_never_hears_of_it() {
    with_seeds(|world, a, b| async move {
        let (mut one, _other) = pair(&a, &b).await;
        world.power_loss("b");
        boot(&world, "b").await;
        assert!(within(&world, 60_000 * MS, one.read_u8()).await.is_none());
    });
}

#[test]
fn a_machine_without_power_takes_its_unsent_bytes_along() {
    with_seeds(|world, a, b| async move {
        let (mut one, mut other) = pair(&a, &b).await;
        world.link("a", "b").sever();
        one.write_all(b"stalled").await.unwrap();
        world.sleep(10 * MS).await;
        one.write_all(b"on the way").await.unwrap();
        world.power_loss("a");
        world.heal_all();
        assert!(within(&world, 10_000 * MS, other.read_u8()).await.is_none());
        boot(&world, "a").await;
        other.write_all(b"still there?").await.unwrap();
        assert_eq!(read_error(&mut other).await, ErrorKind::ConnectionReset);
    });
}

#[test]
fn a_reset_reaches_the_end_of_the_link_and_the_sender_when_it_sends() {
    with_seeds(|world, a, b| async move {
        let (mut one, mut other) = pair(&a, &b).await;
        world.link("a", "b").reset();
        assert_eq!(read_error(&mut other).await, ErrorKind::ConnectionReset);
        assert!(other.write_all(b"x").await.is_err());
        assert!(within(&world, 1000 * MS, one.read_u8()).await.is_none());
        one.write_all(b"x").await.unwrap();
        assert_eq!(read_error(&mut one).await, ErrorKind::ConnectionReset);
        drop((one, other));

        let mut listener = listen(&b).await;
        let (connected, accepted) = tokio::join!(biased; connect(&a, "b"), listener.accept());
        let (mut one, mut other) = (connected.unwrap(), accepted.unwrap().0);
        world.links("a", "b").iter().for_each(super::LinkControl::reset);
        assert_eq!(read_error(&mut one).await, ErrorKind::ConnectionReset);
        assert_eq!(read_error(&mut other).await, ErrorKind::ConnectionReset);
    });
}

/// Bytes that came behind the reset took the place of those that lay unread, and an end of file that of the reset.
#[test]
fn what_lies_unread_at_a_reset_is_read_before_it_and_nothing_that_comes_later() {
    with_seeds(|world, a, b| async move {
        let (mut one, mut other) = pair(&a, &b).await;
        other.write_all(b"before").await.unwrap();
        world.sleep(500 * MS).await;
        let link = world.link("b", "a");
        link.hold();
        other.write_all(b"behind").await.unwrap();
        other.shutdown().await.unwrap();
        world.sleep(500 * MS).await;
        link.reset();
        link.release();
        assert_eq!(read(&mut one, 6).await.unwrap(), b"before");
        assert_eq!(read_error(&mut one).await, ErrorKind::ConnectionReset);
        assert_eq!(read_error(&mut other).await, ErrorKind::ConnectionReset);
    });
}

#[test]
fn an_end_alone_is_answered_where_the_connection_is_unknown() {
    with_seeds(|world, a, b| async move {
        let (mut one, _other) = pair(&a, &b).await;
        world.power_loss("b");
        one.shutdown().await.unwrap();
        assert!(within(&world, 60_000 * MS, one.read_u8()).await.is_none());
        boot(&world, "b").await;
        assert_eq!(read_error(&mut one).await, ErrorKind::ConnectionReset);
    });
}

#[test]
fn a_paused_machine_accepts_and_buffers_in_its_kernel() {
    with_seeds(|world, a, b| async move {
        world.kill("b");
        drop(b);
        let (heard, result) = tokio::sync::oneshot::channel();
        world.start("b", |env| {
            Box::pin(async move {
                let mut listener = listen(&env).await;
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut bytes = Vec::new();
                stream.read_to_end(&mut bytes).await.unwrap();
                heard.send(bytes.len()).unwrap();
            })
        });
        world.sleep(MS).await;
        world.pause("b");
        let mut stream = connect(&a, "b").await.unwrap();
        let written = fill(&mut stream).await;
        world.sleep(5000 * MS).await;
        assert_eq!(fill(&mut stream).await, 0, "buffers are bounded");
        world.resume("b");
        stream.write_all(b"and more").await.unwrap();
        drop(stream);
        assert_eq!(result.await.unwrap(), written + 8);
    });
}

#[test]
fn a_connect_given_up_leaves_no_connection_behind() {
    with_seeds(|world, a, b| async move {
        let mut listener = listen(&b).await;
        // Given up on its way: the accepting side meets a reset.
        assert!(within(&world, MS / 100, connect(&a, "b")).await.is_none());
        let (mut stream, _) = listener.accept().await.unwrap();
        assert_eq!(read_error(&mut stream).await, ErrorKind::ConnectionReset);
        // Given up before anything arrived: nobody hears of it.
        world.link("a", "b").sever();
        assert!(within(&world, 100 * MS, connect(&a, "b")).await.is_none());
        world.link("a", "b").heal();
        assert!(within(&world, 5000 * MS, listener.accept()).await.is_none());
    });
}

#[test]
fn a_full_backlog_refuses() {
    with_seeds(|_, a, b| async move {
        let mut listener = listen(&b).await;
        let mut waiting = Vec::new();
        let refused = loop {
            match connect(&a, "b").await {
                Ok(stream) => waiting.push(stream),
                Err(error) => break error,
            }
        };
        assert_eq!((refused.kind(), waiting.len()), (ErrorKind::ConnectionRefused, 128));
        listener.accept().await.unwrap();
        connect(&a, "b").await.unwrap();
    });
}

#[test]
fn connections_that_wait_are_reset_with_their_listener() {
    with_seeds(|_, a, b| async move {
        let listener = listen(&b).await;
        let mut stream = connect(&a, "b").await.unwrap();
        drop(listener);
        let mut buf = [0; 1];
        let mut buf = ReadBuf::new(&mut buf);
        poll_fn(|context| Pin::new(&mut stream).poll_read(context, &mut buf)).await.unwrap();
        assert!(buf.filled().is_empty());
    });
}
