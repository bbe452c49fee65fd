//! The life of a link after the greeting: its two threads, its `Up` and its `Down`.
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};

use super::greet::Greeted;
use super::reader::Reader;
use super::writer::Writer;
use super::{Shared, frames, thread_name};
use crate::bus::{self, Cut, DialId, LinkEvent, LinkHandle, LinkId, LinkUp, Outbound};
use crate::smsg::limits;
use crate::sys::thread;
use crate::tls::Stream;

/// What the reader (pongs, errors) and followed logs have waiting for the writer. Apart from the registry's outbox,
/// so that no peer can fill that by what it sends.
const INNER: usize = 32;

/// How long the writer has to tell the other side why the link ends.
const LAST_WORD: Duration = Duration::from_secs(1);

/// The reason of a link that a panic ended.
pub const PANICKED: &str = "an error of this program ended the link";

/// A link's socket and why it ended: the first reason counts.
pub struct End {
    socket: Arc<Stream>,
    why: OnceLock<String>,
}

impl End {
    pub fn because(&self, reason: &str) {
        let _ = self.why.set(reason.to_owned());
    }

    /// Whether it was decided that this link ends.
    pub fn is_over(&self) -> bool {
        self.why.get().is_some()
    }

    /// Says nothing more, but still hears.
    pub fn shut_writing(&self) {
        self.socket.end_writing();
    }

    /// Wakes both threads out of whatever they wait for on the socket.
    pub fn shut(&self) {
        self.socket.cut();
    }
}

/// How the reader stopped.
pub struct Stop {
    pub reason: String,
    /// Whether the other side is to hear the reason: it broke a rule, and is still there.
    pub tell: bool,
}

/// Begins a link, on two threads of its own. The one that greeted ends with that: the deep stack of a handshake and what
/// the allocator keeps for its thread are needed for a moment, a link's own for days.
///
/// # Errors
/// It could not begin; the registry has heard nothing of it.
pub fn begin(
    socket: &Arc<Stream>,
    greeted: Greeted,
    link: LinkId,
    dial: Option<DialId>,
    shared: &Arc<Shared>,
) -> Result<(), String> {
    let Greeted { socket: mut frames, role, transport, key, hello } = greeted;
    let remote = socket.tcp().peer_addr().map_err(|e| e.to_string())?.to_string();
    let end = Arc::new(End { socket: socket.clone(), why: OnceLock::new() });
    let (outbox, from_registry) = bus::wire_channel(limits::OUTBOX);
    let (inner, from_inner) = bus::wire_channel(INNER);
    let inner = Arc::new(inner);
    frames::welcome(&mut frames, inner.clone());
    let reader = Reader::new(frames, transport.receive, key, &hello, link, shared, inner.clone())?;
    // What is in a box is not copied from frame to frame of a stack that stays for days.
    let reader = Box::new(reader);
    let mut writer = Box::new(Writer::new(
        socket.clone(),
        frames::writing(role),
        transport.send,
        key.node_id(),
        Arc::downgrade(&inner),
        shared.clone(),
        end.clone(),
    ));
    let (writes, written) = bus::wire_channel::<()>(1);
    thread::spawn_small(&thread_name("wr", link), move || {
        let _writes = writes;
        writer.run(&from_registry, &from_inner);
    })
    .map_err(|e| no_thread(&e))?;

    let cut = end.clone();
    let cut = Cut(Arc::new(move || {
        cut.because("this node cut the link");
        cut.shut();
    }));
    let handle = LinkHandle { outbox, cut };
    let up = Box::new(LinkUp { link, key, hello, dial, remote, handle });
    let reading = Reading { reader, inner, end, written };
    let own = shared.clone();
    // Without the thread all that is dropped, and the writer ends with the last sender of its channel.
    let read = move || reading.run(up, &own);
    shared.crew.spawn_small(&thread_name("rd", link), read).map_err(|e| no_thread(&e))
}

fn no_thread(e: &std::io::Error) -> String {
    format!("no thread for a link: {e}")
}

/// What the reader's thread has.
struct Reading {
    reader: Box<Reader>,
    inner: Arc<Sender<Box<Outbound>>>,
    end: Arc<End>,
    /// Disconnects when the writer has ended.
    written: Receiver<()>,
}

impl Reading {
    /// Until the link ends.
    fn run(self, up: Box<LinkUp>, shared: &Shared) {
        let Self { mut reader, inner, end, written } = self;
        let link = up.link;
        let known = shared.tell(LinkEvent::Up(up));
        let stop = guarded(|| match known {
            true => reader.run(&end),
            false => Stop { reason: "this node stops".to_owned(), tell: false },
        });
        // With it go its senders to the writer.
        drop(reader);
        if last_word(&stop, inner, &end) {
            let _ = written.recv_timeout(LAST_WORD);
        }
        end.shut();
        let _ = written.recv();
        if known {
            let reason = end.why.get().cloned().unwrap_or(stop.reason);
            shared.tell(LinkEvent::Down { link, reason });
        }
    }
}

/// A panic while reading ends this link alone.
fn guarded(read: impl FnOnce() -> Stop) -> Stop {
    catch_unwind(AssertUnwindSafe(read))
        .unwrap_or_else(|_| Stop { reason: PANICKED.to_owned(), tell: false })
}

/// Lets the writer end; `true` when it first has to tell the other side why. `inner` is the last sender of its
/// channel, so that the writer sees it closed.
fn last_word(stop: &Stop, inner: Arc<Sender<Box<Outbound>>>, end: &End) -> bool {
    end.because(&stop.reason);
    let close = || Box::new(Outbound::Close { reason: stop.reason.clone() });
    let told = stop.tell && inner.try_send(close()).is_ok();
    drop(inner);
    told
}

#[cfg(test)]
mod tests {
    use super::{PANICKED, guarded};

    #[test]
    fn a_panic_is_a_reason_and_no_end_of_the_thread() {
        let stop = guarded(|| panic!("a test"));
        assert_eq!((stop.reason.as_str(), stop.tell), (PANICKED, false));
    }
}
