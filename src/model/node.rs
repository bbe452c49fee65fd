//! What a node says of itself.
use serde::{Deserialize, Serialize};

use super::key::{NodeId, PublicKey};
use super::time::Timestamp;

/// What a node is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Controller,
    Worker,
    #[default]
    Dual,
}

impl Role {
    /// May a node of this role give commands to others?
    #[must_use]
    pub fn commands(self) -> bool {
        matches!(self, Self::Controller | Self::Dual)
    }

    /// Does a node of this role obey commands and run miners?
    #[must_use]
    pub fn obeys(self) -> bool {
        matches!(self, Self::Worker | Self::Dual)
    }

    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Controller => "controller",
            Self::Worker => "worker",
            Self::Dual => "dual",
        }
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.text())
    }
}

impl std::str::FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "controller" => Ok(Self::Controller),
            "worker" => Ok(Self::Worker),
            "dual" => Ok(Self::Dual),
            _ => Err(format!("{text:?} is no role: controller, worker or dual")),
        }
    }
}

/// The public half of an identity, as `node.json` and `GET /node/info` hold it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeCard {
    pub id: NodeId,
    pub name: String,
    pub role: Role,
    pub public_key: PublicKey,
    pub fingerprint: String,
    /// Ed25519; bound to `public_key` by the signature in the hello.
    pub signing_key: PublicKey,
    pub created_at: Timestamp,
}

/// `GET /node/info`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeInfo {
    pub has_identity: bool,
    pub identity: Option<NodeCard>,
    pub registered_peers: usize,
    pub connected_peers: usize,
    pub version: String,
    /// Seconds since the daemon started.
    pub uptime: u64,
    /// Where the P2P port listens; null when the node has no identity yet.
    pub listen: Option<String>,
    pub api: String,
}
