//! A rig's own `[policy]`: what breaks it is refused with exit 6 and the reason, written there, and told at both ends.
use serde_json::{Value, json};

use super::node::{Node, Said, alive, children, miner, until};

/// A controller and a rig with this config.toml, linked.
pub fn pair_with(config: &str) -> (Node, Node) {
    let controller = Node::serve("control-center", "controller");
    let mut rig = Node::bare("rig-alpha");
    rig.cli(&["node", "init", "--name", "rig-alpha", "--role", "worker"]).ok();
    rig.folder.file("config.toml", config);
    rig.start();
    controller.cli(&["peer", "add", "--address", &rig.p2p(), "--name", "rig-alpha"]).ok();
    rig.cli(&["peer", "approve", &controller.id()]).ok();
    until("both sides are connected", || {
        controller.peer("rig-alpha")["connected"] == true
            && rig.peer("control-center")["connected"] == true
    });
    (controller, rig)
}

/// Ends the rig's daemon and starts it where it was, with this config.toml.
pub fn restart_with(controller: &Node, rig: &mut Node, config: &str) {
    let (listen, api) = (rig.p2p(), rig.api());
    assert_eq!(rig.stop(), Some(0));
    rig.folder.file("config.toml", config);
    rig.start_with(&["--listen", &listen, "--api", &api]);
    until("linked again", || {
        controller.peer("rig-alpha")["connected"] == true
            && rig.peer("control-center")["connected"] == true
    });
}

/// A simulated profile for this wallet, in a file of `node`.
fn file(node: &Node, name: &str, wallet: &str, pool: &str) -> String {
    let profile = json!({"name": name, "minerType": "simulated", "config":
        {"algo": "rx/0", "hashrate": 100, "wallet": wallet, "pool": pool, "simulate": {"warmup": 1}}});
    node.folder.file(&format!("{name}.json"), &profile.to_string())
}

pub fn add(node: &Node, name: &str, wallet: &str) {
    let file = file(node, name, wallet, "pool.example:3333");
    node.cli(&["profile", "add", &file]).ok();
}

/// The rows of a node's audit log.
pub fn audit(node: &Node) -> Vec<Value> {
    node.json(&["audit", "--lines", "1000"]).as_array().unwrap().clone()
}

/// Exit 6 with these words in the reason, and `what` with the same words in the rig's audit log and both nodes' logs.
#[track_caller]
fn refused(controller: &Node, rig: &Node, said: &Said, what: &str, words: &str) {
    assert_eq!(said.code, 6, "{said:?}");
    assert!(said.err.starts_with("error: ") && said.err.contains(words), "{said:?}");
    until("the audit row on the rig", || {
        audit(rig).iter().any(|row| {
            row["what"] == what
                && row["who"] == "control-center"
                && row["signed"] == true
                && row["result"].as_str().unwrap().contains(words)
        })
    });
    let event = format!("refused {what} of control-center");
    let here = |l: &str| l.contains(&event) && l.contains(words);
    until("the rig's log says so", || rig.log().lines().any(here));
    let told = |l: &str| l.contains("rig-alpha refused a command") && l.contains(words);
    until("and the controller's", || controller.log().lines().any(told));
}

const PINNED: &str = "[policy]\nwallets = [\"48Mine\"]\npools = [\"pool.example\"]\n";

#[test]
fn a_pinned_rig_mines_for_its_owner_and_for_nobody_else() {
    let (controller, rig) = pair_with(PINNED);
    add(&controller, "mine", "48Mine.{rig}");
    add(&controller, "evil", "49Evil");
    let elsewhere = file(&controller, "elsewhere", "48Mine", "evil.example:3333");
    controller.cli(&["profile", "add", &elsewhere]).ok();
    for (verb, what) in [("start", "start_miner"), ("deploy", "deploy_profile")] {
        let said = controller.cli(&["remote", verb, "rig-alpha", "--profile", "evil"]);
        refused(&controller, &rig, &said, what, "config.wallet: 49Evil");
        let said = controller.cli(&["remote", verb, "rig-alpha", "--profile", "elsewhere"]);
        refused(&controller, &rig, &said, what, "config.pool: evil.example:3333");
        let (status, body) = controller.rest(
            "POST",
            &format!("/remote/rig-alpha/{verb}"),
            Some(&json!({"profileId": "evil"})),
        );
        assert_eq!((status, &body["code"]), (403, &json!("POLICY")), "{body}");
    }
    let body = json!({"profileId": "mine", "config": {"wallet": "49Evil"}});
    let (status, body) = controller.rest("POST", "/remote/rig-alpha/start", Some(&body));
    assert_eq!((status, &body["code"]), (403, &json!("POLICY")), "{body}");
    assert_eq!(rig.json(&["profile", "list"]), json!([]), "nothing was left there");
    assert!(children(rig.pid()).is_empty());

    // Its owner is bound by it as well, until the file says otherwise.
    add(&rig, "own", "49Evil");
    let said = rig.cli(&["miner", "start", "--profile", "own"]);
    assert!(said.code == 6 && said.err.contains("config.wallet: 49Evil"), "{said:?}");
    controller.cli(&["remote", "start", "rig-alpha", "--profile", "mine"]).ok();
    until("it hashes", || controller.state("rig-alpha") == "hashing");
}

#[test]
fn the_policy_is_shown_and_no_request_changes_it() {
    let (controller, rig) = pair_with(PINNED);
    let shown = json!({"wallets": ["48Mine"], "pools": ["pool.example"], "controllers": null,
        "arguments": null, "remote": "full"});
    for method in ["PUT", "POST", "DELETE", "PATCH"] {
        let (status, _) = rig.rest(method, "/policy", Some(&json!({"wallets": null})));
        assert!(matches!(status, 405 | 501 | 400), "{method}: {status}");
    }
    assert_eq!(rig.rest("GET", "/policy", None), (200, shown));
    assert_eq!(controller.rest("GET", "/policy", None).1["wallets"], Value::Null);
}

#[test]
fn with_read_only_every_write_is_refused_and_what_runs_runs_on() {
    let (controller, mut rig) = pair_with("");
    add(&controller, "mine", "48Mine");
    controller.cli(&["remote", "start", "rig-alpha", "--profile", "mine"]).ok();
    restart_with(&controller, &mut rig, "[policy]\nremote = \"read-only\"\n");
    until("it hashes again", || controller.state("rig-alpha") == "hashing");
    let miners = children(rig.pid());
    for (args, what) in [
        (&["remote", "start", "rig-alpha", "--profile", "mine"][..], "start_miner"),
        (&["remote", "deploy", "rig-alpha", "--profile", "mine"], "deploy_profile"),
        (&["remote", "stop", "rig-alpha"], "stop_miner"),
        (&["remote", "stop", "rig-alpha", "simulated-1"], "stop_miner"),
        (&["remote", "restart", "rig-alpha"], "restart_miner"),
    ] {
        refused(&controller, &rig, &controller.cli(args), what, "read-only");
    }
    assert!(miners.len() == 1 && alive(miners[0]));
    assert_eq!(children(rig.pid()), miners);
    controller.cli(&["remote", "status", "rig-alpha"]).ok();
    controller.cli(&["remote", "logs", "rig-alpha", "simulated-1"]).ok();
    // Its owner is not a peer.
    rig.cli(&["miner", "stop", "simulated-1"]).ok();
}

#[test]
fn start_stop_runs_what_the_owner_put_there() {
    let (controller, rig) = pair_with("[policy]\nremote = \"start-stop\"\n");
    add(&controller, "mine", "49Evil");
    add(&rig, "mine", "48Mine");
    let start = ["remote", "start", "rig-alpha", "--profile", "mine"];
    refused(&controller, &rig, &controller.cli(&start), "start_miner", "start-stop");
    let deploy = ["remote", "deploy", "rig-alpha", "--profile", "mine"];
    refused(&controller, &rig, &controller.cli(&deploy), "deploy_profile", "start-stop");
    let same = file(&controller, "same", "48Mine", "pool.example:3333");
    let text = std::fs::read_to_string(&same).unwrap().replace("\"same\"", "\"mine\"");
    std::fs::write(&same, text).unwrap();
    controller.cli(&["profile", "edit", "mine", &same]).ok();
    controller.cli(&start).ok();
    controller.cli(&["remote", "restart", "rig-alpha"]).ok();
    controller.cli(&["remote", "stop", "rig-alpha"]).ok();
}

#[test]
fn only_listed_controllers_command() {
    let other = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let (controller, mut rig) = pair_with(&format!("[policy]\ncontrollers = [\"{other}\"]\n"));
    add(&controller, "mine", "48Mine");
    let start = ["remote", "start", "rig-alpha", "--profile", "mine"];
    refused(&controller, &rig, &controller.cli(&start), "start_miner", "controllers: ");
    controller.cli(&["remote", "status", "rig-alpha"]).ok();
    let key = controller.json(&["node", "info"])["identity"]["publicKey"].clone();
    restart_with(&controller, &mut rig, &format!("[policy]\ncontrollers = [{key}]\n"));
    controller.cli(&start).ok();
}

#[test]
fn what_ran_before_the_policy_does_not_start_again() {
    let (controller, mut rig) = pair_with("");
    add(&controller, "evil", "49Evil");
    controller.cli(&["remote", "start", "rig-alpha", "--profile", "evil"]).ok();
    restart_with(&controller, &mut rig, PINNED);
    until("it is failed", || miner(&controller)["state"] == "failed");
    let reason = miner(&controller)["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("config.wallet: 49Evil"), "{reason}");
    assert!(children(rig.pid()).is_empty());
    assert!(rig.log().contains("simulated-1 is not started: rig-alpha refuses"), "{}", rig.log());
    let said = controller.cli(&["remote", "restart", "rig-alpha"]);
    refused(&controller, &rig, &said, "restart_miner", "config.wallet: 49Evil");
    let said = rig.cli(&["miner", "start", "--profile", "evil"]);
    assert!(said.code == 6 && said.err.contains("config.wallet"), "{said:?}");
    controller.cli(&["remote", "stop", "rig-alpha"]).ok();
    assert!(children(rig.pid()).is_empty());
}
