//! A line of the story as a value.

use std::sync::Arc;

use super::super::look::Tone;
use crate::testbed::history::{EventId, NodeName};

/// What a machine looks like from outside.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Status {
    /// Not started, or ended in an orderly way.
    Idle,
    Up,
    Down,
    Paused,
    /// A producer that has sent everything.
    Done,
}

impl Status {
    pub fn sign(self) -> (&'static str, Tone) {
        match self {
            Status::Idle => ("·", Tone::Dim),
            Status::Up => ("●", Tone::Good),
            Status::Down => ("✗", Tone::Bad),
            Status::Paused => ("‖", Tone::Doubt),
            Status::Done => ("·", Tone::Dim),
        }
    }
}

/// How much a line is worth when there are too many of them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Weight {
    /// No line at all: only the machine's status changes.
    Silent,
    /// May be left out of a long story.
    Routine,
    Notable,
}

#[derive(Clone, PartialEq, Debug)]
pub(super) struct Beat {
    /// The first event told here; beats are ordered by it.
    pub first: EventId,
    /// Virtual time of that event, and of the last one told here, in nanoseconds.
    pub at: u64,
    pub until: u64,
    pub node: NodeName,
    pub tone: Tone,
    /// What happens, in a word or two: `poll`, `✗ CRASH`.
    pub word: String,
    pub text: String,
    /// How things stood then, told below the line.
    pub standing: Vec<String>,
    /// The step that brought this about.
    pub step: Option<String>,
    /// The author's words, told below the line.
    pub say: Option<Arc<str>>,
    pub weight: Weight,
    pub becomes: Option<Status>,
}

impl Beat {
    pub fn new(first: EventId, at: u64, node: &NodeName, word: &str, text: String) -> Self {
        Beat {
            first,
            at,
            until: at,
            node: node.clone(),
            tone: Tone::Plain,
            word: word.to_owned(),
            text,
            standing: Vec::new(),
            step: None,
            say: None,
            weight: Weight::Routine,
            becomes: None,
        }
    }

    pub fn tone(mut self, tone: Tone) -> Self {
        self.tone = tone;
        self
    }

    pub fn notable(mut self) -> Self {
        self.weight = Weight::Notable;
        self
    }

    pub fn silent(mut self) -> Self {
        self.weight = Weight::Silent;
        self
    }

    pub fn becomes(mut self, status: Status) -> Self {
        self.becomes = Some(status);
        self
    }

    pub fn until(mut self, until: u64) -> Self {
        self.until = until;
        self
    }
}
