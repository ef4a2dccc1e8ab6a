//! Transcripts: what a few replicas do when this or that befalls them.
//!
//! A script has one command per line; below it stands what the replicas did, with the time. `2: <- 1 ...` is a
//! request or an answer of 1 that reached 2; Fetches that bring no news are left out. A message takes 1 ms, a sync
//! too; election timeouts are 1 s and what a replica's `jitter` (0 to 100) says of another.

use std::{fmt::Write as _, time::Duration};

use super::{
    super::{PreVote, QuorumPolicies},
    world::World,
};

struct Story {
    world: World,
    shown: String,
}

fn number<T: std::str::FromStr>(word: &str) -> T {
    word.parse().unwrap_or_else(|_| panic!("`{word}` is no number"))
}

fn node(word: &str) -> usize {
    number::<usize>(word) - 1
}

impl Story {
    fn play(voters: i32, observers: i32, policies: QuorumPolicies, script: &str) -> String {
        let mut world = World::new(voters, observers, policies, 0);
        world.told = Some(Vec::new());
        for node in &mut world.nodes {
            node.jitter = Some(0);
        }
        let mut story = Story { world, shown: String::new() };
        for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
            writeln!(story.shown, "{line}").unwrap();
            let words: Vec<&str> = line.split_whitespace().collect();
            story.act(&words);
            for told in story.world.told.as_mut().unwrap().drain(..) {
                if tells_something(&told) {
                    writeln!(story.shown, "    {told}").unwrap();
                }
            }
            assert_eq!(story.world.watcher.violation, None, "{}", story.shown);
        }
        story.shown
    }

    fn act(&mut self, words: &[&str]) {
        let world = &mut self.world;
        match words {
            ["start", nodes @ ..] => nodes.iter().for_each(|at| world.start(node(at))),
            ["run", milliseconds] => world.run_for(Duration::from_millis(number(milliseconds))),
            ["jitter", at, percent] => {
                world.nodes[node(at)].jitter = Some(u32::MAX / 100 * number::<u32>(percent));
            }
            ["append", at, count] => {
                for _ in 0..number(count) {
                    assert!(world.append(node(at)), "{at} may not append");
                }
            }
            ["sever", at] => world.nodes[node(at)].severed = [true; 2],
            ["mend", at] => world.nodes[node(at)].severed = [false; 2],
            ["power-loss", nodes @ ..] => nodes.iter().for_each(|at| world.crash(node(at), 0)),
            ["kill", nodes @ ..] => nodes.iter().for_each(|at| world.crash(node(at), usize::MAX)),
            ["snapshot", at] => {
                assert!(world.snapshot(node(at)), "{at} has nothing to put into it")
            }
            ["wipe", at] => {
                // A new directory, of which the voters know nothing.
                world.nodes[node(at)].config.local.directory = uuid::Uuid::from_u128(99);
            }
            ["resign", at] => world.resign(node(at)),
            ["logs"] => self.logs(),
            other => panic!("{other:?} is no command"),
        }
    }

    fn logs(&mut self) {
        for (at, node) in self.world.nodes.iter().enumerate() {
            let epochs: Vec<String> =
                node.log.entries[node.log.start..].iter().map(|it| it.epoch.to_string()).collect();
            let start = node.log.start;
            let role = node.quorum.as_ref().map(|quorum| {
                let known = quorum.high_watermark().map_or(-1, |known| known.0);
                format!("{:?} epoch {} hw {known}", quorum.role(), quorum.epoch())
            });
            let role = role.unwrap_or_else(|| "down".into());
            writeln!(self.shown, "    {}: {role}, from {start}: [{}]", at + 1, epochs.join(" "))
                .unwrap();
        }
    }
}

/// Not so Fetches, whose answers tell, nor answers without records, but of another epoch.
fn tells_something(told: &str) -> bool {
    let nothing = told.contains(" 0 records hw ") && !told.contains("Fenced");
    !told.contains(" fetch epoch ") && !nothing
}

fn three(script: &str) -> String {
    Story::play(3, 0, QuorumPolicies::default(), script)
}

#[test]
fn the_first_election_of_three() {
    insta::assert_snapshot!(three(
        "jitter 2 50
         jitter 3 90
         start 1 2 3
         run 1020
         append 1 2
         run 20
         logs"
    ));
}

#[test]
fn a_split_vote_is_followed_by_another_election() {
    insta::assert_snapshot!(Story::play(
        3,
        0,
        QuorumPolicies { pre_vote: PreVote::Off, ..QuorumPolicies::default() },
        "jitter 2 0
         jitter 3 0
         start 1 2 3
         run 1001
         jitter 2 90
         jitter 3 60
         run 300
         logs"
    ));
}

#[test]
fn a_deposed_leader_truncates_what_nobody_has() {
    insta::assert_snapshot!(three(
        "jitter 2 50
         jitter 3 90
         start 1 2 3
         run 1100
         sever 1
         append 1 2
         run 3600
         logs
         append 2 1
         mend 1
         run 3000
         logs"
    ));
}

#[test]
fn a_leader_that_was_restarted_neither_leads_nor_votes_in_its_epoch() {
    insta::assert_snapshot!(three(
        "jitter 2 50
         jitter 3 90
         start 1 2 3
         run 1100
         power-loss 1
         start 1
         run 100
         logs"
    ));
}

#[test]
fn votes_and_epochs_survive_the_loss_of_all_power() {
    insta::assert_snapshot!(three(
        "jitter 2 50
         jitter 3 90
         start 1 2 3
         run 1100
         append 1 1
         run 20
         power-loss 1 2 3
         start 2 3
         run 4000
         logs"
    ));
}

#[test]
fn a_voter_that_was_cut_off_does_not_disturb_the_others() {
    insta::assert_snapshot!(three(
        "jitter 2 50
         jitter 3 90
         start 1 2 3
         run 1100
         sever 3
         run 10000
         logs
         mend 3
         run 4000
         logs"
    ));
}

#[test]
fn without_pre_vote_it_does() {
    insta::assert_snapshot!(Story::play(
        3,
        0,
        QuorumPolicies { pre_vote: PreVote::Off, ..QuorumPolicies::default() },
        "jitter 2 50
         jitter 3 90
         start 1 2 3
         run 1100
         sever 3
         run 10000
         logs
         mend 3
         run 4000
         logs"
    ));
}

#[test]
fn a_leader_that_hears_no_majority_resigns() {
    insta::assert_snapshot!(three(
        "jitter 2 50
         jitter 3 90
         start 1 2 3
         run 1100
         kill 2 3
         run 4000
         logs"
    ));
}

#[test]
fn a_leader_that_goes_names_its_successor() {
    insta::assert_snapshot!(three(
        "jitter 2 50
         jitter 3 90
         start 1 2 3
         run 1100
         sever 2
         append 1 1
         run 100
         mend 2
         resign 1
         run 100
         logs"
    ));
}

#[test]
fn a_voter_behind_the_log_start_fetches_a_snapshot() {
    insta::assert_snapshot!(three(
        "jitter 2 50
         jitter 3 90
         start 1 2
         run 1100
         append 1 20
         run 20
         snapshot 1
         append 1 2
         start 3
         run 100
         logs"
    ));
}

#[test]
fn a_single_voter_elects_itself() {
    insta::assert_snapshot!(Story::play(
        1,
        0,
        QuorumPolicies::default(),
        "start 1
         run 10
         append 1 1
         run 10
         power-loss 1
         start 1
         run 2000
         logs"
    ));
}

#[test]
fn an_observer_finds_the_leader_and_never_votes() {
    insta::assert_snapshot!(Story::play(
        3,
        1,
        QuorumPolicies::default(),
        "jitter 2 50
         jitter 3 90
         start 1 2 3
         run 1100
         start 4
         run 20
         append 1 1
         run 20
         kill 1
         run 4000
         logs"
    ));
}

#[test]
fn a_wiped_voter_is_another_replica() {
    insta::assert_snapshot!(three(
        "jitter 2 50
         jitter 3 90
         start 1 2
         wipe 3
         run 1100
         start 3
         append 1 1
         run 1100
         logs"
    ));
}
