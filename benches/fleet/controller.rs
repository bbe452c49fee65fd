//! The controller: the real daemon as a process of its own, its REST API, and what /proc says of it.
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use miner_cli::model::invite::InviteCode;
use serde_json::{Value, json};

const BASE: &str = "/api/v1/mining";

/// How to reach a running controller.
pub struct Reach {
    pub pid: u32,
    pub p2p: SocketAddr,
    home: PathBuf,
    api: String,
    token: String,
}

impl Reach {
    /// Of the daemon that serves `home`.
    ///
    /// # Errors
    /// None does.
    pub fn of(home: &Path) -> Result<Self, String> {
        let read = |name: &str| {
            let path = home.join("run").join(name);
            std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))
        };
        let file: Value = serde_json::from_str(&read("daemon.json")?).map_err(|e| e.to_string())?;
        let text = |key: &str| file[key].as_str().ok_or(format!("no {key} in daemon.json"));
        let mut p2p: SocketAddr = text("listen")?.parse().map_err(|_| "a bad listen address")?;
        if p2p.ip().is_unspecified() {
            p2p.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
        }
        let pid = file["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()).ok_or("no pid")?;
        let api = text("api")?.trim_start_matches("http://").to_owned();
        let (home, token) = (home.to_owned(), read("token")?.trim().to_owned());
        Ok(Self { pid, p2p, home, api, token })
    }

    /// One request on a connection of its own, as curl would make it: status, body, and the time from connecting to
    /// the last byte.
    ///
    /// # Errors
    /// No answer.
    pub fn ask(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(u16, Vec<u8>, Duration), String> {
        let body = body.map_or(String::new(), Value::to_string);
        let kind = if body.is_empty() { "" } else { "Content-Type: application/json\r\n" };
        let request = format!(
            "{method} {BASE}{path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n{kind}Content-Length: {}\r\n\r\n{body}",
            self.api,
            self.token,
            body.len()
        );
        let start = Instant::now();
        let answer = exchange(&self.api, request.as_bytes()).map_err(|e| e.to_string())?;
        let took = start.elapsed();
        let head = answer.windows(4).position(|w| w == b"\r\n\r\n").ok_or("no head")?;
        let status = std::str::from_utf8(&answer[..head]).ok().and_then(|h| h.split(' ').nth(1));
        let status = status.and_then(|s| s.parse().ok()).ok_or("no status")?;
        Ok((status, answer[head + 4..].to_vec(), took))
    }

    /// The same for an answer that has to be good JSON.
    ///
    /// # Errors
    /// It is not, or the status is no success.
    pub fn json(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, String> {
        let (status, body, _) = self.ask(method, path, body)?;
        if !(200..300).contains(&status) {
            return Err(format!("{method} {path}: {status} {}", String::from_utf8_lossy(&body)));
        }
        serde_json::from_slice(&body).map_err(|e| format!("{method} {path}: {e}"))
    }

    /// An invite that is good for `rigs` rigs.
    ///
    /// # Errors
    /// As [`Reach::json`].
    pub fn invite(&self, rigs: usize) -> Result<InviteCode, String> {
        let invite = self.json("POST", "/node/invites", Some(&json!({ "uses": rigs })))?;
        invite["code"].as_str().ok_or("no code")?.parse()
    }

    /// A stream of server-sent events that was asked for; nothing of it has been read.
    ///
    /// # Errors
    /// No connection.
    pub fn stream(&self, path: &str) -> std::io::Result<TcpStream> {
        let mut stream = TcpStream::connect(&self.api)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        write!(
            stream,
            "GET {BASE}{path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\r\n",
            self.api, self.token
        )?;
        Ok(stream)
    }

    /// Figures of `GET /metrics` at one moment, by their names without labels.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn metrics<const N: usize>(&self, names: [&str; N]) -> Result<[f64; N], String> {
        let (_, page, _) = self.ask("GET", "/metrics?detail=rigs", None)?;
        let page = String::from_utf8_lossy(&page);
        let mut figures = [0.0; N];
        for (figure, name) in figures.iter_mut().zip(names) {
            let value = page.lines().find_map(|l| l.strip_prefix(name)?.trim().parse().ok());
            *figure = value.ok_or(format!("no {name} in the metrics"))?;
        }
        Ok(figures)
    }

    /// How many readings are in mining.db, counted there.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn readings(&self) -> Result<u64, String> {
        // Whoever looks has what waits written first.
        self.json("GET", "/history/status", None)?;
        let file = rusqlite::Connection::open_with_flags(
            self.home.join("mining.db"),
            rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY,
        );
        let count = file.and_then(|file| {
            file.query_row("SELECT count(*) FROM raw", [], |row| row.get::<_, i64>(0))
        });
        count.map(i64::unsigned_abs).map_err(|e| format!("mining.db: {e}"))
    }

    pub fn usage(&self) -> Usage {
        Usage::of(self.pid)
    }
}

fn exchange(address: &str, request: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    stream.write_all(request)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer)
}

/// What a process used so far.
#[derive(Clone, Copy, Default)]
pub struct Usage {
    /// Seconds of CPU, by the whole process.
    pub cpu: f64,
    /// KiB.
    pub rss: u64,
    pub threads: u64,
}

impl Usage {
    fn of(pid: u32) -> Self {
        let read =
            |name: &str| std::fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default();
        let (stat, status) = (read("stat"), read("status"));
        let ticks = stat.rsplit(") ").next().unwrap_or_default().split(' ').skip(11).take(2);
        let field = |name: &str| {
            let line = status.lines().find(|l| l.starts_with(name));
            line.and_then(|l| l.split_whitespace().nth(1)?.parse().ok()).unwrap_or(0)
        };
        Self {
            cpu: ticks.filter_map(|t| t.parse::<f64>().ok()).sum::<f64>() / 100.0,
            rss: field("VmRSS:"),
            threads: field("Threads:"),
        }
    }
}

/// A controller of our own in a folder of its own, on free ports.
pub struct Controller {
    pub home: PathBuf,
    pub reach: Reach,
    /// How long its last start took, until its ports took connections.
    pub started: Duration,
    binary: PathBuf,
    child: Child,
}

impl Controller {
    pub fn start(binary: &Path) -> Self {
        Self::with(binary, "controller")
    }

    /// One with this role.
    pub fn with(binary: &Path, role: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("miner-cli-fleet-{}-{number}", std::process::id());
        let home = std::env::temp_dir().join(name);
        let init =
            command(binary, &home, &["node", "init", "--name", "control-center", "--role", role]);
        let done = { init }.stdout(Stdio::null()).status();
        assert!(done.is_ok_and(|s| s.success()), "the controller cannot be made");
        let (child, reach, started) = serve(binary, &home, "127.0.0.1:0");
        Self { home, reach, started, binary: binary.to_owned(), child }
    }

    /// SIGKILL, as a power cut, and a new start on the same port.
    pub fn restart(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_file(self.home.join("run/daemon.json"));
        (self.child, self.reach, self.started) =
            serve(&self.binary, &self.home, &self.reach.p2p.to_string());
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.home);
    }
}

fn command(binary: &Path, home: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(binary);
    command.arg("--home").arg(home).args(args).stdin(Stdio::null());
    command
}

fn serve(binary: &Path, home: &Path, listen: &str) -> (Child, Reach, Duration) {
    let log = std::fs::OpenOptions::new().create(true).append(true).open(home.join("daemon.log"));
    let log = log.expect("a log file");
    let start = Instant::now();
    let mut child =
        command(binary, home, &["node", "serve", "--listen", listen, "--api", "127.0.0.1:0"])
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the daemon");
    loop {
        // The run file comes when both ports are open.
        if let Ok(reach) = Reach::of(home)
            && TcpStream::connect(reach.p2p).is_ok()
        {
            return (child, reach, start.elapsed());
        }
        let ended = child.try_wait().ok().flatten();
        let late = start.elapsed() > Duration::from_secs(60);
        assert!(ended.is_none() && !late, "the daemon does not serve: {ended:?}");
        std::thread::sleep(Duration::from_micros(500));
    }
}
