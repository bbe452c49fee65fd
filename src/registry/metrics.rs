//! What `GET /metrics` shows: pointers to the reports as they came, so that a scrape of a large farm costs little here.
use std::sync::Arc;

use super::Registry;
use super::peers::Peer;
use crate::model::metrics::{OwnFigures, RigSnapshot, Snapshot};
use crate::model::peer::PeerState;
use crate::model::stats::RigState;
use crate::model::time::Now;

impl Registry {
    pub(super) fn metrics(&self, now: Now) -> Snapshot {
        let this = self.setup.me.role.obeys().then(|| self.this_rig(now));
        let others = self.peers.values().filter(|p| p.is_rig()).map(|p| rig(p, now));
        Snapshot { rigs: this.into_iter().chain(others).collect(), own: self.own_figures(now) }
    }

    fn own_figures(&self, now: Now) -> OwnFigures {
        OwnFigures {
            uptime: self.uptime(now),
            peers: self.peers.values().filter(|p| p.record.asking.is_none()).count(),
            links: self.links.len(),
            pairing_requests: self.asked.len(),
            requests_waiting: self.waiting.len(),
            timers: self.timers.len(),
            follows: self.follows.len() + self.events.followers(),
            readings_dropped: self.history.dropped(),
            tally: self.tally,
        }
    }

    fn this_rig(&self, now: Now) -> RigSnapshot {
        let stats = self.own_stats(now);
        RigSnapshot {
            id: self.setup.me.id,
            name: self.setup.me.name.clone(),
            labels: Default::default(),
            version: stats.version.clone(),
            up: true,
            state: stats.state,
            ping_ms: None,
            score: None,
            made: stats.as_of,
            report: Some(Arc::new(stats)),
            reported_at: Some(now.wall),
            age_ms: 0,
        }
    }
}

fn rig(peer: &Peer, now: Now) -> RigSnapshot {
    let report = peer.report.as_ref();
    RigSnapshot {
        id: peer.id,
        name: peer.record.name.clone(),
        labels: peer.record.labels.clone(),
        version: peer.record.version.clone(),
        up: peer.reachable(now) && report.is_some(),
        state: match peer.state(now) {
            PeerState::Rig(state) => state,
            _ => RigState::Unreachable,
        },
        ping_ms: peer.link.as_ref().and(peer.uptime.ping_ms),
        score: peer.uptime.score(peer.watched_since, now.mono),
        made: report.and_then(|report| report.made),
        report: report.map(|report| report.stats.clone()),
        reported_at: report.map(|report| report.at.wall),
        age_ms: report.map_or(0, |report| report.age(now)),
    }
}
