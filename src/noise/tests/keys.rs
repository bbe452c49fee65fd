//! Everything that holds a secret wipes it when dropped. This does not compile when a crate lost its feature.
use zeroize::{ZeroizeOnDrop, Zeroizing};

fn wipes<T: ZeroizeOnDrop>() {}

#[test]
fn secrets_are_wiped() {
    wipes::<chacha20poly1305::ChaCha20Poly1305>();
    wipes::<x25519_dalek::StaticSecret>();
    wipes::<x25519_dalek::SharedSecret>();
    wipes::<sha2::Sha256>();
    wipes::<Zeroizing<[u8; 32]>>();
}
