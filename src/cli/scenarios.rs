//! Reading scenario files: all of them, all their problems at once, before anything runs.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};

use super::streams::Streams;
use crate::testbed::{
    report::Origin,
    scenario::{Problems, Scenario},
};

/// What a scenario file's name ends with; other files in a directory are left alone.
const SUFFIX: &str = ".scenario.toml";

/// A scenario and where it came from.
pub(super) struct Loaded {
    pub origin: Origin,
    pub scenario: Scenario,
}

/// A file's bytes, all of them or at most that many.
#[allow(clippy::disallowed_methods, reason = "the user's files, outside any trial")]
pub(super) fn read(file: &Path, most: u64) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut read = || fs::File::open(file)?.take(most).read_to_end(&mut bytes);
    read().with_context(|| format!("failed to read {}", file.display()))?;
    Ok(bytes)
}

#[allow(clippy::disallowed_methods, reason = "the user's files, outside any trial")]
pub(super) fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(file, text).with_context(|| format!("failed to write {}", file.display()))
}

/// The scenario files among `paths` and below them, each directory's in the order of their names.
pub(super) fn files(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let before = files.len();
            collect(path, &mut files)?;
            if files.len() == before {
                bail!("no *{SUFFIX} file in {}", path.display());
            }
        } else {
            files.push(path.clone());
        }
    }
    Ok(files)
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let failed = || format!("failed to list {}", dir.display());
    let mut entries = Vec::new();
    for entry in fs::read_dir(dir).with_context(failed)? {
        let entry = entry.with_context(failed)?;
        entries.push((entry.path(), entry.file_type().with_context(failed)?));
    }
    entries.sort_by(|(one, _), (two, _)| one.cmp(two));
    for (path, kind) in entries {
        // A link to a directory may lead back here: only links to files are followed.
        if kind.is_dir() {
            collect(&path, files)?;
        } else if !path.is_dir() && path.to_string_lossy().ends_with(SUFFIX) {
            files.push(path);
        }
    }
    Ok(())
}

/// What the report calls the scenario: the file's name without its ending.
pub(super) fn name(file: &Path) -> String {
    let name = file.file_name().unwrap_or(file.as_os_str()).to_string_lossy();
    let name = name.strip_suffix(SUFFIX).or_else(|| name.strip_suffix(".toml")).unwrap_or(&name);
    name.to_owned()
}

/// Loads one file. The inner error is all of its problems.
pub(super) fn load_one(
    file: &Path,
    overrides: &[String],
) -> anyhow::Result<Result<Scenario, Problems>> {
    let shown = file.display().to_string();
    // One byte more than allowed shows that there are too many.
    let bytes = read(file, Scenario::MAX_BYTES as u64 + 1)?;
    Ok(Scenario::load_bytes(&name(file), &shown, &bytes, overrides))
}

/// Loads every file among and below `paths`. The inner error is all problems of all files.
pub(super) fn load(
    paths: &[PathBuf],
    overrides: &[String],
) -> anyhow::Result<Result<Vec<Loaded>, Vec<Problems>>> {
    let mut loaded = Vec::new();
    let mut problems = Vec::new();
    for file in files(paths)? {
        match load_one(&file, overrides)? {
            Ok(scenario) => {
                let variants = scenario.variants.len();
                let file = file.display().to_string();
                let origin = Origin { file, overrides: overrides.to_vec(), variants };
                loaded.push(Loaded { origin, scenario });
            }
            Err(found) => problems.push(found),
        }
    }
    Ok(if problems.is_empty() { Ok(loaded) } else { Err(problems) })
}

/// The problems as a person reads them.
pub(super) fn complain(problems: &[Problems], streams: &mut Streams) -> io::Result<()> {
    let texts: Vec<String> = problems.iter().map(Problems::coloured).collect();
    streams.complain(&texts.join("\n"))
}
