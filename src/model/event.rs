//! Something that happened and is worth telling: a miner crashed, a peer came or went, a command was refused.
use serde::{Deserialize, Serialize};

use super::key::NodeId;
use super::time::Timestamp;

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
    CrashLoop,
    MinerFailed,
    /// Of a newer version.
    #[serde(other)]
    Other,
}

/// One event, as it is stored, forwarded and shown.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EventRecord {
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
}
