//! The signed envelope: `signature (64 bytes, Ed25519) || JSON`.
use serde::{Deserialize, Serialize};

use super::messages::Body;
use crate::model::key::NodeId;
use crate::model::time::Timestamp;

/// One message with its addressing. JSON `{"id","type","from","to","ts","seq","payload","replyTo"?}`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    pub id: String,
    pub from: NodeId,
    pub to: NodeId,
    pub ts: Timestamp,
    /// Strictly rising per sender, over restarts too.
    pub seq: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
    #[serde(flatten)]
    pub body: Body,
}
