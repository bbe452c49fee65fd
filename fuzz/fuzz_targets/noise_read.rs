//! Every message of a link, altered: never a panic, never a byte of plaintext, and whoever got it trusts nobody.
#![no_main]
use std::sync::{LazyLock, Mutex};

use libfuzzer_sys::fuzz_target;
use miner_cli::noise::{Handshake, NoiseError, Transport};

const PAYLOAD: &[u8] = b"{\"name\":\"rig-1\",\"role\":\"worker\"}";

/// One link for all runs: what it has to bear does not wear it out.
static LINK: LazyLock<Mutex<(Transport, Transport)>> = LazyLock::new(|| {
    let (mut initiator, mut responder) = pair();
    carry(&mut initiator, &mut responder, 3);
    let ends = (initiator.finish(), responder.finish());
    Mutex::new((ends.0.expect("finished"), ends.1.expect("finished")))
});

fn pair() -> (Handshake, Handshake) {
    (Handshake::initiator(&[1; 32], b"fuzz"), Handshake::responder(&[2; 32], b"fuzz"))
}

/// The first `count` messages, as they should be.
fn carry(initiator: &mut Handshake, responder: &mut Handshake, count: usize) {
    for i in 0..count {
        let (writer, reader) = if i % 2 == 0 {
            (&mut *initiator, &mut *responder)
        } else {
            (&mut *responder, &mut *initiator)
        };
        let message = writer.write_message(PAYLOAD).expect("its turn");
        assert_eq!(reader.read_message(&message).expect("unaltered"), PAYLOAD);
    }
}

/// The fuzzer's bytes in the place of a message, or as changes to it: a new length, then places and what to flip there.
fn alter(message: &[u8], how: u8, data: &[u8]) -> Vec<u8> {
    if how & 0x80 != 0 {
        return data.to_vec();
    }
    let mut out = message.to_vec();
    let mut changes = data.chunks_exact(3);
    if how & 0x40 != 0
        && let Some([high, low, fill]) = changes.next()
    {
        out.resize(usize::from(u16::from_be_bytes([*high, *low])), *fill);
    }
    for change in changes {
        let at = usize::from(u16::from_be_bytes([change[0], change[1]]));
        if !out.is_empty() {
            let at = at % out.len();
            out[at] ^= change[2];
        }
    }
    out
}

fn handshake(which: usize, how: u8, data: &[u8]) {
    let (mut initiator, mut responder) = pair();
    carry(&mut initiator, &mut responder, which);
    let (mut writer, mut reader) =
        if which % 2 == 0 { (initiator, responder) } else { (responder, initiator) };
    let genuine = writer.write_message(PAYLOAD).expect("its turn");
    let altered = alter(&genuine, how, data);
    let read = reader.read_message(&altered);
    if altered == genuine {
        assert_eq!(read.expect("unaltered"), PAYLOAD);
        return;
    }
    if which == 0 {
        // Nothing protects the first message: who sent it notices with the answer.
        if let Ok(said) = read {
            assert_eq!(said, altered[32..], "its payload is what follows the key");
            if let Ok(answer) = reader.write_message(PAYLOAD) {
                assert!(
                    writer.read_message(&answer).is_err(),
                    "the two disagree on the first message"
                );
                assert_eq!(writer.remote_static(), None);
            }
            assert!(!reader.is_finished() && reader.remote_static().is_none());
            return;
        }
    } else {
        assert!(read.is_err(), "an altered message was taken");
    }
    assert_eq!(
        reader.read_message(&genuine),
        Err(NoiseError::Failed),
        "a failed handshake goes on"
    );
    assert_eq!(reader.write_message(b""), Err(NoiseError::Failed));
    assert_eq!(reader.remote_static(), None);
    assert!(!reader.is_finished() && reader.finish().is_err());
}

fn transport(how: u8, data: &[u8]) {
    let mut link = LINK.lock().expect("a panic ends the process");
    let (ours, theirs) = &mut *link;
    let mut genuine = Vec::new();
    ours.send.seal(PAYLOAD, &mut genuine).expect("short");
    let altered = alter(&genuine, how, data);
    let mut out = Vec::new();
    if altered != genuine {
        assert!(theirs.receive.open(&altered, &mut out).is_err(), "an altered message was taken");
        assert!(out.is_empty(), "plaintext of an altered message");
    }
    theirs.receive.open(&genuine, &mut out).expect("a stranger's bytes do not end the link");
    assert_eq!(out, PAYLOAD);
}

fuzz_target!(|data: &[u8]| {
    let Some((how, data)) = data.split_first() else { return };
    match how & 3 {
        3 => transport(*how, data),
        which => handshake(usize::from(which), *how, data),
    }
});
