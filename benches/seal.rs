//! What a link costs beside its cipher: seal and open of 32 KiB messages against the bare ChaCha20-Poly1305.
//! `cargo bench --bench seal` prints the median of several rounds.
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
    let (mut link, mut bare) = (Vec::new(), Vec::new());
    // Alternating, so that a change of the machine's speed meets both alike.
    for _ in 0..ROUNDS {
        link.push(time(|_| {
            initiator.send.seal(black_box(&plain), &mut sealed).expect("the message fits");
            responder.receive.open(black_box(&sealed), &mut opened).expect("it is authentic");
        }));
        let aead = ChaCha20Poly1305::new(&[7; 32].into());
        bare.push(time(|number| both_ways(&aead, number, black_box(&mut text))));
    }
    let (link, bare) = (median(&mut link), median(&mut bare));
    print("seal + open", link);
    print("bare cipher", bare);
    println!("ratio        {:.3}", link.as_secs_f64() / bare.as_secs_f64());
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
