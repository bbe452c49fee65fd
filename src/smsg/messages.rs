//! The messages, as typed payloads. Their names on the wire are the variants in snake_case.
use serde::{Deserialize, Serialize};

use crate::model::event::EventRecord;
use crate::model::fault::Fault;
use crate::model::history::Batch;
use crate::model::profile::{DeployCheck, Profile, ProfileConfig};
use crate::model::stats::NodeStats;
use crate::model::time::Timestamp;

/// A message's type and payload. Commands (everything that changes the rig) carry a deadline by the rig's clock;
/// a rig that reads one later answers `error` EXPIRED and does nothing.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "type", content = "payload", rename_all = "snake_case")]
pub enum Body {
    Ping {},
    Pong {},
    Stats(Box<NodeStats>),
    GetStats {},
    StartMiner(Box<StartMiner>),
    StopMiner(MinerCommand),
    RestartMiner(MinerCommand),
    MinerAck(MinerAck),
    GetLogs(GetLogs),
    FollowLogs(FollowLogs),
    UnfollowLogs {
        follow: u64,
    },
    LogLines(LogLines),
    DeployProfile(Box<DeployProfile>),
    DeployAck {
        profile: String,
    },
    /// What would deploying this profile change? Nothing is stored.
    CheckProfile(Box<Profile>),
    ProfileChecked(DeployCheck),
    ListProfiles {},
    Profiles {
        profiles: Vec<Profile>,
    },
    /// What happened on the sender, in the order of its numbers, to those who may command it.
    Events {
        events: Vec<EventRecord>,
    },
    /// The highest number of the sender's events that are kept here.
    EventsAck {
        heard: u64,
    },
    /// What the sender has missed of the receiver's own history: everything behind the second `after`.
    GetHistory {
        after: i64,
    },
    HistoryBatch(Box<Batch>),
    Error(Fault),
    Bye {
        reason: String,
    },
}

impl Body {
    /// The names of all types, as they stand on the wire.
    pub const TYPES: &'static [&'static str] = &[
        "ping",
        "pong",
        "stats",
        "get_stats",
        "start_miner",
        "stop_miner",
        "restart_miner",
        "miner_ack",
        "get_logs",
        "follow_logs",
        "unfollow_logs",
        "log_lines",
        "deploy_profile",
        "deploy_ack",
        "check_profile",
        "profile_checked",
        "list_profiles",
        "profiles",
        "events",
        "events_ack",
        "get_history",
        "history_batch",
        "error",
        "bye",
    ];

    /// Everything that changes the rig: signed, sequenced on disk, audited, and only from a controller.
    #[must_use]
    pub fn is_command(&self) -> bool {
        matches!(
            self,
            Self::StartMiner(_)
                | Self::StopMiner(_)
                | Self::RestartMiner(_)
                | Self::DeployProfile(_)
        )
    }

    /// The message's name on the wire.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Ping {} => "ping",
            Self::Pong {} => "pong",
            Self::Stats(_) => "stats",
            Self::GetStats {} => "get_stats",
            Self::StartMiner(_) => "start_miner",
            Self::StopMiner(_) => "stop_miner",
            Self::RestartMiner(_) => "restart_miner",
            Self::MinerAck(_) => "miner_ack",
            Self::GetLogs(_) => "get_logs",
            Self::FollowLogs(_) => "follow_logs",
            Self::UnfollowLogs { .. } => "unfollow_logs",
            Self::LogLines(_) => "log_lines",
            Self::DeployProfile(_) => "deploy_profile",
            Self::DeployAck { .. } => "deploy_ack",
            Self::CheckProfile(_) => "check_profile",
            Self::ProfileChecked(_) => "profile_checked",
            Self::ListProfiles {} => "list_profiles",
            Self::Profiles { .. } => "profiles",
            Self::Events { .. } => "events",
            Self::EventsAck { .. } => "events_ack",
            Self::GetHistory { .. } => "get_history",
            Self::HistoryBatch(_) => "history_batch",
            Self::Error(_) => "error",
            Self::Bye { .. } => "bye",
        }
    }

    /// Questions that only a controller may ask.
    #[must_use]
    pub fn is_query(&self) -> bool {
        matches!(
            self,
            Self::GetStats {}
                | Self::GetLogs(_)
                | Self::FollowLogs(_)
                | Self::UnfollowLogs { .. }
                | Self::CheckProfile(_)
                | Self::ListProfiles {}
                | Self::GetHistory { .. }
        )
    }
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StartMiner {
    pub deadline: Timestamp,
    pub profile_id: String,
    /// The controller's copy; the rig keeps it. `None`: start what the rig has under that id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<Profile>,
    /// Overrides for this start alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub miner_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<ProfileConfig>,
}

/// `stop_miner`, `restart_miner`: no miner named means all of the rig's.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MinerCommand {
    pub deadline: Timestamp,
    #[serde(default)]
    pub miner: Option<String>,
}

/// `status` is a phrase: `miner started`, `stopped`, `stopping`, `restarted`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MinerAck {
    pub status: String,
    pub miners: Vec<String>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct GetLogs {
    pub miner: String,
    /// 1 to 10,000.
    pub lines: usize,
    #[serde(default)]
    pub previous: bool,
}

/// Begins to follow, or with a `follow` number already in use grants more credit.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FollowLogs {
    /// Chosen by the asker, unique on its link.
    pub follow: u64,
    pub miner: String,
    /// Lines of the past to begin with.
    pub lines: usize,
    /// How many lines the rig may send before it needs more credit.
    pub credit: usize,
}

/// Part of an answer to `get_logs` (as reply) or of a followed log (with `follow`).
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct LogLines {
    pub lines: Vec<String>,
    /// Another part of the same answer comes.
    #[serde(default)]
    pub more: bool,
    /// Lines lost between the last part and this one, because the reader was slow.
    #[serde(default)]
    pub skipped: u64,
    /// The followed miner was stopped; nothing more comes.
    #[serde(default)]
    pub ended: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follow: Option<u64>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct DeployProfile {
    pub deadline: Timestamp,
    pub profile: Profile,
}
