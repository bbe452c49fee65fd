//! A miner that takes more memory than there is.
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::node::{BINARY, Node, children, pause, until};
use crate::{Footprint, join, state};

const BYTES: &str = "67108864";

/// A control group of 64 MiB.
struct Group {
    folder: PathBuf,
    /// Where the kernel counts whom it killed.
    events: &'static str,
}

impl Group {
    fn new() -> Result<Self, String> {
        let name = format!("mcf-{}", std::process::id());
        let own = std::fs::read_to_string("/proc/self/cgroup").map_err(|e| e.to_string())?;
        let first = own.lines().find_map(|l| l.split_once(":memory:")).map(|(_, path)| path);
        let (parent, limit, events) = match first {
            // The first version: below the group that this program is in.
            Some(path) => (
                Path::new("/sys/fs/cgroup/memory").join(path.trim_start_matches('/')),
                "memory.limit_in_bytes",
                "memory.oom_control",
            ),
            // The second: a group with processes has none with limits below it.
            None => (PathBuf::from("/sys/fs/cgroup"), "memory.max", "memory.events"),
        };
        let folder = parent.join(name);
        let said = |e: std::io::Error| format!("{}: {e}", folder.display());
        std::fs::create_dir(&folder).map_err(said)?;
        let group = Self { folder: folder.clone(), events };
        std::fs::write(folder.join(limit), BYTES).map_err(said)?;
        // Where there is swap, it is bounded as well; where there is none, there is no such file.
        for swap in ["memory.memsw.limit_in_bytes", "memory.swap.max"] {
            drop(std::fs::write(folder.join(swap), BYTES));
        }
        Ok(group)
    }

    fn killed(&self) -> u64 {
        let text = std::fs::read_to_string(self.folder.join(self.events)).unwrap_or_default();
        let count = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
        count.and_then(|n| n.trim().parse().ok()).unwrap_or(0)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // It is busy for a moment after its last process.
        for _ in 0..100 {
            if std::fs::remove_dir(&self.folder).is_ok() {
                return;
            }
            pause();
        }
    }
}

#[test]
fn a_miner_that_the_kernel_kills_for_memory_is_named_and_started_again() {
    let (group, bound, word) = match Group::new() {
        Ok(group) => {
            let enter = format!("echo $$ > '{}/cgroup.procs'", group.folder.display());
            (Some(group), enter, "SIGKILL")
        }
        Err(why) => {
            eprintln!("the limit is one of address space: {why}");
            (None, "ulimit -v 262144".to_owned(), "exit")
        }
    };
    let controller = Node::serve("control-center", "controller");
    let mut rig = Node::bare("rig-alpha");
    rig.cli(&["node", "init", "--name", "rig-alpha", "--role", "worker"]).ok();
    // "XMRig" is the simulated miner until the file is there, and then keeps all that it reads in memory, once.
    let full = rig.home().join("full");
    let script = format!(
        "#!/bin/sh\n{bound}\n'{BINARY}' simulate-miner \"$@\" &\n\
         until [ -e '{0}' ]; do sleep 0.1; done\nrm '{0}'\nexec tail /dev/zero\n",
        full.display()
    );
    let script = rig.folder.file("xmrig", &script);
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    rig.folder.file("config.toml", &format!("[miners.xmrig]\npath = \"{script}\"\n"));
    rig.start();
    join(&controller, &rig, &controller.p2p());
    let profile = json!({"name": "p", "minerType": "xmrig",
        "config": {"pool": "127.0.0.1:3333", "wallet": "wallet"}});
    let file = controller.folder.file("p.json", &profile.to_string());
    controller.cli(&["profile", "add", &file]).ok();
    controller.cli(&["remote", "start", "rig-alpha", "--profile", "p"]).ok();
    until("it hashes", || state(&controller) == "hashing");
    let (before, miner) = (Footprint::of(&rig), children(rig.pid()));

    rig.folder.file("full", "");
    let told = || {
        let events = controller.json(&["events", "--lines", "1000"]);
        let events = events.as_array().unwrap().clone();
        events.iter().any(|e| {
            e["kind"] == "miner-exited" && e["text"].as_str().is_some_and(|t| t.contains(word))
        })
    };
    until("the controller hears why", told);
    if let Some(group) = &group {
        assert!(group.killed() > 0, "it was the kernel");
    }
    until("another one hashes", || children(rig.pid()) != miner && state(&controller) == "hashing");
    before.comes_back(&rig);
    drop(rig);
    drop(group);
}
