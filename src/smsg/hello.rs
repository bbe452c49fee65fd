//! Who is calling: the payload of Noise message 3, and the responder's answer to it.
use serde::{Deserialize, Serialize};

use crate::model::key::{NodeId, PublicKey};
use crate::model::node::Role;
use crate::model::time::Timestamp;

/// A node's introduction. In Noise message 3 from the dialler; inside [`Answer::Welcome`] from the responder.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hello {
    pub name: String,
    pub role: Role,
    pub version: String,
    pub protocols: Vec<u32>,
    /// Ed25519.
    pub signing_key: PublicKey,
    /// Base64 of the signing key's signature over `miner-cli/identity/1` and the sender's X25519 key.
    pub signature: String,
    /// Base64 of an invite's 16-byte secret; only ever sent to the node whose key the invite names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invite: Option<String>,
    /// Set by a dialler that asks to be paired: a random word, new for each `peer add`.
    /// Without it an unknown dialler leaves no pairing request behind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asking: Option<String>,
    /// The sender's clock, so that the other side can judge deadlines.
    pub time: Timestamp,
}

/// What the responder says after message 3, in the first transport message.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Answer {
    Welcome {
        hello: Hello,
    },
    /// The dialler is not registered here. `request` is the id of its pairing request where one waits;
    /// `None` means that none was made: not asked for, rejected, or a bad invite (`reason` says so).
    NotRegistered {
        request: Option<NodeId>,
        #[serde(default)]
        reason: Option<String>,
    },
}
