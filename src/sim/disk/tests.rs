//! What the disk promises, fault by fault.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    io::ErrorKind,
    time::Duration,
};

use proptest::prelude::*;

use super::*;
use crate::{
    env::{Env, OpenMode},
    sim::{Chance, Latency, MachineOptions, World, WorldOptions},
};

/// Runs `body` with one seed on a machine `m` that runs; the test acts in its process's place.
fn with_seed<T, F: Future<Output = T>>(seed: u64, body: impl FnOnce(World, Env) -> F) -> T {
    let result = World::run(seed, WorldOptions::default(), |world| async {
        world.add_machine("m", MachineOptions::default());
        let env = boot(&world).await;
        body(world, env).await
    });
    result.unwrap_or_else(|crash| panic!("seed {seed}: {crash}"))
}

/// What `body` gives over many seeds.
fn outcomes<T: Ord, F: Future<Output = T>>(body: impl Fn(World, Env) -> F) -> BTreeSet<T> {
    (0..100).map(|seed| with_seed(seed, &body)).collect()
}

async fn boot(world: &World) -> Env {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    world.start("m", |env| {
        Box::pin(async move {
            drop(sender.send(env));
            std::future::pending().await
        })
    });
    receiver.await.unwrap()
}

fn write(env: &Env, path: &str, content: &[u8]) {
    env.disk.open(path, OpenMode::Create).unwrap().write_at(0, content).unwrap();
}

async fn sync(env: &Env, path: &str) {
    env.disk.open(path, OpenMode::ReadWrite).unwrap().sync().await.unwrap();
}

/// Writes and syncs a file and its entry.
async fn store(env: &Env, path: &str, content: &[u8]) {
    write(env, path, content);
    sync(env, path).await;
    env.disk.sync_dir("").await.unwrap();
}

fn fault(operation: Operation, effect: Effect, repeat: Repeat) -> DiskFault {
    DiskFault { operation, path_prefix: String::new(), effect, repeat }
}

#[test]
fn a_kill_keeps_the_page_cache() {
    for seed in 0..20 {
        with_seed(seed, |world, env| async move {
            env.disk.create_dir("d").unwrap();
            write(&env, "d/f", b"never synced");
            world.kill("m");
            boot(&world).await;
            assert_eq!(world.disk("m").read("d/f").unwrap(), b"never synced");
            assert_eq!(world.disk("m").read_durable("d/f"), None);
        });
    }
}

#[test]
fn power_loss_drops_unsynced_pages() {
    let outcomes = outcomes(|world, env| async move {
        store(&env, "f", &[1; 8192]).await;
        write(&env, "f", &[2; 8192]);
        assert_eq!(world.disk("m").read_durable("f").unwrap(), [1; 8192]);
        world.power_loss("m");
        let content = world.disk("m").read("f").unwrap();
        assert_eq!(content.len(), 8192);
        assert_eq!(world.disk("m").read_durable("f").unwrap(), content);
        (content[..4096].to_vec(), content[4096..].to_vec())
    });
    let (old, new) = (vec![1; 4096], vec![2; 4096]);
    for pages in [(&old, &old), (&old, &new), (&new, &old), (&new, &new)] {
        assert!(outcomes.contains(&(pages.0.clone(), pages.1.clone())), "pages survive one by one");
    }
    let torn = outcomes.iter().flat_map(|(one, other)| [one, other]).filter(|page| {
        assert!(page.chunks(512).all(|sector| sector == [1; 512] || sector == [2; 512]));
        **page != old && **page != new
    });
    assert!(torn.count() > 0, "torn pages are seen");
}

#[test]
fn survival_can_be_made_certain_either_way() {
    for (survival, expected) in [(Chance::NEVER, b"old"), (Chance::ALWAYS, b"new")] {
        let outcomes = outcomes(|world, env| async move {
            world.disk("m").set_survival(survival, Chance::NEVER);
            store(&env, "f", b"old").await;
            write(&env, "f", b"new");
            write(&env, "g", &[7; 9000]);
            world.power_loss("m");
            let disk = world.disk("m");
            (disk.files().len(), disk.read("f").unwrap())
        });
        let files = if survival == Chance::NEVER { 1 } else { 2 };
        assert_eq!(outcomes, BTreeSet::from([(files, expected.to_vec())]));
    }
}

#[test]
fn a_dead_process_writes_no_more() {
    with_seed(1, |world, env| async move {
        let file = env.disk.open("f", OpenMode::Create).unwrap();
        world.kill("m");
        boot(&world).await;
        assert!(file.write_at(0, b"from the grave").is_err() && file.set_len(9).is_err());
        assert!(env.disk.remove("f").is_err() && env.disk.open("g", OpenMode::Create).is_err());
        assert_eq!(world.disk("m").read("f").unwrap(), b"");
    });
}

#[test]
fn synced_bytes_survive_a_power_loss() {
    for seed in 0..50 {
        with_seed(seed, |world, env| async move {
            for round in 1..6u8 {
                store(&env, "f", &[round; 10_000]).await;
            }
            world.power_loss("m");
            assert_eq!(world.disk("m").read("f").unwrap(), [5; 10_000]);
        });
    }
}

#[test]
fn bytes_written_during_a_sync_are_not_covered() {
    let outcomes = outcomes(|world, env| async move {
        store(&env, "f", &[1; 10]).await;
        write(&env, "f", &[2; 10]);
        let file = env.disk.open("f", OpenMode::ReadWrite).unwrap();
        let sync = file.sync();
        file.write_at(0, &[3; 10]).unwrap();
        sync.await.unwrap();
        world.power_loss("m");
        world.disk("m").read("f").unwrap()[0]
    });
    assert_eq!(outcomes, BTreeSet::from([2, 3]));
}

#[test]
fn a_power_loss_during_a_sync_leaves_any_version() {
    let outcomes = outcomes(|world, env| async move {
        store(&env, "f", &[1; 10]).await;
        write(&env, "f", &[2; 10]);
        let file = env.disk.open("f", OpenMode::ReadWrite).unwrap();
        let _sync = file.sync();
        file.write_at(0, &[3; 10]).unwrap();
        world.power_loss("m");
        world.disk("m").read("f").unwrap()[0]
    });
    assert_eq!(outcomes, BTreeSet::from([1, 2, 3]));
}

#[test]
fn a_sync_is_finished_by_the_kernel_of_a_killed_process() {
    for seed in 0..20 {
        with_seed(seed, |world, env| async move {
            store(&env, "f", b"old").await;
            write(&env, "f", b"new");
            drop(env.disk.open("f", OpenMode::ReadWrite).unwrap().sync());
            world.kill("m");
            world.sleep(Duration::from_millis(10)).await;
            world.power_loss("m");
            assert_eq!(world.disk("m").read("f").unwrap(), b"new");
        });
    }
}

#[test]
fn an_unsynced_length_survives_or_not_and_lost_pages_read_as_zeros() {
    let outcomes = outcomes(|world, env| async move {
        store(&env, "f", b"begin").await;
        env.disk.open("f", OpenMode::ReadWrite).unwrap().write_at(5, &[9; 8000]).unwrap();
        world.power_loss("m");
        let content = world.disk("m").read("f").unwrap();
        assert_eq!(&content[..5], b"begin");
        let tail = content.iter().rev().take(3000).copied().collect::<BTreeSet<u8>>();
        (content.len(), tail.contains(&0))
    });
    assert!(outcomes.is_superset(&BTreeSet::from([(5, false), (8005, false), (8005, true)])));
    assert!(outcomes.iter().any(|(len, _)| (6..8005).contains(len)), "a part of a growth survives");
}

#[test]
fn an_unsynced_cut_may_be_undone() {
    let outcomes = outcomes(|world, env| async move {
        store(&env, "f", &[1; 5000]).await;
        env.disk.open("f", OpenMode::ReadWrite).unwrap().set_len(100).unwrap();
        world.power_loss("m");
        world.disk("m").read("f").unwrap()
    });
    assert_eq!(outcomes, BTreeSet::from([vec![1; 100], vec![1; 5000]]));
}

#[test]
fn a_lying_sync_loses_on_power_loss() {
    let outcomes = outcomes(|world, env| async move {
        store(&env, "f", b"old").await;
        write(&env, "f", b"new");
        world.disk("m").add_fault(fault(Operation::Sync, Effect::Lie, Repeat::Next(1)));
        sync(&env, "f").await;
        assert_eq!(world.disk("m").read_durable("f").unwrap(), b"old");
        world.power_loss("m");
        world.disk("m").read("f").unwrap()
    });
    assert_eq!(outcomes, BTreeSet::from([b"old".to_vec(), b"new".to_vec()]));
}

#[test]
fn an_honest_sync_after_a_lying_one_saves_all() {
    with_seed(1, |world, env| async move {
        store(&env, "f", b"old").await;
        write(&env, "f", b"new");
        world.disk("m").add_fault(fault(Operation::Sync, Effect::Lie, Repeat::Next(1)));
        sync(&env, "f").await;
        sync(&env, "f").await;
        assert_eq!(world.disk("m").read_durable("f").unwrap(), b"new");
    });
}

#[test]
fn a_failing_sync_leaves_pages_clean_but_not_durable() {
    let outcomes = outcomes(|world, env| async move {
        store(&env, "f", &[1; 8192]).await;
        write(&env, "f", &[2; 8192]);
        let file = env.disk.open("f", OpenMode::ReadWrite).unwrap();
        world.disk("m").add_fault(fault(Operation::Sync, Effect::Error, Repeat::Next(1)));
        assert!(file.sync().await.is_err());
        // The next sync succeeds, and saves but the page that was written again.
        file.write_at(0, &[3]).unwrap();
        file.sync().await.unwrap();
        let durable = world.disk("m").read_durable("f").unwrap();
        assert_eq!((durable[0], durable[1], durable[4096]), (3, 2, 1));
        world.power_loss("m");
        world.disk("m").read("f").unwrap()[8191]
    });
    assert_eq!(outcomes, BTreeSet::from([1, 2]));
}

#[test]
fn a_file_whose_entry_was_not_synced_may_vanish() {
    let outcomes = outcomes(|world, env| async move {
        store(&env, "kept", b"x").await;
        write(&env, "f", b"synced itself");
        sync(&env, "f").await;
        world.power_loss("m");
        let files = world.disk("m").files();
        if files.contains(&"f".to_owned()) {
            assert_eq!(world.disk("m").read("f").unwrap(), b"synced itself");
        }
        files
    });
    let (kept, both) = (vec!["kept".to_owned()], vec!["f".to_owned(), "kept".to_owned()]);
    assert_eq!(outcomes, BTreeSet::from([kept, both]));
}

#[test]
fn a_rename_is_atomic() {
    let outcomes = outcomes(|world, env| async move {
        store(&env, "f", b"old").await;
        store(&env, "f.tmp", b"new").await;
        env.disk.rename("f.tmp", "f").unwrap();
        world.power_loss("m");
        let disk = world.disk("m");
        (disk.files(), disk.read("f").unwrap())
    });
    let before = (vec!["f".to_owned(), "f.tmp".to_owned()], b"old".to_vec());
    let after = (vec!["f".to_owned()], b"new".to_vec());
    assert_eq!(outcomes, BTreeSet::from([before, after]));
}

#[test]
fn a_chain_of_renames_never_doubles_or_loses_a_file() {
    let outcomes = outcomes(|world, env| async move {
        env.disk.create_dir("d").unwrap();
        store(&env, "a", b"A").await;
        env.disk.rename("a", "b").unwrap();
        env.disk.rename("b", "d/c").unwrap();
        env.disk.rename("d/c", "e").unwrap();
        world.power_loss("m");
        world.disk("m").files()
    });
    assert!(outcomes.iter().all(|files| files.len() == 1), "{outcomes:?}");
    assert_eq!(outcomes.len(), 4, "every step is seen");
}

#[test]
fn a_remove_that_was_not_synced_may_be_undone() {
    let outcomes = outcomes(|world, env| async move {
        store(&env, "f", b"x").await;
        env.disk.remove("f").unwrap();
        world.power_loss("m");
        world.disk("m").files().len()
    });
    assert_eq!(outcomes, BTreeSet::from([0, 1]));
    with_seed(1, |world, env| async move {
        store(&env, "f", b"x").await;
        env.disk.remove("f").unwrap();
        env.disk.sync_dir("").await.unwrap();
        world.power_loss("m");
        assert!(world.disk("m").files().is_empty());
        assert_eq!(world.disk("m").used(), 0);
    });
}

#[test]
fn a_lying_sync_of_a_directory_keeps_nothing() {
    let outcomes = outcomes(|world, env| async move {
        write(&env, "f", b"x");
        let lie = fault(Operation::SyncDirectory, Effect::Lie, Repeat::Always);
        world.disk("m").add_fault(lie);
        env.disk.sync_dir("").await.unwrap();
        world.power_loss("m");
        world.disk("m").files().len()
    });
    assert_eq!(outcomes, BTreeSet::from([0, 1]));
}

#[test]
fn a_full_disk_takes_a_prefix_and_room_comes_back() {
    with_seed(1, |world, env| async move {
        write(&env, "ballast", &[0; 600]);
        world.disk("m").set_capacity(Some(1000));
        let file = env.disk.open("f", OpenMode::Create).unwrap();
        let error = file.write_at(0, &[1; 500]).unwrap_err();
        assert_eq!((error.kind(), file.len()), (ErrorKind::StorageFull, 400));
        assert_eq!(file.write_at(400, b"x").unwrap_err().kind(), ErrorKind::StorageFull);
        file.write_at(0, &[2; 400]).unwrap();
        env.disk.remove("ballast").unwrap();
        file.write_at(400, &[3; 100]).unwrap();
        assert_eq!(world.disk("m").used(), 500);
        file.set_len(10).unwrap();
        assert_eq!(world.disk("m").used(), 10);
        world.disk("m").heal();
        file.write_at(0, &[4; 5000]).unwrap();
    });
}

#[test]
fn faults_hit_the_paths_and_the_times_they_name() {
    with_seed(1, |world, env| async move {
        write(&env, "a", b"a");
        write(&env, "b", b"b");
        let disk = world.disk("m");
        let operation = Operation::Write;
        let (path_prefix, effect) = ("a".to_owned(), Effect::Error);
        disk.add_fault(DiskFault { operation, path_prefix, effect, repeat: Repeat::Next(2) });
        disk.add_fault(fault(Operation::Read, Effect::Error, Repeat::Always));
        let [a, b] = ["a", "b"].map(|path| env.disk.open(path, OpenMode::ReadWrite).unwrap());
        b.write_at(0, b"x").unwrap();
        assert!(a.write_at(0, b"x").is_err() && a.set_len(0).is_err());
        a.write_at(0, b"x").unwrap();
        assert!(a.read_at(0, &mut [0]).is_err() && b.read_at(0, &mut [0]).is_err());
        disk.add_fault(fault(Operation::Change, Effect::Error, Repeat::Always));
        assert!(env.disk.open("c", OpenMode::Create).is_err());
        assert!(env.disk.rename("a", "c").is_err() && env.disk.remove("a").is_err());
        disk.heal();
        assert_eq!(a.read_at(0, &mut [0]).unwrap(), 1);
        assert_eq!(disk.files(), ["a", "b"]);
    });
}

#[test]
fn a_slow_disk_syncs_slowly_and_a_clean_file_at_once() {
    with_seed(1, |world, env| async move {
        world.disk("m").set_sync_latency(Latency::Constant(Duration::from_secs(3)));
        write(&env, "f", b"x");
        let start = world.now();
        sync(&env, "f").await;
        assert_eq!(world.now().since(start).as_secs(), 3);
        sync(&env, "f").await;
        env.disk.sync_dir("").await.unwrap();
        env.disk.sync_dir("").await.unwrap();
        assert_eq!(world.now().since(start).as_secs(), 6);
    });
}

#[test]
fn a_corrupt_sector_differs_in_one_byte_for_good() {
    with_seed(1, |world, env| async move {
        store(&env, "f", &[1; 2000]).await;
        write(&env, "f", &[1; 10]);
        let disk = world.disk("m");
        disk.corrupt("f", 1000).unwrap();
        for content in [disk.read("f").unwrap(), disk.read_durable("f").unwrap()] {
            let wrong: Vec<usize> = (0..2000).filter(|at| content[*at] != 1).collect();
            assert!(matches!(wrong[..], [at] if (512..1024).contains(&at)), "{wrong:?}");
        }
        assert_eq!(disk.corrupt("f", 4096).unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(disk.corrupt("g", 0).unwrap_err().kind(), ErrorKind::NotFound);
    });
}

#[test]
fn a_wiped_disk_is_empty() {
    with_seed(1, |world, env| async move {
        store(&env, "f", b"x").await;
        world.kill("m");
        world.disk("m").wipe();
        let env = boot(&world).await;
        assert!(env.disk.list("").unwrap().is_empty());
        assert_eq!(world.disk("m").used(), 0);
    });
}

#[test]
fn a_large_gap_takes_no_room() {
    with_seed(1, |world, env| async move {
        let file = env.disk.open("f", OpenMode::Create).unwrap();
        file.set_len(1 << 40).unwrap();
        assert_eq!((file.len(), world.disk("m").used()), (1 << 40, 0));
        file.set_len(10).unwrap();
    });
}

/// One step of the random test below, on one of three files.
#[derive(Clone, Debug)]
enum Step {
    Write { file: usize, position: u64, len: usize, byte: u8 },
    SetLen { file: usize, len: u64 },
    Sync { file: usize },
    FailSync { file: usize },
    LieSync { file: usize },
    Rename { from: usize, to: usize },
    Remove { file: usize },
    SyncDirectory,
    PowerLoss,
    Kill,
}

fn step() -> impl Strategy<Value = Step> {
    let file = 0..3usize;
    let write = (file.clone(), 0..20_000u64, 1..9000usize, 1..=u8::MAX);
    prop_oneof![
        8 => write.prop_map(|(file, position, len, byte)| Step::Write { file, position, len, byte }),
        2 => (file.clone(), 0..20_000u64).prop_map(|(file, len)| Step::SetLen { file, len }),
        3 => file.clone().prop_map(|file| Step::Sync { file }),
        1 => file.clone().prop_map(|file| Step::FailSync { file }),
        1 => file.clone().prop_map(|file| Step::LieSync { file }),
        1 => (file.clone(), file.clone()).prop_map(|(from, to)| Step::Rename { from, to }),
        1 => file.prop_map(|file| Step::Remove { file }),
        1 => Just(Step::SyncDirectory),
        1 => Just(Step::PowerLoss),
        1 => Just(Step::Kill),
    ]
}

/// A file of the model: a plain vector, and what is durable while nothing failed since.
type Model = BTreeMap<String, Vec<u8>>;

/// Does a step on the disk and on a plain map of vectors.
async fn act(world: &World, env: &mut Env, model: &mut Model, step: &Step) {
    let name = |file: &usize| format!("f{file}");
    match step {
        Step::Write { file, position, len, byte } => {
            let handle = env.disk.open(&name(file), OpenMode::Create).unwrap();
            handle.write_at(*position, &vec![*byte; *len]).unwrap();
            let content = model.entry(name(file)).or_default();
            let (start, end) = (*position as usize, *position as usize + len);
            content.resize(content.len().max(end), 0);
            content[start..end].fill(*byte);
        }
        Step::SetLen { file, len } => {
            let handle = env.disk.open(&name(file), OpenMode::Create).unwrap();
            handle.set_len(*len).unwrap();
            model.entry(name(file)).or_default().resize(*len as usize, 0);
        }
        Step::Sync { file } | Step::FailSync { file } | Step::LieSync { file } => {
            let Ok(handle) = env.disk.open(&name(file), OpenMode::ReadWrite) else { return };
            let effect = match step {
                Step::FailSync { .. } => Some(Effect::Error),
                Step::LieSync { .. } => Some(Effect::Lie),
                _ => None,
            };
            if let Some(effect) = effect {
                world.disk("m").add_fault(fault(Operation::Sync, effect, Repeat::Next(1)));
            }
            assert_eq!(handle.sync().await.is_err(), effect == Some(Effect::Error));
        }
        Step::Rename { from, to } => {
            let moved = env.disk.rename(&name(from), &name(to));
            assert_eq!(moved.is_ok(), model.contains_key(&name(from)));
            if let Some(content) = model.remove(&name(from)) {
                model.insert(name(to), content);
            }
        }
        Step::Remove { file } => {
            let removed = env.disk.remove(&name(file)).is_ok();
            assert_eq!(removed, model.remove(&name(file)).is_some());
        }
        Step::SyncDirectory => env.disk.sync_dir("").await.unwrap(),
        Step::PowerLoss => {
            let disk = world.disk("m");
            world.power_loss("m");
            // What came back is the new truth, on the disk and in the cache alike.
            model.clear();
            for path in disk.files() {
                let content = disk.read(&path).unwrap();
                assert_eq!(disk.read_durable(&path).as_ref(), Some(&content));
                model.insert(path, content);
            }
            *env = boot(world).await;
        }
        Step::Kill => {
            world.kill("m");
            *env = boot(world).await;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// The page cache behaves like plain vectors, whatever syncs, faults and kills come between; its
    /// accounting is right; and after a good sync of everything a power loss changes nothing.
    #[test]
    fn the_page_cache_is_a_map_of_vectors(
        seed in 0..1000u64,
        steps in prop::collection::vec(step(), 1..40),
    ) {
        with_seed(seed, |world, mut env| async move {
            let mut model = Model::new();
            for step in &steps {
                act(&world, &mut env, &mut model, step).await;
                let disk = world.disk("m");
                prop_assert_eq!(disk.files(), model.keys().cloned().collect::<Vec<_>>());
                for (path, content) in &model {
                    prop_assert!(disk.read(path).unwrap() == *content, "{}", path);
                }
                prop_assert!(disk.used() <= model.values().map(|c| c.len() as u64).sum::<u64>());
            }
            for path in model.keys() {
                // A page that a failed sync left clean is saved by writing it again.
                let file = env.disk.open(path, OpenMode::ReadWrite).unwrap();
                file.write_at(0, &model[path]).unwrap();
                file.sync().await.unwrap();
            }
            env.disk.sync_dir("").await.unwrap();
            world.power_loss("m");
            for (path, content) in &model {
                prop_assert!(world.disk("m").read(path).unwrap() == *content, "{}", path);
            }
            prop_assert_eq!(world.disk("m").files().len(), model.len());
            Ok(())
        })?;
    }

    /// Without faults, what a sync covered is there after a power loss that comes later.
    #[test]
    fn a_good_sync_is_kept(
        seed in 0..1000u64,
        writes in prop::collection::vec((0..12_000u64, 1..6000usize), 1..10),
    ) {
        with_seed(seed, |world, env| async move {
            write(&env, "f", b"");
            env.disk.sync_dir("").await.unwrap();
            let file = env.disk.open("f", OpenMode::ReadWrite).unwrap();
            for (round, (position, len)) in writes.iter().enumerate() {
                file.write_at(*position, &vec![round as u8 + 1; *len]).unwrap();
                file.sync().await.unwrap();
            }
            let content = world.disk("m").read("f").unwrap();
            prop_assert!(world.disk("m").read_durable("f").unwrap() == content);
            world.power_loss("m");
            prop_assert!(world.disk("m").read("f").unwrap() == content);
            Ok(())
        })?;
    }
}

#[test]
fn a_torn_page_mixes_at_sector_borders_as_often_as_asked() {
    for (torn, seen) in [(Chance::NEVER, false), (Chance::ALWAYS, true)] {
        let options = DiskOptions { torn, ..DiskOptions::default() };
        let mixed = (0..100).filter(|seed| {
            let options = MachineOptions { disk: options.clone(), ..MachineOptions::default() };
            let content = World::run(*seed, WorldOptions::default(), |world| async move {
                world.add_machine("m", options);
                let env = boot(&world).await;
                store(&env, "f", &[1; 4096]).await;
                write(&env, "f", &[2; 4096]);
                world.power_loss("m");
                world.disk("m").read("f").unwrap()
            });
            content.unwrap().iter().collect::<BTreeSet<_>>().len() > 1
        });
        assert_eq!(mixed.count() > 0, seen);
    }
}
