//! A daemon in a folder of its own, its command line and its REST API.
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

pub const BINARY: &str = env!("CARGO_BIN_EXE_miner-cli");
/// Long enough for a loaded machine; a test that gets this far has failed.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A fresh folder below the temporary one, removed at the end.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("mc-{}-{number}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn file(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

pub struct Node {
    pub folder: Folder,
    daemon: Option<Child>,
    /// What every program of this node is started with: `ip netns exec …`, `prlimit …`.
    around: Vec<String>,
}

/// What a command line said.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Said {
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.out
    }

    #[track_caller]
    pub fn json(self) -> Value {
        let out = self.ok();
        serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out}"))
    }
}

impl Node {
    /// A folder without identity or daemon.
    pub fn bare(name: &str) -> Self {
        Self::bare_around(name, &[])
    }

    /// The same, its programs started by another one that puts itself out of the way (`exec`).
    pub fn bare_around(name: &str, around: &[&str]) -> Self {
        let around = around.iter().map(|&word| word.to_owned()).collect();
        Self { folder: Folder::new(name), daemon: None, around }
    }

    /// A node with an identity and a running daemon.
    pub fn serve(name: &str, role: &str) -> Self {
        let mut node = Self::bare(name);
        node.cli(&["node", "init", "--name", name, "--role", role]).ok();
        node.start();
        node
    }

    pub fn home(&self) -> &Path {
        &self.folder.0
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let words: Vec<&str> = self.around.iter().map(String::as_str).chain([BINARY]).collect();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]);
        command.arg("--home").arg(self.home()).args(args).stdin(Stdio::null());
        command
            .env_remove("MINER_CLI_HOME")
            .env_remove("MINER_CLI_API")
            .env_remove("MINER_CLI_TOKEN");
        command
    }

    pub fn cli(&self, args: &[&str]) -> Said {
        self.command(args).output().unwrap().into()
    }

    /// `--json`, parsed.
    pub fn json(&self, args: &[&str]) -> Value {
        self.cli(&[args, &["--json"]].concat()).json()
    }

    pub fn start(&mut self) {
        self.start_with(&[]);
    }

    /// Starts the daemon on free ports and waits until it says where it answers.
    pub fn start_with(&mut self, more: &[&str]) {
        self.try_start(more).unwrap_or_else(|log| panic!("the daemon did not start: {log}"));
    }

    pub fn try_start(&mut self, more: &[&str]) -> Result<(), String> {
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.home().join("daemon.log"))
            .unwrap();
        let ports = ["node", "serve", "--listen", "127.0.0.1:0", "--api", "127.0.0.1:0"];
        let args: Vec<&str> = if more.contains(&"--listen") {
            [&["node", "serve"], more].concat()
        } else {
            [&ports[..], more].concat()
        };
        let mut child =
            self.command(&args).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if let Some(status) = child.try_wait().unwrap() {
                return Err(format!("{status}: {}", self.log()));
            }
            if self.run_file().is_some_and(|f| f["pid"] == child.id()) {
                self.daemon = Some(child);
                return Ok(());
            }
            pause();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        Err(format!("no run file: {}", self.log()))
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.home().join("daemon.log")).unwrap_or_default()
    }

    fn run_file(&self) -> Option<Value> {
        serde_json::from_str(&std::fs::read_to_string(self.home().join("run/daemon.json")).ok()?)
            .ok()
    }

    pub fn pid(&self) -> u32 {
        self.daemon.as_ref().expect("the daemon runs").id()
    }

    pub fn p2p(&self) -> String {
        self.run_file().unwrap()["listen"].as_str().unwrap().to_owned()
    }

    /// `127.0.0.1:port` of the API.
    pub fn api(&self) -> String {
        self.run_file().unwrap()["api"].as_str().unwrap().trim_start_matches("http://").to_owned()
    }

    pub fn token(&self) -> String {
        std::fs::read_to_string(self.home().join("run/token")).unwrap().trim().to_owned()
    }

    pub fn id(&self) -> String {
        self.json(&["node", "info"])["identity"]["id"].as_str().unwrap().to_owned()
    }

    /// Sends the daemon a signal by number.
    pub fn signal(&self, signal: i32) {
        signal_pid(self.pid(), signal);
    }

    /// SIGKILL, as a crash or a power cut would do.
    pub fn kill(&mut self) {
        let mut child = self.daemon.take().expect("the daemon runs");
        child.kill().unwrap();
        child.wait().unwrap();
        self.is_sound();
    }

    /// SIGTERM, and the exit code.
    pub fn stop(&mut self) -> Option<i32> {
        let mut child = self.daemon.take().expect("the daemon runs");
        signal_pid(child.id(), 15);
        let code = child.wait().unwrap().code();
        self.is_sound();
        code
    }

    /// Whatever was done to the daemon, none of its threads panicked.
    #[track_caller]
    fn is_sound(&self) {
        if !std::thread::panicking() {
            let log = self.log();
            assert!(!log.contains("panicked"), "a thread of the daemon panicked: {log}");
        }
    }

    /// One REST request with the node's token: status and JSON.
    pub fn rest(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        let body = body.map(Value::to_string);
        let token = format!("Authorization: Bearer {}\r\n", self.token());
        let kind = if body.is_some() { "Content-Type: application/json\r\n" } else { "" };
        let (status, text) = self.raw(
            method,
            &format!("/api/v1/mining{path}"),
            &format!("{token}{kind}"),
            body.as_deref(),
        );
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// One HTTP request as written: status and body; 0 and the reason where the connection broke.
    pub fn raw(
        &self,
        method: &str,
        path: &str,
        headers: &str,
        body: Option<&str>,
    ) -> (u16, String) {
        let api = self.api();
        let length = body.map_or(String::new(), |b| format!("Content-Length: {}\r\n", b.len()));
        let host = if headers.to_lowercase().contains("host:") {
            String::new()
        } else {
            format!("Host: {api}\r\n")
        };
        let head = format!(
            "{method} {path} HTTP/1.1\r\n{host}{headers}{length}\r\n{}",
            body.unwrap_or_default()
        );
        let exchange = || {
            let mut stream = TcpStream::connect(&api)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.write_all(head.as_bytes())?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).map(|_| answer)
        };
        let answer: std::io::Result<Vec<u8>> = exchange();
        let answer = match answer {
            Ok(answer) => String::from_utf8_lossy(&answer).into_owned(),
            Err(e) => return (0, e.to_string()),
        };
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
        (status, body.to_owned())
    }

    /// This node's row of its peer called `name`.
    pub fn peer(&self, name: &str) -> Value {
        let peers = self.json(&["peer", "list"]);
        peers.as_array().unwrap().iter().find(|p| p["name"] == name).cloned().unwrap_or(Value::Null)
    }

    pub fn state(&self, name: &str) -> String {
        self.peer(name)["state"].as_str().unwrap_or("none").to_owned()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(mut child) = self.daemon.take() {
            signal_pid(child.id(), 18);
            signal_pid(child.id(), 15);
            let end = Instant::now() + Duration::from_secs(20);
            while child.try_wait().unwrap().is_none() {
                if Instant::now() > end {
                    child.kill().unwrap();
                }
                pause();
            }
        }
        self.is_sound();
    }
}

/// Through the shell's own `kill`: no unsafe code in the tests.
pub fn signal_pid(pid: u32, signal: i32) {
    drop(
        Command::new("kill")
            .arg(format!("-{signal}"))
            .arg(pid.to_string())
            .stderr(Stdio::null())
            .status(),
    );
}

pub fn alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit(") ").next().and_then(|s| s.chars().next());
    state.is_some_and(|s| s != 'Z' && s != 'X')
}

/// The processes below `pid`, with what they were started as.
pub fn children(pid: u32) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(child) = entry.file_name().to_str().and_then(|n| n.parse::<u32>().ok()) else {
            continue;
        };
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let parent = stat
            .rsplit(") ")
            .next()
            .and_then(|s| s.split(' ').nth(1))
            .and_then(|p| p.parse::<u32>().ok());
        if parent == Some(pid) {
            found.push(child);
        }
    }
    found
}

/// Between two looks at something that cannot be waited for.
pub fn pause() {
    std::thread::sleep(Duration::from_millis(50));
}

/// Waits until `check` is true; fails with `what` when it does not become so within [`PATIENCE`].
#[track_caller]
pub fn until(what: &str, check: impl FnMut() -> bool) {
    assert!(within(PATIENCE, check), "waited {PATIENCE:?} for: {what}");
}

/// Whether `check` becomes true within `time`.
pub fn within(time: Duration, mut check: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + time;
    loop {
        if check() {
            return true;
        }
        if Instant::now() > end {
            return false;
        }
        pause();
    }
}

/// Lines of a running command's output as they come; the command is ended when this is dropped.
pub struct Running {
    pub child: Child,
    lines: Receiver<String>,
}

impl Running {
    pub fn new(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (said, lines) = channel();
        std::thread::spawn(move || {
            out.lines().map_while(Result::ok).try_for_each(|l| said.send(l))
        });
        Self { child, lines }
    }

    /// The next line that holds `text`; `None` at the end of the output, and when nothing comes any more.
    pub fn line_with(&mut self, text: &str) -> Option<String> {
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            if line.contains(text) {
                return Some(line);
            }
        }
        None
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A controller and a worker, linked by the worker's approval; the controller calls it `rig-alpha`.
pub fn pair() -> (Node, Node) {
    let controller = Node::serve("control-center", "controller");
    let rig = Node::serve("rig-alpha", "worker");
    controller.cli(&["peer", "add", "--address", &rig.p2p(), "--name", "rig-alpha"]).ok();
    rig.cli(&["peer", "approve", &controller.id()]).ok();
    until("both sides are connected", || {
        controller.peer("rig-alpha")["connected"] == true
            && rig.peer("control-center")["connected"] == true
    });
    (controller, rig)
}

/// Adds a simulated profile called `name` with these misbehaviours, and starts it on `rig-alpha`.
pub fn start_simulated(controller: &Node, name: &str, simulate: &Value) -> Said {
    start_simulated_on(controller, "rig-alpha", name, simulate)
}

/// The same on the rig of that name.
pub fn start_simulated_on(controller: &Node, rig: &str, name: &str, simulate: &Value) -> Said {
    let mut simulate = simulate.clone();
    simulate.as_object_mut().unwrap().entry("warmup").or_insert(Value::from(1));
    let profile = serde_json::json!({
        "name": name, "minerType": "simulated",
        "config": {"algo": "rx/0", "hashrate": 12500, "simulate": simulate}
    });
    let file = controller.folder.file(&format!("{name}.json"), &profile.to_string());
    controller.cli(&["profile", "add", &file]).ok();
    controller.cli(&["remote", "start", rig, "--profile", name])
}

/// The stats of the first miner of `rig-alpha`, as the controller sees them.
pub fn miner(controller: &Node) -> Value {
    let (_, stats) = controller.rest("GET", "/remote/stats", None);
    let rigs = stats.as_object().cloned().unwrap_or_default();
    rigs.values().next().map_or(Value::Null, |rig| rig["miners"][0].clone())
}

pub fn total(controller: &Node) -> f64 {
    let (_, totals) = controller.rest("GET", "/remote/totals", None);
    totals["algorithms"].as_array().unwrap().iter().map(|a| a["hashrate"].as_f64().unwrap()).sum()
}
