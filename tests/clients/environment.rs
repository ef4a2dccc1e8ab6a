//! The clients themselves, installed by their ordinary package managers into the target directory.

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

/// What a test is run with, or why it cannot be had here.
pub(super) type Found = Result<PathBuf, String>;

/// The folder of this file.
pub(super) fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients")
}

/// A Python that knows the packages of `requirements.txt`.
pub(super) fn python() -> Found {
    let requirements = sources().join("requirements.txt");
    let venv = prepared("python", &[&requirements], |directory| {
        run(Command::new("python3").args(["-m", "venv"]).arg(directory))?;
        run(Command::new(directory.join("bin/python"))
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"])
            .arg(&requirements))
    })?;
    Ok(venv.join("bin/python"))
}

/// The `node_modules` of `package-lock.json`.
pub(super) fn node_modules() -> Found {
    let [package, lock] = ["package.json", "package-lock.json"].map(|name| sources().join(name));
    let installed = prepared("node", &[&package, &lock], |directory| {
        fs::create_dir_all(directory).map_err(|error| error.to_string())?;
        for file in [&package, &lock] {
            let copy = directory.join(file.file_name().expect("a name"));
            fs::copy(file, copy).map_err(|error| error.to_string())?;
        }
        run(Command::new("npm")
            .args(["ci", "--no-audit", "--no-fund", "--loglevel=error"])
            .current_dir(directory))
    })?;
    Ok(installed.join("node_modules"))
}

/// Debian's kcat, or another that is installed.
pub(super) fn kcat() -> Found {
    run(Command::new("kcat").arg("-V"))?;
    Ok("kcat".into())
}

/// What was found, or nothing, said on one line that no test runner swallows. `RETRIAL_WITHOUT=kcat` spares
/// the one judge that no package registry of a language has.
pub(super) fn or_skip(judge: &str, found: Found) -> Option<PathBuf> {
    let why = match found {
        Ok(path) => return Some(path),
        Err(why) => why,
    };
    let required = std::env::var("RETRIAL_CLIENTS").is_ok_and(|value| value == "required");
    let spared = std::env::var("RETRIAL_WITHOUT").is_ok_and(|without| without == judge);
    assert!(!required || spared, "{judge} cannot judge the broker, but must: {why}");
    // The last line says most: package managers tell the cause after the circumstances.
    let why = why.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("for no known reason");
    let line =
        format!("{judge} has NOT judged the broker (RETRIAL_CLIENTS=required insists): {why}\n");
    std::io::stderr().write_all(line.as_bytes()).expect("standard error takes a line");
    None
}

/// A directory that `prepare` has filled once for these files: by one process at a time, and anew when
/// they change.
fn prepared(
    name: &str,
    files: &[&Path],
    prepare: impl FnOnce(&Path) -> Result<(), String>,
) -> Found {
    let told = |error: std::io::Error| error.to_string();
    let mut hasher = DefaultHasher::new();
    for file in files {
        fs::read(file).map_err(told)?.hash(&mut hasher);
    }
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("clients");
    fs::create_dir_all(&root).map_err(told)?;
    let directory = root.join(format!("{name}-{:016x}", hasher.finish()));
    let lock = fs::File::create(root.join(format!("{name}.lock"))).map_err(told)?;
    lock.lock().map_err(told)?;
    let ready = directory.join("ready");
    if !ready.exists() {
        let _ = fs::remove_dir_all(&directory);
        prepare(&directory)?;
        fs::write(ready, "").map_err(told)?;
    }
    Ok(directory)
}

/// Runs a step to its end; what it said is the error.
fn run(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("failed to run {name}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{name} ended with {}:\n{said}", output.status))
}
