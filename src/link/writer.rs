//! What goes out: numbered, signed, sealed and written, in the order in which it was queued.
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, after, never, select_biased};
use std::io::Write as _;
use tungstenite::Message;
use tungstenite::protocol::WebSocketContext;

use super::Shared;
use super::follow::{self, Follows};
use super::session::{End, PANICKED};
use crate::bus::Outbound;
use crate::model::fault::{Code, Fault};
use crate::model::key::NodeId;
use crate::noise::SendCipher;
use crate::smsg::envelope::{self, Envelope};
use crate::smsg::messages::{Body, LogLines};
use crate::sys::clock;
use crate::sys::stack::SpareStack;
use crate::tls::Stream;

/// How long the other side has to end a connection after our bye, before it is cut.
const LINGER: Duration = Duration::from_secs(1);

pub struct Writer {
    socket: Arc<Stream>,
    context: WebSocketContext,
    cipher: SendCipher,
    to: NodeId,
    shared: Arc<Shared>,
    end: Arc<End>,
    follows: Follows,
}

/// Why the writer stops.
enum Stop {
    /// It said bye.
    Bye,
    /// The reader is gone.
    Reader,
    Failed(String),
}

impl Writer {
    /// `inner` is where followed logs report; the reader holds the only strong end.
    pub fn new(
        socket: Arc<Stream>,
        context: WebSocketContext,
        cipher: SendCipher,
        to: NodeId,
        inner: Weak<Sender<Box<Outbound>>>,
        shared: Arc<Shared>,
        end: Arc<End>,
    ) -> Self {
        let follows = Follows::new(inner);
        Self { socket, context, cipher, to, shared, end, follows }
    }

    /// Writes until the link ends, and ends it when writing fails or the registry lets go of it.
    pub fn run(&mut self, outbox: &Receiver<Box<Outbound>>, inner: &Receiver<Box<Outbound>>) {
        let _shut = ShutOnDrop(self.end.clone());
        let _ = self.socket.tcp().set_write_timeout(Some(self.shared.times.write));
        let spare = SpareStack::of_this_thread();
        let stop = loop {
            if let Err(stop) = self.step(outbox, inner) {
                break stop;
            }
            // Between one ping and the next nothing is written to most rigs.
            spare.give_back();
        };
        match stop {
            Stop::Bye => {
                self.end.shut_writing();
                let deadline = Instant::now() + LINGER;
                while inner.recv_deadline(deadline) != Err(RecvTimeoutError::Disconnected)
                    && Instant::now() < deadline
                {}
            }
            Stop::Failed(reason) => self.end.because(&reason),
            Stop::Reader => {}
        }
    }

    /// Waits for the next thing to say, and says it.
    fn step(
        &mut self,
        outbox: &Receiver<Box<Outbound>>,
        inner: &Receiver<Box<Outbound>>,
    ) -> Result<(), Stop> {
        let due = match self.follows.due() {
            Some(at) => after(at.saturating_duration_since(Instant::now())),
            None => never(),
        };
        select_biased! {
            recv(inner) -> out => self.say(*out.map_err(|_| Stop::Reader)?),
            recv(outbox) -> out => {
                let dropped = || Outbound::Close { reason: "the daemon stops".to_owned() };
                self.say(out.map_or_else(|_| dropped(), |out| *out))
            }
            recv(due) -> _ => match self.follows.next(Instant::now()) {
                Some(lines) => self.send_lines(None, lines),
                None => Ok(()),
            },
        }
    }

    fn say(&mut self, out: Outbound) -> Result<(), Stop> {
        match out {
            Outbound::Message { id, reply_to, body } => self.send(id, reply_to, *body),
            Outbound::Raw(frames) => {
                (&*self.socket).write_all(&frames).map_err(|e| self.failed(&e))
            }
            Outbound::Tail { reply_to, miner, lines, previous } => {
                self.tail(reply_to, &miner, lines, previous)
            }
            Outbound::Follow { follow, miner, lines, credit } => {
                self.follow(follow, &miner, lines, credit)
            }
            Outbound::Unfollow { follow } => {
                self.follows.end(follow);
                Ok(())
            }
            // It only had to wake this thread: `due` knows which log is meant.
            Outbound::LogsReady { .. } => Ok(()),
            Outbound::Close { reason } => {
                self.end.because(&reason);
                self.send_new(None, Body::Bye { reason })?;
                Err(Stop::Bye)
            }
        }
    }

    fn tail(
        &mut self,
        reply_to: String,
        miner: &str,
        lines: usize,
        previous: bool,
    ) -> Result<(), Stop> {
        let Some(ring) = self.shared.logs.get(miner) else {
            let fault = Fault::new(Code::MinerNotFound, format!("there is no log of {miner:?}"));
            return self.send_new(Some(reply_to), Body::Error(fault));
        };
        let mut parts = follow::parts(ring.tail(lines, previous)).into_iter().peekable();
        while let Some(lines) = parts.next() {
            let part = LogLines { lines, more: parts.peek().is_some(), ..LogLines::default() };
            self.send_lines(Some(reply_to.clone()), part)?;
        }
        Ok(())
    }

    fn follow(
        &mut self,
        follow: u64,
        miner: &str,
        lines: usize,
        credit: usize,
    ) -> Result<(), Stop> {
        if self.follows.grant(follow, credit) {
            return Ok(());
        }
        let begun = self
            .shared
            .logs
            .get(miner)
            .is_some_and(|ring| self.follows.begin(follow, ring, lines, credit));
        if begun {
            return Ok(());
        }
        // No such log, or too many followed already.
        self.send_lines(None, LogLines { follow: Some(follow), ended: true, ..LogLines::default() })
    }

    fn send_lines(&mut self, reply_to: Option<String>, lines: LogLines) -> Result<(), Stop> {
        self.send_new(reply_to, Body::LogLines(lines))
    }

    /// Sends what begins here rather than in the registry, whose ids have no `w` in front.
    fn send_new(&mut self, reply_to: Option<String>, body: Body) -> Result<(), Stop> {
        let seq = self.shared.next_seq();
        self.send_numbered(seq, format!("w{seq:x}"), reply_to, body)
    }

    fn send(&mut self, id: String, reply_to: Option<String>, body: Body) -> Result<(), Stop> {
        let seq = self.shared.next_seq();
        self.send_numbered(seq, id, reply_to, body)
    }

    fn send_numbered(
        &mut self,
        seq: u64,
        id: String,
        reply_to: Option<String>,
        body: Body,
    ) -> Result<(), Stop> {
        let from = self.shared.identity.card.id;
        let envelope = Envelope { id, from, to: self.to, ts: clock::wall(), seq, reply_to, body };
        match envelope::seal(&envelope, |bytes| self.shared.identity.sign(bytes)) {
            Ok(signed) => self.write(&signed),
            Err(envelope::TooLarge(bytes)) => {
                crate::seldom!(
                    Warn,
                    "a message of {bytes} bytes for {} is too large to send",
                    self.to
                );
                let Some(asked) = envelope.reply_to else { return Ok(()) };
                let text = format!("the answer has {bytes} bytes, too many for one message");
                self.send_new(Some(asked), Body::Error(Fault::new(Code::TooLarge, text)))
            }
        }
    }

    fn write(&mut self, signed: &[u8]) -> Result<(), Stop> {
        let mut sealed = Vec::new();
        self.cipher.seal(signed, &mut sealed).map_err(|e| Stop::Failed(e.to_string()))?;
        let mut socket = &*self.socket;
        match self.context.write(&mut socket, Message::binary(sealed)) {
            Ok(()) => Ok(()),
            Err(tungstenite::Error::Io(e)) => Err(self.failed(&e)),
            Err(e) => Err(Stop::Failed(e.to_string())),
        }
    }

    fn failed(&self, error: &std::io::Error) -> Stop {
        if error.kind() == std::io::ErrorKind::WouldBlock {
            let time = humantime::format_duration(self.shared.times.write);
            return Stop::Failed(format!("the other side took nothing for {time}"));
        }
        Stop::Failed(format!("writing failed: {error}"))
    }
}

/// However the writer ends, by a panic too, the reader ends with it.
struct ShutOnDrop(Arc<End>);

impl Drop for ShutOnDrop {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.because(PANICKED);
        }
        self.0.shut();
    }
}
