//! Another node: what we keep of it on disk, and what people see.
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::invite::InviteCode;
use super::key::{NodeId, PublicKey};
use super::node::Role;
use super::stats::RigState;
use super::time::Timestamp;
use super::trust::Trust;

/// What is kept of a peer in node.db. The key is its identity; it never changes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PeerRecord {
    pub key: PublicKey,
    /// The name that this node's owner uses for it; unique here.
    pub name: String,
    /// Where to dial it: `host:port`, or `wss://host:port` under TLS; `None` when it dials us.
    pub address: Option<String>,
    /// By what the certificate of that address is judged, where it has one.
    pub trust: Trust,
    /// Unknown until its first hello.
    pub role: Option<Role>,
    /// Ed25519 key from its first hello; pinned from then on.
    pub signing_key: Option<PublicKey>,
    pub version: Option<String>,
    pub added_at: Timestamp,
    pub last_seen: Option<Timestamp>,
    pub labels: BTreeMap<String, String>,
    /// Set while we wait for the other side's approval: a random word that tells this asking from earlier ones.
    pub asking: Option<String>,
    /// The highest command sequence number accepted from it.
    pub last_command: u64,
}

/// A node that is known by its invite alone and has never answered: it is tried until it does. Of its key only
/// the digest's first half is known.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JoinRecord {
    pub invite: InviteCode,
    /// As [`PeerRecord::address`] and [`PeerRecord::trust`].
    pub address: String,
    pub trust: Trust,
    /// What its owner wants to call it; else the name that it gives itself.
    pub name: Option<String>,
    pub added_at: Timestamp,
}

/// How a row of `GET /peers` stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PeerState {
    /// They asked to pair and wait for our `peer approve`.
    PairingRequest,
    /// We asked to pair and wait for theirs.
    AwaitingApproval,
    /// A linked controller.
    Connected,
    #[serde(untagged)]
    Rig(RigState),
}

/// A row of `GET /peers`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PeerView {
    pub id: NodeId,
    pub name: String,
    /// Null for a node that is known by an invite alone, until it answers.
    pub public_key: Option<PublicKey>,
    pub fingerprint: Option<String>,
    pub address: Option<String>,
    pub role: Option<Role>,
    pub added_at: Timestamp,
    pub last_seen: Option<Timestamp>,
    pub ping_ms: Option<f64>,
    pub score: Option<u8>,
    pub connected: bool,
    pub state: PeerState,
    /// Why it is not linked, or what is wrong with it, as a sentence; null when all is well.
    pub reason: Option<String>,
    pub labels: BTreeMap<String, String>,
    pub version: Option<String>,
}
