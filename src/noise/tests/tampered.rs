//! A handshake in which somebody changed a message never finishes on both sides.
use super::{PROLOGUE, RESPONDER, carry, pair};
use crate::noise::{Handshake, NoiseError};

/// Runs a handshake with message `index` changed by `tamper`. The receiver of that message notices, except for the
/// first, which nothing protects: there the initiator notices when the answer comes.
fn notices(index: usize, tamper: impl Fn(&mut Vec<u8>)) -> NoiseError {
    let (mut initiator, mut responder) = pair();
    carry(&mut initiator, &mut responder, index);
    let (writer, reader) = if index == 1 {
        (&mut responder, &mut initiator)
    } else {
        (&mut initiator, &mut responder)
    };
    let original = writer.write_message(b"a payload").unwrap();
    let mut message = original.clone();
    tamper(&mut message);
    let mut result = reader.read_message(&message);
    let mut victim = reader;
    if index == 0 && result.is_ok() {
        let answer = victim.write_message(b"an answer").unwrap();
        result = writer.read_message(&answer);
        victim = writer;
    }
    let error = result.expect_err("a changed message was taken");

    // Nothing more comes of this handshake, whatever arrives or is asked.
    assert_eq!(victim.read_message(&original), Err(NoiseError::Failed));
    assert_eq!(victim.write_message(b""), Err(NoiseError::Failed));
    assert_eq!(victim.remote_static(), None);
    assert!(!victim.is_finished());
    let (initiator_end, responder_end) = (initiator.finish().err(), responder.finish().err());
    let ends = [initiator_end, responder_end];
    assert!(ends.contains(&Some(NoiseError::Failed)), "{ends:?}");
    error
}

fn lengths() -> [usize; 3] {
    let (mut initiator, mut responder) = pair();
    let messages = carry(&mut initiator, &mut responder, 3);
    [messages[0].len(), messages[1].len(), messages[2].len()]
}

#[test]
fn every_flipped_bit() {
    for (index, length) in lengths().into_iter().enumerate() {
        for offset in 0..length {
            for bit in 0..8 {
                let error = notices(index, |message| message[offset] ^= 1 << bit);
                assert_eq!(error, NoiseError::NotAuthentic, "message {index} byte {offset}");
            }
        }
    }
}

#[test]
fn every_truncation() {
    for (index, length) in lengths().into_iter().enumerate() {
        for shorter in 0..length {
            let error = notices(index, |message| message.truncate(shorter));
            assert!(
                matches!(error, NoiseError::TooShort | NoiseError::NotAuthentic),
                "message {index} cut to {shorter}: {error:?}"
            );
        }
    }
}

#[test]
fn added_bytes() {
    for index in 0..3 {
        assert_eq!(notices(index, |message| message.push(0)), NoiseError::NotAuthentic);
        assert_eq!(notices(index, |message| message.resize(65_536, 0)), NoiseError::TooLong);
    }
}

#[test]
fn another_prologue() {
    let (mut initiator, _) = pair();
    let other = [PROLOGUE, b"!"].concat();
    let mut responder = Handshake::responder(&RESPONDER, &other);
    let first = initiator.write_message(b"").unwrap();
    responder.read_message(&first).unwrap();
    let second = responder.write_message(b"").unwrap();
    assert_eq!(initiator.read_message(&second), Err(NoiseError::NotAuthentic));
}

/// Messages of an earlier handshake, or one's own, in the place of the awaited one.
#[test]
fn replayed_messages() {
    let (mut initiator, mut responder) = pair();
    let earlier = carry(&mut initiator, &mut responder, 3);
    for old in &earlier {
        notices(1, |message| message.clone_from(old));
        notices(2, |message| message.clone_from(old));
    }
    notices(0, |message| message.clone_from(&earlier[0]));
    notices(0, |message| message.clone_from(&earlier[1]));
    notices(0, |message| message.clone_from(&earlier[2]));

    let (mut initiator, _) = pair();
    let own = initiator.write_message(b"").unwrap();
    assert!(initiator.read_message(&own).is_err(), "its own message sent back");
}
