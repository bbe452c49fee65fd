//! Handshakes a second at the daemon's P2P port: TCP, WebSocket, Noise XX, hello and welcome, from registered rigs, each
//! with a source address of its own. `cargo bench --bench links`
//!
//! Callers and daemon share the machine; so the daemon's CPU time for a handshake says more than the rate.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::print_stdout, reason = "a bench")]
#[path = "fleet/controller.rs"]
#[expect(dead_code, reason = "the fleet uses the rest")]
mod controller;
#[path = "fleet/wire.rs"]
#[expect(dead_code, reason = "the fleet uses the rest")]
mod wire;

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::time::{Duration, Instant};

use controller::{Controller, Reach};
use miner_cli::model::invite::InviteCode;
use miner_cli::noise::Handshake;
use miner_cli::smsg::limits;
use wire::Keys;

const CALLERS: [u8; 4] = [1, 2, 4, 8];
const ROUND: Duration = Duration::from_secs(5);
const ROUNDS: usize = 3;
const SUITE: &str = "Noise_XX_25519_ChaChaPoly_SHA256";

fn main() {
    let controller = Controller::start(Path::new(env!("CARGO_BIN_EXE_miner-cli")));
    let most = CALLERS.into_iter().max().unwrap();
    let invite = controller.reach.invite(usize::from(most)).unwrap();
    let keys: Vec<Keys> = (0..most).map(|n| Keys::new(format!("rig-{n}"))).collect();
    // The first call of each writes a peer to disk.
    keys.iter().zip(0..).for_each(|(keys, number)| call(&controller.reach, keys, number, &invite));

    println!("handshakes at the daemon's port, medians of {ROUNDS} rounds of {ROUND:?}");
    for callers in CALLERS {
        let mut rounds: Vec<_> = (0..ROUNDS)
            .map(|_| round(&controller.reach, &keys[..usize::from(callers)], &invite))
            .collect();
        rounds.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (rate, cpu) = rounds[ROUNDS / 2];
        println!(
            "  {callers} callers  {rate:5.0} a second; {:.0} µs of the daemon's CPU each, {:.0} a second and core",
            cpu * 1e6,
            1.0 / cpu
        );
    }
    in_memory();
}

/// One link made and dropped.
fn call(reach: &Reach, keys: &Keys, number: u8, invite: &InviteCode) {
    let source = IpAddr::V4(Ipv4Addr::new(127, 1, 0, 1 + number));
    if wire::dial(keys, invite, reach.p2p, Some(source)).is_err() {
        panic!("a call was refused");
    }
}

/// Handshakes a second, and seconds of the daemon's CPU for one.
fn round(reach: &Reach, keys: &[Keys], invite: &InviteCode) -> (f64, f64) {
    let (start, before) = (Instant::now(), reach.usage().cpu);
    let count: u32 = std::thread::scope(|scope| {
        let callers: Vec<_> = keys
            .iter()
            .zip(0..)
            .map(|(keys, number)| {
                scope.spawn(move || {
                    let mut count = 0;
                    while start.elapsed() < ROUND {
                        call(reach, keys, number, invite);
                        count += 1;
                    }
                    count
                })
            })
            .collect();
        callers.into_iter().map(|caller| caller.join().unwrap()).sum()
    });
    let took = start.elapsed().as_secs_f64();
    (f64::from(count) / took, (reach.usage().cpu - before) / f64::from(count))
}

/// The three messages alone, both ends, without sockets or hellos, against another implementation of Noise.
fn in_memory() {
    const TIMES: u32 = 2_000;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    // Alternating, so that a change of the machine's speed meets both alike.
    for _ in 0..9 {
        ours.push(time(TIMES, our_handshake));
        theirs.push(time(TIMES, their_handshake));
    }
    let (ours, theirs) = (median(ours), median(theirs));
    println!("both ends of a handshake in memory");
    println!(
        "  ours {:.0} µs, snow {:.0} µs, ratio {:.3}",
        ours * 1e6,
        theirs * 1e6,
        ours / theirs
    );
}

fn our_handshake() {
    let mut one = Handshake::initiator(&[1; 32], limits::PROLOGUE);
    let mut other = Handshake::responder(&[2; 32], limits::PROLOGUE);
    other.read_message(&one.write_message(&[]).unwrap()).unwrap();
    one.read_message(&other.write_message(&[]).unwrap()).unwrap();
    other.read_message(&one.write_message(&[]).unwrap()).unwrap();
    one.finish().unwrap();
    other.finish().unwrap();
}

fn their_handshake() {
    let builder = |secret| {
        let builder = snow::Builder::new(SUITE.parse().unwrap()).prologue(limits::PROLOGUE);
        builder.unwrap().local_private_key(secret).unwrap()
    };
    let mut one = builder(&[1; 32]).build_initiator().unwrap();
    let mut other = builder(&[2; 32]).build_responder().unwrap();
    let (mut message, mut payload) = ([0; 256], [0; 256]);
    let written = one.write_message(&[], &mut message).unwrap();
    other.read_message(&message[..written], &mut payload).unwrap();
    let written = other.write_message(&[], &mut message).unwrap();
    one.read_message(&message[..written], &mut payload).unwrap();
    let written = one.write_message(&[], &mut message).unwrap();
    other.read_message(&message[..written], &mut payload).unwrap();
    one.into_transport_mode().unwrap();
    other.into_transport_mode().unwrap();
}

/// Seconds for one.
fn time(times: u32, work: impl Fn()) -> f64 {
    let start = Instant::now();
    (0..times).for_each(|_| work());
    start.elapsed().as_secs_f64() / f64::from(times)
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
