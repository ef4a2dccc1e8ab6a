//! One program of a client: run with a bound on its time, its output kept apart from its complaints.

use std::{
    os::unix::process::CommandExt,
    path::Path,
    process::{Command, Stdio},
    sync::mpsc,
    time::Duration,
};

/// Twice what the slowest takes on a busy machine of two cores.
const BOUND: Duration = Duration::from_secs(60);

/// What a program printed, or what is wrong with it.
pub(super) type Ran = Result<String, String>;

/// The program's standard output, if it ends by itself, in time and well.
pub(super) fn run(command: &mut Command) -> Ran {
    let name = format!("{:?}", command.get_args().next().unwrap_or_default());
    // A group of its own, so that members it has started end with it.
    let child = command
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("failed to start {name}: {error}"))?;
    let group = format!("-{}", child.id());
    let (say, ended) = mpsc::channel();
    std::thread::spawn(move || say.send(child.wait_with_output()));
    let (output, late) = match ended.recv_timeout(BOUND) {
        Ok(output) => (output, false),
        Err(_) => {
            let _ = Command::new("kill").args(["-9", "--", &group]).status();
            (ended.recv().expect("a killed program ends"), true)
        }
    };
    let output = output.map_err(|error| format!("failed to wait for {name}: {error}"))?;
    let [printed, complaints] =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    if output.status.success() && !late {
        return Ok(printed);
    }
    let how = if late { format!("not done after {BOUND:?}") } else { output.status.to_string() };
    Err(format!("{name}: {how}\n--- it printed\n{printed}--- it complained\n{complaints}"))
}

/// A program in Python.
pub(super) fn python(interpreter: &Path, program: &Path) -> Command {
    let mut command = Command::new(interpreter);
    // Deprecations of its own are no news about the broker.
    command.arg(program).env("PYTHONUNBUFFERED", "1").env("PYTHONWARNINGS", "ignore");
    command
}

/// A program in JavaScript.
pub(super) fn node(modules: &Path, program: &Path) -> Command {
    let mut command = Command::new("node");
    command.arg(program).env("NODE_PATH", modules);
    command
}

/// A program in shell.
pub(super) fn shell(program: &Path) -> Command {
    let mut command = Command::new("sh");
    command.arg(program);
    command
}
