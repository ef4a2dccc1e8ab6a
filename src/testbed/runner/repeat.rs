//! Is a trial the same a second time? The one comparison behind `--twice`, campaigns and tests.

use super::Trial;

/// How the repetition of a trial differs from it; `None` if it is the same in everything that is told of
/// it. What is compared came from runs of one plan and seed.
pub fn difference(first: &Trial, again: &Trial) -> Option<String> {
    let events = || first.history.events.iter().zip(&again.history.events);
    let (digest, repeated) = (&first.digest, &again.digest);
    let what = if let Some((one, two)) = events().find(|(one, two)| one != two) {
        format!(
            "{} was {} {:?} at {} ns, then {} {:?} at {} ns",
            one.id, one.node, one.kind, one.at, two.node, two.kind, two.at
        )
    } else if first.history.events.len() != again.history.events.len() {
        let [one, two] = [first, again].map(|trial| trial.history.events.len());
        format!("{one} events, then {two}, the first of them the same")
    } else if digest != repeated {
        "the same history, but not the same packets, syncs or lives of machines".to_owned()
    } else if (&first.end, &first.judgements, &first.unfired)
        != (&again.end, &again.judgements, &again.unfired)
    {
        "the same history, judged in two ways".to_owned()
    } else {
        return None;
    };
    Some(format!("seed {} gave trace {digest}, then {repeated}: {what}", first.seed))
}

#[cfg(test)]
mod tests {
    use super::difference;
    use crate::testbed::{
        history::EventKind,
        runner::{Trial, TrialEnd},
    };

    /// Runs twice what a world that is not deterministic makes of a trial the second time.
    fn told(change: impl Fn(&mut Trial)) -> Option<String> {
        let first = crate::testbed::report::sample_trial();
        let mut again = first.clone();
        change(&mut again);
        difference(&first, &again)
    }

    #[test]
    fn the_same_trial_twice_is_no_difference() {
        assert_eq!(told(|_| {}), None);
    }

    #[test]
    fn a_difference_is_seen_wherever_it_lies() {
        let is_told = |change: &dyn Fn(&mut Trial), part: &str| {
            let told = told(change).unwrap_or_else(|| panic!("not seen: {part}"));
            assert!(told.contains(part), "{told}");
        };
        is_told(&|trial| trial.digest = "0123".to_owned(), "then 0123: the same history, but not");
        is_told(&|trial| trial.history.events[3].at += 1, "e3 was ");
        is_told(&|trial| trial.history.events[3].kind = EventKind::MachinePaused, "MachinePaused");
        is_told(&|trial| trial.history.events.truncate(5), "events, then 5");
        is_told(&|trial| trial.judgements[0].met = false, "judged in two ways");
        is_told(&|trial| trial.end = TrialEnd::NoProgress { what: String::new() }, "two ways");
    }
}
