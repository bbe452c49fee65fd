//! Disks that turn read-only or slow. A full one is in tests/it/troubles.rs.
use std::process::Command;
use std::time::Duration;

use crate::net::run;
use crate::node::{Folder, Node, Running, until, within};
use crate::{join, mine, state};

/// A small ext4 on a loop device that turns read-only at its first error, as a dying card does.
struct Card {
    image: std::path::PathBuf,
    folder: std::path::PathBuf,
    device: String,
}

impl Card {
    fn new() -> Result<Self, String> {
        let image = std::env::temp_dir().join(format!("mcf-card-{}", std::process::id()));
        let folder = image.with_extension("mnt");
        std::fs::create_dir_all(&folder).map_err(|e| e.to_string())?;
        let file = std::fs::File::create(&image).map_err(|e| e.to_string())?;
        file.set_len(48 << 20).map_err(|e| e.to_string())?;
        let (path, mount) = (image.to_str().unwrap(), folder.to_str().unwrap());
        run("mkfs.ext4", &["-q", "-F", path])?;
        run("mount", &["-o", "loop,errors=remount-ro", path, mount])?;
        let found = run("findmnt", &["-n", "-o", "SOURCE", mount])?;
        let device = found.trim().trim_start_matches("/dev/").to_owned();
        Ok(Self { image, folder, device })
    }

    /// The kernel finds an error.
    fn fail(&self) -> Result<(), String> {
        let trigger = format!("/sys/fs/ext4/{}/trigger_fs_error", self.device);
        std::fs::write(&trigger, "1").map_err(|e| format!("{trigger}: {e}"))
    }
}

impl Drop for Card {
    fn drop(&mut self) {
        drop(run("umount", &["-l", self.folder.to_str().unwrap()]));
        drop(std::fs::remove_file(&self.image));
        drop(std::fs::remove_dir(&self.folder));
    }
}

#[test]
fn a_disk_that_turns_read_only_refuses_changes_in_words_and_mining_goes_on() {
    let card = match Card::new() {
        Ok(card) => card,
        Err(why) => return eprintln!("skipped: {why}"),
    };
    let controller = Node::serve("control-center", "controller");
    let mut rig = Node::bare("rig-alpha");
    rig.folder = Folder(card.folder.join("home"));
    std::fs::create_dir(&rig.folder.0).unwrap();
    rig.cli(&["node", "init", "--name", "rig-alpha", "--role", "worker"]).ok();
    rig.start();
    join(&controller, &rig, &controller.p2p());
    mine(&controller, "rig-alpha");
    if let Err(why) = card.fail() {
        return eprintln!("skipped: {why}");
    }
    // Every command is written before it is obeyed; so none is.
    let said = controller.cli(&["remote", "stop", "rig-alpha"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("read-only") || said.err.contains("disk"), "{said:?}");
    assert_eq!(state(&controller), "hashing");
    let miners = rig.json(&["miner", "list"]);
    assert_eq!(miners[0]["state"], "hashing", "{miners}");
    assert_eq!(rig.stop(), Some(0), "it ends when it is told to: {}", rig.log());
}

#[test]
fn a_slow_disk_delays_changes_and_nothing_else() {
    let node = Node::serve("control-center", "controller");
    let file = node.folder.file(
        "slow.json",
        r#"{"name":"slow","minerType":"simulated","config":{"algo":"rx/0","hashrate":1}}"#,
    );
    // Each flush of the disk takes four seconds from now on.
    let pid = node.pid().to_string();
    let mut tracer = Command::new("strace");
    tracer.args(["-f", "-qq", "-p", &pid, "-o", "/dev/null", "-e", "trace=fsync,fdatasync"]);
    tracer.args(["-e", "inject=fsync,fdatasync:delay_enter=4000000"]);
    if Command::new("strace").arg("-V").output().is_err() {
        return eprintln!("skipped: no strace");
    }
    let tracing = Running::new(tracer);
    let traced = || {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        status.lines().any(|l| l.starts_with("TracerPid:") && !l.ends_with("\t0"))
    };
    if !within(Duration::from_secs(20), traced) {
        return eprintln!("skipped: strace cannot attach");
    }
    let mut adding = node.command(&["profile", "add", &file]).spawn().unwrap();
    let mut answered = 0;
    while adding.try_wait().unwrap().is_none() {
        node.cli(&["peer", "list"]).ok();
        answered += 1;
    }
    assert!(adding.wait().unwrap().success(), "the change was made in the end");
    assert!(answered >= 3, "questions were answered {answered} times while the disk worked");
    drop(tracing);
    until("the profile is there", || node.json(&["profile", "list"])[0]["name"] == "slow");
}
