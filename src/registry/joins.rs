//! Nodes that are known by an invite of theirs alone: `node join` and `peer add --invite` while they do not answer.
//! The code carries their id and half of their key's digest, so they may be kept and tried until they answer.
use std::time::Duration;

use super::calls::ReplyTo;
use super::dialling::{Dial, FirstContact, LONGEST, NOT_WANTED, SPREAD};
use super::peers::{Peer, pick};
use super::timers::Timer;
use super::{Cx, Out, Registry, pairing};
use crate::bus::{DialId, DialOutcome, DialRequest, Expect, LinkUp, Reply, StateOp};
use crate::model::fault::Fault;
use crate::model::key::NodeId;
use crate::model::peer::{JoinRecord, PeerState, PeerView};
use crate::model::stats::RigState;

pub struct Join {
    pub record: JoinRecord,
    failures: u32,
    reason: Option<String>,
}

impl Join {
    fn name(&self) -> String {
        self.record.name.clone().unwrap_or_else(|| self.record.invite.issuer().to_string())
    }

    pub fn view(&self) -> PeerView {
        PeerView {
            id: self.record.invite.issuer(),
            name: self.name(),
            public_key: None,
            fingerprint: None,
            address: Some(self.record.address.clone()),
            role: None,
            added_at: self.record.added_at,
            last_seen: None,
            ping_ms: None,
            score: None,
            connected: false,
            state: PeerState::Rig(RigState::Unreachable),
            reason: self.reason.clone(),
            labels: std::collections::BTreeMap::new(),
            version: None,
        }
    }
}

impl Registry {
    pub(super) fn restore_joins(&mut self, records: Vec<JoinRecord>, cx: &Cx) {
        for record in records {
            let id = record.invite.issuer();
            self.joins.insert(id, Join { record, failures: 0, reason: None });
            let wait = SPREAD.mul_f64(self.random.fraction() * 0.1);
            self.timers.set(cx.now.mono.plus(wait), Timer::Join(id));
        }
    }

    pub(super) fn find_join(&self, text: &str) -> Result<Option<NodeId>, Fault> {
        let names: Vec<_> = self.joins.iter().map(|(id, join)| (*id, join.name())).collect();
        pick(names.iter().map(|(id, name)| (*id, *id, name.as_str())), text)
    }

    /// The node did not answer: keep the invite, and try on.
    pub(super) fn keep_joining(&mut self, first: FirstContact, reason: String, cx: &mut Cx) {
        let Some(invite) = first.invite else { return };
        let FirstContact { address, trust, name, .. } = first;
        let record = JoinRecord { invite, address, trust, name, added_at: cx.now.wall };
        self.save(vec![StateOp::PutJoin(record.clone())], cx, move |registry, result, cx| {
            if let Err(fault) = result {
                return cx.reply(first.to, Err(fault));
            }
            let id = record.invite.issuer();
            let join = Join { record, failures: 1, reason: Some(reason) };
            let view = Box::new(join.view());
            registry.joins.insert(id, join);
            registry.join_in(id, Duration::from_secs(1), cx);
            cx.reply(first.to, Ok(Reply::Peer(view)));
        });
    }

    fn join_in(&mut self, id: NodeId, wait: Duration, cx: &Cx) {
        let jitter = 0.75 + 0.5 * self.random.fraction();
        self.timers.set(cx.now.mono.plus(wait.mul_f64(jitter)), Timer::Join(id));
    }

    pub(super) fn join_is_due(&mut self, id: NodeId, cx: &mut Cx) {
        let dial = DialId(self.count());
        let Some(join) = self.joins.get(&id).filter(|_| !self.stopping) else { return };
        let request = DialRequest {
            dial,
            address: join.record.address.clone(),
            trust: join.record.trust.clone(),
            expect: Expect::Issuer(join.record.invite),
            asking: None,
        };
        self.dials.insert(dial, Dial::Join(id));
        cx.out.push(Out::Dial(request));
    }

    pub(super) fn rejoin(&mut self, id: NodeId, outcome: DialOutcome, cx: &mut Cx) {
        let Some(join) = self.joins.get_mut(&id) else { return };
        let doubled = Duration::from_secs(1) * 2_u32.pow(join.failures.min(6));
        join.failures += 1;
        let (wait, reason) = match outcome {
            DialOutcome::NotRegistered { reason, .. } => {
                let why = reason.unwrap_or_else(|| "the node did not accept it".to_owned());
                (NOT_WANTED, format!("the invite was refused: {why}"))
            }
            DialOutcome::WrongKey { got } => (
                LONGEST,
                format!(
                    "another node than the invite's maker answers there (its key is {})",
                    got.fingerprint()
                ),
            ),
            DialOutcome::Failed { reason, .. } => (doubled.min(LONGEST), reason),
        };
        if join.reason.as_ref() != Some(&reason) {
            cx.warn(format!("{}: {reason}", join.name()));
        }
        join.reason = Some(reason);
        self.join_in(id, wait, cx);
    }

    /// It answered and took the invite: a peer like any other from now on.
    pub(super) fn joined(&mut self, id: NodeId, up: LinkUp, cx: &mut Cx) {
        let Some(join) = self.joins.remove(&id) else { return cx.close(up.link, "not registered") };
        let key = up.key;
        if !self.peers.contains_key(&key) {
            let wanted = join.record.name.unwrap_or_else(|| up.hello.name.clone());
            let name = self.free_name(&wanted, id);
            let mut record = self.new_record(key, name, Some(join.record.address), cx);
            record.trust = join.record.trust;
            pairing::introduce(&mut record, &up.hello);
            self.peers.insert(key, Peer::new(record.clone(), cx.now));
            // Not written, it would be tried again by its invite at the next start, and be known there already.
            Self::save_later(vec![StateOp::DeleteJoin(id), StateOp::PutPeer(record)], cx);
            self.registered(&key, "it took the invite", cx);
        }
        self.link_peer(up, cx);
    }

    pub(super) fn remove_join(&mut self, id: NodeId, to: ReplyTo, cx: &mut Cx) {
        self.save(vec![StateOp::DeleteJoin(id)], cx, move |registry, result, cx| {
            if result.is_ok() {
                registry.joins.remove(&id);
            }
            cx.reply(to, result.map(|()| Reply::Done));
        });
    }
}
