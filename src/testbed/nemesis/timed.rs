//! The one task that keeps the nemesis's time.

use std::{sync::Arc, time::Duration};

use super::Nemesis;
use crate::env::Instant;

impl Nemesis {
    /// Fires what hangs on time, for ever: sleeps until the next of it.
    pub async fn keep_time(self: Arc<Self>) {
        loop {
            let next = self.next_time().map_or(Instant::FAR_FUTURE, from_start);
            tokio::select! {
                biased;
                () = self.changed.notified() => {}
                () = self.stage.world.sleep_until(next) => self.act_on_time(),
            }
        }
    }
}

/// Virtual time begins with the trial.
fn from_start(elapsed: Duration) -> Instant {
    Instant::default() + elapsed
}
