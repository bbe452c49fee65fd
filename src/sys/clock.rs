//! The clocks, read. Only the composition root and the edges call this; the registry is told the time.
use std::sync::OnceLock;
use std::time::{Instant, SystemTime};

use crate::model::time::{Mono, Now, Timestamp};

/// The monotonic clock, counted from the first call in this process.
#[must_use]
pub fn mono() -> Mono {
    static START: OnceLock<Instant> = OnceLock::new();
    let elapsed = START.get_or_init(Instant::now).elapsed();
    Mono(u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX))
}

#[must_use]
pub fn wall() -> Timestamp {
    Timestamp::from(SystemTime::now())
}

#[must_use]
pub fn now() -> Now {
    Now { mono: mono(), wall: wall() }
}
