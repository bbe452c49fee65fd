//! This node's own miners. What is meant to run (`wanted`, on disk) and what is seen to run (`state`) are kept apart.
//! ARCHITECTURE.md draws the states and what moves between them.
use std::collections::VecDeque;
use std::time::Duration;

use super::events::About;
use super::readings::Counted;
use super::timers::Timer;
use super::watchdog::Watch;
use super::{Cx, Out, Registry, hostile};
use crate::bus::{MinerEvent, Note, SpawnCommand};
use crate::model::event::{EventKind, Severity};
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
/// Five exits within this time are a crash loop …
const LOOP_WINDOW: Duration = Duration::from_secs(600);
const LOOP_EXITS: usize = 5;
/// … and five times of hanging without ten healthy minutes between them.
const LOOP_HANGS: u32 = 5;
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
    pub counted: Counted,
    pub restarts: u64,
    /// Exits that nobody asked for, within the last ten minutes.
    pub exits: VecDeque<Mono>,
    /// Exits and hangs since the last ten healthy minutes.
    pub failures: u32,
    pub hangs: u32,
    /// In a crash loop until it was healthy for ten minutes: events about it would say nothing new.
    pub looping: bool,
    pub watch: Watch,
    /// Why the watchdog ends the present process.
    pub hung: Option<String>,
    /// There was a process before the present one.
    ran: bool,
    /// Why it was started anew without having failed.
    why_again: Option<&'static str>,
    last_lines: Vec<String>,
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
            counted: Counted::default(),
            restarts: 0,
            exits: VecDeque::new(),
            failures: 0,
            hangs: 0,
            looping: false,
            watch: Watch::default(),
            hung: None,
            ran: false,
            why_again: None,
            last_lines: Vec::new(),
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
        let Some(miner) = self.miners.get(name) else { return };
        let refused = self.may_run(&miner.profile).err();
        if let Some(fault) = refused {
            return self.refuse_launch(name, &fault.message, cx);
        }
        let Some(miner) = self.miners.get_mut(name) else { return };
        miner.run = run;
        miner.process = true;
        miner.again = false;
        miner.state = MinerState::Starting;
        miner.started = None;
        miner.sample = None;
        miner.counted = miner.counted.anew();
        miner.no_sample = None;
        miner.pool_trouble = None;
        miner.watch = Watch::default();
        miner.hung = None;
        miner.last_lines.clear();
        let profile = Box::new(miner.profile.clone());
        cx.out.push(Out::Spawn(SpawnCommand::Start { name: name.to_owned(), run, profile }));
    }

    /// It was wanted before the policy forbade it.
    fn refuse_launch(&mut self, name: &str, reason: &str, cx: &mut Cx) {
        let Some(miner) = self.miners.get_mut(name) else { return };
        miner.process = false;
        miner.again = false;
        miner.state = MinerState::Failed;
        miner.reason = Some(reason.to_owned());
        let about = About::miner(name);
        let text = format!("{name} is not started: {reason}");
        self.raise(EventKind::PolicyRefused, Severity::Warning, about, text, cx);
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
        miner.forgive();
        miner.why_again = Some("it was told to");
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
                self.has_started(&name, pid, cx);
            }
            MinerEvent::NotStarted { name, run, reason, permanent } => {
                self.exited(&name, run, reason, permanent, cx);
            }
            MinerEvent::Sample { name, run, sample } => {
                let Some(miner) = self.running(&name, run) else { return };
                miner.take_sample(*sample, cx.now);
                self.make_reading(&name, cx);
            }
            MinerEvent::NoSample { name, run, reason } => {
                let Some(miner) = self.running(&name, run) else { return };
                miner.no_sample = Some(reason);
                miner.observe(cx.now);
            }
            MinerEvent::LastLines { name, run, lines } => {
                let Some(miner) = self.running(&name, run) else { return };
                miner.last_lines = hostile::event_log(&lines);
            }
            MinerEvent::Noted { name, run, note } => self.noted(&name, run, note, cx),
            MinerEvent::Exited { name, run, reason, permanent, .. } => {
                self.exited(&name, run, reason, permanent, cx);
            }
        }
    }

    fn has_started(&mut self, name: &str, pid: u32, cx: &mut Cx) {
        let Some(miner) = self.miners.get_mut(name) else { return };
        let before = std::mem::replace(&mut miner.ran, true);
        let why = miner.why_again.take();
        let text = match why {
            Some(why) => format!("{name} was started again because {why}, as process {pid}"),
            None if before => format!("{name} was started again, as process {pid}"),
            None => format!("{name} was started, as process {pid}"),
        };
        if miner.looping {
            return cx.info(text);
        }
        let kind = if before { EventKind::MinerRestarted } else { EventKind::MinerStarted };
        self.raise(kind, Severity::Info, About::miner(name), text, cx);
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
                let why = "its API port was taken by another program";
                miner.reason = Some(format!("{why}; started anew on another port"));
                miner.why_again = Some(why);
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
        miner.process = false;
        miner.started = None;
        miner.sample = None;
        let hung = miner.hung.take();
        if !miner.wanted || stopping {
            miner.state = MinerState::Stopped;
            let text = format!("{name} stopped: {reason}");
            self.raise(EventKind::MinerStopped, Severity::Info, About::miner(name), text, cx);
            return self.forget_ended(cx);
        }
        if miner.again {
            cx.info(format!("{name} ended to be started anew: {reason}"));
            return self.launch(name, cx);
        }
        if permanent && hung.is_none() {
            let text = format!("{name} failed, and a restart cannot mend it: {reason}");
            miner.state = MinerState::Failed;
            miner.reason = Some(reason);
            let about = About::miner(name);
            return self.raise(EventKind::MinerFailed, Severity::Critical, about, text, cx);
        }
        self.failed(name, reason, hung, cx);
    }

    /// It ended without being asked to, or hung: it is tried again after a while.
    fn failed(&mut self, name: &str, reason: String, hung: Option<String>, cx: &mut Cx) {
        let jitter = 0.8 + 0.4 * self.random.fraction();
        let Some(miner) = self.miners.get_mut(name) else { return };
        let (looped, hangs) = (miner.looping, hung.is_some());
        let wait = miner.next_try(cx.now.mono, hangs).mul_f64(jitter);
        let why = hung.unwrap_or(reason);
        let (run, looping) = (miner.run, miner.looping);
        let log = std::mem::take(&mut miner.last_lines);
        miner.reason = Some(why.clone());
        let about = About::miner(name);
        let seconds = wait.as_secs_f64();
        if looping && !looped {
            let text = format!(
                "{name} is in a crash loop, the last time: {why}; from now on it is tried every five minutes"
            );
            self.raise_with_log(EventKind::CrashLoop, Severity::Critical, about, text, log, cx);
        } else {
            let text = format!("{name} ended: {why}; it is started again in {seconds:.1} s");
            if looping || hangs {
                cx.info(text);
            } else {
                self.raise(EventKind::MinerExited, Severity::Warning, about, text, cx);
            }
        }
        let timer = Timer::MinerStart { name: name.to_owned(), run };
        self.timers.set(cx.now.mono.plus(wait), timer);
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
    fn next_try(&mut self, now: Mono, hung: bool) -> Duration {
        self.exits.push_back(now);
        self.exits.retain(|at| now.since(*at) < LOOP_WINDOW);
        self.hangs += u32::from(hung);
        self.looping |= self.exits.len() >= LOOP_EXITS || self.hangs >= LOOP_HANGS;
        if self.looping {
            self.state = MinerState::CrashLoop;
            return LONGEST_BACKOFF;
        }
        self.state = MinerState::Backoff;
        let wait = Duration::from_secs(1) * 2_u32.pow(self.failures.min(9));
        self.failures += 1;
        wait.min(LONGEST_BACKOFF)
    }
}
