//! A number of places that requests wait for in a bounded queue.
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, select};

use crate::bus;

/// `free` holds one token for each place that nobody has.
#[derive(Debug)]
pub struct Places {
    free: Receiver<()>,
    back: Sender<()>,
    queued: AtomicUsize,
    queue: usize,
}

/// One place; dropped, it goes back.
#[derive(Debug)]
pub struct Place(Sender<()>);

impl Places {
    #[must_use]
    pub fn new(places: usize, queue: usize) -> Self {
        let (back, free) = bus::wire_channel(places);
        for _ in 0..places {
            let _ = back.try_send(());
        }
        Self { free, back, queued: AtomicUsize::new(0), queue }
    }

    /// Waits for a place; `None` when the queue is full, patience ends, or the server does (`closing` disconnects).
    pub fn take(&self, patience: Duration, closing: &Receiver<()>) -> Option<Place> {
        let before = self.queued.fetch_add(1, Ordering::SeqCst);
        // Only who would have to wait needs a place in the queue.
        let got = if before == 0 && self.free.try_recv().is_ok() {
            true
        } else if before >= self.queue.max(1) {
            false
        } else {
            select! {
                recv(self.free) -> token => token.is_ok(),
                recv(closing) -> _ => false,
                default(patience) => false,
            }
        };
        self.queued.fetch_sub(1, Ordering::SeqCst);
        got.then(|| Place(self.back.clone()))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = self.0.try_send(());
    }
}

#[cfg(test)]
mod tests {
    use super::Places;
    use crate::bus;
    use std::time::Duration;

    #[test]
    fn places_come_back_and_the_queue_is_bounded() {
        let (closer, closing) = bus::reply_channel();
        let places = Places::new(1, 1);
        let first = places.take(Duration::ZERO, &closing);
        assert!(first.is_some());
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| places.take(Duration::from_secs(20), &closing).is_some());
            while places.queued.load(std::sync::atomic::Ordering::SeqCst) == 0 {
                std::thread::yield_now();
            }
            assert!(places.take(Duration::from_secs(20), &closing).is_none(), "the queue is full");
            drop(first);
            assert!(waiter.join().unwrap());
        });
        let held = places.take(Duration::ZERO, &closing);
        assert!(held.is_some());
        drop(closer);
        assert!(places.take(Duration::from_secs(20), &closing).is_none(), "closing ends the wait");
    }
}
