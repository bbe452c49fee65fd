//! Both roles against `snow`, another implementation of Noise, with payloads of all sizes.
#![allow(clippy::unwrap_used)] // every unwrap here is an assertion
use miner_cli::noise::{Handshake, Transport};
use proptest::prelude::*;
use snow::{Builder, HandshakeState, TransportState};

const SUITE: &str = "Noise_XX_25519_ChaChaPoly_SHA256";
const PROLOGUE: &[u8] = b"miner-cli/smsg/1";
const OURS: [u8; 32] = [0x44; 32];
const THEIRS: [u8; 32] = [0x55; 32];

/// What each handshake message holds beside its payload.
const OVERHEAD: [usize; 3] = [32, 96, 64];
/// The longest payloads. snow leaves room for a tag in the first message too, which has none.
const LARGEST: [usize; 3] = [65_535 - 32 - 16, 65_535 - 96, 65_535 - 64];

fn public(secret: [u8; 32]) -> [u8; 32] {
    x25519_dalek::PublicKey::from(&x25519_dalek::StaticSecret::from(secret)).to_bytes()
}

fn snow(initiator: bool) -> HandshakeState {
    let builder = Builder::new(SUITE.parse().unwrap())
        .local_private_key(&THEIRS)
        .unwrap()
        .prologue(PROLOGUE)
        .unwrap();
    if initiator { builder.build_initiator() } else { builder.build_responder() }.unwrap()
}

fn bytes(length: usize, seed: u8) -> Vec<u8> {
    (0..length).map(|at| (at as u8).wrapping_mul(31).wrapping_add(seed)).collect()
}

/// A whole handshake with payloads of the given sizes, and both ends of what it made.
fn shake(we_initiate: bool, payloads: [usize; 3]) -> (Transport, TransportState) {
    let mut ours = if we_initiate {
        Handshake::initiator(&OURS, PROLOGUE)
    } else {
        Handshake::responder(&OURS, PROLOGUE)
    };
    let mut theirs = snow(!we_initiate);
    let mut buffer = vec![0; 65_535];
    for (index, length) in payloads.into_iter().enumerate() {
        let payload = bytes(length, index as u8);
        if we_initiate == (index % 2 == 0) {
            let message = ours.write_message(&payload).unwrap();
            assert_eq!(message.len(), length + OVERHEAD[index]);
            let read = theirs.read_message(&message, &mut buffer).unwrap();
            assert_eq!(buffer[..read], payload);
        } else {
            let written = theirs.write_message(&payload, &mut buffer).unwrap();
            assert_eq!(ours.read_message(&buffer[..written]).unwrap(), payload);
        }
    }
    assert_eq!(ours.remote_static(), Some(public(THEIRS)));
    assert_eq!(theirs.get_remote_static(), Some(&public(OURS)[..]));
    let ours = ours.finish().unwrap();
    assert_eq!(ours.hash, theirs.get_handshake_hash());
    (ours, theirs.into_transport_mode().unwrap())
}

/// Sends a payload of each size both ways.
fn talk(ours: &mut Transport, theirs: &mut TransportState, sizes: &[usize]) {
    let (mut out, mut buffer) = (Vec::new(), vec![0; 65_535]);
    for &length in sizes {
        let payload = bytes(length, 7);
        ours.send.seal(&payload, &mut out).unwrap();
        let read = theirs.read_message(&out, &mut buffer).unwrap();
        assert_eq!(buffer[..read], payload);
        let written = theirs.write_message(&payload, &mut buffer).unwrap();
        ours.receive.open(&buffer[..written], &mut out).unwrap();
        assert_eq!(out, payload);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_sizes(
        we_initiate in any::<bool>(),
        first in 0..=LARGEST[0],
        second in 0..=LARGEST[1],
        third in 0..=LARGEST[2],
        sizes in prop::collection::vec(0..=65_519_usize, 1..8),
    ) {
        let (mut ours, mut theirs) = shake(we_initiate, [first, second, third]);
        talk(&mut ours, &mut theirs, &sizes);
    }
}

#[test]
fn the_smallest_and_the_largest() {
    for we_initiate in [true, false] {
        let (mut ours, mut theirs) = shake(we_initiate, [0, 0, 0]);
        talk(&mut ours, &mut theirs, &[0, 1, 15, 16, 17, 63, 64, 65, 65_518, 65_519]);
        let (mut ours, mut theirs) = shake(we_initiate, LARGEST);
        talk(&mut ours, &mut theirs, &[65_519, 0]);
    }
}
