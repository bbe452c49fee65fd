//! What a link costs beside its cipher: seal and open of 32 KiB messages against the bare ChaCha20-Poly1305 of the same
//! crate, and against another implementation of Noise. `cargo bench --bench seal` prints the median of several rounds.
#![allow(clippy::print_stdout)] // its results are for the terminal
use std::hint::black_box;
use std::time::{Duration, Instant};

use chacha20poly1305::{AeadInOut, ChaCha20Poly1305, KeyInit, Nonce};
use miner_cli::noise::{Handshake, Transport};

const MESSAGE: usize = 32 * 1024;
const MESSAGES: usize = 2_000;
const ROUNDS: usize = 9;

fn main() {
    let (mut initiator, mut responder) = transports();
    let plain = vec![0x5a; MESSAGE];
    let (mut sealed, mut opened) = (Vec::new(), Vec::new());
    let mut text = plain.clone();
    let (mut writer, mut reader) = their_transports();
    let (mut frame, mut clear) = (vec![0; MESSAGE + 16], vec![0; MESSAGE + 16]);
    let (mut link, mut bare, mut snow) = (Vec::new(), Vec::new(), Vec::new());
    // Alternating, so that a change of the machine's speed meets all alike.
    for _ in 0..ROUNDS {
        link.push(time(|_| {
            initiator.send.seal(black_box(&plain), &mut sealed).expect("the message fits");
            responder.receive.open(black_box(&sealed), &mut opened).expect("it is authentic");
        }));
        let aead = ChaCha20Poly1305::new(&[7; 32].into());
        bare.push(time(|number| both_ways(&aead, number, black_box(&mut text))));
        snow.push(time(|_| {
            let sealed = writer.write_message(black_box(&plain), &mut frame);
            let sealed = sealed.expect("the message fits");
            reader.read_message(black_box(&frame[..sealed]), &mut clear).expect("it is authentic");
        }));
    }
    let (link, bare, snow) = (median(&mut link), median(&mut bare), median(&mut snow));
    print("seal + open", link);
    print("bare cipher", bare);
    print("snow       ", snow);
    let ratio = |other: Duration| link.as_secs_f64() / other.as_secs_f64();
    println!(
        "time for a message: {:.3} of the bare cipher's, {:.3} of snow's",
        ratio(bare),
        ratio(snow)
    );
}

fn transports() -> (Transport, Transport) {
    let mut initiator = Handshake::initiator(&[1; 32], b"bench");
    let mut responder = Handshake::responder(&[2; 32], b"bench");
    let first = initiator.write_message(b"").expect("the initiator begins");
    responder.read_message(&first).expect("the first message is good");
    let second = responder.write_message(b"").expect("the responder answers");
    initiator.read_message(&second).expect("the second message is good");
    let third = initiator.write_message(b"").expect("the initiator ends");
    responder.read_message(&third).expect("the third message is good");
    (initiator.finish().expect("finished"), responder.finish().expect("finished"))
}

fn their_transports() -> (snow::TransportState, snow::TransportState) {
    const SUITE: &str = "Noise_XX_25519_ChaChaPoly_SHA256";
    let builder = |secret| {
        let builder = snow::Builder::new(SUITE.parse().expect("the suite's name"));
        builder.local_private_key(secret).expect("a key")
    };
    let mut initiator = builder(&[1; 32]).build_initiator().expect("an initiator");
    let mut responder = builder(&[2; 32]).build_responder().expect("a responder");
    let (mut message, mut payload) = ([0; 256], [0; 256]);
    let first = initiator.write_message(b"", &mut message).expect("the initiator begins");
    responder.read_message(&message[..first], &mut payload).expect("the first message is good");
    let second = responder.write_message(b"", &mut message).expect("the responder answers");
    initiator.read_message(&message[..second], &mut payload).expect("the second message is good");
    let third = initiator.write_message(b"", &mut message).expect("the initiator ends");
    responder.read_message(&message[..third], &mut payload).expect("the third message is good");
    let end = "finished";
    (initiator.into_transport_mode().expect(end), responder.into_transport_mode().expect(end))
}

/// Encrypts and decrypts in place: the same two passes over the bytes that a link makes.
fn both_ways(aead: &ChaCha20Poly1305, number: u64, text: &mut [u8]) {
    let mut nonce = Nonce::default();
    nonce[4..].copy_from_slice(&number.to_le_bytes());
    let tag = aead.encrypt_inout_detached(&nonce, &[], text.into()).expect("the message fits");
    aead.decrypt_inout_detached(&nonce, &[], text.into(), &tag).expect("it is authentic");
}

fn time(mut work: impl FnMut(u64)) -> Duration {
    let start = Instant::now();
    for number in 0..MESSAGES as u64 {
        work(number);
    }
    start.elapsed()
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn print(what: &str, time: Duration) {
    let megabytes = (MESSAGE * MESSAGES) as f64 / 1e6;
    println!("{what}  {:.0} MB/s both ways", megabytes / time.as_secs_f64());
}
