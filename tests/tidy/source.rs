//! The project's source files, read and parsed once per rule.

use std::path::{Path, PathBuf};

/// One Rust file.
pub struct Source {
    /// From the project's root, with `/`: `src/kafka/log/mod.rs`.
    pub path: String,
    pub text: String,
    pub syntax: syn::File,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Self {
        let syntax = syn::parse_file(text).unwrap_or_else(|e| panic!("{path}: {e}"));
        Source { path: path.into(), text: text.into(), syntax }
    }

    /// Whether the file is in that folder, or is it.
    pub fn is_in(&self, place: &str) -> bool {
        self.path
            .strip_prefix(place)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || rest.starts_with(".rs"))
    }

    /// Tests may do what the system may not: unwrap, read files.
    pub fn is_test(&self) -> bool {
        self.path.starts_with("tests/")
            || self.path.starts_with("sims/")
            || self.path.ends_with("/tests.rs")
            || self.path.contains("/tests/")
    }

    /// Lines before the file's own `mod tests { .. }`, with their numbers from 1.
    pub fn lines_outside_tests(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines: Vec<_> = self.text.lines().collect();
        let end = lines
            .windows(2)
            .position(|pair| pair[0] == "#[cfg(test)]" && pair[1].ends_with('{'))
            .unwrap_or(lines.len());
        lines.into_iter().take(end).enumerate().map(|(index, line)| (index + 1, line))
    }

    pub fn breach(&self, line: usize, why: &str) -> super::Breach {
        format!("{}:{line}: {why}", self.path)
    }
}

/// Every Rust file of `src`, `tests` and `sims`, by path.
pub fn all() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    for folder in ["src", "tests", "sims"] {
        walk(&root.join(folder), &mut paths);
    }
    paths.sort();
    let read = |path: &PathBuf| {
        let text = std::fs::read_to_string(path).expect("a source file is UTF-8");
        let path = path.strip_prefix(root).expect("below the root");
        Source::new(&path.to_string_lossy().replace('\\', "/"), &text)
    };
    paths.iter().map(read).collect()
}

fn walk(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            // What building the fuzz targets leaves behind.
            if path.ends_with("tests/fuzz/target") {
                continue;
            }
            walk(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
}
