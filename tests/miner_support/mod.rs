//! A spawner thread with its channels, as the daemon has one, for tests that run real child processes.
#![allow(dead_code, reason = "each test file uses its own part")]
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};
use miner_cli::bus::{self, Event, MinerEvent, Note, Reply, SpawnCommand};
use miner_cli::config::MinerProgram;
use miner_cli::logs::Logs;
use miner_cli::miner::{self, MinerSetup};
use miner_cli::model::miner::AvailableMiner;
use miner_cli::model::stats::MinerSample;
use miner_cli::sys::signals::{self, Watch};
use miner_cli::sys::{random, thread};
use serde_json::{Value, json};

/// Nothing here takes as long: a test that waits so long has failed.
pub const FAR: Duration = Duration::from_secs(60);

pub struct Spawner {
    commands: Option<Sender<SpawnCommand>>,
    events: Receiver<Event>,
    thread: Option<JoinHandle<()>>,
    signals: Option<Watch>,
    pub logs: Arc<Logs>,
    pub root: PathBuf,
}

/// How a miner ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub signal: Option<i32>,
    pub reason: String,
    pub permanent: bool,
}

pub fn temp() -> PathBuf {
    let root = std::env::temp_dir().join(format!("mc-miner-{}", random::hex::<6>()));
    std::fs::create_dir(&root).unwrap();
    std::fs::set_permissions(&root, std::fs::Permissions::from_mode(0o700)).unwrap();
    root
}

/// A program that is a shell script.
pub fn script(root: &Path, text: &str) -> PathBuf {
    let path = root.join("program");
    std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

impl Spawner {
    pub fn new() -> Self {
        Self::with_xmrig(temp(), None, None)
    }

    pub fn with_script(text: &str) -> Self {
        let root = temp();
        let path = script(&root, text);
        Self::with_xmrig(root, Some(path), None)
    }

    pub fn with_xmrig(root: PathBuf, path: Option<PathBuf>, sha256: Option<String>) -> Self {
        let xmrig = MinerProgram { path, sha256 };
        Self::with_programs(root, BTreeMap::from([("xmrig".to_owned(), xmrig)]))
    }

    pub fn with_programs(root: PathBuf, programs: BTreeMap<String, MinerProgram>) -> Self {
        let logs = Arc::new(Logs::default());
        let setup = MinerSetup {
            programs,
            folder: root.join("miners"),
            leftovers: root.join("miners.json"),
            node_name: "rig-7".to_owned(),
            logs: logs.clone(),
            own_program: PathBuf::from(env!("CARGO_BIN_EXE_miner-cli")),
        };
        let (commands, taken) = bus::wire_channel(64);
        let (report, events) = bus::wire_channel(1024);
        let reap = commands.clone();
        let on_child = move || drop(reap.try_send(SpawnCommand::Reap));
        let signals = signals::watch(|| {}, on_child, || {}).unwrap();
        let thread = thread::spawn("spawner", move || miner::run(setup, taken, report)).unwrap();
        Self {
            commands: Some(commands),
            events,
            thread: Some(thread),
            signals: Some(signals),
            logs,
            root,
        }
    }

    pub fn tell(&self, command: SpawnCommand) {
        self.commands.as_ref().unwrap().send(command).unwrap();
    }

    pub fn start(&self, name: &str, miner_type: &str, config: &Value) {
        let profile = json!({"id": "p", "name": "p", "minerType": miner_type, "config": config});
        let profile = Box::new(serde_json::from_value(profile).unwrap());
        self.tell(SpawnCommand::Start { name: name.to_owned(), run: 1, profile });
    }

    /// Starts a simulated miner and waits until it is there.
    pub fn simulate(&self, simulate: &Value) -> u32 {
        self.start("simulated-1", "simulated", &json!({"hashrate": 1000.0, "simulate": simulate}));
        self.started()
    }

    /// Starts the script as `xmrig`.
    pub fn run_script(&self) -> u32 {
        self.start("xmrig-1", "xmrig", &json!({"pool": "127.0.0.1:1", "wallet": "W.{rig}"}));
        self.started()
    }

    pub fn started(&self) -> u32 {
        self.wait("a start", |event| match event {
            MinerEvent::Started { pid, .. } => Some(pid),
            MinerEvent::NotStarted { reason, .. } => panic!("not started: {reason}"),
            _ => None,
        })
    }

    pub fn stop(&self, name: &str, grace: Duration) {
        self.tell(SpawnCommand::Stop { name: name.to_owned(), run: 1, grace, for_good: true });
    }

    /// The first event of a miner that `pick` takes; the ones before it are dropped.
    pub fn wait<T>(&self, what: &str, mut pick: impl FnMut(MinerEvent) -> Option<T>) -> T {
        let deadline = Instant::now() + FAR;
        loop {
            match self.events.recv_deadline(deadline) {
                Ok(Event::Miner(event)) => {
                    if let Some(got) = pick(event) {
                        return got;
                    }
                }
                Ok(_) => {}
                Err(e) => panic!("{what}: {e}"),
            }
        }
    }

    pub fn ended(&self) -> Ended {
        self.wait("an end", |event| match event {
            MinerEvent::Exited { code, signal, reason, permanent, .. } => {
                Some(Ended { code, signal, reason, permanent })
            }
            _ => None,
        })
    }

    pub fn refused(&self) -> (String, bool) {
        self.wait("a refusal", |event| match event {
            MinerEvent::NotStarted { reason, permanent, .. } => Some((reason, permanent)),
            MinerEvent::Started { .. } => panic!("it was started"),
            _ => None,
        })
    }

    pub fn sample(&self, mut fits: impl FnMut(&MinerSample) -> bool) -> MinerSample {
        self.wait("a sample", |event| match event {
            MinerEvent::Sample { sample, .. } if fits(&sample) => Some(*sample),
            _ => None,
        })
    }

    pub fn no_sample(&self) -> String {
        self.wait("a missing sample", |event| match event {
            MinerEvent::NoSample { reason, .. } => Some(reason),
            _ => None,
        })
    }

    pub fn note(&self, mut fits: impl FnMut(&Note) -> bool) -> Note {
        self.wait("a note", |event| match event {
            MinerEvent::Noted { note, .. } if fits(&note) => Some(note),
            _ => None,
        })
    }

    pub fn survey(&self) -> Vec<AvailableMiner> {
        let (reply, answer) = bus::reply_channel();
        self.tell(SpawnCommand::Survey { reply });
        match answer.recv_timeout(FAR).unwrap() {
            Ok(Reply::Available(rows)) => rows,
            other => panic!("{other:?}"),
        }
    }

    pub fn log(&self, name: &str) -> Vec<String> {
        self.logs.get(name).unwrap().tail(usize::MAX, false)
    }

    /// Waits until the miner printed a line with `text`.
    pub fn printed(&self, name: &str, text: &str) {
        eventually(text, || self.log(name).iter().any(|line| line.contains(text)));
    }
}

impl Drop for Spawner {
    fn drop(&mut self) {
        // Its thread holds a sender of commands too.
        self.signals = None;
        self.commands = None;
        // Its last events must find a reader, or it would wait for one.
        while self.events.recv_timeout(FAR).is_ok() {}
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        let _ = std::fs::remove_dir_all(&self.root);
    }
}

/// For what sends no event: looks every 20 ms.
pub fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let (_silent, timer) = bus::reply_channel::<()>();
    let deadline = Instant::now() + FAR;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what} did not come true");
        let _ = timer.recv_timeout(Duration::from_millis(20));
    }
}

/// Whether a process runs: a zombie does not.
pub fn runs(pid: u32) -> bool {
    miner_cli::sys::process::identity(pid).is_ok()
}
