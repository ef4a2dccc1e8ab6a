//! Starting work that runs beside its caller.

use super::BoxFuture;

pub trait Tasks: Send + Sync {
    /// Runs `future` until it ends or its node does. A panic in it is a bug and ends the node.
    /// `name` is for logs.
    fn spawn(&self, name: &'static str, future: BoxFuture<'static, ()>);
}
