//! Links coming and going: one per peer, pings, and what happens when one is lost.
use std::time::Duration;

use super::dialling::Dial;
use super::peers::Link;
use super::timers::Timer;
use super::{Cx, Registry, pairing};
use crate::bus::{LinkEvent, LinkId, LinkUp, StateOp};
use crate::model::event::{EventKind, Severity};
use crate::model::fault::{Code, Fault};
use crate::model::key::PublicKey;
use crate::model::node::Role;
use crate::smsg::limits::{PING_CONTROLLER_EVERY, PING_EVERY, REQUEST};
use crate::smsg::messages::Body;

/// How soon a lost peer is looked for.
pub const FIRST_REDIAL: Duration = Duration::from_secs(1);
/// Two links of one peer cross when both came up within this time. Later, a new link means that the other side
/// lost the old one: a node that has a link does not dial.
const CROSSING: Duration = Duration::from_secs(10);
/// A clock reading that took longer to fetch says too little.
const CLOCK_READ: Duration = Duration::from_secs(2);

impl Registry {
    pub(super) fn link_event(&mut self, event: LinkEvent, cx: &mut Cx) {
        match event {
            LinkEvent::Greeting { source, key, hello, reply } => {
                self.greet(source, key, *hello, reply, cx);
            }
            LinkEvent::Up(up) => self.link_up(*up, cx),
            LinkEvent::Message { link, envelope, raw } => self.message(link, envelope, raw, cx),
            LinkEvent::Down { link, reason } => self.lose_link(link, &reason, cx),
            LinkEvent::NotDialled { dial, outcome } => self.not_dialled(dial, outcome, cx),
        }
    }

    fn link_up(&mut self, up: LinkUp, cx: &mut Cx) {
        match up.dial.and_then(|d| self.dials.remove(&d)) {
            Some(Dial::First(first)) => return self.first_contact_linked(*first, up, cx),
            Some(Dial::Join(id)) => return self.joined(id, up, cx),
            Some(Dial::Peer(key)) => {
                if let Some(peer) = self.peers.get_mut(&key) {
                    peer.dialling.in_flight = None;
                }
            }
            None => {}
        }
        let Some(peer) = self.peers.get(&up.key) else {
            // Removed between its welcome and now.
            return cx.close(up.link, "not registered");
        };
        if let Err(reason) = pairing::pins(&peer.record, &up.hello) {
            let name = peer.record.name.clone();
            if let Some(peer) = self.peers.get_mut(&up.key) {
                peer.reason = Some(reason.clone());
            }
            let text = format!("refused a link with {name}: {reason}");
            self.complain(&up.key, text, cx);
            self.dial_in(&up.key.clone(), PING_EVERY, cx);
            return cx.close(up.link, &reason);
        }
        self.link_peer(up, cx);
    }

    /// Makes `up` the link of its peer, unless an older one has the better right.
    pub(super) fn link_peer(&mut self, up: LinkUp, cx: &mut Cx) {
        let me = self.setup.me.public_key;
        let Some(peer) = self.peers.get_mut(&up.key) else { return };
        if let Some(old) = &peer.link {
            let ours = up.dial.is_some();
            let crossing = old.ours != ours && cx.now.mono.since(old.since) < CROSSING;
            let dialled_by_lower = if me < up.key { ours } else { !ours };
            if crossing && !dialled_by_lower {
                return cx.close(up.link, "another link to this node is up");
            }
            let old = old.id;
            cx.close(old, "a newer link took its place");
            self.end_link(old, "a newer link took its place", cx);
            return self.adopt(up, true, cx);
        }
        self.adopt(up, false, cx);
    }

    fn adopt(&mut self, up: LinkUp, replaces: bool, cx: &mut Cx) {
        let Some(peer) = self.peers.get_mut(&up.key) else { return };
        let before = peer.record.clone();
        pairing::introduce(&mut peer.record, &up.hello);
        peer.record.asking = None;
        peer.record.last_seen = Some(cx.now.wall);
        peer.link = Some(Link {
            id: up.link,
            since: cx.now.mono,
            ours: up.dial.is_some(),
            remote: up.remote,
            told: None,
        });
        peer.filling.begin();
        peer.reason = None;
        peer.complained = None;
        peer.dialling.failures = 0;
        peer.clock_ahead = up.hello.time.since_ms(cx.now.wall);
        peer.uptime.up(cx.now.mono);
        let record = peer.record.clone();
        self.links.insert(up.link, up.key);
        self.tally.links_made += 1;
        if before.asking.is_some() {
            self.registered(&up.key, "it approved this node", cx);
        }
        let text = format!("linked with {} ({})", record.name, up.key.node_id());
        if replaces {
            cx.info(text);
        } else {
            self.tell_of_link(&up.key, EventKind::PeerLinked, Severity::Info, text, cx);
        }
        // There may be events that it does not know.
        self.events_wait();
        let seen = StateOp::Seen { key: up.key, at: cx.now.wall };
        let known = before.role == record.role
            && before.version == record.version
            && before.asking.is_none();
        Self::save_later(vec![if known { seen } else { StateOp::PutPeer(record) }], cx);
        self.ping_is_due(up.link, cx);
        self.report_to(&up.key, cx);
    }

    /// The link is gone, or is about to be: everything that hung on it ends, and the peer is looked for.
    pub(super) fn lose_link(&mut self, link: LinkId, reason: &str, cx: &mut Cx) {
        let Some(key) = self.end_link(link, reason, cx) else { return };
        let Some(peer) = self.peers.get(&key) else { return };
        let text = format!("lost the link to {}: {reason}", peer.record.name);
        if self.stopping {
            cx.info(text);
        } else {
            self.tell_of_link(&key, EventKind::PeerLost, Severity::Warning, text, cx);
        }
        self.dial_after_loss(&key, cx);
    }

    /// The peer whose link this was.
    fn end_link(&mut self, link: LinkId, reason: &str, cx: &mut Cx) -> Option<PublicKey> {
        let key = self.links.remove(&link)?;
        self.tally.links_lost += 1;
        let mut late: Vec<String> =
            self.waiting.iter().filter(|(_, w)| w.link == link).map(|(id, _)| id.clone()).collect();
        late.sort();
        let name = self
            .peers
            .get(&key)
            .map_or_else(|| key.node_id().to_string(), |p| p.record.name.clone());
        for id in late {
            let fault = Fault::new(
                Code::PeerUnreachable,
                format!("the link to {name} was lost before it answered: {reason}"),
            )
            .hint("what was asked may have happened or not; look with `miner-cli remote status`");
            self.settle(&id, Err(fault), cx);
        }
        self.end_follows(link);
        self.stop_reading(link);
        let peer = self.peers.get_mut(&key)?;
        if peer.link.as_ref().is_none_or(|l| l.id != link) {
            return None;
        }
        peer.link = None;
        peer.lost_at = peer.record.last_seen.unwrap_or(cx.now.wall);
        peer.reason = Some(reason.to_owned());
        peer.uptime.down(cx.now.mono);
        Self::save_later(vec![StateOp::Seen { key, at: peer.lost_at }], cx);
        Some(key)
    }

    /// Pings the peer of `link` and plans the next ping.
    pub(super) fn ping_is_due(&mut self, link: LinkId, cx: &mut Cx) {
        let Some(key) = self.links.get(&link).copied() else { return };
        self.timers.set(cx.now.mono.plus(self.ping_every(&key)), Timer::Ping(link));
        self.ping(&key, cx, |_, _, _| {});
    }

    fn ping_every(&self, key: &PublicKey) -> Duration {
        let peer = self.peers.get(key).and_then(|p| p.record.role);
        let it_pings = peer.is_some_and(Role::commands) && !self.setup.me.role.commands();
        if it_pings { PING_CONTROLLER_EVERY } else { PING_EVERY }
    }

    /// One ping; `then` hears the answer time in milliseconds, or what went wrong.
    pub(super) fn ping(
        &mut self,
        key: &PublicKey,
        cx: &mut Cx,
        then: impl FnOnce(&mut Self, Result<f64, Fault>, &mut Cx) + Send + 'static,
    ) {
        let (key, sent) = (*key, cx.now);
        self.ask(&key, Body::Ping {}, REQUEST, cx, move |registry, result, cx| {
            let took = cx.now.mono.since(sent.mono);
            let answer = result.map(|(_, ts)| {
                let middle = sent.wall.plus_ms(super::ms(took) / 2);
                (took.as_secs_f64() * 1000.0, (took < CLOCK_READ).then(|| ts.since_ms(middle)))
            });
            if let Some(peer) = registry.peers.get_mut(&key) {
                if let Ok((_, Some(ahead))) = answer {
                    peer.clock_ahead = ahead;
                }
                peer.uptime.pinged(answer.as_ref().ok().map(|(ms, _)| *ms));
            }
            then(registry, answer.map(|(ms, _)| ms), cx);
        });
    }
}
