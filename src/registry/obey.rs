//! What a peer says to us: questions, and commands from a controller. Everything refused is answered with the
//! reason, logged and written to the audit table.
use std::time::Duration;

use super::events::About;
use super::{Cx, Out, Registry};
use crate::bus::{LinkId, Outbound, SignedBytes, StateOp};
use crate::model::event::{EventKind, Severity};
use crate::model::fault::{Code, Fault};
use crate::model::key::PublicKey;
use crate::model::node::Role;
use crate::model::policy::Remote;
use crate::model::profile_diff;
use crate::model::profile_rules;
use crate::model::time::Timestamp;
use crate::smsg::envelope::Envelope;
use crate::smsg::messages::{
    Body, FollowLogs, GetLogs, LogLines, MinerAck, MinerCommand, StartMiner,
};

/// The most lines one request may ask for.
pub const MOST_LINES: usize = 10_000;
/// So many refused commands of one peer go to the audit table within so long; a peer gone mad shall not fill the disk.
const NOTED_REFUSALS: usize = 20;
const NOTE_WINDOW: Duration = Duration::from_secs(20);

/// Who asked, and where the answer goes.
#[derive(Clone)]
pub struct Asker {
    pub key: PublicKey,
    pub link: LinkId,
    pub id: String,
    /// The message's type when it is a command that was accepted: what comes of it is written to the audit table.
    pub command: Option<&'static str>,
}

impl Registry {
    pub(super) fn message(
        &mut self,
        link: LinkId,
        envelope: Envelope,
        raw: SignedBytes,
        cx: &mut Cx,
    ) {
        let Some(key) = self.links.get(&link).copied() else { return };
        self.seen(&key, cx.now);
        if let Some(id) = envelope.reply_to.clone() {
            return self.answered(&key, &id, envelope, cx);
        }
        let asker = Asker { key, link, id: envelope.id.clone(), command: None };
        match envelope.body {
            Body::Ping {} => self.answer(&asker, Body::Pong {}, cx),
            Body::Stats(stats) => self.take_report(&key, *stats, cx),
            Body::LogLines(part) => self.followed_lines(link, part, cx),
            Body::Events { events } => self.take_events(asker, events, cx),
            ref body if body.is_query() || body.is_command() => {
                if let Err(fault) = self.may_command(&key) {
                    return self.refuse(&asker, &envelope, raw, fault, cx);
                }
                if envelope.body.is_command() {
                    return self.command(asker, envelope, raw, cx);
                }
                self.query(&asker, envelope.body, cx);
            }
            // Answers to nothing, and `bye`, which the link itself understands.
            _ => {}
        }
    }

    pub(super) fn answer(&mut self, asker: &Asker, body: Body, cx: &mut Cx) {
        let id = self.random.word();
        if let Some(what) = asker.command {
            self.note_outcome(&asker.key, what, &asker.id, &body, cx);
        }
        cx.send(asker.link, id, Some(asker.id.clone()), body);
    }

    fn may_command(&self, key: &PublicKey) -> Result<(), Fault> {
        let me = self.setup.me.role;
        if !me.obeys() {
            return Err(Fault::new(
                Code::NotAllowed,
                format!("{} is a {me}: it obeys no commands", self.setup.me.name),
            ));
        }
        match self.peer(key)?.record.role {
            Some(role) if role.commands() => Ok(()),
            role => {
                let role = role.map_or("unknown", Role::text);
                Err(Fault::new(
                    Code::NotAllowed,
                    format!("the sender's role is {role}: only controllers may command"),
                ))
            }
        }
    }

    /// A command runs only when its sequence number is on disk, so that no recording of it works ever again.
    fn command(&mut self, mut asker: Asker, envelope: Envelope, raw: SignedBytes, cx: &mut Cx) {
        let last = self.peers.get(&asker.key).map_or(u64::MAX, |p| p.record.last_command);
        if envelope.seq <= last {
            let fault = Fault::new(
                Code::NotAllowed,
                "this command was sent before: its sequence number is not new",
            );
            return self.refuse(&asker, &envelope, raw, fault, cx);
        }
        let allowed = in_time(&envelope, cx.now.wall)
            .and_then(|()| self.policy_allows(&asker.key, &envelope.body));
        if let Err(fault) = allowed {
            return self.refuse(&asker, &envelope, raw, fault, cx);
        }
        if let Some(peer) = self.peers.get_mut(&asker.key) {
            peer.record.last_command = envelope.seq;
        }
        let row = self.command_row(&asker.key, &envelope, raw, "accepted", cx);
        let ops =
            vec![StateOp::LastCommand { key: asker.key, seq: envelope.seq }, StateOp::Audit(row)];
        self.save(ops, cx, move |registry, result, cx| {
            asker.command = result.is_ok().then(|| envelope.body.name());
            // The disk may have been slow: the deadline is judged again.
            match result.and_then(|()| in_time(&envelope, cx.now.wall)) {
                Ok(()) => registry.carry_out(asker, envelope.body, cx),
                Err(fault) => registry.answer(&asker, Body::Error(fault), cx),
            }
        });
    }

    fn carry_out(&mut self, asker: Asker, body: Body, cx: &mut Cx) {
        match body {
            Body::StartMiner(start) => self.obey_start(asker, *start, cx),
            Body::StopMiner(command) => self.obey_stop(asker, &command, cx),
            Body::RestartMiner(command) => self.obey_restart(asker, &command, cx),
            Body::DeployProfile(deploy) => {
                let id = deploy.profile.id.clone();
                self.keep_profile(deploy.profile, cx, move |registry, result, cx| {
                    let body =
                        result.map_or_else(Body::Error, |()| Body::DeployAck { profile: id });
                    registry.answer(&asker, body, cx);
                });
            }
            _ => {}
        }
    }

    fn obey_start(&mut self, asker: Asker, start: StartMiner, cx: &mut Cx) {
        // Judged before; what the rig has may have changed since.
        let as_stored = self.setup.policy.remote == Remote::StartStop;
        let deployed = start.profile.is_some() && !as_stored;
        let found = match start.profile.filter(|_| !as_stored) {
            Some(profile) => Ok(profile),
            None => self.find_profile(&start.profile_id).cloned(),
        };
        let profile = match found {
            Ok(profile) => profile,
            Err(fault) => return self.answer(&asker, Body::Error(fault), cx),
        };
        let overridden = profile_rules::with_overrides(
            &profile,
            start.miner_type.as_deref().filter(|_| !as_stored),
            start.config.as_ref().filter(|_| !as_stored),
        );
        let keep = deployed.then_some(profile);
        self.start_miner(overridden, keep, cx, move |registry, result, cx| {
            let body = match result {
                Ok(name) => Body::MinerAck(MinerAck {
                    status: "miner started".to_owned(),
                    miners: vec![name],
                }),
                Err(fault) => refusal(fault),
            };
            registry.answer(&asker, body, cx);
        });
    }

    fn obey_stop(&mut self, asker: Asker, command: &MinerCommand, cx: &mut Cx) {
        self.stop_miners(command.miner.as_deref(), cx, move |registry, result, cx| {
            registry.answer(&asker, ack(result), cx);
        });
    }

    fn obey_restart(&mut self, asker: Asker, command: &MinerCommand, cx: &mut Cx) {
        self.restart_miners(command.miner.as_deref(), cx, move |registry, result, cx| {
            registry.answer(&asker, ack(result), cx);
        });
    }

    fn query(&mut self, asker: &Asker, body: Body, cx: &mut Cx) {
        match body {
            Body::GetStats {} => {
                let stats = self.own_stats(cx.now);
                self.answer(asker, Body::Stats(Box::new(stats)), cx);
            }
            Body::GetLogs(logs) => self.send_logs(asker, logs, cx),
            Body::GetHistory { after } => self.read_history(asker, after, cx),
            Body::FollowLogs(follow) => self.begin_follow(asker, follow, cx),
            Body::UnfollowLogs { follow } => {
                cx.out.push(Out::Send { link: asker.link, message: Outbound::Unfollow { follow } });
            }
            Body::CheckProfile(ref profile) => {
                let found = self.policy_allows(&asker.key, &body).and_then(|()| {
                    self.check_profile(profile)?;
                    Ok(profile_diff::check(self.profiles.get(&profile.id), profile))
                });
                self.answer(asker, found.map_or_else(Body::Error, Body::ProfileChecked), cx);
            }
            Body::ListProfiles {} => {
                let profiles = self.profile_views();
                self.answer(asker, Body::Profiles { profiles }, cx);
            }
            _ => {}
        }
    }

    fn send_logs(&mut self, asker: &Asker, logs: GetLogs, cx: &mut Cx) {
        if let Err(fault) = self.find_miner(&logs.miner) {
            return self.answer(asker, Body::Error(fault), cx);
        }
        let message = Outbound::Tail {
            reply_to: asker.id.clone(),
            miner: logs.miner,
            lines: logs.lines.clamp(1, MOST_LINES),
            previous: logs.previous,
        };
        cx.out.push(Out::Send { link: asker.link, message });
    }

    fn begin_follow(&mut self, asker: &Asker, follow: FollowLogs, cx: &mut Cx) {
        if let Err(fault) = self.find_miner(&follow.miner) {
            return self.answer(asker, Body::Error(fault), cx);
        }
        // An empty part says that the miner is there; the lines come from the link's writer.
        self.answer(
            asker,
            Body::LogLines(LogLines { follow: Some(follow.follow), ..LogLines::default() }),
            cx,
        );
        let FollowLogs { follow, miner, lines, credit } = follow;
        let message = Outbound::Follow {
            follow,
            miner,
            lines: lines.min(MOST_LINES),
            credit: credit.min(MOST_LINES),
        };
        cx.out.push(Out::Send { link: asker.link, message });
    }

    fn refuse(
        &mut self,
        asker: &Asker,
        envelope: &Envelope,
        raw: SignedBytes,
        fault: Fault,
        cx: &mut Cx,
    ) {
        let row = self.command_row(&asker.key, envelope, raw, &fault.message, cx);
        let noted = self.peers.get_mut(&asker.key).is_some_and(|peer| {
            let noted = &mut peer.refusals_noted;
            noted.retain(|at| cx.now.mono.since(*at) < NOTE_WINDOW);
            let room = noted.len() < NOTED_REFUSALS;
            noted.extend(room.then_some(cx.now.mono));
            room
        });
        if noted {
            let kind = match fault.code {
                Code::Policy => EventKind::PolicyRefused,
                _ => EventKind::CommandRefused,
            };
            let about = About::peer(&row.who);
            let text = format!("refused {} of {}: {}", row.what, row.who, row.result);
            self.raise(kind, Severity::Warning, about, text, cx);
            Self::save_later(vec![StateOp::Audit(row)], cx);
        }
        self.answer(asker, Body::Error(fault), cx);
    }
}

/// A command that is read after its deadline is not carried out: its sender was told that it timed out.
fn in_time(envelope: &Envelope, now: Timestamp) -> Result<(), Fault> {
    let deadline = match &envelope.body {
        Body::StartMiner(start) => start.deadline,
        Body::StopMiner(command) | Body::RestartMiner(command) => command.deadline,
        Body::DeployProfile(deploy) => deploy.deadline,
        _ => return Ok(()),
    };
    if now <= deadline {
        return Ok(());
    }
    let late = now.since_ms(deadline);
    Err(Fault::new(
        Code::Expired,
        format!("the command came {late} ms after its deadline and was not carried out"),
    )
    .hint("send it again"))
}

fn ack(result: Result<(String, Vec<String>), Fault>) -> Body {
    match result {
        Ok((status, miners)) => Body::MinerAck(MinerAck { status, miners }),
        Err(fault) => refusal(fault),
    }
}

fn refusal(fault: Fault) -> Body {
    match fault.code {
        // Over there it is the rig that failed.
        Code::StartFailed => Body::Error(Fault { code: Code::RigFailed, ..fault }),
        _ => Body::Error(fault),
    }
}
