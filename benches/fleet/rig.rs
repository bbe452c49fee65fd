//! One simulated rig: links, reports, obeys, and looks for its controller again when the link is lost.
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use miner_cli::model::fault::{Code, Fault};
use miner_cli::smsg::envelope::Envelope;
use miner_cli::smsg::limits;
use miner_cli::smsg::messages::{Body, LogLines, MinerAck};

use super::figures::Figures;
use super::fleet::Shared;
use super::wire::{Keys, Link, NoLink};

/// So many rigs may be about their first link at once: a fleet is not switched on at one moment, and a machine that is too
/// slow for [`super::fleet`]'s pace shall get there nevertheless.
const BEGINNING: usize = 128;

/// What a call to the controller came to.
pub type Called = Result<(Link, Arc<TcpStream>), NoLink>;

pub struct Rig {
    pub number: usize,
    pub keys: Arc<Keys>,
    figures: Figures,
    failures: u32,
    first: First,
    state: State,
}

/// How far it is with its first link.
#[derive(PartialEq, Eq)]
enum First {
    Waits,
    Tried,
    Done,
}

enum State {
    /// It calls when it is time.
    Away {
        until: Instant,
    },
    Calling,
    Linked(Box<Talk>),
}

/// A link's life.
struct Talk {
    link: Link,
    tcp: Arc<TcpStream>,
    every: Duration,
    report_at: Instant,
    ping_at: Instant,
    probe: Option<Probe>,
}

/// A report that is followed by a ping. The registry answers both in their order: when the pong comes, whoever asks is
/// shown the report.
struct Probe {
    id: String,
    sent: Instant,
}

impl Rig {
    /// Its first call is at `first`.
    pub fn new(number: usize, keys: Arc<Keys>, first: Instant) -> Self {
        let state = State::Away { until: first };
        Self {
            number,
            keys,
            figures: Figures::new(number),
            failures: 0,
            first: First::Waits,
            state,
        }
    }

    /// When it has something to do even if nothing comes.
    pub fn due(&self) -> Option<Instant> {
        match &self.state {
            State::Away { until } => Some(*until),
            State::Calling => None,
            State::Linked(talk) => Some(talk.report_at.min(talk.ping_at)),
        }
    }

    pub fn socket(&self) -> Option<&TcpStream> {
        match &self.state {
            State::Linked(talk) => Some(&talk.tcp),
            _ => None,
        }
    }

    /// Whether it is to be put through to its controller now; [`Rig::called`] is to follow.
    pub fn wants_to_call(&mut self, now: Instant, shared: &Shared) -> bool {
        if !matches!(self.state, State::Away { until } if until <= now) {
            return false;
        }
        if self.first == First::Waits {
            if shared.beginning.load(Relaxed) >= BEGINNING {
                self.state = State::Away { until: now + Duration::from_millis(100) };
                return false;
            }
            shared.beginning.fetch_add(1, Relaxed);
            self.first = First::Tried;
        }
        self.state = State::Calling;
        true
    }

    pub fn called(&mut self, result: Called, shared: &Shared) {
        match result {
            Ok((link, tcp)) => {
                self.failures = 0;
                if self.first == First::Tried {
                    self.first = First::Done;
                    shared.beginning.fetch_sub(1, Relaxed);
                }
                shared.linked.fetch_add(1, Relaxed);
                let now = Instant::now();
                let (every, ping_at) = (shared.every(), now + limits::PING_CONTROLLER_EVERY);
                let talk = Talk { link, tcp, every, report_at: now, ping_at, probe: None };
                self.state = State::Linked(Box::new(talk));
                self.figures.linked();
                self.go_on(shared, |rig, talk| {
                    talk.tcp.set_nonblocking(true).map_err(|e| e.to_string())?;
                    // The first report goes at once, the next after a part of the time: the rigs' beats are not in step.
                    rig.report(talk, shared)?;
                    talk.report_at = now + talk.every.mul_f64(fraction());
                    Ok(())
                });
            }
            Err(why) => self.away_after(why, shared),
        }
    }

    /// As the daemon redials: see src/registry/dialling.rs.
    fn away_after(&mut self, why: NoLink, shared: &Shared) {
        shared.refused.fetch_add(1, Relaxed);
        let doubled = Duration::from_secs(1) * 2_u32.pow(self.failures.min(6));
        self.failures += 1;
        let longest = match why {
            NoLink::Unreached => 60,
            NoLink::Answered(why) => {
                shared.note_refusal(&why);
                4
            }
        };
        let wait = jitter(doubled.min(Duration::from_secs(longest)));
        self.state = State::Away { until: Instant::now() + wait };
    }

    /// Reports and pings whose time has come.
    pub fn tick(&mut self, now: Instant, shared: &Shared) {
        self.go_on(shared, |rig, talk| {
            if talk.every != shared.every() {
                talk.every = shared.every();
                talk.report_at = now + talk.every.mul_f64(fraction());
            }
            if now >= talk.report_at {
                rig.report(talk, shared)?;
                // A machine that was too busy for its reports does not send them all at once.
                talk.report_at = (talk.report_at + talk.every).max(now);
            }
            if now >= talk.ping_at {
                talk.link.say(None, Body::Ping {})?;
                talk.ping_at = now + limits::PING_CONTROLLER_EVERY;
            }
            Ok(())
        });
    }

    /// Whatever has come.
    pub fn hear(&mut self, shared: &Shared) {
        self.go_on(shared, |rig, talk| {
            while let Some(envelope) = talk.link.hear()? {
                rig.answer(talk, *envelope, shared)?;
            }
            Ok(())
        });
    }

    /// Leaves without coming back: one with a word, one without, and one so rudely that the controller's socket fails.
    pub fn vanish(&mut self, shared: &Shared) {
        let State::Linked(mut talk) = std::mem::replace(&mut self.state, State::Calling) else {
            return;
        };
        shared.linked.fetch_sub(1, Relaxed);
        match self.number % 3 {
            0 => drop(talk.link.say(None, Body::Bye { reason: "the bench is over".to_owned() })),
            1 => {}
            _ => drop(socket2::SockRef::from(&*talk.tcp).set_linger(Some(Duration::ZERO))),
        }
    }

    /// Does something with the link, where there is one, and notes its loss.
    fn go_on(
        &mut self,
        shared: &Shared,
        act: impl FnOnce(&mut Self, &mut Talk) -> Result<(), String>,
    ) {
        let State::Linked(mut talk) = std::mem::replace(&mut self.state, State::Calling) else {
            unreachable!("only linked rigs are acted on")
        };
        match act(self, &mut talk) {
            Ok(()) => self.state = State::Linked(talk),
            Err(why) => {
                shared.linked.fetch_sub(1, Relaxed);
                shared.lost(&why);
                self.state = State::Away { until: Instant::now() + jitter(Duration::from_secs(1)) };
            }
        }
    }

    fn report(&mut self, talk: &mut Talk, shared: &Shared) -> Result<(), String> {
        let sent = Instant::now();
        let mut stats = self.figures.report(self.keys.id, &self.keys.name);
        stats.history = Some(Box::new(self.figures.live(&stats)));
        let (_, bytes) = talk.link.say(None, Body::Stats(Box::new(stats)))?;
        shared.reports.fetch_add(1, Relaxed);
        shared.bytes.fetch_add(bytes as u64, Relaxed);
        if shared.probing.load(Relaxed) && talk.probe.is_none() {
            let (id, _) = talk.link.say(None, Body::Ping {})?;
            talk.probe = Some(Probe { id, sent });
        }
        Ok(())
    }

    fn answer(&mut self, talk: &mut Talk, asked: Envelope, shared: &Shared) -> Result<(), String> {
        if let Some(asking) = asked.reply_to {
            if let Some(probe) = talk.probe.take_if(|p| p.id == asking) {
                shared.took(probe.sent.elapsed());
            }
            return Ok(());
        }
        let figures = &mut self.figures;
        let ack =
            |status: &str, miners| Body::MinerAck(MinerAck { status: status.to_owned(), miners });
        let none = |miners: &[String]| {
            let fault = Fault::new(Code::MinerNotFound, "no such miner runs here");
            miners.is_empty().then_some(Body::Error(fault))
        };
        let body = match asked.body {
            Body::Ping {} => Body::Pong {},
            Body::GetStats {} => {
                Body::Stats(Box::new(figures.report(self.keys.id, &self.keys.name)))
            }
            Body::GetHistory { after } => Body::HistoryBatch(Box::new(figures.missed(after))),
            Body::ListProfiles {} => Body::Profiles { profiles: Vec::new() },
            Body::GetLogs(logs) => {
                let lines = (0..logs.lines.min(200)).map(log_line).collect();
                Body::LogLines(LogLines { lines, ..LogLines::default() })
            }
            Body::FollowLogs(follow) => Body::LogLines(LogLines {
                lines: (0..follow.lines.min(follow.credit).min(200)).map(log_line).collect(),
                follow: Some(follow.follow),
                ..LogLines::default()
            }),
            Body::StartMiner(start) => ack("miner started", vec![figures.start(&start.profile_id)]),
            Body::StopMiner(command) => {
                let miners = figures.meant(command.miner.as_deref());
                figures.stop(&miners);
                let missing = command.miner.and_then(|_| none(&miners));
                missing.unwrap_or_else(|| ack("stopped", miners))
            }
            Body::RestartMiner(command) => {
                let miners = figures.meant(command.miner.as_deref());
                let missing = command.miner.and_then(|_| none(&miners));
                missing.unwrap_or_else(|| ack("restarted", miners))
            }
            Body::DeployProfile(deploy) => Body::DeployAck { profile: deploy.profile.id },
            Body::Bye { reason } => return Err(format!("bye: {reason}")),
            _ => return Ok(()),
        };
        let changed = matches!(body, Body::MinerAck(_));
        talk.link.say(Some(asked.id), body)?;
        if changed {
            self.report(talk, shared)?;
        }
        Ok(())
    }
}

fn log_line(number: usize) -> String {
    format!(
        "[2026-11-22 14:{:02}:{:02}.118]  miner    speed 10s/60s/15m 21398.4 21402.1 21377.9 H/s max 21911.2 H/s",
        number / 60 % 60,
        number % 60
    )
}

/// Give or take a quarter, as the daemon does.
fn jitter(wait: Duration) -> Duration {
    wait.mul_f64(0.75 + 0.5 * fraction())
}

fn fraction() -> f64 {
    f64::from(u32::from_le_bytes(miner_cli::sys::random::bytes())) / f64::from(u32::MAX)
}
