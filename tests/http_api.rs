//! The REST contract, played against a running server with a registry of the test's own. Every answer is held against
//! the server's openapi.json.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod http_support;

use std::sync::{Arc, Mutex};

use http_support::{BASE, Daemon, Response, TOKEN, start};
use miner_cli::bus::{Reply, Request};
use miner_cli::http::Limits;
use miner_cli::model::fault::{Code, Fault};
use miner_cli::model::key::{NodeId, PublicKey};
use miner_cli::model::stats::{NodeStats, RigState, Totals};
use miner_cli::model::time::Timestamp;
use serde_json::{Value, json};

/// A daemon whose registry answers with what fits the request, and keeps what it was asked.
struct Api {
    daemon: Daemon,
    asked: Arc<Mutex<Vec<String>>>,
    document: Value,
}

fn api() -> Api {
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let log = asked.clone();
    let daemon = start(Limits::default(), move |request| {
        log.lock().unwrap().push(format!("{request:?}"));
        answer(&request)
    });
    let document = daemon.get("/openapi.json").json();
    Api { daemon, asked, document }
}

fn fault(code: Code) -> Result<Reply, Fault> {
    Err(Fault::new(code, "no").hint("try"))
}

fn answer(request: &Request) -> Result<Reply, Fault> {
    let profile = || {
        Box::new(
            serde_json::from_value(json!({"id":"p","name":"P","minerType":"simulated"})).unwrap(),
        )
    };
    match request {
        Request::NodeInfo => Ok(Reply::NodeInfo(Box::new(
            serde_json::from_value(json!({
                "hasIdentity": false, "identity": null, "registeredPeers": 0, "connectedPeers": 0,
                "version": "1.2.3", "uptime": 7, "listen": null, "api": "127.0.0.1:9090"
            }))
            .unwrap(),
        ))),
        Request::NodeInit { name, .. } if name == "taken" => fault(Code::Exists),
        Request::NodeInit { .. } => Ok(Reply::Identity(Box::new(
            serde_json::from_value(json!({
                "id": "0011223344556677", "name": "n", "role": "dual", "publicKey": key(), "fingerprint": "F",
                "signingKey": key(), "createdAt": "2026-11-22T14:02:07.123Z"
            }))
            .unwrap(),
        ))),
        Request::CreateInvite { .. } => Ok(Reply::Invite(invite(Some("CODE")))),
        Request::Invites => Ok(Reply::Invites(vec![invite(None)])),
        Request::PingPeer { peer } if peer == "frozen" => fault(Code::Timeout),
        Request::PingPeer { .. } => Ok(Reply::Ping { ping_ms: 1.5 }),
        Request::Peer { peer } if peer == "none" => fault(Code::PeerNotFound),
        Request::Peer { peer } if peer == "disk" => fault(Code::Internal),
        Request::Join { .. } | Request::AddPeer { .. } | Request::Peer { .. } | Request::Approve { .. } | Request::SetLabels { .. } => {
            Ok(Reply::Peer(Box::new(serde_json::from_value(peer()).unwrap())))
        }
        Request::Peers => Ok(Reply::Peers(vec![serde_json::from_value(peer()).unwrap()])),
        Request::RemoteStatsAll => Ok(Reply::AllStats(vec![(NodeId([1; 8]), Arc::new(stats()))])),
        Request::RemoteTotals => Ok(Reply::Totals(Totals::default())),
        Request::RemoteStats { .. } => Ok(Reply::Stats(Arc::new(stats()))),
        Request::RemoteStart { peer, .. } if peer == "strict" => fault(Code::Policy),
        Request::RemoteStart { .. } | Request::StartProfile { .. } => Ok(Reply::Started { miner: "xmrig-1".into() }),
        Request::RemoteStop { .. } | Request::RemoteRestart { .. } | Request::StopMiner { .. } => {
            Ok(Reply::Miners { status: "stopped".into(), miners: vec!["xmrig-1".into()] })
        }
        Request::RemoteLogs { lines, .. } => Ok(Reply::Lines(vec![format!("of {lines}\r\nX-Evil: 1")])),
        Request::RemoteDeploy { profile_id, .. } if profile_id == "bad" => fault(Code::RigFailed),
        Request::RemoteDeploy { .. } => Ok(Reply::Deployed),
        Request::Profiles => Ok(Reply::Profiles(vec![*profile()])),
        Request::Profile { .. } | Request::AddProfile { .. } | Request::EditProfile { .. } => Ok(Reply::Profile(profile())),
        Request::Miners => Ok(Reply::MinerList(vec![])),
        Request::Miner { .. } => Ok(Reply::Miner(Box::default())),
        Request::AvailableMiners => Ok(Reply::Available(vec![])),
        Request::Policy => Ok(Reply::Policy(Box::new(miner_cli::model::policy::Policy {
            wallets: Some(vec!["48W".into()]),
            remote: miner_cli::model::policy::Remote::StartStop,
            ..Default::default()
        }))),
        Request::HashrateHistory { .. } => {
            Ok(Reply::History(vec![(Timestamp(0), Some(5.0)), (Timestamp(10_000), None)]))
        }
        _ => Ok(Reply::Done),
    }
}

fn key() -> String {
    PublicKey([7; 32]).to_string()
}

fn invite(code: Option<&str>) -> miner_cli::model::invite::InviteView {
    let at = Timestamp(0);
    miner_cli::model::invite::InviteView {
        id: "i".into(),
        code: code.map(str::to_owned),
        uses: 1,
        expires_at: at,
        created_at: at,
    }
}

fn peer() -> Value {
    json!({
        "id": "0011223344556677", "name": "rig", "publicKey": key(), "fingerprint": "F", "address": "a:1",
        "role": "worker", "addedAt": "2026-11-22T14:02:07.123Z", "lastSeen": null, "pingMs": null, "score": null,
        "connected": true, "state": "hashing", "reason": null, "labels": {}, "version": null
    })
}

fn stats() -> NodeStats {
    NodeStats::unknown(NodeId([1; 8]), "rig".into(), RigState::Hashing)
}

impl Api {
    /// Asks; the answer's status must be one that openapi.json lists for the route.
    fn ask(&self, method: &str, path: &str, body: Option<&str>) -> Response {
        let response = self.daemon.ask(method, &format!("{BASE}{path}"), body);
        self.described(method, path, response.status());
        response
    }

    fn described(&self, method: &str, path: &str, status: u16) {
        let path = path.split('?').next().unwrap();
        let fits = |pattern: &str| {
            let (pattern, path) = (pattern.strip_prefix(BASE).unwrap_or("-"), path);
            pattern.split('/').count() == path.split('/').count()
                && pattern
                    .split('/')
                    .zip(path.split('/'))
                    .all(|(p, s)| p.starts_with('{') || p == s)
        };
        let paths = self.document["paths"].as_object().unwrap();
        // Literal before parameter, as in the table.
        let mut fitting: Vec<_> = paths.iter().filter(|(pattern, _)| fits(pattern)).collect();
        fitting.sort_by_key(|(pattern, _)| pattern.matches('{').count());
        let (_, operations) = fitting.first().unwrap_or_else(|| panic!("{path} is not described"));
        let responses = &operations[method.to_lowercase()]["responses"];
        assert!(
            responses.get(status.to_string()).is_some(),
            "{method} {path}: {status} is not described"
        );
    }

    fn last(&self) -> String {
        self.asked.lock().unwrap().last().cloned().unwrap_or_default()
    }
}

/// Method, path, body; status, answer (`Null`: not compared); what the registry was asked.
type Row<'a> = (&'a str, &'a str, Option<&'a str>, u16, Value, &'a str);

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn each_route_asks_the_registry_and_answers_in_its_shape() {
    let api = api();
    let invite =
        miner_cli::model::invite::InviteCode::new([1; 16], &PublicKey([7; 32])).to_string();
    let join = json!({"address":"h:1","invite":invite}).to_string();
    let profile = r#"{"name":"P","minerType":"simulated"}"#;
    let affected = json!({"status":"stopped","miners":["xmrig-1"]});
    let stored = json!({"id":"p","name":"P","minerType":"simulated","config":{}});
    let done = |text: &str| json!({ "status": text });
    let rows: Vec<Row<'_>> = vec![
        (
            "POST",
            "/node/init",
            Some(r#"{"name":"n","role":"worker"}"#),
            200,
            Value::Null,
            "role: Worker",
        ),
        ("GET", "/node/invites", None, 200, Value::Null, "Invites"),
        (
            "POST",
            "/node/invites",
            None,
            201,
            Value::Null,
            "CreateInvite { uses: 1, expires: 86400s",
        ),
        (
            "POST",
            "/node/invites",
            Some(r#"{"uses":3,"expiresSeconds":60}"#),
            201,
            Value::Null,
            "uses: 3, expires: 60s",
        ),
        (
            "DELETE",
            "/node/invites/i",
            None,
            200,
            done("invite removed"),
            "DeleteInvite { id: \"i\"",
        ),
        ("POST", "/node/join", Some(&join), 201, peer(), "Join"),
        ("GET", "/peers", None, 200, json!([peer()]), "Peers"),
        (
            "POST",
            "/peers",
            Some(r#"{"address":"h:1","name":"rig"}"#),
            201,
            peer(),
            "name: Some(\"rig\"), invite: None",
        ),
        ("GET", "/peers/Keller%20N%C2%BA%207", None, 200, peer(), "Peer { peer: \"Keller Nº 7\""),
        ("DELETE", "/peers/rig", None, 200, done("peer removed"), "RemovePeer"),
        ("POST", "/peers/rig/ping", None, 200, json!({"pingMs":1.5}), "PingPeer"),
        (
            "PUT",
            "/peers/rig/labels",
            Some(r#"{"site":"garage"}"#),
            200,
            peer(),
            "SetLabels { peer: \"rig\", labels: {\"site\": \"garage\"}",
        ),
        ("POST", "/peers/rig/approve", None, 200, peer(), "Approve"),
        ("POST", "/peers/rig/reject", None, 200, done("rejected"), "Reject"),
        ("GET", "/remote/totals", None, 200, Value::Null, "RemoteTotals"),
        ("GET", "/remote/rig/stats", None, 200, Value::Null, "RemoteStats { peer: \"rig\""),
        (
            "POST",
            "/remote/rig/start",
            Some(r#"{"profileId":"p","config":{"threads":2}}"#),
            200,
            json!({"status":"miner started","minerName":"xmrig-1"}),
            "threads: Some(2)",
        ),
        (
            "POST",
            "/remote/rig/stop",
            None,
            200,
            affected.clone(),
            "RemoteStop { peer: \"rig\", miner: None",
        ),
        (
            "POST",
            "/remote/rig/restart",
            Some(r#"{"minerName":"m"}"#),
            200,
            affected.clone(),
            "miner: Some(\"m\")",
        ),
        (
            "GET",
            "/remote/rig/logs/m?lines=7&previous=true",
            None,
            200,
            Value::Null,
            "lines: 7, previous: true",
        ),
        (
            "POST",
            "/remote/rig/deploy",
            Some(r#"{"profileId":"p"}"#),
            200,
            done("profile deployed"),
            "RemoteDeploy",
        ),
        ("GET", "/profiles", None, 200, json!([stored]), "Profiles"),
        ("POST", "/profiles", Some(profile), 201, stored.clone(), "AddProfile"),
        ("GET", "/profiles/p", None, 200, stored.clone(), "Profile { id: \"p\""),
        ("PUT", "/profiles/p", Some(profile), 200, stored.clone(), "EditProfile { id: \"p\""),
        ("DELETE", "/profiles/p", None, 200, done("profile removed"), "RemoveProfile"),
        ("POST", "/profiles/p/start", None, 200, json!({"name":"xmrig-1"}), "StartProfile"),
        ("GET", "/miners", None, 200, json!([]), "Miners"),
        ("GET", "/miners/available", None, 200, json!([]), "AvailableMiners"),
        ("GET", "/miners/m/stats", None, 200, Value::Null, "Miner { name: \"m\""),
        (
            "GET",
            "/miners/m/hashrate-history",
            None,
            200,
            json!([
                {"timestamp":"1970-01-01T00:00:00.000Z","hashrate":5.0},
                {"timestamp":"1970-01-01T00:00:10.000Z","hashrate":null}
            ]),
            "HashrateHistory",
        ),
        ("DELETE", "/miners/m", None, 200, affected, "StopMiner"),
        (
            "GET",
            "/policy",
            None,
            200,
            json!({"wallets": ["48W"], "pools": null, "controllers": null, "arguments": null,
                "remote": "start-stop"}),
            "Policy",
        ),
    ];
    for (method, path, body, status, json, asked) in rows {
        let response = api.ask(method, path, body);
        assert_eq!(response.status(), status, "{method} {path}: {}", response.body());
        if json != Value::Null {
            assert_eq!(response.json(), json, "{method} {path}");
        }
        assert!(api.last().contains(asked), "{method} {path}: {}", api.last());
        assert!(response.header("content-length").is_some());
    }
    let info = api.ask("GET", "/node/info", None).json();
    assert_eq!((&info["hasIdentity"], &info["identity"]), (&json!(false), &Value::Null));
    let all = api.ask("GET", "/remote/stats", None).json();
    assert_eq!(all["0101010101010101"]["state"], "hashing");
    assert_eq!(api.ask("GET", "/info", None).json()["basePath"], BASE);
    let doctor = api.ask("POST", "/doctor", None).json();
    let oks: Vec<_> =
        doctor["checks"].as_array().unwrap().iter().map(|c| c["ok"].as_bool().unwrap()).collect();
    assert_eq!(oks, [true, false, false, false], "{doctor}");
}

#[test]
fn health_is_public_under_both_addresses_and_says_when_the_core_is_gone() {
    let api = api();
    for path in ["/health".to_owned(), format!("{BASE}/health")] {
        let response = api.daemon.with("GET", &path, "", "");
        assert_eq!((response.status(), response.json()), (200, json!({"status":"healthy"})));
    }
    let head = api.daemon.with("HEAD", "/health", "", "");
    assert_eq!((head.status(), head.body()), (200, ""));
    assert_eq!(head.header("content-length"), Some("20"));

    // A registry that is gone.
    let (events, inbox) = miner_cli::bus::wire_channel(4);
    drop(inbox);
    let context = miner_cli::http::HttpContext {
        events,
        logs: Arc::default(),
        counters: Arc::default(),
        node_db: "/nowhere/node.db".into(),
        mining_db: None,
        token: TOKEN.into(),
        hosts: vec![],
        version: "1",
    };
    let dir = std::env::temp_dir().join(format!("miner-http-orphan-{}", std::process::id()));
    let listeners = vec![std::net::TcpListener::bind("127.0.0.1:0").unwrap()];
    let options = miner_cli::http::GateOptions {
        listeners,
        gate_dir: dir.clone(),
        limits: Limits::default(),
        tls: None,
    };
    let server = miner_cli::http::serve(options, context).unwrap();
    let mut client = http_support::connect(server.addresses()[0]);
    let answer =
        http_support::exchange(&mut client, b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(http_support::status(&answer), 503);
    assert!(server.stop());
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn faults_come_back_with_their_status_and_in_one_shape() {
    let api = api();
    for (method, path, body, status, code) in [
        ("GET", "/peers/none", None, 404, "PEER_NOT_FOUND"),
        ("GET", "/peers/disk", None, 500, "INTERNAL"),
        ("POST", "/node/init", Some(r#"{"name":"taken"}"#), 409, "EXISTS"),
        ("POST", "/peers/frozen/ping", None, 504, "TIMEOUT"),
        ("POST", "/remote/strict/start", Some(r#"{"profileId":"p"}"#), 403, "POLICY"),
        ("POST", "/remote/rig/deploy", Some(r#"{"profileId":"bad"}"#), 502, "RIG_FAILED"),
        ("GET", "/miners/none/logs", None, 404, "MINER_NOT_FOUND"),
    ] {
        let response = api.ask(method, path, body);
        assert_eq!(response.status(), status, "{path}");
        assert_eq!(response.json()["code"], code);
        assert!(response.json()["error"].is_string());
        assert_eq!(response.header("content-type"), Some("application/json"));
    }
}

#[test]
fn what_is_wrong_with_a_request_is_named() {
    let api = api();
    for (method, path, body, says) in [
        ("POST", "/node/init", None, "needs a JSON body"),
        ("POST", "/node/init", Some("{"), "line 1 column 1"),
        ("POST", "/node/init", Some("{\"name\":\n7}"), "name: invalid type"),
        ("POST", "/node/init", Some("{}"), "missing field `name`"),
        ("POST", "/node/init", Some(r#"{"name":"x","colour":1}"#), "unknown field `colour`"),
        (
            "POST",
            "/node/init",
            Some(r#"{"name":"x","role":"boss"}"#),
            "role: unknown variant `boss`",
        ),
        ("POST", "/node/init", Some(r#"{"name":"a/b"}"#), "name: "),
        ("POST", "/node/invites", Some(r#"{"uses":0}"#), "uses: "),
        ("POST", "/node/invites", Some(r#"{"expiresSeconds":0}"#), "expiresSeconds: "),
        ("POST", "/node/join", Some(r#"{"address":"a","invite":"x"}"#), "invite: "),
        ("POST", "/peers", Some(r#"{"address":"a","publicKey":"x"}"#), "publicKey: "),
        (
            "POST",
            "/profiles",
            Some(r#"{"minerType":"x","config":{"hugepages":true}}"#),
            "unknown field `hugepages`",
        ),
        ("GET", "/remote/a/logs/b?lines=0", None, "from 1 to 10000"),
        ("GET", "/remote/a/logs/b?lines=10001", None, "from 1 to 10000"),
        ("GET", "/remote/a/logs/b?lines=ten", None, "from 1 to 10000"),
        ("GET", "/remote/a/logs/b?previous=1", None, "true or false"),
        ("GET", "/remote/a/logs/b?lines=5&lines=6", None, "twice"),
        ("GET", "/miners/a/logs?linse=5", None, "`linse`"),
        ("GET", "/peers/%zz", None, "broken % escape"),
        ("GET", "/peers/%ff", None, "UTF-8"),
        ("GET", "/peers/a%0d%0aX-Evil:1", None, "control characters"),
    ] {
        let response = api.ask(method, path, body);
        let message = response.json()["error"].as_str().unwrap().to_owned();
        assert_eq!(response.status(), 400, "{path} {body:?}");
        assert!(message.contains(says), "{path} {body:?}: {message}");
        assert!(response.header("x-evil").is_none());
    }
    let form = format!(
        "Authorization: Bearer {TOKEN}\r\nContent-Type: text/plain\r\nContent-Length: 12\r\n"
    );
    let response = api.daemon.with("POST", &format!("{BASE}/node/init"), &form, r#"{"name":"x"}"#);
    assert_eq!(response.status(), 400);
    assert!(response.json()["error"].as_str().unwrap().contains("Content-Type"));
}

#[test]
fn nothing_that_came_from_outside_reaches_a_header() {
    let api = api();
    let response = api.ask("GET", "/remote/rig/logs/m", None);
    assert_eq!(response.json(), json!(["of 100\r\nX-Evil: 1"]));
    assert!(response.header("x-evil").is_none());
    for path in ["/%0d%0aX-Evil:%201", "/peers%0d%0aX-Evil:1"] {
        assert!(api.daemon.get(path).header("x-evil").is_none());
    }
}

#[test]
fn own_logs_come_straight_from_the_ring() {
    let api = api();
    let ring = api.daemon.logs.open("xmrig-1");
    ring.push(b"old");
    ring.begin_run();
    for i in 0..5 {
        ring.push(format!("line {i}").as_bytes());
    }
    assert_eq!(
        api.ask("GET", "/miners/xmrig-1/logs?lines=2", None).json(),
        json!(["line 3", "line 4"])
    );
    assert_eq!(api.ask("GET", "/miners/xmrig-1/logs?previous=true", None).json(), json!(["old"]));
}

#[test]
fn paths_and_methods_that_are_not_there_say_so() {
    let api = api();
    let wrong = api.daemon.ask("PATCH", &format!("{BASE}/peers/a"), None);
    assert_eq!((wrong.status(), wrong.header("allow")), (405, Some("GET, HEAD, DELETE")));
    assert_eq!(api.daemon.ask("POST", "/", None).header("allow"), Some("GET, HEAD"));
    for path in ["/nothing", "/../etc/passwd", "/peers", "//health"] {
        assert_eq!(api.daemon.get(path).status(), 404, "{path}");
    }
    assert_eq!(api.daemon.get(&format!("{BASE}/nothing")).status(), 404);
    assert_eq!(
        api.daemon.with("GET", &format!("{BASE}/nothing"), "", "").status(),
        401,
        "first the token"
    );
    assert_eq!(api.daemon.with("PATCH", &format!("{BASE}/peers"), "", "").status(), 401);
    let page = api.daemon.with("GET", "/", "", "");
    assert_eq!(
        (page.status(), page.header("content-type")),
        (200, Some("text/html; charset=utf-8"))
    );
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
    let data = api.ask("GET", "/peers", None);
    assert_eq!(data.header("cache-control"), Some("no-store"));
    assert_eq!(data.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(data.header("referrer-policy"), Some("no-referrer"));
    assert_eq!(data.header("connection"), Some("close"));
    assert!(data.header("access-control-allow-origin").is_none());
}

#[test]
fn without_the_token_nothing_but_the_public_routes_answers() {
    let api = api();
    let paths = api.document["paths"].as_object().unwrap();
    let mut closed = 0;
    for (path, operations) in paths {
        let path = path.replace(['{', '}'], "");
        for (method, operation) in operations.as_object().unwrap() {
            let method = method.to_uppercase();
            let public = operation["security"].as_array().unwrap().is_empty();
            for lines in ["", "Authorization: Bearer wrong\r\n", "Cookie: miner-80=0\r\n"] {
                let status = api.daemon.with(&method, &path, lines, "").status();
                assert_eq!(matches!(status, 401 | 429), !public, "{method} {path}: {status}");
            }
            closed += usize::from(!public);
        }
    }
    assert!(closed > 30);
    assert_eq!(api.last(), "NodeInfo", "only /health looked at the registry");
}

#[test]
fn wrong_tokens_are_slowed_and_the_right_one_passes() {
    let api = api();
    let path = format!("{BASE}/peers");
    let wrong = "Authorization: Bearer wrong\r\n";
    let statuses: Vec<_> =
        (0..12).map(|_| api.daemon.with("GET", &path, wrong, "").status()).collect();
    assert_eq!(statuses, [[401; 10].as_slice(), &[429; 2]].concat());
    let refused = api.daemon.with("GET", &path, wrong, "");
    assert_eq!(
        (refused.header("retry-after"), refused.json()["code"].as_str()),
        (Some("60"), Some("TOO_MANY"))
    );
    assert_eq!(api.ask("GET", "/peers", None).status(), 200);
    let missing = api.daemon.with("GET", &path, "", "");
    assert_eq!((missing.status(), missing.header("www-authenticate")), (401, Some("Bearer")));
}

#[test]
fn a_session_begins_with_the_token_and_ends_on_request() {
    let api = api();
    let path = format!("{BASE}/session");
    let login = |token: &str| {
        let body = json!({ "token": token }).to_string();
        let lines = format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
        api.daemon.with("POST", &path, &lines, &body)
    };
    assert_eq!(login("wrong").status(), 401);
    let response = login(TOKEN);
    assert_eq!((response.status(), response.body()), (204, ""));
    let cookie = response.header("set-cookie").unwrap();
    for part in ["HttpOnly", "SameSite=Strict"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    let pair = cookie.split(';').next().unwrap();
    assert_eq!(pair.len(), "miner-80=".len() + 64);
    let lines = format!("Cookie: theme=dark; {pair}\r\n");
    let logged_in = || api.daemon.with("GET", &path, &lines, "").json()["loggedIn"].clone();
    assert_eq!(logged_in(), true);
    assert_eq!(api.daemon.with("GET", &format!("{BASE}/peers"), &lines, "").status(), 200);
    assert_eq!(api.daemon.with("DELETE", &path, &lines, "").status(), 204);
    assert_eq!(logged_in(), false);
    assert_eq!(api.daemon.with("GET", &format!("{BASE}/peers"), &lines, "").status(), 401);
}

#[test]
fn only_this_nodes_names_are_served_and_only_its_own_pages_may_write() {
    let api = api();
    let port = api.daemon.address.port();
    let ask = |method: &str, lines: &str| {
        let request = format!(
            "{method} {BASE}/peers/a HTTP/1.1\r\nAuthorization: Bearer {TOKEN}\r\n{lines}\r\n"
        );
        http_support::status(&api.daemon.raw(request))
    };
    for (lines, expected) in [
        (format!("Host: 127.0.0.1:{port}\r\n"), 200),
        ("Host: localhost\r\n".into(), 200),
        ("Host: Farm.LAN:9090\r\n".into(), 200),
        ("Host: evil.example\r\n".into(), 403),
        ("Host: 10.0.0.1\r\n".into(), 403),
        ("Host: \r\n".into(), 403),
        (String::new(), 400),
        ("Host: localhost\r\nHost: localhost\r\n".into(), 400),
    ] {
        assert_eq!(ask("GET", &lines), expected, "{lines:?}");
    }
    for (origin, write) in [
        ("http://localhost", 200),
        ("http://localhost:80", 200),
        ("http://localhost:3000", 403),
        ("http://evil.example", 403),
        ("null", 403),
        ("", 403),
    ] {
        let lines = format!("Host: localhost\r\nOrigin: {origin}\r\n");
        assert_eq!(ask("DELETE", &lines), write, "{origin:?}");
        assert_eq!(ask("GET", &lines), 200, "reading is the browser's business: {origin:?}");
    }
}

#[test]
fn a_client_that_waits_for_100_continue_gets_it() {
    use std::io::{Read as _, Write as _};
    let api = api();
    let mut client = api.daemon.connect();
    let body = r#"{"name":"x"}"#;
    let head = format!(
        "POST {BASE}/node/init HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\nExpect: 100-continue\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    client.write_all(head.as_bytes()).unwrap();
    let mut interim = [0; 25];
    client.read_exact(&mut interim).unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    assert_eq!(http_support::status(&http_support::exchange(&mut client, body.as_bytes())), 200);
}

#[test]
fn the_largest_body_and_a_large_answer_pass_whole() {
    let name = "x".repeat(200_000);
    let wanted = name.clone();
    let daemon = start(Limits::default(), move |request| match request {
        Request::RemoteStop { miner, .. } => {
            assert_eq!(miner.as_deref(), Some(wanted.as_str()));
            Ok(Reply::Lines(vec![wanted.clone(); 40]))
        }
        _ => Ok(Reply::Done),
    });
    let body = json!({ "minerName": name }).to_string();
    let response = daemon.ask("POST", &format!("{BASE}/remote/a/stop"), Some(&body));
    assert_eq!(response.status(), 200);
    assert_eq!(response.header("content-length"), Some(response.body().len().to_string().as_str()));
    assert_eq!(response.json().as_array().unwrap().len(), 40);
    let over = "x".repeat(262_145);
    assert_eq!(daemon.ask("POST", &format!("{BASE}/remote/a/stop"), Some(&over)).status(), 413);
}
