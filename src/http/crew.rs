//! Counts the threads of the server, so that its end can wait for theirs.
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::sys;

#[derive(Debug, Default)]
pub struct Crew {
    alive: Mutex<usize>,
    left: Condvar,
}

struct Member(Arc<Crew>);

impl Crew {
    /// A thread with a small stack. A panic ends it alone and stands in the log.
    ///
    /// # Errors
    /// No further thread can be had.
    pub fn small(
        self: &Arc<Self>,
        name: &str,
        f: impl FnOnce() + Send + 'static,
    ) -> io::Result<()> {
        sys::thread::spawn_small(name, self.counted(f))
    }

    /// As [`Crew::small`], with a stack of the usual size.
    ///
    /// # Errors
    /// As [`Crew::small`].
    pub fn spawn(
        self: &Arc<Self>,
        name: &str,
        f: impl FnOnce() + Send + 'static,
    ) -> io::Result<()> {
        sys::thread::spawn(name, self.counted(f)).map(drop)
    }

    /// Counted from here on, so that nobody is missed who has not begun; a closure that is never run counts back.
    fn counted(
        self: &Arc<Self>,
        f: impl FnOnce() + Send + 'static,
    ) -> impl FnOnce() + Send + 'static {
        *self.lock() += 1;
        let member = Member(self.clone());
        move || {
            let _member = member;
            if catch_unwind(AssertUnwindSafe(f)).is_err() {
                crate::error!("a thread of the HTTP server panicked; its connection is closed");
            }
        }
    }

    /// Waits until every thread has ended; false when some have not by `deadline`.
    pub fn wait(&self, deadline: Instant) -> bool {
        let mut alive = self.lock();
        while *alive > 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            alive = self.left.wait_timeout(alive, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, usize> {
        self.alive.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        *self.0.lock() -= 1;
        self.0.left.notify_all();
    }
}
