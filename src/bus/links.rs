//! What links tell the registry, and what it tells them and the dialler.
use crate::model::invite::InviteCode;
use crate::model::key::{NodeId, PublicKey};
use crate::model::trust::Trust;
use crate::smsg::envelope::Envelope;
use crate::smsg::hello::Hello;
use crate::smsg::messages::Body;
use crossbeam_channel::Sender;
use std::net::IpAddr;
use std::sync::Arc;

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
    /// Boxed: a link reserves room for 64 of them, and uses that of one.
    pub outbox: Sender<Box<Outbound>>,
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

/// Signature and JSON exactly as they came: what the audit log keeps of commands and questions. Empty for all else.
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
    /// `host:port`, or `wss://host:port` for a port under TLS.
    pub address: String,
    /// By what its certificate is judged.
    pub trust: Trust,
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
