//! Faults, injected into real daemons: what a farm meets in a year. Each test's name is the promise.
//!
//! Most of them need root (network namespaces, limits, mounts) and say so where they skip.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::print_stderr, reason = "tests")]
mod caller;
mod clock;
mod crashes;
mod delay;
mod disk;
mod limits;
mod memory;
mod net;
mod network;
#[path = "../it/node.rs"]
#[expect(dead_code, reason = "the other tests use the rest")]
mod node;
mod peers;
mod refusals;
mod strangers;

use node::{Node, until};

/// Pairs `rig` with `controller`, which listens at `address`, by an invite.
fn join(controller: &Node, rig: &Node, address: &str) {
    let invite = controller.json(&["node", "invite"]);
    rig.cli(&["node", "join", address, invite["code"].as_str().unwrap()]).ok();
    until("they are linked", || connected(controller, rig));
}

fn connected(controller: &Node, rig: &Node) -> bool {
    let linked = |node: &Node| {
        let peers = node.json(&["peer", "list"]);
        peers.as_array().unwrap().iter().any(|p| p["connected"] == true)
    };
    linked(controller) && linked(rig)
}

/// The state of the controller's only rig.
fn state(controller: &Node) -> String {
    let peers = controller.json(&["peer", "list"]);
    peers[0]["state"].as_str().unwrap_or_default().to_owned()
}

/// Starts a simulated miner on the controller's rig called `name`, and waits until it hashes.
fn mine(controller: &Node, name: &str) {
    node::start_simulated_on(controller, name, "demo", &serde_json::json!({})).ok();
    until("it hashes", || state(controller) == "hashing");
}

/// What a daemon holds of the system.
#[derive(Clone, Copy, Debug)]
struct Footprint {
    threads: usize,
    files: usize,
}

impl Footprint {
    fn of(node: &Node) -> Self {
        let count =
            |what: &str| std::fs::read_dir(format!("/proc/{}/{what}", node.pid())).unwrap().count();
        Self { threads: count("task"), files: count("fd") }
    }

    /// Waits until the daemon holds no more than this, and the few that tiny_http keeps for later.
    #[track_caller]
    fn comes_back(self, node: &Node) {
        let mut last = self;
        let back = node::within(node::PATIENCE, || {
            last = Self::of(node);
            last.threads <= self.threads + 4 && last.files <= self.files + 4
        });
        assert!(back, "before {self:?}, now {last:?}: {}", node.log());
    }
}
