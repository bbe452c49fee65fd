//! Arbitrary bytes, in every state of both roles: never a panic, never taken for the truth.
use proptest::prelude::*;

use super::{carry, pair, transports};
use crate::noise::NoiseError;

fn junk() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..200),
        1 => prop::collection::vec(any::<u8>(), 65_500..65_560),
    ]
}

proptest! {
    #[test]
    fn handshake(
        is_initiator in any::<bool>(),
        done in 0..=3_usize,
        calls in prop::collection::vec((any::<bool>(), junk()), 1..6),
    ) {
        let (mut initiator, mut responder) = pair();
        carry(&mut initiator, &mut responder, done);
        let mut side = if is_initiator { initiator } else { responder };
        for (write, bytes) in calls {
            if write {
                let _ = side.write_message(&bytes);
            } else {
                let _ = side.read_message(&bytes);
            }
        }
        // Only a side that had nothing left to read may be finished: none can be talked into it.
        let nothing_to_read = done == 3 || (is_initiator && done == 2);
        prop_assert!(nothing_to_read || !side.is_finished());
        prop_assert!(nothing_to_read || side.remote_static().is_none());
        let _ = side.finish();
    }

    #[test]
    fn transport(messages in prop::collection::vec(junk(), 1..6)) {
        let (mut initiator, mut responder) = transports();
        let (mut sealed, mut out) = (Vec::new(), Vec::new());
        for message in messages {
            prop_assert!(responder.receive.open(&message, &mut out).is_err());
            let fits = message.len() <= 65_519;
            prop_assert_eq!(initiator.send.seal(&message, &mut sealed).is_ok(), fits);
            if fits {
                prop_assert_eq!(responder.receive.open(&sealed, &mut out), Ok(()));
                prop_assert_eq!(&out, &message);
            }
        }
    }

    /// A responder with a good first message takes no junk for the third, however the junk is shaped.
    #[test]
    fn junk_for_the_third_message(bytes in junk()) {
        let (mut initiator, mut responder) = pair();
        carry(&mut initiator, &mut responder, 2);
        let error = responder.read_message(&bytes).err();
        let expected = match bytes.len() {
            0..48 => NoiseError::TooShort,
            48..=65_535 => NoiseError::NotAuthentic,
            _ => NoiseError::TooLong,
        };
        prop_assert_eq!(error, Some(expected));
    }
}
