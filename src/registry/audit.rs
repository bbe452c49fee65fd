//! The audit log's rows. A command has two: that it was accepted, written before anything happens, and what came of
//! it; both carry the same `command`. What was refused has one, with the reason. A local change has one, written in
//! the transaction of the change itself; where the outcome shows later (a start, a stop), a second.
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Cx, Registry};
use crate::bus::{Reply, Request, SignedBytes, StateOp};
use crate::model::audit::{AuditRow, Signed};
use crate::model::fault::Fault;
use crate::model::key::PublicKey;
use crate::model::text::clean;
use crate::model::time::Timestamp;
use crate::smsg::envelope::Envelope;
use crate::smsg::messages::Body;

/// Characters of a row's `what` and `result`.
const WHAT: usize = 160;
const RESULT: usize = 400;

/// A change that someone at this node asked for.
#[derive(Debug)]
pub struct Act {
    who: &'static str,
    what: String,
    /// The peer that it is about.
    key: Option<PublicKey>,
    command: String,
    /// What comes of it shows later than its transaction.
    slow: bool,
    /// Its transaction carries its row.
    written: AtomicBool,
}

impl Act {
    fn row(&self, at: Timestamp, result: &str) -> AuditRow {
        AuditRow {
            at,
            who: self.who.to_owned(),
            key: self.key,
            what: clean(&self.what, WHAT),
            result: clean(result, RESULT),
            command: self.command.clone(),
            signed: None,
        }
    }

    /// The row that goes with the change.
    pub fn with_change(&self, at: Timestamp) -> StateOp {
        self.written.store(true, Ordering::Relaxed);
        StateOp::Audit(self.row(at, if self.slow { "accepted" } else { "done" }))
    }

    /// The row about its end, unless that is said already.
    pub fn at_its_end(&self, at: Timestamp, reply: &Result<Reply, Fault>) -> Option<StateOp> {
        let said = self.written.load(Ordering::Relaxed) && !self.slow && reply.is_ok();
        let result = match reply {
            Ok(Reply::Started { miner }) => format!("done: {miner}"),
            Ok(Reply::Miners { status, miners }) => format!("done: {status} {}", miners.join(" ")),
            Ok(_) => "done".to_owned(),
            Err(fault) => fault.message.clone(),
        };
        (!said).then(|| StateOp::Audit(self.row(at, result.trim_end())))
    }
}

impl Registry {
    /// What the audit log is to say of a local request; `None` for one that changes nothing.
    pub(super) fn act(
        &mut self,
        who: &'static str,
        request: &Request,
        cx: &Cx,
    ) -> Option<Arc<Act>> {
        let (what, peer) = described(request)?;
        let slow = matches!(request, Request::StartProfile { .. } | Request::StopMiner { .. });
        let command = format!("local-{}-{}", cx.now.wall.0, self.count());
        let key = peer.and_then(|text| self.find_peer(text).ok());
        Some(Arc::new(Act { who, what, key, command, slow, written: AtomicBool::new(false) }))
    }

    /// A row about a peer's command, with the envelope that asked for it.
    pub(super) fn command_row(
        &self,
        key: &PublicKey,
        envelope: &Envelope,
        raw: SignedBytes,
        result: &str,
        cx: &Cx,
    ) -> AuditRow {
        let peer = self.peers.get(key).map(|p| &p.record);
        let signed = |signer| Signed { envelope: raw.0, signer };
        AuditRow {
            signed: peer.and_then(|p| p.signing_key).map(signed),
            ..self.bare_row(key, envelope.body.name(), &envelope.id, result, cx)
        }
    }

    /// What came of a command that was accepted.
    pub(super) fn note_outcome(
        &self,
        key: &PublicKey,
        what: &'static str,
        command: &str,
        answer: &Body,
        cx: &mut Cx,
    ) {
        let result = match answer {
            Body::MinerAck(ack) => format!("done: {} {}", ack.status, ack.miners.join(" ")),
            Body::Error(fault) => format!("failed: {}", fault.message),
            _ => "done".to_owned(),
        };
        let row = self.bare_row(key, what, command, result.trim_end(), cx);
        Self::save_later(vec![StateOp::Audit(row)], cx);
    }

    fn bare_row(
        &self,
        key: &PublicKey,
        what: &str,
        command: &str,
        result: &str,
        cx: &Cx,
    ) -> AuditRow {
        let name = self.peers.get(key).map(|p| p.record.name.clone());
        AuditRow {
            at: cx.now.wall,
            who: name.unwrap_or_else(|| key.node_id().to_string()),
            key: Some(*key),
            what: what.to_owned(),
            result: clean(result, RESULT),
            command: command.to_owned(),
            signed: None,
        }
    }
}

fn here<'a>(what: String) -> Option<(String, Option<&'a str>)> {
    Some((what, None))
}

fn on(what: String, peer: &str) -> Option<(String, Option<&str>)> {
    Some((what, Some(peer)))
}

/// A change as the log names it, and the peer that it is about. Every request has to be decided on here.
fn described(request: &Request) -> Option<(String, Option<&str>)> {
    let some = |miner: &Option<String>| miner.clone().unwrap_or_else(|| "all miners".to_owned());
    match request {
        Request::NodeInit { name, .. } => here(format!("node init {name}")),
        Request::CreateInvite { uses, expires } => {
            here(format!("invite for {uses} within {} s", expires.as_secs()))
        }
        Request::DeleteInvite { id } => here(format!("revoke invite {id}")),
        Request::Join { address, .. } => here(format!("join {address}")),
        Request::AddPeer { address, .. } => here(format!("add peer {address}")),
        Request::RemovePeer { peer } => on(format!("remove peer {peer}"), peer),
        Request::Approve { peer } => here(format!("approve {peer}")),
        Request::Reject { peer } => here(format!("reject {peer}")),
        Request::RemoteStart { peer, profile_id, .. } => {
            on(format!("start {profile_id} on {peer}"), peer)
        }
        Request::RemoteStop { peer, miner } => on(format!("stop {} on {peer}", some(miner)), peer),
        Request::RemoteRestart { peer, miner } => {
            on(format!("restart {} on {peer}", some(miner)), peer)
        }
        Request::RemoteDeploy { peer, profile_id } => {
            on(format!("deploy {profile_id} to {peer}"), peer)
        }
        Request::AddProfile { profile } => {
            let name = if profile.id.is_empty() { &profile.name } else { &profile.id };
            here(format!("add profile {name}"))
        }
        Request::EditProfile { id, .. } => here(format!("edit profile {id}")),
        Request::RemoveProfile { id } => here(format!("remove profile {id}")),
        Request::StartProfile { id } => here(format!("start profile {id}")),
        Request::StopMiner { name } => here(format!("stop {name}")),
        Request::TestAlerts { channel } => {
            here(format!("test alerts {}", channel.as_deref().unwrap_or("on every channel")))
        }
        Request::SetLabels { peer, labels } => {
            let labels = crate::model::labels::text(labels);
            on(format!("label {peer} as {labels:?}"), peer)
        }
        Request::NodeInfo
        | Request::FlushHistory { .. }
        | Request::Invites
        | Request::Peers
        | Request::Peer { .. }
        | Request::PingPeer { .. }
        | Request::RemoteStatsAll
        | Request::RemoteTotals
        | Request::RemoteStats { .. }
        | Request::RemoteLogs { .. }
        | Request::RemoteDeployCheck { .. }
        | Request::RemoteProfiles { .. }
        | Request::WatchLive { .. }
        | Request::FollowLogs { .. }
        | Request::FollowCredit { .. }
        | Request::Unfollow { .. }
        | Request::Profiles
        | Request::Profile { .. }
        | Request::Miners
        | Request::AvailableMiners
        | Request::Miner { .. }
        | Request::HashrateHistory { .. }
        | Request::Events { .. }
        | Request::FollowEvents { .. }
        | Request::Metrics
        | Request::Policy
        | Request::Alerts => None,
    }
}
