//! What is to happen when: a heap of deadlines. A timer that no longer matters is found out when it fires.
use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::bus::LinkId;
use crate::model::key::{NodeId, PublicKey};
use crate::model::time::Mono;

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Timer {
    Dial(PublicKey),
    /// A node known by its invite.
    Join(NodeId),
    Ping(LinkId),
    /// A request to a peer, by envelope id.
    Request(String),
    MinerStart {
        name: String,
        run: u64,
    },
    MinerWait,
    /// A rig may be asked for its history again.
    History(PublicKey),
    /// The alerts go on behind this peer.
    Review(PublicKey),
    /// Those who watch are told what changed.
    Live,
}

#[derive(Default)]
pub struct Timers(BinaryHeap<Reverse<(Mono, Timer)>>);

impl Timers {
    pub fn set(&mut self, at: Mono, timer: Timer) {
        self.0.push(Reverse((at, timer)));
    }

    pub fn next(&self) -> Option<Mono> {
        self.0.peek().map(|Reverse((at, _))| *at)
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    #[cfg(test)]
    pub fn count(&self, wanted: &Timer) -> usize {
        self.0.iter().filter(|Reverse((_, timer))| timer == wanted).count()
    }

    /// The next timer that is due by `now`, taken out.
    pub fn due(&mut self, now: Mono) -> Option<Timer> {
        if self.next()? > now {
            return None;
        }
        self.0.pop().map(|Reverse((_, timer))| timer)
    }
}
