//! Settings of the broker side.

use super::{Kind, Row, Side, Support};

pub(super) const ROWS: &[Row] = &[];
