//! What strangers can send to the HTTP port and the P2P port of a running daemon: it answers `/health` during and after,
//! its memory does not grow, and no thread stays behind. The rows are those at which a bare tiny_http 0.12 fails.
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use super::node::{Node, PATIENCE, until, within};

const MIB: u64 = 1024 * 1024;
/// More connections than the 512 that the API lets wait for their first request.
const IDLE: usize = 600;
/// Both ports end a connection that says nothing after 10 s: by then it is no merit to have few.
const BEFORE_TIME_IS_UP: Duration = Duration::from_secs(5);
/// The promise is a second. A machine that runs eight tests at once on two cores gets more, but less than the ten
/// seconds after which those who hold things up are cut.
const SOON: Duration = Duration::from_secs(8);

fn status(pid: u32, field: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find(|l| l.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn open_files(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

/// One request on a connection of its own; the status, or 0 when there was no answer in time.
fn health(address: &str, patience: Duration) -> u16 {
    let Ok(mut stream) = TcpStream::connect(address) else { return 0 };
    stream.set_read_timeout(Some(patience)).unwrap();
    let request =
        format!("GET /health HTTP/1.1\r\nHost: {address}\r\nConnection: keep-alive\r\n\r\n");
    if stream.write_all(request.as_bytes()).is_err() {
        return 0;
    }
    let mut head = [0; 12];
    if stream.read_exact(&mut head).is_err() {
        return 0;
    }
    std::str::from_utf8(&head[9..12]).ok().and_then(|s| s.parse().ok()).unwrap_or(0)
}

/// A daemon whose figures before the attack are known.
struct Target {
    node: Node,
    address: String,
    memory: u64,
    threads: u64,
}

impl Target {
    fn new() -> Self {
        let node = Node::serve("target", "dual");
        let address = node.api();
        assert_eq!(health(&address, PATIENCE), 200);
        // The first requests make the inner server's own threads.
        for _ in 0..20 {
            assert_eq!(health(&address, PATIENCE), 200);
        }
        let pid = node.pid();
        Self { address, memory: status(pid, "VmRSS"), threads: status(pid, "Threads"), node }
    }

    fn send(&self, bytes: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        drop(stream.write_all(bytes));
        stream
    }

    /// What the daemon answers to `head` (a Host line is added): everything until it closes.
    fn answer(&self, head: &str) -> String {
        let mut stream =
            self.send(format!("{head}\r\nHost: {}\r\n\r\nabc", self.address).as_bytes());
        let mut text = Vec::new();
        drop(stream.read_to_end(&mut text));
        String::from_utf8_lossy(&text).into_owned()
    }

    /// The daemon is as it was before.
    fn is_well(&self) {
        assert_eq!(health(&self.address, SOON), 200, "health answers soon");
        let pid = self.node.pid();
        let grown = status(pid, "VmRSS").saturating_sub(self.memory) * 1024;
        assert!(grown < 32 * MIB, "grew by {grown} bytes");
        // tiny_http's own pool keeps a handful of threads and ends further ones after 5 s.
        until("its threads have ended", || status(pid, "Threads") <= self.threads + 4);
    }
}

#[test]
fn lying_and_doubled_lengths_neither_kill_nor_smuggle() {
    let target = Target::new();
    for (head, expected) in [
        ("GET /health HTTP/1.1\r\nContent-Length: 70368744177664", "413"),
        ("GET /health HTTP/1.1\r\nContent-Length: 9223372036854775808", "4"),
        ("POST /health HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 50", "400"),
        ("POST /health HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: identity", "501"),
        ("POST /health HTTP/1.1\r\nTransfer-Encoding: chunked", "501"),
        ("GET /health HTTP/1.1\r\nHost: other.example", "400"),
    ] {
        let text = target.answer(head);
        assert!(text.starts_with(&format!("HTTP/1.1 {expected}")), "{head}: {text}");
        assert_eq!(text.matches("HTTP/1.1 ").count(), 1, "one answer: {text}");
        target.is_well();
    }
}

#[test]
fn a_body_that_never_comes_holds_up_nobody() {
    let target = Target::new();
    let head = format!(
        "POST /health HTTP/1.1\r\nHost: {}\r\nContent-Length: 200000\r\n\r\nabc",
        target.address
    );
    let stalled: Vec<_> = (0..100).map(|_| target.send(head.as_bytes())).collect();
    assert_eq!(health(&target.address, SOON), 200);
    drop(stalled);
    target.is_well();
}

#[test]
fn two_hundred_clients_at_once_are_all_answered() {
    let target = Target::new();
    let clients: Vec<_> = (0..200)
        .map(|_| {
            let address = target.address.clone();
            std::thread::spawn(move || health(&address, PATIENCE))
        })
        .collect();
    let answered = clients.into_iter().map(|c| c.join().unwrap()).filter(|s| *s == 200).count();
    assert_eq!(answered, 200);
    target.is_well();
}

#[test]
fn idle_connections_cost_next_to_nothing_and_end() {
    let target = Target::new();
    let before = open_files(target.node.pid());
    let idle: Vec<_> = (0..IDLE).map(|_| target.send(b"GET / HT")).collect();
    for _ in 0..10 {
        assert_eq!(health(&target.address, SOON), 200);
    }
    let held = || open_files(target.node.pid()) - before;
    assert!(within(BEFORE_TIME_IS_UP, || held() < 560), "the oldest gave way: {} held", held());
    let grown = status(target.node.pid(), "VmRSS").saturating_sub(target.memory) * 1024;
    assert!(grown < 32 * MIB, "grew by {grown} bytes");
    drop(idle);
    target.is_well();
}

#[test]
fn an_endless_header_is_cut_off() {
    let target = Target::new();
    let mut stream =
        target.send(format!("GET / HTTP/1.1\r\nHost: {}\r\nX: ", target.address).as_bytes());
    let chunk = vec![b'a'; 1024 * 1024];
    let refused = (0..64).any(|_| stream.write_all(&chunk).is_err());
    assert!(refused, "64 MiB of header were taken");
    target.is_well();
}

#[test]
fn pipelined_requests_are_not_queued() {
    let target = Target::new();
    let one = format!("GET /health HTTP/1.1\r\nHost: {}\r\n\r\n", target.address);
    let mut stream = target.send(one.repeat(20_000).as_bytes());
    drop(stream.shutdown(Shutdown::Write));
    let mut text = Vec::new();
    drop(stream.read_to_end(&mut text));
    assert!(String::from_utf8_lossy(&text).matches("HTTP/1.1 200").count() <= 1);
    target.is_well();
}

#[test]
fn a_line_break_in_a_path_makes_no_header() {
    let target = Target::new();
    let text = target.answer("GET /%0d%0aSet-Cookie:%20x=1 HTTP/1.1");
    assert!(!text.to_lowercase().contains("\r\nset-cookie"), "{text}");
    target.is_well();
}

#[test]
fn a_daemon_out_of_descriptors_answers_again() {
    let mut node =
        Node::bare_around("descriptors", &["sh", "-c", "ulimit -n 120; exec \"$0\" \"$@\""]);
    node.cli(&["node", "init", "--name", "descriptors"]).ok();
    node.start();
    let address = node.api();
    let idle: Vec<_> = (0..300).filter_map(|_| TcpStream::connect(&address).ok()).collect();
    until("it answers beside them", || health(&address, SOON) == 200);
    drop(idle);
    until("it answers without them", || health(&address, SOON) == 200);
}

#[test]
fn a_thousand_silent_callers_do_not_keep_a_peer_out() {
    let controller = Node::serve("control-center", "controller");
    let rig = Node::serve("rig-alpha", "worker");
    let p2p = rig.p2p();
    let begun = Instant::now();
    let before = open_files(rig.pid());
    let silent: Vec<_> = (0..1000).filter_map(|_| TcpStream::connect(&p2p).ok()).collect();
    controller.cli(&["peer", "add", "--address", &p2p, "--name", "rig-alpha"]).ok();
    // Whoever was let in after them: all of them are through the door.
    let held = || open_files(rig.pid()) - before;
    assert!(within(BEFORE_TIME_IS_UP, || held() < 100), "of one address: {} held", held());
    rig.cli(&["peer", "approve", &controller.id()]).ok();
    until("linked", || controller.peer("rig-alpha")["connected"] == true);
    let garbage: Vec<_> = (0..50)
        .filter_map(|i| {
            let mut stream = TcpStream::connect(&p2p).ok()?;
            stream.write_all(&vec![i; 4096]).ok()?;
            Some(stream)
        })
        .collect();
    assert_eq!(rig.peer("control-center")["connected"], true);
    drop((silent, garbage));
    until("no thread stays", || status(rig.pid(), "Threads") < 40);
    assert!(begun.elapsed() < PATIENCE * 3);
}

#[test]
fn sigterm_ends_a_daemon_under_attack() {
    let mut target = Target::new();
    let idle: Vec<_> = (0..100).map(|_| target.send(b"GET")).collect();
    let begun = Instant::now();
    assert_eq!(target.node.stop(), Some(0));
    assert!(begun.elapsed() < PATIENCE);
    drop(idle);
}
