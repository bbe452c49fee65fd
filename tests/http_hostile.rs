//! What strangers can send to the HTTP port. tiny_http alone dies, hangs or grows by most of this.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod http_support;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http_support::{
    BASE, Daemon, Response, TOKEN, connect, exchange, resident, start, start_with, status, threads,
    until,
};
use miner_cli::bus::{Reply, Request};
use miner_cli::http::Limits;

const HEALTH: &str = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// These tests count threads, memory and descriptors: one at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn daemon(limits: Limits) -> Daemon {
    start(limits, |_| Ok(Reply::Done))
}

/// Health is asked while the others are there; the bound is for a machine under load.
fn answers_within(daemon: &Daemon, seconds: u64) {
    let begun = Instant::now();
    assert_eq!(daemon.health(), 200);
    assert!(begun.elapsed() < Duration::from_secs(seconds), "{:?}", begun.elapsed());
}

#[test]
fn lengths_that_lie_are_refused_without_reading_or_allocating() {
    let _alone = alone();
    let daemon = daemon(Limits::default());
    let before = resident();
    for (lines, expected) in [
        ("Content-Length: 70368744177664\r\n\r\n", 413),
        ("Content-Length: 9223372036854775808\r\n\r\n", 413),
        ("Content-Length: 1000000\r\n\r\nabc", 413),
        ("Content-Length: 18446744073709551616\r\n\r\n", 413),
        ("Content-Length: -1\r\n\r\n", 400),
    ] {
        let answer = daemon.with("POST", "/health", lines, "");
        assert_eq!(answer.status(), expected, "{lines:?}");
        assert!(answer.json()["error"].is_string());
    }
    answers_within(&daemon, 5);
    assert!(resident() < before + (32 << 20));
}

#[test]
fn a_body_that_does_not_come_ends_with_the_deadline_and_costs_the_others_nothing() {
    let _alone = alone();
    let daemon = daemon(Limits { reading: Duration::from_millis(700), ..Limits::default() });
    let mut clients: Vec<TcpStream> = (0..40).map(|_| daemon.connect()).collect();
    for client in &mut clients {
        client
            .write_all(
                b"POST /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nabc",
            )
            .unwrap();
    }
    answers_within(&daemon, 5);
    for client in &mut clients {
        let mut rest = Vec::new();
        let _ = client.read_to_end(&mut rest);
        assert_eq!(rest, b"", "closed without an answer");
    }
}

#[test]
fn a_drip_of_bytes_does_not_prolong_the_deadline() {
    let _alone = alone();
    let daemon = daemon(Limits { reading: Duration::from_millis(700), ..Limits::default() });
    let mut slow = daemon.connect();
    slow.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let begun = Instant::now();
    loop {
        let _ = slow.write_all(b"G");
        match slow.read(&mut [0; 1]) {
            Err(e)
                if matches!(
                    e.kind(),
                    std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                ) => {}
            _ => break,
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "the connection lives for ever");
    }
    answers_within(&daemon, 5);
}

#[test]
fn two_hundred_at_once_are_all_answered() {
    let _alone = alone();
    let daemon = daemon(Limits::default());
    for _ in 0..3 {
        let mut clients: Vec<TcpStream> = (0..200).map(|_| daemon.connect()).collect();
        for client in &mut clients {
            let request = format!(
                "GET {BASE}/peers HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
            );
            client.write_all(request.as_bytes()).unwrap();
        }
        let answered =
            clients.iter_mut().map(|c| status(&exchange(c, b""))).filter(|s| *s == 200).count();
        assert_eq!(answered, 200);
    }
}

#[test]
fn idle_connections_keep_nobody_out_and_their_threads_end() {
    let _alone = alone();
    let before = threads();
    let daemon = daemon(Limits { reading: Duration::from_secs(60), ..Limits::default() });
    let mut idle: Vec<TcpStream> = (0..300).map(|_| daemon.connect()).collect();
    for _ in 0..10 {
        answers_within(&daemon, 5);
    }
    // More than may wait: the oldest make room.
    idle.extend((0..300).map(|_| daemon.connect()));
    for _ in 0..10 {
        answers_within(&daemon, 5);
    }
    assert!(threads() < before + 512 + 50);
    let first = exchange(&mut idle[0], b"");
    assert_eq!(first, "", "the oldest was cut long before its deadline");
    daemon.stop();
    until("every thread ends", || threads() <= before);
}

#[test]
fn an_endless_header_and_a_pipeline_cost_one_answer_each() {
    let _alone = alone();
    let daemon = daemon(Limits::default());
    let before = resident();

    let mut client = daemon.connect();
    client.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ").unwrap();
    let chunk = vec![b'a'; 1 << 20];
    // The server stops reading, so this fails before the end.
    let sent = (0..64).take_while(|_| client.write_all(&chunk).is_ok()).count();
    assert!(sent < 64, "64 MiB of header were taken");
    assert_eq!(
        daemon
            .raw(format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "a".repeat(20_000)))
            .split(' ')
            .nth(1),
        Some("413")
    );

    let mut client = daemon.connect();
    let mut other = client.try_clone().unwrap();
    let answer = std::thread::scope(|scope| {
        scope.spawn(move || {
            let _ = other.write_all(HEALTH.repeat(20_000).as_bytes());
            let _ = other.shutdown(Shutdown::Write);
        });
        exchange(&mut client, b"")
    });
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "one request a connection");
    assert!(answer.contains("Connection: close"));
    answers_within(&daemon, 5);
    assert!(resident() < before + (32 << 20));
}

#[test]
fn no_second_request_can_be_smuggled_in() {
    let _alone = alone();
    let calls = Arc::new(AtomicUsize::new(0));
    let seen = calls.clone();
    let daemon = start(Limits::default(), move |request| {
        if !matches!(request, Request::NodeInfo) {
            seen.fetch_add(1, Ordering::SeqCst);
        }
        Ok(Reply::Done)
    });
    let inner = format!(
        "DELETE {BASE}/peers/a HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
    );
    let length = inner.len();
    for (lines, expected) in [
        (format!("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{inner}"), 501),
        (format!("Transfer-Encoding: identity\r\nContent-Length: {length}\r\n\r\n{inner}"), 501),
        (format!("Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n{inner}"), 400),
        (format!("X: y\r\n Transfer-Encoding: chunked\r\n\r\n{inner}"), 400),
        (format!("Content-Length: 0\r\nContent-Length: {length}\r\n\r\n{inner}"), 400),
        (format!("Content-Length: 0, {length}\r\n\r\n{inner}"), 400),
        (format!("content-length: 0\r\n\r\n{inner}"), 200),
        (format!("\r\n{inner}"), 200),
        (format!("Content-Length: {length}\r\n\r\n{inner}"), 200),
        (format!("Cookie: a\nContent-Length: 0\r\n\r\n{inner}"), 400),
        (format!("X-Gate-From: 6.6.6.6\r\nX-Gate-Stream: 1\r\n\r\n{inner}"), 200),
    ] {
        let answer = daemon.raw(format!("GET /health HTTP/1.1\r\nHost: localhost\r\n{lines}"));
        assert_eq!(status(&answer), expected, "{lines:?}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{lines:?}");
    }
    assert_eq!(calls.load(Ordering::SeqCst), 0, "nothing but /health was asked");
}

#[test]
fn clients_that_do_not_read_hold_no_place() {
    let _alone = alone();
    let line = "x".repeat(1000);
    // Patience for a slow machine: the answers are large.
    let limits = Limits { queueing: Duration::from_secs(60), ..Limits::default() };
    let daemon = start(limits, move |request| match request {
        Request::RemoteLogs { .. } => Ok(Reply::Lines(vec![line.clone(); 5000])),
        _ => Ok(Reply::Done),
    });
    let request = format!(
        "GET {BASE}/remote/a/logs/b HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
    );
    let clients: Vec<TcpStream> = (0..40)
        .map(|_| {
            let mut client = daemon.connect();
            client.write_all(request.as_bytes()).unwrap();
            client
        })
        .collect();
    answers_within(&daemon, 5);
    // One more than there are places, all behind 40 that take nothing.
    for _ in 0..29 {
        assert_eq!(daemon.get(&format!("{BASE}/peers")).status(), 200);
    }
    drop(clients);
}

#[test]
fn health_answers_while_every_call_waits_for_a_silent_registry() {
    let _alone = alone();
    let mut held = Vec::new();
    let daemon = start_with(
        Limits { queueing: Duration::from_millis(300), ..Limits::default() },
        move |call| {
            if matches!(call.request, Request::NodeInfo) {
                let _ = call.reply.try_send(Ok(Reply::Done));
            } else {
                held.push(call);
            }
        },
    );
    let request = format!(
        "GET {BASE}/peers HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
    );
    let mut clients: Vec<TcpStream> = (0..60).map(|_| daemon.connect()).collect();
    for client in &mut clients {
        client.write_all(request.as_bytes()).unwrap();
    }
    for _ in 0..10 {
        answers_within(&daemon, 5);
    }
    let answers: Vec<u16> = clients.iter_mut().map(|c| status(&exchange(c, b""))).collect();
    assert_eq!(
        answers.iter().filter(|s| **s == 504).count(),
        28,
        "those with a place hear of the time-out"
    );
    assert_eq!(answers.iter().filter(|s| **s == 503).count(), 32, "the others that it is busy");
}

#[test]
fn everything_together_leaves_no_thread_and_little_memory_behind() {
    let _alone = alone();
    let (threads_before, memory_before) = (threads(), resident());
    let daemon = daemon(Limits { reading: Duration::from_secs(2), ..Limits::default() });
    let idle: Vec<TcpStream> = (0..100).map(|_| daemon.connect()).collect();
    for round in 0..20 {
        for bytes in [
            &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
            b"GET\r\n\r\n",
            b"\0\0\0\0",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 262144\r\n\r\n",
            b"GET /%00 HTTP/1.1\r\nHost: localhost\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
        ] {
            let mut client = daemon.connect();
            client.write_all(bytes).unwrap();
            if round % 2 == 0 {
                let _ = client.shutdown(Shutdown::Both);
            }
        }
        answers_within(&daemon, 5);
    }
    drop(idle);
    daemon.stop();
    until("every thread ends", || threads() <= threads_before);
    assert!(resident() < memory_before + (32 << 20));
}

#[test]
fn stopping_does_not_wait_for_clients_or_the_registry() {
    let _alone = alone();
    let before = threads();
    let mut held = Vec::new();
    let daemon = start_with(Limits::default(), move |call| held.push(call));
    let mut asking = daemon.connect();
    let request = format!(
        "GET {BASE}/peers HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
    );
    asking.write_all(request.as_bytes()).unwrap();
    let idle: Vec<TcpStream> = (0..20).map(|_| daemon.connect()).collect();
    answers_within(&daemon, 5);
    let address = daemon.address;
    daemon.stop();
    assert_eq!(status(&exchange(&mut asking, b"")), 503, "the one who waits is told");
    assert!(
        TcpStream::connect_timeout(&address, Duration::from_secs(5)).is_err(),
        "the port is closed"
    );
    until("every thread ends", || threads() <= before);
    drop(idle);
}

/// Run by the next test as a process of its own, with few descriptors: serves until its input ends.
#[test]
#[ignore = "run by running_out_of_descriptors_passes"]
fn serves_with_few_descriptors() {
    let daemon = daemon(Limits { reading: Duration::from_secs(60), ..Limits::default() });
    println!("address {}", daemon.address);
    let _ = std::io::stdin().read(&mut [0; 1]);
    daemon.stop();
    println!("ended well");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a process of its own for a limit of its own")]
fn running_out_of_descriptors_passes() {
    let _alone = alone();
    let mut child = std::process::Command::new("sh")
        .args([
            "-c",
            "ulimit -n 80 && exec \"$0\" --exact serves_with_few_descriptors --ignored --nocapture",
        ])
        .arg(std::env::current_exe().unwrap())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let address: SocketAddr =
        lines.find_map(|l| l.split_once("address ").map(|(_, a)| a.parse().unwrap())).unwrap();
    let idle: Vec<TcpStream> = (0..300).map(|_| connect(address)).collect();
    let health = || status(&exchange(&mut connect(address), HEALTH.as_bytes()));
    until("health answers although 300 wait", || health() == 200);
    let good = (0..20).filter(|_| health() == 200).count();
    assert!(good >= 19, "{good} of 20");
    drop(idle);
    until("health answers afterwards", || health() == 200);
    drop(child.stdin.take());
    assert!(lines.any(|l| l.contains("ended well")));
    assert!(child.wait().unwrap().success());
}

#[test]
fn the_inner_server_comes_back_when_it_died() {
    let _alone = alone();
    let daemon = daemon(Limits::default());
    answers_within(&daemon, 5);
    for number in 1..4 {
        std::fs::remove_file(daemon.dir.join(format!("http-{number}.sock"))).unwrap();
        answers_within(&daemon, 5);
    }
    let answer = Response(daemon.raw(HEALTH));
    assert_eq!(answer.json()["status"], "healthy");
}
