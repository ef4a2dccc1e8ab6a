//! Pages people read.

use std::time::Duration;

use insta::assert_snapshot;

use super::{
    super::{Look, Origin, Signs, closing, trial_page, variant_line},
    sample,
};

fn look() -> Look {
    Look::new(100, Signs::Unicode)
}

fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

fn origin() -> Origin {
    Origin {
        file: "scenarios/lessons/12-commit-before-processing.scenario.toml".to_owned(),
        overrides: Vec::new(),
        variants: 2,
    }
}

#[test]
fn a_lesson_reads_as_story_ledger_and_verdicts() {
    let trial = sample::lesson();
    let mut page = trial_page(&trial, 2, &look());
    page.push_str(&closing(&[&trial], &origin(), Duration::from_millis(31), &look()));
    assert_snapshot!(plain(&page));
}

#[test]
fn a_wrecked_trial_says_everything_that_went_wrong() {
    let trial = sample::wreck();
    let mut page = trial_page(&trial, 0, &look());
    page.push_str(&closing(&[&trial], &origin(), Duration::from_millis(1500), &look()));
    assert_snapshot!(plain(&page));
}

#[test]
fn ascii_pages_are_ascii_and_aligned() {
    let look = Look::new(100, Signs::Ascii);
    let page = plain(&trial_page(&sample::lesson(), 2, &look));
    assert!(page.is_ascii(), "{page}");
    assert_snapshot!(page);
}

#[test]
fn a_narrow_page_has_signs_instead_of_words_in_its_columns() {
    let look = Look::new(60, Signs::Unicode);
    assert_snapshot!(plain(&trial_page(&sample::lesson(), 0, &look)));
}

#[test]
fn no_line_is_wider_than_the_page() {
    for width in [60, 72, 80, 100, 160] {
        let look = Look::new(width, Signs::Unicode);
        for trial in [sample::lesson(), sample::wreck()] {
            let page = plain(&trial_page(&trial, 2, &look));
            for line in page.lines() {
                assert!(unicode_width::UnicodeWidthStr::width(line) <= width, "{width}: {line}");
            }
        }
    }
}

#[test]
fn every_colour_comes_with_a_sign_or_a_word() {
    let page = trial_page(&sample::lesson(), 2, &look());
    assert!(page.contains("\u{1b}["), "the page has colours to lose");
    assert!(!plain(&page).contains('\u{1b}'));
}

#[test]
fn a_variant_that_went_well_is_one_line() {
    let mut trial = sample::lesson();
    trial.variant = Some("commit-after".to_owned());
    assert_snapshot!(plain(&variant_line(&trial, Some("Same seed. More words."), 16, &look())));
}

#[test]
fn a_variant_that_went_wrong_is_told_in_full() {
    let mut trial = sample::wreck();
    trial.variant = Some("auto-commit".to_owned());
    assert_snapshot!(plain(&variant_line(&trial, None, 16, &look())));
}
