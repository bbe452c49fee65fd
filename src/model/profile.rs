//! A profile: what to mine, with what and for whom.
use serde::{Deserialize, Serialize};

/// JSON as people write it: `{"id"?, "name", "minerType", "config": {…}}`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Profile {
    /// `[a-z0-9-]+`; made from the name when left out.
    #[serde(default)]
    pub id: String,
    #[serde(default)]
    pub name: String,
    pub miner_type: String,
    #[serde(default)]
    pub config: ProfileConfig,
}

/// What is left out keeps the miner's own default: an omitted `hugePages` is not `false`.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ProfileConfig {
    /// `host:port`, or with a scheme, `stratum+ssl://host:port`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// Further pools, used in this order when the first is lost.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pools: Vec<String>,
    /// `{rig}` in it becomes the node's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wallet: Option<String>,
    /// Never sent back by REST: `***` there, and `***` on PUT keeps the stored one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub huge_pages: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub algo: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coin: Option<String>,
    /// GPU numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub devices: Option<Vec<u32>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intensity: Option<f64>,
    /// Extra arguments for the miner, from its type's allow-list alone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cli_args: Vec<String>,
    /// H/s that a simulated miner pretends to make.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hashrate: Option<f64>,
    /// How a simulated miner misbehaves, for tests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub simulate: Option<Simulate>,
}

/// Misbehaviour of the simulated miner. Times are seconds from its start.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Simulate {
    /// Seconds until the first hashrate is known (default 3).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warmup: Option<f64>,
    /// Seconds between shares (default 5).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share_every: Option<f64>,
    /// Every n-th share is rejected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reject_every: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_after: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// From then on the API accepts connections and never answers, and no line is printed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hang_after: Option<f64>,
    /// SIGTERM does nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignore_term: Option<bool>,
    /// Seconds from SIGTERM to the exit, as during RandomX's data-set initialisation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slow_term: Option<f64>,
    /// This many lines at once, right after the start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_burst: Option<u64>,
    /// The device with this number makes 0 H/s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zero_device: Option<u32>,
    /// The pool is lost then …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool_loss_after: Option<f64>,
    /// … for this long (for ever when left out).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool_loss_for: Option<f64>,
    /// Takes its API port for itself first, so that the API server cannot start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_port_taken: Option<bool>,
    /// A grandchild that sleeps and holds the output pipe.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grandchild: Option<bool>,
}

/// What deploying a profile would change on a rig.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DeployCheck {
    pub status: DeployStatus,
    /// `pool: a → b`; nothing but that a password would change is said of it.
    pub changes: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeployStatus {
    /// The rig has none of this id.
    New,
    Changed,
    Same,
}

/// A field of a profile that is wrong: `config.pool` and what is wrong with it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct FieldError {
    pub field: String,
    pub error: String,
}
