//! REST as INTERFACES promises it: each route's answer, and each error status once.
use serde_json::{Value, json};

use super::node::{Node, miner, pair, start_simulated, until};

fn has(value: &Value, keys: &[&str]) {
    for key in keys {
        assert!(value.get(key).is_some(), "{key} is missing: {value}");
    }
}

#[test]
fn node_and_peer_routes_answer_as_written() {
    let (controller, rig) = pair();
    let (status, health) = controller.raw("GET", "/health", "", None);
    assert_eq!((status, health.as_str()), (200, r#"{"status":"healthy"}"#));
    assert_eq!(controller.raw("GET", "/api/v1/mining/health", "", None).0, 200);

    let (status, info) = controller.rest("GET", "/node/info", None);
    assert_eq!(status, 200);
    has(
        &info,
        &[
            "hasIdentity",
            "identity",
            "registeredPeers",
            "connectedPeers",
            "version",
            "uptime",
            "listen",
            "api",
        ],
    );
    has(&info["identity"], &["id", "name", "publicKey", "fingerprint", "role", "createdAt"]);
    assert_eq!((&info["registeredPeers"], &info["connectedPeers"]), (&json!(1), &json!(1)));

    let (status, peers) = controller.rest("GET", "/peers", None);
    assert_eq!(status, 200);
    let keys = [
        "id",
        "name",
        "publicKey",
        "fingerprint",
        "address",
        "role",
        "addedAt",
        "lastSeen",
        "pingMs",
        "score",
        "connected",
        "state",
        "labels",
        "version",
    ];
    has(&peers[0], &keys);
    let id = rig.id();
    for name in ["rig-alpha", &id, &id[..6]] {
        assert_eq!(
            controller.rest("GET", &format!("/peers/{name}"), None).1["id"],
            Value::from(id.clone())
        );
    }
    let (status, ping) = controller.rest("POST", "/peers/rig-alpha/ping", None);
    assert!(status == 200 && ping["pingMs"].as_f64().is_some(), "{ping}");

    let (status, invite) =
        controller.rest("POST", "/node/invites", Some(&json!({"uses": 2, "expiresSeconds": 60})));
    assert_eq!(status, 201);
    has(&invite, &["id", "code", "uses", "expiresAt"]);
    let (_, invites) = controller.rest("GET", "/node/invites", None);
    assert!(invites[0].get("code").is_none(), "a code is shown once: {invites}");
    let path = format!("/node/invites/{}", invite["id"].as_str().unwrap());
    assert_eq!(controller.rest("DELETE", &path, None).0, 200);
    assert_eq!(controller.rest("DELETE", &path, None).0, 404);
    let (status, removed) = controller.rest("DELETE", "/peers/rig-alpha", None);
    assert_eq!((status, removed), (200, json!({"status": "peer removed"})));
}

#[test]
fn remote_routes_answer_as_written() {
    let (controller, rig) = pair();
    start_simulated(&controller, "demo", &json!({})).ok();
    until("hashing", || controller.state("rig-alpha") == "hashing");
    let (status, all) = controller.rest("GET", "/remote/stats", None);
    assert_eq!(status, 200);
    let stats = &all[rig.id()];
    has(
        stats,
        &[
            "nodeId",
            "nodeName",
            "state",
            "asOf",
            "uptime",
            "version",
            "load",
            "memory",
            "temperature",
            "miners",
        ],
    );
    let keys = [
        "name",
        "type",
        "simulated",
        "state",
        "reason",
        "profileId",
        "algorithm",
        "hashrate",
        "accepted",
        "rejected",
        "stale",
        "invalid",
        "lastShareAt",
        "difficulty",
        "pool",
        "uptime",
        "restarts",
        "threads",
        "hugePages",
        "power",
        "devices",
    ];
    has(&stats["miners"][0], &keys);
    has(&stats["miners"][0]["hashrate"], &["now", "minute", "quarter", "highest"]);
    has(&stats["miners"][0]["pool"], &["url", "connected", "pingMs"]);
    assert_eq!(controller.rest("GET", "/remote/rig-alpha/stats", None).1["nodeName"], "rig-alpha");

    let (_, totals) = controller.rest("GET", "/remote/totals", None);
    has(&totals, &["algorithms", "rigs", "accepted", "rejected"]);
    assert_eq!((&totals["rigs"]["hashing"], &totals["rigs"]["total"]), (&json!(1), &json!(1)));
    has(&totals["algorithms"][0], &["algorithm", "hashrate", "rigs", "miners"]);

    let (status, lines) =
        controller.rest("GET", "/remote/rig-alpha/logs/simulated-1?lines=5", None);
    assert!(
        status == 200 && lines.as_array().is_some_and(|l| l.len() <= 5 && !l.is_empty()),
        "{lines}"
    );
    let (status, restarted) = controller.rest(
        "POST",
        "/remote/rig-alpha/restart",
        Some(&json!({"minerName": "simulated-1"})),
    );
    assert_eq!(status, 200, "{restarted}");
    has(&restarted, &["status", "miners"]);
    let (status, deployed) =
        controller.rest("POST", "/remote/rig-alpha/deploy", Some(&json!({"profileId": "demo"})));
    assert_eq!(status, 200, "{deployed}");
    let (status, stopped) = controller.rest("POST", "/remote/rig-alpha/stop", Some(&json!({})));
    assert_eq!((status, &stopped["miners"]), (200, &json!(["simulated-1"])));
    let (status, started) =
        controller.rest("POST", "/remote/rig-alpha/start", Some(&json!({"profileId": "demo"})));
    assert_eq!(
        (status, started),
        (200, json!({"status": "miner started", "minerName": "simulated-2"}))
    );
    assert_eq!(miner(&controller)["profileId"], "demo");
}

#[test]
fn profile_routes_answer_as_written() {
    let node = Node::serve("one", "dual");
    let profile = json!({"name": "My XMR", "minerType": "xmrig",
        "config": {"pool": "pool.example:3333", "wallet": "48w", "password": "hunter2"}});
    let (status, added) = node.rest("POST", "/profiles", Some(&profile));
    assert_eq!((status, added["id"].as_str()), (201, Some("my-xmr")), "{added}");
    assert_eq!(node.rest("POST", "/profiles", Some(&profile)).0, 409);
    let (_, shown) = node.rest("GET", "/profiles/my-xmr", None);
    assert_eq!(shown["config"]["password"], "***");
    assert!(!node.rest("GET", "/profiles", None).1.to_string().contains("hunter2"));
    assert!(
        shown["config"].get("hugePages").is_none(),
        "what was left out stays left out: {shown}"
    );
    let mut edited = shown.clone();
    edited["config"]["threads"] = json!(2);
    assert_eq!(node.rest("PUT", "/profiles/my-xmr", Some(&edited)).0, 200);
    let (status, fault) = node.rest("POST", "/profiles/my-xmr/start", None);
    assert!(
        status == 500 && fault["code"] == "START_FAILED" && fault["error"].is_string(),
        "{fault}"
    );

    let wrong = json!({"name": "x", "minerType": "xmrig", "config": {"pool": "nowhere", "wallet": "w",
        "cliArgs": ["--http-port=1"]}});
    let (status, fault) = node.rest("POST", "/profiles", Some(&wrong));
    assert_eq!(status, 400);
    let text = fault["error"].as_str().unwrap();
    assert!(text.contains("config.pool") && text.contains("--http-port"), "{text}");
    assert_eq!(node.rest("DELETE", "/profiles/my-xmr", None).0, 200);
    assert_eq!(node.rest("GET", "/profiles/my-xmr", None).0, 404);
}

#[test]
fn each_error_status_has_the_one_shape() {
    let (controller, rig) = pair();
    let mut seen = Vec::new();
    let mut expect = |status: u16, code: &str, (got, body): (u16, Value)| {
        assert_eq!((got, body["code"].as_str()), (status, Some(code)), "{body}");
        assert!(body["error"].as_str().is_some_and(|e| e.len() > 5), "{body}");
        seen.push(status);
    };
    let value =
        |(status, text): (u16, String)| (status, serde_json::from_str::<Value>(&text).unwrap());
    expect(
        400,
        "INVALID",
        controller.rest("POST", "/peers", Some(&json!({"address": "nonsense", "name": "x"}))),
    );
    expect(401, "UNAUTHORIZED", value(controller.raw("GET", "/api/v1/mining/peers", "", None)));
    let wrong = "Authorization: Bearer wrong\r\n";
    expect(401, "UNAUTHORIZED", value(controller.raw("GET", "/api/v1/mining/peers", wrong, None)));
    expect(
        403,
        "FORBIDDEN",
        value(controller.raw("GET", "/health", "Host: evil.example\r\n", None)),
    );
    expect(404, "PEER_NOT_FOUND", controller.rest("GET", "/peers/nobody", None));
    expect(404, "ROUTE_NOT_FOUND", controller.rest("GET", "/nowhere", None));
    expect(404, "PROFILE_NOT_FOUND", controller.rest("GET", "/profiles/none", None));
    expect(404, "REQUEST_NOT_FOUND", controller.rest("POST", "/peers/abcd/approve", None));
    expect(404, "MINER_NOT_FOUND", controller.rest("GET", "/remote/rig-alpha/logs/xmrig-1", None));
    expect(405, "METHOD_NOT_ALLOWED", controller.rest("DELETE", "/peers", None));
    expect(409, "EXISTS", controller.rest("POST", "/node/init", Some(&json!({"name": "again"}))));
    let long = json!({"name": "x".repeat(300 * 1024)});
    expect(413, "TOO_LARGE", controller.rest("POST", "/profiles", Some(&long)));
    expect(403, "NOT_ALLOWED", rig.rest("GET", "/remote/control-center/stats", None));
    let missing =
        json!({"name": "m", "minerType": "xmrig", "config": {"pool": "p:1", "wallet": "w"}});
    controller.rest("POST", "/profiles", Some(&missing));
    expect(
        502,
        "RIG_FAILED",
        controller.rest("POST", "/remote/rig-alpha/start", Some(&json!({"profileId": "m"}))),
    );
    rig.signal(19);
    expect(504, "TIMEOUT", controller.rest("POST", "/peers/rig-alpha/ping", None));
    rig.signal(18);
    for _ in 0..11 {
        controller.raw("GET", "/api/v1/mining/peers", wrong, None);
    }
    expect(429, "TOO_MANY", value(controller.raw("GET", "/api/v1/mining/peers", wrong, None)));
    assert_eq!(controller.rest("GET", "/peers", None).0, 200, "the right token still opens");
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen, [400, 401, 403, 404, 405, 409, 413, 429, 502, 504]);
}

#[test]
fn a_write_with_a_foreign_origin_is_refused_whatever_else_it_carries() {
    let node = Node::serve("one", "dual");
    let token = format!("Authorization: Bearer {}\r\n", node.token());
    let foreign = format!("{token}Origin: http://evil.example\r\n");
    assert_eq!(node.raw("POST", "/api/v1/mining/node/invites", &foreign, None).0, 403);
    let own = format!("{token}Origin: http://{}\r\n", node.api());
    assert_eq!(node.raw("POST", "/api/v1/mining/node/invites", &own, None).0, 201);
}

#[test]
fn a_node_without_identity_can_be_made_over_rest() {
    let mut node = Node::bare("fresh");
    node.start();
    let (_, info) = node.rest("GET", "/node/info", None);
    assert_eq!((&info["hasIdentity"], &info["identity"]), (&json!(false), &Value::Null));
    assert_eq!(node.rest("GET", "/peers", None).0, 409);
    assert_eq!(node.rest("POST", "/node/init", Some(&json!({"name": "a/b"}))).0, 400);
    let (status, card) =
        node.rest("POST", "/node/init", Some(&json!({"name": "fresh", "role": "worker"})));
    assert_eq!((status, card["role"].as_str()), (200, Some("worker")), "{card}");
    until("it listens", || node.rest("GET", "/node/info", None).1["listen"].is_string());
    assert_eq!(node.rest("POST", "/node/init", Some(&json!({"name": "again"}))).0, 409);
    assert_eq!(node.json(&["node", "info"])["identity"]["id"], card["id"]);
}
