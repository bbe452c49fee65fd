//! A miner program's states. The machine that moves between them is `registry::miners`.
use serde::{Deserialize, Serialize};

/// What a miner is seen to do. What it is meant to do (run or not) is kept apart, in the registry.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MinerState {
    /// The process is made or made anew; no hashrate is known yet.
    #[default]
    Starting,
    Hashing,
    /// It runs and does not hash: pool lost, paused, or hung; the reason says which.
    NotHashing,
    /// It was told to end and still does (a data set being built ends it late).
    Stopping,
    /// Not meant to run.
    Stopped,
    /// It exited and waits for its next start.
    Backoff,
    /// It exited five times in ten minutes; one try every five minutes.
    CrashLoop,
    /// A restart cannot mend it: bad configuration, missing program.
    Failed,
}

impl MinerState {
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Hashing => "hashing",
            Self::NotHashing => "not-hashing",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Backoff => "backoff",
            Self::CrashLoop => "crash-loop",
            Self::Failed => "failed",
        }
    }

    /// Is there a process?
    #[must_use]
    pub fn runs(self) -> bool {
        matches!(self, Self::Starting | Self::Hashing | Self::NotHashing | Self::Stopping)
    }
}

/// What should run on this node, as kept in node.db: it starts again with the daemon.
#[derive(Clone, PartialEq, Debug)]
pub struct DesiredMiner {
    /// `xmrig-1`: type, dash, a number never used before on this node.
    pub name: String,
    /// The profile as it was when the miner was started, with overrides applied.
    pub profile: super::profile::Profile,
}

/// A row of `GET /miners/available`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AvailableMiner {
    /// The `minerType`.
    pub name: String,
    pub description: String,
    pub installed: bool,
    pub path: Option<String>,
    pub version: Option<String>,
}
