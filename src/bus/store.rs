//! What the store is told to write, and what it held.
use crate::model::alert::CauseRecord;
use crate::model::audit::AuditRow;
use crate::model::event::EventRecord;
use crate::model::invite::InviteRecord;
use crate::model::key::{NodeId, PublicKey};
use crate::model::labels::Labels;
use crate::model::miner::DesiredMiner;
use crate::model::peer::{JoinRecord, PeerRecord};
use crate::model::profile::Profile;
use crate::model::time::Timestamp;
use std::sync::Arc;

/// To the store thread: one transaction, synchronous=FULL. With a ticket the outcome comes back as [`Event::Stored`].
#[derive(Clone, PartialEq, Debug)]
pub struct StoreCommand {
    pub ops: Vec<StateOp>,
    pub ticket: Option<u64>,
}

#[derive(Clone, PartialEq, Debug)]
pub enum StateOp {
    /// Inserts or replaces, by key. A name that another peer has is a conflict and undoes the transaction. The labels
    /// of a peer that is there stay: a record made before they changed may be written after.
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
    Event(Arc<EventRecord>),
    /// The events up to this number are forgotten.
    ForgetEvents(u64),
    /// The highest number of an event that a rig has told.
    EventsHeard {
        key: PublicKey,
        number: u64,
    },
    /// Replaces a peer's labels. A peer that is not there undoes the transaction.
    Labels {
        key: PublicKey,
        labels: Labels,
    },
    /// One cause of an alert, by [`CauseRecord::key`].
    PutAlert(CauseRecord),
    ForgetAlert(String),
    /// Whether this rig was meant to mine when it was last heard of.
    RigMines {
        node: NodeId,
        mines: bool,
    },
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
    /// The newest events, oldest first.
    pub events: Vec<EventRecord>,
    /// See [`StateOp::EventsHeard`].
    pub events_heard: Vec<(PublicKey, u64)>,
    /// Alerts that were on.
    pub alerts: Vec<CauseRecord>,
    /// See [`StateOp::RigMines`].
    pub mining: Vec<NodeId>,
}
