//! This node's own miners. What is meant to run (`wanted`, on disk) and what is seen to run (`state`) are kept apart.
//!
//! ```text
//!            start                 API answers, hashes
//!  (new) ------------> Starting ----------------------> Hashing <--> NotHashing
//!                        |  ^                              |             |
//!         exit, mendable |  | 1, 2, 4 .. 300 s             | exit        | exit
//!                        v  |                              v             v
//!                      Backoff  <--------------------------+-------------+
//!                        | fifth exit in 10 min            any, told to stop: Stopping -> Stopped
//!                        v
//!                     CrashLoop (a try every 5 min)        any, exit that a restart cannot mend: Failed
//! ```
use std::collections::VecDeque;
use std::time::Duration;

use super::timers::Timer;
use super::{Cx, Out, Registry};
use crate::bus::{MinerEvent, Note, SpawnCommand};
use crate::model::fault::{Code, Fault};
use crate::model::miner::{DesiredMiner, MinerState};
use crate::model::profile::Profile;
use crate::model::stats::MinerSample;
use crate::model::time::{Mono, Now, Timestamp};

/// SIGTERM to SIGKILL. A miner that builds its data set ends only when that is done (XMRig: 26 s measured).
pub const GRACE: Duration = Duration::from_secs(60);
/// The same when the whole daemon ends: a killed miner loses nothing but its last share.
pub const LAST_GRACE: Duration = Duration::from_secs(15);
const LONGEST_BACKOFF: Duration = Duration::from_secs(300);
/// Five exits within this time are a crash loop; a run of this length clears the count.
const LOOP_WINDOW: Duration = Duration::from_secs(600);
const LOOP_EXITS: usize = 5;
/// Miners that ended and are still shown.
const ENDED: usize = 8;

pub struct Miner {
    pub name: String,
    pub profile: Profile,
    pub wanted: bool,
    pub state: MinerState,
    pub reason: Option<String>,
    /// Tells this process from the ones before.
    pub run: u64,
    /// There is a process, or one is being made.
    pub process: bool,
    /// To be started anew when the present process is gone.
    again: bool,
    pub started: Option<Now>,
    pub sample: Option<(MinerSample, Now)>,
    /// Why the last poll brought nothing.
    pub no_sample: Option<String>,
    pub pool_trouble: Option<String>,
    pub last_share_at: Option<Timestamp>,
    pub restarts: u64,
    /// Exits that nobody asked for, within the last ten minutes.
    exits: VecDeque<Mono>,
    failures: u32,
    pub past: VecDeque<(Timestamp, Option<f64>)>,
}

impl Miner {
    pub fn new(wanted: DesiredMiner) -> Self {
        Self {
            name: wanted.name,
            profile: wanted.profile,
            wanted: true,
            state: MinerState::Starting,
            reason: None,
            run: 0,
            process: false,
            again: false,
            started: None,
            sample: None,
            no_sample: None,
            pool_trouble: None,
            last_share_at: None,
            restarts: 0,
            exits: VecDeque::new(),
            failures: 0,
            past: VecDeque::new(),
        }
    }
}

impl Registry {
    pub(super) fn restore_miners(&mut self, wanted: Vec<DesiredMiner>, cx: &mut Cx) {
        for one in wanted {
            let name = one.name.clone();
            self.miners.insert(name.clone(), Miner::new(one));
            self.launch(&name, cx);
        }
    }

    pub(super) fn find_miner(&self, name: &str) -> Result<&Miner, Fault> {
        self.miners.get(name).ok_or_else(|| {
            let known: Vec<_> = self.miners.keys().map(String::as_str).collect();
            let hint = if known.is_empty() {
                "none has been started here".to_owned()
            } else {
                format!("there are: {}", known.join(", "))
            };
            Fault::new(
                Code::MinerNotFound,
                format!("{} has no miner called {name:?}", self.setup.me.name),
            )
            .hint(hint)
        })
    }

    // ---- one miner's life ----

    pub(super) fn launch(&mut self, name: &str, cx: &mut Cx) {
        let run = self.count();
        let Some(miner) = self.miners.get_mut(name) else { return };
        miner.run = run;
        miner.process = true;
        miner.again = false;
        miner.state = MinerState::Starting;
        miner.started = None;
        miner.sample = None;
        miner.no_sample = None;
        miner.pool_trouble = None;
        let profile = Box::new(miner.profile.clone());
        cx.out.push(Out::Spawn(SpawnCommand::Start { name: name.to_owned(), run, profile }));
    }

    /// Not wanted any more.
    pub(super) fn end(&mut self, name: &str, cx: &mut Cx) {
        let Some(miner) = self.miners.get_mut(name) else { return };
        miner.wanted = false;
        miner.again = false;
        miner.reason = None;
        if miner.process {
            miner.state = MinerState::Stopping;
            let (name, run) = (miner.name.clone(), miner.run);
            cx.out.push(Out::Spawn(SpawnCommand::Stop { name, run, grace: GRACE, for_good: true }));
        } else {
            miner.state = MinerState::Stopped;
        }
    }

    pub(super) fn begin_again(&mut self, name: &str, cx: &mut Cx) {
        let Some(miner) = self.miners.get_mut(name) else { return };
        miner.wanted = true;
        miner.reason = None;
        miner.exits.clear();
        miner.failures = 0;
        if !miner.process {
            return self.launch(name, cx);
        }
        miner.again = true;
        miner.state = MinerState::Stopping;
        let (name, run) = (miner.name.clone(), miner.run);
        cx.out.push(Out::Spawn(SpawnCommand::Stop { name, run, grace: GRACE, for_good: false }));
    }

    pub(super) fn start_is_due(&mut self, name: &str, run: u64, cx: &mut Cx) {
        let Some(miner) = self.miners.get_mut(name) else { return };
        if self.stopping || !miner.wanted || miner.process || miner.run != run {
            return;
        }
        miner.restarts += 1;
        self.launch(name, cx);
    }

    pub(super) fn miner_event(&mut self, event: MinerEvent, cx: &mut Cx) {
        let before: Vec<MinerState> = self.miners.values().map(|m| m.state).collect();
        self.take_miner_event(event, cx);
        self.settle_waits(cx);
        if before.iter().ne(self.miners.values().map(|m| &m.state)) {
            self.report(cx);
        }
    }

    fn take_miner_event(&mut self, event: MinerEvent, cx: &mut Cx) {
        match event {
            MinerEvent::Started { name, run, pid } => {
                let Some(miner) = self.running(&name, run) else { return };
                miner.started = Some(cx.now);
                cx.info(format!("{name} runs as process {pid}"));
            }
            MinerEvent::NotStarted { name, run, reason, permanent } => {
                self.exited(&name, run, reason, permanent, cx);
            }
            MinerEvent::Sample { name, run, sample } => {
                let Some(miner) = self.running(&name, run) else { return };
                miner.take_sample(*sample, cx.now);
            }
            MinerEvent::NoSample { name, run, reason } => {
                let Some(miner) = self.running(&name, run) else { return };
                miner.no_sample = Some(reason);
                miner.observe(cx.now);
            }
            MinerEvent::Noted { name, run, note } => self.noted(&name, run, note, cx),
            MinerEvent::Exited { name, run, reason, permanent, .. } => {
                self.exited(&name, run, reason, permanent, cx);
            }
        }
    }

    /// The miner, if `run` is its present process.
    fn running(&mut self, name: &str, run: u64) -> Option<&mut Miner> {
        self.miners.get_mut(name).filter(|m| m.run == run && m.process)
    }

    fn noted(&mut self, name: &str, run: u64, note: Note, cx: &mut Cx) {
        let Some(miner) = self.running(name, run) else { return };
        match note {
            Note::ShareAccepted => miner.last_share_at = Some(cx.now.wall),
            Note::PoolTrouble(text) => {
                miner.pool_trouble = Some(crate::model::text::clean(&text, 200));
            }
            Note::PoolFine => miner.pool_trouble = None,
            Note::ApiPortTaken if miner.state != MinerState::Stopping => {
                // It would hash unseen for ever. The next start takes another port.
                miner.again = true;
                miner.restarts += 1;
                miner.state = MinerState::Stopping;
                miner.reason = Some(
                    "its API port was taken by another program; started anew on another port"
                        .to_owned(),
                );
                cx.warn(format!("{name}: its API port was taken; starting it anew on another"));
                cx.out.push(Out::Spawn(SpawnCommand::Stop {
                    name: name.to_owned(),
                    run,
                    grace: GRACE,
                    for_good: false,
                }));
            }
            Note::ApiPortTaken => {}
        }
    }

    /// The process is gone, or never came to be.
    fn exited(&mut self, name: &str, run: u64, reason: String, permanent: bool, cx: &mut Cx) {
        let stopping = self.stopping;
        let Some(miner) = self.running(name, run) else { return };
        let lived = miner.started.map_or(Duration::ZERO, |s| cx.now.mono.since(s.mono));
        miner.process = false;
        miner.started = None;
        miner.sample = None;
        if !miner.wanted || stopping {
            miner.state = MinerState::Stopped;
            cx.info(format!("{name} stopped: {reason}"));
            return self.forget_ended(cx);
        }
        if miner.again {
            cx.info(format!("{name} ended to be started anew: {reason}"));
            return self.launch(name, cx);
        }
        cx.warn(format!("{name} ended: {reason}"));
        miner.reason = Some(reason);
        if permanent {
            miner.state = MinerState::Failed;
            return;
        }
        if lived >= LOOP_WINDOW {
            miner.failures = 0;
        }
        miner.exits.push_back(cx.now.mono);
        miner.exits.retain(|at| cx.now.mono.since(*at) < LOOP_WINDOW);
        let wait = miner.next_try();
        let jitter = 0.8 + 0.4 * self.random.fraction();
        let timer = Timer::MinerStart { name: name.to_owned(), run };
        self.timers.set(cx.now.mono.plus(wait.mul_f64(jitter)), timer);
    }

    /// Keeps the last few that ended, for their logs and reasons.
    pub(super) fn forget_ended(&mut self, cx: &mut Cx) {
        let mut ended: Vec<(u64, String)> = self
            .miners
            .values()
            .filter(|m| !m.wanted && !m.process)
            .map(|m| (m.run, m.name.clone()))
            .collect();
        ended.sort();
        for (_, name) in ended.iter().rev().skip(ENDED) {
            self.miners.remove(name);
            cx.out.push(Out::ForgetLog { miner: name.clone() });
        }
    }
}

impl Miner {
    /// Counts a failure; how long to wait before the next start.
    fn next_try(&mut self) -> Duration {
        if self.exits.len() >= LOOP_EXITS {
            self.state = MinerState::CrashLoop;
            return LONGEST_BACKOFF;
        }
        self.state = MinerState::Backoff;
        let wait = Duration::from_secs(1) * 2_u32.pow(self.failures.min(9));
        self.failures += 1;
        wait.min(LONGEST_BACKOFF)
    }
}
