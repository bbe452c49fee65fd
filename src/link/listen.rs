//! The p2p-accept threads: every connection gets a thread of its own, in a bounded number of slots.
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError};

use super::slots::{Slot, Slots};
use super::{Shared, greet, session, thread_name};
use crate::bus;
use crate::smsg::limits;
use crate::sys::thread;
use crate::tls::{self, Stream};

/// How long to wait when the process has no file descriptor or memory left for a connection.
const BACK_OFF: Duration = Duration::from_millis(100);

/// The open P2P port.
pub struct Listening {
    /// Dropped to say that it is over.
    over: Sender<()>,
    /// The listening sockets once more: shut down, they wake their threads.
    wake: Vec<TcpStream>,
    threads: Vec<JoinHandle<()>>,
    slots: Arc<Slots>,
}

/// Takes connections on all of `listeners` until [`Listening::stop`].
///
/// # Errors
/// A thread or a file descriptor could not be had.
pub fn listen(listeners: Vec<TcpListener>, shared: &Arc<Shared>) -> io::Result<Listening> {
    let (over, stop) = bus::wire_channel(1);
    let (most, per_source) = (limits::HANDSHAKES, limits::HANDSHAKES_PER_SOURCE);
    let slots = Slots::new(most, per_source, shared.times.begun);
    let mut listening = Listening { over, wake: Vec::new(), threads: Vec::new(), slots };
    for listener in listeners {
        listener.set_nonblocking(false)?;
        listening.wake.push(TcpStream::from(OwnedFd::from(listener.try_clone()?)));
        let door = Door {
            listener,
            shared: shared.clone(),
            slots: listening.slots.clone(),
            stop: stop.clone(),
        };
        listening.threads.push(thread::spawn("p2p-accept", move || door.keep())?);
    }
    Ok(listening)
}

impl Listening {
    /// Closes the port and ends every unfinished handshake. Links stay: they end with their handles.
    pub fn stop(self) {
        drop(self.over);
        for socket in &self.wake {
            let _ = socket.shutdown(Shutdown::Both);
        }
        for thread in self.threads {
            let _ = thread.join();
        }
        self.slots.shut_all();
    }
}

struct Door {
    listener: TcpListener,
    shared: Arc<Shared>,
    slots: Arc<Slots>,
    stop: Receiver<()>,
}

impl Door {
    fn keep(&self) {
        loop {
            let accepted = self.listener.accept();
            if self.stop.try_recv() == Err(TryRecvError::Disconnected) {
                return;
            }
            match accepted {
                Ok((socket, from)) => {
                    if let Err(e) = self.admit(socket, from) {
                        crate::seldom!(Warn, "a connection from {from} was refused: {e}");
                    }
                }
                Err(e) if passing(&e) => {}
                Err(e) => {
                    crate::seldom!(Warn, "no connection can be taken at present: {e}");
                    if self.stop.recv_timeout(BACK_OFF) == Err(RecvTimeoutError::Disconnected) {
                        return;
                    }
                }
            }
        }
    }

    fn admit(&self, socket: TcpStream, from: SocketAddr) -> io::Result<()> {
        socket.set_nodelay(true)?;
        let socket = Arc::new(tls::accepted(socket, self.shared.tls.as_ref())?);
        let slot = self.slots.take(from.ip(), &socket, Instant::now());
        let Some(slot) = slot else {
            self.shared.counters.handshakes_failed.one_more();
            return Err(io::Error::other(
                "too many greetings have begun already; it may call again",
            ));
        };
        let shared = self.shared.clone();
        let link = shared.next_link();
        let name = thread_name("gr", link);
        self.shared.crew.spawn(&name, move || {
            if let Err(reason) = receive(&socket, from, slot, link, &shared) {
                shared.counters.handshakes_failed.one_more();
                crate::seldom!(Info, "{from} did not become a link: {reason}");
            }
        })
    }
}

fn receive(
    socket: &Arc<Stream>,
    from: SocketAddr,
    slot: Slot,
    link: bus::LinkId,
    shared: &Arc<Shared>,
) -> Result<(), String> {
    let greeted = greet::respond(socket.clone(), from.ip().to_canonical(), &slot, shared)?;
    drop(slot);
    let Some(greeted) = greeted else {
        shared.counters.callers_refused.one_more();
        return Ok(());
    };
    session::begin(socket, greeted, link, None, shared)
}

/// Troubles of one connection, not of the listener.
fn passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::Interrupted
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}
