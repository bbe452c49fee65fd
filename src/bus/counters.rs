//! What threads count beside their work, for `GET /metrics`. Counts rise from the start of the daemon.
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Shared by everyone who has something to count; the composition root makes it.
#[derive(Debug, Default)]
pub struct Counters {
    /// Callers that did not come through the handshake: not our protocol, too slow, or pushed out by newer ones.
    pub handshakes_failed: Count,
    /// Callers that proved a key and were sent away.
    pub callers_refused: Count,
    /// Links that were cut because their other end took no more messages.
    pub links_cut: Count,
    /// Notes that the store had no room for.
    pub notes_dropped: Count,
    /// Changes that were refused because the store had no room for them.
    pub changes_refused: Count,
    /// What waits for each helper of the registry; as it was when the registry was last asked for its metrics.
    pub waiting: Waiting,
}

/// A count that only rises.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    pub fn one_more(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Messages in the queues that the registry fills.
#[derive(Debug, Default)]
pub struct Waiting {
    pub store: AtomicUsize,
    pub dialler: AtomicUsize,
    pub spawner: AtomicUsize,
    pub history: AtomicUsize,
}

impl Waiting {
    pub fn note(&self, store: usize, dialler: usize, spawner: usize, history: usize) {
        self.store.store(store, Ordering::Relaxed);
        self.dialler.store(dialler, Ordering::Relaxed);
        self.spawner.store(spawner, Ordering::Relaxed);
        self.history.store(history, Ordering::Relaxed);
    }
}
