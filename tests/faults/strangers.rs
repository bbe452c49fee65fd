//! Nodes that nobody invited.
use std::net::SocketAddr;

use miner_cli::model::node::Role;

use crate::caller::{Caller, Me, tcp};
use crate::node::{Node, until};
use crate::{Footprint, connected, join};

const ATTEMPTS: u16 = 1000;

#[test]
fn a_thousand_pairing_attempts_leave_a_bounded_list_a_link_and_few_lines_of_log() {
    let controller = Node::serve("control-center", "controller");
    let rig = Node::serve("rig-alpha", "worker");
    join(&controller, &rig, &controller.p2p());
    let before = Footprint::of(&controller);
    let to: SocketAddr = controller.p2p().parse().unwrap();
    let heard = (0..ATTEMPTS)
        .filter(|&number| {
            let me = Me::new(&format!("stranger-{number}"), Role::Controller);
            tcp(to, number).is_ok_and(|tcp| Caller::greet(tcp, &me, &me.asking()).is_ok())
        })
        .count();
    assert!(heard > 500, "{heard} were heard to the end");
    let peers = controller.json(&["peer", "list"]);
    let states: Vec<_> = peers.as_array().unwrap().iter().map(|p| p["state"].clone()).collect();
    let asking = states.iter().filter(|s| *s == "pairing-request").count();
    assert!((1..=100).contains(&asking), "{asking} pairing requests");
    assert_eq!(states.len(), asking + 1, "nobody got in");
    assert!(connected(&controller, &rig), "the link stands");
    controller.cli(&["peer", "ping", "rig-alpha", "--count", "1"]).ok();
    let lines = controller.log().lines().count();
    assert!(lines < 300, "{lines} lines of log");
    until("it answers", || controller.cli(&["node", "info"]).code == 0);
    before.comes_back(&controller);
}
