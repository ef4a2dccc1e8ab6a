//! Ctrl-C during a sweep: what is done so far is still summed up.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use super::exit::Exit;

/// Whether Ctrl-C was pressed.
#[derive(Clone, Default)]
pub(super) struct Interrupt {
    pressed: Arc<AtomicBool>,
}

impl Interrupt {
    /// Listens from here on. The second Ctrl-C ends the process at once.
    #[allow(clippy::disallowed_methods, reason = "the process's own signals, outside any trial")]
    pub fn listen() -> Self {
        let interrupt = Interrupt::default();
        let pressed = Arc::clone(&interrupt.pressed);
        thread::spawn(move || {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_io().build()
            else {
                return;
            };
            runtime.block_on(async {
                while tokio::signal::ctrl_c().await.is_ok() {
                    if pressed.swap(true, Ordering::Relaxed) {
                        std::process::exit(i32::from(Exit::Interrupted.code()));
                    }
                }
            });
        });
        interrupt
    }

    pub fn is_pressed(&self) -> bool {
        self.pressed.load(Ordering::Relaxed)
    }
}
