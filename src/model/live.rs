//! The short rows of `GET /live`: what a page over the whole farm shows of a rig.
use serde::Serialize;

use super::key::NodeId;
use super::miner::MinerState;
use super::stats::{Device, Hashrate, MinerStats, NodeStats, Pool, RigState};
use super::time::Timestamp;

/// A registered rig, or this node itself where it runs miners.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RigRow {
    pub id: NodeId,
    pub name: String,
    /// This node itself.
    pub own: bool,
    pub state: RigState,
    pub as_of: Option<Timestamp>,
    pub unreachable_since: Option<Timestamp>,
    /// Seconds.
    pub uptime: Option<u64>,
    pub version: Option<String>,
    pub load: Option<f64>,
    pub temperature: Option<f64>,
    pub miners: Vec<MinerRow>,
}

#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MinerRow {
    pub name: String,
    #[serde(rename = "type")]
    pub miner_type: String,
    pub simulated: bool,
    pub state: MinerState,
    pub reason: Option<String>,
    pub profile_id: Option<String>,
    pub algorithm: Option<String>,
    pub hashrate: Hashrate,
    pub accepted: Option<u64>,
    pub rejected: Option<u64>,
    pub last_share_at: Option<Timestamp>,
    pub difficulty: Option<f64>,
    pub pool: Pool,
    /// Of the hottest device, degrees Celsius.
    pub temperature: Option<f64>,
    pub power: Option<f64>,
    pub uptime: Option<u64>,
    pub restarts: u64,
}

impl RigRow {
    #[must_use]
    pub fn of(stats: &NodeStats, own: bool) -> Self {
        Self {
            id: stats.node_id,
            name: stats.node_name.clone(),
            own,
            state: stats.state,
            as_of: stats.as_of,
            unreachable_since: stats.unreachable_since,
            uptime: stats.uptime,
            version: stats.version.clone(),
            load: stats.load,
            temperature: stats.temperature,
            miners: stats.miners.iter().map(MinerRow::of).collect(),
        }
    }
}

impl MinerRow {
    fn of(stats: &MinerStats) -> Self {
        Self {
            name: stats.name.clone(),
            miner_type: stats.miner_type.clone(),
            simulated: stats.simulated,
            state: stats.state,
            reason: stats.reason.clone(),
            profile_id: stats.profile_id.clone(),
            algorithm: stats.algorithm.clone(),
            hashrate: stats.hashrate,
            accepted: stats.accepted,
            rejected: stats.rejected,
            last_share_at: stats.last_share_at,
            difficulty: stats.difficulty,
            pool: stats.pool.clone(),
            temperature: Device::hottest(&stats.devices),
            power: stats.power,
            uptime: stats.uptime,
            restarts: stats.restarts,
        }
    }
}
