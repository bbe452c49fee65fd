//! The three messages of the XX pattern.
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use super::cipher::{ReceiveCipher, SendCipher};
use super::symmetric::Symmetric;
use super::{KEY, MAX_MESSAGE, NoiseError, TAG};

/// What a message holds before its payload: a public key, or the mixing in of a shared secret, named by the
/// initiator's key and then the responder's.
#[derive(Clone, Copy)]
enum Token {
    E,
    S,
    EE,
    ES,
    SE,
}

const XX: [&[Token]; 3] =
    [&[Token::E], &[Token::E, Token::EE, Token::S, Token::ES], &[Token::S, Token::SE]];

/// The bytes that each message has beside its payload.
const OVERHEAD: [usize; 3] = [KEY, KEY + (KEY + TAG) + TAG, (KEY + TAG) + TAG];

/// One side of a handshake. The initiator writes the first and third message, the responder the second.
/// Secrets are wiped when it is dropped.
pub struct Handshake {
    initiator: bool,
    /// The message that comes next, by its index in [`XX`]; 3 after the last.
    next: usize,
    failed: bool,
    symmetric: Symmetric,
    static_secret: StaticSecret,
    ephemeral: Option<StaticSecret>,
    remote_ephemeral: Option<PublicKey>,
    remote_static: Option<PublicKey>,
}

/// A finished handshake: one cipher for each direction.
pub struct Transport {
    pub send: SendCipher,
    pub receive: ReceiveCipher,
    /// Of the whole handshake; the same on both sides and different on every link.
    pub hash: [u8; 32],
}

impl Handshake {
    /// `static_secret` is an X25519 secret; both sides must give the same prologue.
    #[must_use]
    pub fn initiator(static_secret: &[u8; KEY], prologue: &[u8]) -> Self {
        Self::new(true, static_secret, prologue)
    }

    /// See [`Handshake::initiator`].
    #[must_use]
    pub fn responder(static_secret: &[u8; KEY], prologue: &[u8]) -> Self {
        Self::new(false, static_secret, prologue)
    }

    fn new(initiator: bool, static_secret: &[u8; KEY], prologue: &[u8]) -> Self {
        Self {
            initiator,
            next: 0,
            failed: false,
            symmetric: Symmetric::new(prologue),
            static_secret: StaticSecret::from(*static_secret),
            ephemeral: None,
            remote_ephemeral: None,
            remote_static: None,
        }
    }

    /// The next message. The payload of the first is not secret, that of the second can be read by any initiator;
    /// only that of the third is for a known responder alone.
    ///
    /// # Errors
    /// `OutOfTurn`, or `TooLong` when keys, tags and payload exceed 65,535 bytes: the handshake can still go on.
    /// `WeakKey` or `NoRandomness` end it.
    pub fn write_message(&mut self, payload: &[u8]) -> Result<Vec<u8>, NoiseError> {
        let tokens = self.tokens(self.writes_next())?;
        let overhead = OVERHEAD[self.next];
        if payload.len() > MAX_MESSAGE - overhead {
            return Err(NoiseError::TooLong);
        }
        let mut message = Vec::with_capacity(overhead + payload.len());
        let result = self.write(tokens, payload, &mut message);
        self.step(result)?;
        Ok(message)
    }

    /// The payload of the other side's next message.
    ///
    /// # Errors
    /// Every error ends the handshake: all later calls answer `Failed`.
    pub fn read_message(&mut self, message: &[u8]) -> Result<Vec<u8>, NoiseError> {
        let result = self.read(message);
        self.step(result)
    }

    /// The other side's public static key, once it has proved to hold the secret: for the initiator after reading
    /// the second message, for the responder after the third.
    #[must_use]
    pub fn remote_static(&self) -> Option<[u8; KEY]> {
        self.remote_static.filter(|_| !self.failed).map(|key| key.to_bytes())
    }

    #[must_use]
    pub fn is_finished(&self) -> bool {
        !self.failed && self.next == XX.len()
    }

    /// The keys for what follows.
    ///
    /// # Errors
    /// `Unfinished` before the third message, `Failed` when one of the three failed.
    pub fn finish(self) -> Result<Transport, NoiseError> {
        if self.failed {
            return Err(NoiseError::Failed);
        }
        if self.next < XX.len() {
            return Err(NoiseError::Unfinished);
        }
        let (first, second) = self.symmetric.split();
        let (send, receive) = if self.initiator { (first, second) } else { (second, first) };
        Ok(Transport {
            send: SendCipher(send),
            receive: ReceiveCipher(receive),
            hash: self.symmetric.hash(),
        })
    }

    fn writes_next(&self) -> bool {
        self.initiator == self.next.is_multiple_of(2)
    }

    /// The tokens of the next message, when it is this side's turn to do so.
    fn tokens(&self, our_turn: bool) -> Result<&'static [Token], NoiseError> {
        if self.failed {
            return Err(NoiseError::Failed);
        }
        XX.get(self.next).copied().filter(|_| our_turn).ok_or(NoiseError::OutOfTurn)
    }

    fn step<T>(&mut self, result: Result<T, NoiseError>) -> Result<T, NoiseError> {
        match &result {
            Ok(_) => self.next += 1,
            Err(_) => self.failed = true,
        }
        result
    }

    fn write(
        &mut self,
        tokens: &[Token],
        payload: &[u8],
        message: &mut Vec<u8>,
    ) -> Result<(), NoiseError> {
        for token in tokens {
            match token {
                Token::E => {
                    // Only the tests' fixed key can be here already.
                    let secret = self.ephemeral.take().map_or_else(fresh_secret, Ok)?;
                    let public = PublicKey::from(&secret);
                    message.extend_from_slice(public.as_bytes());
                    self.symmetric.mix_hash(public.as_bytes());
                    self.ephemeral = Some(secret);
                }
                Token::S => {
                    let public = PublicKey::from(&self.static_secret);
                    self.symmetric.encrypt_and_hash(public.as_bytes(), message)?;
                }
                secret => self.mix_shared(*secret)?,
            }
        }
        self.symmetric.encrypt_and_hash(payload, message)
    }

    fn read(&mut self, message: &[u8]) -> Result<Vec<u8>, NoiseError> {
        let tokens = self.tokens(!self.writes_next())?;
        if message.len() > MAX_MESSAGE {
            return Err(NoiseError::TooLong);
        }
        let mut rest = message;
        for token in tokens {
            match token {
                Token::E => {
                    let public = take::<KEY>(&mut rest)?;
                    self.symmetric.mix_hash(public);
                    self.remote_ephemeral = Some(PublicKey::from(*public));
                }
                Token::S => {
                    let sealed = take::<{ KEY + TAG }>(&mut rest)?;
                    let public = self.symmetric.decrypt_and_hash(sealed)?;
                    let public: [u8; KEY] = public.try_into().map_err(|_| NoiseError::TooShort)?;
                    self.remote_static = Some(PublicKey::from(public));
                }
                secret => self.mix_shared(*secret)?,
            }
        }
        self.symmetric.decrypt_and_hash(rest)
    }

    fn mix_shared(&mut self, token: Token) -> Result<(), NoiseError> {
        let (our_static, their_static) = match token {
            Token::ES => (!self.initiator, self.initiator),
            Token::SE => (self.initiator, !self.initiator),
            _ => (false, false),
        };
        let ours = if our_static { Some(&self.static_secret) } else { self.ephemeral.as_ref() };
        let theirs = if their_static { self.remote_static } else { self.remote_ephemeral };
        let (Some(ours), Some(theirs)) = (ours, theirs) else {
            return Err(NoiseError::OutOfTurn);
        };
        let shared = ours.diffie_hellman(&theirs);
        // A low-order point makes the secret all zero, whatever our key is.
        if !shared.was_contributory() {
            return Err(NoiseError::WeakKey);
        }
        self.symmetric.mix_key(shared.as_bytes());
        Ok(())
    }

    /// The published vectors need known ephemeral keys; nothing outside the tests may choose one.
    #[cfg(test)]
    pub(super) fn with_ephemeral(mut self, secret: &[u8; KEY]) -> Self {
        self.ephemeral = Some(StaticSecret::from(*secret));
        self
    }
}

fn fresh_secret() -> Result<StaticSecret, NoiseError> {
    let mut secret = Zeroizing::new([0; KEY]);
    getrandom::fill(&mut *secret).map_err(|_| NoiseError::NoRandomness)?;
    Ok(StaticSecret::from(*secret))
}

/// Cuts the first `N` bytes off `rest`.
fn take<'a, const N: usize>(rest: &mut &'a [u8]) -> Result<&'a [u8; N], NoiseError> {
    let (head, tail) = rest.split_first_chunk::<N>().ok_or(NoiseError::TooShort)?;
    *rest = tail;
    Ok(head)
}
