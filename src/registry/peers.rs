//! The table of peers: finding one by what a person typed, its row for people, adding and removing.
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use super::dialling::Dialling;
use super::effective::Effective;
use super::events::{About, Quota, Telling};
use super::filling::Filling;
use super::readings::Told;
use super::uptime::Uptime;
use super::{Cx, Registry, later, ms};
use crate::bus::{LinkId, Reply, StateOp};
use crate::model::event::{EventKind, Severity};
use crate::model::fault::{Code, Fault};
use crate::model::key::{NodeId, PublicKey};
use crate::model::name;
use crate::model::node::Role;
use crate::model::peer::{PeerRecord, PeerState, PeerView};
use crate::model::stats::{NodeStats, RigState};
use crate::model::time::{Mono, Now, Timestamp};
use crate::model::trust::Trust;

/// Events about a node at a peer's address that is not it: it may come with a new key each time.
const COMPLAINTS: u32 = 10;
const COMPLAINTS_WITHIN: Duration = Duration::from_secs(24 * 3600);

/// A registered peer, or one that we asked and that has not approved us yet.
pub struct Peer {
    pub record: PeerRecord,
    /// Of its key: digests, made once.
    pub id: NodeId,
    fingerprint: String,
    pub link: Option<Link>,
    pub report: Option<Report>,
    /// Why it is not linked.
    pub reason: Option<String>,
    /// When we last lost it, or began to look for it.
    pub lost_at: Timestamp,
    pub dialling: Dialling,
    pub uptime: Uptime,
    pub watched_since: Mono,
    /// Its clock minus ours, in milliseconds.
    pub clock_ahead: i64,
    /// Requests of ours that it has not answered.
    pub outstanding: usize,
    /// When refused commands of it were written to the audit log, lately.
    pub refusals_noted: Vec<Mono>,
    pub telling: Telling,
    pub filling: Filling,
    pub effective: Effective,
    /// The last event about what is wrong with it: the same is not raised again until it has linked.
    pub complained: Option<String>,
    complaints: Quota,
}

/// A rig's last report.
pub struct Report {
    /// With our time in `asOf`: whoever asks while it is fresh gets this one, and no copy.
    pub stats: Arc<NodeStats>,
    /// When it came.
    pub at: Now,
    /// When it was made, by the rig's clock.
    pub made: Option<Timestamp>,
}

impl Report {
    /// Milliseconds since it came.
    pub fn age(&self, now: Now) -> i64 {
        ms(now.mono.since(self.at.mono))
    }
}

/// A peer's present link.
pub struct Link {
    pub id: LinkId,
    pub since: Mono,
    /// Dialled by us?
    pub ours: bool,
    pub remote: String,
    /// As a controller it was told our readings up to here.
    pub told: Option<Told>,
}

impl Peer {
    pub fn new(record: PeerRecord, now: Now) -> Self {
        Self {
            id: record.key.node_id(),
            fingerprint: record.key.fingerprint(),
            record,
            link: None,
            report: None,
            reason: None,
            lost_at: now.wall,
            dialling: Dialling::default(),
            uptime: Uptime::default(),
            watched_since: now.mono,
            clock_ahead: 0,
            outstanding: 0,
            refusals_noted: Vec::new(),
            telling: Telling::default(),
            filling: Filling::default(),
            effective: Effective::default(),
            complained: None,
            complaints: Quota::default(),
        }
    }

    /// Is it a rig: does it run miners for those it is registered with?
    pub fn is_rig(&self) -> bool {
        self.record.asking.is_none() && self.record.role.is_none_or(Role::obeys)
    }

    /// It was reached, and its owner has not approved us yet.
    pub fn awaits_approval(&self) -> bool {
        self.record.asking.is_some() && self.record.last_seen.is_some()
    }

    /// Linked, and for a rig: heard of within three reports.
    pub fn reachable(&self, now: Now) -> bool {
        let fresh = |report: &Report| now.mono.since(report.at.mono) < super::report::SILENT_AFTER;
        self.link.is_some()
            && (!self.record.role.is_some_and(Role::obeys)
                || self.report.as_ref().is_some_and(fresh))
    }

    pub fn state(&self, now: Now) -> PeerState {
        if self.awaits_approval() {
            return PeerState::AwaitingApproval;
        }
        match (self.reachable(now), &self.report) {
            (false, _) => PeerState::Rig(RigState::Unreachable),
            (true, Some(report)) if self.is_rig() => PeerState::Rig(report.stats.state),
            (true, _) => PeerState::Connected,
        }
    }

    /// Since when it is unreachable; `None` while it is reachable.
    pub fn unreachable_since(&self, now: Now) -> Option<Timestamp> {
        if self.reachable(now) {
            return None;
        }
        // A frozen rig's link may still stand: it has been unreachable since it fell silent.
        Some(if self.link.is_some() {
            self.report.as_ref().map_or(self.lost_at, |report| report.at.wall)
        } else {
            self.lost_at
        })
    }

    pub fn view(&self, now: Now) -> PeerView {
        let record = &self.record;
        let remote = || self.link.as_ref().map(|l| l.remote.clone());
        let silent = self.link.is_some() && !self.reachable(now);
        PeerView {
            id: self.id,
            name: record.name.clone(),
            public_key: Some(record.key),
            fingerprint: Some(self.fingerprint.clone()),
            address: record.address.clone().or_else(remote),
            role: record.role,
            added_at: record.added_at,
            last_seen: record.last_seen,
            ping_ms: self.link.as_ref().and(self.uptime.ping_ms),
            score: self.uptime.score(self.watched_since, now.mono),
            connected: self.link.is_some(),
            state: self.state(now),
            reason: if silent {
                Some("it is linked but has stopped reporting".to_owned())
            } else {
                self.reason.clone()
            },
            labels: record.labels.clone(),
            version: record.version.clone(),
        }
    }
}

impl Registry {
    pub(super) fn restore_peers(&mut self, records: Vec<PeerRecord>, cx: &mut Cx) {
        let count = records.len();
        for record in records {
            let key = record.key;
            let mut peer = Peer::new(record, cx.now);
            peer.lost_at = peer.record.last_seen.unwrap_or(peer.record.added_at);
            self.peers.insert(key, peer);
            self.dial_at_start(&key, count, cx);
        }
    }

    /// The peer that `text` names: an exact id or name, else a unique prefix of an id of at least 4 characters.
    pub(super) fn find_peer(&self, text: &str) -> Result<PublicKey, Fault> {
        let rows = self.peers.values().map(|p| (p.record.key, p.id, p.record.name.as_str()));
        if let Some(key) = pick(rows, text)? {
            return Ok(key);
        }
        Err(match self.find_join(text)? {
            Some(_) => Fault::new(
                Code::PeerUnreachable,
                format!("{text} has not been reached yet: it is tried on"),
            ),
            None => Fault::new(Code::PeerNotFound, format!("no peer is called {text:?}"))
                .hint("`miner-cli peer list` shows them all"),
        })
    }

    pub(super) fn peer(&self, key: &PublicKey) -> Result<&Peer, Fault> {
        self.peers
            .get(key)
            .ok_or_else(|| Fault::new(Code::PeerNotFound, "that peer was removed meanwhile"))
    }

    pub(super) fn peer_views(&self, now: Now) -> Vec<PeerView> {
        let mut rows: Vec<_> = self.peers.values().map(|p| p.view(now)).collect();
        rows.extend(self.asked.iter().map(super::pairing::Asked::view));
        rows.extend(self.joins.values().map(super::joins::Join::view));
        rows.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
        rows
    }

    pub(super) fn peer_view(&self, text: &str, now: Now) -> Result<PeerView, Fault> {
        if let Some(join) = self.find_join(text)?.and_then(|id| self.joins.get(&id)) {
            return Ok(join.view());
        }
        match self.find_peer(text) {
            Ok(key) => Ok(self.peer(&key)?.view(now)),
            Err(fault) => self.find_asked(text).map(|i| self.asked[i].view()).map_err(|_| fault),
        }
    }

    /// Whether a further peer may have this name and this key.
    pub(super) fn check_new_peer(
        &self,
        name: Option<&str>,
        key: Option<&PublicKey>,
    ) -> Result<(), Fault> {
        if let Some(name) = name {
            name::check(name).map_err(|e| Fault::new(Code::Invalid, format!("name: {e}")))?;
            if self.name_is_taken(name) {
                return Err(Fault::new(
                    Code::Exists,
                    format!("a peer named {name:?} is already there"),
                )
                .hint("choose another --name, or remove that peer first"));
            }
        }
        let Some(key) = key else { return Ok(()) };
        if *key == self.setup.me.public_key {
            return Err(Fault::new(Code::Invalid, "that is the key of this node itself"));
        }
        match self.peers.get(key) {
            Some(peer) => Err(Fault::new(
                Code::Exists,
                format!("the node with that key is already here as {:?}", peer.record.name),
            )),
            None => Ok(()),
        }
    }

    /// Puts a node into the table that was just written. `false`: it came in another way while the disk worked. That
    /// stands, with its link, and is written again over this one.
    pub(super) fn put_new(&mut self, peer: Peer, cx: &mut Cx) -> bool {
        match self.peers.entry(peer.record.key) {
            Entry::Vacant(place) => {
                place.insert(peer);
                true
            }
            Entry::Occupied(known) => {
                let record = known.get().record.clone();
                Self::save_later(vec![StateOp::PutPeer(record)], cx);
                false
            }
        }
    }

    fn name_is_taken(&self, name: &str) -> bool {
        self.peers.values().any(|p| p.record.name == name)
            || self.joins.values().any(|j| j.record.name.as_deref() == Some(name))
    }

    /// `wanted`, or the same with a number where another peer has that name.
    pub(super) fn free_name(&self, wanted: &str, id: NodeId) -> String {
        let wanted = if name::check(wanted).is_ok() { wanted.to_owned() } else { id.to_string() };
        let numbered = (2..).map(|n| {
            let short: String = wanted.chars().take(name::LONGEST - 8).collect();
            format!("{short}-{n}")
        });
        std::iter::once(wanted.clone())
            .chain(numbered)
            .find(|n| !self.name_is_taken(n))
            .unwrap_or(wanted)
    }

    pub(super) fn remove_peer(&mut self, text: &str, to: super::calls::ReplyTo, cx: &mut Cx) {
        if let Ok(Some(id)) = self.find_join(text) {
            return self.remove_join(id, to, cx);
        }
        let key = match self.find_peer(text) {
            Ok(key) => key,
            Err(fault) => return cx.reply(to, Err(fault)),
        };
        self.save(vec![StateOp::DeletePeer(key)], cx, move |registry, result, cx| {
            if let Err(fault) = result {
                return cx.reply(to, Err(fault));
            }
            if let Some(peer) = registry.peers.remove(&key) {
                let name = &peer.record.name;
                if let Some(link) = &peer.link {
                    cx.close(link.id, "this node removed the peer");
                    registry.lose_link(link.id, &format!("{name} was removed"), cx);
                }
                let text = format!("removed peer {name} ({})", key.node_id());
                let about = About::peer(name);
                registry.raise(EventKind::PeerRemoved, Severity::Info, about, text, cx);
                registry.forget_history(key.node_id(), cx);
            }
            cx.reply(to, Ok(Reply::Done));
        });
    }

    /// Raises that a peer is not who it was, unless that was the last thing raised about it.
    pub(super) fn complain(&mut self, key: &PublicKey, text: String, cx: &mut Cx) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        if peer.complained.as_ref() == Some(&text)
            || !peer.complaints.has_room(cx.now.mono, COMPLAINTS, COMPLAINTS_WITHIN)
        {
            return;
        }
        peer.complained = Some(text.clone());
        let name = peer.record.name.clone();
        self.raise(EventKind::KeyChanged, Severity::Critical, About::peer(&name), text, cx);
    }

    pub(super) fn registered(&mut self, key: &PublicKey, how: &str, cx: &mut Cx) {
        let Some(peer) = self.peers.get(key) else { return };
        let name = peer.record.name.clone();
        let text = format!("registered {name} ({}): {how}", key.node_id());
        self.raise(EventKind::PeerRegistered, Severity::Info, About::peer(&name), text, cx);
    }

    /// Notes that something was heard of a peer.
    pub(super) fn seen(&mut self, key: &PublicKey, now: Now) {
        if let Some(peer) = self.peers.get_mut(key) {
            peer.record.last_seen = later(peer.record.last_seen, Some(now.wall));
        }
    }

    /// A record for a peer that is about to be registered.
    pub(super) fn new_record(
        &self,
        key: PublicKey,
        name: String,
        address: Option<String>,
        cx: &Cx,
    ) -> PeerRecord {
        PeerRecord {
            key,
            name,
            address,
            trust: Trust::System,
            role: None,
            signing_key: None,
            version: None,
            added_at: cx.now.wall,
            last_seen: None,
            labels: BTreeMap::new(),
            asking: None,
            last_command: 0,
        }
    }
}

/// Finds the row that `text` names. Exact matches win over prefixes; two candidates are an error that lists them.
pub(super) fn pick<'a, T>(
    rows: impl Iterator<Item = (T, NodeId, &'a str)>,
    text: &str,
) -> Result<Option<T>, Fault> {
    let mut exact = Vec::new();
    let mut prefixed = Vec::new();
    let whole: Option<NodeId> = text.parse().ok();
    // Only what could begin an id is compared with all of them.
    let part = text.len() >= 4 && whole.is_none() && text.bytes().all(|b| b.is_ascii_hexdigit());
    for (row, id, name) in rows {
        if whole == Some(id) || name == text {
            exact.push((row, id, name));
        } else if part && id.to_string().starts_with(text) {
            prefixed.push((row, id, name));
        }
    }
    let mut found = if exact.is_empty() { prefixed } else { exact };
    if found.len() > 1 {
        let names: Vec<_> = found.iter().map(|(_, id, name)| format!("{name} ({id})")).collect();
        return Err(Fault::new(
            Code::Ambiguous,
            format!("{text:?} fits {}: {}", names.len(), names.join(", ")),
        )
        .hint("use the whole id"));
    }
    Ok(found.pop().map(|(row, ..)| row))
}
