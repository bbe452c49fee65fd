//! The shares of a miner within the last quarter of an hour, out of counters that only rise until the miner starts
//! anew.
use std::collections::VecDeque;
use std::time::Duration;

use crate::model::stats::MinerStats;
use crate::model::time::Mono;

const WINDOW: Duration = Duration::from_secs(900);
/// Readings within this time are one entry.
const COARSE: Duration = Duration::from_secs(60);
/// Fewer shares say nothing.
const ENOUGH: u64 = 20;

#[derive(Default)]
pub struct Shares {
    last: Option<Counters>,
    /// Begin, accepted, rejected; oldest first.
    past: VecDeque<(Mono, u64, u64)>,
}

struct Counters {
    at: Mono,
    accepted: u64,
    rejected: u64,
    uptime: Option<u64>,
}

impl Shares {
    pub fn take(&mut self, miner: &MinerStats, now: Mono) {
        while self.past.front().is_some_and(|(at, ..)| now.since(*at) >= WINDOW) {
            self.past.pop_front();
        }
        let (Some(accepted), Some(rejected)) = (miner.accepted, miner.rejected) else { return };
        let next = Counters { at: now, accepted, rejected, uptime: miner.uptime };
        let Some(before) = self.last.replace(next) else { return };
        // After a longer silence nobody knows when it happened.
        if now.since(before.at) >= WINDOW {
            return;
        }
        let younger = miner.uptime.zip(before.uptime).is_some_and(|(now, then)| now < then);
        let anew = younger || accepted < before.accepted || rejected < before.rejected;
        let (good, bad) = if anew {
            (accepted, rejected)
        } else {
            (accepted - before.accepted, rejected - before.rejected)
        };
        match self.past.back_mut() {
            Some(entry) if now.since(entry.0) < COARSE => {
                entry.1 = entry.1.saturating_add(good);
                entry.2 = entry.2.saturating_add(bad);
            }
            _ => self.past.push_back((now, good, bad)),
        }
    }

    /// Percent and number of the rejected ones, once there are enough shares to say so.
    pub fn rejected(&self) -> Option<(f64, u64)> {
        let sum = |of: fn(&(Mono, u64, u64)) -> u64| {
            self.past.iter().map(of).fold(0_u64, u64::saturating_add)
        };
        let (good, bad) = (sum(|e| e.1), sum(|e| e.2));
        let all = good.saturating_add(bad);
        (all >= ENOUGH).then(|| (bad as f64 / all as f64 * 100.0, bad))
    }
}
