//! The verbs against a scripted daemon: what they ask, print and end with.
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use super::client::BASE;
use super::prepass::Environment;
use crate::config::Paths;
use crate::model::key::PublicKey;
use daemon::{Daemon, home, run_at, run_with};

mod daemon;
mod history;
mod many;
mod service;

fn fault(code: &str) -> Value {
    json!({"error": format!("it says {code}"), "code": code, "hint": "do this"})
}

fn peer(name: &str, state: &str) -> Value {
    let key = PublicKey([9; 32]);
    json!({"id": key.node_id(), "name": name, "publicKey": key, "fingerprint": key.fingerprint(),
        "address": "10.0.0.7:9091", "role": null, "addedAt": "2026-01-01T00:00:00.000Z", "lastSeen": null,
        "pingMs": null, "score": null, "connected": state == "hashing", "state": state, "reason": null,
        "labels": {}, "version": null})
}

fn stats(name: &str, state: &str) -> Value {
    json!({"nodeId": PublicKey([9; 32]).node_id(), "nodeName": name, "state": state,
        "unreachableSince": if state == "unreachable" { json!("2026-01-01T00:01:00.000Z") } else { Value::Null },
        "asOf": "2026-01-01T00:00:00.000Z", "uptime": 100, "version": "0.1.0", "miners": [
            {"name": "xmrig-1", "type": "xmrig", "state": "hashing", "algorithm": "rx/0",
             "hashrate": {"now": 12500.0}, "accepted": 12, "rejected": null, "uptime": 61,
             "pool": {"url": "pool.example:3333\u{1b}[2J"}, "reason": "fine \u{1b}]0;x\u{7}so far"}]})
}

fn info(id: &PublicKey) -> Value {
    json!({"hasIdentity": true, "identity": {"id": id.node_id(), "name": "me", "role": "controller",
        "publicKey": id, "fingerprint": id.fingerprint(), "signingKey": id,
        "createdAt": "2026-01-01T00:00:00.000Z"}, "registeredPeers": 1, "connectedPeers": 0,
        "version": "0.1.0", "uptime": 5, "listen": "127.0.0.1:9091", "api": "127.0.0.1:9090"})
}

#[test]
fn faults_of_the_daemon_become_exit_codes() {
    for (code, exit) in [
        ("PEER_NOT_FOUND", 4),
        ("AMBIGUOUS", 4),
        ("PEER_UNREACHABLE", 5),
        ("TIMEOUT", 5),
        ("POLICY", 6),
        ("NOT_ALLOWED", 6),
        ("RIG_FAILED", 1),
        ("A_CODE_OF_TOMORROW", 1),
    ] {
        let daemon = Daemon::new(&[("POST /remote/rig-1/stop", 400, fault(code))]);
        let (got, out, err) = daemon.run("remote stop rig-1");
        assert_eq!((got, out.as_str()), (exit, ""), "{code}");
        assert_eq!(err, format!("error: it says {code}\nhint: do this\n"));
        assert_eq!(daemon.run("api POST /remote/rig-1/stop {}").0, exit, "api, {code}");
    }
}

#[test]
fn a_daemon_that_does_not_answer_is_exit_3() {
    let home = home();
    let (exit, _, err) =
        run_with(Environment::default(), &format!("peer list --home {}", home.display()));
    assert_eq!(exit, 3);
    assert!(err.starts_with("error: the daemon does not answer"), "{err}");
    assert!(
        err.contains(&format!("hint: start it: miner-cli --home {} node serve", home.display())),
        "{err}"
    );
    std::fs::remove_dir_all(&home).unwrap();

    // A run file that a killed daemon left behind.
    let daemon = Daemon::new(&[]);
    let paths = Paths::resolve(Some(&daemon.home)).unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let run = std::fs::read_to_string(paths.run_file()).unwrap().replace(&daemon.address, &free);
    std::fs::write(paths.run_file(), run).unwrap();
    let (exit, _, err) = daemon.run("peer list");
    assert!(
        exit == 3 && err.contains(&format!("does not answer at http://{free}")),
        "{exit} {err}"
    );
}

#[test]
fn a_wrong_call_is_exit_2_and_asks_nothing() {
    let daemon = Daemon::new(&[]);
    for line in [
        "",
        "peer",
        "peer fly",
        "peer add --address 1.2.3.4:9091",
        "remote start --profile p",
        "remote start a --all --profile p",
        "remote start a --label site=garage --profile p",
        "remote start --all --label site=garage --profile p",
        "remote start --label site --profile p",
        "remote start --label Site=x --profile p",
        "remote start --all",
        "remote start --all --profile p --max-parallel 0",
        "remote deploy --all --profile p --max-parallel 25",
        "remote start --all=yes --profile p",
        "remote stop",
        "remote stop rig-1 --all",
        "peer label",
        "peer label rig-1 site",
        "peer label rig-1 Site=garage",
        "remote stop a b c",
        "remote logs r m --lines 0",
        "remote logs r m --lines 10001",
        "remote logs r m --follow --previous",
        "node invite --expires soon",
        "node invite --expires 0s",
        "node init --name x --role boss",
        "peer ping rig-1 --count 0",
        "api GET /a\u{301}",
        "demo --rigs 0",
        "--home",
        "peer list --api wss://127.0.0.1:1",
        "peer list --api-ca",
        "peer add --name x --address wss://a:1 --tls-ca /no/such/file",
        "history a b",
        "history --csv --json",
        "history --since",
        "audit a b",
        "audit --lines 0",
        "events --lines 0",
    ] {
        let (exit, out, err) = daemon.run(line);
        assert_eq!((exit, out.as_str()), (2, ""), "{line}: {err}");
        assert!(err.starts_with("error: "), "{line}: {err}");
    }
    assert!(daemon.lines().is_empty());
}

#[test]
fn help_and_version_go_to_stdout() {
    for line in ["--help", "-h", "help", "peer --help", "remote start help", "node serve -h"] {
        let (exit, out, err) = run_with(Environment::default(), line);
        assert!(exit == 0 && out.contains("Usage: miner-cli") && err.is_empty(), "{line}: {err}");
    }
    assert!(!run_with(Environment::default(), "--help").1.contains("simulate-miner"));
    let version = format!("miner-cli {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(run_with(Environment::default(), "-V"), (0, version, String::new()));
}

#[test]
fn the_token_is_sent_and_never_to_strangers() {
    let daemon = Daemon::new(&[("GET /peers", 200, json!([]))]);
    assert_eq!(daemon.run("peer list").0, 0);
    assert!(daemon.seen()[0].head.contains("Authorization: Bearer secret-token\r\n"));

    // Another address than this home's own daemon: its token is not sent there.
    let other = Daemon::new(&[("GET /peers", 200, json!([]))]);
    let (exit, _, err) = daemon.run(&format!("peer list --api {}", other.address));
    assert!(exit == 1 && err.contains("--token-file") && other.lines().is_empty(), "{err}");
    let file = Paths::resolve(Some(&other.home)).unwrap().token_file();
    let line = format!("peer list --api http://{} --token-file {}", other.address, file.display());
    assert_eq!(daemon.run(&line).0, 0);
    let environment = Environment { token: Some("from-env".to_owned()), ..Environment::default() };
    assert_eq!(run_with(environment, &format!("--api={} peer list", other.address)).0, 0);
    assert!(other.seen()[1].head.contains("Bearer from-env\r\n"));

    let (exit, _, err) = daemon.run("peer list --token-file /does/not/exist");
    assert!(exit == 1 && err.contains("/does/not/exist"), "{err}");
}

#[test]
fn peers_are_listed_in_both_forms() {
    let rows = json!([peer("rig-a", "hashing"), peer("new\u{9b}31m", "pairing-request")]);
    let daemon = Daemon::new(&[("GET /peers", 200, rows.clone())]);
    let (exit, out, err) = daemon.run("peer list");
    assert_eq!(exit, 0);
    assert!(
        out.contains("pairing-request") && out.contains("never") && !out.contains('\u{9b}'),
        "{out}"
    );
    assert!(err.contains("peer approve"), "{err}");
    let (exit, out, _) = daemon.run("--json peer list");
    assert_eq!((exit, serde_json::from_str::<Value>(&out).unwrap()), (0, rows));
    assert!(!out.contains('\u{9b}'), "{out}");
}

#[test]
fn an_unapproved_peer_comes_with_the_command_to_type_there() {
    let (me, them) = (PublicKey([1; 32]), PublicKey([9; 32]));
    let daemon = Daemon::new(&[
        ("POST /peers", 201, peer("rig-a", "awaiting-approval")),
        ("GET /node/info", 200, info(&me)),
    ]);
    let (exit, out, _) =
        daemon.run("peer add --address 10.0.0.7:9091 --name rig-a --invite CODE --key KEY");
    assert_eq!(exit, 0);
    assert!(out.contains(&them.fingerprint()), "{out}");
    assert!(out.contains(&format!("miner-cli peer approve {}", me.node_id())), "{out}");
    let wanted =
        json!({"address": "10.0.0.7:9091", "name": "rig-a", "invite": "CODE", "publicKey": "KEY"});
    assert_eq!(daemon.seen()[0].body, wanted);
}

#[test]
fn pings_are_counted() {
    let daemon = Daemon::new(&[
        ("POST /peers/rig-a/ping", 200, json!({"pingMs": 1.5})),
        ("POST /peers/gone/ping", 504, fault("TIMEOUT")),
        ("POST /peers/none/ping", 404, fault("PEER_NOT_FOUND")),
    ]);
    let (exit, out, _) = daemon.run("peer ping rig-a --count 3");
    assert_eq!(exit, 0);
    assert!(out.ends_with("3 sent, 0 lost, min/avg/max 1.50/1.50/1.50 ms\n"), "{out}");
    assert_eq!(daemon.lines().len(), 3);
    let (exit, out, _) = daemon.run("peer ping gone --count=2 --json");
    assert_eq!(exit, 5);
    assert_eq!(serde_json::from_str::<Value>(&out).unwrap()["pingMs"], json!([null, null]));
    assert_eq!(daemon.run("peer ping none").0, 4);
    assert_eq!(daemon.lines().len(), 6, "an unknown peer is asked for once");
}

#[test]
fn all_rigs_are_listed_with_totals_and_exit_0() {
    let mut gone = stats("rig-b", "unreachable");
    gone["nodeId"] = json!(PublicKey([8; 32]).node_id());
    let totals = json!({"algorithms": [{"algorithm": "rx/0", "hashrate": 12500.0, "rigs": 1, "miners": 1,
        "simulated": 1}], "rigs": {"total": 2, "hashing": 1, "degraded": 0, "notHashing": 0, "crashLoop": 0,
        "idle": 0, "unreachable": 1, "awaitingApproval": 0}, "accepted": 12, "rejected": 0});
    let daemon = Daemon::new(&[
        ("GET /remote/stats", 200, json!({"b": gone, "a": stats("rig-a", "hashing")})),
        ("GET /remote/totals", 200, totals),
    ]);
    let (exit, out, err) = daemon.run("remote status");
    assert_eq!((exit, err.as_str()), (0, ""));
    let row = |name: &str| out.lines().find(|l| l.starts_with(name)).unwrap().to_owned();
    assert!(row("rig-a").contains("12.50 kH/s rx/0") && row("rig-a").contains(" 1/1 "), "{out}");
    // The last figures of a rig that is gone are not told as if they were true now.
    assert!(row("rig-b").contains("unreachable") && !row("rig-b").contains("kH/s"), "{out}");
    assert!(out.contains("rx/0: 12.50 kH/s (simulated)"), "{out}");
}

#[test]
fn one_rig_is_shown_and_an_unreachable_one_with_its_last_figures() {
    let id = PublicKey([9; 32]).node_id().to_string();
    let daemon = Daemon::new(&[
        ("GET /remote/rig-a/stats", 200, stats("rig-a", "hashing")),
        ("GET /remote/gone/stats", 504, fault("PEER_UNREACHABLE")),
        ("GET /peers/gone", 200, peer("gone", "unreachable")),
        ("GET /remote/stats", 200, json!({ id: stats("gone", "unreachable") })),
        ("GET /remote/none/stats", 404, fault("PEER_NOT_FOUND")),
    ]);
    let (exit, out, _) = daemon.run("remote status rig-a");
    assert_eq!(exit, 0);
    assert!(
        out.contains("xmrig-1: fine ]0;xso far") && !out.contains(['\u{1b}', '\u{7}']),
        "{out}"
    );
    assert!(out.contains("12.50 kH/s") && out.contains("1m 1s"), "{out}");
    let (exit, out, err) = daemon.run("remote status gone");
    assert_eq!(exit, 5);
    let mark = "as of 2026-01-01T00:00:00.000Z (unreachable since 2026-01-01T00:01:00.000Z)";
    assert!(out.contains(mark) && out.contains("12.50 kH/s"), "{out}");
    assert!(err.contains("PEER_UNREACHABLE"), "{err}");
    let (exit, out, _) = daemon.run("remote status gone --json");
    assert_eq!(
        (exit, &serde_json::from_str::<Value>(&out).unwrap()["state"]),
        (5, &json!("unreachable"))
    );
    assert_eq!(daemon.run("remote status none").0, 4);
}

#[test]
fn one_rig_that_is_named_ends_with_its_own_code() {
    let daemon = Daemon::new(&[
        ("POST /remote/a/start", 200, json!({"status": "miner started", "minerName": "xmrig-1"})),
        ("POST /remote/b/start", 403, fault("POLICY")),
        ("POST /remote/a/deploy", 200, json!({"status": "deployed"})),
    ]);
    let (exit, out, err) = daemon.run("remote start a --profile p");
    assert_eq!((exit, out.as_str(), err.as_str()), (0, "a: miner started: xmrig-1\n", ""));
    assert_eq!(daemon.seen()[0].body, json!({"profileId": "p"}));
    let (exit, out, err) = daemon.run("remote start b --profile p");
    assert_eq!((exit, out.as_str()), (6, ""));
    assert_eq!(err, "error: it says POLICY\nhint: do this\n");
    let (_, out, _) = daemon.run("remote start a --profile p --json");
    let rows: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(rows, json!([{"peer": "a", "status": "miner started", "minerName": "xmrig-1"}]));
    assert_eq!(daemon.run("remote deploy a --profile p").1, "a: profile p deployed\n");
    assert_eq!(daemon.lines().len(), 4, "nothing else was asked");
}

#[test]
fn a_stop_that_still_goes_on_says_so() {
    let stopping = json!({"status": "stopping", "miners": ["xmrig-1"]});
    let daemon = Daemon::new(&[
        ("POST /remote/a/stop", 200, stopping.clone()),
        (
            "POST /remote/a/restart",
            200,
            json!({"status": "restarted", "miners": ["xmrig-1", "xmrig-2"]}),
        ),
        ("DELETE /miners/xmrig-1", 200, stopping),
    ]);
    let (exit, out, _) = daemon.run("remote stop a xmrig-1");
    assert!(
        exit == 0 && out.contains("60 s") && out.contains("miner-cli remote status a"),
        "{out}"
    );
    assert_eq!(daemon.seen()[0].body, json!({"minerName": "xmrig-1"}));
    assert_eq!(daemon.run("remote restart a").1, "a: xmrig-1, xmrig-2: restarted\n");
    assert_eq!(daemon.seen()[1].body, json!({}));
    assert!(daemon.run("miner stop xmrig-1").1.contains("miner-cli miner list"));
}

#[test]
fn logs_reach_the_terminal_clean() {
    let end = |code: &str, reason: &str| {
        let end = json!({"code": code, "reason": reason});
        json!(format!("data: \"one\"\n\nevent: end\ndata: {end}\n\n"))
    };
    let daemon = Daemon::new(&[
        ("GET /remote/a/logs/m?lines=100&previous=false", 200, json!(["x\u{1b}[2J\ty", "z"])),
        ("GET /remote/a/logs/m?lines=5&previous=true", 200, json!(["old"])),
        ("GET /remote/a/logs/m/stream?lines=100", 200, end("STOPPED", "it has ended")),
        (
            "GET /remote/gone/logs/m/stream?lines=100",
            200,
            end("LINK_LOST", "the miner was stopped"),
        ),
        ("GET /remote/none/logs/m/stream?lines=100", 404, fault("PEER_NOT_FOUND")),
    ]);
    assert_eq!(daemon.run("remote logs a m"), (0, "x[2J    y\nz\n".to_owned(), String::new()));
    assert_eq!(daemon.run("remote logs a m --lines 5 --previous").1, "old\n");
    let (exit, out, err) = daemon.run("remote logs a m --follow");
    assert_eq!((exit, out.as_str(), err.as_str()), (0, "one\n", "(it has ended)\n"));
    let (exit, out, err) = daemon.run("remote logs gone m --follow");
    assert_eq!((exit, out.as_str()), (5, "one\n"));
    assert!(err.contains("cut off") && err.contains("the miner was stopped"), "{err}");
    assert_eq!(daemon.run("remote logs none m --follow").0, 4);
}

#[test]
fn profiles_are_read_from_files() {
    let wrong = json!({"error": "config.pool: no port; config.wallet: missing", "code": "INVALID"});
    let daemon = Daemon::new(&[
        (
            "POST /profiles",
            201,
            json!({"id": "home-rx", "name": "home-rx", "minerType": "xmrig", "config": {}}),
        ),
        ("PUT /profiles/home-rx", 400, wrong),
    ]);
    let file = daemon.home.join("home-rx.json");
    std::fs::write(&file, r#"{"minerType":"xmrig","config":{"pool":"p:1"}}"#).unwrap();
    let (exit, out, _) = daemon.run(&format!("profile add {}", file.display()));
    assert_eq!((exit, out.as_str()), (0, "Added profile home-rx (home-rx).\n"));
    assert_eq!(daemon.seen()[0].body["name"], json!("home-rx"), "named after its file");

    std::fs::write(&file, r#"{"name":"n","minerType":"xmrig"}"#).unwrap();
    let (exit, _, err) = daemon.run(&format!("profile edit home-rx {}", file.display()));
    let lines = "error: config.pool: no port\n  config.wallet: missing\n";
    assert_eq!((exit, err.as_str()), (1, lines));

    std::fs::write(&file, "{\n  \"minerType\": \"xmrig\",\n  \"pol\": 1\n}").unwrap();
    let (exit, _, err) = daemon.run(&format!("profile add {}", file.display()));
    assert!(exit == 1 && err.contains("line 3 column 7") && err.contains("home-rx.json"), "{err}");
    assert_eq!(daemon.lines().len(), 2);
}

#[test]
fn init_and_info_work_without_a_daemon_and_through_one() {
    let home = home();
    let (exit, out, _) = run_at(&home, "node info");
    assert!(exit == 0 && out.contains("no identity yet"), "{out}");
    let (exit, out, _) = run_at(&home, "node init --name rig-1 --role worker --json");
    let card: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((exit, &card["name"], &card["role"]), (0, &json!("rig-1"), &json!("worker")));
    let (_, out, _) = run_at(&home, "node info --json");
    let told: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&told["identity"]["id"], &told["uptime"]), (&card["id"], &Value::Null));
    let (exit, _, err) = run_at(&home, "node init --name again");
    assert!(exit == 1 && err.starts_with("error: "), "{err}");
    std::fs::remove_dir_all(&home).unwrap();

    let me = info(&PublicKey([1; 32]));
    let daemon = Daemon::new(&[
        ("GET /health", 200, json!({"status": "healthy"})),
        ("POST /node/init", 200, me["identity"].clone()),
        ("GET /node/info", 200, me),
    ]);
    assert_eq!(daemon.run("node init --name me").0, 0);
    assert!(
        daemon.lines().contains(&"POST /node/init".to_owned()),
        "a running daemon makes it itself"
    );
    assert!(daemon.run("node info").1.contains("1 registered, 0 connected"));
}

#[test]
fn invites_tokens_and_links_are_printed() {
    let code = "1AAAAA-BBBBBB";
    let made = json!({"id": "ab", "code": code, "uses": 2, "expiresAt": "2026-01-02T00:00:00.000Z",
        "createdAt": "2026-01-01T00:00:00.000Z"});
    let daemon = Daemon::new(&[
        ("POST /node/invites", 201, made),
        ("GET /node/info", 200, info(&PublicKey([1; 32]))),
        ("POST /node/join", 201, peer("boss", "connected")),
    ]);
    let (exit, out, err) = daemon.run("node invite --uses 2 --expires 90m");
    assert_eq!(exit, 0);
    assert!(
        out.starts_with(code)
            && out.contains(&format!("miner-cli node join 127.0.0.1:9091 {code}")),
        "{out}"
    );
    assert_eq!(err, "", "the address is the one it listens on");
    assert_eq!(daemon.seen()[0].body, json!({"uses": 2, "expiresSeconds": 5400}));
    assert_eq!(daemon.run(&format!("node join 10.0.0.1:9091 {code} --name boss")).0, 0);
    assert_eq!(daemon.run("node token").1, "secret-token\n");
    assert_eq!(
        daemon.run("dashboard").1,
        format!("http://{}/#token=secret-token\n", daemon.address)
    );
}

#[test]
fn the_api_verb_passes_bodies_through() {
    let daemon = Daemon::new(&[
        ("GET /peers", 200, json!([])),
        ("PUT /profiles/p", 200, json!({"a": "\u{9b}"})),
    ]);
    assert_eq!(daemon.run("api get peers").1, "[]\n");
    assert_eq!(daemon.run(&format!("api GET {BASE}/peers")).1, "[]\n");
    assert_eq!(daemon.run("api PUT /profiles/p {\"x\":1}").1, "{\"a\":\"\\u009b\"}\n");
    assert_eq!(daemon.seen()[2].body, json!({"x": 1}));
    let (exit, out, _) = daemon.run("api GET /nothing");
    assert!(exit == 1 && out.contains("ROUTE_NOT_FOUND"), "{out}");
}

#[test]
fn the_doctor_tells_problems_from_warnings() {
    let daemon = Daemon::new(&[
        ("GET /health", 200, json!({"status": "healthy"})),
        ("GET /node/info", 200, info(&PublicKey([1; 32]))),
        (
            "GET /miners/available",
            200,
            json!([{"name": "xmrig", "description": "", "installed": true,
            "path": "/opt/xmrig", "version": "6.26.0"}]),
        ),
    ]);
    let paths = Paths::resolve(Some(&daemon.home)).unwrap();
    let private = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(paths.token_file(), private).unwrap();
    let checks = |line| -> (u8, Vec<Value>) {
        let (exit, out, _) = daemon.run(line);
        (exit, serde_json::from_str(&out).unwrap())
    };
    let row =
        |rows: &[Value], check: &str| rows.iter().find(|r| r["check"] == check).unwrap().clone();
    let (_, rows) = checks("doctor --json");
    for check in ["daemon", "token", "P2P port", "miners", "config"] {
        assert_eq!(row(&rows, check)["status"], "ok", "{check}: {rows:?}");
    }
    assert!(row(&rows, "miners")["message"].as_str().unwrap().contains("6.26.0"));

    std::fs::create_dir_all(paths.config_file.parent().unwrap()).unwrap();
    std::fs::write(&paths.config_file, "[miners\n").unwrap();
    let (exit, rows) = checks("doctor --json");
    assert_eq!((exit, &row(&rows, "config")["status"]), (1, &json!("problem")));
    std::fs::remove_file(&paths.config_file).unwrap();
    std::fs::set_permissions(paths.token_file(), std::fs::Permissions::from_mode(0o644)).unwrap();
    let (exit, rows) = checks("doctor --json");
    assert_eq!((exit, &row(&rows, "modes")["status"]), (1, &json!("problem")));
    assert!(daemon.run("doctor").1.contains("problem  modes"));
}
