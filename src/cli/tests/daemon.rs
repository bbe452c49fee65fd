//! A scripted daemon: it answers what it was told to and remembers what it was asked.
use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use serde_json::{Value, json};

use crate::cli::client::BASE;
use crate::cli::prepass::Environment;
use crate::cli::screen::testing;
use crate::config::Paths;
use crate::sys::{net, random, thread};

/// A request as the scripted daemon saw it.
#[derive(Clone, Debug)]
pub struct Seen {
    pub line: String,
    pub head: String,
    pub body: Value,
}

/// Answers `METHOD /path` with a status and a body, anything else as the daemon answers an unknown route.
pub struct Daemon {
    pub home: PathBuf,
    pub address: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Daemon {
    pub fn new(script: &[(&str, u16, Value)]) -> Self {
        let script: BTreeMap<String, (u16, Value)> = script
            .iter()
            .map(|(route, status, body)| ((*route).to_owned(), (*status, body.clone())))
            .collect();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let home = home_of(&address);
        let (seen, over) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (log, stop) = (Arc::clone(&seen), Arc::clone(&over));
        let thread = thread::spawn("test-daemon", move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::SeqCst) {
                    break;
                }
                serve(stream.unwrap(), &script, &log);
            }
        });
        Self { home, address, seen, over, thread: Some(thread.unwrap()) }
    }

    /// Runs a command line on this daemon's home: exit code, output, errors.
    pub fn run(&self, line: &str) -> (u8, String, String) {
        run_at(&self.home, line)
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub fn lines(&self) -> Vec<String> {
        self.seen().into_iter().map(|seen| seen.line).collect()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        let soon = std::time::Instant::now() + std::time::Duration::from_secs(5);
        let _ = net::connect(&self.address, soon);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        let _ = std::fs::remove_dir_all(&self.home);
    }
}

fn serve(mut stream: TcpStream, script: &BTreeMap<String, (u16, Value)>, log: &Mutex<Vec<Seen>>) {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
    let mut body = vec![0; length.map_or(0, |n| n.parse().unwrap())];
    stream.read_exact(&mut body).unwrap();
    let line =
        head.lines().next().unwrap_or_default().trim_end_matches(" HTTP/1.1").replacen(BASE, "", 1);
    let unknown = (404, json!({"error": "no such route", "code": "ROUTE_NOT_FOUND"}));
    let (status, answer) = script.get(&line).unwrap_or(&unknown);
    // A JSON text stands for a body that is not JSON: a stream of events.
    let answer = answer.as_str().map_or_else(|| answer.to_string(), str::to_owned);
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    log.lock().unwrap().push(Seen { line, head, body });
    let _ =
        write!(stream, "HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{answer}", answer.len());
}

/// A folder in which the command line finds a daemon that answers at `address`.
pub fn home_of(address: &str) -> PathBuf {
    let home = home();
    let paths = Paths::resolve(Some(&home)).unwrap();
    std::fs::create_dir_all(&paths.run_dir).unwrap();
    let run = json!({"pid": 1, "api": address, "listen": "127.0.0.1:1",
        "startedAt": "2026-01-01T00:00:00.000Z", "version": "0.1.0"});
    std::fs::write(paths.run_file(), run.to_string()).unwrap();
    std::fs::write(paths.token_file(), "secret-token\n").unwrap();
    home
}

pub fn home() -> PathBuf {
    let home = std::env::temp_dir().join(format!("mc-cli-{}", random::hex::<6>()));
    std::fs::create_dir(&home).unwrap();
    home
}

pub fn run_with(environment: Environment, line: &str) -> (u8, String, String) {
    let (screen, out, err) = testing::screen();
    let args = line.split_whitespace().map(str::to_owned).collect();
    let exit = crate::cli::run_with(args, environment, screen);
    (exit as u8, out.text(), err.text())
}

pub fn run_at(home: &Path, line: &str) -> (u8, String, String) {
    run_with(Environment { home: Some(home.to_owned()), ..Environment::default() }, line)
}
