//! What a miner is seen to do: its readings, the state that follows from them, and its row for people.
use std::time::Duration;

use super::miners::Miner;
use super::{Cx, Registry};
use crate::model::miner::MinerState;
use crate::model::stats::{FRESH_MS, MinerSample, MinerStats, Pool};
use crate::model::time::{Now, Timestamp};

/// So long after its start a miner may be without a pool or an API before that is called a trouble …
const SETTLING: Duration = Duration::from_secs(15);
/// … and so long without any hashrate while its pool is connected: RandomX builds its data set, DAGs are made.
const WARMING: Duration = Duration::from_secs(600);
/// Readings kept in memory: an hour of one every 10 s.
const PAST: usize = 360;

impl Registry {
    /// Every 10 s: readings may have become stale without any event.
    pub(super) fn review_miners(&mut self, cx: &mut Cx) {
        for miner in self.miners.values_mut() {
            miner.observe(cx.now);
            if miner.process || miner.wanted {
                let hashrate = miner.fresh(cx.now).and_then(|s| s.hashrate.now);
                miner.past.push_back((cx.now.wall, hashrate));
                if miner.past.len() > PAST {
                    miner.past.pop_front();
                }
            }
        }
        self.watch_miners(cx);
    }
}

impl Miner {
    pub fn take_sample(&mut self, sample: MinerSample, now: Now) {
        if self.sample.as_ref().is_some_and(|(old, _)| sample.accepted_since(old) > 0) {
            self.last_share_at = self.last_share_at.max(Some(now.wall));
        }
        self.sample = Some((sample, now));
        self.no_sample = None;
        self.observe(now);
    }

    /// The last reading, unless it is too old to be one.
    pub fn fresh(&self, now: Now) -> Option<&MinerSample> {
        let (sample, at) = self.sample.as_ref()?;
        let age = i64::try_from(now.mono.since(at.mono).as_millis()).unwrap_or(i64::MAX);
        (age <= FRESH_MS).then_some(sample)
    }

    /// Moves between the states of a live process, by what its readings say.
    pub fn observe(&mut self, now: Now) {
        if !self.process || self.state == MinerState::Stopping {
            return;
        }
        let Some(started) = self.started else { return };
        let age = now.mono.since(started.mono);
        let young = age < SETTLING;
        let trouble = |what: &str| match &self.pool_trouble {
            Some(said) => format!("{what}: {said}"),
            None => what.to_owned(),
        };
        let (state, reason) = match self.fresh(now) {
            None if young => (MinerState::Starting, None),
            None => {
                let why = self.no_sample.as_deref().unwrap_or("no answer");
                (MinerState::NotHashing, Some(format!("its API gives no reading: {why}")))
            }
            Some(sample) => match (sample.hashrate.now, sample.pool.connected) {
                (_, Some(false)) if !young || self.state == MinerState::Hashing => {
                    (MinerState::NotHashing, Some(trouble("not connected to its pool")))
                }
                (Some(rate), _) if rate > 0.0 => (MinerState::Hashing, None),
                (Some(_), _) if !young => {
                    (MinerState::NotHashing, Some("it reports 0 H/s".to_owned()))
                }
                (None, _) if age > WARMING => {
                    (MinerState::NotHashing, Some("no hashrate for ten minutes".to_owned()))
                }
                // A gap in the readings of a miner that hashes (a new algorithm, a new window) is no change.
                (None, Some(true)) if self.state == MinerState::Hashing => {
                    (MinerState::Hashing, None)
                }
                _ => (MinerState::Starting, None),
            },
        };
        self.state = state;
        self.reason = reason;
    }

    /// The row for people. A reading that is too old keeps its counters and loses its hashrate.
    pub fn view(&self, now: Now) -> MinerStats {
        let sample = self.sample.as_ref().map(|(s, _)| s.clone()).unwrap_or_default();
        let mut hashrate = sample.hashrate;
        if self.fresh(now).is_none() {
            hashrate.now = None;
        }
        let configured = self.profile.config.pool.clone();
        MinerStats {
            name: self.name.clone(),
            miner_type: self.profile.miner_type.clone(),
            simulated: self.profile.miner_type == "simulated",
            state: self.state,
            wanted: self.wanted,
            reason: self.reason.clone(),
            profile_id: Some(self.profile.id.clone()),
            algorithm: self.algorithm(),
            hashrate,
            accepted: sample.accepted,
            rejected: sample.rejected,
            stale: sample.stale,
            invalid: sample.invalid,
            last_share_at: self.last_share_at,
            difficulty: sample.difficulty,
            pool: Pool { url: sample.pool.url.clone().or(configured), ..sample.pool },
            uptime: self.started.filter(|_| self.process).map(|s| now.mono.since(s.mono).as_secs()),
            restarts: self.restarts,
            threads: sample.threads,
            huge_pages: sample.huge_pages,
            power: sample.power,
            devices: sample.devices,
            version: sample.version,
            as_of: self.sample.as_ref().map(|(_, at)| at.wall),
        }
    }

    /// Some miners do not tell what they compute, and what has no name would be missing in the totals.
    pub fn algorithm(&self) -> Option<String> {
        let config = &self.profile.config;
        let told = self.sample.as_ref().and_then(|(sample, _)| sample.algorithm.clone());
        told.or_else(|| config.algo.clone())
            .or_else(|| config.coin.as_ref().map(|c| c.to_ascii_uppercase()))
    }

    /// H/s of the last hour; `None` where there was no reading.
    pub fn history(&self) -> Vec<(Timestamp, Option<f64>)> {
        self.past.iter().copied().collect()
    }
}
