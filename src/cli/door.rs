//! From arguments to an exit code.

use std::{
    ffi::OsString,
    io::{self, Write},
};

use clap::{Parser, error::ErrorKind};

use super::{
    args::{Args, Verb},
    exit::Exit,
    explain, lint, list, logging, replay, run, serve,
    streams::{Audience, Streams},
};
use crate::testbed::report::Signs;

/// The program: the process's arguments and streams.
pub fn main() -> Exit {
    logging::start();
    let (mut out, mut err) = (anstream::stdout(), anstream::stderr());
    let mut input = io::BufReader::new(io::stdin());
    let streams = Streams::new(&mut out, &mut err, &mut input, Audience::Process);
    enter(std::env::args_os(), streams)
}

/// The same with a caller's arguments (the program's name first) and streams: 100 columns, no signals,
/// nobody to ask. Colours are written; a caller that wants none wraps `out` in `anstream::StripStream`.
pub fn main_from<A: Into<OsString> + Clone>(
    args: impl IntoIterator<Item = A>,
    out: &mut (dyn Write + Send),
    err: &mut (dyn Write + Send),
) -> Exit {
    let mut input = io::empty();
    enter(args, Streams::new(out, err, &mut input, Audience::Caller))
}

fn enter<A: Into<OsString> + Clone>(
    args: impl IntoIterator<Item = A>,
    mut streams: Streams,
) -> Exit {
    let args = match Args::try_parse_from(args) {
        Ok(args) => args,
        Err(error) => return refuse(&error, &mut streams),
    };
    if args.ascii {
        streams.signs = Signs::Ascii;
    }
    let ended = match &args.verb {
        Verb::Run(run) => run::run(run, &mut streams),
        Verb::Replay(replay) => replay::replay(replay, &mut streams),
        Verb::List(list) => list::list(list, &mut streams),
        Verb::Explain(explain) => explain::explain(explain, &mut streams),
        Verb::Lint(lint) => lint::lint(lint, &mut streams),
        Verb::Serve(serve) => serve::serve(serve, &mut streams),
    };
    let exit = ended.unwrap_or_else(|error| explain_failure(&error, &mut streams));
    let flushed = streams.out.flush().and_then(|()| streams.err.flush());
    if flushed.is_err() { Exit::Interrupted } else { exit }
}

/// Help and version are results; everything else is wrong usage.
fn refuse(error: &clap::Error, streams: &mut Streams) -> Exit {
    let text = error.render().ansi().to_string();
    let (written, exit) = match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            (streams.print(&text), Exit::AsExpected)
        }
        _ => (streams.complain(&text), Exit::BadInput),
    };
    if written.is_err() { Exit::Interrupted } else { exit }
}

/// What stops a command is bad input, unless it is that nobody reads what it prints.
fn explain_failure(error: &anyhow::Error, streams: &mut Streams) -> Exit {
    let unread = error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe);
    // Nothing can be said where saying it fails.
    if unread || streams.complain(&format!("error: {error:#}\n")).is_err() {
        return Exit::Interrupted;
    }
    Exit::BadInput
}
