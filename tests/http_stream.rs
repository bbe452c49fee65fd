//! Followed logs as server-sent events.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod http_support;

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};
use http_support::{BASE, Daemon, Response, TOKEN, exchange, start, until};
use miner_cli::bus::{self, LogPart, Reply, Request};
use miner_cli::http::Limits;
use miner_cli::model::fault::{Code, Fault};

const WAIT: Duration = Duration::from_secs(30);

/// A daemon whose registry hands out each follower's sink, and tells of every credit and end.
struct Logs {
    daemon: Daemon,
    sinks: Receiver<(u64, usize, Sender<LogPart>)>,
    credits: Receiver<(u64, usize)>,
    ends: Receiver<u64>,
}

fn logs(limits: Limits) -> Logs {
    let (sink_to, sinks) = bus::wire_channel(200);
    let (credit_to, credits) = bus::wire_channel(10_000);
    let (end_to, ends) = bus::wire_channel(200);
    let mut last = 0;
    let daemon = start(limits, move |request| match request {
        Request::FollowLogs { miner, .. } if miner == "none" => {
            Err(Fault::new(Code::MinerNotFound, "no"))
        }
        Request::FollowLogs { lines, sink, .. } => {
            last += 1;
            sink_to.try_send((last, lines, sink)).unwrap();
            Ok(Reply::Follow { follow: last })
        }
        Request::FollowCredit { follow, lines } => {
            credit_to.try_send((follow, lines)).unwrap();
            Ok(Reply::Done)
        }
        Request::Unfollow { follow } => {
            end_to.try_send(follow).unwrap();
            Ok(Reply::Done)
        }
        _ => Ok(Reply::Done),
    });
    Logs { daemon, sinks, credits, ends }
}

fn request(path: &str) -> String {
    format!(
        "GET {BASE}/remote/rig/logs/{path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
    )
}

/// A client that has read the head of its stream.
fn follow(logs: &Logs, path: &str) -> (BufReader<TcpStream>, u64, Sender<LogPart>) {
    let mut client = logs.daemon.connect();
    client.write_all(request(path).as_bytes()).unwrap();
    let mut client = BufReader::new(client);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert_ne!(client.read_line(&mut head).unwrap(), 0, "{head}");
    }
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert!(
        head.contains("Content-Type: text/event-stream\r\n")
            && head.contains("Connection: close\r\n")
    );
    let (follow, _, sink) = logs.sinks.recv_timeout(WAIT).unwrap();
    (client, follow, sink)
}

/// The next event, up to its empty line; empty at the end.
fn event(client: &mut BufReader<TcpStream>) -> String {
    let mut text = String::new();
    while !text.ends_with("\n\n") && client.read_line(&mut text).unwrap() > 0 {}
    text
}

fn end(code: &str, reason: &str) -> String {
    format!("event: end\ndata: {{\"code\":\"{code}\",\"reason\":\"{reason}\"}}\n\n")
}

fn part(lines: &[&str], skipped: u64) -> LogPart {
    LogPart { lines: lines.iter().map(|l| (*l).to_owned()).collect(), skipped, ended: false }
}

#[test]
fn lines_come_in_order_at_once_with_their_gaps_and_the_end() {
    let logs = logs(Limits::default());
    let (mut client, number, sink) = follow(&logs, "m/stream?lines=7");
    for i in 0..300 {
        // Each line is read before the next is sent: nothing holds it back.
        sink.send(part(&[&format!("line {i}\r\n\"x\"")], 0)).unwrap();
        assert_eq!(event(&mut client), format!("data: \"line {i}\\r\\n\\\"x\\\"\"\n\n"));
    }
    assert_eq!(logs.credits.iter().take(300).filter(|c| *c == (number, 1)).count(), 300);
    sink.send(part(&["a", "b"], 12)).unwrap();
    assert_eq!(event(&mut client), "event: skipped\ndata: 12\n\n");
    assert_eq!(
        (event(&mut client), event(&mut client)),
        ("data: \"a\"\n\n".into(), "data: \"b\"\n\n".into())
    );
    sink.send(LogPart { ended: true, ..part(&["last"], 0) }).unwrap();
    assert_eq!(event(&mut client), "data: \"last\"\n\n");
    assert_eq!(event(&mut client), end("STOPPED", "the miner was stopped"));
    assert_eq!(event(&mut client), "", "the connection is closed");
    assert_eq!(logs.ends.recv_timeout(WAIT), Ok(number));
}

#[test]
fn a_dropped_sink_ends_the_stream() {
    let logs = logs(Limits::default());
    let (mut client, number, sink) = follow(&logs, "m/stream");
    drop(sink);
    assert_eq!(event(&mut client), end("LINK_LOST", "the link to the rig was lost"));
    assert_eq!(logs.ends.recv_timeout(WAIT), Ok(number));
}

#[test]
fn a_client_that_goes_is_noticed_while_the_log_is_silent() {
    let logs = logs(Limits { keepalive: Duration::from_secs(3600), ..Limits::default() });
    let (client, number, _sink) = follow(&logs, "m/stream");
    drop(client);
    assert_eq!(logs.ends.recv_timeout(WAIT), Ok(number));
}

#[test]
fn a_silent_log_is_kept_alive_by_comments() {
    let logs = logs(Limits { keepalive: Duration::from_millis(50), ..Limits::default() });
    let (mut client, _, _sink) = follow(&logs, "m/stream");
    assert!(event(&mut client).starts_with(": "));
    assert!(event(&mut client).starts_with(": "));
}

#[test]
fn a_client_that_does_not_read_is_cut() {
    let logs = logs(Limits { stream_writing: Duration::from_millis(300), ..Limits::default() });
    let (client, number, sink) = follow(&logs, "m/stream");
    let line = "x".repeat(4000);
    let lines = vec![line.as_str(); 10];
    // Ends with the sink's receiver, once the buffers on the way are full and the patience is over.
    while sink.send_timeout(part(&lines, 0), WAIT).is_ok() {}
    assert_eq!(logs.ends.recv_timeout(WAIT), Ok(number));
    drop(client);
}

#[test]
fn streams_have_places_of_their_own_which_come_back() {
    let logs = logs(Limits { streams: 3, ..Limits::default() });
    let mut open: Vec<_> = (0..3).map(|_| follow(&logs, "m/stream")).collect();
    let refused = Response(logs.daemon.raw(request("m/stream")));
    assert_eq!((refused.status(), refused.json()["code"].as_str()), (503, Some("UNAVAILABLE")));
    assert_eq!(logs.daemon.get(&format!("{BASE}/peers")).status(), 200, "calls are not streams");
    assert_eq!(logs.daemon.health(), 200);
    open.pop();
    until("the place comes back", || {
        let mut client = logs.daemon.connect();
        client.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        http_support::status(&exchange(&mut client, request("m/stream").as_bytes())) == 200
    });
}

#[test]
fn what_cannot_be_followed_is_an_ordinary_answer() {
    let logs = logs(Limits { streams: 1, ..Limits::default() });
    for (text, expected) in [
        (request("none/stream"), 404),
        (request("m/stream?lines=0"), 400),
        (request("m/stream").replace(TOKEN, "wrong"), 401),
        (request("m/stream").replace("GET", "HEAD"), 405),
        (request("m/stream").replace("GET", "POST"), 405),
    ] {
        until("the one place is free again", || {
            let answer = Response(logs.daemon.raw(&text));
            if answer.status() != 503 {
                assert_eq!(answer.status(), expected);
                if !text.starts_with("HEAD") {
                    assert!(answer.json()["error"].is_string());
                }
            }
            answer.status() == expected
        });
    }
    assert!(logs.ends.is_empty(), "nothing was followed");
}

#[test]
fn the_end_of_the_daemon_is_an_event() {
    let logs = logs(Limits::default());
    let (mut client, _, _sink) = follow(&logs, "m/stream");
    logs.daemon.stop();
    assert_eq!(event(&mut client), end("SHUTDOWN", "the daemon is ending"));
    assert_eq!(event(&mut client), "");
}
