//! What needs more than the public interface: fixed ephemeral keys, forged messages, counters near their end.
//! tests/noise_snow.rs runs both roles against another implementation.
mod anything;
mod forged;
mod keys;
mod tampered;
mod transport;
mod turns;
mod vectors;

use super::{Handshake, Transport};

const PROLOGUE: &[u8] = b"the prologue of these tests";
const INITIATOR: [u8; 32] = [0x11; 32];
const RESPONDER: [u8; 32] = [0x22; 32];

fn pair() -> (Handshake, Handshake) {
    (Handshake::initiator(&INITIATOR, PROLOGUE), Handshake::responder(&RESPONDER, PROLOGUE))
}

fn public(secret: [u8; 32]) -> [u8; 32] {
    x25519_dalek::PublicKey::from(&x25519_dalek::StaticSecret::from(secret)).to_bytes()
}

/// Carries `count` messages over, alternating from the initiator, and gives them.
fn carry(initiator: &mut Handshake, responder: &mut Handshake, count: usize) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    for index in 0..count {
        let (writer, reader) = if index % 2 == 0 {
            (&mut *initiator, &mut *responder)
        } else {
            (&mut *responder, &mut *initiator)
        };
        let message = writer.write_message(b"a payload").unwrap();
        assert_eq!(reader.read_message(&message).unwrap(), b"a payload");
        messages.push(message);
    }
    messages
}

fn transports() -> (Transport, Transport) {
    let (mut initiator, mut responder) = pair();
    carry(&mut initiator, &mut responder, 3);
    (initiator.finish().unwrap(), responder.finish().unwrap())
}
