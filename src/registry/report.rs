//! Reports: what this node tells its controllers, what rigs told us, and the totals over them.
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::peers::{Peer, Report};
use super::{Cx, Registry, hostile};
use crate::bus::LinkId;
use crate::model::key::{NodeId, PublicKey};
use crate::model::miner::MinerState;
use crate::model::node::Role;
use crate::model::peer::PeerState;
use crate::model::stats::{
    AlgorithmTotal, MinerStats, NodeStats, REPORT_EVERY_S, RigState, Totals,
};
use crate::model::time::Now;
use crate::smsg::messages::Body;

/// Three reports missed: the rig is unreachable.
pub const SILENT_AFTER: Duration = Duration::from_secs(3 * REPORT_EVERY_S);
/// More rejected shares than this make a rig degraded, once there are enough shares to say so.
const REJECTED: f64 = 0.05;
const ENOUGH_SHARES: u64 = 20;

impl Registry {
    // ---- our own figures ----

    pub(super) fn own_stats(&self, now: Now) -> NodeStats {
        let miners: Vec<_> = self.miners.values().map(|m| m.view(now)).collect();
        NodeStats {
            node_id: self.setup.me.id,
            node_name: self.setup.me.name.clone(),
            state: self.own_state(&miners),
            unreachable_since: None,
            as_of: Some(now.wall),
            uptime: Some(self.uptime(now)),
            version: Some(self.setup.version.clone()),
            load: self.host.load,
            memory: self.host.memory,
            temperature: self.host.temperature,
            disk: self.host.disk,
            miners,
            history: None,
        }
    }

    fn own_state(&self, views: &[MinerStats]) -> RigState {
        let wanted = |m: &&MinerStats| self.miners.get(&m.name).is_some_and(|own| own.wanted);
        rig_state(&views.iter().filter(wanted).collect::<Vec<_>>())
    }

    /// Tells every linked controller how this node is doing.
    pub(super) fn report(&mut self, cx: &mut Cx) {
        let listening = |(key, peer): (&PublicKey, &Peer)| Some((*key, listening(peer)?));
        let links: Vec<(PublicKey, LinkId)> = self.peers.iter().filter_map(listening).collect();
        if links.is_empty() || !self.setup.me.role.obeys() {
            return;
        }
        let stats = self.own_stats(cx.now);
        for (key, link) in links {
            let stats = NodeStats { history: self.live(&key, cx), ..stats.clone() };
            let id = self.random.word();
            cx.send(link, id, None, Body::Stats(Box::new(stats)));
        }
    }

    /// A controller has just linked: it need not wait for the next beat.
    pub(super) fn report_to(&mut self, key: &PublicKey, cx: &mut Cx) {
        let Some(link) = self.peers.get(key).and_then(listening) else { return };
        if self.setup.me.role.obeys() {
            let id = self.random.word();
            let stats = NodeStats { history: self.live(key, cx), ..self.own_stats(cx.now) };
            cx.send(link, id, None, Body::Stats(Box::new(stats)));
        }
    }

    // ---- what rigs report ----

    pub(super) fn take_report(&mut self, key: &PublicKey, stats: NodeStats, cx: &mut Cx) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        if !peer.record.role.is_some_and(Role::obeys) {
            return;
        }
        let mut stats = hostile::report(stats);
        let history = stats.history.take();
        // Whatever it says of itself, these are ours to know.
        stats.node_id = peer.id;
        stats.node_name.clone_from(&peer.record.name);
        stats.unreachable_since = None;
        let made = stats.as_of.replace(cx.now.wall);
        peer.report = Some(Report { stats: Arc::new(stats), at: cx.now, made });
        self.tally.reports += 1;
        if let Some(live) = history {
            self.take_live(key, *live, cx);
        }
    }

    /// A rig's last report as it stands now: stale figures are no figures, and `asOf` is by our clock.
    pub(super) fn rig_stats(&self, peer: &Peer, now: Now) -> Arc<NodeStats> {
        let Some(report) = &peer.report else { return Arc::new(nothing_yet(peer, now)) };
        let since = peer.unreachable_since(now);
        let age = report.age(now);
        let fresh = |miner: &MinerStats| miner.is_fresh(report.made, age);
        if since.is_none() && report.stats.miners.iter().all(fresh) {
            return report.stats.clone();
        }
        let mut stats = NodeStats { unreachable_since: since, ..report.stats.as_ref().clone() };
        if since.is_some() {
            stats.state = RigState::Unreachable;
        }
        for miner in stats.miners.iter_mut().filter(|miner| !fresh(miner)) {
            miner.hashrate.now = None;
        }
        Arc::new(stats)
    }

    pub(super) fn all_stats(&self, now: Now) -> Vec<(NodeId, Arc<NodeStats>)> {
        let rigs = self.peers.values().filter(|p| p.is_rig());
        rigs.map(|p| (p.id, self.rig_stats(p, now))).collect()
    }

    /// The farm: only fresh readings count, and only within an algorithm.
    pub(super) fn totals(&self, now: Now) -> Totals {
        let mut farm = Farm::default();
        for peer in self.peers.values() {
            farm.add(peer, &self.rig_stats(peer, now), now);
        }
        farm.totals()
    }
}

/// Totals in the making.
#[derive(Default)]
pub struct Farm {
    totals: Totals,
    sums: BTreeMap<String, AlgorithmTotal>,
}

impl Farm {
    /// `stats` as [`Registry::rig_stats`] has them.
    pub fn add(&mut self, peer: &Peer, stats: &NodeStats, now: Now) {
        let Self { totals, sums } = self;
        totals.rigs.count(peer.state(now), peer.is_rig());
        if !peer.is_rig() || !peer.reachable(now) {
            return;
        }
        let mut algorithms: BTreeMap<&str, usize> = BTreeMap::new();
        for miner in &stats.miners {
            totals.accepted += miner.accepted.unwrap_or(0);
            totals.rejected += miner.rejected.unwrap_or(0);
            let (Some(algorithm), Some(hashrate)) = (&miner.algorithm, miner.hashrate.now) else {
                continue;
            };
            let sum = sums.entry(algorithm.clone()).or_default();
            sum.hashrate += hashrate;
            sum.miners += 1;
            sum.simulated += usize::from(miner.simulated);
            let here = algorithms.entry(algorithm).or_default();
            sum.rigs += usize::from(*here == 0);
            *here += 1;
        }
        for (algorithm, miners) in algorithms {
            if let Some(sum) = sums.get_mut(algorithm) {
                let rate = peer.effective.rate(algorithm, miners, now.mono);
                // A part of it is not the whole.
                sum.effective =
                    if sum.rigs == 1 { rate } else { sum.effective.zip(rate).map(|(a, b)| a + b) };
            }
        }
    }

    pub fn totals(self) -> Totals {
        let sums = self.sums.into_iter();
        let algorithms = sums.map(|(algorithm, sum)| AlgorithmTotal { algorithm, ..sum }).collect();
        Totals { algorithms, ..self.totals }
    }
}

/// The link of a peer that wants our reports.
pub(super) fn listening(peer: &Peer) -> Option<LinkId> {
    peer.link.as_ref().filter(|_| peer.record.role.is_some_and(Role::commands)).map(|l| l.id)
}

fn nothing_yet(peer: &Peer, now: Now) -> NodeStats {
    NodeStats {
        unreachable_since: peer.unreachable_since(now),
        version: peer.record.version.clone(),
        ..NodeStats::unknown(peer.id, peer.record.name.clone(), RigState::Unreachable)
    }
}

/// A rig's state from the miners that are meant to run on it.
pub fn rig_state(wanted: &[&MinerStats]) -> RigState {
    if wanted.is_empty() {
        return RigState::Idle;
    }
    let hashing = wanted.iter().filter(|m| m.state == MinerState::Hashing).count();
    if hashing == 0 {
        let looping = wanted.iter().any(|m| m.state == MinerState::CrashLoop);
        return if looping { RigState::CrashLoop } else { RigState::NotHashing };
    }
    let all = hashing == wanted.len();
    let dead_device =
        |m: &&&MinerStats| m.devices.len() > 1 && m.devices.iter().any(|d| d.hashrate == Some(0.0));
    let rejecting = |m: &&&MinerStats| {
        let (good, bad) = (m.accepted.unwrap_or(0), m.rejected.unwrap_or(0));
        good + bad >= ENOUGH_SHARES && bad as f64 > (good + bad) as f64 * REJECTED
    };
    if all && !wanted.iter().any(|m| dead_device(&m) || rejecting(&m)) {
        RigState::Hashing
    } else {
        RigState::Degraded
    }
}

impl crate::model::stats::RigCounts {
    fn count(&mut self, state: PeerState, is_rig: bool) {
        let place = match state {
            PeerState::AwaitingApproval => &mut self.awaiting_approval,
            PeerState::Rig(state) if is_rig => match state {
                RigState::Hashing => &mut self.hashing,
                RigState::Degraded => &mut self.degraded,
                RigState::NotHashing => &mut self.not_hashing,
                RigState::CrashLoop => &mut self.crash_loop,
                RigState::Idle => &mut self.idle,
                RigState::Unreachable => &mut self.unreachable,
            },
            _ => return,
        };
        *place += 1;
        self.total += 1;
    }
}
