//! What the registry tells those who watch the whole node: `GET /live`. Each message is made once for all of them, and
//! written as JSON once, by the first thread that needs it.
use crate::model::alert::Alert;
use crate::model::event::EventRecord;
use crate::model::key::NodeId;
use crate::model::live::RigRow;
use crate::model::node::NodeInfo;
use crate::model::peer::PeerView;
use crate::model::stats::{NodeStats, Totals};
use crate::model::time::Timestamp;
use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};
use std::sync::{Arc, OnceLock};

/// One message for one watcher.
#[derive(Clone, Debug)]
pub struct LivePart {
    pub news: Arc<LiveNews>,
    /// The whole report of the rig that this watcher asked for.
    pub rig: Option<Arc<NodeStats>>,
    /// What happened, oldest first, after so many events that were too many.
    pub events: Arc<Vec<Arc<EventRecord>>>,
    pub skipped: u64,
}

/// Everything, or what changed since the last message. A key that holds nothing is left out of a change.
#[derive(Debug, Default)]
pub struct LiveNews {
    /// Everything: the watcher forgets what it knew.
    pub all: bool,
    pub at: Timestamp,
    pub node: Option<Arc<NodeInfo>>,
    pub peers: Vec<Arc<PeerView>>,
    pub rigs: Vec<Arc<RigRow>>,
    pub totals: Option<Arc<Totals>>,
    pub alerts: Option<Arc<LiveAlerts>>,
    /// Peers that are no more.
    pub gone: Vec<NodeId>,
    json: OnceLock<String>,
}

/// Rows as `GET /alerts` has them.
pub type LiveAlerts = Vec<Alert>;

impl LiveNews {
    #[must_use]
    pub fn at(at: Timestamp) -> Self {
        Self { at, ..Self::default() }
    }

    /// Nothing but the time: a heartbeat.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self { node, peers, rigs, totals, alerts, gone, .. } = self;
        let none = node.is_none() && totals.is_none() && alerts.is_none();
        none && peers.is_empty() && rigs.is_empty() && gone.is_empty()
    }

    /// One line of JSON.
    #[must_use]
    pub fn json(&self) -> &str {
        self.json.get_or_init(|| serde_json::to_string(self).unwrap_or_default())
    }
}

impl Serialize for LiveNews {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("at", &self.at)?;
        if let Some(node) = &self.node {
            map.serialize_entry("node", &**node)?;
        }
        if self.all || !self.peers.is_empty() {
            map.serialize_entry("peers", &Rows(&self.peers))?;
        }
        if self.all || !self.rigs.is_empty() {
            map.serialize_entry("rigs", &ById(&self.rigs))?;
        }
        if let Some(totals) = &self.totals {
            map.serialize_entry("totals", &**totals)?;
        }
        if let Some(alerts) = &self.alerts {
            map.serialize_entry("alerts", &**alerts)?;
        }
        if !self.gone.is_empty() {
            map.serialize_entry("gone", &self.gone)?;
        }
        map.end()
    }
}

struct Rows<'a>(&'a [Arc<PeerView>]);

impl Serialize for Rows<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|row| &**row))
    }
}

struct ById<'a>(&'a [Arc<RigRow>]);

impl Serialize for ById<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|row| (row.id, &**row)))
    }
}
