//! "Did you mean": the known name that is nearest to a wrong one.

/// The nearest of the names, if it is near enough to be meant.
pub fn nearest<'n>(wrong: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    // A third of the letters may differ, as in rustc; Jaro-Winkler catches halves of long names.
    let allowed = (wrong.chars().count().max(3)) / 3;
    let distance = |name: &str| strsim::damerau_levenshtein(wrong, name);
    let ranked = names.into_iter().map(|name| (distance(name), name));
    let (best, name) = ranked.min_by(|a, b| a.0.cmp(&b.0).then(a.1.cmp(b.1)))?;
    (best <= allowed || strsim::jaro_winkler(wrong, name) > 0.9).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn only_a_near_name_is_suggested() {
        let verbs = ["crash", "restart", "pause"];
        assert_eq!(nearest("crsh", verbs), Some("crash"));
        assert_eq!(nearest("restrat", verbs), Some("restart"));
        assert_eq!(nearest("explode", verbs), None);
        assert_eq!(nearest("", []), None);
    }
}
