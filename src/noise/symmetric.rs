//! The running hash and chaining key of a handshake: SymmetricState of the specification.
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::cipher::Cipher;
use super::{KEY, NoiseError};

/// Exactly as long as a hash, so it is the first hash as it stands.
const PROTOCOL: &[u8; 32] = b"Noise_XX_25519_ChaChaPoly_SHA256";

pub(super) struct Symmetric {
    /// None until the first secret is mixed in: what is said before that goes in the clear.
    cipher: Option<Cipher>,
    chaining_key: Zeroizing<[u8; KEY]>,
    hash: [u8; 32],
}

impl Symmetric {
    pub(super) fn new(prologue: &[u8]) -> Self {
        let mut new =
            Self { cipher: None, chaining_key: Zeroizing::new(*PROTOCOL), hash: *PROTOCOL };
        new.mix_hash(prologue);
        new
    }

    pub(super) fn mix_hash(&mut self, data: &[u8]) {
        self.hash = Sha256::new().chain_update(self.hash).chain_update(data).finalize().into();
    }

    pub(super) fn mix_key(&mut self, secret: &[u8]) {
        let (chaining_key, key) = hkdf(&self.chaining_key, secret);
        self.chaining_key = chaining_key;
        self.cipher = Some(Cipher::new(&key));
    }

    /// Appends `plain`, sealed as soon as there is a key, to `message`.
    pub(super) fn encrypt_and_hash(
        &mut self,
        plain: &[u8],
        message: &mut Vec<u8>,
    ) -> Result<(), NoiseError> {
        let start = message.len();
        match &mut self.cipher {
            Some(cipher) => cipher.encrypt(&self.hash, plain, message)?,
            None => message.extend_from_slice(plain),
        }
        self.mix_hash(&message[start..]);
        Ok(())
    }

    pub(super) fn decrypt_and_hash(&mut self, sealed: &[u8]) -> Result<Vec<u8>, NoiseError> {
        let mut plain = Vec::new();
        match &mut self.cipher {
            Some(cipher) => cipher.decrypt(&self.hash, sealed, &mut plain)?,
            None => plain.extend_from_slice(sealed),
        }
        self.mix_hash(sealed);
        Ok(plain)
    }

    /// The initiator's sending key, then the responder's.
    pub(super) fn split(&self) -> (Cipher, Cipher) {
        let (first, second) = hkdf(&self.chaining_key, &[]);
        (Cipher::new(&first), Cipher::new(&second))
    }

    /// Both sides have the same one when they saw the same handshake.
    pub(super) fn hash(&self) -> [u8; 32] {
        self.hash
    }
}

type Secret = Zeroizing<[u8; KEY]>;

fn hkdf(chaining_key: &[u8; KEY], input: &[u8]) -> (Secret, Secret) {
    let extracted = hmac(chaining_key, &[input]);
    let first = hmac(&extracted, &[&[1]]);
    let second = hmac(&extracted, &[&*first, &[2]]);
    (first, second)
}

fn hmac(key: &[u8; KEY], parts: &[&[u8]]) -> Secret {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    for part in parts {
        mac.update(part);
    }
    Zeroizing::new(mac.finalize().into_bytes().into())
}
