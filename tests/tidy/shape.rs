//! Module docs, sizes, names, and what may not be left behind.

use syn::{spanned::Spanned, visit::Visit};

use super::{Breach, Source, assert_none, everywhere};

/// Lines of a file. Beyond it a second subject has crept in.
const FILE_LINES: usize = 700;
/// Lines of a function, signature and braces included.
const FUNCTION_LINES: usize = 70;

fn docs_rule(source: &Source) -> Vec<Breach> {
    let documented = source.text.starts_with("//! ");
    if documented {
        Vec::new()
    } else {
        vec![source.breach(1, "a file opens with `//!`: what it is")]
    }
}

fn file_rule(source: &Source) -> Vec<Breach> {
    let lines = source.text.lines().count();
    if lines <= FILE_LINES {
        Vec::new()
    } else {
        vec![source.breach(lines, &format!("{lines} lines; {FILE_LINES} are allowed"))]
    }
}

#[derive(Default)]
struct Functions(Vec<(usize, usize, String)>);

impl Functions {
    fn note(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let (start, end) = (signature.span().start().line, block.span().end().line);
        self.0.push((start, end + 1 - start, signature.ident.to_string()));
    }
}

impl<'ast> Visit<'ast> for Functions {
    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.note(&function.sig, &function.block);
        syn::visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.note(&function.sig, &function.block);
        syn::visit::visit_impl_item_fn(self, function);
    }

    fn visit_trait_item_fn(&mut self, function: &'ast syn::TraitItemFn) {
        if let Some(block) = &function.default {
            self.note(&function.sig, block);
        }
        syn::visit::visit_trait_item_fn(self, function);
    }
}

fn function_rule(source: &Source) -> Vec<Breach> {
    let mut functions = Functions::default();
    functions.visit_file(&source.syntax);
    functions
        .0
        .into_iter()
        .filter(|(_, lines, _)| *lines > FUNCTION_LINES)
        .map(|(start, lines, name)| {
            source
                .breach(start, &format!("`{name}` has {lines} lines; {FUNCTION_LINES} are allowed"))
        })
        .collect()
}

/// A `mod.rs` of the system is a map: docs, modules and the one type they share.
fn map_rule(source: &Source) -> Vec<Breach> {
    if !source.path.starts_with("src/") || !source.path.ends_with("/mod.rs") || source.is_test() {
        return Vec::new();
    }
    let mut functions = Functions::default();
    functions.visit_file(&source.syntax);
    functions
        .0
        .into_iter()
        .map(|(start, _, name)| source.breach(start, &format!("`{name}`: mod.rs holds no logic")))
        .collect()
}

fn leftovers_rule(source: &Source) -> Vec<Breach> {
    if source.is_in("tests/tidy") {
        return Vec::new();
    }
    let banned =
        ["todo!(", "unimplemented!(", "dbg!(", "#[ignore", "#[ignore]", "TODO", "FIXME", "XXX"];
    let mut breaches = Vec::new();
    for (index, line) in source.text.lines().enumerate() {
        if let Some(word) = banned.iter().find(|word| line.contains(**word)) {
            breaches.push(source.breach(index + 1, &format!("`{word}` left behind")));
        }
    }
    breaches
}

#[derive(Default)]
struct Names(Vec<(usize, String)>);

impl<'ast> Visit<'ast> for Names {
    fn visit_ident(&mut self, ident: &'ast syn::Ident) {
        self.0.push((ident.span().start().line, ident.to_string()));
    }
}

/// Words that name nothing.
fn names_rule(source: &Source) -> Vec<Breach> {
    if !source.path.starts_with("src/") {
        return Vec::new();
    }
    let mut names = Names::default();
    names.visit_file(&source.syntax);
    let empty = |name: &str| {
        ["Manager", "Helper", "Utils"].iter().any(|word| name.contains(word))
            || ["utils", "helpers", "common", "misc"].contains(&name)
    };
    names
        .0
        .into_iter()
        .filter(|(_, name)| empty(name))
        .map(|(line, name)| source.breach(line, &format!("`{name}` names nothing")))
        .collect()
}

#[test]
fn every_file_says_what_it_is() {
    assert_none(&everywhere(docs_rule));
}

#[test]
fn files_and_functions_keep_their_size() {
    assert_none(&everywhere(file_rule));
    assert_none(&everywhere(function_rule));
}

#[test]
fn maps_hold_no_logic() {
    assert_none(&everywhere(map_rule));
}

#[test]
fn nothing_is_left_behind() {
    assert_none(&everywhere(leftovers_rule));
}

#[test]
fn names_name_something() {
    assert_none(&everywhere(names_rule));
}

#[test]
fn a_breach_of_shape_is_seen() {
    let long = format!("fn f() {{\n{}}}\n", "let _ = 1;\n".repeat(FUNCTION_LINES));
    let source = Source::new("src/a/mod.rs", &format!("{long}struct LogManager;\n"));
    assert_eq!(docs_rule(&source).len(), 1);
    assert_eq!(function_rule(&source).len(), 1);
    assert_eq!(map_rule(&source).len(), 1);
    assert_eq!(names_rule(&source).len(), 1);
    let left = Source::new("src/a.rs", "fn f() { todo!() }");
    assert_eq!(leftovers_rule(&left).len(), 1);
    let lines = "//\n".repeat(FILE_LINES + 1);
    assert_eq!(file_rule(&Source::new("src/a.rs", &lines)).len(), 1);
}
