//! A running HTTP server with a registry that the test plays, and a client that sends exactly what it is told.
#![allow(dead_code, reason = "each test binary uses its part")]
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use miner_cli::bus::{self, Call, Event, Reply, Request};
use miner_cli::http::{GateOptions, HttpContext, HttpServer, Limits, serve};
use miner_cli::logs::Logs;
use miner_cli::model::fault::Fault;
use miner_cli::sys;
use miner_cli::tls::Server;
use serde_json::Value;

pub const TOKEN: &str = "0123456789abcdef";
pub const BASE: &str = miner_cli::http::BASE;

pub struct Daemon {
    pub address: SocketAddr,
    pub logs: Arc<Logs>,
    pub dir: PathBuf,
    server: Option<HttpServer>,
    registry: Option<JoinHandle<()>>,
}

/// A registry that answers each request by `answer`.
pub fn start(
    limits: Limits,
    mut answer: impl FnMut(Request) -> Result<Reply, Fault> + Send + 'static,
) -> Daemon {
    start_with(limits, move |Call { request, reply, .. }| {
        let _ = reply.try_send(answer(request));
    })
}

/// A registry that does what it likes with a call.
pub fn start_with(limits: Limits, take: impl FnMut(Call) + Send + 'static) -> Daemon {
    start_under(limits, None, take)
}

/// The same under TLS.
pub fn start_under(
    limits: Limits,
    tls: Option<Arc<Server>>,
    mut take: impl FnMut(Call) + Send + 'static,
) -> Daemon {
    let (events, inbox): (_, Receiver<Event>) = bus::wire_channel(256);
    let registry = sys::thread::spawn("registry", move || {
        for event in inbox {
            if let Event::Call(call) = event {
                take(call);
            }
        }
    });
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::SeqCst);
    let dir = std::env::temp_dir().join(format!("miner-http-{}-{number}", std::process::id()));
    let logs = Arc::new(Logs::default());
    let context = HttpContext {
        events,
        logs: logs.clone(),
        counters: Arc::default(),
        node_db: dir.join("node.db"),
        mining_db: None,
        token: TOKEN.to_owned(),
        hosts: vec!["farm.lan".to_owned()],
        version: "1.2.3",
    };
    let options = GateOptions { listeners: vec![listener], gate_dir: dir.clone(), limits, tls };
    let server = serve(options, context).unwrap();
    let address = server.addresses()[0];
    Daemon { address, logs, dir, server: Some(server), registry: Some(registry.unwrap()) }
}

impl Daemon {
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let Some(server) = self.server.take() else { return };
        let stopped = server.stop();
        if std::thread::panicking() {
            return;
        }
        assert!(stopped, "every thread ends in time");
        self.registry.take().unwrap().join().unwrap();
        let _ = std::fs::remove_dir_all(&self.dir);
    }

    pub fn connect(&self) -> TcpStream {
        connect(self.address)
    }

    /// Sends the bytes, and reads to the end.
    pub fn raw(&self, bytes: impl AsRef<[u8]>) -> String {
        exchange(&mut self.connect(), bytes.as_ref())
    }

    /// The status of a well-formed request for `/health`.
    pub fn health(&self) -> u16 {
        status(&self.raw("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"))
    }

    pub fn get(&self, path: &str) -> Response {
        self.ask("GET", path, None)
    }

    pub fn ask(&self, method: &str, path: &str, body: Option<&str>) -> Response {
        let lines = format!(
            "Authorization: Bearer {TOKEN}\r\n{}",
            match body {
                Some(body) =>
                    format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len()),
                None => String::new(),
            }
        );
        self.with(method, path, &lines, body.unwrap_or_default())
    }

    /// A request with the header lines given, and Host.
    pub fn with(&self, method: &str, path: &str, lines: &str, body: &str) -> Response {
        Response(
            self.raw(format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n{body}")),
        )
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.end();
    }
}

#[derive(Debug)]
pub struct Response(pub String);

impl Response {
    pub fn status(&self) -> u16 {
        status(&self.0)
    }

    pub fn head(&self) -> &str {
        self.0.split_once("\r\n\r\n").unwrap().0
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head().split("\r\n").filter_map(|line| line.split_once(": "));
        lines.find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub fn body(&self) -> &str {
        self.0.split_once("\r\n\r\n").unwrap().1
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(self.body()).unwrap()
    }
}

pub fn connect(address: SocketAddr) -> TcpStream {
    let stream = sys::net::connect(&address.to_string(), soon(10)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream.set_write_timeout(Some(Duration::from_secs(30))).unwrap();
    stream
}

/// A server that refuses may close while we still send.
pub fn exchange(stream: &mut TcpStream, bytes: &[u8]) -> String {
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8(answer).unwrap()
}

/// 0 when there was no answer.
pub fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0)
}

pub fn soon(seconds: u64) -> Instant {
    Instant::now() + Duration::from_secs(seconds)
}

/// Waits for what cannot be waited for otherwise; fails after 30 s.
/// `seen` is what to say then.
pub fn until(what: &str, mut there: impl FnMut() -> bool) {
    let deadline = soon(30);
    while !there() {
        assert!(Instant::now() < deadline, "{what}");
        let _ = crossbeam_channel::never::<()>().recv_timeout(Duration::from_millis(20));
    }
}

/// The threads of the servers that this test started: ours by name; tiny_http's have their maker's.
pub fn threads() -> usize {
    let comm = |task: PathBuf| std::fs::read_to_string(task.join("comm")).unwrap_or_default();
    let own = comm("/proc/thread-self".into());
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    tasks.flatten().map(|t| comm(t.path())).filter(|n| n.starts_with("http-") || *n == own).count()
}

/// Resident memory, bytes.
pub fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}
