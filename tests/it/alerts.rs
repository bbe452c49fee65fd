//! Alerts from a rig that dies to a receiver that hears of it, over restarts, and without a secret on the way.
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};

use serde_json::{Value, json};

use super::node::{Node, PATIENCE, miner, start_simulated, until, within};

/// Stands in the address and the token of the webhook.
const SECRET: &str = "c0ffee-s3cret";

/// A server that answers its first request with 500 and the others with 200.
fn receiver() -> (u16, Receiver<(String, Value)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (seen, requests) = channel();
    std::thread::spawn(move || {
        for (n, stream) in listener.incoming().enumerate() {
            let mut stream = stream.unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).unwrap() > 0 {}
            let length = head.lines().find_map(|l| l.strip_prefix("Content-Length: ")).unwrap();
            let mut body = vec![0; length.parse().unwrap()];
            reader.read_exact(&mut body).unwrap();
            let status = if n == 0 { 500 } else { 200 };
            write!(stream, "HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n").unwrap();
            if seen.send((head, serde_json::from_slice(&body).unwrap())).is_err() {
                return;
            }
        }
    });
    (port, requests)
}

fn next(requests: &Receiver<(String, Value)>) -> (String, Value) {
    requests.recv_timeout(PATIENCE).expect("a message comes")
}

fn alerts(node: &Node) -> Vec<Value> {
    node.json(&["alerts"])["alerts"].as_array().cloned().unwrap()
}

/// Every answer of the API that could hold something of the configuration, and all that was logged.
fn all_that_is_shown(node: &Node) -> String {
    let mut shown = node.log();
    for path in [
        "/alerts",
        "/info",
        "/node/info",
        "/policy",
        "/events",
        "/audit",
        "/peers",
        "/openapi.json",
    ] {
        shown.push_str(&node.rest("GET", path, None).1.to_string());
    }
    shown.push_str(&node.rest("POST", "/doctor", None).1.to_string());
    shown.push_str(&node.rest("POST", "/alerts/test", None).1.to_string());
    for verb in [&["alerts"][..], &["alerts", "test"], &["doctor"], &["doctor", "--json"]] {
        let said = node.cli(verb);
        shown.push_str(&said.out);
        shown.push_str(&said.err);
    }
    shown
}

#[test]
fn a_rig_that_dies_is_told_of_once_over_restarts_and_its_return_too() {
    let (port, requests) = receiver();
    let mut controller = Node::bare("control-center");
    controller.cli(&["node", "init", "--name", "control-center", "--role", "controller"]).ok();
    let told = controller.home().join("told.json");
    let script = format!("cat >> {}", told.display());
    let dead = "http://127.0.0.1:1";
    controller.folder.file(
        "config.toml",
        &format!(
            "[alerts]\nunreachable = \"1s\"\nrecovery = \"1s\"\ngroup = \"1s\"\ndisk = false\n\
             temperature = false\n\
             [[alerts.channels]]\nname = \"hook\"\ntype = \"webhook\"\n\
             url = \"http://127.0.0.1:{port}/{SECRET}/x?key={SECRET}\"\ntoken = \"{SECRET}\"\n\
             [[alerts.channels]]\nname = \"dead\"\ntype = \"webhook\"\nformat = \"telegram\"\n\
             url = \"{dead}/{SECRET}\"\ntoken = \"{SECRET}\"\nchat_id = \"1\"\n\
             [[alerts.channels]]\nname = \"script\"\ntype = \"command\"\n\
             path = \"/bin/sh\"\narguments = [\"-c\", \"{script}\"]\n"
        ),
    );
    controller.start();
    let mut rig = Node::serve("rig-alpha", "worker");
    let listen = rig.p2p();
    controller.cli(&["peer", "add", "--address", &listen, "--name", "rig-alpha"]).ok();
    rig.cli(&["peer", "approve", &controller.id()]).ok();
    until("linked", || controller.peer("rig-alpha")["connected"] == true);
    start_simulated(&controller, "demo", &json!({})).ok();
    until("hashing", || miner(&controller)["state"] == "hashing");
    assert_eq!(alerts(&controller), [] as [Value; 0]);
    assert!(controller.cli(&["alerts"]).ok().starts_with("Nothing is wrong."));

    rig.kill();
    // The receiver answers 500 first, so it comes twice.
    let (head, first) = next(&requests);
    let (_, again) = next(&requests);
    assert_eq!(first, again);
    assert!(head.contains(&format!("\r\nAuthorization: Bearer {SECRET}\r\n")), "{head}");
    assert_eq!((&first["kind"], &first["rule"]), (&json!("alert"), &json!("unreachable")));
    assert_eq!((&first["rigs"], &first["severity"]), (&json!(["rig-alpha"]), &json!("critical")));
    until("it is noted", || alerts(&controller).iter().any(|a| a["notified"] == true));
    let now = alerts(&controller);
    assert_eq!(now[0]["id"], first["ids"][0]);
    until("the script is told", || std::fs::read_to_string(&told).is_ok_and(|t| t.ends_with('}')));
    let script: Value = serde_json::from_str(&std::fs::read_to_string(&told).unwrap()).unwrap();
    assert_eq!(script, first);

    controller.stop();
    controller.start();
    assert_eq!(alerts(&controller)[0]["id"], now[0]["id"], "it is not forgotten");
    rig.start_with(&["--listen", &listen, "--api", "127.0.0.1:0"]);
    // Had the restart repeated the alert, that would come first.
    let (_, over) = next(&requests);
    assert_eq!((&over["kind"], &over["ids"]), (&json!("recovery"), &first["ids"]));
    until("nothing is wrong", || alerts(&controller).is_empty());

    let tested = controller.cli(&["alerts", "test"]);
    assert_eq!(tested.code, 1, "one of them is dead: {tested:?}");
    assert_eq!(next(&requests).1["kind"], "test");
    assert_eq!(controller.cli(&["alerts", "test", "hook"]).code, 0);
    assert_eq!(controller.cli(&["alerts", "test", "none"]).code, 4);
    assert_eq!(controller.cli(&["alerts", "what"]).code, 2);
    let dead = controller.json(&["alerts"])["channels"][1].clone();
    assert_eq!((&dead["name"], &dead["target"]), (&json!("dead"), &json!("http://127.0.0.1")));
    assert!(dead["lastError"].as_str().is_some_and(|e| e.contains("no connection")), "{dead}");

    let shown = all_that_is_shown(&controller);
    assert!(shown.contains("unreachable") && shown.contains("http://127.0.0.1"));
    let at = shown.find(SECRET).map(|at| &shown[at.saturating_sub(200)..at]);
    assert_eq!(at, None, "a secret is shown behind this");

    // What the owner stops themself is no alert. There is nothing to wait for but time: two beats.
    controller.cli(&["remote", "stop", "rig-alpha"]).ok();
    until("idle", || controller.state("rig-alpha") == "idle");
    rig.kill();
    until("lost", || controller.state("rig-alpha") == "unreachable");
    let rung = within(std::time::Duration::from_secs(25), || !alerts(&controller).is_empty());
    assert!(!rung, "{:?}", alerts(&controller));
}
