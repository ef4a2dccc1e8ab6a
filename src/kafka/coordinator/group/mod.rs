//! tmp.
#[derive(Clone, PartialEq, Debug)]
pub enum GroupEvent {}
