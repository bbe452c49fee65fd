//! `GET /live`: one picture of the node for everyone who watches it. It is made every 2 s while somebody does, compared
//! with the last one, and the difference is told to all. Without watchers there is no picture and no timer.
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Sender;

use super::calls::ReplyTo;
use super::report::Farm;
use super::timers::Timer;
use super::{Cx, Out, Registry, ms};
use crate::bus::{LiveAlerts, LiveNews, LivePart, Reply};
use crate::model::event::EventRecord;
use crate::model::fault::Fault;
use crate::model::key::{NodeId, PublicKey};
use crate::model::live::RigRow;
use crate::model::node::NodeInfo;
use crate::model::peer::PeerView;
use crate::model::stats::{NodeStats, Totals};
use crate::model::time::{Mono, Now};

/// How often changes are told.
const EVERY: Duration = Duration::from_secs(2);
/// When nothing changed for so long, that is told.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// Events that wait to be told; more are counted.
const EVENTS: usize = 500;
/// A linked peer's row is not told again for a later `lastSeen` alone, until it is so much later: its report says more.
const SEEN_AGAIN: Duration = Duration::from_secs(30);

/// The node is told again when it has been up for so much longer.
const UPTIME_AGAIN: Duration = Duration::from_secs(60);

/// Who watches, and what they were told.
#[derive(Default)]
pub struct Live {
    watchers: BTreeMap<u64, Watcher>,
    /// There is a timer.
    ticks: bool,
    picture: Option<Picture>,
    told: Mono,
    events: Vec<Arc<EventRecord>>,
    skipped: u64,
}

struct Watcher {
    sink: Sender<LivePart>,
    rig: Option<Which>,
    /// Its report, as it was told.
    report: Option<Arc<NodeStats>>,
    /// It lost something and gets everything again.
    behind: bool,
}

#[derive(Clone, Copy)]
enum Which {
    Own,
    Peer(PublicKey),
}

/// What was last told.
struct Picture {
    node: Arc<NodeInfo>,
    peers: BTreeMap<NodeId, Arc<PeerView>>,
    rigs: BTreeMap<NodeId, Arc<RigRow>>,
    totals: Arc<Totals>,
    alerts: Arc<LiveAlerts>,
    /// Our own report, and since when it is this one.
    own: Option<(Arc<NodeStats>, Mono)>,
}

impl Live {
    #[cfg(test)]
    pub fn is_idle(&self) -> bool {
        self.picture.is_none() && self.watchers.is_empty() && self.events.is_empty()
    }

    /// An event, for those who watch.
    pub fn note(&mut self, event: &Arc<EventRecord>) {
        if self.watchers.is_empty() {
            return;
        }
        if self.events.len() == EVENTS {
            self.events.remove(0);
            self.skipped += 1;
        }
        self.events.push(event.clone());
    }
}

impl Registry {
    pub(super) fn watch_live(
        &mut self,
        rig: Option<&str>,
        sink: Sender<LivePart>,
        to: ReplyTo,
        cx: &mut Cx,
    ) {
        let rig = match rig.map(|text| self.watched(text)).transpose() {
            Ok(rig) => rig,
            Err(fault) => return cx.reply(to, Err(fault)),
        };
        let follow = self.count();
        if self.live.picture.is_none() {
            self.live.picture = Some(self.picture(cx.now));
            self.live.told = cx.now.mono;
        }
        let watcher = Watcher { sink, rig, report: None, behind: true };
        self.live.watchers.insert(follow, watcher);
        let everything = self.everything(cx.now);
        self.tell_live(follow, &everything, &Arc::default(), 0, cx);
        if !self.live.ticks {
            self.live.ticks = true;
            self.timers.set(cx.now.mono.plus(EVERY), Timer::Live);
        }
        cx.reply(to, Ok(Reply::Follow { follow }));
    }

    /// The last one who leaves takes the picture along.
    pub fn unwatch(&mut self, follow: u64) {
        self.live.watchers.remove(&follow);
        if self.live.watchers.is_empty() {
            self.live = Live { ticks: self.live.ticks, ..Live::default() };
        }
    }

    /// A watcher was too slow for what it was told.
    pub fn live_lost(&mut self, follow: u64) {
        if let Some(watcher) = self.live.watchers.get_mut(&follow) {
            watcher.behind = true;
        }
    }

    /// Every 2 s while somebody watches.
    pub(super) fn live_is_due(&mut self, cx: &mut Cx) {
        self.live.ticks = false;
        let Some(before) = self.live.picture.take() else { return };
        let now = self.picture_after(&before, cx.now);
        let (news, everyone) = changes(&before, &now, cx.now);
        self.live.picture = Some(now);
        let events = Arc::new(std::mem::take(&mut self.live.events));
        let skipped = std::mem::take(&mut self.live.skipped);
        let silent = news.is_empty() && events.is_empty();
        let due = cx.now.mono.since(self.live.told) >= HEARTBEAT;
        if !silent || due {
            self.live.told = cx.now.mono;
        }
        let (news, mut everything) = (Arc::new(news), None);
        for follow in self.live.watchers.keys().copied().collect::<Vec<_>>() {
            let behind = self.live.watchers.get(&follow).is_some_and(|w| w.behind);
            if behind || everyone {
                let all = everything.get_or_insert_with(|| self.everything(cx.now)).clone();
                self.tell_live(follow, &all, &events, skipped, cx);
            } else if !silent || due || self.has_new_report(follow, cx.now) {
                self.tell_live(follow, &news, &events, skipped, cx);
            }
        }
        self.live.ticks = true;
        self.timers.set(cx.now.mono.plus(EVERY), Timer::Live);
    }

    fn tell_live(
        &mut self,
        follow: u64,
        news: &Arc<LiveNews>,
        events: &Arc<Vec<Arc<EventRecord>>>,
        skipped: u64,
        cx: &mut Cx,
    ) {
        let Some(which) = self.live.watchers.get(&follow).map(|w| w.rig) else { return };
        let report = which.and_then(|which| self.watched_report(which, cx.now));
        let Some(watcher) = self.live.watchers.get_mut(&follow) else { return };
        let rig = if news.all || watcher.report != report { report.clone() } else { None };
        (watcher.report, watcher.behind) = (report, false);
        let part = LivePart { news: news.clone(), rig, events: events.clone(), skipped };
        cx.out.push(Out::Live { follow, to: watcher.sink.clone(), part });
    }

    // ---- one rig ----

    fn watched(&self, text: &str) -> Result<Which, Fault> {
        let me = &self.setup.me;
        if me.role.obeys() && (me.id.to_string() == text || me.name == text) {
            return Ok(Which::Own);
        }
        self.find_peer(text).map(Which::Peer)
    }

    fn watched_report(&self, which: Which, now: Now) -> Option<Arc<NodeStats>> {
        match which {
            Which::Own => self.live.picture.as_ref()?.own.as_ref().map(|(stats, _)| stats.clone()),
            Which::Peer(key) => {
                self.peers.get(&key).filter(|p| p.is_rig()).map(|p| self.rig_stats(p, now))
            }
        }
    }

    fn has_new_report(&self, follow: u64, now: Now) -> bool {
        self.live.watchers.get(&follow).is_some_and(|watcher| {
            watcher.rig.is_some_and(|which| self.watched_report(which, now) != watcher.report)
        })
    }

    // ---- the picture ----

    /// What is wrong now.
    fn live_alerts(&self) -> LiveAlerts {
        self.current_alerts()
    }

    fn picture(&self, now: Now) -> Picture {
        let mut farm = Farm::default();
        let mut rigs = BTreeMap::new();
        for peer in self.peers.values() {
            let stats = self.rig_stats(peer, now);
            farm.add(peer, &stats, now);
            if peer.is_rig() {
                rigs.insert(stats.node_id, Arc::new(RigRow::of(&stats, false)));
            }
        }
        let own = self.setup.me.role.obeys().then(|| Arc::new(self.own_stats(now)));
        Picture {
            node: Arc::new(self.node_info(now)),
            peers: self.peer_views(now).into_iter().map(|row| (row.id, Arc::new(row))).collect(),
            rigs,
            totals: Arc::new(farm.totals()),
            alerts: Arc::new(self.live_alerts()),
            own: own.map(|stats| (stats, now.mono)),
        }
        .with_own()
    }

    /// The picture of now, in which what matters as little as a further second of uptime is as it was before.
    fn picture_after(&self, before: &Picture, now: Now) -> Picture {
        let mut picture = self.picture(now);
        if is_same_node(&before.node, &picture.node) {
            picture.node = before.node.clone();
        }
        for (id, row) in &mut picture.peers {
            if let Some(old) = before.peers.get(id).filter(|old| says_the_same(old, row)) {
                *row = old.clone();
            }
        }
        if let (Some((old, since)), Some((new, at))) = (&before.own, &mut picture.own)
            && now.mono.since(*since) < HEARTBEAT
            && is_same_report(old, new)
        {
            (*new, *at) = (old.clone(), *since);
        }
        picture.with_own()
    }

    fn everything(&self, now: Now) -> Arc<LiveNews> {
        let mut news = LiveNews::at(now.wall);
        news.all = true;
        if let Some(picture) = &self.live.picture {
            news.node = Some(picture.node.clone());
            news.peers = picture.peers.values().cloned().collect();
            news.rigs = picture.rigs.values().cloned().collect();
            news.totals = Some(picture.totals.clone());
            news.alerts = Some(picture.alerts.clone());
        }
        Arc::new(news)
    }
}

impl Picture {
    /// With our own row among the rigs.
    fn with_own(mut self) -> Self {
        if let Some((stats, _)) = &self.own {
            self.rigs.insert(stats.node_id, Arc::new(RigRow::of(stats, true)));
        }
        self
    }
}

/// What differs; and whether that cannot be told as a change: a peer that stays and is a rig no more.
fn changes(before: &Picture, after: &Picture, now: Now) -> (LiveNews, bool) {
    let mut news = LiveNews::at(now.wall);
    news.node = changed(&before.node, &after.node);
    news.totals = changed(&before.totals, &after.totals);
    news.alerts = changed(&before.alerts, &after.alerts);
    news.peers = changed_rows(&before.peers, &after.peers);
    news.rigs = changed_rows(&before.rigs, &after.rigs);
    news.gone = before.peers.keys().filter(|id| !after.peers.contains_key(id)).copied().collect();
    let unrigged = |id: &&NodeId| !after.rigs.contains_key(id) && after.peers.contains_key(id);
    let everyone = before.rigs.keys().any(|id| unrigged(&id));
    (news, everyone)
}

fn changed<T: PartialEq>(before: &Arc<T>, after: &Arc<T>) -> Option<Arc<T>> {
    (!Arc::ptr_eq(before, after) && before != after).then(|| after.clone())
}

fn changed_rows<T: PartialEq>(
    before: &BTreeMap<NodeId, Arc<T>>,
    after: &BTreeMap<NodeId, Arc<T>>,
) -> Vec<Arc<T>> {
    let is_new = |(id, row): &(&NodeId, &Arc<T>)| {
        before.get(id).is_none_or(|old| !Arc::ptr_eq(old, row) && old != *row)
    };
    after.iter().filter(is_new).map(|(_, row)| row.clone()).collect()
}

fn is_same_node(old: &NodeInfo, new: &NodeInfo) -> bool {
    let later = new.uptime.saturating_sub(old.uptime);
    later < UPTIME_AGAIN.as_secs() && *old == NodeInfo { uptime: old.uptime, ..new.clone() }
}

fn says_the_same(old: &PeerView, new: &PeerView) -> bool {
    let later = old.last_seen.zip(new.last_seen).map(|(old, new)| new.since_ms(old));
    new.connected
        && later.is_some_and(|later| later < ms(SEEN_AGAIN))
        && *old == PeerView { last_seen: old.last_seen, ..new.clone() }
}

/// Apart from the clocks, which run, and from the machine's own figures.
fn is_same_report(old: &NodeStats, new: &NodeStats) -> bool {
    let mut new = NodeStats {
        as_of: old.as_of,
        uptime: old.uptime,
        load: old.load,
        memory: old.memory,
        temperature: old.temperature,
        ..new.clone()
    };
    for (new, old) in new.miners.iter_mut().zip(&old.miners) {
        new.uptime = new.uptime.and(old.uptime).or(new.uptime);
    }
    *old == new
}
