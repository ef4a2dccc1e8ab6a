//! Where results, progress and answers go and come from.

use std::io::{self, BufRead, IsTerminal, Write};

use crate::testbed::report::{Look, Signs};

/// Whether somebody sits at the other end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Audience {
    /// The process's own streams: progress bars and signals make sense.
    Process,
    /// A caller's buffers.
    Caller,
}

pub(super) struct Streams<'a> {
    /// The result.
    pub out: &'a mut (dyn Write + Send),
    /// Progress and complaints.
    pub err: &'a mut (dyn Write + Send),
    pub input: &'a mut (dyn BufRead + Send),
    pub audience: Audience,
    width: usize,
    pub signs: Signs,
}

impl<'a> Streams<'a> {
    pub fn new(
        out: &'a mut (dyn Write + Send),
        err: &'a mut (dyn Write + Send),
        input: &'a mut (dyn BufRead + Send),
        audience: Audience,
    ) -> Self {
        let width = match audience {
            Audience::Process => terminal_width(),
            Audience::Caller => Look::DEFAULT_WIDTH,
        };
        Streams { out, err, input, audience, width, signs: Signs::Unicode }
    }

    pub fn look(&self) -> Look {
        Look::new(self.width, self.signs)
    }

    /// Whether a progress bar would be seen.
    pub fn bar_is_seen(&self) -> bool {
        self.audience == Audience::Process && io::stderr().is_terminal()
    }

    pub fn print(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(text.as_bytes())
    }

    pub fn complain(&mut self, text: &str) -> io::Result<()> {
        self.err.write_all(text.as_bytes())
    }
}

fn terminal_width() -> usize {
    let width = terminal_size::terminal_size_of(io::stdout());
    // Lines of more than 140 columns are hard to follow with the eye.
    width.map_or(Look::DEFAULT_WIDTH, |(width, _)| usize::from(width.0).min(140))
}
