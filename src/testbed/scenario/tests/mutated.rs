//! Damaged files: loading never panics and always comes to one of its two ends.

use proptest::prelude::*;

use super::fixture::GOOD;
use crate::testbed::scenario::Scenario;

/// One change of a text, by positions as shares of its length.
#[derive(Clone, Debug)]
enum Damage {
    Cut { from: f64, length: usize },
    Insert { at: f64, text: String },
    SwapLines { a: f64, b: f64 },
    RepeatLine { line: f64, at: f64 },
}

fn damage() -> impl Strategy<Value = Damage> {
    let piece = prop_oneof![
        Just("[".to_owned()),
        Just("]]".to_owned()),
        Just("\"".to_owned()),
        Just("=".to_owned()),
        Just("\n[[step]]\n".to_owned()),
        Just("\n[variant.set.topics]\nx = 1\n".to_owned()),
        Just("999999999999999999999".to_owned()),
        Just("1979-05-27".to_owned()),
        Just("-".to_owned()),
        Just("é".to_owned()),
        "\\PC{0,8}",
    ];
    prop_oneof![
        (0.0..1.0, 1..40usize).prop_map(|(from, length)| Damage::Cut { from, length }),
        (0.0..1.0, piece).prop_map(|(at, text)| Damage::Insert { at, text }),
        (0.0..1.0, 0.0..1.0).prop_map(|(a, b)| Damage::SwapLines { a, b }),
        (0.0..1.0, 0.0..1.0).prop_map(|(line, at)| Damage::RepeatLine { line, at }),
    ]
}

fn suffer(text: &str, damage: &Damage) -> String {
    let position = |share: f64| {
        let at = (text.len() as f64 * share) as usize;
        (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
    };
    let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
    let line =
        |share: f64| ((lines.len() as f64 * share) as usize).min(lines.len().saturating_sub(1));
    match damage {
        Damage::Cut { from, length } => {
            let kept = text[position(*from)..].chars().skip(*length);
            text[..position(*from)].chars().chain(kept).collect()
        }
        Damage::Insert { at, text: piece } => {
            format!("{}{piece}{}", &text[..position(*at)], &text[position(*at)..])
        }
        Damage::SwapLines { a, b } if !lines.is_empty() => {
            let (a, b) = (line(*a), line(*b));
            lines.swap(a, b);
            lines.concat()
        }
        Damage::RepeatLine { line: from, at } if !lines.is_empty() => {
            let (from, at) = (line(*from), line(*at));
            lines.insert(at, lines[from]);
            lines.concat()
        }
        Damage::SwapLines { .. } | Damage::RepeatLine { .. } => text.to_owned(),
    }
}

/// A scenario, or problems that can be shown.
fn comes_to_an_end(bytes: &[u8], sets: &[String]) {
    if let Err(problems) = Scenario::load_bytes("x", "x.toml", bytes, sets) {
        assert!(!problems.is_empty());
        assert!(problems.to_string().ends_with("nothing was run\n"));
        assert!(!problems.coloured().is_empty());
        assert_eq!(problems.to_json().len(), problems.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_damaged_file_is_a_scenario_or_has_problems(
        damages in proptest::collection::vec(damage(), 1..6),
    ) {
        let text = damages.iter().fold(GOOD.to_owned(), |text, damage| suffer(&text, damage));
        comes_to_an_end(text.as_bytes(), &[]);
    }

    #[test]
    fn any_bytes_are_a_scenario_or_have_problems(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        comes_to_an_end(&bytes, &[]);
        let begun = [b"scenario = 1\n".as_slice(), &bytes].concat();
        comes_to_an_end(&begun, &[]);
    }

    #[test]
    fn any_override_is_taken_or_refused(key in "[a-z.\"]{0,20}", value in "\\PC{0,12}") {
        comes_to_an_end(GOOD.as_bytes(), &[format!("{key}={value}")]);
    }
}
