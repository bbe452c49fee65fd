//! One simulated rig: links, reports, obeys, and looks for its controller again when the link is lost.
use std::net::TcpStream;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};
use miner_cli::model::fault::{Code, Fault};
use miner_cli::smsg::envelope::Envelope;
use miner_cli::smsg::limits;
use miner_cli::smsg::messages::{Body, LogLines, MinerAck};

use super::figures::Figures;
use super::fleet::Shared;
use super::wire::{self, Heard, Keys, Link, NoLink};

pub struct Rig {
    pub number: usize,
    pub keys: Keys,
    /// Its open connection, so that the fleet can end it.
    pub open: Arc<Mutex<Option<Arc<TcpStream>>>>,
}

/// A report that is followed by a ping: when the pong comes the controller has taken the report.
struct Probe {
    id: String,
    sent: Instant,
}

impl Rig {
    /// Until `closing` disconnects.
    pub fn run(self, shared: &Shared, closing: &Receiver<()>) {
        let mut figures = Figures::new(self.number);
        let mut failures = 0;
        let mut wait = Duration::ZERO;
        while closing.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
            match wire::dial(
                &self.keys,
                &shared.invite,
                shared.controller(),
                shared.source(self.number),
            ) {
                Ok((link, tcp)) => {
                    failures = 0;
                    self.keep(Some(tcp));
                    shared.linked.fetch_add(1, Relaxed);
                    let end = self.live(link, &mut figures, shared);
                    shared.linked.fetch_sub(1, Relaxed);
                    shared.lost(&end);
                    self.keep(None);
                    wait = jitter(Duration::from_secs(1));
                }
                Err(why) => {
                    shared.refused.fetch_add(1, Relaxed);
                    // As the daemon redials: see src/registry/dialling.rs.
                    let doubled = Duration::from_secs(1) * 2_u32.pow(failures.min(6));
                    failures += 1;
                    let longest = match why {
                        NoLink::Unreached => 60,
                        NoLink::Answered(why) => {
                            shared.note_refusal(&why);
                            4
                        }
                    };
                    wait = jitter(doubled.min(Duration::from_secs(longest)));
                }
            }
        }
    }

    fn keep(&self, tcp: Option<Arc<TcpStream>>) {
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = tcp;
    }

    /// A link's life; why it ended.
    fn live(&self, mut link: Link, figures: &mut Figures, shared: &Shared) -> String {
        match self.talk(&mut link, figures, shared) {
            Ok(never) => match never {},
            Err(why) => why,
        }
    }

    fn talk(
        &self,
        link: &mut Link,
        figures: &mut Figures,
        shared: &Shared,
    ) -> Result<std::convert::Infallible, String> {
        let mut probe = None;
        let mut ping_at = Instant::now() + limits::PING_EVERY;
        // The first report goes at once, the next after a part of the time: the rigs' beats are not in step.
        self.report(link, figures, shared, &mut probe)?;
        let mut every = shared.every();
        let mut report_at = Instant::now() + every.mul_f64(fraction());
        loop {
            let now = Instant::now();
            if every != shared.every() {
                every = shared.every();
                report_at = now + every.mul_f64(fraction());
            }
            if now >= report_at {
                self.report(link, figures, shared, &mut probe)?;
                report_at += every;
                // A machine that was too busy for its reports does not send them all at once.
                report_at = report_at.max(now);
            }
            if now >= ping_at {
                link.say(None, Body::Ping {})?;
                ping_at = now + limits::PING_EVERY;
            }
            if let Heard::Envelope(envelope) = link.hear(report_at.min(ping_at))? {
                self.answer(link, figures, *envelope, shared, &mut probe)?;
            }
        }
    }

    fn report(
        &self,
        link: &mut Link,
        figures: &mut Figures,
        shared: &Shared,
        probe: &mut Option<Probe>,
    ) -> Result<(), String> {
        let sent = Instant::now();
        let stats = figures.report(self.keys.id, &self.keys.name);
        let (_, bytes) = link.say(None, Body::Stats(Box::new(stats)))?;
        shared.reports.fetch_add(1, Relaxed);
        shared.bytes.fetch_add(bytes as u64, Relaxed);
        if shared.probing.load(Relaxed) && probe.is_none() {
            let (id, _) = link.say(None, Body::Ping {})?;
            *probe = Some(Probe { id, sent });
        }
        Ok(())
    }

    fn answer(
        &self,
        link: &mut Link,
        figures: &mut Figures,
        asked: Envelope,
        shared: &Shared,
        probe: &mut Option<Probe>,
    ) -> Result<(), String> {
        if let Some(asking) = asked.reply_to {
            if let Some(probe) = probe.take_if(|p| p.id == asking) {
                shared.took(probe.sent.elapsed());
            }
            return Ok(());
        }
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
        link.say(Some(asked.id), body)?;
        if changed {
            self.report(link, figures, shared, probe)?;
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
