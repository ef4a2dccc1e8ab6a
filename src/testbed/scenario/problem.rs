//! What is wrong with a file, where, and what to do about it.
//!
//! Loading collects every problem before it gives up: whoever wrote the file mends it in one go.

use std::fmt;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use serde_json::{Value, json};

/// A stretch of a source's text, in bytes. Source 0 is the file, the others are `--set` arguments.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Place {
    pub source: usize,
    pub start: usize,
    pub end: usize,
}

impl Place {
    /// From the start of one to the end of the other, where both stand in one source.
    pub(super) fn to(self, other: Place) -> Place {
        if self.source == other.source {
            Place { end: self.end.max(other.end), ..self }
        } else {
            self
        }
    }
}

/// One mistake.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Problem {
    pub message: String,
    pub place: Place,
    /// Said under the excerpt; may be empty.
    pub label: String,
    /// Other places that belong to it.
    pub also: Vec<(Place, String)>,
    pub help: Option<String>,
}

impl Problem {
    pub(super) fn new(place: Place, message: impl Into<String>) -> Self {
        Problem {
            message: message.into(),
            place,
            label: String::new(),
            also: Vec::new(),
            help: None,
        }
    }

    pub(super) fn label(self, label: impl Into<String>) -> Self {
        Problem { label: label.into(), ..self }
    }

    pub(super) fn help(self, help: impl Into<String>) -> Self {
        Problem { help: Some(help.into()), ..self }
    }

    pub(super) fn maybe_help(self, help: Option<String>) -> Self {
        Problem { help, ..self }
    }

    pub(super) fn also(mut self, place: Place, label: impl Into<String>) -> Self {
        self.also.push((place, label.into()));
        self
    }
}

/// Where text came from: the file, or an argument of the command line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Source {
    pub shown: String,
    pub text: String,
}

/// All that is wrong with a scenario, in the order of the file. Never empty.
///
/// Shown, it reads as rustc's errors do: an excerpt each, and a closing line with their number.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problems {
    pub(super) sources: Vec<Source>,
    pub(super) problems: Vec<Problem>,
}

/// A problem as other programs read it: where, what, and what to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    pub file: String,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    pub message: String,
    pub help: Option<String>,
}

impl Problems {
    pub(super) fn new(sources: Vec<Source>, mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|problem| problem.place);
        Problems { sources, problems }
    }

    pub fn len(&self) -> usize {
        self.problems.len()
    }

    pub fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    pub fn findings(&self) -> impl Iterator<Item = Finding> + '_ {
        self.problems.iter().map(|problem| {
            let source = &self.sources[problem.place.source];
            let before = &source.text[..problem.place.start];
            let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
            Finding {
                file: source.shown.clone(),
                line: before.matches('\n').count() + 1,
                column: before[line_start..].chars().count() + 1,
                message: problem.message.clone(),
                help: problem.help.clone(),
            }
        })
    }

    /// One value per problem, of one shape.
    pub fn to_json(&self) -> Vec<Value> {
        self.findings()
            .map(|finding| {
                json!({
                    "v": 1,
                    "type": "problem",
                    "file": finding.file,
                    "line": finding.line,
                    "column": finding.column,
                    "message": finding.message,
                    "help": finding.help,
                })
            })
            .collect()
    }

    /// The same text with the terminal's colours.
    pub fn coloured(&self) -> String {
        self.render(&Renderer::styled())
    }

    fn render(&self, renderer: &Renderer) -> String {
        let mut text = String::new();
        for problem in &self.problems {
            text.push_str(&self.render_one(renderer, problem));
            text.push_str("\n\n");
        }
        let count = match self.problems.len() {
            1 => "1 problem".to_owned(),
            many => format!("{many} problems"),
        };
        text.push_str(&format!("{}: {count}; nothing was run\n", self.sources[0].shown));
        text
    }

    fn render_one(&self, renderer: &Renderer, problem: &Problem) -> String {
        let source = &self.sources[problem.place.source];
        let span = |place: &Place| place.start..place.end;
        let primary = AnnotationKind::Primary.span(span(&problem.place));
        let primary =
            if problem.label.is_empty() { primary } else { primary.label(problem.label.as_str()) };
        let here = |(place, _): &&(Place, String)| place.source == problem.place.source;
        let also =
            problem.also.iter().filter(here).map(|(place, label)| {
                AnnotationKind::Context.span(span(place)).label(label.as_str())
            });
        let snippet = Snippet::source(source.text.as_str())
            .path(source.shown.as_str())
            .annotation(primary)
            .annotations(also);
        let mut group = Level::ERROR.primary_title(problem.message.as_str()).element(snippet);
        if let Some(help) = &problem.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        renderer.render(&[group])
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(&Renderer::plain()))
    }
}

impl std::error::Error for Problems {}
