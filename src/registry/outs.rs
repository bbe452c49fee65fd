//! What the registry says, and the time and randomness that it is given.
use std::sync::Arc;

use crossbeam_channel::Sender;
use sha2::{Digest, Sha256};

use super::audit::Act;
use crate::bus::{
    AlertCommand, DialRequest, HistoryCommand, LinkId, LivePart, LogPart, Outbound, Reply,
    SpawnCommand, StoreCommand, Verdict,
};
use crate::model::event::EventPart;
use crate::model::fault::Fault;
use crate::model::time::Now;
use crate::smsg::messages::Body;
use crate::sys::log::{Level, Seldom};

/// One thing to do, in order. `run` carries it out without ever blocking.
#[derive(Debug)]
pub enum Out {
    Send {
        link: LinkId,
        message: Outbound,
    },
    /// End the connection now, whatever its outbox holds.
    Cut {
        link: LinkId,
    },
    Dial(DialRequest),
    Spawn(SpawnCommand),
    Store(StoreCommand),
    /// [`super::Registry::history_lost`] hears when there was no room.
    History(HistoryCommand),
    Reply {
        to: Sender<Result<Reply, Fault>>,
        reply: Result<Reply, Fault>,
    },
    Verdict {
        to: Sender<Verdict>,
        verdict: Verdict,
    },
    /// Lines for a follower; the registry hears through [`super::Registry::part_lost`] when there was no room.
    Part {
        follow: u64,
        to: Sender<LogPart>,
        part: LogPart,
    },
    /// Events for a reader of this node; [`super::Registry::events_lost`] hears when there was no room.
    Tell {
        follow: u64,
        to: Sender<EventPart>,
        part: EventPart,
    },
    /// For who watches the node; [`super::Registry::live_lost`] hears when there was no room.
    Live {
        follow: u64,
        to: Sender<LivePart>,
        part: LivePart,
    },
    /// The rings of a miner that is forgotten.
    ForgetLog {
        miner: String,
    },
    /// For the `alerts` thread.
    Alert(AlertCommand),
    Log(Level, String),
    End,
}

/// Where the answer to a local request goes, and what the audit log is to hold of it.
pub struct ReplyTo {
    pub to: Sender<Result<Reply, Fault>>,
    pub act: Option<Arc<Act>>,
}

/// The time, and what came of it so far.
pub struct Cx {
    pub now: Now,
    pub out: Vec<Out>,
    /// The local change that is being made: the first transaction takes its audit row along.
    pub act: Option<Arc<Act>>,
}

impl Cx {
    #[must_use]
    pub fn new(now: Now) -> Self {
        Self { now, out: Vec::new(), act: None }
    }

    pub fn info(&mut self, text: String) {
        self.out.push(Out::Log(Level::Info, text));
    }

    pub fn warn(&mut self, text: String) {
        self.out.push(Out::Log(Level::Warn, text));
    }

    /// A line that strangers can cause.
    pub fn info_seldom(&mut self, kind: &mut Seldom, text: String) {
        if let Some(text) = kind.take(self.now.mono, text) {
            self.info(text);
        }
    }

    /// As [`Cx::info_seldom`].
    pub fn warn_seldom(&mut self, kind: &mut Seldom, text: String) {
        if let Some(text) = kind.take(self.now.mono, text) {
            self.warn(text);
        }
    }

    pub fn reply(&mut self, to: ReplyTo, reply: Result<Reply, Fault>) {
        let row = to.act.and_then(|act| act.at_its_end(self.now.wall, &reply));
        let row = row.map(|row| Out::Store(StoreCommand { ops: vec![row], ticket: None }));
        self.out.extend(row);
        self.out.push(Out::Reply { to: to.to, reply });
    }

    pub fn send(&mut self, link: LinkId, id: String, reply_to: Option<String>, body: Body) {
        let message = Outbound::Message { id, reply_to, body: Box::new(body) };
        self.out.push(Out::Send { link, message });
    }

    pub fn close(&mut self, link: LinkId, reason: &str) {
        let message = Outbound::Close { reason: reason.to_owned() };
        self.out.push(Out::Send { link, message });
    }
}

/// Random numbers out of a seed: SHA-256 of the seed and a counter. The seed is the operating system's in the
/// daemon and fixed in tests.
pub struct Random {
    seed: [u8; 32],
    count: u64,
}

impl Random {
    #[must_use]
    pub fn new(seed: [u8; 32]) -> Self {
        Self { seed, count: 0 }
    }

    pub fn bytes16(&mut self) -> [u8; 16] {
        self.count += 1;
        let digest =
            Sha256::new().chain_update(self.seed).chain_update(self.count.to_le_bytes()).finalize();
        let mut out = [0; 16];
        out.copy_from_slice(&digest[..16]);
        out
    }

    /// 32 lower-case hex digits.
    pub fn word(&mut self) -> String {
        data_encoding::HEXLOWER.encode(&self.bytes16())
    }

    /// Between 0 and 1.
    pub fn fraction(&mut self) -> f64 {
        let mut four = [0; 4];
        four.copy_from_slice(&self.bytes16()[..4]);
        f64::from(u32::from_le_bytes(four)) / f64::from(u32::MAX)
    }
}
