//! What comes in: decrypted, checked, and handed to the registry.
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use ed25519_dalek::VerifyingKey;
use tungstenite::error::{Error, ProtocolError};
use tungstenite::{Bytes, Message};

use super::Shared;
use super::frames::{self, Socket};
use super::rate::Bucket;
use super::session::{End, Stop};
use crate::bus::{LinkEvent, LinkId, Outbound, SignedBytes};
use crate::model::key::{NodeId, PublicKey};
use crate::model::text;
use crate::noise::ReceiveCipher;
use crate::smsg::envelope::{self, Sequence};
use crate::smsg::hello::Hello;
use crate::smsg::limits;
use crate::smsg::messages::Body;
use crate::sys::random;
use crate::sys::stack::SpareStack;

/// How often the reader gives back the stack that a message took: a peer that reports every 10 s costs no memory in
/// between, one that says much no time.
const GIVE_BACK_EVERY: Duration = Duration::from_secs(5);

pub struct Reader {
    socket: Socket,
    cipher: ReceiveCipher,
    signing_key: VerifyingKey,
    from: NodeId,
    link: LinkId,
    sequence: Sequence,
    rate: Bucket,
    shared: Arc<Shared>,
    inner: Arc<Sender<Box<Outbound>>>,
}

impl Reader {
    /// # Errors
    /// The hello's signing key is none (it was checked before).
    pub fn new(
        socket: Socket,
        cipher: ReceiveCipher,
        key: PublicKey,
        hello: &Hello,
        link: LinkId,
        shared: &Arc<Shared>,
        inner: Arc<Sender<Box<Outbound>>>,
    ) -> Result<Self, String> {
        let signing_key =
            VerifyingKey::from_bytes(&hello.signing_key.0).map_err(|e| e.to_string())?;
        let rate =
            Bucket::new(limits::ENVELOPE_BURST, limits::ENVELOPES_PER_SECOND, Instant::now());
        Ok(Self {
            socket,
            cipher,
            signing_key,
            from: key.node_id(),
            link,
            sequence: Sequence::default(),
            rate,
            shared: shared.clone(),
            inner,
        })
    }

    /// Reads until the link ends.
    pub fn run(&mut self, end: &End) -> Stop {
        let mut heard = Instant::now();
        let (spare, mut given) = (SpareStack::of_this_thread(), heard);
        loop {
            self.socket.get_mut().set_deadline(heard + self.shared.times.silence);
            let message = match self.socket.read() {
                Ok(message) => message,
                Err(e) => return self.lost(&e),
            };
            if end.is_over() {
                return Stop { reason: String::new(), tell: false };
            }
            if !self.rate.take(Instant::now()) {
                let most = limits::ENVELOPES_PER_SECOND;
                return broken(format!("more than {most} messages a second"));
            }
            let taken = match message {
                Message::Binary(bytes) => self.take(&bytes),
                // Answered with a pong already. No sign of life: anyone on the way can send one.
                Message::Ping(_) | Message::Pong(_) => continue,
                Message::Close(_) => Err(gone(frames::unwanted(&message).to_owned())),
                other => Err(broken(frames::unwanted(&other).to_owned())),
            };
            if let Err(stop) = taken {
                return stop;
            }
            heard = Instant::now();
            if heard - given >= GIVE_BACK_EVERY {
                given = heard;
                spare.give_back();
            }
        }
    }

    fn take(&mut self, bytes: &Bytes) -> Result<(), Stop> {
        let mut plain = Vec::new();
        self.cipher.open(bytes, &mut plain).map_err(|e| broken(e.to_string()))?;
        let me = self.shared.identity.card.id;
        let opened = envelope::open(&plain, &self.signing_key, self.from, me)
            .map_err(|e| broken(e.to_string()))?;
        if !self.sequence.rises(opened.seq) {
            return Err(broken("an envelope out of sequence".to_owned()));
        }
        let envelope = match opened.content {
            Ok(envelope) => envelope,
            Err(fault) => {
                self.answer(opened.id, Body::Error(fault));
                return Ok(());
            }
        };
        if let Body::Bye { reason } = &envelope.body {
            let reason = text::clean(reason, 200);
            return Err(gone(format!("the other side ended the link: {reason}")));
        }
        // Only what asks for something is ever kept as proof.
        let proves = envelope.body.is_command() || envelope.body.is_query();
        let raw = SignedBytes(if proves { plain } else { Vec::new() });
        if self.shared.tell(LinkEvent::Message { link: self.link, envelope, raw }) {
            Ok(())
        } else {
            Err(gone("this node stops".to_owned()))
        }
    }

    /// An answer that finds no room is left out: the asker has a deadline of its own.
    fn answer(&self, to: String, body: Body) {
        let id = random::hex::<8>();
        let answer = Outbound::Message { id, reply_to: Some(to), body: Box::new(body) };
        let _ = self.inner.try_send(Box::new(answer));
    }

    fn lost(&self, error: &Error) -> Stop {
        match error {
            Error::Io(e) if e.kind() == std::io::ErrorKind::TimedOut => {
                let silence = self.shared.times.silence;
                broken(format!("nothing was heard for {}", humantime::format_duration(silence)))
            }
            Error::Io(_)
            | Error::ConnectionClosed
            | Error::AlreadyClosed
            | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {
                gone(frames::reason(error))
            }
            _ => broken(frames::reason(error)),
        }
    }
}

/// The other side broke a rule.
fn broken(reason: String) -> Stop {
    Stop { reason, tell: true }
}

/// Nobody is there to be told.
fn gone(reason: String) -> Stop {
    Stop { reason, tell: false }
}
