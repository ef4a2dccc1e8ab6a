//! The directory of `--data`: one per broker below it, and how many brokers it has known.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};

/// Where one broker's data lies.
pub(super) fn of_broker(data: &Path, number: u16) -> PathBuf {
    data.join(format!("broker-{number}"))
}

/// How many brokers to start: as many as asked for, otherwise as many as the directory holds, at least one.
/// Fewer than it holds would leave the others' partitions without a leader.
pub(super) fn brokers(data: &Path, asked: Option<u16>) -> anyhow::Result<u16> {
    if data.join("meta.properties").exists() {
        bail!(
            "{} is one broker's own directory: name the directory above it, which has it as broker-1",
            data.display()
        );
    }
    let held = highest(data).with_context(|| format!("failed to list {}", data.display()))?;
    let count = asked.unwrap_or(held.max(1));
    if count < held {
        bail!(
            "{} holds the data of {held} brokers: {count} would leave partitions without a leader; \
             start with --brokers {held}, or leave it out",
            data.display()
        );
    }
    Ok(count)
}

/// The highest number a broker of the directory has; 0 for a new directory.
fn highest(data: &Path) -> io::Result<u16> {
    let entries = match fs::read_dir(data) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    let mut highest = 0;
    for entry in entries {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix("broker-")?.parse().ok());
        highest = highest.max(number.unwrap_or(0));
    }
    Ok(highest)
}
