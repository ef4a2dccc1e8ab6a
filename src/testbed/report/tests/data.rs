//! What programs read.

use std::sync::Arc;

use insta::assert_snapshot;
use proptest::{collection::vec, prelude::*, sample::Index};

use super::{
    super::{Origin, finished_line, read_trace, run_lines, write_trace},
    sample,
};

fn origin() -> Origin {
    Origin {
        file: "lessons/12.toml".to_owned(),
        overrides: vec!["run.limit='1m'".to_owned()],
        variants: 0,
    }
}

#[test]
fn a_run_is_json_lines_of_one_shape() {
    let mut out = run_lines(&sample::lesson(), &origin());
    out.push_str(&run_lines(&sample::wreck(), &origin()));
    out.push_str(&finished_line(2, 1, 4));
    for line in out.lines() {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(value["v"], 1, "{line}");
    }
    assert_snapshot!(out);
}

#[test]
fn a_trace_tells_every_event() {
    let trial = sample::lesson();
    let trace = write_trace(&trial, &origin());
    let events: Vec<&str> = trace.lines().skip(1).collect();
    assert_eq!(events.len(), trial.history.events.len());
    assert_snapshot!(events.join("\n"));
}

#[test]
fn a_trace_file_carries_what_a_replay_needs() {
    let (lesson, wreck) = (sample::lesson(), sample::wreck());
    let text = write_trace(&lesson, &origin()) + &write_trace(&wreck, &origin());
    let recordings = read_trace(text.as_bytes()).unwrap();
    assert_eq!(recordings.len(), 2);
    assert_eq!(recordings[0].plan, lesson.plan);
    assert_eq!(recordings[1].seed, wreck.seed);
    assert_eq!(recordings[1].origin, origin());
    assert_eq!(recordings[0].difference(&lesson), None);
}

#[test]
fn a_replay_that_parts_names_the_first_different_event() {
    let lesson = sample::lesson();
    let recording = read_trace(write_trace(&lesson, &origin()).as_bytes()).unwrap().remove(0);
    let mut again = lesson;
    again.digest = "000000000000".to_owned();
    again.history.events[3].at += 1;
    let difference = recording.difference(&again).unwrap();
    assert_snapshot!(difference);
}

#[test]
fn a_damaged_trace_is_refused_with_its_line() {
    let trace = write_trace(&sample::lesson(), &origin());
    let cut: String = trace.lines().take(5).map(|line| format!("{line}\n")).collect();
    assert!(
        read_trace(cut.as_bytes())
            .unwrap_err()
            .to_string()
            .contains("line 1: the trace is cut off")
    );
    assert!(read_trace(b"").unwrap_err().to_string().contains("empty"));
    assert!(read_trace(b"{}").unwrap_err().to_string().starts_with("line 1: no header"));
    let newer = trace.replacen("\"retrial-trace\":1", "\"retrial-trace\":2", 1);
    assert!(
        read_trace(newer.as_bytes()).unwrap_err().to_string().contains("reads version 1, not 2")
    );
}

#[test]
fn plans_survive_the_trace_file() {
    let mut trial = sample::lesson();
    let mut plan = sample::plan();
    plan.title = "quotes \" and \n line ends ✓".to_owned();
    trial.plan = Arc::new(plan);
    let recording = read_trace(write_trace(&trial, &origin()).as_bytes()).unwrap().remove(0);
    assert_eq!(recording.plan, trial.plan);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_damaged_trace_is_read_or_refused(
        damages in vec((any::<Index>(), any::<Index>(), vec(any::<u8>(), 0..12)), 1..4),
    ) {
        let mut bytes = write_trace(&sample::lesson(), &origin()).into_bytes();
        for (from, to, new) in damages {
            let (from, to) = (from.index(bytes.len() + 1), to.index(bytes.len() + 1));
            // Mostly a few bytes are replaced, now and then much is cut out.
            let end = if new.len() < 2 { to.max(from) } else { (from + 2).min(bytes.len()) };
            bytes.splice(from..end, new);
        }
        match read_trace(&bytes) {
            Ok(recordings) => prop_assert!(!recordings.is_empty()),
            Err(bad) => prop_assert!(bad.line > 0 && !bad.what.is_empty()),
        }
    }
}
