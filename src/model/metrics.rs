//! What a node knows of its farm and of itself at one moment, for `GET /metrics`.
use std::sync::Arc;

use super::key::NodeId;
use super::labels::Labels;
use super::stats::{NodeStats, RigState};
use super::time::Timestamp;

#[derive(Clone, PartialEq, Debug)]
pub struct Snapshot {
    /// This node, when it runs miners, then every registered rig.
    pub rigs: Vec<RigSnapshot>,
    pub own: OwnFigures,
}

/// A rig: its last report as it came, and what is to be thought of it.
#[derive(Clone, PartialEq, Debug)]
pub struct RigSnapshot {
    pub id: NodeId,
    pub name: String,
    pub labels: Labels,
    pub version: Option<String>,
    /// Linked, and heard of within three reports.
    pub up: bool,
    pub state: RigState,
    pub ping_ms: Option<f64>,
    pub score: Option<u8>,
    pub report: Option<Arc<NodeStats>>,
    /// When that report was made, by the rig's clock.
    pub made: Option<Timestamp>,
    /// When it came, by our clock, and how long ago that is.
    pub reported_at: Option<Timestamp>,
    pub age_ms: i64,
}

/// The registry's own: sizes now, and counts since the daemon started.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct OwnFigures {
    /// Seconds since the daemon started.
    pub uptime: u64,
    pub peers: usize,
    pub links: usize,
    pub pairing_requests: usize,
    /// Requests to peers that wait for their answer.
    pub requests_waiting: usize,
    pub timers: usize,
    /// Logs and events that somebody follows.
    pub follows: usize,
    /// Readings lost on their way into mining.db, as far as the history thread has told: when writing fails, and when
    /// it works again.
    pub readings_dropped: u64,
    pub tally: Tally,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    /// Reports of rigs that were taken.
    pub reports: u64,
    pub links_made: u64,
    pub links_lost: u64,
    pub events: u64,
}
