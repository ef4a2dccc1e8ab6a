//! What holds of a world as a whole: lives of machines, crashes, digests.

mod beside;

pub use beside::run_beside;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::env::{Address, Env, OpenMode};

/// A server that sends back what it reads, on port 9092.
async fn echo(env: Env) {
    let mut listener = env.network.listen(Address::new("0.0.0.0", 9092)).await.unwrap();
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        env.tasks.spawn(
            "echo",
            Box::pin(async move {
                let mut buf = [0; 1024];
                while let Ok(read @ 1..) = stream.read(&mut buf).await {
                    if stream.write_all(&buf[..read]).await.is_err() {
                        return;
                    }
                }
            }),
        );
    }
}

/// A world with an echo server `b1`, and clients that talk to it, sync a file and restart.
fn busy_world(seed: u64) -> Digest {
    let digest = World::run(seed, WorldOptions::default(), |world| async move {
        world.add_machine("b1", MachineOptions::default());
        world.start("b1", |env| Box::pin(echo(env)));
        for name in ["c1", "c2", "c3"] {
            world.add_machine(name, MachineOptions::default());
            world.start(name, |env| {
                Box::pin(async move {
                    env.disk.create_dir("log").unwrap();
                    let file = env.disk.open("log/0", OpenMode::Create).unwrap();
                    let mut stream = env.network.connect(Address::new("b1", 9092)).await.unwrap();
                    for round in 0..50u64 {
                        let mut buf = [0; 300];
                        stream.write_all(&[round as u8; 300]).await.unwrap();
                        stream.read_exact(&mut buf).await.unwrap();
                        file.write_at(round * 300, &buf).unwrap();
                        file.sync().await.unwrap();
                    }
                })
            });
        }
        world.sleep(Duration::from_millis(5)).await;
        world.power_loss("c3");
        for name in ["c1", "c2"] {
            assert_eq!(world.ended(name).await, Ending::Exited);
        }
        world.trace().digest()
    });
    digest.unwrap()
}

/// In a thread of its own, as every trial.
fn fresh<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> T {
    #[allow(clippy::disallowed_methods)] // One trial is one fresh thread.
    std::thread::spawn(body).join().unwrap()
}

#[test]
fn the_same_seed_gives_the_same_digest_on_any_thread() {
    let first = fresh(|| busy_world(1));
    assert_eq!(first, fresh(|| busy_world(1)));
    let (third, fourth) = (fresh(|| (busy_world(7), busy_world(1)).1), fresh(|| busy_world(2)));
    assert_eq!(first, third, "a world leaves nothing to its successor");
    assert_ne!(first, fourth);
}

#[test]
fn a_panic_on_a_machine_is_a_crash_with_its_name() {
    let crash = World::run(1, WorldOptions::default(), |world| async move {
        world.add_machine("b1", MachineOptions::default());
        world.start("b1", |env| {
            Box::pin(async move {
                env.tasks.spawn("faulty", Box::pin(async { panic!("log end {} fell", 7) }));
                std::future::pending().await
            })
        });
        world.sleep(Duration::from_secs(1)).await;
    })
    .unwrap_err();
    assert_eq!((crash.machine.as_deref(), &*crash.message), (Some("b1"), "log end 7 fell"));
    assert!(crash.location.unwrap().starts_with(file!()));
}

#[test]
fn a_driver_that_panics_or_waits_for_nothing_is_a_crash() {
    let crash = World::run(1, WorldOptions::default(), |world| async move {
        assert!(world.is_running("nowhere"));
    });
    assert_eq!(crash.unwrap_err().message, "no machine is named nowhere");
    let crash = World::run(1, WorldOptions::default(), |_| std::future::pending::<()>());
    assert_eq!(crash.unwrap_err().machine, None);
}

#[test]
fn a_killed_process_runs_nothing_more() {
    let counter = Arc::new(AtomicU64::new(0));
    let counted = counter.clone();
    World::run(1, WorldOptions::default(), |world| async move {
        world.add_machine("b1", MachineOptions::default());
        let counting = counted.clone();
        world.start("b1", move |env| {
            Box::pin(async move {
                loop {
                    counting.fetch_add(1, Ordering::Relaxed);
                    env.clock.sleep_until(env.clock.now() + Duration::from_millis(10)).await;
                }
            })
        });
        world.sleep(Duration::from_millis(95)).await;
        world.kill("b1");
        assert!(!world.is_running("b1"));
        let at_kill = counted.load(Ordering::Relaxed);
        assert_eq!(at_kill, 10);
        world.sleep(Duration::from_secs(1)).await;
        assert_eq!(counted.load(Ordering::Relaxed), at_kill);
        assert_eq!(world.ending("b1"), Some(Ending::Killed));
    })
    .unwrap();
}

#[test]
fn a_paused_process_stands_still_until_resumed_and_can_be_killed() {
    let ticks = Arc::new(AtomicU64::new(0));
    let counted = ticks.clone();
    World::run(1, WorldOptions::default(), |world| async move {
        world.add_machine("b1", MachineOptions::default());
        world.start("b1", move |env| {
            Box::pin(async move {
                loop {
                    env.clock.sleep_until(env.clock.now() + Duration::from_millis(10)).await;
                    counted.fetch_add(1, Ordering::Relaxed);
                }
            })
        });
        world.sleep(Duration::from_millis(25)).await;
        world.pause("b1");
        world.sleep(Duration::from_millis(100)).await;
        assert_eq!(ticks.load(Ordering::Relaxed), 2);
        assert!(world.is_running("b1") && world.is_paused("b1"));
        world.resume("b1");
        world.sleep(Duration::from_millis(25)).await;
        assert!(ticks.load(Ordering::Relaxed) >= 4);
        world.pause("b1");
        world.sleep(Duration::from_millis(25)).await;
        world.kill("b1");
        assert_eq!(world.ended("b1").await, Ending::Killed);
        world.start("b1", |_| Box::pin(async {}));
        assert_eq!(world.ended("b1").await, Ending::Exited);
    })
    .unwrap();
}

#[test]
fn every_incarnation_draws_from_streams_of_its_own() {
    use rand::Rng as _;
    let draws = Arc::new(lock::Lock::new(Vec::new()));
    let kept = draws.clone();
    World::run(1, WorldOptions::default(), |world| async move {
        world.add_machine("b1", MachineOptions::default());
        for _ in 0..2 {
            let kept = kept.clone();
            world.start("b1", |env| {
                Box::pin(async move { kept.lock().push(env.rng.stream("x").next_u64()) })
            });
            world.ended("b1").await;
        }
        assert_eq!(world.incarnation("b1"), 2);
    })
    .unwrap();
    let draws = draws.lock();
    assert_ne!(draws[0], draws[1]);
}

#[test]
fn wall_clocks_are_skewed_and_jump_while_the_monotonic_clock_runs_on() {
    World::run(1, WorldOptions::default(), |world| async move {
        world.add_machine("b1", MachineOptions { skew_ms: 500, ..MachineOptions::default() });
        let (sender, receiver) = tokio::sync::oneshot::channel();
        world.start("b1", |env| Box::pin(async move { drop(sender.send(env.clock.clone())) }));
        let clock = receiver.await.unwrap();
        assert_eq!(clock.wall_time().0, EPOCH_MS + 500);
        world.wall_clock("b1").jump(-1500);
        assert_eq!(clock.wall_time().0, EPOCH_MS - 1000);
        world.sleep(Duration::from_secs(2)).await;
        assert_eq!(clock.wall_time().0, EPOCH_MS + 1000);
        assert_eq!(clock.now().as_nanos() / 1_000_000_000, 2);
        world.wall_clock("b1").set_skew(0);
        assert_eq!(clock.wall_time().0, EPOCH_MS + 2000);
    })
    .unwrap();
}

#[test]
fn a_dropped_sleep_leaves_no_poll_behind() {
    let polls = Arc::new(AtomicU64::new(0));
    let counted = polls.clone();
    World::run(1, WorldOptions::default(), |world| async move {
        let sleeper = world.clone();
        world.spawn(Box::pin(async move {
            let mut waiting = Some(Box::pin(sleeper.sleep(Duration::from_secs(1))));
            std::future::poll_fn(|context| {
                counted.fetch_add(1, Ordering::Relaxed);
                // Registered at the first poll, given up at once.
                if let Some(mut waiting) = waiting.take() {
                    assert!(waiting.as_mut().poll(context).is_pending());
                }
                std::task::Poll::<()>::Pending
            })
            .await;
        }));
        world.sleep(Duration::from_secs(5)).await;
        assert_eq!(polls.load(Ordering::Relaxed), 1);
    })
    .unwrap();
}

#[test]
fn a_passed_deadline_is_ready_at_once() {
    World::run(1, WorldOptions::default(), |world| async move {
        let start = world.now();
        let waiting = world.sleep(Duration::from_secs(5));
        tokio::select! {
            biased;
            () = waiting => unreachable!("the shorter sleep wins"),
            () = world.sleep(Duration::from_micros(3)) => {}
        }
        // madsim lets tens of nanoseconds pass for every poll.
        assert!(world.now().since(start) < Duration::from_micros(4));
        world.sleep_until(start).await;
        assert!(world.now().since(start) < Duration::from_micros(4));
    })
    .unwrap();
}

#[test]
fn a_finished_world_leaves_nothing_in_memory() {
    let witness = Arc::new(());
    for crashing in [false, true] {
        let held = witness.clone();
        let result = World::run(1, WorldOptions::default(), |world| async move {
            world.add_machine("b1", MachineOptions::default());
            let inside = held.clone();
            world.start("b1", move |env| {
                Box::pin(async move {
                    let file = env.disk.open("f", OpenMode::Create).unwrap();
                    file.write_at(0, b"x").unwrap();
                    let sync = file.sync();
                    let _inside = inside;
                    echo(env).await;
                    sync.await.unwrap();
                })
            });
            world.add_machine("c1", MachineOptions::default());
            world.start("c1", move |env| {
                Box::pin(async move {
                    let _held = held;
                    let mut stream = env.network.connect(Address::new("b1", 9092)).await.unwrap();
                    stream.write_all(b"hello").await.unwrap();
                    std::future::pending::<()>().await;
                })
            });
            world.sleep(Duration::from_millis(2)).await;
            world.pause("c1");
            assert!(!crashing);
        });
        assert_eq!(result.is_err(), crashing);
    }
    assert_eq!(Arc::strong_count(&witness), 1);
}
