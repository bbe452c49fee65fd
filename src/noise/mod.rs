//! Noise_XX_25519_ChaChaPoly_SHA256: bytes in, bytes out. <https://noiseprotocol.org/noise.html>, revision 34.
//!
//! A [`Handshake`] of three messages proves both static keys and gives a [`Transport`]. No input or output here:
//! the caller carries the messages, whole and in order.
mod cipher;
mod error;
mod handshake;
mod symmetric;
#[cfg(test)]
mod tests;

pub use cipher::{ReceiveCipher, SendCipher};
pub use error::NoiseError;
pub use handshake::{Handshake, Transport};

/// The longest Noise message, handshake or transport, in bytes.
const MAX_MESSAGE: usize = 65_535;
/// A Poly1305 tag, in bytes.
const TAG: usize = 16;
/// An X25519 key, secret or public, in bytes.
const KEY: usize = 32;
