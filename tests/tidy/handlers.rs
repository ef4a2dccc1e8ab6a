//! One file per served API, which opens with the API's name and the versions it reads.

use super::{Breach, Source, assert_none, source};

const FOLDER: &str = "src/kafka/broker/handlers/";
/// Files of the folder that are no handlers.
const OTHERS: [&str; 4] = ["mod", "codes", "config_resources", "served"];

/// `OffsetFetch` -> `offset_fetch`.
fn file_name(api: &str) -> String {
    let mut name = String::new();
    for (index, letter) in api.chars().enumerate() {
        if index > 0 && letter.is_uppercase() {
            name.push('_');
        }
        name.extend(letter.to_lowercase());
    }
    name
}

/// The text between the two, at their first place.
fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    let rest = text.split_once(start)?.1;
    Some(rest.split_once(end)?.0.trim())
}

fn handler_rule(source: &Source) -> Vec<Breach> {
    let name = source.path.trim_start_matches(FOLDER).trim_end_matches(".rs");
    let opening = between(&source.text, "//! ", ":").unwrap_or_default();
    let Some((api, versions)) = opening.split_once(", ") else {
        return vec![source.breach(1, "a handler opens with its API and versions")];
    };
    let min = between(&source.text, "VersionRange { min: ", ",").unwrap_or_default();
    let max = between(&source.text, ", max: ", " }").unwrap_or_default();
    let range = if min == max { min.to_owned() } else { format!("{min} to {max}") };
    let mut breaches = Vec::new();
    if file_name(api) != name {
        breaches
            .push(source.breach(1, &format!("the handler of {api} lies in {}", file_name(api))));
    }
    if versions != range {
        breaches.push(source.breach(1, &format!("says versions {versions}, reads {range}")));
    }
    breaches
}

#[test]
fn every_served_api_has_one_handler_file_that_tells_its_versions() {
    let files: Vec<_> =
        source::all().into_iter().filter(|file| file.path.starts_with(FOLDER)).collect();
    let stem = |file: &Source| file.path[FOLDER.len()..].trim_end_matches(".rs").to_owned();
    let handlers = || files.iter().filter(|file| !OTHERS.contains(&&*stem(file)));
    assert_none(&handlers().flat_map(handler_rule).collect::<Vec<_>>());
    let table = files.iter().find(|file| stem(file) == "served").expect("the table is there");
    let mut served: Vec<_> = table
        .lines_outside_tests()
        .filter_map(|(_, line)| between(line, "api(ApiKey::", ","))
        .map(file_name)
        .collect();
    served.sort();
    let named: Vec<_> = handlers().map(stem).collect();
    assert_eq!(named, served);
}

#[test]
fn the_rule_of_handlers_sees_red() {
    let path = format!("{FOLDER}offset_fetch.rs");
    let text = |opening: &str| {
        format!(
            "//! {opening}: x\nconst VERSIONS: VersionRange = VersionRange {{ min: 1, max: 9 }};"
        )
    };
    let breaches = |opening: &str| handler_rule(&Source::new(&path, &text(opening))).len();
    assert_eq!(breaches("OffsetFetch, 1 to 9"), 0);
    assert_eq!(breaches("OffsetFetch, 1 to 8"), 1);
    assert_eq!(breaches("OffsetCommit, 1 to 9"), 1);
    assert_eq!(breaches("Offsets"), 1);
}
