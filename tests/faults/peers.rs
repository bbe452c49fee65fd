//! Peers that were let in, and misbehave.
use std::net::SocketAddr;

use miner_cli::model::node::Role;
use miner_cli::smsg::messages::{Body, GetLogs};

use crate::caller::{Caller, Me, tcp};
use crate::node::{Node, start_simulated_on, until};
use crate::{Footprint, connected, join, state};

fn registered(at: &Node, me: &Me, number: u16) -> SocketAddr {
    let to = at.p2p().parse().unwrap();
    let code = at.json(&["node", "invite"])["code"].as_str().unwrap().to_owned();
    drop(Caller::link(tcp(to, number).unwrap(), me, &me.invited(&code)).unwrap());
    to
}

#[test]
fn a_peer_that_stops_reading_is_cut_while_others_are_served() {
    let controller = Node::serve("control-center", "controller");
    let rig = Node::serve("rig-alpha", "worker");
    join(&controller, &rig, &controller.p2p());
    start_simulated_on(
        &controller,
        "rig-alpha",
        "demo",
        &serde_json::json!({"logBurst": 20_000, "shareEvery": 0.2}),
    )
    .ok();
    until("it hashes", || state(&controller) == "hashing");
    let me = Me::new("deaf", Role::Controller);
    let to = registered(&rig, &me, 1);
    let before = Footprint::of(&rig);
    // With so many answers on their way the writer waits for the socket; with more its queue is full, too.
    for (asked, why) in [(40, "took nothing for 10s"), (180, "this node cut the link")] {
        let lost = || rig.log().matches(why).count();
        let already = lost();
        let mut deaf = Caller::link(tcp(to, 1).unwrap(), &me, &me.hello()).unwrap();
        for _ in 0..asked {
            let logs = GetLogs { miner: "simulated-1".to_owned(), lines: 10_000, previous: false };
            if deaf.send(Body::GetLogs(logs)).is_err() {
                break;
            }
        }
        until(why, || {
            controller.cli(&["peer", "ping", "rig-alpha", "--count", "1"]).ok();
            lost() > already
        });
    }
    assert!(connected(&controller, &rig));
    controller.cli(&["remote", "stop", "rig-alpha"]).ok();
    before.comes_back(&rig);
}

#[test]
fn a_peer_that_sends_as_fast_as_it_can_loses_its_link_and_no_other_does() {
    let controller = Node::serve("control-center", "controller");
    let rig = Node::serve("rig-alpha", "worker");
    join(&controller, &rig, &controller.p2p());
    let me = Me::new("loud", Role::Worker);
    let to = registered(&controller, &me, 1);
    let before = Footprint::of(&controller);
    for _ in 0..10 {
        let mut loud = Caller::link(tcp(to, 1).unwrap(), &me, &me.hello()).unwrap();
        // Ten times what it may send at once; the sockets take the rest.
        let sent = (0..200_000).take_while(|_| loud.send(Body::Ping {}).is_ok()).count();
        assert!(sent < 200_000, "it was never stopped");
        controller.cli(&["peer", "ping", "rig-alpha", "--count", "1"]).ok();
    }
    assert!(controller.log().contains("more than 50 messages a second"), "{}", controller.log());
    let events = controller.json(&["events", "--lines", "1000"]);
    let lost = |e: &&serde_json::Value| e["kind"] == "peer-lost" && e["peer"] == "rig-alpha";
    assert_eq!(events.as_array().unwrap().iter().filter(lost).count(), 0);
    assert!(connected(&controller, &rig));
    before.comes_back(&controller);
}
