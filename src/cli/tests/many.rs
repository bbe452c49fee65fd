//! Labels, and one order for many rigs.
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use serde_json::{Value, json};

use super::daemon::{Daemon, home_of, run_at};
use super::{fault, peer};
use crate::model::key::PublicKey;
use crate::sys::thread;

fn rig(number: u8, name: &str, state: &str, labels: &Value) -> Value {
    let mut row = peer(name, state);
    let key = PublicKey([number; 32]);
    row["id"] = json!(key.node_id());
    row["labels"] = labels.clone();
    row["role"] = json!("worker");
    row
}

fn path(number: u8, verb: &str) -> String {
    format!("POST /remote/{}/{verb}", PublicKey([number; 32]).node_id())
}

fn started(miner: &str) -> Value {
    json!({"status": "miner started", "minerName": miner})
}

/// Three rigs of the garage (one gone), one of the attic, and three that are no registered rigs.
fn farm() -> Value {
    let garage = json!({"site": "garage", "gpu": "none"});
    let mut boss = rig(5, "boss", "connected", &garage);
    boss["role"] = json!("controller");
    json!([
        rig(3, "rig-c", "idle", &garage),
        rig(1, "rig-a", "hashing", &garage),
        rig(2, "rig-b", "unreachable", &json!({"site": "garage"})),
        rig(4, "rig-d", "idle", &json!({"site": "attic"})),
        boss,
        rig(6, "new", "pairing-request", &json!({})),
        rig(7, "asked", "awaiting-approval", &garage),
    ])
}

fn daemon() -> Daemon {
    let [a, b, c, d] = [1, 2, 3, 4].map(|number| path(number, "start"));
    let stops = [1, 3].map(|number| path(number, "stop"));
    let stopped = json!({"status": "stopped", "miners": ["xmrig-1"]});
    Daemon::new(&[
        ("GET /peers", 200, farm()),
        ("GET /peers/rig-a", 200, farm()[1].clone()),
        ("GET /peers/a1b2", 200, farm()[1].clone()),
        ("GET /peers/rig-d", 200, farm()[3].clone()),
        ("GET /peers/nobody", 404, fault("PEER_NOT_FOUND")),
        (&a, 200, started("xmrig-1")),
        (&b, 504, fault("PEER_UNREACHABLE")),
        (&c, 200, started("xmrig-2")),
        (&d, 403, fault("POLICY")),
        (&stops[0], 200, stopped),
        (&stops[1], 404, fault("MINER_NOT_FOUND")),
    ])
}

fn posts(daemon: &Daemon) -> usize {
    daemon.lines().iter().filter(|line| !line.starts_with("GET ")).count()
}

#[test]
fn rigs_are_chosen_by_labels_and_have_a_line_each_in_the_order_of_their_names() {
    let daemon = daemon();
    let (exit, out, err) = daemon.run("remote start --label site=garage --profile p");
    assert_eq!(
        (exit, out.as_str()),
        (
            1,
            "rig-a: miner started: xmrig-1\n\
             rig-b: failed: it says PEER_UNREACHABLE\n\
             rig-c: miner started: xmrig-2\n"
        )
    );
    assert_eq!(err, "2 of 3 started, 1 failed\n");
    assert!(daemon.seen().iter().skip(1).all(|seen| seen.body == json!({"profileId": "p"})));

    // All labels must fit.
    let line = "remote start --label site=garage --label=gpu=none --profile p";
    let (exit, out, err) = daemon.run(line);
    assert_eq!((exit, out.lines().count()), (0, 2), "{out}");
    assert_eq!(err, "2 of 2 started\n");
}

#[test]
fn all_means_every_registered_rig_and_no_controller() {
    let daemon = daemon();
    for parallel in ["1", "24"] {
        let (exit, out, err) =
            daemon.run(&format!("remote start --all --profile p --max-parallel {parallel}"));
        let names: Vec<_> = out.lines().filter_map(|line| line.split(':').next()).collect();
        assert_eq!((exit, names), (1, vec!["rig-a", "rig-b", "rig-c", "rig-d"]));
        assert_eq!(err, "2 of 4 started, 2 failed\n");
    }
    let (exit, out, err) = daemon.run("remote start --all --profile p --json");
    let rows: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((exit, rows.as_array().unwrap().len(), err.as_str()), (1, 4, ""));
    let id = PublicKey([1; 32]).node_id();
    let first =
        json!({"peer": "rig-a", "id": id, "status": "miner started", "minerName": "xmrig-1"});
    assert_eq!(rows[0], first);
    assert_eq!((&rows[3]["peer"], &rows[3]["code"]), (&json!("rig-d"), &json!("POLICY")));
}

#[test]
fn a_choice_that_fits_nothing_is_exit_4_and_a_single_rig_has_its_own_code() {
    let daemon = daemon();
    let (exit, out, err) = daemon.run("remote stop --label site=moon");
    assert_eq!((exit, out.as_str(), posts(&daemon)), (4, "", 0));
    assert!(err.contains("site=moon"), "{err}");
    let (exit, out, _) = daemon.run("remote start --label site=attic --profile p");
    assert_eq!((exit, out.as_str()), (6, "rig-d: failed: it says POLICY\n"));
    let empty = Daemon::new(&[("GET /peers", 200, json!([]))]);
    assert_eq!(empty.run("remote restart --all").0, 4);
}

#[test]
fn a_dry_run_asks_for_nothing() {
    let daemon = daemon();
    let (exit, out, err) = daemon.run("remote stop --label site=garage --dry-run --miner xmrig-1");
    assert_eq!(
        (exit, out.as_str()),
        (
            0,
            "rig-a: would stop xmrig-1\n\
             rig-b: would stop xmrig-1 (unreachable)\n\
             rig-c: would stop xmrig-1\n"
        )
    );
    assert_eq!(err, "dry run: nothing was done\n");
    assert_eq!(
        daemon.run("remote start rig-a --profile p --dry-run").1,
        "rig-a: would start profile p\n"
    );
    assert_eq!(daemon.run("remote restart nobody --dry-run").0, 4);
    let (_, out, _) = daemon.run("remote deploy --all --profile p --dry-run --json");
    let rows: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&rows[1]["peer"], &rows[1]["would"]), (&json!("rig-b"), &json!("deploy")));
    assert_eq!((rows.as_array().unwrap().len(), posts(&daemon)), (4, 0));
}

#[test]
fn several_names_are_looked_up_and_one_that_is_wrong_keeps_no_other_back() {
    let daemon = daemon();
    let (exit, out, err) = daemon.run("remote start rig-d nobody rig-a a1b2 --profile p");
    assert_eq!(
        (exit, out.as_str()),
        (
            1,
            "nobody: failed: it says PEER_NOT_FOUND\n\
             rig-a: miner started: xmrig-1\n\
             rig-d: failed: it says POLICY\n"
        ),
        "a rig that is named twice is asked once"
    );
    assert_eq!((err.as_str(), posts(&daemon)), ("1 of 3 started, 2 failed\n", 2));
}

#[test]
fn miners_of_many_rigs_are_stopped_by_name_or_all() {
    let daemon = daemon();
    let (exit, out, err) = daemon.run("remote stop --label gpu=none");
    assert_eq!(
        (exit, out.as_str()),
        (1, "rig-a: xmrig-1: stopped\nrig-c: failed: it says MINER_NOT_FOUND\n")
    );
    assert_eq!(err, "1 of 2 stopped, 1 failed\n");
    assert!(daemon.seen()[1..].iter().all(|seen| seen.body == json!({})));
    daemon.run("remote stop --label gpu=none --miner xmrig-1");
    assert_eq!(daemon.seen().last().unwrap().body, json!({"minerName": "xmrig-1"}));
    daemon.run("remote stop rig-a nobody --miner xmrig-1");
    assert_eq!(daemon.lines().last().unwrap(), &path(1, "stop"), "with --miner all are rigs");
}

#[test]
fn labels_are_changed_from_what_they_are_and_printed() {
    let row = |labels: Value| rig(1, "rig-a", "idle", &labels);
    let put = format!("PUT /peers/{}/labels", PublicKey([1; 32]).node_id());
    let daemon = Daemon::new(&[
        ("GET /peers/rig-a", 200, row(json!({"site": "garage", "old": "1", "gone": "2"}))),
        ("GET /peers/bare", 200, row(json!({}))),
        (&put, 200, row(json!({"site": "attic", "gpu": "none"}))),
    ]);
    let (exit, out, _) = daemon.run("peer label rig-a site=attic gpu=none old= gone-");
    assert_eq!((exit, out.as_str()), (0, "rig-a: gpu=none site=attic\n"));
    assert_eq!(daemon.seen()[1].body, json!({"site": "attic", "gpu": "none"}));
    let (_, out, _) = daemon.run("peer label rig-a");
    assert_eq!(out, "rig-a: gone=2 old=1 site=garage\n");
    assert_eq!(daemon.run("peer label bare").1, "rig-a: no labels\n");
    let (_, out, _) = daemon.run("peer label rig-a --json");
    let printed: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(printed, json!({"site": "garage", "old": "1", "gone": "2"}));
    assert_eq!(daemon.lines().len(), 5, "printing changes nothing");
}

/// The next connection and the line of its request.
fn accept(listener: &TcpListener) -> (TcpStream, String) {
    request(listener.accept().unwrap().0)
}

fn request(mut stream: TcpStream) -> (TcpStream, String) {
    let mut bytes = [0; 4096];
    let mut read = 0;
    while !bytes[..read].windows(4).any(|w| w == b"\r\n\r\n") {
        read += stream.read(&mut bytes[read..]).unwrap();
    }
    let text = String::from_utf8_lossy(&bytes[..read]).into_owned();
    (stream, text.lines().next().unwrap_or_default().to_owned())
}

fn answer((mut stream, _): (TcpStream, String), body: &Value) {
    let body = body.to_string();
    write!(stream, "HTTP/1.1 200 X\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
}

#[test]
fn rigs_are_asked_side_by_side_within_the_bound_and_printed_in_order() {
    const RIGS: u8 = 12;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let home = home_of(&listener.local_addr().unwrap().to_string());
    let daemon = thread::spawn("test-daemon", move || {
        let row = |n| rig(n, &format!("rig-{n:02}"), "idle", &json!({}));
        answer(accept(&listener), &json!((1..=RIGS).map(row).collect::<Vec<_>>()));
        // Three at once, and another only when one of them is answered; the first is answered last.
        let mut open: Vec<_> = (0..3).map(|_| accept(&listener)).collect();
        open.sort_by_key(|(_, line)| !line.contains(&PublicKey([1; 32]).node_id().to_string()));
        let mut too_many = 0;
        for _ in 3..RIGS {
            listener.set_nonblocking(true).unwrap();
            let early = listener.accept().ok();
            listener.set_nonblocking(false).unwrap();
            too_many += usize::from(early.is_some());
            answer(open.remove(2), &started("m"));
            open.push(early.map_or_else(|| accept(&listener), |(stream, _)| request(stream)));
        }
        for one in open.into_iter().rev() {
            answer(one, &started("m"));
        }
        too_many
    });
    let (exit, out, err) = run_at(&home, "remote start --all --profile p --max-parallel 3");
    assert_eq!(daemon.unwrap().join().unwrap(), 0, "no more than three at once");
    let lines: String = (1..=RIGS).map(|n| format!("rig-{n:02}: miner started: m\n")).collect();
    assert_eq!((exit, out, err.as_str()), (0, lines, "12 of 12 started\n"));
    std::fs::remove_dir_all(home).unwrap();
}
