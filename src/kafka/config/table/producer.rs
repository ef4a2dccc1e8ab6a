//! Settings of the producer side.

use super::{Kind, Row, Side, Support};

pub(super) const ROWS: &[Row] = &[];
