//! Too few descriptors, and too few threads.
use std::net::{SocketAddr, TcpStream};

use crate::caller::tcp;
use crate::node::{Node, until};
use crate::{Footprint, connected, join, mine};

/// Connections to both ports, half of them at each, as many callers would make them.
fn flood(node: &Node, count: u16) -> Vec<TcpStream> {
    let ports: Vec<SocketAddr> =
        [node.api(), node.p2p()].iter().map(|a| a.parse().unwrap()).collect();
    let one = |number: u16| tcp(ports[usize::from(number % 2)], number).ok();
    (0..count).filter_map(one).collect()
}

fn told_seldom(node: &Node, what: &[&str]) {
    let log = node.log();
    for what in what {
        let lines = log.lines().filter(|line| line.contains(what)).count();
        assert!((1..60).contains(&lines), "{lines} times {what:?}: {log}");
    }
}

#[test]
fn sixty_four_descriptors_carry_a_link_and_outlive_a_flood() {
    let mut controller = Node::bare_around("control-center", &["prlimit", "--nofile=64:64"]);
    controller.cli(&["node", "init", "--name", "control-center", "--role", "controller"]).ok();
    controller.start();
    let rig = Node::serve("rig-alpha", "worker");
    join(&controller, &rig, &controller.p2p());
    let before = Footprint::of(&controller);
    let held = flood(&controller, 400);
    assert!(held.len() > 200, "{} connections", held.len());
    let shortage = ["no connection can be taken at present", "the API cannot take connections"];
    until("it says so", || shortage.iter().all(|what| controller.log().contains(what)));
    drop(held);
    until("it answers again", || controller.cli(&["node", "info"]).code == 0);
    told_seldom(&controller, &shortage);
    assert!(connected(&controller, &rig), "the link stands: {}", controller.log());
    mine(&controller, "rig-alpha");
    before.comes_back(&controller);
    // Both ports take new ones.
    let late = Node::serve("rig-beta", "worker");
    let invite = controller.json(&["node", "invite"]);
    late.cli(&["node", "join", &controller.p2p(), invite["code"].as_str().unwrap()]).ok();
    until("the late one is linked", || controller.peer("rig-beta")["connected"] == true);
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
    until("it answers", || node.rest("GET", "/node/info", None).0 == 200);
    let before = Footprint::of(&node);
    let held = flood(&node, 300);
    assert!(held.len() > 100, "{} connections", held.len());
    let shortage = ["was refused: Resource temporarily unavailable", "no thread for an HTTP"];
    until("it says so", || shortage.iter().any(|what| node.log().contains(what)));
    drop(held);
    until("it answers again", || node.rest("GET", "/node/info", None).0 == 200);
    before.comes_back(&node);
    let rig = Node::serve("rig-alpha", "worker");
    let (_, invite) = node.rest("POST", "/node/invites", None);
    rig.cli(&["node", "join", &node.p2p(), invite["code"].as_str().unwrap()]).ok();
    assert_eq!(node.stop(), Some(0));
}
