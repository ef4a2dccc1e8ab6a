//! Tasks on the caller's tokio runtime.
// This is where the ban on tokio's own spawn leads to.
#![allow(clippy::disallowed_methods)]

use std::{
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use crate::env::{BoxFuture, Tasks};

/// Ends the process after a panic in the task of that name. The panic's message is printed already.
pub type OnPanic = Arc<dyn Fn(&'static str) + Send + Sync>;

pub(super) struct RealTasks {
    pub on_panic: OnPanic,
}

impl Tasks for RealTasks {
    fn spawn(&self, name: &'static str, future: BoxFuture<'static, ()>) {
        let on_panic = self.on_panic.clone();
        tokio::task::spawn(Watched { name, future, on_panic });
    }
}

/// tokio keeps a task's panic in the join handle, where nobody would look.
struct Watched {
    name: &'static str,
    future: BoxFuture<'static, ()>,
    on_panic: OnPanic,
}

impl Future for Watched {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let future = &mut self.future;
        match std::panic::catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
            Ok(poll) => poll,
            Err(_) => {
                (self.on_panic)(self.name);
                Poll::Ready(())
            }
        }
    }
}
