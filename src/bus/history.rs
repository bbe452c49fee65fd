//! Between the registry and the `history` thread, which alone writes mining.db.
use crossbeam_channel::Sender;

use super::LinkId;
use crate::model::history::{Batch, HistoryStatus, HourMean};
use crate::model::key::NodeId;

/// To the `history` thread. Nothing here is answered at once: rows are written in batches.
#[derive(Debug)]
pub enum HistoryCommand {
    /// Rows of a node: our own readings, what a rig reported live, or what it sent to fill a gap.
    /// `after`: nothing of that node is missing from behind this second up to `batch.through`, so that its mark moves
    /// there if it stands at `after` or later; where rows between were lost, it stays. `None`: there may be gaps.
    Keep { node: NodeId, batch: Batch, after: Option<i64> },
    /// Our own rows after the second `after`, for a controller that missed them. Answer: [`HistoryEvent::Read`].
    Read { link: LinkId, request: String, after: i64 },
    /// A peer was removed: its marks are forgotten, its rows stay until they are too old.
    Forget { node: NodeId },
    /// Write what waits, because somebody is about to look at it; at most once in ten seconds. Answered when done.
    Flush { reply: Sender<HistoryStatus> },
}

/// From the `history` thread to the registry.
#[derive(Debug)]
pub enum HistoryEvent {
    /// mining.db is open. `marks`: up to which second each node's rows are whole; `means`: of the last 24 hours.
    /// Comes again after the file was set aside.
    Opened {
        marks: Vec<(NodeId, i64)>,
        means: Vec<(NodeId, HourMean)>,
        set_aside: Option<SetAside>,
    },
    /// These marks are on disk.
    Kept { marks: Vec<(NodeId, i64)> },
    /// Rows were lost (a full disk): the marks stay where they were, what rigs sent is to be asked for again.
    /// Told once, until [`HistoryEvent::Recovered`].
    Failed { reason: String, dropped: u64 },
    /// Writing works again.
    Recovered { dropped: u64 },
    /// `None`: it could not be read.
    Read { link: LinkId, request: String, batch: Option<Batch> },
}

/// A damaged file that was put away; a new one was begun.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SetAside {
    pub reason: String,
    /// Where it lies now.
    pub file: String,
}
