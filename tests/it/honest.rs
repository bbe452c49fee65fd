//! Honest state: what is frozen, killed or cut off is shown as that, and comes back by itself.
use std::time::Duration;

use serde_json::{Value, json};

use super::node::{alive, children, miner, pair, pause, start_simulated, total, until, within};

const STOP: i32 = 19;
const CONT: i32 = 18;

fn hashing(controller: &super::node::Node) -> bool {
    miner(controller)["hashrate"]["now"].as_f64().is_some_and(|h| h > 0.0)
}

#[test]
fn a_frozen_worker_is_unreachable_before_its_link_is_lost_and_soon_back_when_it_thaws() {
    let (controller, rig) = pair();
    start_simulated(&controller, "demo", &json!({})).ok();
    until("hashing", || hashing(&controller) && total(&controller) > 0.0);

    rig.signal(STOP);
    let mut row = Value::Null;
    until("three reports are missed", || {
        row = controller.peer("rig-alpha");
        row["state"] == "unreachable"
    });
    // The link is given up 15 s later.
    assert_eq!(row["reason"], "it is linked but has stopped reporting", "{}", controller.log());
    assert_eq!(total(&controller), 0.0);
    let (_, stats) = controller.rest("GET", "/remote/stats", None);
    let stats = stats.as_object().unwrap().values().next().unwrap().clone();
    assert!(stats["unreachableSince"].is_string() && stats["asOf"].is_string(), "{stats}");
    assert_eq!(stats["miners"][0]["hashrate"]["now"], Value::Null);
    let said = controller.cli(&["remote", "status", "rig-alpha"]);
    assert_eq!(said.code, 5, "{said:?}");
    assert!(
        said.out.contains("unreachable since") || said.err.contains("unreachable since"),
        "{said:?}"
    );
    assert_eq!(controller.cli(&["remote", "status"]).code, 0);

    rig.signal(CONT);
    // Well before a lost peer is looked for at leisure.
    assert!(within(Duration::from_secs(40), || controller.state("rig-alpha") == "hashing"));
    until("its hashrate counts again", || total(&controller) > 0.0);
}

#[test]
fn a_killed_worker_leaves_no_miner_and_takes_up_its_work_again() {
    let (controller, mut rig) = pair();
    start_simulated(&controller, "demo", &json!({"grandchild": true})).ok();
    let miners = children(rig.pid());
    assert_eq!(miners.len(), 1);
    rig.kill();
    until("no miner is left", || miners.iter().all(|pid| !alive(*pid)));
    until("the controller sees it go", || controller.state("rig-alpha") == "unreachable");
    let listen = "127.0.0.1:0";
    rig.start_with(&[
        "--listen",
        &controller_knows(&controller).unwrap_or(listen.to_owned()),
        "--api",
        listen,
    ]);
    until("linked and hashing again", || controller.state("rig-alpha") == "hashing");
    assert_eq!(miner(&controller)["name"], "simulated-1");
    assert_eq!(controller.json(&["peer", "list"]).as_array().unwrap().len(), 1, "no second row");
    assert_eq!(rig.json(&["peer", "list"]).as_array().unwrap().len(), 1, "no second row");
}

/// The address at which the controller looks for its rig.
fn controller_knows(controller: &super::node::Node) -> Option<String> {
    controller.peer("rig-alpha")["address"].as_str().map(str::to_owned)
}

#[test]
fn rigs_mine_on_without_their_controller_and_link_again_when_it_returns() {
    let (mut controller, rig) = pair();
    start_simulated(&controller, "demo", &json!({})).ok();
    let miners = children(rig.pid());
    controller.kill();
    until("the rig notices", || rig.peer("control-center")["connected"] == false);
    assert_eq!(children(rig.pid()), miners);
    assert!(alive(miners[0]));
    controller.start();
    until("linked and hashing again", || controller.state("rig-alpha") == "hashing");
    assert_eq!(children(rig.pid()), miners, "the miner was not touched");
}

#[test]
fn a_daemon_that_is_told_to_end_ends_its_miners_and_answers_with_0() {
    let (controller, mut rig) = pair();
    start_simulated(&controller, "demo", &json!({})).ok();
    let miners = children(rig.pid());
    assert_eq!(rig.stop(), Some(0));
    assert!(miners.iter().all(|pid| !alive(*pid)));
    assert!(!rig.home().join("run/daemon.json").exists(), "the run file goes with the daemon");
    until("the controller was told", || controller.state("rig-alpha") == "unreachable");
    pause();
}

#[test]
fn a_daemon_that_is_stopped_for_a_moment_keeps_its_links() {
    let (controller, rig) = pair();
    for node in [&controller, &rig] {
        node.signal(STOP);
        until("it is stopped", || stopped(node.pid()));
        node.signal(CONT);
        until("it answers", || node.cli(&["node", "info"]).code == 0);
        controller.cli(&["peer", "ping", "rig-alpha", "--count", "1"]).ok();
    }
    for node in [&controller, &rig] {
        let events = node.json(&["events"]);
        let lost = events.as_array().unwrap().iter().filter(|e| e["kind"] == "peer-lost").count();
        assert_eq!(lost, 0, "{}", node.log());
    }
}

fn stopped(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    status.lines().any(|line| line.starts_with("State:\tT"))
}
