//! Who may import whom. `src/lib.rs`, `src/kafka/mod.rs` and ARCHITECTURE.md tell the same story.

use syn::visit::Visit;

use super::{Breach, Source, assert_none, everywhere};

/// A folder and the crate paths it may name, besides its own. The first entry that holds the file counts.
const LAYERS: &[(&str, &[&str])] = &[
    ("src/main", &["cli"]),
    (
        "src/cli",
        &["testbed", "kafka::broker", "kafka::behaviour", "kafka::config", "kafka::types", "env"],
    ),
    ("src/testbed/checker", &["testbed::history", "testbed::plan", "kafka::types"]),
    (
        "src/testbed/report",
        &[
            "testbed::history",
            "testbed::plan",
            "testbed::checker",
            "testbed::runner",
            "testbed::scenario",
            "kafka::types",
        ],
    ),
    ("src/testbed/history", &["testbed::plan", "kafka::types"]),
    ("src/testbed", &["sim", "env", "kafka"]),
    ("src/sim", &["env"]),
    ("src/env", &[]),
    ("src/kafka/types", &["env"]),
    ("src/kafka/config", &["env", "kafka::types"]),
    ("src/kafka/protocol", &["env", "kafka::types", "kafka::config"]),
    ("src/kafka/log", &["env", "kafka::types", "kafka::config", "kafka::protocol"]),
    ("src/kafka/coordinator", &["env", "kafka::types", "kafka::config", "kafka::protocol"]),
    ("src/kafka/raft", &["env", "kafka::types", "kafka::protocol"]),
    ("src/kafka/replica", &["env", "kafka::types", "kafka::protocol"]),
    ("src/kafka/metadata", &["kafka::types", "kafka::protocol"]),
    (
        "src/kafka/controller",
        &["env", "kafka::types", "kafka::config", "kafka::protocol", "kafka::metadata"],
    ),
    (
        "src/kafka/behaviour",
        &["kafka::log", "kafka::raft", "kafka::controller", "kafka::replica", "kafka::config"],
    ),
    ("src/kafka/client", &["env", "kafka::types", "kafka::config", "kafka::protocol"]),
    (
        "src/kafka/broker",
        &[
            "env",
            "kafka::types",
            "kafka::config",
            "kafka::protocol",
            "kafka::log",
            "kafka::raft",
            "kafka::metadata",
            "kafka::controller",
            "kafka::coordinator",
            "kafka::replica",
            "kafka::behaviour",
        ],
    ),
];

/// Collects every path that begins with `crate::`, in `use` lines and elsewhere.
#[derive(Default)]
struct Paths(Vec<(usize, Vec<String>)>);

impl Paths {
    fn tree(&mut self, line: usize, prefix: &[String], tree: &syn::UseTree) {
        let with = |name: &syn::Ident| [prefix, &[name.to_string()]].concat();
        match tree {
            syn::UseTree::Path(path) => self.tree(line, &with(&path.ident), &path.tree),
            syn::UseTree::Name(name) => self.0.push((line, with(&name.ident))),
            syn::UseTree::Rename(rename) => self.0.push((line, with(&rename.ident))),
            syn::UseTree::Glob(_) => self.0.push((line, prefix.to_vec())),
            syn::UseTree::Group(group) => {
                group.items.iter().for_each(|item| self.tree(line, prefix, item));
            }
        }
    }
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.tree(item.use_token.span.start().line, &[], &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Vec<_> = path.segments.iter().map(|part| part.ident.to_string()).collect();
        let line = path.segments.first().map_or(0, |part| part.ident.span().start().line);
        self.0.push((line, names));
        syn::visit::visit_path(self, path);
    }

    /// A module for tests alone may reach across layers.
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        if module.ident != "tests" {
            syn::visit::visit_item_mod(self, module);
        }
    }
}

fn crate_paths(source: &Source) -> Vec<(usize, String)> {
    let mut paths = Paths::default();
    paths.visit_file(&source.syntax);
    let inside = |(line, names): (usize, Vec<String>)| {
        let rest = names.strip_prefix(&["crate".to_owned()])?;
        // `pub(crate)` is a path as well.
        (!rest.is_empty()).then(|| (line, rest.join("::")))
    };
    paths.0.into_iter().filter_map(inside).collect()
}

fn rule(source: &Source) -> Vec<Breach> {
    let Some((place, allowed)) = LAYERS.iter().find(|(place, _)| source.is_in(place)) else {
        return Vec::new();
    };
    if source.is_test() {
        return Vec::new();
    }
    let own = place.trim_start_matches("src/").replace('/', "::");
    let begins = |path: &str, with: &str| {
        path.strip_prefix(with).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    };
    let may = |path: &str| {
        let real_world =
            begins(path, "env::real") && !place.starts_with("src/cli") && *place != "src/env";
        !real_world && (begins(path, &own) || allowed.iter().any(|allowed| begins(path, allowed)))
    };
    crate_paths(source)
        .into_iter()
        .filter(|(_, path)| !may(path))
        .map(|(line, path)| source.breach(line, &format!("{place} must not use crate::{path}")))
        .collect()
}

#[test]
fn every_layer_imports_only_what_it_may() {
    assert_none(&everywhere(rule));
}

#[test]
fn a_wrong_import_is_seen() {
    let text = "use crate::{env::Env, sim::World};\nfn f() { crate::testbed::x() }";
    assert_eq!(
        rule(&Source::new("src/kafka/log/mod.rs", text)),
        [
            "src/kafka/log/mod.rs:1: src/kafka/log must not use crate::sim::World",
            "src/kafka/log/mod.rs:2: src/kafka/log must not use crate::testbed::x",
        ]
    );
    let real = "use crate::env::real::Disk;";
    assert_eq!(rule(&Source::new("src/kafka/broker/node.rs", real)).len(), 1);
    assert_eq!(rule(&Source::new("src/cli/serve.rs", real)), [""; 0]);
}

#[test]
fn every_folder_of_src_has_a_layer() {
    let outside = |source: &Source| {
        let known = ["src/lib", "src/kafka/mod"].iter().any(|path| source.is_in(path));
        let layered = LAYERS.iter().any(|(place, _)| source.is_in(place));
        if known || layered || !source.path.starts_with("src/") {
            Vec::new()
        } else {
            vec![source.breach(1, "no layer: add its folder to tests/tidy/layers.rs")]
        }
    };
    assert_none(&everywhere(outside));
}
