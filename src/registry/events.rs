//! Events: what is worth telling, raised where it happens. They are kept for a week, shown to those who follow them,
//! and told to the controllers: once each, also those that were raised while no controller was linked.
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Sender;

use super::calls::ReplyTo;
use super::obey::Asker;
use super::{Cx, Out, Registry, hostile, report};
use crate::bus::{Reply, StateOp};
use crate::model::event::{EventKind, EventPart, EventRecord, KEPT, KEPT_MS, Severity};
use crate::model::fault::{Code, Fault};
use crate::model::key::PublicKey;
use crate::model::node::Role;
use crate::model::text::clean;
use crate::model::time::Mono;
use crate::smsg::limits::{EVENTS_AT_ONCE, REQUEST};
use crate::smsg::messages::Body;
use crate::sys::log::Level;

/// Characters of an event's sentence.
const SENTENCE: usize = 600;
/// The upper part of an event's number is the epoch of the daemon's run: a number that did not reach the disk is
/// not used again. With this many bits below it all numbers stay exact in JSON readers that use floats.
const COUNT_BITS: u32 = 20;
/// Of what a controller missed, the newest so many are told …
const BACKLOG: usize = 500;
/// … in messages with no more text of miners than this, in bytes.
const LOG_BYTES: usize = 24 * 1024;
/// Events with lines of a log that are kept with them; older ones lose theirs.
const WITH_LOG: usize = 100;
/// What one rig may tell in ten minutes: it shall not push the others' events out.
const FROM_ONE: u32 = 600;
const FROM_ONE_WITHIN: Duration = Duration::from_secs(600);
/// Links and losses of one peer that are told in that time: one that comes and goes all day shall not, either.
const COMINGS: u32 = 20;

/// Whom an event is about.
#[derive(Clone, Copy, Default)]
pub struct About<'a> {
    pub peer: Option<&'a str>,
    pub miner: Option<&'a str>,
}

impl<'a> About<'a> {
    pub fn peer(name: &'a str) -> Self {
        Self { peer: Some(name), miner: None }
    }

    pub fn miner(name: &'a str) -> Self {
        Self { peer: None, miner: Some(name) }
    }
}

/// The events of this node and of its rigs, oldest first, and who follows them.
pub struct EventLog {
    kept: VecDeque<Arc<EventRecord>>,
    with_log: VecDeque<u64>,
    /// The highest number given.
    last: u64,
    /// There may be something that the controllers do not know.
    untold: bool,
    followers: BTreeMap<u64, Follower>,
}

struct Follower {
    sink: Sender<EventPart>,
    /// Events that found no room in the sink.
    lost: u64,
}

/// What a peer and we told each other of events.
#[derive(Default)]
pub struct Telling {
    /// As a controller it has ours up to this number; unknown after our start, until it says so.
    told: u64,
    /// It was told some and has not answered yet.
    asked: bool,
    /// As a rig it told us its own up to this number; also on disk.
    pub heard: u64,
    quota: Quota,
    comings: Quota,
}

/// So many within a time.
#[derive(Default)]
pub struct Quota {
    since: Mono,
    taken: u32,
}

impl EventLog {
    pub fn new(saved: Vec<EventRecord>, epoch: u64) -> Self {
        let last = saved.last().map_or(0, |e| e.number).max(epoch << COUNT_BITS);
        let mut log = Self {
            kept: VecDeque::new(),
            with_log: VecDeque::new(),
            last,
            untold: true,
            followers: BTreeMap::new(),
        };
        saved.into_iter().for_each(|event| log.push(event));
        log
    }

    fn push(&mut self, event: EventRecord) {
        if !event.log.is_empty() {
            self.with_log.push_back(event.number);
        }
        self.kept.push_back(Arc::new(event));
        if self.with_log.len() > WITH_LOG
            && let Some(number) = self.with_log.pop_front()
            && let Ok(at) = self.kept.binary_search_by_key(&number, |e| e.number)
        {
            Arc::make_mut(&mut self.kept[at]).log.clear();
        }
    }

    pub fn followers(&self) -> usize {
        self.followers.len()
    }

    fn past(&self, since: Option<u64>, lines: usize) -> Vec<Arc<EventRecord>> {
        let newer = |e: &&Arc<EventRecord>| since.is_none_or(|number| e.number > number);
        let mut past: Vec<_> =
            self.kept.iter().rev().take_while(newer).take(lines).cloned().collect();
        past.reverse();
        past
    }
}

impl Registry {
    /// Tells of something that happened on this node.
    pub(super) fn raise(
        &mut self,
        kind: EventKind,
        severity: Severity,
        about: About<'_>,
        text: String,
        cx: &mut Cx,
    ) {
        self.raise_with_log(kind, severity, about, text, Vec::new(), cx);
    }

    #[expect(clippy::needless_pass_by_value, reason = "every caller has just made it")]
    pub(super) fn raise_with_log(
        &mut self,
        kind: EventKind,
        severity: Severity,
        about: About<'_>,
        text: String,
        log: Vec<String>,
        cx: &mut Cx,
    ) {
        let event = EventRecord {
            number: 0,
            at: cx.now.wall,
            node: self.setup.me.id,
            node_name: self.setup.me.name.clone(),
            kind,
            severity,
            peer: about.peer.map(str::to_owned),
            miner: about.miner.map(str::to_owned),
            text: clean(&text, SENTENCE),
            log,
        };
        let level = if severity == Severity::Info { Level::Info } else { Level::Warn };
        cx.out.push(Out::Log(level, event.text.clone()));
        self.events.untold = true;
        let ops = self.keep_event(event, cx);
        Self::save_later(ops, cx);
    }

    /// A link with a peer came or went. Of one that does so on and on, no more than some are told; all are counted.
    pub(super) fn tell_of_link(
        &mut self,
        key: &PublicKey,
        kind: EventKind,
        severity: Severity,
        mut text: String,
        cx: &mut Cx,
    ) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        let comings = &mut peer.telling.comings;
        if !comings.has_room(cx.now.mono, COMINGS, FROM_ONE_WITHIN) {
            return;
        }
        if comings.taken == COMINGS {
            text += "; it comes and goes: that is told again in some minutes";
        }
        let name = peer.record.name.clone();
        self.raise(kind, severity, About::peer(&name), text, cx);
    }

    /// Numbers the event and shows it to the followers; what is to be written.
    fn keep_event(&mut self, mut event: EventRecord, cx: &mut Cx) -> Vec<StateOp> {
        self.events.last += 1;
        self.tally.events += 1;
        event.number = self.events.last;
        self.events.push(event);
        let Some(event) = self.events.kept.back().cloned() else { return Vec::new() };
        self.alert_on_event(&event, cx);
        for (follow, follower) in &mut self.events.followers {
            let skipped = std::mem::take(&mut follower.lost);
            let part = EventPart { events: vec![event.clone()], skipped };
            cx.out.push(Out::Tell { follow: *follow, to: follower.sink.clone(), part });
        }
        self.live.note(&event);
        let mut ops = vec![StateOp::Event(event)];
        ops.extend(self.forget_events(cx));
        ops
    }

    /// Drops what is too old or too much.
    fn forget_events(&mut self, cx: &Cx) -> Option<StateOp> {
        let kept = &mut self.events.kept;
        let mut gone = None;
        while let Some(oldest) = kept.front()
            && (kept.len() > KEPT || cx.now.wall.since_ms(oldest.at) > KEPT_MS)
        {
            gone = Some(oldest.number);
            kept.pop_front();
        }
        gone.map(StateOp::ForgetEvents)
    }

    /// Every 10 s.
    pub(super) fn review_events(&mut self, cx: &mut Cx) {
        if let Some(op) = self.forget_events(cx) {
            Self::save_later(vec![op], cx);
        }
        // What a controller did not answer is told again.
        self.events.untold = true;
    }

    // ---- readers on this node ----

    pub(super) fn past_events(&self, since: Option<u64>, lines: usize) -> Reply {
        Reply::Events(self.events.past(since, lines))
    }

    pub(super) fn follow_events(
        &mut self,
        since: Option<u64>,
        lines: usize,
        sink: Sender<EventPart>,
        to: ReplyTo,
        cx: &mut Cx,
    ) {
        let follow = self.count();
        let events = self.events.past(since, lines);
        if !events.is_empty() {
            let part = EventPart { events, skipped: 0 };
            cx.out.push(Out::Tell { follow, to: sink.clone(), part });
        }
        self.events.followers.insert(follow, Follower { sink, lost: 0 });
        cx.reply(to, Ok(Reply::Follow { follow }));
    }

    pub(super) fn unfollow_events(&mut self, follow: u64) {
        self.events.followers.remove(&follow);
    }

    /// A follower was too slow for `part`, or is gone (`None`).
    pub fn events_lost(&mut self, follow: u64, part: Option<&EventPart>) {
        match (self.events.followers.get_mut(&follow), part) {
            (Some(follower), Some(part)) => {
                follower.lost += part.skipped + part.events.len() as u64;
            }
            (Some(_), None) => self.unfollow_events(follow),
            (None, _) => {}
        }
    }

    // ---- to the controllers ----

    /// A controller has just linked.
    pub(super) fn events_wait(&mut self) {
        self.events.untold = true;
    }

    /// Tells the linked controllers what they do not know yet.
    pub(super) fn tell_controllers(&mut self, cx: &mut Cx) {
        if !std::mem::take(&mut self.events.untold) || !self.setup.me.role.obeys() {
            return;
        }
        for key in self.peers.keys().copied().collect::<Vec<_>>() {
            self.tell_events(&key, cx);
        }
    }

    fn tell_events(&mut self, key: &PublicKey, cx: &mut Cx) {
        let events = self.untold(key);
        let (Some(last), Some(peer)) = (events.last(), self.peers.get_mut(key)) else { return };
        let (key, last) = (*key, last.number);
        peer.telling.asked = true;
        self.ask(&key, Body::Events { events }, REQUEST, cx, move |registry, result, cx| {
            let newest = registry.events.last;
            let Some(peer) = registry.peers.get_mut(&key) else { return };
            peer.telling.asked = false;
            if let Ok((Body::EventsAck { heard }, _)) = result {
                // After our own restart it may know more than we remember to have told.
                peer.telling.told = last.max(heard.min(newest));
                registry.tell_events(&key, cx);
            }
        });
    }

    /// The next message for a controller; empty when it is not linked, has not answered the last one, or knows all.
    fn untold(&self, key: &PublicKey) -> Vec<EventRecord> {
        let Some(peer) = self.peers.get(key) else { return Vec::new() };
        if peer.telling.asked || report::listening(peer).is_none() {
            return Vec::new();
        }
        let newer = |e: &&Arc<EventRecord>| e.number > peer.telling.told;
        // It sees its own coming and going itself, and raises what the policy here refused it.
        let itself = |e: &EventRecord| {
            e.peer.as_deref() == Some(&peer.record.name)
                && matches!(
                    e.kind,
                    EventKind::PeerRegistered
                        | EventKind::PeerLinked
                        | EventKind::PeerLost
                        | EventKind::PolicyRefused
                )
        };
        let ours = |e: &&Arc<EventRecord>| {
            e.node == self.setup.me.id && e.at > peer.record.added_at && !itself(e)
        };
        let pending: Vec<_> =
            self.events.kept.iter().rev().take_while(newer).filter(ours).take(BACKLOG).collect();
        let mut room = LOG_BYTES;
        let fits = |e: &&&Arc<EventRecord>| {
            let bytes: usize = e.log.iter().map(String::len).sum();
            let fits = bytes <= room;
            room = room.saturating_sub(bytes);
            fits
        };
        let next = pending.iter().rev().take(EVENTS_AT_ONCE).take_while(fits);
        next.map(|e| e.as_ref().clone()).collect()
    }

    // ---- from the rigs ----

    /// A rig tells what happened there. Each is kept once, under our own number and our own name for the rig.
    pub(super) fn take_events(&mut self, asker: Asker, events: Vec<EventRecord>, cx: &mut Cx) {
        let key = asker.key;
        let Some(peer) = self.peers.get_mut(&key) else { return };
        if !peer.record.role.is_some_and(Role::obeys) {
            let fault = Fault::new(Code::NotAllowed, "only rigs tell events");
            return self.answer(&asker, Body::Error(fault), cx);
        }
        let (name, ahead) = (peer.record.name.clone(), peer.clock_ahead);
        let mut fresh = Vec::new();
        for event in events.into_iter().take(EVENTS_AT_ONCE) {
            if event.number > peer.telling.heard {
                peer.telling.heard = event.number;
                if peer.telling.quota.has_room(cx.now.mono, FROM_ONE, FROM_ONE_WITHIN) {
                    fresh.push(event);
                }
            }
        }
        let heard = peer.telling.heard;
        let mut ops = Vec::new();
        for event in fresh {
            let event = EventRecord {
                at: event.at.plus_ms(ahead.saturating_neg()).min(cx.now.wall),
                node: key.node_id(),
                node_name: name.clone(),
                ..hostile::event(event)
            };
            ops.extend(self.keep_event(event, cx));
        }
        let ack = Body::EventsAck { heard };
        if ops.is_empty() {
            return self.answer(&asker, ack, cx);
        }
        ops.push(StateOp::EventsHeard { key, number: heard });
        // On a full disk they are still shown: that is no reason to be told them again and again.
        self.save(ops, cx, move |registry, _, cx| registry.answer(&asker, ack, cx));
    }
}

impl Quota {
    pub fn has_room(&mut self, now: Mono, most: u32, within: Duration) -> bool {
        if now.since(self.since) >= within {
            (self.since, self.taken) = (now, 0);
        }
        self.taken = self.taken.saturating_add(1);
        self.taken <= most
    }
}
