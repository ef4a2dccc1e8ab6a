//! Variants and `--set`: a tree laid over the file's own, which is then decoded like any file.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    decode::{self, Findings, Section, text},
    load::Variant,
    problem::{Place, Problem},
    tree::{Entry, Node, Table, Value},
    words::nearest,
};

/// What may be laid over; the rest of a file is about the whole scenario.
const SECTIONS: [&str; 9] = [
    "run",
    "network",
    "cluster",
    "behaviour",
    "topics",
    "producers",
    "groups",
    "readers",
    "ignored",
];

/// Those whose entries have names, all of which stand in the base.
const NAMED: [&str; 4] = ["topics", "producers", "groups", "readers"];

/// Lays trees over the root, as far as they fit; notes where they do not.
pub(super) fn lay_checked(root: &mut Table, overs: &[Table], found: &mut Findings) {
    for over in overs {
        let fitting = fitting(root, over, found);
        root.lay(&fitting);
    }
}

/// The part of the tree whose names exist in the root.
fn fitting(root: &Table, over: &Table, found: &mut Findings) -> Table {
    let mut fitting = over.clone();
    fitting.entries.retain_mut(|entry| {
        let key = entry.key.as_str();
        if !SECTIONS.contains(&key) {
            let message = format!("`{key}` cannot be changed");
            let help = match nearest(key, SECTIONS) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("what can be: {}", SECTIONS.join(", ")),
            };
            found.add(Problem::new(entry.key_place, message).help(help));
            return false;
        }
        if let Value::Table(table) = &mut entry.node.value {
            if NAMED.contains(&key) {
                table.entries.retain(|named| exists(root, key, named, found));
            } else if key == "run"
                && let Some(seeds) = table.get("seeds")
            {
                let message = "`run.seeds` is the whole scenario's";
                let problem = Problem::new(seeds.place(), message);
                found.add(problem.help("use --seeds to sweep others"));
            }
        }
        true
    });
    fitting
}

fn exists(root: &Table, section: &str, named: &Entry, found: &mut Findings) -> bool {
    let there = root.table(section);
    if there.is_some_and(|table| table.get(&named.key).is_some()) {
        return true;
    }
    let names = there.map(|table| table.entries.as_slice()).unwrap_or_default();
    let near = nearest(&named.key, names.iter().map(|entry| entry.key.as_str()));
    let message = format!("there is no [{section}.{}] to change", named.key);
    let known: Vec<&str> = names.iter().map(|entry| entry.key.as_str()).collect();
    let help = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => format!("the scenario has no {section}"),
        None => format!("there are: {}", known.join(", ")),
    };
    found.add(Problem::new(named.key_place, message).help(help));
    false
}

/// Decodes every variant. Problems of the base are not said again.
pub(super) fn all(root: &Table, sets: &[Table], name: &str, found: &mut Findings) -> Vec<Variant> {
    let place = Place { source: 0, start: 0, end: 0 };
    let mut section = Section::new(root, place, "");
    let mut ids: BTreeMap<String, Place> = BTreeMap::new();
    let mut variants = Vec::new();
    for section in section.list_of_tables("variant", found) {
        variants.extend(one(root, sets, name, section, &mut ids, found));
    }
    variants
}

fn one(
    root: &Table,
    sets: &[Table],
    name: &str,
    mut section: Section<'_>,
    ids: &mut BTreeMap<String, Place>,
    found: &mut Findings,
) -> Option<Variant> {
    let id = section.required("id", found);
    let id = id.and_then(|entry| Some((text(&entry.node, found)?, entry.node.place)));
    if let Some((id, place)) = id {
        if matches!(id, "base" | "all" | "") {
            let message = format!("`{id}` cannot be a variant's id");
            found
                .add(Problem::new(place, message).help("base and all have a meaning of their own"));
        }
        if let Some(first) = ids.insert(id.to_owned(), place) {
            let message = format!("two variants have the id `{id}`");
            found.add(Problem::new(place, message).also(first, "first here"));
        }
    }
    let say = section.text("say", found).map(str::to_owned);
    let set = section.entry("set");
    let (steps, expectations) = (section.entry("step"), section.entry("expect"));
    let without = section.nodes("without", "a list of steps' ids", found).unwrap_or_default();
    section.close(found);

    let mut tree = root.clone();
    tree.entries.retain(|entry| entry.key != "variant");
    match set.map(|entry| (&entry.node.value, entry)) {
        Some((Value::Table(set), _)) => lay_checked(&mut tree, std::slice::from_ref(set), found),
        Some((other, entry)) => {
            found.add(decode::wrong_kind(entry.node.place, "tables of what changes", other));
        }
        None => {}
    }
    // The command line has the last word. What of it does not fit was said of the base.
    lay_checked(&mut tree, sets, &mut Findings::default());
    leave_out(&mut tree, without, found);
    append(&mut tree, "step", steps);
    replace(&mut tree, "expect", expectations);
    let mut its_own = Findings::default();
    let (plan, _) = decode::plan(&tree, name, &mut its_own);
    let known = |problem: &Problem| {
        let same =
            |other: &Problem| other.place == problem.place && other.message == problem.message;
        found.problems.iter().any(same)
    };
    let new: Vec<_> = its_own.problems.into_iter().filter(|problem| !known(problem)).collect();
    for problem in new {
        found.add(match id {
            Some((id, place)) => problem.also(place, format!("in variant `{id}`")),
            None => problem,
        });
    }
    Some(Variant { id: id?.0.to_owned(), say, plan: Arc::new(plan) })
}

/// Steps of the base that a variant goes without, by their ids.
fn leave_out(tree: &mut Table, without: &[Node], found: &mut Findings) {
    let Some(Entry { node: Node { value: Value::List(steps), .. }, .. }) =
        tree.entries.iter_mut().find(|entry| entry.key == "step")
    else {
        return;
    };
    let has = |step: &Node, id: &str| {
        let Value::Table(table) = &step.value else { return false };
        matches!(table.get("id"), Some(Entry { node: Node { value: Value::Text(own), .. }, .. }) if own == id)
    };
    for node in without {
        let Some(id) = text(node, found) else { continue };
        let before = steps.len();
        steps.retain(|step| !has(step, id));
        if steps.len() == before {
            let message = format!("there is no step `{id}` to go without");
            found.add(Problem::new(node.place, message));
        }
    }
}

/// A variant's steps come after the base's.
fn append(tree: &mut Table, key: &str, added: Option<&Entry>) {
    let Some(added) = added else { return };
    let own = tree.entries.iter_mut().find(|entry| entry.key == key);
    match (own, &added.node.value) {
        (Some(Entry { node: Node { value: Value::List(own), .. }, .. }), Value::List(added)) => {
            own.extend(added.iter().cloned());
        }
        _ => replace(tree, key, Some(added)),
    }
}

/// A variant's expectations replace all of the base's.
fn replace(tree: &mut Table, key: &str, added: Option<&Entry>) {
    let Some(added) = added else { return };
    tree.entries.retain(|entry| entry.key != key);
    tree.entries.push(added.clone());
}
