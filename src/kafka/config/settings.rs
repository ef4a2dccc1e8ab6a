//! Values given for one side of the table, checked as Kafka's own `ConfigDef` checks them.
//!
//! Values are given as text, as in a properties file, and parsed by the row's kind. What is not given
//! has the row's default.

use std::{collections::BTreeMap, time::Duration};

use super::table::{self, Kind, Row, Side};

/// Why Kafka's own client or broker would refuse a configuration (its `ConfigException`).
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("Kafka has no {side} setting `{name}`")]
    Unknown { side: Side, name: String },
    #[error("`{name}` cannot be `{value}`: {reason}")]
    Invalid { name: String, value: String, reason: String },
    #[error("{reason}")]
    Conflict { names: Vec<&'static str>, reason: String },
    /// Kafka would take it; this build does not do it.
    #[error("{reason}")]
    NotModelled { names: Vec<&'static str>, reason: String },
}

/// Checked values of one side; what is absent has its default.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    side: Side,
    values: BTreeMap<&'static str, String>,
}

impl Settings {
    pub fn new(side: Side) -> Self {
        Settings { side, values: BTreeMap::new() }
    }

    /// Collects every problem rather than the first.
    pub fn from_pairs<'a>(
        side: Side,
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, Vec<ConfigError>> {
        let mut settings = Settings::new(side);
        let errors: Vec<_> =
            pairs.into_iter().filter_map(|(name, text)| settings.set(name, text).err()).collect();
        if errors.is_empty() { Ok(settings) } else { Err(errors) }
    }

    pub fn set(&mut self, name: &str, text: &str) -> Result<(), ConfigError> {
        let row = table::find(self.side, name)
            .ok_or_else(|| ConfigError::Unknown { side: self.side, name: name.into() })?;
        row.check(text).map_err(|reason| ConfigError::Invalid {
            name: name.into(),
            value: text.into(),
            reason,
        })?;
        self.values.insert(row.name, text.into());
        Ok(())
    }

    pub fn side(&self) -> Side {
        self.side
    }

    /// Whether the value was given, not taken from the table.
    pub fn is_set(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// The given values, by name.
    pub fn given(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.values.iter().map(|(name, text)| (*name, text.as_str()))
    }

    fn row(&self, name: &str) -> &'static Row {
        table::find(self.side, name)
            .unwrap_or_else(|| panic!("the {} table has a row `{name}`", self.side))
    }

    pub fn text(&self, name: &str) -> &str {
        self.values.get(name).map_or(self.row(name).default, String::as_str)
    }

    /// Integer, of any of Kafka's widths.
    pub fn int(&self, name: &str) -> i64 {
        debug_assert!(matches!(self.row(name).kind, Kind::Int { .. } | Kind::Long { .. }));
        self.text(name).trim().parse().expect("checked when it was set")
    }

    pub fn boolean(&self, name: &str) -> bool {
        self.text(name).trim().eq_ignore_ascii_case("true")
    }

    pub fn double(&self, name: &str) -> f64 {
        self.text(name).trim().parse().expect("checked when it was set")
    }

    /// Comma-separated, empty parts left out.
    pub fn list(&self, name: &str) -> Vec<&str> {
        self.text(name).split(',').map(str::trim).filter(|part| !part.is_empty()).collect()
    }

    /// A `*.ms` value; negative ("none", "for ever") reads as `None`.
    pub fn duration(&self, name: &str) -> Option<Duration> {
        u64::try_from(self.int(name)).ok().map(Duration::from_millis)
    }

    /// A `*.ms` value that the row's range keeps from being negative.
    pub fn millis(&self, name: &str) -> Duration {
        self.duration(name).unwrap_or(Duration::ZERO)
    }
}
