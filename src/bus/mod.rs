//! Every message that crosses threads. The registry receives [`Event`]s; everything else it says in [`Outbound`],
//! [`DialRequest`], [`SpawnCommand`] and [`StoreCommand`].
mod alerts;
mod calls;
mod counters;
mod history;
mod links;
mod live;
mod miners;
mod store;

use crate::model::fault::Fault;
use crate::model::stats::Host;
use crossbeam_channel::{Receiver, Sender};

pub use alerts::AlertCommand;
pub use calls::{Call, LogPart, Reply, Request};
pub use counters::{Count, Counters};
pub use history::{HistoryCommand, HistoryEvent, SetAside};
pub use links::{
    Cut, DialId, DialOutcome, DialRequest, Expect, LinkEvent, LinkHandle, LinkId, LinkUp, Outbound,
    SignedBytes, Verdict,
};
pub use live::{LiveAlerts, LiveNews, LivePart};
pub use miners::{MinerEvent, Note, SpawnCommand};
pub use store::{SavedState, StateOp, StoreCommand};

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
    History(HistoryEvent),
    /// One of the channels has delivered the message of this number.
    AlertDelivered {
        notice: u64,
    },
    /// SIGTERM or SIGINT: say bye to the peers, stop the miners; `done` hears when none is left.
    Shutdown {
        done: Sender<()>,
    },
    /// The last event: the registry's loop returns.
    End,
}

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
