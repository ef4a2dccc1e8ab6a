//! Settings of the topic side.

use super::{Kind, Row, Side, Support};

pub(super) const ROWS: &[Row] = &[];
