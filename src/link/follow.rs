//! Logs over a link: cut into envelopes, and followed live with credit.
use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;

use crate::bus::Outbound;
use crate::logs::LogRing;
use crate::smsg::limits;
use crate::smsg::messages::LogLines;

/// Logs that one peer may follow at once.
const FOLLOWS: usize = 16;
/// The most credit one follow can gather, in lines.
const CREDIT: usize = 10_000;
/// Parts of followed logs leave at least this far apart: well below the rate that the other side allows, however
/// fast a miner prints.
const PART_EVERY: Duration = Duration::from_millis(50);

/// Splits lines so that each part is at most [`limits::LOG_BYTES`] of JSON (or one line); at least one part.
pub fn parts(lines: Vec<String>) -> Vec<Vec<String>> {
    let mut parts = Vec::new();
    let mut rest = lines;
    loop {
        let later = rest.split_off(fitting(&rest));
        parts.push(rest);
        if later.is_empty() {
            return parts;
        }
        rest = later;
    }
}

/// How many of `lines` fit one part: at least one where there is one.
fn fitting(lines: &[String]) -> usize {
    let mut room = limits::LOG_BYTES;
    for (i, line) in lines.iter().enumerate() {
        let size = json_bytes(line);
        if size > room && i > 0 {
            return i;
        }
        room = room.saturating_sub(size);
    }
    lines.len()
}

/// Bytes of a line in a JSON array: a miner may print control characters, six bytes each.
fn json_bytes(line: &str) -> usize {
    let escaped = line.bytes().map(|b| match b {
        b'"' | b'\\' => 2,
        0..=31 => 6,
        _ => 1,
    });
    escaped.sum::<usize>() + 3
}

/// The logs that the other side follows. It wants no more than it gave credit for; what it is too slow for is
/// counted, not kept. Dropped, it leaves every ring.
pub struct Follows {
    /// The writer's own channel; closed with the reader.
    wake: Weak<Sender<Box<Outbound>>>,
    open: BTreeMap<u64, Follow>,
    /// The one served last, so that each gets its turn.
    last: u64,
    next_part: Instant,
}

struct Follow {
    ring: Arc<LogRing>,
    follower: u64,
    cursor: u64,
    credit: usize,
    /// Set when there may be something to send.
    ready: Arc<AtomicBool>,
}

impl Drop for Follow {
    fn drop(&mut self) {
        self.ring.unfollow(self.follower);
    }
}

impl Follows {
    pub fn new(wake: Weak<Sender<Box<Outbound>>>) -> Self {
        Self { wake, open: BTreeMap::new(), last: 0, next_part: Instant::now() }
    }

    /// More credit for a log that is followed already; `false` when it is not.
    pub fn grant(&mut self, follow: u64, credit: usize) -> bool {
        let Some(open) = self.open.get_mut(&follow) else { return false };
        open.credit = open.credit.saturating_add(credit).min(CREDIT);
        open.ready.store(true, Ordering::SeqCst);
        true
    }

    /// Begins `lines` lines back; `false` when too many are followed.
    pub fn begin(&mut self, follow: u64, ring: Arc<LogRing>, lines: usize, credit: usize) -> bool {
        if self.open.len() >= FOLLOWS {
            return false;
        }
        let ready = Arc::new(AtomicBool::new(true));
        let (armed, wake) = (ready.clone(), self.wake.clone());
        // One wake-up until the writer has looked. Should the channel be full, the writer is about to look anyway.
        let follower = ring.follow(Box::new(move || {
            if !armed.swap(true, Ordering::SeqCst)
                && let Some(wake) = wake.upgrade()
            {
                let _ = wake.try_send(Box::new(Outbound::LogsReady { follow }));
            }
        }));
        let cursor = ring.start(lines);
        let credit = credit.min(CREDIT);
        self.open.insert(follow, Follow { ring, follower, cursor, credit, ready });
        true
    }

    pub fn end(&mut self, follow: u64) {
        self.open.remove(&follow);
    }

    /// When [`Follows::next`] is to be called; `None` while there is nothing to send.
    pub fn due(&self) -> Option<Instant> {
        self.open.values().any(Follow::is_ready).then_some(self.next_part)
    }

    /// The next part to send, from the log whose turn it is.
    pub fn next(&mut self, now: Instant) -> Option<LogLines> {
        let mut later = self.open.range((Excluded(self.last), Unbounded));
        let follow = later
            .find(|(_, open)| open.is_ready())
            .or_else(|| self.open.iter().find(|(_, open)| open.is_ready()))
            .map(|(follow, _)| *follow)?;
        self.last = follow;
        let part = self.open.get_mut(&follow)?.part()?;
        self.next_part = now + PART_EVERY;
        if part.ended {
            self.open.remove(&follow);
        }
        Some(LogLines { follow: Some(follow), ..part })
    }
}

impl Follow {
    /// Without credit it stays marked and is left alone, so that a busy miner wakes nobody in vain.
    fn is_ready(&self) -> bool {
        self.credit > 0 && self.ready.load(Ordering::SeqCst)
    }

    /// Reads on as far as credit and one envelope reach; `None` when there is nothing to say.
    fn part(&mut self) -> Option<LogLines> {
        // Before reading: a line that comes meanwhile makes it ready again.
        self.ready.store(false, Ordering::SeqCst);
        let mut want = self.credit;
        let chunk = loop {
            let chunk = self.ring.read(self.cursor, want, limits::LOG_BYTES);
            let fitting = fitting(&chunk.lines);
            if fitting == chunk.lines.len() {
                break chunk;
            }
            want = fitting;
        };
        if chunk.lines.is_empty() && !chunk.ended {
            return None;
        }
        self.cursor = chunk.next;
        self.credit -= chunk.lines.len();
        // Perhaps there is more; the next look will tell.
        self.ready.store(true, Ordering::SeqCst);
        Some(LogLines {
            lines: chunk.lines,
            skipped: chunk.skipped,
            ended: chunk.ended,
            ..LogLines::default()
        })
    }
}

#[cfg(test)]
#[path = "follow_tests.rs"]
mod tests;
