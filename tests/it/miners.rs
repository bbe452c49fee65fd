//! Miners through the whole chain: adapter, registry, link, REST. The simulated miner speaks XMRig's API and goes
//! through XMRig's adapter.
use std::time::Duration;

use serde_json::{Value, json};

use super::node::{Running, alive, children, miner, pair, start_simulated, until, within};

#[test]
fn a_hashrate_is_null_before_it_is_known_and_never_zero() {
    let (controller, _rig) = pair();
    start_simulated(&controller, "demo", &json!({"warmup": 4})).ok();
    let mut seen = Vec::new();
    until("a hashrate", || {
        let now = miner(&controller)["hashrate"]["now"].clone();
        seen.push(now.clone());
        !now.is_null()
    });
    assert!(seen.len() > 1 && seen[0].is_null(), "it was seen before it was known: {seen:?}");
    assert!(seen.iter().all(|h| h.is_null() || h.as_f64() > Some(0.0)), "{seen:?}");
    assert_eq!(miner(&controller)["simulated"], true);
}

#[test]
fn a_lost_pool_is_shown_as_that_and_mends() {
    let (controller, _rig) = pair();
    start_simulated(
        &controller,
        "demo",
        &json!({"poolLossAfter": 8, "poolLossFor": 25, "rejectEvery": 3, "shareEvery": 0.5}),
    )
    .ok();
    until("hashing", || miner(&controller)["state"] == "hashing");
    until("accepted and rejected shares", || {
        miner(&controller)["accepted"].as_u64() > Some(0)
            && miner(&controller)["rejected"].as_u64() > Some(0)
    });
    until("the loss is named", || {
        let miner = miner(&controller);
        miner["state"] == "not-hashing"
            && miner["reason"].as_str().is_some_and(|r| r.contains("pool"))
    });
    assert_eq!(miner(&controller)["pool"]["connected"], false);
    until("it mends", || miner(&controller)["state"] == "hashing");
}

#[test]
fn a_miner_whose_api_port_is_taken_is_started_on_another() {
    let (controller, _rig) = pair();
    let said = start_simulated(&controller, "demo", &json!({"apiPortTaken": true}));
    // The simulated miner takes its port at every start: it is seen to be started anew, with the reason.
    until(&format!("it was started anew, with the reason: {said:?}"), || {
        let miner = miner(&controller);
        miner["restarts"].as_u64() > Some(0)
            && miner["reason"].as_str().is_some_and(|r| r.contains("API port"))
    });
}

#[test]
fn a_slow_end_is_called_stopping_until_it_is_over() {
    let (controller, rig) = pair();
    start_simulated(&controller, "demo", &json!({"slowTerm": 8})).ok();
    let pids = children(rig.pid());
    let said = controller.cli(&["remote", "stop", "rig-alpha", "simulated-1"]).ok();
    assert!(said.contains("stopping"), "{said}");
    assert!(alive(pids[0]), "it is not killed while it ends by itself");
    until("stopped", || miner(&controller)["state"] == "stopped");
    assert!(!alive(pids[0]));
}

#[test]
fn the_grandchild_of_a_stopped_miner_goes_with_it() {
    let (controller, rig) = pair();
    start_simulated(&controller, "demo", &json!({"grandchild": true})).ok();
    let miner = children(rig.pid())[0];
    let mut grandchildren = Vec::new();
    until("a grandchild", || {
        grandchildren = children(miner);
        !grandchildren.is_empty()
    });
    controller.cli(&["remote", "stop", "rig-alpha"]).ok();
    until("all are gone", || !alive(miner) && grandchildren.iter().all(|pid| !alive(*pid)));
}

#[test]
fn a_start_that_fails_says_why_and_leaves_nothing_behind() {
    let (controller, rig) = pair();
    let profile = json!({"name": "real", "minerType": "xmrig",
        "config": {"pool": "127.0.0.1:3333", "wallet": "wallet"}});
    let file = controller.folder.file("real.json", &profile.to_string());
    controller.cli(&["profile", "add", &file]).ok();
    // A miner that ends as XMRig does when its configuration is bad.
    let script = rig.folder.file(
        "xmrig",
        "#!/bin/sh\necho ' no valid configuration found, try https://xmrig.com/wizard'\nexit 2\n",
    );
    make_executable(&script);
    rig.folder.file("config.toml", &format!("[miners.xmrig]\npath = \"{script}\"\n"));
    let mut rig = rig;
    let (listen, api) = (rig.p2p(), rig.api());
    assert_eq!(rig.stop(), Some(0));
    rig.start_with(&["--listen", &listen, "--api", &api]);
    until("linked", || controller.peer("rig-alpha")["state"] == "idle");
    let said = controller.cli(&["remote", "start", "rig-alpha", "--profile", "real"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("no valid configuration"), "{said:?}");
    assert_eq!(controller.state("rig-alpha"), "idle", "it is not meant to run any more");
    let shown = miner(&controller);
    assert_eq!(
        (shown["name"].as_str(), shown["state"].as_str()),
        (Some("xmrig-1"), Some("failed"))
    );

    // A program that is not there.
    rig.folder.file("config.toml", "[miners.xmrig]\npath = \"/nowhere/xmrig\"\n");
    rig.stop();
    rig.start_with(&["--listen", &listen, "--api", &api]);
    until("linked", || controller.peer("rig-alpha")["state"] == "idle");
    let said = controller.cli(&["remote", "start", "rig-alpha", "--profile", "real"]);
    assert!(said.code == 1 && said.err.contains("/nowhere/xmrig"), "{said:?}");
}

fn make_executable(path: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_crash_is_mended_and_counted() {
    let (controller, _rig) = pair();
    start_simulated(&controller, "demo", &json!({"exitAfter": 3, "exitCode": 7})).ok();
    until("it was started again", || miner(&controller)["restarts"].as_u64() > Some(0));
    until("the reason names the code", || {
        miner(&controller)["reason"].as_str().is_some_and(|r| r.contains('7'))
            || miner(&controller)["state"] == "hashing"
    });
}

#[test]
fn hostile_log_lines_reach_no_terminal_raw() {
    let (controller, rig) = pair();
    let profile = json!({"name": "real", "minerType": "xmrig",
        "config": {"pool": "127.0.0.1:3333", "wallet": "wallet"}});
    let file = controller.folder.file("real.json", &profile.to_string());
    controller.cli(&["profile", "add", &file]).ok();
    let script = rig.folder.file(
        "xmrig",
        "#!/bin/sh\nprintf '\\033[2J\\033]0;owned\\007\\033[31mred\\033[0m \\302\\2331mx\\n'\nexec sleep 60\n",
    );
    make_executable(&script);
    rig.folder.file("config.toml", &format!("[miners.xmrig]\npath = \"{script}\"\n"));
    let mut rig = rig;
    let (listen, api) = (rig.p2p(), rig.api());
    rig.stop();
    rig.start_with(&["--listen", &listen, "--api", &api]);
    until("linked", || controller.peer("rig-alpha")["state"] == "idle");
    controller.cli(&["remote", "start", "rig-alpha", "--profile", "real"]).ok();
    let mut out = String::new();
    until("the line", || {
        out = controller.cli(&["remote", "logs", "rig-alpha", "xmrig-1"]).ok();
        out.contains("red")
    });
    assert!(out.chars().all(|c| c == '\n' || !c.is_control()), "{out:?}");
}

#[test]
fn a_follower_sees_lines_live_and_a_burst_does_not_stop_it() {
    let (controller, _rig) = pair();
    start_simulated(&controller, "demo", &json!({"logBurst": 20000, "shareEvery": 0.2})).ok();
    let command = controller.command(&[
        "remote",
        "logs",
        "rig-alpha",
        "simulated-1",
        "--follow",
        "--lines",
        "2000",
    ]);
    let mut follow = Running::new(command);
    assert!(follow.line_with("accepted").is_some());
    assert!(follow.line_with("accepted").is_some());
}

#[test]
fn this_nodes_own_miners_answer_on_its_own_api() {
    let (controller, rig) = pair();
    let profile = json!({"name": "own", "minerType": "simulated", "config": {"algo": "rx/0", "hashrate": 10, "simulate": {"warmup": 1}}});
    let file = rig.folder.file("own.json", &profile.to_string());
    rig.cli(&["profile", "add", &file]).ok();
    rig.cli(&["miner", "start", "--profile", "own"]).ok();
    until("a reading", || {
        rig.rest("GET", "/miners/simulated-1/stats", None).1["hashrate"]["now"].is_number()
    });
    assert!(rig.cli(&["miner", "list"]).ok().contains("simulated-1"));
    assert!(
        rig.cli(&["miner", "logs", "simulated-1"]).ok().contains("speed")
            || !rig.cli(&["miner", "logs", "simulated-1"]).ok().is_empty()
    );
    assert_eq!(
        rig.rest("GET", "/miners/simulated-1/logs?lines=1", None).1.as_array().map(Vec::len),
        Some(1)
    );
    until("a point of history", || {
        rig.rest("GET", "/miners/simulated-1/hashrate-history", None)
            .1
            .as_array()
            .is_some_and(|h| !h.is_empty())
    });
    let available = rig.rest("GET", "/miners/available", None).1;
    let names: Vec<&str> =
        available.as_array().unwrap().iter().filter_map(|m| m["name"].as_str()).collect();
    let all = ["xmrig", "tt-miner", "lolminer", "srbminer", "simulated"];
    assert_eq!(names, all, "{available}");
    // A state change reaches the controller at once, not with the next report.
    rig.cli(&["miner", "stop", "simulated-1"]).ok();
    assert!(within(Duration::from_secs(8), || miner(&controller)["state"] == "stopped"));
    assert_eq!(rig.cli(&["miner", "stop", "simulated"]).code, 4, "names match whole");
    assert_eq!(
        rig.rest("DELETE", "/miners/xmrig-9", None).1["code"],
        Value::from("MINER_NOT_FOUND")
    );
}
