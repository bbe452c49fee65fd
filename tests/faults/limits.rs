//! Too few descriptors, threads, and memory for a miner.
use std::net::TcpStream;

use crate::node::{Node, children, signal_pid, until};
use crate::{join, mine, state};

#[test]
fn sixty_four_descriptors_carry_a_link_and_outlive_a_flood() {
    let mut controller = Node::bare_around("control-center", &["prlimit", "--nofile=64:64"]);
    controller.cli(&["node", "init", "--name", "control-center", "--role", "controller"]).ok();
    controller.start();
    let rig = Node::serve("rig-alpha", "worker");
    join(&controller, &rig, &controller.p2p());
    for address in [controller.api(), controller.p2p()] {
        let address = address.replace("[::]", "127.0.0.1");
        let flood: Vec<_> = (0..200).filter_map(|_| TcpStream::connect(&address).ok()).collect();
        assert!(flood.len() > 60, "{} connections", flood.len());
        drop(flood);
        until("it answers again", || controller.cli(&["node", "info"]).code == 0);
    }
    mine(&controller, "rig-alpha");
}

#[test]
fn a_daemon_that_gets_no_more_threads_refuses_and_answers_again() {
    // A user of our own: the limit counts all threads of a user, and root has none.
    let user =
        ["setpriv", "--reuid=54321", "--regid=54321", "--clear-groups", "--bounding-set=-all"];
    let mut node =
        Node::bare_around("threads", &[&user[..], &["prlimit", "--nproc=40:40"]].concat());
    if std::os::unix::fs::chown(node.home(), Some(54321), Some(54321)).is_err() {
        return eprintln!("skipped: only root can be somebody else");
    }
    node.cli(&["node", "init", "--name", "threads", "--role", "controller"]).ok();
    node.start();
    let flood: Vec<_> = (0..150).filter_map(|_| TcpStream::connect(node.api()).ok()).collect();
    assert!(!flood.is_empty());
    drop(flood);
    until("it answers again", || node.rest("GET", "/node/info", None).0 == 200);
    assert!(!node.log().contains("panicked"), "{}", node.log());
    assert_eq!(node.stop(), Some(0));
}

#[test]
fn a_miner_that_the_kernel_kills_for_memory_is_named_and_started_again() {
    let controller = Node::serve("control-center", "controller");
    let rig = Node::serve("rig-alpha", "worker");
    join(&controller, &rig, &controller.p2p());
    mine(&controller, "rig-alpha");
    // What the kernel's out-of-memory killer sends.
    children(rig.pid()).into_iter().for_each(|pid| signal_pid(pid, 9));
    let told = || {
        let events = controller.json(&["events"]);
        let events = events.as_array().unwrap().clone();
        events.iter().any(|e| {
            e["kind"] == "miner-exited" && e["text"].as_str().is_some_and(|t| t.contains("SIGKILL"))
        })
    };
    until("the controller hears why", told);
    until("it hashes again", || state(&controller) == "hashing");
}
