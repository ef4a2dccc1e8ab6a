//! Tasks of a simulated process: they end with it, and their panics are its crash.

use std::sync::Arc;

use super::{
    crash::{CrashSite, Guarded},
    machine::Process,
};
use crate::env::{BoxFuture, Tasks};

pub(super) struct SimTasks {
    pub process: Arc<Process>,
    pub site: Arc<CrashSite>,
}

impl Tasks for SimTasks {
    fn spawn(&self, _name: &'static str, future: BoxFuture<'static, ()>) {
        // A dying process may spawn from destructors: nothing of that is to run.
        if self.process.is_alive() {
            let machine = Some(self.process.host.name.clone());
            self.process.node.spawn(Guarded { machine, site: self.site.clone(), future });
        }
    }
}
