//! Every message that crosses threads. The registry receives [`Event`]s; everything else it says in [`Outbound`],
//! [`DialRequest`], [`SpawnCommand`] and [`StoreCommand`].
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};

use crate::model::fault::Fault;
use crate::model::invite::{InviteCode, InviteRecord, InviteView};
use crate::model::key::{NodeId, PublicKey};
use crate::model::miner::{AvailableMiner, DesiredMiner};
use crate::model::node::{NodeCard, NodeInfo, Role};
use crate::model::peer::{JoinRecord, PeerRecord, PeerView};
use crate::model::profile::{Profile, ProfileConfig};
use crate::model::stats::{Host, MinerSample, MinerStats, NodeStats, Totals};
use crate::model::time::Timestamp;
use crate::smsg::envelope::Envelope;
use crate::smsg::hello::Hello;
use crate::smsg::messages::Body;

/// Everything that reaches the registry.
#[derive(Debug)]
pub enum Event {
    Call(Call),
    Link(LinkEvent),
    Miner(MinerEvent),
    /// The machine's figures, every 10 s: also the beat on which a worker reports.
    Host(Host),
    /// The answer to a [`StoreCommand`] with this ticket: on disk, or why not.
    Stored {
        ticket: u64,
        result: Result<(), Fault>,
    },
    /// SIGTERM or SIGINT: say bye to the peers, stop the miners; `done` hears when none is left.
    Shutdown {
        done: Sender<()>,
    },
    /// The last event: the registry's loop returns.
    End,
}

// ---- calls: what REST asks ------------------------------------------------------------------------------------

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
        invite: InviteCode,
        name: Option<String>,
    },

    Peers,
    Peer {
        peer: String,
    },
    AddPeer {
        address: String,
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
            | Self::StartProfile { .. } => Duration::from_secs(35),
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
    Stats(Box<NodeStats>),
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
    /// Passwords already replaced by `***`.
    Profile(Box<Profile>),
    Profiles(Vec<Profile>),
    MinerList(Vec<MinerStats>),
    Miner(Box<MinerStats>),
    Available(Vec<AvailableMiner>),
    /// Time and H/s of the last hour; `None` where there was no reading.
    History(Vec<(Timestamp, Option<f64>)>),
}

/// Lines of a followed log, with the number of lines that were lost before them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogPart {
    pub lines: Vec<String>,
    pub skipped: u64,
    /// The miner was stopped; nothing more comes.
    pub ended: bool,
}

// ---- links ----------------------------------------------------------------------------------------------------

/// A number for one TCP connection that became a link; never reused while the daemon runs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LinkId(pub u64);

/// A number for one attempt to dial.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct DialId(pub u64);

#[derive(Debug)]
pub enum LinkEvent {
    /// A caller proved `key` and introduced itself: welcome or not? The thread waits at most 5 s.
    Greeting {
        source: IpAddr,
        key: PublicKey,
        hello: Box<Hello>,
        reply: Sender<Verdict>,
    },
    /// Both sides know each other; the link's writer is running.
    Up(Box<LinkUp>),
    Message {
        link: LinkId,
        envelope: Envelope,
        raw: SignedBytes,
    },
    /// The last event of a link. `reason` is a sentence.
    Down {
        link: LinkId,
        reason: String,
    },
    /// An attempt to dial that did not become a link.
    NotDialled {
        dial: DialId,
        outcome: DialOutcome,
    },
}

/// The registry's word on a caller.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It is registered here; the link introduces this node to it.
    Welcome,
    /// See [`crate::smsg::hello::Answer::NotRegistered`].
    NotRegistered { request: Option<NodeId>, reason: Option<String> },
}

#[derive(Debug)]
pub struct LinkUp {
    pub link: LinkId,
    pub key: PublicKey,
    pub hello: Hello,
    /// Set when we dialled.
    pub dial: Option<DialId>,
    /// The other end's address, `192.168.1.100:9091`.
    pub remote: String,
    pub handle: LinkHandle,
}

/// How the registry's loop reaches a link.
#[derive(Clone, Debug)]
pub struct LinkHandle {
    pub outbox: Sender<Outbound>,
    /// Ends the connection at once, even when the outbox is full.
    pub cut: Cut,
}

/// Shuts a connection down from any thread.
#[derive(Clone)]
pub struct Cut(pub Arc<dyn Fn() + Send + Sync>);

impl std::fmt::Debug for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cut")
    }
}

/// Signature and JSON exactly as they came: what the audit log keeps.
#[derive(Clone, PartialEq, Eq)]
pub struct SignedBytes(pub Vec<u8>);

impl std::fmt::Debug for SignedBytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SignedBytes({})", self.0.len())
    }
}

/// How an attempt to dial ended without a link.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DialOutcome {
    /// The other side answered, as `key`, that we are not registered there.
    NotRegistered { key: PublicKey, request: Option<NodeId>, reason: Option<String> },
    /// It proved another key than the one expected; nothing was said to it.
    WrongKey { got: PublicKey },
    /// No connection, no answer in time, or an answer that is not this protocol. `answered` tells whether TCP
    /// connected: a machine that is up with a daemon that is frozen is tried again sooner.
    Failed { answered: bool, reason: String },
}

/// Whom the dialler wants to find at the address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expect {
    /// First contact by address alone.
    Anyone,
    Key(PublicKey),
    /// The node whose invite we hold; its secret is shown to no other.
    Issuer(InviteCode),
}

/// To the p2p-dial thread.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DialRequest {
    pub dial: DialId,
    pub address: String,
    pub expect: Expect,
    /// See [`Hello::asking`].
    pub asking: Option<String>,
}

/// To a link's writer thread, which alone writes to its socket.
#[derive(Clone, PartialEq, Debug)]
pub enum Outbound {
    Message {
        id: String,
        reply_to: Option<String>,
        body: Box<Body>,
    },
    /// Finished WebSocket frames (pongs) from the reader.
    Raw(Vec<u8>),
    /// Answer a `get_logs` from the ring.
    Tail {
        reply_to: String,
        miner: String,
        lines: usize,
        previous: bool,
    },
    /// Begin to follow a log, or grant more credit.
    Follow {
        follow: u64,
        miner: String,
        lines: usize,
        credit: usize,
    },
    Unfollow {
        follow: u64,
    },
    /// A followed ring has new lines.
    LogsReady {
        follow: u64,
    },
    /// Say bye and end the link.
    Close {
        reason: String,
    },
}

// ---- miners ---------------------------------------------------------------------------------------------------

/// From the threads that start, watch and reap miners. `run` tells one process of a miner from the next.
#[derive(Debug)]
pub enum MinerEvent {
    Started {
        name: String,
        run: u64,
        pid: u32,
    },
    /// There is no process. `permanent`: a restart cannot mend it.
    NotStarted {
        name: String,
        run: u64,
        reason: String,
        permanent: bool,
    },
    Sample {
        name: String,
        run: u64,
        sample: Box<MinerSample>,
    },
    /// The API gave no answer that could be read.
    NoSample {
        name: String,
        run: u64,
        reason: String,
    },
    /// A line of output said something that the API does not.
    Noted {
        name: String,
        run: u64,
        note: Note,
    },
    /// The process and its group are gone and reaped. `reason` is a sentence; `permanent` as above.
    Exited {
        name: String,
        run: u64,
        code: Option<i32>,
        signal: Option<i32>,
        reason: String,
        permanent: bool,
    },
}

/// What an adapter reads out of a line of output.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Note {
    /// The API port was in use: the miner hashes without an API and will not try again.
    ApiPortTaken,
    /// A share was accepted just now.
    ShareAccepted,
    /// The pool said no, as it said it: a login refused, an address unknown. Shown as the reason.
    PoolTrouble(String),
    /// The pool works again.
    PoolFine,
}

/// To the spawner thread, the only one that forks, signals and reaps.
#[derive(Debug)]
pub enum SpawnCommand {
    Start {
        name: String,
        run: u64,
        profile: Box<Profile>,
    },
    /// SIGTERM to the group, SIGKILL after `grace`. `for_good`: it is not to start again, its log's followers may go.
    Stop {
        name: String,
        run: u64,
        grace: Duration,
        for_good: bool,
    },
    /// Stop everything; `done` hears when nothing is left.
    StopAll {
        grace: Duration,
        done: Sender<()>,
    },
    /// SIGCHLD came.
    Reap,
    /// Which miner programs are installed.
    Survey {
        reply: Sender<Result<Reply, Fault>>,
    },
}

// ---- store ----------------------------------------------------------------------------------------------------

/// To the store thread: one transaction, synchronous=FULL. With a ticket the outcome comes back as [`Event::Stored`].
#[derive(Clone, PartialEq, Debug)]
pub struct StoreCommand {
    pub ops: Vec<StateOp>,
    pub ticket: Option<u64>,
}

#[derive(Clone, PartialEq, Debug)]
pub enum StateOp {
    /// Inserts or replaces, by key. A name that another peer has is a conflict and undoes the transaction.
    PutPeer(PeerRecord),
    DeletePeer(PublicKey),
    Seen {
        key: PublicKey,
        at: Timestamp,
    },
    /// By the id of the invite's maker.
    PutJoin(JoinRecord),
    DeleteJoin(NodeId),
    PutInvite(InviteRecord),
    /// Counts one use; none left undoes the transaction.
    UseInvite {
        id: String,
    },
    DeleteInvite {
        id: String,
    },
    PutProfile(Profile),
    DeleteProfile {
        id: String,
    },
    /// What should run. Also keeps the highest number used for its type.
    PutMiner(DesiredMiner),
    DeleteMiner {
        name: String,
    },
    /// The highest command sequence number accepted from a peer.
    LastCommand {
        key: PublicKey,
        seq: u64,
    },
    /// Append-only record of what was asked and what came of it.
    Audit(AuditRow),
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuditRow {
    pub at: Timestamp,
    /// Peer name, or `local:token`.
    pub who: String,
    pub key: Option<PublicKey>,
    /// The message type or the local request.
    pub what: String,
    /// `accepted`, or why it was refused.
    pub result: String,
    /// Signature and JSON as received.
    pub envelope: Option<Vec<u8>>,
}

/// What node.db held when the daemon started.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct SavedState {
    pub peers: Vec<PeerRecord>,
    pub joins: Vec<JoinRecord>,
    pub invites: Vec<InviteRecord>,
    pub profiles: Vec<Profile>,
    pub miners: Vec<DesiredMiner>,
    /// Highest number used, by miner type.
    pub miner_numbers: Vec<(String, u64)>,
    /// Counts the starts of this daemon; the upper half of the sequence numbers it sends.
    pub epoch: u64,
}

// ---- channels -------------------------------------------------------------------------------------------------

/// For one answer: the sender uses `try_send`, the receiver `recv_timeout`.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the helper for reply channels")]
pub fn reply_channel<T>() -> (Sender<T>, Receiver<T>) {
    crossbeam_channel::bounded(1)
}

/// For what belongs to one link or one stream: its outbox, its log lines.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the helper for per-link channels")]
pub fn wire_channel<T>(room: usize) -> (Sender<T>, Receiver<T>) {
    crossbeam_channel::bounded(room)
}
