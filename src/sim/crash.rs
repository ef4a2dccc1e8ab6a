//! Bugs that show: a panic anywhere in a world ends its trial and says where.

use std::{
    any::Any,
    cell::RefCell,
    fmt,
    future::Future,
    panic::{self, AssertUnwindSafe},
    pin::Pin,
    sync::{Arc, Once},
    task::{Context, Poll, Waker},
};

use super::lock::Lock;
use crate::env::BoxFuture;

/// A trial that did not end by itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Crash {
    /// The machine whose task panicked; `None` if it was the driver of the world, or if nothing was
    /// left to do while the driver still waited.
    pub machine: Option<String>,
    pub message: String,
    /// `file:line:column` of the panic.
    pub location: Option<String>,
}

impl fmt::Display for Crash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.machine {
            Some(machine) => write!(f, "{machine} panicked: {}", self.message)?,
            None => write!(f, "the driver of the world panicked: {}", self.message)?,
        }
        match &self.location {
            Some(location) => write!(f, " ({location})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Crash {}

thread_local! {
    /// Where the last panic on this thread was, while a world runs on it.
    static LAST_PANIC: RefCell<Option<Option<String>>> = const { RefCell::new(None) };
}

/// Runs `body`, turning a panic into a [`Crash`] of the driver. Panics on this thread are kept for the
/// report in the meantime instead of being printed.
pub(super) fn catching<T>(body: impl FnOnce() -> T) -> Result<T, Crash> {
    install_hook();
    let outer = LAST_PANIC.replace(Some(None));
    let result =
        panic::catch_unwind(AssertUnwindSafe(body)).map_err(|payload| crash(None, &*payload));
    LAST_PANIC.set(outer);
    result
}

/// A panic's location is known to the hook alone. Other threads keep the hook they had.
fn install_hook() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let kept = LAST_PANIC.try_with(|last| match &mut *last.borrow_mut() {
                Some(location) => {
                    *location = info.location().map(|location| location.to_string());
                    true
                }
                None => false,
            });
            if kept != Ok(true) {
                previous(info);
            }
        }));
    });
}

fn crash(machine: Option<String>, payload: &(dyn Any + Send)) -> Crash {
    let message = match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_owned(),
        (None, Some(text)) => text.clone(),
        (None, None) => "a panic without a message".to_owned(),
    };
    Crash { machine, message, location: LAST_PANIC.with_borrow_mut(|last| last.as_mut()?.take()) }
}

/// Where the first crash of a world is kept until its driver is told.
#[derive(Default)]
pub(super) struct CrashSite {
    state: Lock<(Option<Crash>, Option<Waker>)>,
}

impl CrashSite {
    fn report(&self, crash: Crash) {
        let mut state = self.state.lock();
        state.0.get_or_insert(crash);
        if let Some(driver) = state.1.take() {
            driver.wake();
        }
    }

    /// Runs the driver until it ends or anything crashes, the driver included.
    pub async fn watch<T>(&self, driver: impl Future<Output = T>) -> Result<T, Crash> {
        let mut driver = std::pin::pin!(driver);
        std::future::poll_fn(|context| {
            {
                let mut state = self.state.lock();
                if let Some(crash) = state.0.take() {
                    return Poll::Ready(Err(crash));
                }
                match &mut state.1 {
                    Some(waker) => waker.clone_from(context.waker()),
                    none => *none = Some(context.waker().clone()),
                }
            }
            let poll = AssertUnwindSafe(|| driver.as_mut().poll(context));
            match panic::catch_unwind(poll) {
                Ok(poll) => poll.map(Ok),
                Err(payload) => Poll::Ready(Err(crash(None, &*payload))),
            }
        })
        .await
    }
}

/// A task whose panic is a crash of its machine. The executor never sees the panic.
pub(super) struct Guarded {
    pub machine: Option<Arc<str>>,
    pub site: Arc<CrashSite>,
    pub future: BoxFuture<'static, ()>,
}

impl Future for Guarded {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let future = &mut this.future;
        match panic::catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
            Ok(poll) => poll,
            Err(payload) => {
                let machine = this.machine.as_ref().map(|name| name.to_string());
                this.site.report(crash(machine, &*payload));
                Poll::Ready(())
            }
        }
    }
}
