//! From starting the program to an open P2P port, and the size of the program. `cargo bench --bench start`
//!
//! Medians of 20 starts: in a new home, and in one whose node.db has 1,000 registered rigs (none of which calls).
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::print_stdout, reason = "a bench")]
#[path = "fleet/controller.rs"]
#[expect(dead_code, reason = "the fleet uses the rest")]
mod controller;
#[path = "fleet/wire.rs"]
#[expect(dead_code, reason = "the fleet uses the rest")]
mod wire;

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::time::Duration;

use controller::Controller;
use wire::Keys;

const BINARY: &str = env!("CARGO_BIN_EXE_miner-cli");
const STARTS: usize = 20;
const RIGS: u16 = 1_000;

fn main() {
    let empty = (0..STARTS).map(|_| Controller::start(Path::new(BINARY)).started).collect();
    show("a new home", empty);

    let mut controller = Controller::start(Path::new(BINARY));
    register(&controller);
    let full = (0..STARTS).map(|_| {
        controller.restart();
        let peers = controller.reach.json("GET", "/peers", None).unwrap();
        assert_eq!(peers.as_array().unwrap().len(), usize::from(RIGS));
        controller.started
    });
    show("1,000 registered rigs", full.collect());
    let bytes = std::fs::metadata(BINARY).unwrap().len();
    println!("size of the program: {:.2} MiB", bytes as f64 / f64::from(1 << 20));
}

/// Each calls once.
fn register(controller: &Controller) {
    let invite = controller.reach.invite(usize::from(RIGS)).unwrap();
    for number in 0..RIGS {
        let [high, low] = number.to_be_bytes();
        let source = IpAddr::V4(Ipv4Addr::new(127, 1, high, low));
        let keys = Keys::new(format!("rig-{number}"));
        if wire::dial(&keys, &invite, controller.reach.p2p, Some(source)).is_err() {
            panic!("a call was refused");
        }
    }
}

fn show(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    let (least, half, most) = (times[0], times[STARTS / 2], times[STARTS - 1]);
    println!(
        "start to listening, {what}: {:.1} ms ({:.1} to {:.1})",
        ms(half),
        ms(least),
        ms(most)
    );
}
