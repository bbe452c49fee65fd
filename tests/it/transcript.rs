//! The day of an owner, from `node init` to `peer remove`, in three ways of pairing.
use serde_json::json;

use super::node::{Node, Running, miner, pair, start_simulated, until};

/// Everything after pairing; the rig is called `rig-alpha`.
fn mine(controller: &Node) {
    let listed = controller.cli(&["peer", "list"]).ok();
    assert!(listed.contains("rig-alpha") && listed.contains("worker"), "{listed}");
    let pinged = controller.cli(&["peer", "ping", "rig-alpha", "--count", "2"]).ok();
    assert!(pinged.contains("ms"), "{pinged}");

    let started = start_simulated(controller, "my-profile", &json!({"shareEvery": 0.5})).ok();
    assert!(started.contains("simulated-1"), "{started}");
    until("a hashrate and a share", || {
        let miner = miner(controller);
        miner["hashrate"]["now"].as_f64().is_some_and(|h| h > 0.0)
            && miner["accepted"].as_u64() > Some(0)
    });
    let status = controller.cli(&["remote", "status", "rig-alpha"]).ok();
    assert!(
        status.contains("simulated-1") && status.contains("kH/s") && status.contains("simulated"),
        "{status}"
    );
    let farm = controller.cli(&["remote", "status"]).ok();
    assert!(farm.contains("rig-alpha") && farm.contains("rx/0"), "{farm}");

    let logs =
        controller.cli(&["remote", "logs", "rig-alpha", "simulated-1", "--lines", "100"]).ok();
    assert!(logs.contains("accepted"), "{logs}");
    let mut follow = Running::new(controller.command(&[
        "remote",
        "logs",
        "rig-alpha",
        "simulated-1",
        "--follow",
        "--lines",
        "1",
    ]));
    assert!(follow.line_with("accepted").is_some(), "live lines come");

    let stopped = controller.cli(&["remote", "stop", "rig-alpha", "simulated-1"]).ok();
    assert!(stopped.contains("simulated-1"), "{stopped}");
    until("the follower ends with the miner", || follow.child.try_wait().unwrap().is_some());
    until("the rig is idle", || controller.state("rig-alpha") == "idle");
    controller.cli(&["peer", "remove", "rig-alpha"]).ok();
    assert_eq!(controller.json(&["peer", "list"]), json!([]));
}

#[test]
fn peer_add_and_approve() {
    let controller = Node::serve("control-center", "controller");
    let rig = Node::serve("rig-alpha", "worker");
    let added =
        controller.cli(&["peer", "add", "--address", &rig.p2p(), "--name", "rig-alpha"]).ok();
    let card = rig.json(&["node", "info"])["identity"].clone();
    assert!(
        added.contains(card["fingerprint"].as_str().unwrap()),
        "the fingerprint is shown: {added}"
    );
    assert!(
        added.contains(&format!("peer approve {}", controller.id())),
        "and what to type over there: {added}"
    );
    assert_eq!(controller.state("rig-alpha"), "awaiting-approval");
    let asked = rig.peer("control-center");
    assert_eq!(
        (asked["state"].as_str(), asked["connected"].as_bool()),
        (Some("pairing-request"), Some(false))
    );

    rig.cli(&["peer", "approve", &controller.id()[..6]]).ok();
    until("both sides are connected", || {
        controller.peer("rig-alpha")["connected"] == true
            && rig.peer("control-center")["connected"] == true
    });
    mine(&controller);
    until("the rig saw the link go", || rig.peer("control-center")["connected"] == false);
}

#[test]
fn node_invite_and_join() {
    let controller = Node::serve("control-center", "controller");
    let rig = Node::serve("rig-alpha", "worker");
    let code = controller.json(&["node", "invite"])["code"].as_str().unwrap().to_owned();
    let joined = rig.cli(&["node", "join", &controller.p2p(), &code]).ok();
    assert!(joined.contains("control-center"), "{joined}");
    assert_eq!(controller.peer("rig-alpha")["connected"], true);
    mine(&controller);
}

#[test]
fn peer_add_with_an_invite_of_the_rig() {
    let controller = Node::serve("control-center", "controller");
    let rig = Node::serve("rig-alpha", "worker");
    let code = rig.json(&["node", "invite"])["code"].as_str().unwrap().to_owned();
    controller
        .cli(&["peer", "add", "--address", &rig.p2p(), "--name", "rig-alpha", "--invite", &code])
        .ok();
    assert_eq!(controller.peer("rig-alpha")["connected"], true);
    mine(&controller);
}

#[test]
fn removing_a_peer_is_kept_over_a_restart() {
    let (mut controller, rig) = pair();
    controller.cli(&["peer", "remove", "rig-alpha"]).ok();
    controller.kill();
    controller.start();
    assert_eq!(controller.json(&["peer", "list"]), json!([]));
    drop(rig);
}
