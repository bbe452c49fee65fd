//! History: what a miner did, reading by reading, and what is left of it after a while.
use serde::{Deserialize, Serialize};

use super::key::NodeId;
use super::time::Timestamp;

/// Readings are kept for 48 hours.
pub const RAW_KEPT_MS: i64 = 48 * 3600 * 1000;
/// Hours are kept for two years.
pub const HOURS_KEPT_MS: i64 = 730 * 24 * 3600 * 1000;

/// Whose readings: what stays the same from one to the next. A change of algorithm is another series.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
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
    /// Of an hour: which of its minutes have readings, the first one in the lowest bit. What ran one after the other is
    /// told from what ran side by side by it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub minutes: u64,
    pub accepted: u32,
    pub rejected: u32,
    pub work: Option<f64>,
    /// The highest.
    pub temperature: Option<f64>,
    /// The mean.
    pub power: Option<f64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(number: &u64) -> bool {
    *number == 0
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

/// Readings that go with a report: everything that the sender made behind the second `after` and up to
/// `batch.through`, and what it made since.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Live {
    pub after: i64,
    #[serde(flatten)]
    pub batch: Batch,
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

/// What part of history is wanted. Seconds since the Unix epoch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Window {
    pub since: i64,
    /// Exclusive.
    pub until: i64,
    pub now: i64,
    /// At most so many points; of no meaning where the answer is no chart.
    pub points: usize,
}

/// `GET /history/totals`: a farm's or a rig's chart, one line an algorithm, all on the same grid.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct TotalsChart {
    pub since: Timestamp,
    pub until: Timestamp,
    /// Seconds from one point to the next; the grid begins at a multiple of it since 1970, UTC.
    pub resolution: i64,
    pub series: Vec<AlgorithmChart>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct AlgorithmChart {
    /// Empty where the miner did not say it.
    pub algorithm: String,
    pub points: Vec<TotalsPoint>,
}

/// From `timestamp` on, for the resolution of the chart. Without readings the hashrate is null: a gap.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct TotalsPoint {
    pub timestamp: Timestamp,
    /// H/s: the mean over the time that has readings.
    pub hashrate: Option<f64>,
    /// Difficulty of the accepted shares over that time, H/s.
    pub effective: Option<f64>,
    /// Rigs with readings; of a longer point the most that any minute or hour in it had.
    pub rigs: u32,
    pub accepted: u64,
    pub rejected: u64,
}

/// `GET /history/miners/{name}/hashrate`.
#[derive(Clone, PartialEq, Debug)]
pub struct MinerChart {
    /// Goes into the header `Resolution`.
    pub resolution: i64,
    /// The body.
    pub points: Vec<MinerPoint>,
}

/// As [`TotalsPoint`]; a miner that changed its algorithm within a point shows the one that it ran longer.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct MinerPoint {
    pub timestamp: Timestamp,
    pub hashrate: Option<f64>,
    /// The lowest and the highest reading.
    pub min: Option<f64>,
    pub max: Option<f64>,
    pub effective: Option<f64>,
}

/// A row of `GET /history/miners`: a miner with one algorithm, over the time asked for.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MinerSummary {
    pub peer_id: NodeId,
    /// The node's name; the database does not know it.
    pub peer: Option<String>,
    pub miner_name: String,
    pub miner_type: String,
    pub simulated: bool,
    pub algorithm: String,
    /// Readings that had a hashrate; null below when there were none.
    pub total_points: u64,
    pub average_rate: Option<f64>,
    pub max_rate: Option<f64>,
    pub min_rate: Option<f64>,
    /// To the minute, or to the hour where no minutes are left: when the first row begins and the last one ends.
    pub first_seen: Timestamp,
    pub last_seen: Timestamp,
}
