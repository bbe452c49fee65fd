//! Counts the threads of links and attempts, so that the daemon can wait for the last one.
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Instant;

use crate::sys::thread;

#[derive(Default)]
pub struct Crew(Arc<Count>);

#[derive(Default)]
struct Count {
    alive: Mutex<usize>,
    fewer: Condvar,
}

impl Crew {
    /// Starts a thread. A panic in it ends that thread alone.
    ///
    /// # Errors
    /// No further thread can be had.
    pub fn spawn(&self, name: &str, f: impl FnOnce() + Send + 'static) -> io::Result<()> {
        thread::spawn(name, self.counted(f)).map(drop)
    }

    /// As [`Crew::spawn`], with a small stack.
    ///
    /// # Errors
    /// As [`Crew::spawn`].
    pub fn spawn_small(&self, name: &str, f: impl FnOnce() + Send + 'static) -> io::Result<()> {
        thread::spawn_small(name, self.counted(f))
    }

    fn counted(&self, f: impl FnOnce() + Send + 'static) -> impl FnOnce() + Send + 'static {
        let member = Member::new(&self.0);
        move || {
            let _member = member;
            if catch_unwind(AssertUnwindSafe(f)).is_err() {
                crate::error!("a thread of the links ended by an error of this program");
            }
        }
    }

    /// Waits for all of them; `false` when `deadline` passes first.
    pub fn wait(&self, deadline: Instant) -> bool {
        let mut alive = self.0.alive.lock().unwrap_or_else(PoisonError::into_inner);
        while *alive > 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            alive =
                self.0.fewer.wait_timeout(alive, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

/// One running thread.
struct Member(Arc<Count>);

impl Member {
    fn new(count: &Arc<Count>) -> Self {
        *count.alive.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        Self(count.clone())
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        *self.0.alive.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.0.fewer.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::Crew;
    use crate::bus;
    use std::time::{Duration, Instant};

    #[test]
    fn the_last_one_is_waited_for_and_one_that_panicked_counts_as_gone() {
        let crew = Crew::default();
        let (go, wait) = bus::wire_channel::<()>(1);
        crew.spawn("waits", move || assert!(wait.recv().is_err())).unwrap();
        crew.spawn("panics", || panic!("a test")).unwrap();
        assert!(!crew.wait(Instant::now() + Duration::from_millis(20)));
        drop(go);
        assert!(crew.wait(Instant::now() + Duration::from_secs(20)));
    }
}
