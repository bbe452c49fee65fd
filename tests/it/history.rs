//! History between real daemons: what a rig mined while its controller was away is in the controller's charts too.
use serde_json::{Value, json};

use super::node::{Node, miner, pair, start_simulated, until};

/// The readings of a node's mining.db, each as a row: written there first.
fn rows(node: &Node, rig: &str) -> Vec<Vec<rusqlite::types::Value>> {
    // Whoever looks has what waits written, at most every ten seconds.
    let (status, _) = node.rest("GET", "/history/status", None);
    assert_eq!(status, 200);
    let file = node.home().join("mining.db");
    if !file.exists() {
        return Vec::new();
    }
    let db = rusqlite::Connection::open(file).unwrap();
    let sql = "SELECT ts, miner, algorithm, hashrate, accepted, rejected, work, temperature, power
               FROM raw JOIN series ON id = series WHERE hex(node) = upper(?1) ORDER BY ts, miner";
    let Ok(mut select) = db.prepare(sql) else { return Vec::new() };
    let rows = select.query_map([rig], |row| (0..9).map(|i| row.get(i)).collect()).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

fn point_with_rate(chart: &Value) -> bool {
    let points = chart["series"][0]["points"].as_array();
    points.is_some_and(|points| {
        points.iter().any(|p| p["hashrate"].as_f64().is_some_and(|h| h > 0.0))
    })
}

#[test]
fn what_was_mined_while_the_controller_was_away_is_there_when_it_is_back() {
    let (mut controller, rig) = pair();
    drop(start_simulated(&controller, "demo", &json!({"shareEvery": 1.0, "warmup": 0.5})));
    let id = rig.id();
    until("the first readings are at the controller", || !rows(&controller, &id).is_empty());
    // The controller dies with what it had not written; the rig mines on.
    controller.kill();
    let before = rows(&rig, &id).len();
    until("the rig has mined alone", || rows(&rig, &id).len() >= before + 2);
    controller.start();
    until("the link is back", || controller.state("rig-alpha") == "hashing");
    let alone = rows(&rig, &id);
    until("the controller has all that the rig has", || {
        let got = rows(&controller, &id);
        alone.iter().all(|row| got.contains(row))
    });
    // The same through REST on both sides, and at the command line.
    let name = miner(&controller)["name"].as_str().unwrap().to_owned();
    until("both charts show it", || {
        let there = controller.rest("GET", "/history/totals?since=1h&peer=rig-alpha", None).1;
        let here = rig.rest("GET", "/history/totals?since=1h", None).1;
        point_with_rate(&there) && point_with_rate(&here)
    });
    let (status, summary) =
        controller.rest("GET", &format!("/history/miners/{name}?peer=rig-alpha"), None);
    assert_eq!((status, &summary["peer"]), (200, &json!("rig-alpha")), "{summary}");
    assert_eq!(
        controller.rest("GET", &format!("/history/miners/{name}"), None).0,
        404,
        "not of its own"
    );
    assert_eq!(controller.rest("GET", "/history/totals?peer=nobody", None).0, 404);
    for wrong in ["points=1", "points=2001", "since=yesterday", "since=1h&until=2h"] {
        let (status, fault) = controller.rest("GET", &format!("/history/totals?{wrong}"), None);
        assert_eq!((status, &fault["code"]), (400, &json!("INVALID")), "{wrong}: {fault}");
    }
    let plot = controller.cli(&["history", "rig-alpha", "--since", "1h"]).ok();
    assert!(plot.starts_with("rx/0, 1 rig: ") && plot.contains("effective"), "{plot}");
    let csv =
        controller.cli(&["history", "rig-alpha", "--miner", &name, "--since", "1h", "--csv"]).ok();
    assert!(csv.starts_with("time,hashrate,min,max,effective\n") && csv.contains("Z,"), "{csv}");
    assert_eq!(controller.cli(&["history", "--miner", "nothing-1"]).code, 4);
}
