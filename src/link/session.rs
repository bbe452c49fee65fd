//! The life of a link after the greeting: its two threads, its `Up` and its `Down`.
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crossbeam_channel::Sender;

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

/// Runs a link on the thread that greeted, until it ends.
///
/// # Errors
/// It could not begin; the registry has heard nothing of it.
pub fn run(
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
    let mut reader =
        Reader::new(frames, transport.receive, key, &hello, link, shared, inner.clone())?;

    let writer = Writer::new(
        socket.clone(),
        frames::writing(role),
        transport.send,
        key.node_id(),
        Arc::downgrade(&inner),
        shared.clone(),
        end.clone(),
    );
    let (writes, written) = bus::wire_channel::<()>(1);
    let writing = thread::spawn(&thread_name("wr", link), move || {
        let _writes = writes;
        writer.run(&from_registry, &from_inner);
    })
    .map_err(|e| format!("no thread for a link: {e}"))?;

    let cut = end.clone();
    let cut = Cut(Arc::new(move || {
        cut.because("this node cut the link");
        cut.shut();
    }));
    let handle = LinkHandle { outbox, cut };
    let up = LinkUp { link, key, hello, dial, remote, handle };
    let known = shared.tell(LinkEvent::Up(Box::new(up)));
    // The reader goes with the closure, and with it its senders to the writer.
    let ending = &end;
    let stop = guarded(move || match known {
        true => reader.run(ending),
        false => Stop { reason: "this node stops".to_owned(), tell: false },
    });
    if last_word(&stop, inner, &end) {
        let _ = written.recv_timeout(LAST_WORD);
    }
    end.shut();
    let _ = writing.join();
    if known {
        let reason = end.why.get().cloned().unwrap_or(stop.reason);
        shared.tell(LinkEvent::Down { link, reason });
    }
    Ok(())
}

/// A panic while reading ends this link alone.
fn guarded(read: impl FnOnce() -> Stop) -> Stop {
    catch_unwind(AssertUnwindSafe(read))
        .unwrap_or_else(|_| Stop { reason: PANICKED.to_owned(), tell: false })
}

/// Lets the writer end; `true` when it first has to tell the other side why. `inner` is the last sender of its
/// channel, so that the writer sees it closed.
fn last_word(stop: &Stop, inner: Arc<Sender<Outbound>>, end: &End) -> bool {
    end.because(&stop.reason);
    let told = stop.tell && inner.try_send(Outbound::Close { reason: stop.reason.clone() }).is_ok();
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
