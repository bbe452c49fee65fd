//! The spawner thread: owns every child, and alone makes, signals and reaps them. It sleeps until it is told
//! something, or until a stopped miner's grace is over.
use std::collections::BTreeMap;
use std::io::PipeWriter;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, SendTimeoutError, Sender, at, never, select};

use super::adapter::{Adapter, StartProblem};
use super::start::{Started, Watched, start, watch};
use super::survey::Survey;
use super::{MinerSetup, leftovers};
use crate::bus::{self, Event, MinerEvent, SpawnCommand};
use crate::logs::LogRing;
use crate::model::profile::Profile;
use crate::sys::process::{Exit, Group, Identity, Signal};
use crate::warning;

/// How long the registry may leave an event waiting before a line is logged about it.
const PATIENCE: Duration = Duration::from_secs(5);
/// Lines of output that go with the event of a crash loop.
const EVENT_LINES: usize = 50;
/// Lines of output from which the reason of an exit is read.
const LAST_LINES: usize = 20;

/// The body of the thread `spawner`. It ends when a StopAll is done, or when `commands` is closed, and kills what
/// then still runs. Everything
/// it starts dies with the thread, however that ends.
#[expect(clippy::needless_pass_by_value, reason = "the thread owns what it runs on")]
pub fn run(setup: MinerSetup, commands: Receiver<SpawnCommand>, events: Sender<Event>) {
    leftovers::clear(&setup.leftovers);
    let (finished, readers) = bus::wire_channel(64);
    let mut spawner = Spawner {
        setup: Arc::new(setup),
        events,
        finished,
        miners: BTreeMap::new(),
        threads: Vec::new(),
        waiting: Vec::new(),
        survey: Survey::default(),
    };
    loop {
        let timer = spawner.next_deadline().map_or_else(never, at);
        select! {
            recv(commands) -> command => match command {
                Ok(command) => spawner.obey(command),
                Err(_) => break,
            },
            recv(readers) -> done => if let Ok((name, run)) = done {
                spawner.output_ended(&name, run);
            },
            recv(timer) -> _ => {}
        }
        // Looked at after every message, so that a lost Reap delays nothing for long.
        spawner.kill_overdue(Instant::now());
        spawner.reap();
        if spawner.report_exits() {
            break;
        }
    }
    spawner.end(&readers);
}

struct Spawner {
    setup: Arc<MinerSetup>,
    events: Sender<Event>,
    finished: Sender<(String, u64)>,
    miners: BTreeMap<String, Running>,
    threads: Vec<JoinHandle<()>>,
    /// Hear when nothing runs any more.
    waiting: Vec<Sender<()>>,
    survey: Survey,
}

struct Running {
    run: u64,
    adapter: &'static dyn Adapter,
    identity: Option<Identity>,
    folder: PathBuf,
    ring: Arc<LogRing>,
    stop: Option<Stop>,
    life: Life,
    /// All its output is read.
    output_ended: bool,
}

enum Life {
    Alive { group: Group, _gone: PipeWriter, _over: Sender<()> },
    Reaped(Exit),
}

/// A miner that was told to end.
struct Stop {
    grace: Duration,
    /// When SIGKILL is due; `None` once it was sent.
    kill_at: Option<Instant>,
    /// It is not to start again: the followers of its output may go.
    for_good: bool,
}

impl Spawner {
    fn obey(&mut self, command: SpawnCommand) {
        match command {
            SpawnCommand::Start { name, run, profile } => self.start(name, run, &profile),
            SpawnCommand::Stop { name, run, grace, for_good } => {
                if let Some(miner) = self.miners.get_mut(&name).filter(|miner| miner.run == run) {
                    miner.stop(grace, for_good);
                }
            }
            SpawnCommand::StopAll { grace, done } => {
                self.miners.values_mut().for_each(|miner| miner.stop(grace, true));
                self.waiting.push(done);
            }
            SpawnCommand::Reap => {}
            SpawnCommand::Survey { reply } => self.survey.answer(&self.setup, reply),
        }
    }

    fn start(&mut self, name: String, run: u64, profile: &Profile) {
        self.threads.retain(|thread| !thread.is_finished());
        if self.miners.contains_key(&name) {
            let reason = "its last process has not ended yet".to_owned();
            return self.report(MinerEvent::NotStarted { name, run, reason, permanent: false });
        }
        let Started { group, adapter, identity, folder, ring, pipe, api } =
            match start(&self.setup, &name, profile) {
                Ok(started) => started,
                Err(StartProblem { reason, permanent }) => {
                    return self.report(MinerEvent::NotStarted { name, run, reason, permanent });
                }
            };
        // Told before its threads tell anything of it.
        self.report(MinerEvent::Started { name: name.clone(), run, pid: group.pid() });
        let output = (pipe, ring.clone(), api);
        match watch((&name, run), adapter, output, &self.events, &self.finished) {
            Ok(Watched { gone, over, threads }) => {
                self.threads.extend(threads);
                let life = Life::Alive { group, _gone: gone, _over: over };
                let miner = Running {
                    run,
                    adapter,
                    identity,
                    folder,
                    ring,
                    stop: None,
                    life,
                    output_ended: false,
                };
                self.miners.insert(name, miner);
                self.write_leftovers();
            }
            Err(e) => {
                let _ = group.reap();
                let reason =
                    format!("it was ended at once, no thread or pipe can be had for it: {e}");
                let (code, signal, permanent) = (None, None, false);
                self.report(MinerEvent::Exited { name, run, code, signal, reason, permanent });
            }
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.miners.values().filter_map(|miner| miner.stop.as_ref()?.kill_at).min()
    }

    fn kill_overdue(&mut self, now: Instant) {
        for miner in self.miners.values_mut() {
            if let (Life::Alive { group, .. }, Some(stop)) = (&miner.life, &mut miner.stop)
                && stop.kill_at.is_some_and(|at| at <= now)
            {
                stop.kill_at = None;
                let _ = group.signal(Signal::Kill);
            }
        }
    }

    fn reap(&mut self) {
        let mut some = false;
        for miner in self.miners.values_mut() {
            // A child that cannot be asked about is not ours any more.
            let ended = matches!(&miner.life, Life::Alive { group, .. } if group.has_ended().unwrap_or(true));
            if ended {
                some = true;
                miner.bury();
            }
        }
        if some {
            self.write_leftovers();
        }
    }

    fn output_ended(&mut self, name: &str, run: u64) {
        if let Some(miner) = self.miners.get_mut(name).filter(|miner| miner.run == run) {
            miner.output_ended = true;
        }
    }

    /// Tells of those that are reaped and read: the reason of an exit is in the last lines. True when everything was
    /// to stop and has.
    fn report_exits(&mut self) -> bool {
        let over = |miner: &Running| miner.output_ended && matches!(miner.life, Life::Reaped(_));
        let names: Vec<String> = self
            .miners
            .iter()
            .filter(|(_, miner)| over(miner))
            .map(|(name, _)| name.clone())
            .collect();
        for name in names {
            if let Some(miner) = self.miners.remove(&name)
                && let Life::Reaped(exit) = miner.life
            {
                let (reason, permanent) = miner.reason(exit);
                let _ = std::fs::remove_dir_all(&miner.folder);
                let for_good = miner.stop.is_some_and(|stop| stop.for_good);
                if permanent || for_good {
                    miner.ring.end();
                }
                let Exit { code, signal } = exit;
                if !for_good {
                    let lines = miner.ring.tail(EVENT_LINES, false);
                    self.report(MinerEvent::LastLines {
                        name: name.clone(),
                        run: miner.run,
                        lines,
                    });
                }
                self.report(MinerEvent::Exited {
                    name,
                    run: miner.run,
                    code,
                    signal,
                    reason,
                    permanent,
                });
            }
        }
        let all_gone = !self.waiting.is_empty() && self.miners.is_empty();
        if all_gone {
            for done in self.waiting.drain(..) {
                let _ = done.try_send(());
            }
        }
        all_gone
    }

    fn write_leftovers(&self) {
        let alive = |miner: &&Running| matches!(miner.life, Life::Alive { .. });
        let known = self.miners.values().filter(alive).filter_map(|miner| miner.identity.clone());
        if let Err(e) = leftovers::write(&self.setup.leftovers, known.collect()) {
            warning!("the running miners cannot be written down: {e}");
        }
    }

    /// The registry must hear this, or it would be wrong about the miner for ever.
    fn report(&self, event: MinerEvent) {
        let mut event = Event::Miner(event);
        loop {
            match self.events.send_timeout(event, PATIENCE) {
                Ok(()) | Err(SendTimeoutError::Disconnected(_)) => return,
                Err(SendTimeoutError::Timeout(unsent)) => {
                    warning!(
                        "the registry has not taken an event of a miner for {} s",
                        PATIENCE.as_secs()
                    );
                    event = unsent;
                }
            }
        }
    }

    /// Nobody gives commands any more.
    fn end(mut self, readers: &Receiver<(String, u64)>) {
        self.miners.values_mut().for_each(Running::bury);
        self.report_exits();
        while !self.miners.is_empty()
            && let Ok((name, run)) = readers.recv()
        {
            self.output_ended(&name, run);
            self.report_exits();
        }
        self.write_leftovers();
        self.threads.into_iter().for_each(|thread| drop(thread.join()));
    }
}

impl Running {
    /// SIGTERM now, SIGKILL after `grace`. A second stop can only shorten the wait.
    fn stop(&mut self, grace: Duration, for_good: bool) {
        let Life::Alive { group, .. } = &self.life else { return };
        let kill_at = Instant::now() + grace;
        match &mut self.stop {
            Some(stop) if stop.kill_at.is_none_or(|at| at <= kill_at) => stop.for_good |= for_good,
            stop => {
                *stop = Some(Stop { grace, kill_at: Some(kill_at), for_good });
                let _ = group.signal(Signal::Terminate);
            }
        }
    }

    /// Kills what is left of the group and reaps the leader; its threads learn of it by their dropped ends.
    fn bury(&mut self) {
        let nothing = Life::Reaped(Exit { code: None, signal: None });
        self.life = match std::mem::replace(&mut self.life, nothing) {
            Life::Alive { group, .. } => {
                Life::Reaped(group.reap().unwrap_or(Exit { code: None, signal: None }))
            }
            reaped @ Life::Reaped(_) => reaped,
        };
    }

    fn reason(&self, exit: Exit) -> (String, bool) {
        match &self.stop {
            None => {
                self.adapter.exit_reason(exit.code, exit.signal, &self.ring.tail(LAST_LINES, false))
            }
            Some(Stop { kill_at: Some(_), .. }) => ("it was stopped".to_owned(), false),
            Some(Stop { kill_at: None, grace, .. }) => {
                let seconds = grace.as_secs_f64();
                (
                    format!(
                        "it was stopped: SIGTERM did not end it within {seconds} s, SIGKILL did"
                    ),
                    false,
                )
            }
        }
    }
}
