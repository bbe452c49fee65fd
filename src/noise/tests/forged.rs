//! Public keys of low order, from a peer that plays the handshake by its rules otherwise.
use x25519_dalek::{PublicKey, StaticSecret};

use super::{PROLOGUE, pair};
use crate::noise::NoiseError;
use crate::noise::symmetric::Symmetric;

/// All X25519 inputs that make every secret zero: the points of order 1, 2, 4 and 8 on the curve and its twist,
/// and their encodings above the prime. Bit 255 is ignored by X25519, so each has a second form.
const LOW_ORDER: [&str; 7] = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
];

const ZERO: [u8; 32] = [0; 32];

fn weak_keys() -> Vec<[u8; 32]> {
    let mut keys = Vec::new();
    for text in LOW_ORDER {
        let mut key: [u8; 32] =
            data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap().try_into().unwrap();
        keys.push(key);
        key[31] |= 0x80;
        keys.push(key);
    }
    keys
}

/// The attacker's side, made of the same parts but with whatever keys and secrets it likes.
struct Forger {
    symmetric: Symmetric,
    ephemeral: StaticSecret,
}

impl Forger {
    fn new() -> Self {
        Self { symmetric: Symmetric::new(PROLOGUE), ephemeral: StaticSecret::from([0x33; 32]) }
    }

    fn public(&self) -> [u8; 32] {
        PublicKey::from(&self.ephemeral).to_bytes()
    }

    fn shared(&self, theirs: &[u8]) -> [u8; 32] {
        let theirs: [u8; 32] = theirs.try_into().unwrap();
        self.ephemeral.diffie_hellman(&PublicKey::from(theirs)).to_bytes()
    }
}

#[test]
fn weak_ephemeral_of_the_initiator() {
    for weak in weak_keys() {
        let (_, mut responder) = pair();
        responder.read_message(&weak).unwrap();
        assert_eq!(responder.write_message(b"secret"), Err(NoiseError::WeakKey), "{weak:02x?}");
        assert_eq!(responder.write_message(b"secret"), Err(NoiseError::Failed));
    }
}

#[test]
fn weak_ephemeral_of_the_responder() {
    for weak in weak_keys() {
        let (mut initiator, _) = pair();
        let first = initiator.write_message(b"").unwrap();
        let mut forger = Forger::new();
        forger.symmetric.mix_hash(&first);
        forger.symmetric.mix_hash(b"");
        forger.symmetric.mix_hash(&weak);
        forger.symmetric.mix_key(&ZERO);
        let mut message = weak.to_vec();
        let public = forger.public();
        forger.symmetric.encrypt_and_hash(&public, &mut message).unwrap();
        let shared = forger.shared(&first);
        forger.symmetric.mix_key(&shared);
        forger.symmetric.encrypt_and_hash(b"", &mut message).unwrap();
        assert_eq!(initiator.read_message(&message), Err(NoiseError::WeakKey), "{weak:02x?}");
        assert_eq!(initiator.remote_static(), None);
    }
}

#[test]
fn weak_static_of_the_responder() {
    for weak in weak_keys() {
        let (mut initiator, _) = pair();
        let first = initiator.write_message(b"").unwrap();
        let mut forger = Forger::new();
        forger.symmetric.mix_hash(&first);
        forger.symmetric.mix_hash(b"");
        let mut message = forger.public().to_vec();
        forger.symmetric.mix_hash(&message);
        let shared = forger.shared(&first);
        forger.symmetric.mix_key(&shared);
        forger.symmetric.encrypt_and_hash(&weak, &mut message).unwrap();
        forger.symmetric.mix_key(&ZERO);
        forger.symmetric.encrypt_and_hash(b"", &mut message).unwrap();
        assert_eq!(initiator.read_message(&message), Err(NoiseError::WeakKey), "{weak:02x?}");
        assert_eq!(initiator.remote_static(), None);
    }
}

#[test]
fn weak_static_of_the_initiator() {
    for weak in weak_keys() {
        let (_, mut responder) = pair();
        let mut forger = Forger::new();
        let first = forger.public();
        responder.read_message(&first).unwrap();
        forger.symmetric.mix_hash(&first);
        forger.symmetric.mix_hash(b"");

        let second = responder.write_message(b"").unwrap();
        let (ephemeral, rest) = second.split_at(32);
        let (sealed_static, sealed_payload) = rest.split_at(48);
        forger.symmetric.mix_hash(ephemeral);
        let shared = forger.shared(ephemeral);
        forger.symmetric.mix_key(&shared);
        let responder_static = forger.symmetric.decrypt_and_hash(sealed_static).unwrap();
        let shared = forger.shared(&responder_static);
        forger.symmetric.mix_key(&shared);
        forger.symmetric.decrypt_and_hash(sealed_payload).unwrap();

        let mut third = Vec::new();
        forger.symmetric.encrypt_and_hash(&weak, &mut third).unwrap();
        forger.symmetric.mix_key(&ZERO);
        forger.symmetric.encrypt_and_hash(b"", &mut third).unwrap();
        assert_eq!(responder.read_message(&third), Err(NoiseError::WeakKey), "{weak:02x?}");
        assert_eq!(responder.remote_static(), None);
        assert_eq!(responder.finish().err(), Some(NoiseError::Failed));
    }
}
