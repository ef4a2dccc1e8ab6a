//! Where a trial came from, as the one line that brings it back.

/// The scenario's file, and what the command line changed in it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Origin {
    /// As it was given on the command line.
    pub file: String,
    /// `--set` arguments, `K=V`.
    pub overrides: Vec<String>,
    /// Variants the scenario has beside its base.
    pub variants: usize,
}

impl Origin {
    /// `retrial run FILE --seed 17 --variant acks-all --set producers.shop.config.acks=all`.
    pub fn reproduce(&self, variant: Option<&str>, seed: u64) -> String {
        let variant = match variant {
            None if self.variants == 0 => String::new(),
            variant => format!(" --variant {}", quoted(variant.unwrap_or(BASE))),
        };
        self.line(seed, &variant)
    }

    /// The same for the base and all its variants.
    pub fn reproduce_all(&self, seed: u64) -> String {
        self.line(seed, "")
    }

    fn line(&self, seed: u64, variant: &str) -> String {
        let mut line = format!("retrial run {} --seed {seed}{variant}", quoted(&self.file));
        for set in &self.overrides {
            line.push_str(&format!(" --set {}", quoted(set)));
        }
        line
    }
}

/// What the command line calls the scenario without any variant.
pub const BASE: &str = "base";

/// The word as a shell reads it back.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// The build a trace digest holds for.
pub fn engine() -> String {
    format!("retrial {}", env!("CARGO_PKG_VERSION"))
}
