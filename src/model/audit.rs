//! The audit log as people and programs read it.
use serde::{Deserialize, Serialize};

use super::key::{NodeId, PublicKey};
use super::time::Timestamp;

/// A row on its way to the table; its texts are bounded by whoever makes it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuditRow {
    pub at: Timestamp,
    /// Peer name, or `local:token`.
    pub who: String,
    /// The peer that sent it or that a local request is about.
    pub key: Option<PublicKey>,
    /// The message type, or the local request.
    pub what: String,
    /// `accepted`, then `done …`; or why it was refused or failed.
    pub result: String,
    /// What the rows about one command have in common: its envelope's id, or a word of ours.
    pub command: String,
    pub signed: Option<Signed>,
}

/// A signed envelope, and whose signature it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Signed {
    /// Signature and JSON as received.
    pub envelope: Vec<u8>,
    /// The sender's signing key at that time.
    pub signer: PublicKey,
}

/// A row of `GET /audit`. The envelope itself stays in the table: passwords of profiles stand in it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditEntry {
    pub id: i64,
    pub at: Timestamp,
    /// Peer name, or `local:token`.
    pub who: String,
    /// The peer that sent it or that a local request was about.
    pub peer_id: Option<NodeId>,
    pub key: Option<PublicKey>,
    pub what: String,
    pub result: String,
    /// The same in all rows about one command.
    pub command: String,
    /// Is the signed envelope kept with it?
    pub signed: bool,
}

/// `POST /audit/verify`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditReport {
    /// Rows of the log, with and without an envelope.
    pub rows: u64,
    /// Envelopes whose signature fits and that say what their row says.
    pub good: u64,
    pub bad: u64,
    /// The first of the bad ones.
    pub findings: Vec<AuditFinding>,
}

/// A row that is not as it was written.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AuditFinding {
    pub id: i64,
    /// A sentence.
    pub reason: String,
}
