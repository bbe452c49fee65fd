//! Sealed messages: order, tampering, sizes, and the counter's end.
use super::transports;
use crate::noise::{NoiseError, ReceiveCipher, SendCipher};

fn sealed(send: &mut SendCipher, plain: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    send.seal(plain, &mut out).unwrap();
    out
}

/// The message is refused, leaves nothing behind in the buffer and does no harm to the next one.
#[track_caller]
fn refuses(receive: &mut ReceiveCipher, message: &[u8], error: NoiseError) {
    let mut out = b"from before".to_vec();
    assert_eq!(receive.open(message, &mut out), Err(error));
    assert!(out.is_empty());
}

#[track_caller]
fn opens(receive: &mut ReceiveCipher, message: &[u8], plain: &[u8]) {
    let mut out = b"from before".to_vec();
    receive.open(message, &mut out).unwrap();
    assert_eq!(out, plain);
}

#[test]
fn both_directions_have_their_own_key() {
    let (mut initiator, mut responder) = transports();
    let forth = sealed(&mut initiator.send, b"a word");
    let back = sealed(&mut responder.send, b"a word");
    assert_ne!(forth, back);
    refuses(&mut initiator.receive, &forth, NoiseError::NotAuthentic);
    opens(&mut responder.receive, &forth, b"a word");
    opens(&mut initiator.receive, &back, b"a word");
}

#[test]
fn flips_and_truncations_are_refused_and_the_right_message_still_opens() {
    let (mut initiator, mut responder) = transports();
    let message = sealed(&mut initiator.send, b"forty bytes are enough to try all of it.");
    for offset in 0..message.len() {
        for bit in 0..8 {
            let mut changed = message.clone();
            changed[offset] ^= 1 << bit;
            refuses(&mut responder.receive, &changed, NoiseError::NotAuthentic);
        }
    }
    for shorter in 0..message.len() {
        let error = if shorter < 16 { NoiseError::TooShort } else { NoiseError::NotAuthentic };
        refuses(&mut responder.receive, &message[..shorter], error);
    }
    let longer = [&message[..], &[0]].concat();
    refuses(&mut responder.receive, &longer, NoiseError::NotAuthentic);
    opens(&mut responder.receive, &message, b"forty bytes are enough to try all of it.");
}

#[test]
fn order_holds_and_nothing_opens_twice() {
    let (mut initiator, mut responder) = transports();
    let first = sealed(&mut initiator.send, b"same");
    let second = sealed(&mut initiator.send, b"same");
    assert_ne!(first, second);
    refuses(&mut responder.receive, &second, NoiseError::NotAuthentic);
    opens(&mut responder.receive, &first, b"same");
    refuses(&mut responder.receive, &first, NoiseError::NotAuthentic);
    opens(&mut responder.receive, &second, b"same");
    refuses(&mut responder.receive, &second, NoiseError::NotAuthentic);
    refuses(&mut responder.receive, &first, NoiseError::NotAuthentic);
}

#[test]
fn the_longest_message_passes_and_longer_ones_are_refused() {
    let (mut initiator, mut responder) = transports();
    let plain = vec![7; 65_520];
    let mut out = b"from before".to_vec();
    assert_eq!(initiator.send.seal(&plain, &mut out), Err(NoiseError::TooLong));
    assert!(out.is_empty());
    let message = sealed(&mut initiator.send, &plain[1..]);
    assert_eq!(message.len(), 65_535);
    refuses(&mut responder.receive, &[0; 65_536], NoiseError::TooLong);
    opens(&mut responder.receive, &message, &plain[1..]);
    let empty = sealed(&mut initiator.send, b"");
    opens(&mut responder.receive, &empty, b"");
}

#[test]
fn the_last_nonce_is_never_used() {
    let (mut initiator, mut responder) = transports();
    initiator.send.0.set_nonce(u64::MAX - 1);
    responder.receive.0.set_nonce(u64::MAX - 1);
    let last = sealed(&mut initiator.send, b"the last");
    opens(&mut responder.receive, &last, b"the last");
    for _ in 0..2 {
        let mut out = b"from before".to_vec();
        assert_eq!(initiator.send.seal(b"one more", &mut out), Err(NoiseError::Exhausted));
        assert!(out.is_empty());
        refuses(&mut responder.receive, &last, NoiseError::Exhausted);
    }
}

/// Little-endian after four zero bytes: checked at a counter that uses all eight, which no vector reaches.
#[test]
fn the_counter_stands_in_the_nonce_as_specified() {
    use chacha20poly1305::{AeadInOut, ChaCha20Poly1305, KeyInit, Nonce};
    let mut cipher = crate::noise::cipher::Cipher::new(&[5; 32]);
    cipher.set_nonce(0x0807_0605_0403_0201);
    let mut ours = Vec::new();
    cipher.encrypt(b"", b"text", &mut ours).unwrap();
    let nonce = Nonce::from([0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]);
    let mut theirs = b"text".to_vec();
    let tag = ChaCha20Poly1305::new(&[5; 32].into())
        .encrypt_inout_detached(&nonce, b"", theirs.as_mut_slice().into())
        .unwrap();
    theirs.extend_from_slice(&tag);
    assert_eq!(ours, theirs);
}

#[test]
fn buffers_are_reused() {
    let (mut initiator, mut responder) = transports();
    let (mut message, mut plain) = (Vec::new(), Vec::new());
    initiator.send.seal(&[1; 1000], &mut message).unwrap();
    responder.receive.open(&message, &mut plain).unwrap();
    let before = (message.as_ptr(), plain.as_ptr());
    for length in [1000, 0, 17, 999] {
        initiator.send.seal(&vec![2; length], &mut message).unwrap();
        responder.receive.open(&message, &mut plain).unwrap();
        assert_eq!(plain, vec![2; length]);
    }
    assert_eq!(before, (message.as_ptr(), plain.as_ptr()));
}
