//! Lengths of time as people write them: `20ms`, `1.5s`, `5m`, and ranges of them: `1ms..4ms`.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};

/// A length of time with a unit; nanoseconds inside.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct Span(pub Duration);

/// What a length is counted in, longest first; written with the longest that divides it.
const UNITS: &[(&str, u128)] = &[
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

impl Span {
    pub const fn from_millis(millis: u64) -> Self {
        Span(Duration::from_millis(millis))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.as_nanos();
        if nanos == 0 {
            return f.write_str("0s");
        }
        let (unit, size) =
            UNITS.iter().find(|(_, size)| nanos.is_multiple_of(*size)).expect("1 ns divides all");
        write!(f, "{}{unit}", nanos / size)
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}` is not a length of time: expected a number and a unit, like 20ms, 1.5s or 5m"
            )
        };
        let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
        let (number, unit) = text.split_at(digits);
        let (_, size) = UNITS.iter().find(|(name, _)| *name == unit.trim()).ok_or_else(wrong)?;
        let number: f64 = number.parse().map_err(|_| wrong())?;
        let nanos = number * *size as f64;
        if nanos > 1e18 {
            return Err(format!("`{text}` is longer than 30 years"));
        }
        Ok(Span(Duration::from_nanos(nanos.round() as u64)))
    }
}

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Span> for String {
    fn from(span: Span) -> String {
        span.to_string()
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SpanShape {
    Uniform,
    /// `min` plus an exponential tail with mean `(max - min) / 4`, cut at `max`.
    Exponential,
}

/// A length drawn anew each time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SpanRange {
    pub min: Span,
    pub max: Span,
    pub shape: SpanShape,
}

impl SpanRange {
    pub const fn fixed(span: Span) -> Self {
        SpanRange { min: span, max: span, shape: SpanShape::Uniform }
    }
}

impl fmt::Display for SpanRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.min == self.max { self.min.fmt(f) } else { write!(f, "{}..{}", self.min, self.max) }
    }
}

impl FromStr for SpanRange {
    type Err = String;

    /// `20ms`, or `1ms..4ms` (both ends may be drawn).
    fn from_str(text: &str) -> Result<Self, String> {
        let (min, max) = text.split_once("..").unwrap_or((text, text));
        let (min, max): (Span, Span) = (min.trim().parse()?, max.trim().parse()?);
        if min > max {
            return Err(format!("`{text}` ends before it begins"));
        }
        Ok(SpanRange { min, max, shape: SpanShape::Uniform })
    }
}
