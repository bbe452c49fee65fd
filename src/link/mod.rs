//! One peer connection: TCP, WebSocket, Noise, hello, then signed envelopes both ways until it ends.
//! docs/protocol.md says what goes over the wire.
//!
//! Threads: one `p2p-accept` a listener, one `p2p-dial`, one for each greeting (`link-gr-N`), which ends with it, and
//! two a link: the reader (`link-rd-N`) and the writer (`link-wr-N`), which alone writes to the socket. The registry
//! hears of a link through [`crate::bus::LinkEvent`]: `Up` first, then its messages, `Down` last, always.
mod crew;
mod dial;
mod follow;
mod frames;
mod greet;
mod listen;
mod rate;
mod reader;
mod session;
mod slots;
mod writer;

pub use dial::dialler;
pub use listen::{Listening, listen};

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;

use crate::bus::{Counters, Event, LinkId};
use crate::identity::Identity;
use crate::logs::Logs;
use crate::smsg::limits;
use crate::tls::Server;

/// What all links of this node share.
pub struct Shared {
    pub identity: Arc<Identity>,
    pub events: Sender<Event>,
    pub logs: Arc<Logs>,
    pub times: Times,
    /// The daemon's; of its own where nobody asks.
    pub counters: Arc<Counters>,
    /// Of the P2P port; `None`: it is plain.
    pub tls: Option<Arc<Server>>,
    /// The `seq` of the next envelope, whatever its link.
    sequence: AtomicU64,
    /// The next [`LinkId`].
    links: AtomicU64,
    crew: crew::Crew,
}

/// The deadlines of a link; tests shorten them.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// TCP connect to welcome.
    pub greeting: Duration,
    /// How long a greeting that has begun is not pushed out by others.
    pub begun: Duration,
    /// How long the registry may think about a caller.
    pub answer: Duration,
    /// A link without a complete, authentic message for this long is dead.
    pub silence: Duration,
    /// A write that makes no progress for this long ends the link.
    pub write: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            greeting: limits::GREETING,
            begun: limits::HANDSHAKE_BEGUN,
            answer: Duration::from_secs(5),
            silence: limits::SILENCE,
            write: limits::WRITE,
        }
    }
}

impl Shared {
    /// `epoch` is the number of this start of the daemon ([`crate::bus::SavedState::epoch`]): what is sent now is
    /// numbered higher than all that was sent before it.
    #[must_use]
    pub fn new(
        identity: Arc<Identity>,
        events: Sender<Event>,
        logs: Arc<Logs>,
        epoch: u64,
    ) -> Self {
        Self {
            identity,
            events,
            logs,
            times: Times::default(),
            counters: Arc::default(),
            tls: None,
            sequence: AtomicU64::new(epoch << 32),
            links: AtomicU64::new(1),
            crew: crew::Crew::default(),
        }
    }

    /// Waits until no thread of any link or attempt is left; `false` when `deadline` passes first.
    /// Links end when the registry has dropped their handles, attempts within [`Times::greeting`].
    pub fn wait(&self, deadline: Instant) -> bool {
        self.crew.wait(deadline)
    }

    fn next_link(&self) -> LinkId {
        LinkId(self.links.fetch_add(1, Ordering::Relaxed))
    }

    fn next_seq(&self) -> u64 {
        self.sequence.fetch_add(1, Ordering::Relaxed)
    }

    /// Hands `event` to the registry, waiting for room; `false` when there is no registry any more.
    fn tell(&self, event: crate::bus::LinkEvent) -> bool {
        self.events.send(Event::Link(event)).is_ok()
    }
}

/// The name of a thread of a link: `link-rd-7`. Numbers start again after seven digits, for the kernel's 15 bytes.
fn thread_name(part: &str, link: LinkId) -> String {
    format!("link-{part}-{}", link.0 % 10_000_000)
}
