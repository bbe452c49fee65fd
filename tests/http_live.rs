//! `/live` as server-sent events, and the sessions that may follow it.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod http_support;

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};
use http_support::{BASE, Daemon, TOKEN, start};
use miner_cli::bus::{self, LiveNews, LivePart, Reply, Request};
use miner_cli::http::Limits;
use miner_cli::model::event::{EventKind, EventRecord, Severity};
use miner_cli::model::fault::{Code, Fault};
use miner_cli::model::key::NodeId;
use miner_cli::model::stats::{NodeStats, RigState, Totals};
use miner_cli::model::time::Timestamp;
use serde_json::{Value, json};

const WAIT: Duration = Duration::from_secs(30);

/// A daemon whose registry hands out the sinks of those who watch, and tells who left.
struct Live {
    daemon: Daemon,
    sinks: Receiver<(u64, Option<String>, Sender<LivePart>)>,
    ends: Receiver<u64>,
}

fn live() -> Live {
    let (sink_to, sinks) = bus::wire_channel(200);
    let (end_to, ends) = bus::wire_channel(200);
    let mut last = 0;
    let daemon = start(Limits::default(), move |request| match request {
        Request::WatchLive { rig: Some(rig), .. } if rig == "nobody" => {
            Err(Fault::new(Code::PeerNotFound, "no"))
        }
        Request::WatchLive { rig, sink } => {
            last += 1;
            sink_to.try_send((last, rig, sink)).unwrap();
            Ok(Reply::Follow { follow: last })
        }
        Request::Unfollow { follow } => {
            end_to.try_send(follow).unwrap();
            Ok(Reply::Done)
        }
        _ => Ok(Reply::Done),
    });
    Live { daemon, sinks, ends }
}

/// A client that has read the head of its stream.
fn follow(live: &Live, query: &str, claim: &str) -> (BufReader<TcpStream>, String) {
    let mut client = live.daemon.connect();
    let head = format!("GET {BASE}/live{query} HTTP/1.1\r\nHost: localhost\r\n{claim}\r\n\r\n");
    client.write_all(head.as_bytes()).unwrap();
    let mut client = BufReader::new(client);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert_ne!(client.read_line(&mut head).unwrap(), 0, "{head}");
    }
    (client, head)
}

/// The next event, up to its empty line; empty at the end.
fn event(client: &mut BufReader<TcpStream>) -> String {
    let mut text = String::new();
    while !text.ends_with("\n\n") && client.read_line(&mut text).unwrap() > 0 {}
    text
}

fn data(event: &str) -> (String, Value) {
    let (name, data) = event.trim_end().split_once("\ndata: ").unwrap();
    (name.to_owned(), serde_json::from_str(data).unwrap())
}

fn token() -> String {
    format!("Authorization: Bearer {TOKEN}")
}

fn part(news: LiveNews) -> LivePart {
    LivePart { news: Arc::new(news), rig: None, events: Arc::default(), skipped: 0 }
}

#[test]
fn everything_changes_events_and_the_watched_rig_come_as_events_of_their_names() {
    let live = live();
    let (mut client, head) = follow(&live, "?rig=rig%20a", &token());
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    for line in
        ["Content-Type: text/event-stream", "X-Accel-Buffering: no", "Cache-Control: no-store"]
    {
        assert!(head.contains(line), "{line}: {head}");
    }
    let (number, rig, sink) = live.sinks.recv_timeout(WAIT).unwrap();
    assert_eq!(rig.as_deref(), Some("rig a"));

    let at = Timestamp(1_700_000_000_000);
    let mut all = LiveNews::at(at);
    all.all = true;
    all.totals = Some(Arc::new(Totals::default()));
    all.alerts = Some(Arc::default());
    let name = "a\n\nevent: end\n</script>".to_owned();
    let stats = NodeStats::unknown(NodeId([7; 8]), name, RigState::Idle);
    sink.send(LivePart { rig: Some(Arc::new(stats)), ..part(all) }).unwrap();
    let (name, json) = data(&event(&mut client));
    assert_eq!((name.as_str(), &json["at"]), ("event: all", &json!("2023-11-14T22:13:20.000Z")));
    assert_eq!(
        (&json["peers"], &json["rigs"], &json["alerts"]),
        (&json!([]), &json!({}), &json!([]))
    );
    assert_eq!(json["rig"]["nodeName"], "a\n\nevent: end\n</script>");

    let told = EventRecord {
        number: 12,
        at,
        node: NodeId([1; 8]),
        node_name: "me".to_owned(),
        kind: EventKind::MinerStarted,
        severity: Severity::Info,
        peer: None,
        miner: None,
        text: "a\n\nb".to_owned(),
        log: Vec::new(),
    };
    let mut gone = LiveNews::at(at);
    gone.gone = vec![NodeId([9; 8])];
    let events = Arc::new(vec![Arc::new(told)]);
    sink.send(LivePart { events, skipped: 3, ..part(gone) }).unwrap();
    let (name, json) = data(&event(&mut client));
    assert_eq!(name, "event: change");
    assert_eq!(json, json!({"at": "2023-11-14T22:13:20.000Z", "gone": ["0909090909090909"]}));
    assert_eq!(event(&mut client), "event: skipped\ndata: 3\n\n");
    let (name, json) = data(&event(&mut client));
    assert_eq!((name.as_str(), &json["text"]), ("id: 12\nevent: event", &json!("a\n\nb")));

    sink.send(part(LiveNews::at(at))).unwrap();
    assert_eq!(
        event(&mut client),
        "event: change\ndata: {\"at\":\"2023-11-14T22:13:20.000Z\"}\n\n"
    );
    drop(client);
    assert_eq!(live.ends.recv_timeout(WAIT), Ok(number), "the registry hears that it left");
}

#[test]
fn who_may_not_watch_is_told_so() {
    let live = live();
    let status = |path: &str, lines: &str| live.daemon.with("GET", path, lines, "").status();
    assert_eq!(status(&format!("{BASE}/live"), ""), 401);
    let auth = format!("{}\r\n", token());
    assert_eq!(status(&format!("{BASE}/live?rig=nobody"), &auth), 404);
    assert_eq!(status(&format!("{BASE}/live?rigs=a"), &auth), 400);
}

/// Logs in; the cookie's pair.
fn login(live: &Live, origin: &str) -> (String, String) {
    let body = json!({ "token": TOKEN }).to_string();
    let lines =
        format!("{origin}Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
    let response = live.daemon.with("POST", &format!("{BASE}/session"), &lines, &body);
    assert_eq!(response.status(), 204);
    let cookie = response.header("set-cookie").unwrap().to_owned();
    (format!("Cookie: {}", cookie.split(';').next().unwrap()), cookie)
}

#[test]
fn a_session_that_is_ended_takes_its_streams_along_and_no_others() {
    let live = live();
    let ((mine, _), (other, _)) = (login(&live, ""), login(&live, ""));
    let (mut client, _) = follow(&live, "", &other);
    let (mut by_token, _) = follow(&live, "", &token());
    let sinks: Vec<_> = live.sinks.iter().take(2).map(|(number, _, sink)| (number, sink)).collect();

    let ask = |method: &str, path: &str| {
        live.daemon.with(method, &format!("{BASE}{path}"), &format!("{mine}\r\n"), "")
    };
    let rows = ask("GET", "/sessions").json();
    let rows = rows.as_array().unwrap();
    assert_eq!(rows.len(), 2);
    let theirs = rows.iter().find(|row| row["current"] == false).unwrap();
    assert_eq!(theirs["from"], "127.0.0.1");
    assert!(theirs["createdAt"].is_string() && theirs["lastUsed"].is_string());
    let id = theirs["id"].as_str().unwrap();
    assert!(!other.contains(id), "the name in the list opens nothing");

    assert_eq!(ask("DELETE", "/sessions/nobody").status(), 404);
    assert_eq!(ask("DELETE", &format!("/sessions/{id}")).status(), 200);
    assert_eq!(event(&mut client), "", "its stream has ended");
    let ended = live.ends.recv_timeout(WAIT).unwrap();
    let refused = live.daemon.with("GET", &format!("{BASE}/sessions"), &format!("{other}\r\n"), "");
    assert_eq!(refused.status(), 401);

    let still = sinks.iter().find(|(number, _)| *number != ended).unwrap();
    still.1.send(part(LiveNews::at(Timestamp(0)))).unwrap();
    assert!(event(&mut by_token).starts_with("event: change\n"), "the token's stream goes on");
    login(&live, "");
    assert_eq!(ask("DELETE", "/sessions").json()["ended"], 1);
    assert_eq!(ask("GET", "/sessions").json().as_array().unwrap().len(), 1);
}

#[test]
fn the_cookie_belongs_to_the_api_alone_and_is_secure_where_the_page_is() {
    let live = live();
    let (_, plain) = login(&live, "Origin: http://localhost\r\n");
    assert!(plain.ends_with("; HttpOnly; SameSite=Strict"), "{plain}");
    // Without a path it goes to where it came from, wherever a proxy put that.
    assert!(!plain.to_lowercase().contains("path"), "{plain}");
    // TLS ends in a proxy that sends the Host of the page on.
    let body = json!({ "token": TOKEN }).to_string();
    let request = format!(
        "POST {BASE}/session HTTP/1.0\r\nHost: farm.lan\r\nOrigin: https://farm.lan\r\nX-Forwarded-For: 10.1.1.1\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = live.daemon.raw(request);
    assert!(answer.contains("; HttpOnly; SameSite=Strict; Secure\r\n"), "{answer}");
}

#[test]
fn a_page_may_load_nothing_but_its_own_files_and_stand_in_no_frame() {
    let live = live();
    for path in ["/", "/app.js", "/app.css"] {
        let response = live.daemon.with("GET", path, "", "");
        let policy = response.header("content-security-policy").unwrap();
        assert!(!policy.contains("unsafe") && !policy.contains('*'), "{policy}");
        for part in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "connect-src 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
        ] {
            assert!(policy.split("; ").any(|p| p == part), "{part}: {policy}");
        }
        for (name, value) in [
            ("referrer-policy", "no-referrer"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
        ] {
            assert_eq!(response.header(name), Some(value));
        }
    }
}
