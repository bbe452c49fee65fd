//! History: what a miner did, reading by reading, and what is left of it after a while.
use serde::{Deserialize, Serialize};

use super::time::Timestamp;

/// Readings are kept for 48 hours.
pub const RAW_KEPT_MS: i64 = 48 * 3600 * 1000;
/// Hours are kept for two years.
pub const HOURS_KEPT_MS: i64 = 730 * 24 * 3600 * 1000;

/// Whose readings: what stays the same from one to the next. A change of algorithm is another series.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Series {
    pub miner: String,
    pub miner_type: String,
    /// Its figures are not real hashing.
    pub simulated: bool,
    /// Empty while the miner has not said it.
    pub algorithm: String,
}

/// One reading of a miner, made where it runs. `None` is unknown. It is the same row on the rig and on its
/// controllers: the time is the rig's, in whole seconds, and names it within its series.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Reading {
    /// Seconds since the Unix epoch.
    pub at: i64,
    /// H/s.
    pub hashrate: Option<f64>,
    /// Shares since the reading before.
    pub accepted: u32,
    pub rejected: u32,
    /// Difficulty of the accepted shares since the reading before: the hashes that were paid for.
    pub work: Option<f64>,
    /// Its hottest device, degrees Celsius.
    pub temperature: Option<f64>,
    /// Watts.
    pub power: Option<f64>,
}

/// A minute or an hour of readings.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Rollup {
    /// Where it begins, seconds since the Unix epoch.
    pub at: i64,
    /// Readings that had a hashrate; their sum, least and greatest (0 when there were none).
    pub n: u32,
    pub sum: f64,
    pub min: f64,
    pub max: f64,
    pub accepted: u32,
    pub rejected: u32,
    pub work: Option<f64>,
    /// The highest.
    pub temperature: Option<f64>,
    /// The mean.
    pub power: Option<f64>,
}

/// How much time a row stands for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Resolution {
    /// Single readings, about 10 s apart.
    Raw,
    Minute,
    Hour,
}

impl Resolution {
    /// Seconds that a row stands for.
    #[must_use]
    pub fn seconds(self) -> i64 {
        match self {
            Self::Raw => 10,
            Self::Minute => 60,
            Self::Hour => 3600,
        }
    }
}

/// Rows of one resolution; the first of each pair counts into `series`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "resolution", content = "rows", rename_all = "lowercase")]
pub enum Rows {
    Raw(Vec<(u16, Reading)>),
    Minute(Vec<(u16, Rollup)>),
    Hour(Vec<(u16, Rollup)>),
}

/// A piece of a node's history, oldest first, as it travels and as it is written.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Batch {
    pub series: Vec<Series>,
    #[serde(flatten)]
    pub rows: Rows,
    /// Up to this second (inclusive) the receiver now has everything that the sender had.
    pub through: i64,
    /// There is more behind it.
    pub more: bool,
}

/// The mean of an hour, for the alert rules' median.
#[derive(Clone, PartialEq, Debug)]
pub struct HourMean {
    pub at: Timestamp,
    pub algorithm: String,
    pub hashrate: f64,
}

/// `GET /history/status`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HistoryStatus {
    pub enabled: bool,
    pub retention_days: u32,
    pub database_bytes: u64,
    /// Readings written since the daemon started.
    pub samples: u64,
    /// Readings lost since the daemon started, because the disk was full or too slow.
    pub dropped_samples: u64,
}
