//! Clocks that jump, by libfaketime.
use crate::node::{Node, until};
use crate::{connected, join, mine, state};

const LIBRARY: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";

/// A node whose wall clock is as far ahead as the file says. Its monotonic clock is the real one.
struct Skewed {
    node: Node,
    file: std::path::PathBuf,
}

impl Skewed {
    fn new(name: &str, role: &str) -> Self {
        let file = std::env::temp_dir().join(format!("mcf-clock-{}-{name}", std::process::id()));
        std::fs::write(&file, "+0").unwrap();
        let variable = |name: &str, value: &str| format!("{name}={value}");
        let around = [
            "env".to_owned(),
            variable("LD_PRELOAD", LIBRARY),
            variable("FAKETIME_TIMESTAMP_FILE", file.to_str().unwrap()),
            variable("FAKETIME_NO_CACHE", "1"),
            variable("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ];
        let around: Vec<&str> = around.iter().map(String::as_str).collect();
        let mut node = Node::bare_around(name, &around);
        node.cli(&["node", "init", "--name", name, "--role", role]).ok();
        node.start();
        Self { node, file }
    }

    fn jump(&self, ahead: &str) {
        std::fs::write(&self.file, ahead).unwrap();
    }
}

impl Drop for Skewed {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.file));
    }
}

fn lost(node: &Node) -> usize {
    let events = node.json(&["events", "--lines", "1000"]);
    events.as_array().unwrap().iter().filter(|e| e["kind"] == "peer-lost").count()
}

/// Stop and start, by the controller, and seen on the rig.
fn obeys(controller: &Node, rig: &Node, when: &str) {
    let count = |node: &Node| {
        let miners = node.json(&["miner", "list"]);
        miners.as_array().unwrap().iter().filter(|m| m["state"] == "hashing").count()
    };
    let stopped = controller.cli(&["remote", "stop", "rig-alpha"]);
    assert_eq!(stopped.code, 0, "{when}: {stopped:?}");
    until("nothing hashes", || count(rig) == 0);
    let started = controller.cli(&["remote", "start", "rig-alpha", "--profile", "demo"]);
    assert_eq!(started.code, 0, "{when}: {started:?}");
    until("it hashes", || count(rig) == 1 && state(controller) == "hashing");
}

#[test]
fn clocks_that_jump_ten_seconds_or_a_day_neither_cut_links_nor_stop_commands() {
    if !std::path::Path::new(LIBRARY).exists() {
        return eprintln!("skipped: no libfaketime (Debian: faketime)");
    }
    let controller = Skewed::new("control-center", "controller");
    let mut rig = Skewed::new("rig-alpha", "worker");
    join(&controller.node, &rig.node, &controller.node.p2p());
    mine(&controller.node, "rig-alpha");
    for ahead in ["+10", "-10", "+86400", "-86400"] {
        rig.jump(ahead);
        obeys(&controller.node, &rig.node, &format!("the rig's clock {ahead} s"));
    }
    rig.jump("+0");
    for ahead in ["+10", "-10", "+86400", "-86400"] {
        controller.jump(ahead);
        obeys(&controller.node, &rig.node, &format!("the controller's clock {ahead} s"));
    }
    assert_eq!((lost(&controller.node), lost(&rig.node)), (0, 0), "no link was cut");
    // A rig that starts with a clock a day behind its own past: no clock battery.
    rig.jump("-86400");
    rig.node.kill();
    rig.node.start();
    until("they are linked", || connected(&controller.node, &rig.node));
    until("its miner is back", || state(&controller.node) == "hashing");
    obeys(&controller.node, &rig.node, "the rig started with a clock a day behind");
}
