//! What REST asks the registry, and its answers.
use super::LivePart;
use crate::model::alert::{AlertOverview, TestResult};
use crate::model::event::{EventPart, EventRecord};
use crate::model::fault::Fault;
use crate::model::history::HistoryStatus;
use crate::model::invite::{InviteCode, InviteView};
use crate::model::key::{NodeId, PublicKey};
use crate::model::labels::Labels;
use crate::model::metrics::Snapshot;
use crate::model::miner::AvailableMiner;
use crate::model::node::{NodeCard, NodeInfo, Role};
use crate::model::peer::PeerView;
use crate::model::policy::Policy;
use crate::model::profile::{DeployCheck, Profile, ProfileConfig};
use crate::model::stats::{MinerStats, NodeStats, Totals};
use crate::model::time::Timestamp;
use crate::model::trust::Trust;
use crossbeam_channel::Sender;
use std::sync::Arc;
use std::time::Duration;

/// A question from an HTTP thread. The answer goes into `reply` with `try_send`; the asker waits with a deadline.
#[derive(Debug)]
pub struct Call {
    pub request: Request,
    /// Who asks, for the audit log: `local:token`, `local:session`.
    pub who: &'static str,
    pub reply: Sender<Result<Reply, Fault>>,
}

/// `peer` fields hold what a person typed: an id, a unique prefix of at least 4 characters, or a name.
#[derive(Clone, Debug)]
pub enum Request {
    NodeInfo,
    NodeInit {
        name: String,
        role: Role,
    },
    CreateInvite {
        uses: u32,
        expires: Duration,
    },
    Invites,
    DeleteInvite {
        id: String,
    },
    Join {
        address: String,
        trust: Trust,
        invite: InviteCode,
        name: Option<String>,
    },

    Peers,
    Peer {
        peer: String,
    },
    AddPeer {
        address: String,
        trust: Trust,
        name: Option<String>,
        invite: Option<InviteCode>,
        public_key: Option<PublicKey>,
    },
    RemovePeer {
        peer: String,
    },
    PingPeer {
        peer: String,
    },
    Approve {
        peer: String,
    },
    Reject {
        peer: String,
    },

    RemoteStatsAll,
    RemoteTotals,
    /// Fresh figures from the rig itself.
    RemoteStats {
        peer: String,
    },
    RemoteStart {
        peer: String,
        profile_id: String,
        miner_type: Option<String>,
        config: Option<Box<ProfileConfig>>,
    },
    RemoteStop {
        peer: String,
        miner: Option<String>,
    },
    RemoteRestart {
        peer: String,
        miner: Option<String>,
    },
    RemoteLogs {
        peer: String,
        miner: String,
        lines: usize,
        previous: bool,
    },
    /// Lines come through `sink` in parts; its end means that the log ended. Answer: [`Reply::Follow`].
    FollowLogs {
        peer: String,
        miner: String,
        lines: usize,
        sink: Sender<LogPart>,
    },
    FollowCredit {
        follow: u64,
        lines: usize,
    },
    Unfollow {
        follow: u64,
    },
    RemoteDeploy {
        peer: String,
        profile_id: String,
    },
    /// What deploying would change there. Answer: [`Reply::DeployCheck`].
    RemoteDeployCheck {
        peer: String,
        profile_id: String,
    },
    /// The rig's own profiles, with whether ours of the same id is the same.
    RemoteProfiles {
        peer: String,
    },

    Profiles,
    Profile {
        id: String,
    },
    AddProfile {
        profile: Box<Profile>,
    },
    EditProfile {
        id: String,
        profile: Box<Profile>,
    },
    RemoveProfile {
        id: String,
    },
    /// On this node.
    StartProfile {
        id: String,
    },

    Miners,
    AvailableMiners,
    Miner {
        name: String,
    },
    StopMiner {
        name: String,
    },
    HashrateHistory {
        name: String,
    },
    Policy,
    /// Answer: [`Reply::Metrics`].
    Metrics,

    /// The last events, oldest first; of those above the number `since`, where it is given.
    Events {
        since: Option<u64>,
        lines: usize,
    },
    /// The same as a first part, then each new event. Ended by [`Request::Unfollow`]. Answer: [`Reply::Follow`].
    FollowEvents {
        since: Option<u64>,
        lines: usize,
        sink: Sender<EventPart>,
    },

    /// Everything at once, then every 2 s what changed; with the whole report of `rig`. Ended by
    /// [`Request::Unfollow`]. Answer: [`Reply::Follow`].
    WatchLive {
        rig: Option<String>,
        sink: Sender<LivePart>,
    },

    /// The whole set. Answer: [`Reply::Peer`].
    SetLabels {
        peer: String,
        labels: Labels,
    },

    /// What is wrong now, the rules and the channels.
    Alerts,
    TestAlerts {
        channel: Option<String>,
    },
    /// What waits to be written to mining.db shall be, because somebody is about to look. `reply` hears when it is; it
    /// is dropped where there is no history. Answer: [`Reply::HistoryStatus`].
    FlushHistory {
        reply: Sender<HistoryStatus>,
    },
}

impl Request {
    /// How long the asker should wait for the answer. Longer than any deadline inside, so that the registry's own
    /// sentence about the time-out arrives.
    #[must_use]
    pub fn patience(&self) -> Duration {
        match self {
            Self::AddPeer { .. } | Self::Join { .. } | Self::RemoteStop { .. } => {
                Duration::from_secs(15)
            }
            Self::RemoteStart { .. }
            | Self::RemoteRestart { .. }
            | Self::RemoteDeploy { .. }
            | Self::StartProfile { .. }
            | Self::TestAlerts { .. } => Duration::from_secs(35),
            _ => Duration::from_secs(8),
        }
    }
}

/// What a call is answered with.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    Done,
    NodeInfo(Box<NodeInfo>),
    Identity(Box<NodeCard>),
    Invite(InviteView),
    Invites(Vec<InviteView>),
    Peer(Box<PeerView>),
    Peers(Vec<PeerView>),
    Ping {
        ping_ms: f64,
    },
    Stats(Arc<NodeStats>),
    /// Every registered rig, by peer id.
    AllStats(Vec<(NodeId, Arc<NodeStats>)>),
    Totals(Totals),
    Started {
        miner: String,
    },
    /// `stopped`, `stopping`, `restarted`; and the miners meant.
    Miners {
        status: String,
        miners: Vec<String>,
    },
    Lines(Vec<String>),
    Follow {
        follow: u64,
    },
    Deployed,
    DeployCheck(DeployCheck),
    RigProfiles(Vec<(Profile, Option<bool>)>),
    /// Passwords already replaced by `***`.
    Profile(Box<Profile>),
    Profiles(Vec<Profile>),
    MinerList(Vec<MinerStats>),
    Miner(Box<MinerStats>),
    Available(Vec<AvailableMiner>),
    /// Time and H/s of the last hour; `None` where there was no reading.
    History(Vec<(Timestamp, Option<f64>)>),
    Events(Vec<Arc<EventRecord>>),
    Policy(Box<Policy>),
    Alerts(Box<AlertOverview>),
    AlertTests(Vec<TestResult>),
    /// As far as the registry knows: what was lost before it reached the history thread.
    HistoryStatus(HistoryStatus),
    Metrics(Box<Snapshot>),
}

/// Lines of a followed log, with the number of lines that were lost before them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogPart {
    pub lines: Vec<String>,
    pub skipped: u64,
    /// The miner was stopped; nothing more comes.
    pub ended: bool,
}
