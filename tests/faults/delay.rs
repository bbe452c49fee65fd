//! A relay between two nodes: a long line, which holds back what passes, each way for its own time; and a router that
//! translates addresses, so that nobody can call the rig.
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::node::{Node, children, until};
use crate::{Footprint, connected, join, mine, state};

/// Between a controller and whoever calls it at the relay's address.
struct Relay {
    address: String,
    to_rig: Arc<AtomicU64>,
    to_controller: Arc<AtomicU64>,
}

impl Relay {
    fn before(controller: &Node) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let relay = Self { address, to_rig: Arc::default(), to_controller: Arc::default() };
        let target = controller.p2p();
        let (to_rig, to_controller) = (relay.to_rig.clone(), relay.to_controller.clone());
        std::thread::spawn(move || {
            for rig in listener.incoming().flatten() {
                let Ok(far) = TcpStream::connect(&target) else { continue };
                let (rig_too, far_too) = (rig.try_clone().unwrap(), far.try_clone().unwrap());
                carry(rig, far, to_controller.clone());
                carry(far_too, rig_too, to_rig.clone());
            }
        });
        relay
    }

    fn delays(&self, to_rig: Duration, to_controller: Duration) {
        self.to_rig.store(u64::try_from(to_rig.as_millis()).unwrap(), Ordering::SeqCst);
        let to_controller = u64::try_from(to_controller.as_millis()).unwrap();
        self.to_controller.store(to_controller, Ordering::SeqCst);
    }
}

/// Passes on what comes, in order, so many milliseconds later.
fn carry(mut from: TcpStream, mut to: TcpStream, delay: Arc<AtomicU64>) {
    let (held, due) = mpsc::channel::<(Instant, Vec<u8>)>();
    std::thread::spawn(move || {
        for (at, bytes) in due {
            std::thread::sleep(at.saturating_duration_since(Instant::now()));
            if to.write_all(&bytes).is_err() {
                return;
            }
        }
        drop(to.shutdown(Shutdown::Write));
    });
    std::thread::spawn(move || {
        let mut chunk = [0; 16 * 1024];
        while let Ok(n) = from.read(&mut chunk) {
            let at = Instant::now() + Duration::from_millis(delay.load(Ordering::SeqCst));
            if n == 0 || held.send((at, chunk[..n].to_vec())).is_err() {
                return;
            }
        }
    });
}

#[test]
fn a_slow_line_carries_every_command_and_one_that_comes_too_late_is_never_obeyed() {
    let controller = Node::serve("control-center", "controller");
    let rig = Node::serve("rig-alpha", "worker");
    let relay = Relay::before(&controller);
    // One way takes twice as long as the other.
    relay.delays(Duration::from_millis(800), Duration::from_millis(400));
    join(&controller, &rig, &relay.address);
    mine(&controller, "rig-alpha");
    until("the way there and back is measured", || {
        let ping = controller.rest("POST", "/peers/rig-alpha/ping", None).1;
        ping["pingMs"].as_f64().is_some_and(|ms| ms >= 1200.0)
    });
    controller.cli(&["remote", "stop", "rig-alpha"]).ok();
    assert!(children(rig.pid()).is_empty(), "what is answered as done is done");
    controller.cli(&["remote", "start", "rig-alpha", "--profile", "demo"]).ok();
    until("it hashes", || state(&controller) == "hashing");

    // A stop may be carried out for four seconds; this one takes six to the rig.
    let miners = children(rig.pid());
    let before = Footprint::of(&rig);
    relay.delays(Duration::from_secs(6), Duration::ZERO);
    let said = controller.cli(&["remote", "stop", "rig-alpha"]);
    assert_eq!(said.code, 5, "{said:?}");
    let late = || {
        let rows = rig.json(&["audit", "--lines", "1000"]);
        let rows = rows.as_array().cloned().unwrap_or_default();
        rows.iter().any(|row| {
            row["what"] == "stop_miner"
                && row["result"].as_str().is_some_and(|r| r.contains("late"))
        })
    };
    until("the rig has refused it", late);
    assert_eq!(children(rig.pid()), miners, "it mines on");
    relay.delays(Duration::ZERO, Duration::ZERO);
    until("it is steered again", || controller.cli(&["remote", "stop", "rig-alpha"]).code == 0);
    assert!(children(rig.pid()).is_empty());
    assert!(connected(&controller, &rig));
    let events = controller.json(&["events", "--lines", "1000"]);
    let lost = events.as_array().unwrap().iter().filter(|e| e["kind"] == "peer-lost").count();
    assert_eq!(lost, 0, "a slow line is not a lost one: {}", controller.log());
    before.comes_back(&rig);
}

#[test]
fn a_rig_that_nobody_can_call_is_steered_and_calls_again_when_the_controller_was_away() {
    let mut controller = Node::serve("control-center", "controller");
    let rig = Node::serve("rig-alpha", "worker");
    let relay = Relay::before(&controller);
    join(&controller, &rig, &relay.address);
    // What the controller sees is the router's address, and a port at which nothing listens.
    assert_ne!(controller.peer("rig-alpha")["address"], rig.p2p().as_str());
    mine(&controller, "rig-alpha");
    let miners = children(rig.pid());
    let listen = controller.p2p();
    controller.kill();
    controller.start_with(&["--listen", &listen, "--api", "127.0.0.1:0"]);
    until("they are linked", || connected(&controller, &rig));
    until("it hashes", || state(&controller) == "hashing");
    assert_eq!(children(rig.pid()), miners);
    controller.cli(&["remote", "stop", "rig-alpha"]).ok();
}
