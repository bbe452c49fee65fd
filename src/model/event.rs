//! Something that happened and is worth telling: a miner crashed, a peer came or went, a command was refused.
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::key::NodeId;
use super::time::Timestamp;

/// Events that a node keeps, and for how long.
pub const KEPT: usize = 10_000;
pub const KEPT_MS: i64 = 7 * 24 * 3600 * 1000;

/// How much it matters to someone who is asleep.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Info,
    Warning,
    Critical,
}

/// What kind of thing happened. JSON: kebab-case.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventKind {
    PeerRegistered,
    PeerRemoved,
    PeerLinked,
    PeerLost,
    PairingRequest,
    KeyChanged,
    CommandRefused,
    PolicyRefused,
    MinerStarted,
    MinerStopped,
    MinerExited,
    MinerRestarted,
    /// The watchdog ends a miner that hangs.
    MinerHung,
    CrashLoop,
    MinerFailed,
    /// mining.db was damaged and put away; a new one was begun.
    HistorySetAside,
    /// Readings cannot be written, and from when on they can be again.
    HistoryFailed,
    HistoryRecovered,
    /// A rig's clock is far from ours, or agrees with it again.
    ClockOff,
    /// Of a newer version.
    #[serde(other)]
    Other,
}

/// One event, as it is stored, forwarded and shown.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EventRecord {
    /// By the node that tells it; rises with each event, with gaps, and is never used again.
    pub number: u64,
    pub at: Timestamp,
    /// Where it happened.
    pub node: NodeId,
    pub node_name: String,
    pub kind: EventKind,
    pub severity: Severity,
    #[serde(default)]
    pub peer: Option<String>,
    #[serde(default)]
    pub miner: Option<String>,
    /// A sentence.
    pub text: String,
    /// The last lines that the miner printed; of a crash loop alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<String>,
}

impl Severity {
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// Events on their way to a reader, with the number of those that were lost before them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct EventPart {
    pub events: Vec<Arc<EventRecord>>,
    pub skipped: u64,
}
