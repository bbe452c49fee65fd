//! Asking a peer: requests in flight, and what REST asks of rigs.
use std::time::Duration;

use super::calls::ReplyTo;
use super::events::About;
use super::timers::Timer;
use super::{Cx, Registry, Then, ms};
use crate::bus::{LinkId, Reply};
use crate::model::event::{EventKind, Severity};
use crate::model::fault::{Code, Fault};
use crate::model::key::PublicKey;
use crate::model::profile::{Profile, ProfileConfig};
use crate::model::time::Timestamp;
use crate::smsg::envelope::Envelope;
use crate::smsg::limits::{COMMAND_VALID, OUTSTANDING, REQUEST, SLOW_COMMAND_VALID, SLOW_REQUEST};
use crate::smsg::messages::{Body, DeployProfile, GetLogs, LogLines, MinerCommand, StartMiner};

/// A request that was sent and not yet answered.
pub struct Waiting {
    pub key: PublicKey,
    pub link: LinkId,
    /// The parts of a long answer so far.
    lines: Vec<String>,
    bytes: usize,
    /// It would have changed nothing.
    query: bool,
    then: Then<Result<(Body, Timestamp), Fault>>,
}

/// The most text that one answer of a rig may have.
const ANSWER_BYTES: usize = 2 * 1024 * 1024;

impl Registry {
    /// Sends `body` and hands `then` the answer and the peer's clock at that time: an `error` answer, silence for
    /// `patience` and a lost link are faults.
    pub(super) fn ask(
        &mut self,
        key: &PublicKey,
        body: Body,
        patience: Duration,
        cx: &mut Cx,
        then: impl FnOnce(&mut Self, Result<(Body, Timestamp), Fault>, &mut Cx) + Send + 'static,
    ) {
        let link = match self.way_to(key, cx) {
            Ok(link) => link,
            Err(fault) => return then(self, Err(fault), cx),
        };
        if let Some(peer) = self.peers.get_mut(key) {
            peer.outstanding += 1;
        }
        let id = self.random.word();
        self.timers.set(cx.now.mono.plus(patience), Timer::Request(id.clone()));
        let waiting = Waiting {
            key: *key,
            link,
            lines: Vec::new(),
            bytes: 0,
            query: body.is_query(),
            then: Box::new(then),
        };
        self.waiting.insert(id.clone(), waiting);
        cx.send(link, id, None, body);
    }

    /// The link to a peer that can be asked something.
    fn way_to(&self, key: &PublicKey, cx: &Cx) -> Result<LinkId, Fault> {
        let peer = self.peer(key)?;
        let name = &peer.record.name;
        if peer.awaits_approval() {
            return Err(Fault::new(
                Code::NotAllowed,
                format!("{name} has not approved this node yet"),
            )
            .hint(format!("on that node: miner-cli peer approve {}", self.setup.me.id)));
        }
        let Some(link) = &peer.link else {
            let since = peer.unreachable_since(cx.now).unwrap_or(peer.lost_at);
            let why = peer.reason.as_deref().map(|r| format!(": {r}")).unwrap_or_default();
            return Err(Fault::new(
                Code::PeerUnreachable,
                format!("{name} is unreachable since {since}{why}"),
            ));
        };
        if peer.outstanding >= OUTSTANDING {
            return Err(Fault::new(
                Code::Unavailable,
                format!("{OUTSTANDING} requests to {name} wait already"),
            ));
        }
        Ok(link.id)
    }

    pub(super) fn request_is_late(&mut self, id: &str, cx: &mut Cx) {
        let Some(waiting) = self.waiting.get(id) else { return };
        let name = self.peers.get(&waiting.key).map_or("the peer", |p| p.record.name.as_str());
        let fault = Fault::new(Code::Timeout, format!("{name} did not answer in time"));
        self.settle(id, Err(fault), cx);
    }

    /// The one end of every request.
    pub(super) fn settle(
        &mut self,
        id: &str,
        result: Result<(Body, Timestamp), Fault>,
        cx: &mut Cx,
    ) {
        let Some(waiting) = self.waiting.remove(id) else { return };
        if let Some(peer) = self.peers.get_mut(&waiting.key) {
            peer.outstanding = peer.outstanding.saturating_sub(1);
        }
        (waiting.then)(self, result, cx);
    }

    /// An answer came. One that nobody waits for any more is dropped.
    pub(super) fn answered(&mut self, key: &PublicKey, id: &str, envelope: Envelope, cx: &mut Cx) {
        let Some(waiting) = self.waiting.get_mut(id).filter(|w| w.key == *key) else { return };
        let result = match envelope.body {
            Body::Error(fault) => {
                let fault = super::hostile::fault(&fault);
                if !waiting.query {
                    self.tell_of_refusal(key, &fault, cx);
                }
                self.learn_clock(key, &fault, envelope.ts, cx);
                Err(fault)
            }
            Body::LogLines(part) => {
                waiting.bytes += part.lines.iter().map(String::len).sum::<usize>();
                waiting.lines.extend(part.lines);
                if part.more && waiting.bytes < ANSWER_BYTES {
                    return;
                }
                let lines = std::mem::take(&mut waiting.lines);
                Ok((Body::LogLines(LogLines { lines, ..LogLines::default() }), envelope.ts))
            }
            body => Ok((body, envelope.ts)),
        };
        self.settle(id, result, cx);
    }

    /// A rig's own policy refused a command of ours: whoever watches this node shall know.
    fn tell_of_refusal(&mut self, key: &PublicKey, fault: &Fault, cx: &mut Cx) {
        let Some(peer) = self.peers.get(key).filter(|_| fault.code == Code::Policy) else { return };
        let name = peer.record.name.clone();
        let text = format!("{name} refused a command of this node: {}", fault.message);
        let about = About::peer(&name);
        self.raise(EventKind::PolicyRefused, Severity::Warning, about, text, cx);
    }

    /// A command came too late by the rig's clock: that may have jumped since the last ping.
    fn learn_clock(&mut self, key: &PublicKey, fault: &Fault, there: Timestamp, cx: &Cx) {
        if let Some(peer) = self.peers.get_mut(key).filter(|_| fault.code == Code::Expired) {
            peer.clock_ahead = there.since_ms(cx.now.wall);
        }
    }

    /// Asks for what `body` makes of a deadline, `valid` from now by the rig's clock. Where that clock had jumped, so
    /// that the rig refused it as late and did nothing, it is asked once more.
    fn order(
        &mut self,
        key: &PublicKey,
        (valid, patience): (Duration, Duration),
        body: impl Fn(Timestamp) -> Body + Send + 'static,
        cx: &mut Cx,
        then: impl FnOnce(&mut Self, Result<Body, Fault>, &mut Cx) + Send + 'static,
    ) {
        let key = *key;
        let ahead = move |registry: &Self| registry.peers.get(&key).map_or(0, |p| p.clock_ahead);
        let before = ahead(self);
        let first = body(self.deadline_there(&key, valid, cx));
        self.ask(&key, first, patience, cx, move |registry, result, cx| {
            let late = matches!(&result, Err(fault) if fault.code == Code::Expired);
            if late && before.abs_diff(ahead(registry)) > CLOCK_JUMP_MS {
                let again = body(registry.deadline_there(&key, valid, cx));
                return registry.ask(&key, again, patience, cx, |registry, result, cx| {
                    then(registry, result.map(|(body, _)| body), cx);
                });
            }
            then(registry, result.map(|(body, _)| body), cx);
        });
    }

    /// The time by the rig's clock until which a command sent now may be carried out.
    fn deadline_there(&self, key: &PublicKey, valid: Duration, cx: &Cx) -> Timestamp {
        let ahead = self.peers.get(key).map_or(0, |p| p.clock_ahead);
        cx.now.wall.plus_ms(ahead).plus_ms(ms(valid))
    }

    // ---- what REST asks ----

    /// The rig that `text` names; a peer that is no rig obeys nobody.
    pub(super) fn find_rig(&self, text: &str) -> Result<PublicKey, Fault> {
        let key = self.find_peer(text)?;
        let record = &self.peer(&key)?.record;
        if !self.setup.me.role.commands() {
            return Err(Fault::new(
                Code::NotAllowed,
                "this node is a worker: it cannot command others",
            ));
        }
        match record.role {
            Some(role) if !role.obeys() => Err(Fault::new(
                Code::NotAllowed,
                format!("{} is a {role}: it runs no miners", record.name),
            )),
            _ => Ok(key),
        }
    }

    pub(super) fn remote_stats(&mut self, text: &str, to: ReplyTo, cx: &mut Cx) {
        let key = match self.find_rig(text) {
            Ok(key) => key,
            Err(fault) => return cx.reply(to, Err(fault)),
        };
        self.ask(&key, Body::GetStats {}, REQUEST, cx, move |registry, result, cx| {
            let reply = result.and_then(|(body, _)| match body {
                Body::Stats(stats) => {
                    registry.take_report(&key, *stats, cx);
                    let peer = registry.peer(&key)?;
                    Ok(Reply::Stats(registry.rig_stats(peer, cx.now)))
                }
                other => Err(unexpected(&other)),
            });
            cx.reply(to, reply);
        });
    }

    pub(super) fn remote_start(&mut self, text: &str, what: StartWhat, to: ReplyTo, cx: &mut Cx) {
        let key = match self.find_rig(text) {
            Ok(key) => key,
            Err(fault) => return cx.reply(to, Err(fault)),
        };
        let profile: Option<Profile> = self.find_profile(&what.profile_id).ok().cloned();
        let start = StartMiner {
            deadline: Timestamp::default(),
            profile_id: profile.as_ref().map_or(what.profile_id, |p| p.id.clone()),
            profile,
            miner_type: what.miner_type,
            config: what.config.map(|c| *c),
        };
        let body =
            move |deadline| Body::StartMiner(Box::new(StartMiner { deadline, ..start.clone() }));
        self.order(&key, (SLOW_COMMAND_VALID, SLOW_REQUEST), body, cx, |_, result, cx| {
            let reply = result.and_then(|body| match body {
                Body::MinerAck(mut ack) if ack.miners.len() == 1 => {
                    Ok(Reply::Started { miner: ack.miners.remove(0) })
                }
                other => Err(unexpected(&other)),
            });
            cx.reply(to, reply);
        });
    }

    pub(super) fn remote_stop(
        &mut self,
        text: &str,
        miner: Option<String>,
        restart: bool,
        to: ReplyTo,
        cx: &mut Cx,
    ) {
        let key = match self.find_rig(text) {
            Ok(key) => key,
            Err(fault) => return cx.reply(to, Err(fault)),
        };
        let (valid, patience) =
            if restart { (SLOW_COMMAND_VALID, SLOW_REQUEST) } else { (COMMAND_VALID, SLOW_STOP) };
        let body = move |deadline| {
            let command = MinerCommand { deadline, miner: miner.clone() };
            if restart { Body::RestartMiner(command) } else { Body::StopMiner(command) }
        };
        self.order(&key, (valid, patience), body, cx, |_, result, cx| {
            let reply = result.and_then(|body| match body {
                Body::MinerAck(ack) => Ok(Reply::Miners { status: ack.status, miners: ack.miners }),
                other => Err(unexpected(&other)),
            });
            cx.reply(to, reply);
        });
    }

    pub(super) fn remote_deploy(&mut self, text: &str, profile_id: &str, to: ReplyTo, cx: &mut Cx) {
        let found =
            self.find_rig(text).and_then(|key| Ok((key, self.find_profile(profile_id)?.clone())));
        let (key, profile) = match found {
            Ok(found) => found,
            Err(fault) => return cx.reply(to, Err(fault)),
        };
        let body = move |deadline| {
            let profile = profile.clone();
            Body::DeployProfile(Box::new(DeployProfile { deadline, profile }))
        };
        self.order(&key, (SLOW_COMMAND_VALID, SLOW_REQUEST), body, cx, |_, result, cx| {
            let reply = result.and_then(|body| match body {
                Body::DeployAck { .. } => Ok(Reply::Deployed),
                other => Err(unexpected(&other)),
            });
            cx.reply(to, reply);
        });
    }

    pub(super) fn remote_deploy_check(
        &mut self,
        text: &str,
        profile_id: &str,
        to: ReplyTo,
        cx: &mut Cx,
    ) {
        let found =
            self.find_rig(text).and_then(|key| Ok((key, self.find_profile(profile_id)?.clone())));
        let (key, profile) = match found {
            Ok(found) => found,
            Err(fault) => return cx.reply(to, Err(fault)),
        };
        self.ask(&key, Body::CheckProfile(Box::new(profile)), REQUEST, cx, |_, result, cx| {
            let reply = result.and_then(|(body, _)| match body {
                Body::ProfileChecked(check) => {
                    Ok(Reply::DeployCheck(super::hostile::deploy_check(check)))
                }
                other => Err(unexpected(&other)),
            });
            cx.reply(to, reply);
        });
    }

    pub(super) fn remote_profiles(&mut self, text: &str, to: ReplyTo, cx: &mut Cx) {
        let key = match self.find_rig(text) {
            Ok(key) => key,
            Err(fault) => return cx.reply(to, Err(fault)),
        };
        self.ask(&key, Body::ListProfiles {}, REQUEST, cx, |registry, result, cx| {
            let reply = result.and_then(|(body, _)| match body {
                Body::Profiles { profiles } => {
                    let profiles = super::hostile::profiles(&profiles);
                    Ok(Reply::RigProfiles(registry.compared(profiles)))
                }
                other => Err(unexpected(&other)),
            });
            cx.reply(to, reply);
        });
    }

    pub(super) fn remote_logs(&mut self, text: &str, logs: GetLogs, to: ReplyTo, cx: &mut Cx) {
        let key = match self.find_rig(text) {
            Ok(key) => key,
            Err(fault) => return cx.reply(to, Err(fault)),
        };
        self.ask(&key, Body::GetLogs(logs), REQUEST, cx, |_, result, cx| {
            let reply = result.and_then(|(body, _)| match body {
                Body::LogLines(part) => Ok(Reply::Lines(part.lines)),
                other => Err(unexpected(&other)),
            });
            cx.reply(to, reply);
        });
    }
}

/// A rig's clock that is further from where it was believed to be has jumped.
const CLOCK_JUMP_MS: u64 = 2_000;

/// A stop is acknowledged when the miners are gone, or after 4 s with what still ends. With the time that the command
/// is valid this stays under the wait, so that a stop answered "timed out" never happens afterwards.
const SLOW_STOP: Duration = Duration::from_secs(10);

/// What `remote start` was given.
pub struct StartWhat {
    pub profile_id: String,
    pub miner_type: Option<String>,
    pub config: Option<Box<ProfileConfig>>,
}

fn unexpected(body: &Body) -> Fault {
    Fault::new(
        Code::RigFailed,
        format!("the rig answered with {}, which was not asked for", body.name()),
    )
}
