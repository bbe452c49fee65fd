//! How a followed log ends: the last event of its stream.
use serde::{Deserialize, Serialize};

/// The data of `event: end`: `{"reason": "the miner was stopped", "code": "STOPPED"}`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LogEnd {
    /// For people.
    pub reason: String,
    pub code: LogEndCode,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum LogEndCode {
    /// The miner was stopped: this is the whole log.
    Stopped,
    /// The log is cut off; the miner may run on.
    LinkLost,
    /// The daemon that told of it ends.
    Shutdown,
    /// One of a newer version.
    #[serde(other)]
    Other,
}
