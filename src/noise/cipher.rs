//! A key with its message counter, and the two directions of a finished link.
use chacha20poly1305::{AeadInOut, ChaCha20Poly1305, KeyInit, Nonce, Tag};

use super::{KEY, MAX_MESSAGE, NoiseError, TAG};

/// CipherState of the specification. Both methods append to `out`, and leave it as it was when they fail.
pub(super) struct Cipher {
    aead: ChaCha20Poly1305,
    /// The number of the next message.
    nonce: u64,
}

impl Cipher {
    pub(super) fn new(key: &[u8; KEY]) -> Self {
        Self { aead: ChaCha20Poly1305::new(key.into()), nonce: 0 }
    }

    pub(super) fn encrypt(
        &mut self,
        associated: &[u8],
        plain: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), NoiseError> {
        let nonce = self.nonce()?;
        let start = out.len();
        out.reserve(plain.len() + TAG);
        out.extend_from_slice(plain);
        let text = &mut out[start..];
        match self.aead.encrypt_inout_detached(&nonce, associated, text.into()) {
            Ok(tag) => out.extend_from_slice(&tag),
            Err(_) => {
                out.truncate(start);
                return Err(NoiseError::TooLong);
            }
        }
        self.nonce += 1;
        Ok(())
    }

    /// Moves on to the next nonce only when `sealed` is authentic: otherwise a stranger's bytes would make every
    /// later message unreadable.
    pub(super) fn decrypt(
        &mut self,
        associated: &[u8],
        sealed: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), NoiseError> {
        let nonce = self.nonce()?;
        let (text, tag) = sealed.split_last_chunk::<TAG>().ok_or(NoiseError::TooShort)?;
        let start = out.len();
        out.extend_from_slice(text);
        let (tag, text) = (Tag::from(*tag), &mut out[start..]);
        if self.aead.decrypt_inout_detached(&nonce, associated, text.into(), &tag).is_err() {
            out.truncate(start);
            return Err(NoiseError::NotAuthentic);
        }
        self.nonce += 1;
        Ok(())
    }

    /// The specification reserves the last number.
    fn nonce(&self) -> Result<Nonce, NoiseError> {
        if self.nonce == u64::MAX {
            return Err(NoiseError::Exhausted);
        }
        let mut bytes = [0; 12];
        bytes[4..].copy_from_slice(&self.nonce.to_le_bytes());
        Ok(bytes.into())
    }

    #[cfg(test)]
    pub(super) fn set_nonce(&mut self, nonce: u64) {
        self.nonce = nonce;
    }
}

/// Seals what this side says. Wiped when dropped.
pub struct SendCipher(pub(super) Cipher);

impl SendCipher {
    /// Replaces `out` by the sealed message, 16 bytes longer than `plain`; the buffer is worth using again.
    ///
    /// # Errors
    /// `TooLong` for more than 65,519 bytes, `Exhausted` after 2^64 - 1 messages; `out` is then empty.
    pub fn seal(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), NoiseError> {
        out.clear();
        if plain.len() > MAX_MESSAGE - TAG {
            return Err(NoiseError::TooLong);
        }
        self.0.encrypt(&[], plain, out)
    }
}

/// Opens what the other side says, in the order in which it was sealed. Wiped when dropped.
pub struct ReceiveCipher(pub(super) Cipher);

impl ReceiveCipher {
    /// Replaces `out` by what `message` says. A message that fails changes nothing: the right one can still come.
    ///
    /// # Errors
    /// `NotAuthentic`, `TooShort`, `TooLong` or `Exhausted`; `out` is then empty.
    pub fn open(&mut self, message: &[u8], out: &mut Vec<u8>) -> Result<(), NoiseError> {
        out.clear();
        if message.len() > MAX_MESSAGE {
            return Err(NoiseError::TooLong);
        }
        self.0.decrypt(&[], message, out)
    }
}
