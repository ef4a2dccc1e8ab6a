//! A sound history of any shape satisfies every guarantee; one event dropped, doubled or swapped breaks
//! the one that is about it.

use proptest::prelude::*;

use super::{breaches, holds};
use crate::testbed::plan::Guarantee;

const GUARANTEES: [(Guarantee, &str); 16] = [
    (Guarantee::ProcessedAtMostOnce, "billing"),
    (Guarantee::ProcessedAtLeastOnce, "billing"),
    (Guarantee::ProcessedExactlyOnce, "billing"),
    (Guarantee::EffectAtMostOnce, "billing"),
    (Guarantee::EffectAtLeastOnce, "billing"),
    (Guarantee::EffectExactlyOnce, "billing"),
    (Guarantee::PartitionOrder, "orders"),
    (Guarantee::NoDuplicateAppend, "orders"),
    (Guarantee::AckedRecordsSurvive, "shop"),
    (Guarantee::NoCommitPassesUnprocessed, "billing"),
    (Guarantee::OffsetsAgree, "orders"),
    (Guarantee::MonotonePolls, "billing"),
    (Guarantee::OneOwner, "billing"),
    (Guarantee::NoSkip, "billing"),
    (Guarantee::LagDrains, "billing"),
    (Guarantee::GroupSettles, "billing"),
];

/// A group that reads `batches` in turn, as lines that can be edited: a batch is three of them.
#[derive(Clone, Debug)]
struct Story {
    lines: Vec<String>,
    batches: Vec<(i64, i64)>,
}

/// Lines before the first batch.
const PROLOGUE: usize = 4;

impl Story {
    fn of(sizes: &[i64]) -> Story {
        let mut batches = Vec::new();
        let mut next = 0;
        for size in sizes {
            batches.push((next, next + size - 1));
            next += size;
        }
        let mut lines = vec![
            format!("shop acks 0..{}", next - 1),
            "b1 generation 1 billing/1=orders-0 billing/2=".to_owned(),
            "billing/1 joins 1 orders-0".to_owned(),
            "billing/1 starts 0 reset-to-earliest".to_owned(),
        ];
        for (first, last) in &batches {
            lines.push(format!("billing/1 polls {first}..{last}"));
            lines.push(format!("billing/1 processes {first}..{last}"));
            lines.push(format!("billing/1 commits {}", last + 1));
        }
        let offsets: Vec<String> = (0..next).map(|offset| offset.to_string()).collect();
        lines.push(format!("log {}", offsets.join(" ")));
        lines.push(format!("left committed {next}"));
        lines.push("left state Stable".to_owned());
        Story { lines, batches }
    }

    fn text(&self) -> String {
        self.lines.join("\n")
    }

    /// The words of the final log.
    fn edit_log(&mut self, edit: impl FnOnce(&mut Vec<String>)) {
        let line = self.lines.iter_mut().find(|line| line.starts_with("log")).unwrap();
        let mut words: Vec<String> = line.split_whitespace().skip(1).map(str::to_owned).collect();
        edit(&mut words);
        *line = format!("log {}", words.join(" "));
    }

    fn broken(&self, guarantee: Guarantee, of: &str) {
        breaches(guarantee, of, &self.text());
    }
}

/// A story of at least two batches, and the one of them to change, never the last.
fn stories() -> impl Strategy<Value = (Story, usize)> {
    proptest::collection::vec(1..6i64, 2..8)
        .prop_flat_map(|sizes| (Just(Story::of(&sizes)), 0..sizes.len() - 1))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_sound_history_satisfies_every_guarantee((story, _) in stories()) {
        for (guarantee, of) in GUARANTEES {
            holds(guarantee, of, &story.text());
        }
    }

    #[test]
    fn dropping_the_processing_of_a_batch_breaks_at_least_once((story, batch) in stories()) {
        let mut story = story;
        story.lines.remove(PROLOGUE + 3 * batch + 1);
        story.broken(Guarantee::ProcessedAtLeastOnce, "billing");
        story.broken(Guarantee::EffectAtLeastOnce, "billing");
        story.broken(Guarantee::NoCommitPassesUnprocessed, "billing");
    }

    #[test]
    fn doubling_the_processing_of_a_batch_breaks_at_most_once((story, batch) in stories()) {
        let mut story = story;
        let line = PROLOGUE + 3 * batch + 1;
        story.lines.insert(line, story.lines[line].clone());
        story.broken(Guarantee::ProcessedAtMostOnce, "billing");
        story.broken(Guarantee::EffectExactlyOnce, "billing");
    }

    #[test]
    fn a_commit_moved_before_its_processing_is_ahead((story, batch) in stories()) {
        let mut story = story;
        let line = PROLOGUE + 3 * batch;
        story.lines.swap(line + 1, line + 2);
        story.broken(Guarantee::NoCommitPassesUnprocessed, "billing");
        holds(Guarantee::ProcessedExactlyOnce, "billing", &story.text());
    }

    #[test]
    fn dropping_a_poll_is_a_skip_and_swapping_two_is_not_monotone((story, batch) in stories()) {
        let mut dropped = story.clone();
        dropped.lines.drain(PROLOGUE + 3 * batch..PROLOGUE + 3 * batch + 2);
        dropped.broken(Guarantee::NoSkip, "billing");
        let mut swapped = story;
        swapped.lines.swap(PROLOGUE + 3 * batch, PROLOGUE + 3 * batch + 3);
        swapped.broken(Guarantee::MonotonePolls, "billing");
    }

    #[test]
    fn a_record_missing_from_the_log_was_lost((story, batch) in stories()) {
        let mut story = story;
        let (first, _) = story.batches[batch];
        story.edit_log(|words| {
            words.remove(first as usize);
        });
        story.broken(Guarantee::AckedRecordsSurvive, "shop");
    }

    #[test]
    fn a_record_twice_in_the_log_is_a_duplicate((story, batch) in stories()) {
        let mut story = story;
        let (first, _) = story.batches[batch];
        story.edit_log(|words| words.push(format!("{}=shop#{first}", words.len())));
        story.broken(Guarantee::NoDuplicateAppend, "orders");
        story.broken(Guarantee::LagDrains, "billing");
    }

    #[test]
    fn two_records_in_each_others_place_are_reordered((story, batch) in stories()) {
        let mut story = story;
        let (first, last) = (story.batches[batch].0, story.batches[batch + 1].0);
        story.edit_log(|words| {
            words[first as usize] = format!("{first}=shop#{last}");
            words[last as usize] = format!("{last}=shop#{first}");
        });
        story.broken(Guarantee::PartitionOrder, "orders");
        story.broken(Guarantee::OffsetsAgree, "orders");
    }
}
