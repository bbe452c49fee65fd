//! Readings: what a miner, a node and a farm report. Unknown is `None` and `null`, never 0.
use serde::{Deserialize, Serialize};

use super::history::Live;
use super::key::NodeId;
use super::miner::MinerState;
use super::time::Timestamp;

/// A reading older than this is no reading: its hashrate is `null` and leaves the totals.
pub const FRESH_MS: i64 = 25_000;

/// How often workers report.
pub const REPORT_EVERY_S: u64 = 10;

/// Hashes a second over the windows that XMRig uses: 10 s, 60 s, 15 min, and the highest seen.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Hashrate {
    pub now: Option<f64>,
    pub minute: Option<f64>,
    pub quarter: Option<f64>,
    pub highest: Option<f64>,
}

/// Where a miner's work comes from.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Pool {
    pub url: Option<String>,
    pub connected: Option<bool>,
    pub ping_ms: Option<f64>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct HugePages {
    pub used: u64,
    pub total: u64,
}

/// One GPU, or the CPU's threads, of a miner.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Device {
    pub index: u32,
    pub name: Option<String>,
    pub hashrate: Option<f64>,
    /// Degrees Celsius.
    pub temperature: Option<f64>,
    /// Percent.
    pub fan: Option<f64>,
    /// Watts.
    pub power: Option<f64>,
}

impl Device {
    /// The temperature of the hottest of them, where any tells it.
    #[must_use]
    pub fn hottest(devices: &[Self]) -> Option<f64> {
        devices.iter().filter_map(|d| d.temperature).reduce(f64::max)
    }
}

/// One answer of a miner's own API, as an adapter read it.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct MinerSample {
    pub algorithm: Option<String>,
    pub hashrate: Hashrate,
    pub accepted: Option<u64>,
    pub rejected: Option<u64>,
    pub stale: Option<u64>,
    pub invalid: Option<u64>,
    pub difficulty: Option<f64>,
    pub pool: Pool,
    /// Seconds since the miner started, by its own account.
    pub uptime: Option<u64>,
    pub threads: Option<u32>,
    pub huge_pages: Option<HugePages>,
    /// Watts, the whole miner.
    pub power: Option<f64>,
    /// Difficulty of all shares accepted since it started: the hashes that were paid for.
    pub work: Option<f64>,
    pub devices: Vec<Device>,
    /// The miner's own version, `6.26.0`.
    pub version: Option<String>,
}

impl MinerSample {
    /// Shares accepted since the reading `before`. A miner whose uptime or count went backwards counts anew.
    #[must_use]
    pub fn accepted_since(&self, before: &Self) -> u64 {
        let (now, then) = (self.accepted.unwrap_or(0), before.accepted.unwrap_or(0));
        let anew = self.uptime.zip(before.uptime).is_some_and(|(now, then)| now < then);
        if anew { now } else { now.checked_sub(then).unwrap_or(now) }
    }
}

/// A miner as REST, the links and the tables show it.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MinerStats {
    pub name: String,
    #[serde(rename = "type")]
    pub miner_type: String,
    /// True for the built-in simulated miner: its figures are not real hashing.
    pub simulated: bool,
    pub state: MinerState,
    /// It is meant to run.
    pub wanted: bool,
    /// Why it is in this state, as a sentence, where there is more to say than the state.
    pub reason: Option<String>,
    pub profile_id: Option<String>,
    pub algorithm: Option<String>,
    pub hashrate: Hashrate,
    pub accepted: Option<u64>,
    pub rejected: Option<u64>,
    pub stale: Option<u64>,
    pub invalid: Option<u64>,
    pub last_share_at: Option<Timestamp>,
    pub difficulty: Option<f64>,
    pub pool: Pool,
    /// Seconds since this run of the miner started; null when it does not run.
    pub uptime: Option<u64>,
    pub restarts: u64,
    pub threads: Option<u32>,
    pub huge_pages: Option<HugePages>,
    pub power: Option<f64>,
    pub devices: Vec<Device>,
    pub version: Option<String>,
    /// When the reading was taken, by the rig's clock; null without one.
    pub as_of: Option<Timestamp>,
}

impl MinerStats {
    /// Whether this reading still counts: its report was made at `made`, by the rig's clock, and came `age` ms ago.
    #[must_use]
    pub fn is_fresh(&self, made: Option<Timestamp>, age: i64) -> bool {
        // Both times are by the rig's clock, so the difference of the clocks does not matter.
        let made_after_reading = made.zip(self.as_of).map_or(0, |(made, read)| made.since_ms(read));
        age.saturating_add(made_after_reading.max(0)) <= FRESH_MS
    }
}

/// How a rig stands, from what is meant to run and what does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RigState {
    Hashing,
    /// A device or miner of it at 0 or failed, or more than 5 % of shares rejected, while others hash.
    Degraded,
    /// A miner runs, or should, and nothing hashes.
    NotHashing,
    CrashLoop,
    /// Nothing is meant to run.
    Idle,
    /// Not linked, or silent for three reports.
    Unreachable,
}

impl RigState {
    pub const ALL: [Self; 6] = [
        Self::Hashing,
        Self::Degraded,
        Self::NotHashing,
        Self::CrashLoop,
        Self::Idle,
        Self::Unreachable,
    ];

    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Hashing => "hashing",
            Self::Degraded => "degraded",
            Self::NotHashing => "not-hashing",
            Self::CrashLoop => "crash-loop",
            Self::Idle => "idle",
            Self::Unreachable => "unreachable",
        }
    }
}

/// What the operating system says of the machine.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Host {
    /// Load average of one minute.
    pub load: Option<f64>,
    pub memory: Option<Memory>,
    /// CPU, degrees Celsius.
    pub temperature: Option<f64>,
    /// Seconds since the machine booted.
    pub uptime: Option<u64>,
    /// Where this node keeps its data.
    pub disk: Option<Disk>,
}

/// Bytes of a file system; `free` is what an ordinary user may still write.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Disk {
    pub total: u64,
    pub free: u64,
}

/// Bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Memory {
    pub total: u64,
    pub available: u64,
}

/// A node's report: `GET /remote/{peer}/stats` and the payload of `stats` on the link.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeStats {
    pub node_id: NodeId,
    pub node_name: String,
    pub state: RigState,
    /// Where it is not reachable: since when; the figures below are then the last known ones.
    #[serde(default)]
    pub unreachable_since: Option<Timestamp>,
    /// When the report was made (controller's clock once received); null when there never was one.
    pub as_of: Option<Timestamp>,
    /// Seconds since the node's daemon started.
    pub uptime: Option<u64>,
    pub version: Option<String>,
    #[serde(default)]
    pub load: Option<f64>,
    #[serde(default)]
    pub memory: Option<Memory>,
    #[serde(default)]
    pub temperature: Option<f64>,
    #[serde(default)]
    pub disk: Option<Disk>,
    #[serde(default)]
    pub miners: Vec<MinerStats>,
    /// On a link: the readings since the report before. REST has them under `/history`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<Box<Live>>,
}

impl NodeStats {
    /// Of a node of which nothing else is known.
    #[must_use]
    pub fn unknown(node_id: NodeId, node_name: String, state: RigState) -> Self {
        Self {
            node_id,
            node_name,
            state,
            unreachable_since: None,
            as_of: None,
            uptime: None,
            version: None,
            load: None,
            memory: None,
            temperature: None,
            disk: None,
            miners: Vec::new(),
            history: None,
        }
    }
}

/// `GET /remote/totals`. Algorithms are never added together.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Totals {
    pub algorithms: Vec<AlgorithmTotal>,
    pub rigs: RigCounts,
    pub accepted: u64,
    pub rejected: u64,
}

#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct AlgorithmTotal {
    pub algorithm: String,
    /// H/s over every fresh reading.
    pub hashrate: f64,
    pub rigs: usize,
    pub miners: usize,
    /// How many of those miners are simulated.
    pub simulated: usize,
    /// H/s that were paid for in the last hour: difficulty of accepted shares over time. Null where a rig's is unknown.
    pub effective: Option<f64>,
}

/// Registered rigs by state; `total` is their sum.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RigCounts {
    pub total: usize,
    pub hashing: usize,
    pub degraded: usize,
    pub not_hashing: usize,
    pub crash_loop: usize,
    pub idle: usize,
    pub unreachable: usize,
    pub awaiting_approval: usize,
}

#[cfg(test)]
mod tests {
    use super::MinerSample;

    #[test]
    fn a_miner_that_began_anew_counts_from_nothing() {
        let at = |uptime: Option<u64>, accepted| MinerSample {
            uptime,
            accepted,
            ..MinerSample::default()
        };
        let before = at(Some(600), Some(12));
        assert_eq!(at(Some(610), Some(15)).accepted_since(&before), 3);
        assert_eq!(at(Some(610), Some(12)).accepted_since(&before), 0);
        assert_eq!(at(Some(5), Some(15)).accepted_since(&before), 15, "its uptime went backwards");
        assert_eq!(at(Some(5), Some(12)).accepted_since(&before), 12);
        assert_eq!(at(None, Some(2)).accepted_since(&before), 2, "its count went backwards");
        assert_eq!(at(Some(610), None).accepted_since(&before), 0, "unknown is no share");
        assert_eq!(at(Some(5), Some(0)).accepted_since(&before), 0);
    }
}
