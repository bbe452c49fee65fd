//! The watchdog: a miner that lives and does not work is ended and started again. Time is counted from review to
//! review, so that a daemon which was itself frozen does not blame the miner for it.
use std::time::Duration;

use super::events::About;
use super::miners::Miner;
use super::{Cx, Out, Registry};
use crate::bus::SpawnCommand;
use crate::model::event::{EventKind, Severity};
use crate::model::miner::MinerState;
use crate::model::time::{Mono, Now};

/// No answer of the API for so long …
const SILENT: Duration = Duration::from_secs(60);
/// … or, when its last word was that its pool is away, for so long: nobody is served by a restart then.
const SILENT_WITHOUT_POOL: Duration = Duration::from_secs(1200);
/// No hashes with the pool connected for so long …
const BARREN: Duration = Duration::from_secs(300);
/// … and before the first ones, or while a data set is built.
const WARMING: Duration = Duration::from_secs(600);
/// So long a run has to hash until what was before is forgiven.
const HEALTHY: Duration = Duration::from_secs(600);
/// More time than this between two reviews was not watched.
const STEP: Duration = Duration::from_secs(20);
/// SIGTERM to SIGKILL: a miner that hangs, or is stopped by a signal, does not end by itself.
pub const GRACE: Duration = Duration::from_secs(10);

/// What the watchdog has counted of the present run.
#[derive(Default)]
pub struct Watch {
    /// Counted up to here.
    until: Mono,
    /// Without an answer of the API.
    silent: Duration,
    /// Without hashes while the pool was connected.
    barren: Duration,
    /// Hashing, without a break.
    healthy: Duration,
    hashed: bool,
}

impl Registry {
    /// Every 10 s.
    pub(super) fn watch_miners(&mut self, cx: &mut Cx) {
        let mut hung = Vec::new();
        let mut mended = Vec::new();
        for miner in self.miners.values_mut() {
            if let Some(reason) = miner.watch(cx.now) {
                hung.push((miner.name.clone(), reason));
            } else if miner.watch.healthy >= HEALTHY && miner.forgive() {
                mended.push(miner.name.clone());
            }
        }
        for (name, reason) in hung {
            self.bite(&name, &reason, cx);
        }
        for name in mended {
            let text = format!("{name} has hashed for ten minutes: its crash loop is over");
            let about = About::miner(&name);
            self.raise(EventKind::MinerRestarted, Severity::Info, about, text, cx);
        }
    }

    fn bite(&mut self, name: &str, reason: &str, cx: &mut Cx) {
        let Some(miner) = self.miners.get_mut(name) else { return };
        miner.state = MinerState::Stopping;
        miner.reason = Some(reason.to_owned());
        miner.hung = Some(reason.to_owned());
        let (run, looping) = (miner.run, miner.looping);
        let text = format!("{name} hangs: {reason}; it is ended and started again");
        if looping {
            cx.info(text);
        } else {
            self.raise(EventKind::MinerHung, Severity::Warning, About::miner(name), text, cx);
        }
        let name = name.to_owned();
        cx.out.push(Out::Spawn(SpawnCommand::Stop { name, run, grace: GRACE, for_good: false }));
    }
}

impl Miner {
    /// Counts on to `now`; a reason when the miner should be ended.
    fn watch(&mut self, now: Now) -> Option<String> {
        let started = self.started?;
        if !self.process || self.state == MinerState::Stopping {
            return None;
        }
        let last = self.watch.until.max(started.mono);
        self.watch.until = now.mono;
        let step = now.mono.since(last).min(STEP);
        let answered = self.sample.as_ref().map(|(_, at)| at.mono).filter(|at| *at > last);
        self.watch.silent =
            answered.map_or(self.watch.silent + step, |at| now.mono.since(at).min(step));
        let hashing = self.state == MinerState::Hashing;
        self.watch.healthy = if hashing { self.watch.healthy + step } else { Duration::ZERO };
        let outage = self.sample.as_ref().is_some_and(|(s, _)| s.pool.connected == Some(false));
        if let Some(sample) = self.fresh(now) {
            let (rate, connected) = (sample.hashrate.now, sample.pool.connected);
            let hashes = rate.is_some_and(|r| r > 0.0);
            self.watch.hashed |= hashes;
            self.watch.barren = match connected {
                Some(true) if !hashes => self.watch.barren + step,
                _ => Duration::ZERO,
            };
        }
        let silence = if outage { SILENT_WITHOUT_POOL } else { SILENT };
        if self.watch.silent >= silence {
            let why = self.no_sample.as_deref().map(|w| format!(" ({w})")).unwrap_or_default();
            return Some(format!("no answer of its API for {} s{why}", silence.as_secs()));
        }
        // While threads are made anew, XMRig knows no highest rate either.
        let known = self.sample.as_ref().is_some_and(|(s, _)| s.hashrate.highest.is_some());
        let patience = if self.watch.hashed && known { BARREN } else { WARMING };
        (self.watch.barren >= patience).then(|| {
            format!("no hashes for {} minutes while its pool is connected", patience.as_secs() / 60)
        })
    }

    /// Forgets earlier failures; true when they were a crash loop.
    pub fn forgive(&mut self) -> bool {
        self.exits.clear();
        self.failures = 0;
        self.hangs = 0;
        std::mem::take(&mut self.looping)
    }
}
