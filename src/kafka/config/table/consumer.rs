//! Settings of the consumer side.

use super::{Kind, Row, Side, Support};

pub(super) const ROWS: &[Row] = &[];
