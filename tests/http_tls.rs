//! The API under TLS: the same gate, and what strangers can do before they have said a word of HTTP.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod http_support;
mod tls_support;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use http_support::{
    BASE, Daemon, Response, TOKEN, connect, resident, start_under, status, threads, until,
};
use miner_cli::bus::{self, Call, LogPart, Reply, Request};
use miner_cli::http::Limits;
use tls_support::{Far, good};

const HEALTH: &str = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// These tests count threads and memory: one at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn daemon(limits: Limits) -> Daemon {
    start_under(limits, Some(good().server()), |Call { reply, .. }| {
        let _ = reply.try_send(Ok(Reply::Done));
    })
}

fn client(daemon: &Daemon) -> Far {
    Far::connect(&format!("wss://{}", daemon.address))
}

/// Sends the bytes, and reads to the end.
fn exchange(client: &mut Far, bytes: impl AsRef<[u8]>) -> String {
    let _ = client.write_all(bytes.as_ref());
    let mut answer = Vec::new();
    let _ = client.read_to_end(&mut answer);
    String::from_utf8(answer).unwrap()
}

/// Health is asked while the others are there; the bound is for a machine under load.
fn answers_soon(daemon: &Daemon) {
    let begun = Instant::now();
    assert_eq!(status(&exchange(&mut client(daemon), HEALTH)), 200);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[test]
fn a_session_of_an_https_dashboard_is_sent_over_nothing_else() {
    let _alone = alone();
    let daemon = daemon(Limits::default());
    let body = format!("{{\"token\":\"{TOKEN}\"}}");
    let length = body.len();
    let bytes = format!(
        "POST {BASE}/session HTTP/1.1\r\nHost: localhost:9\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    let answer = Response(exchange(&mut client(&daemon), bytes));
    assert_eq!(answer.status(), 204, "{answer:?}");
    let cookie = answer.header("Set-Cookie").unwrap().to_owned();
    assert!(
        cookie.starts_with("miner-9=") && cookie.ends_with("; SameSite=Strict; Secure"),
        "{cookie}"
    );
}

#[test]
fn plain_http_to_the_https_port_is_told_so() {
    let _alone = alone();
    let daemon = daemon(Limits::default());
    let answer = daemon.raw(HEALTH);
    assert_eq!(status(&answer), 426, "{answer}");
    assert!(answer.contains("https://"));
    for bytes in [b"\0\0\0\0".as_slice(), b"\x16\x03\x01\x00\x05hello", b"\x16"] {
        let mut stream = daemon.connect();
        stream.write_all(bytes).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    }
    answers_soon(&daemon);
}

#[test]
fn lengths_that_lie_are_refused_under_tls_too() {
    let _alone = alone();
    let daemon = daemon(Limits::default());
    for (lines, expected) in [
        ("Content-Length: 70368744177664\r\n\r\n", 413),
        ("Content-Length: 1000000\r\n\r\nabc", 413),
        ("Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc", 400),
        ("Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 501),
        ("Host: evil.example\r\n\r\n", 400),
    ] {
        let bytes = format!("POST /health HTTP/1.1\r\nHost: localhost\r\n{lines}");
        let answer = exchange(&mut client(&daemon), bytes);
        assert_eq!(status(&answer), expected, "{lines:?}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
    }
    answers_soon(&daemon);
}

#[test]
fn a_drip_in_the_handshake_and_one_in_the_request_end_at_the_same_deadline() {
    let _alone = alone();
    let daemon = daemon(Limits { reading: Duration::from_millis(900), ..Limits::default() });
    let hello = [[0x16, 3, 1, 0x3e, 0x80, 1, 0].as_slice(), &[0; 2000]].concat();
    let in_handshake = Slow { stream: daemon.connect(), bytes: hello };
    let far = client(&daemon);
    let in_request = Slow { stream: far, bytes: vec![b'G'; 2000] };
    let begun = Instant::now();
    let drips = [
        miner_cli::sys::thread::spawn("drip", move || {
            in_handshake.drip(|s, time| s.set_read_timeout(time));
        }),
        miner_cli::sys::thread::spawn("drip", move || {
            in_request.drip(|s, time| s.set_read_timeout(time));
        }),
    ];
    for drip in drips {
        drip.unwrap().join().unwrap();
    }
    assert!(begun.elapsed() < Duration::from_secs(20));
    answers_soon(&daemon);
}

struct Slow<S> {
    stream: S,
    bytes: Vec<u8>,
}

impl<S: std::io::Read + std::io::Write> Slow<S> {
    /// A byte each time that nothing came for 20 ms, until the other side ends it.
    fn drip(mut self, timeout: impl Fn(&S, Option<Duration>) -> std::io::Result<()>) {
        timeout(&self.stream, Some(Duration::from_millis(20))).unwrap();
        for byte in &self.bytes {
            let _ = self.stream.write_all(&[*byte]);
            match self.stream.read(&mut [0; 64]) {
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {}
                _ => return,
            }
        }
        panic!("the connection lives for ever");
    }
}

#[test]
fn idle_connections_without_a_handshake_keep_nobody_out_and_cost_little() {
    let _alone = alone();
    let (threads_before, memory_before) = (threads(), resident());
    let daemon = daemon(Limits { reading: Duration::from_secs(3), ..Limits::default() });
    let idle: Vec<TcpStream> = (0..600).map(|_| connect(daemon.address)).collect();
    answers_soon(&daemon);
    let grown = resident().saturating_sub(memory_before);
    assert!(grown < 48 << 20, "{grown} bytes for 600 idle ones");
    drop(idle);
    until("their threads end", || threads() <= threads_before + 8);
    daemon.stop();
}

#[test]
fn a_hundred_at_once_are_all_answered() {
    let _alone = alone();
    let daemon = daemon(Limits::default());
    let mut clients: Vec<Far> = (0..100).map(|_| client(&daemon)).collect();
    for client in &mut clients {
        let request = format!(
            "GET {BASE}/peers HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
        );
        client.write_all(request.as_bytes()).unwrap();
    }
    let answered = clients.iter_mut().map(|c| status(&exchange(c, b""))).filter(|s| *s == 200);
    assert_eq!(answered.count(), 100);
}

#[test]
fn an_event_stream_comes_live_and_its_end_is_told_on_either_side() {
    let _alone = alone();
    let (sink_to, sinks) = bus::wire_channel::<Sender<LogPart>>(8);
    let (end_to, ends) = bus::wire_channel(8);
    let daemon = start_under(
        Limits::default(),
        Some(good().server()),
        move |Call { request, reply, .. }| {
            let answer = match request {
                Request::FollowLogs { sink, .. } => {
                    sink_to.try_send(sink).unwrap();
                    Reply::Follow { follow: 1 }
                }
                Request::Unfollow { .. } => {
                    end_to.try_send(()).unwrap();
                    Reply::Done
                }
                _ => Reply::Done,
            };
            let _ = reply.try_send(Ok(answer));
        },
    );
    let wait = Duration::from_secs(30);
    let follow = || {
        let mut client = client(&daemon);
        let request = format!(
            "GET {BASE}/remote/rig/logs/m-1/stream HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
        );
        client.write_all(request.as_bytes()).unwrap();
        (client, sinks.recv_timeout(wait).unwrap())
    };
    // The log ends: the client sees a whole end, not a cut.
    let (mut client, sink) = follow();
    let lines = vec!["one line".to_owned()];
    sink.send(LogPart { lines, skipped: 0, ended: false }).unwrap();
    let mut text = Vec::new();
    while !String::from_utf8_lossy(&text).contains("one line") {
        let mut part = [0; 512];
        let read = client.read(&mut part).unwrap();
        assert!(read > 0, "{}", String::from_utf8_lossy(&text));
        text.extend(&part[..read]);
    }
    drop(sink);
    client.read_to_end(&mut text).expect("the end is said in the words of TLS");
    // The client goes: the follower is let go of.
    while ends.try_recv().is_ok() {}
    let (client, _sink) = follow();
    client.tcp().shutdown(std::net::Shutdown::Both).unwrap();
    ends.recv_timeout(wait).unwrap();
    daemon.stop();
}
