//! Who may speak when, how much, and what can be asked at which point.
use super::{INITIATOR, RESPONDER, carry, pair, public};
use crate::noise::{Handshake, NoiseError};

/// Side `0` is the initiator. After `done` messages it is side `done % 2` that writes.
fn side_after(side: usize, done: usize) -> Handshake {
    let (mut initiator, mut responder) = pair();
    carry(&mut initiator, &mut responder, done);
    if side == 0 { initiator } else { responder }
}

#[test]
fn writing_out_of_turn_is_refused_and_harmless() {
    for done in 0..3 {
        let (mut initiator, mut responder) = pair();
        carry(&mut initiator, &mut responder, done);
        let (writer, reader) = if done % 2 == 0 {
            (&mut initiator, &mut responder)
        } else {
            (&mut responder, &mut initiator)
        };
        assert_eq!(reader.write_message(b""), Err(NoiseError::OutOfTurn), "after {done}");
        let message = writer.write_message(b"").unwrap();
        assert_eq!(writer.write_message(b""), Err(NoiseError::OutOfTurn), "after {done}");
        assert_eq!(reader.read_message(&message), Ok(Vec::new()), "after {done}");
    }
    for side in [0, 1] {
        let mut finished = side_after(side, 3);
        assert_eq!(finished.write_message(b""), Err(NoiseError::OutOfTurn));
        assert!(finished.finish().is_ok());
    }
}

#[test]
fn reading_out_of_turn_ends_the_handshake() {
    for done in 0..=3 {
        for side in [0, 1] {
            if done < 3 && side != done % 2 {
                continue;
            }
            let mut handshake = side_after(side, done);
            assert_eq!(handshake.read_message(&[9; 96]), Err(NoiseError::OutOfTurn));
            assert_eq!(handshake.write_message(b""), Err(NoiseError::Failed));
            assert_eq!(handshake.read_message(&[9; 96]), Err(NoiseError::Failed));
            assert!(!handshake.is_finished());
            assert_eq!(handshake.remote_static(), None);
            assert_eq!(handshake.finish().err(), Some(NoiseError::Failed));
        }
    }
}

#[test]
fn a_handshake_finishes_after_three_messages() {
    for side in [0, 1] {
        for done in 0..3 {
            let handshake = side_after(side, done);
            assert!(!handshake.is_finished());
            assert_eq!(handshake.finish().err(), Some(NoiseError::Unfinished));
        }
        let handshake = side_after(side, 3);
        assert!(handshake.is_finished());
        assert!(handshake.finish().is_ok());
    }
}

#[test]
fn the_other_key_is_known_once_proved() {
    for done in 0..=3 {
        let known_to_initiator = (done >= 2).then(|| public(RESPONDER));
        let known_to_responder = (done >= 3).then(|| public(INITIATOR));
        assert_eq!(side_after(0, done).remote_static(), known_to_initiator, "after {done}");
        assert_eq!(side_after(1, done).remote_static(), known_to_responder, "after {done}");
    }
}

#[test]
fn the_longest_payloads_pass_and_longer_ones_are_refused() {
    let (mut initiator, mut responder) = pair();
    for (index, overhead) in [32, 96, 64].into_iter().enumerate() {
        let (writer, reader) = if index == 1 {
            (&mut responder, &mut initiator)
        } else {
            (&mut initiator, &mut responder)
        };
        let payload = vec![7; 65_535 - overhead + 1];
        assert_eq!(writer.write_message(&payload), Err(NoiseError::TooLong));
        let message = writer.write_message(&payload[1..]).unwrap();
        assert_eq!(message.len(), 65_535);
        assert_eq!(reader.read_message(&message).unwrap(), &payload[1..]);
    }
    assert!(initiator.is_finished() && responder.is_finished());
}

/// Fresh ephemeral keys make every handshake and its keys different.
#[test]
fn no_two_handshakes_are_alike() {
    let (mut one, mut two) = (pair(), pair());
    let first = carry(&mut one.0, &mut one.1, 3);
    let second = carry(&mut two.0, &mut two.1, 3);
    assert_ne!(first[0][..32], second[0][..32]);
    assert_ne!(first[1][..32], second[1][..32]);
    assert_ne!(one.0.finish().unwrap().hash, two.0.finish().unwrap().hash);
}
