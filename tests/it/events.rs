//! Events through the whole chain: miner, rig, link, controller, REST, command line.
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use super::node::{
    Node, PATIENCE, Running, alive, children, miner, pair, signal_pid, start_simulated, until,
    within,
};

fn events(node: &Node) -> Vec<Value> {
    node.json(&["events", "--lines", "1000"]).as_array().cloned().unwrap_or_default()
}

fn of<'a>(events: &'a [Value], kind: &str) -> Vec<&'a Value> {
    events.iter().filter(|e| e["kind"] == kind).collect()
}

fn time(event: &Value) -> f64 {
    let text = event["at"].as_str().unwrap();
    let at: miner_cli::model::time::Timestamp = text.parse().unwrap();
    at.0 as f64 / 1000.0
}

#[test]
fn a_miner_that_exits_at_once_is_one_crash_loop_at_the_controller_with_its_last_words() {
    let (controller, rig) = pair();
    let mut live = Running::new(controller.command(&["events", "--follow", "--lines", "1"]));
    drop(start_simulated(&controller, "demo", &json!({"exitAfter": 0.2, "exitCode": 7})));
    let line = live.line_with("crash loop").expect("it comes while it is followed");
    assert!(line.contains("critical") && line.contains("rig-alpha: simulated-1"), "{line}");
    assert!(live.line_with("    | ").is_some(), "what the miner printed stands below");

    let told: Vec<Value> =
        events(&controller).into_iter().filter(|e| e["nodeName"] == "rig-alpha").collect();
    let (exited, again) = (of(&told, "miner-exited"), of(&told, "miner-restarted"));
    assert_eq!((of(&told, "miner-started").len(), exited.len(), again.len()), (1, 4, 4));
    for (n, (exit, start)) in exited.iter().zip(&again).enumerate() {
        let (gap, base) = (time(start) - time(exit), f64::from(1 << n));
        // Never sooner; on a loaded machine later.
        assert!(gap >= base * 0.79, "wait {n}: {gap} s");
    }
    let loops = of(&told, "crash-loop");
    assert_eq!(loops.len(), 1);
    assert!(loops[0]["log"].as_array().is_some_and(|log| !log.is_empty() && log.len() <= 50));
    let own = events(&rig);
    assert_eq!(of(&own, "crash-loop")[0]["text"], loops[0]["text"]);
    assert!(rig.log().matches("is in a crash loop").count() == 1, "logged once");
    assert!(controller.cli(&["events"]).ok().contains("crash loop"));
    assert_eq!(controller.json(&["events", "--lines", "1"]).as_array().map(Vec::len), Some(1));
}

/// The events that a stream begins with, as far as `wanted` of them.
fn stream(node: &Node, query: &str, header: &str, wanted: usize) -> Vec<(u64, Value)> {
    let (api, token) = (node.api(), node.token());
    let mut stream = TcpStream::connect(&api).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(
        stream,
        "GET /api/v1/mining/events{query} HTTP/1.1\r\nHost: {api}\r\nAuthorization: Bearer {token}\r\n\
         Accept: text/event-stream\r\n{header}\r\n"
    )
    .unwrap();
    let mut found = Vec::new();
    let (mut id, mut named) = (0, false);
    for line in BufReader::new(stream).lines() {
        let line = line.unwrap();
        if let Some(number) = line.strip_prefix("id: ") {
            id = number.parse().unwrap();
        }
        named |= line == "event: event";
        if let Some(data) = line.strip_prefix("data: ").filter(|_| named) {
            found.push((id, serde_json::from_str(data).unwrap()));
        }
        if found.len() == wanted {
            break;
        }
    }
    found
}

#[test]
fn a_stream_replays_what_its_reader_missed() {
    let (controller, _rig) = pair();
    let all = events(&controller);
    assert!(all.len() >= 2, "{all:?}");
    let numbers: Vec<u64> = all.iter().map(|e| e["number"].as_u64().unwrap()).collect();
    let first = numbers[0];
    for (query, header) in [
        (format!("?since={first}"), String::new()),
        (String::new(), format!("Last-Event-ID: {first}\r\n")),
        // What the browser saw last is newer than the address that it began with.
        ("?since=0".to_owned(), format!("Last-Event-ID: {first}\r\n")),
    ] {
        let got = stream(&controller, &query, &header, all.len() - 1);
        let ids: Vec<u64> = got.iter().map(|(id, _)| *id).collect();
        assert_eq!(ids, numbers[1..]);
        assert_eq!(got[0].1, all[1]);
    }
    let (status, listed) = controller.rest("GET", &format!("/events?since={first}&lines=1"), None);
    assert_eq!(
        (status, &listed[0], listed.as_array().map(Vec::len)),
        (200, &all[all.len() - 1], Some(1))
    );
    for bad in ["?since=x", "?since=-1", "?lines=0", "?last=1"] {
        assert_eq!(controller.rest("GET", &format!("/events{bad}"), None).0, 400, "{bad}");
    }
}

#[test]
fn what_happened_while_the_controller_was_away_is_told_once_and_kept() {
    let (mut controller, rig) = pair();
    let (listen, api) = (controller.p2p(), controller.api());
    controller.stop();
    let profile = json!({"name": "own", "minerType": "simulated", "config": {"hashrate": 10}});
    let file = rig.folder.file("own.json", &profile.to_string());
    rig.cli(&["profile", "add", &file]).ok();
    rig.cli(&["miner", "start", "--profile", "own"]).ok();
    rig.cli(&["miner", "stop", "simulated-1"]).ok();
    let told = |controller: &Node| {
        let all = events(controller);
        (of(&all, "miner-started").len(), of(&all, "miner-stopped").len())
    };
    controller.start_with(&["--listen", &listen, "--api", &api]);
    until("both are told", || told(&controller) == (1, 1));
    // And again after a crash.
    controller.kill();
    controller.start_with(&["--listen", &listen, "--api", &api]);
    until("linked", || controller.peer("rig-alpha")["connected"] == true);
    rig.cli(&["miner", "start", "--profile", "own"]).ok();
    until("the next one", || told(&controller).0 == 2);
    assert_eq!(told(&controller), (2, 1));
}

#[test]
fn a_frozen_miner_is_killed_and_started_again() {
    let (controller, rig) = pair();
    start_simulated(&controller, "demo", &json!({})).ok();
    until("hashing", || miner(&controller)["state"] == "hashing");
    let pid = children(rig.pid())[0];
    // SIGSTOP: SIGTERM will stay pending.
    signal_pid(pid, 19);
    until("it is seen", || miner(&controller)["state"] == "not-hashing");
    let patience = Duration::from_secs(150);
    assert!(within(patience, || !alive(pid)), "the watchdog ends it");
    assert!(within(patience, || miner(&controller)["state"] == "hashing"), "and starts it again");
    assert_eq!(miner(&controller)["restarts"], 1);
    let all = events(&controller);
    let hung = of(&all, "miner-hung");
    assert!(hung.len() == 1 && hung[0]["text"].as_str().unwrap().contains("no answer"), "{all:?}");
}
