//! The daemon as a service: what systemd is told, where the files are, what a fresh installation opens.
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::node::{BINARY, Folder, Node, PATIENCE, Said, signal_pid};

/// A daemon started as systemd starts its unit, and the socket on which systemd listens.
struct Unit {
    folder: Folder,
    socket: UnixDatagram,
    child: Child,
}

impl Unit {
    fn start(name: &str, config: &str, environment: &[(&str, &str)]) -> Self {
        Self::start_by("exec \"$0\" \"$@\"", name, config, environment)
    }

    /// By a shell, which has the daemon's own output already.
    fn start_by(script: &str, name: &str, config: &str, environment: &[(&str, &str)]) -> Self {
        let folder = Folder::new(name);
        for part in ["etc", "state", "run"] {
            std::fs::create_dir(folder.0.join(part)).unwrap();
        }
        folder.file("etc/config.toml", config);
        let path = folder.0.join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let child = Command::new("/bin/sh")
            .args(["-c", script, BINARY])
            .args(["node", "serve", "--listen", "127.0.0.1:0", "--api", "127.0.0.1:0"])
            .env_clear()
            .env("NOTIFY_SOCKET", &path)
            .env("CONFIGURATION_DIRECTORY", folder.0.join("etc"))
            .env("STATE_DIRECTORY", folder.0.join("state"))
            .env("RUNTIME_DIRECTORY", folder.0.join("run"))
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self { folder, socket, child }
    }

    fn told(&self) -> String {
        let mut text = [0; 4096];
        let n = self.socket.recv(&mut text).expect("systemd is told something");
        String::from_utf8(text[..n].to_vec()).unwrap()
    }

    fn told_until(&self, wanted: &str) -> String {
        loop {
            let told = self.told();
            if told.starts_with(wanted) {
                return told;
            }
        }
    }

    fn run_file(&self) -> Value {
        let text = std::fs::read_to_string(self.folder.0.join("run/daemon.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    fn cli(&self, args: &[&str]) -> Said {
        let api = self.run_file()["api"].as_str().unwrap().trim_start_matches("http://").to_owned();
        let token = self.folder.0.join("run/token");
        let options = ["--api", &api, "--token-file", token.to_str().unwrap()];
        let args = [&options[..], args].concat();
        Command::new(BINARY).args(args).output().unwrap().into()
    }

    fn listening(&self) -> Vec<String> {
        listening(self.child.id())
    }

    /// SIGTERM; everything that it had logged.
    fn stop(&mut self) -> Vec<String> {
        signal_pid(self.child.id(), 15);
        let log = BufReader::new(self.child.stderr.take().unwrap());
        let lines = log.lines().map(Result::unwrap).collect();
        assert!(self.child.wait().unwrap().success());
        lines
    }
}

impl Drop for Unit {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The local addresses of the TCP sockets on which a process listens, as the kernel writes them.
fn listening(pid: u32) -> Vec<String> {
    let mut inodes = Vec::new();
    for fd in std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten() {
        let target = std::fs::read_link(fd.path()).unwrap_or_default();
        let target = target.to_string_lossy().into_owned();
        inodes.extend(target.strip_prefix("socket:[").map(|i| i.trim_end_matches(']').to_owned()));
    }
    let mut found = Vec::new();
    for table in ["tcp", "tcp6"] {
        let text = std::fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap_or_default();
        for row in text.lines().skip(1) {
            let fields: Vec<&str> = row.split_whitespace().collect();
            if fields[3] == "0A" && inodes.iter().any(|inode| inode == fields[9]) {
                found.push(fields[1].to_owned());
            }
        }
    }
    found
}

#[test]
fn systemd_is_told_of_the_start_of_life_and_of_the_end() {
    let watchdog = [("WATCHDOG_USEC", "100000")];
    let mut unit = Unit::start("notify", "log_format = \"json\"", &watchdog);
    let ready = unit.told_until("READY=1");
    assert!(ready.contains("\nSTATUS=API on http://127.0.0.1:"), "{ready}");
    assert!(ready.contains("P2P waits for an identity"), "{ready}");
    unit.told_until("WATCHDOG=1");
    unit.cli(&["node", "init", "--name", "rig-alpha"]).ok();
    assert!(unit.told_until("READY=1").contains("P2P on 127.0.0.1:"));
    for _ in 0..3 {
        unit.told_until("WATCHDOG=1");
    }
    let log = unit.stop();
    assert!(unit.told_until("STOPPING=1").contains("\nSTATUS=stopping"));
    assert!(log.len() > 2);
    for line in log {
        let line: Value = serde_json::from_str(&line).expect("each line is one JSON object");
        assert!(line["time"].is_string() && line["message"].is_string() && line["level"] == "info");
    }
}

/// What glibc is told of its heap comes from the environment alone, so the daemon began anew with it.
#[test]
#[cfg(target_env = "gnu")]
fn the_daemons_threads_keep_no_freed_memory_unless_somebody_has_decided_otherwise() {
    const DECIDED: [(&str, &str); 1] = [("GLIBC_TUNABLES", "glibc.malloc.arena_max=2")];
    for (decided, is_told) in [
        (&[][..], "GLIBC_TUNABLES=glibc.malloc.tcache_count=0"),
        (&DECIDED, "GLIBC_TUNABLES=glibc.malloc.arena_max=2"),
    ] {
        let mut unit = Unit::start("heap", "", decided);
        unit.told_until("READY=1");
        let process = format!("/proc/{}", unit.child.id());
        let told = std::fs::read(format!("{process}/environ")).unwrap();
        let told: Vec<_> = told.split(|b| *b == 0).map(String::from_utf8_lossy).collect();
        let of_glibc: Vec<_> = told.iter().filter(|v| v.starts_with("GLIBC")).collect();
        assert_eq!(of_glibc, [is_told]);
        // It keeps its name, its arguments and its process.
        assert_eq!(std::fs::read_to_string(format!("{process}/comm")).unwrap(), "miner-cli\n");
        let arguments = std::fs::read_to_string(format!("{process}/cmdline")).unwrap();
        assert_eq!(arguments.matches("serve").count(), 1, "{arguments}");
        unit.stop();
    }
}

#[test]
fn without_a_watchdog_nothing_but_start_and_end_is_told() {
    let mut unit = Unit::start("no-watchdog", "", &[]);
    unit.told_until("READY=1");
    unit.stop();
    let told = unit.told();
    assert!(told.starts_with("STOPPING=1"), "{told}");
}

#[test]
fn a_fresh_service_listens_on_loopback_alone_and_shares_its_token_with_its_group() {
    let mut unit = Unit::start("fresh", "", &[]);
    unit.told_until("READY=1");
    let fresh = unit.listening();
    assert_eq!(fresh.len(), 1, "the API alone: {fresh:?}");
    assert!(fresh[0].starts_with("0100007F:"), "{fresh:?}");
    assert!(unit.run_file()["listen"].is_null());

    let mode = |file: &str| {
        std::fs::metadata(unit.folder.0.join(file)).unwrap().permissions().mode() & 0o777
    };
    assert_eq!((mode("run/token"), mode("run/daemon.json")), (0o640, 0o640));
    assert_eq!(mode("run/gate"), 0o700);

    unit.cli(&["node", "init", "--name", "rig-alpha", "--role", "worker"]).ok();
    unit.told_until("READY=1");
    assert_eq!(unit.listening().len(), 2, "with an identity peers can connect");
    assert_eq!(mode("state/node/private.key"), 0o600);
    assert!(unit.folder.0.join("state/node.json").exists());
    assert!(!unit.folder.0.join("etc/node.json").exists(), "nothing is written to /etc");
    unit.stop();
}

#[test]
fn a_port_that_is_taken_makes_no_identity() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut node = Node::bare("taken");
    node.start_with(&["--listen", &address, "--api", "127.0.0.1:0"]);
    let said = node.cli(&["node", "init", "--name", "rig-alpha"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains(&address) && said.err.contains("cannot be opened"), "{said:?}");
    drop(taken);
    node.cli(&["node", "init", "--name", "rig-alpha"]).ok();
    let about = node.json(&["node", "info"]);
    assert_eq!(about["identity"]["name"], "rig-alpha");
    assert!(Path::new(node.home()).join("node/private.key").exists());
}

#[test]
fn the_journal_gets_priorities_only_where_stderr_is_the_journal() {
    // A pipe is not the journal's socket, whatever the environment says.
    let mut unit = Unit::start("journal", "", &[("JOURNAL_STREAM", "9:12345")]);
    unit.told_until("READY=1");
    assert!(unit.stop().iter().all(|line| line.starts_with("20") && line.contains("Z info: ")));

    let script = "JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2) exec \"$0\" \"$@\"";
    let mut unit = Unit::start_by(script, "journal", "", &[("PATH", "/usr/bin:/bin")]);
    unit.told_until("READY=1");
    let log = unit.stop();
    assert!(log.len() > 1 && log.iter().all(|line| line.starts_with("<6>info: ")), "{log:?}");
}
