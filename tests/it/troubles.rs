//! Bad input and bad luck: one clear error each, the right exit code, nothing lost.
use std::net::TcpListener;

use serde_json::json;

use super::node::{Folder, Node, Said, pair};

#[track_caller]
fn fails(said: &Said, code: i32, text: &str) {
    assert_eq!(said.code, code, "{said:?}");
    assert!(said.err.starts_with("error: ") && said.err.contains(text), "{said:?}");
    assert!(said.out.is_empty(), "an error goes to stderr: {said:?}");
}

#[test]
fn unknown_names_and_ambiguous_prefixes() {
    let (controller, _rig) = pair();
    fails(&controller.cli(&["peer", "ping", "nobody"]), 4, "nobody");
    fails(&controller.cli(&["remote", "start", "rig-alpha", "--profile", "none"]), 4, "none");
    fails(&controller.cli(&["remote", "stop", "rig-alpha", "xmrig-1"]), 4, "xmrig-1");
    fails(&controller.cli(&["peer", "approve", "abcd"]), 4, "abcd");
    fails(&controller.cli(&["profile", "show", "none"]), 4, "none");
}

#[test]
fn usage_errors_exit_with_2() {
    let node = Node::bare("usage");
    for args in [
        &["peer", "frob"][..],
        &["node", "init"],
        &["peer", "ping", "x", "--count", "many"],
        &["--nonsense"],
    ] {
        let said = node.cli(args);
        assert_eq!(said.code, 2, "{args:?}: {said:?}");
    }
    for args in [&["--help"][..], &["peer", "--help"], &["remote", "logs", "-h"], &["--version"]] {
        let said = node.cli(args);
        assert!(said.code == 0 && !said.out.is_empty(), "{args:?}: {said:?}");
    }
}

#[test]
fn a_daemon_that_does_not_run_is_named_with_what_to_do() {
    let node = Node::bare("silent");
    node.cli(&["node", "init", "--name=silent", "--role=worker"]).ok();
    let said = node.cli(&["peer", "list"]);
    fails(&said, 3, "daemon");
    assert!(said.err.contains("hint: ") && said.err.contains("node serve"), "{said:?}");
    assert!(node.cli(&["node", "info"]).ok().contains("silent"), "this needs no daemon");
    let mut other = node.command(&["--api", "http://127.0.0.1:1", "peer", "list"]);
    fails(&other.env("MINER_CLI_TOKEN", "x").output().unwrap().into(), 3, "127.0.0.1:1");
}

#[test]
fn a_port_in_use_is_named_and_nothing_is_changed() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().to_string();
    let mut node = Node::bare("port");
    node.cli(&["node", "init", "--name", "port"]).ok();
    for flags in
        [["--listen", &port, "--api", "127.0.0.1:0"], ["--listen", "127.0.0.1:0", "--api", &port]]
    {
        let log = node.try_start(&flags).unwrap_err();
        assert!(log.contains("error: ") && log.contains(&port) && log.contains("hint: "), "{log}");
    }
    node.start();
}

#[test]
fn two_daemons_do_not_share_a_home() {
    let node = Node::serve("one", "dual");
    let said = node.cli(&["node", "serve", "--listen", "127.0.0.1:0", "--api", "127.0.0.1:0"]);
    fails(&said, 1, "another daemon");
    node.cli(&["peer", "list"]).ok();
}

#[test]
fn a_broken_config_file_is_named_with_line_and_column() {
    let mut node = Node::bare("config");
    node.cli(&["node", "init", "--name", "config"]).ok();
    for (text, place) in [
        ("listen = \":9091\"\n[api\n", "line 2"),
        ("x = 1\n", "line 1, column 1"),
        ("listen = 7\n", "line 1"),
    ] {
        node.folder.file("config.toml", text);
        let log = node.try_start(&[]).unwrap_err();
        assert!(log.contains("config.toml") && log.contains(place), "{log}");
        std::fs::remove_file(node.home().join("daemon.log")).unwrap();
    }
    std::fs::remove_file(node.home().join("config.toml")).unwrap();
    node.start();
}

#[test]
fn the_api_does_not_open_to_the_network_by_itself() {
    let mut node = Node::bare("open");
    node.cli(&["node", "init", "--name", "open"]).ok();
    let log = node.try_start(&["--listen", "127.0.0.1:0", "--api", "0.0.0.0:0"]).unwrap_err();
    assert!(log.contains("without encryption") && log.contains("allow_plaintext"), "{log}");
}

#[test]
fn keys_are_private_checked_and_never_overwritten() {
    use std::os::unix::fs::PermissionsExt as _;
    let mut node = Node::bare("keys");
    node.cli(&["node", "init", "--name", "keys"]).ok();
    let key = node.home().join("node/private.key");
    let mode =
        |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&key), mode(key.parent().unwrap())), (0o600, 0o700));
    let bytes = std::fs::read(&key).unwrap();
    fails(&node.cli(&["node", "init", "--name", "again"]), 1, "identity");

    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o640)).unwrap();
    let log = node.try_start(&[]).unwrap_err();
    assert!(log.contains("private.key") && log.contains("chmod"), "{log}");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(&key, &bytes[..63]).unwrap();
    assert!(node.try_start(&[]).is_err());
    let other: Vec<u8> = bytes.iter().map(|b| b ^ 1).collect();
    std::fs::write(&key, &other).unwrap();
    assert!(node.try_start(&[]).is_err());
    fails(&node.cli(&["node", "info"]), 1, "");
    assert_eq!(std::fs::read(&key).unwrap(), other, "nothing was written over it");
    std::fs::write(&key, &bytes).unwrap();
    node.start();
}

#[test]
fn a_home_that_cannot_be_written_is_named() {
    let folder = Folder::new("file");
    let file = folder.file("home", "a file where a folder should be");
    let node = Node::bare("unused");
    for args in [&["node", "init", "--name", "x"][..], &["node", "serve"]] {
        let said: Said = std::process::Command::new(super::node::BINARY)
            .args(["--home", &file])
            .args(args)
            .output()
            .unwrap()
            .into();
        fails(&said, 1, &file);
    }
    drop(node);
}

#[test]
fn a_full_disk_refuses_the_change_and_keeps_what_there_was() {
    // A file system of 1 MiB in memory; without the privilege to mount one this cannot be shown.
    let folder = Folder::new("full");
    let home = folder.0.join("home");
    std::fs::create_dir(&home).unwrap();
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=1536k,mode=700", "tmpfs"])
        .arg(&home)
        .output()
        .is_ok_and(|o| o.status.success());
    if !mounted {
        println!("skipped: no tmpfs can be mounted here");
        return;
    }
    let result = std::panic::catch_unwind(|| full_disk(&home));
    drop(std::process::Command::new("umount").arg(&home).status());
    if let Err(panic) = result {
        std::panic::resume_unwind(panic);
    }
}

fn full_disk(home: &std::path::Path) {
    let node = NodeAt::serve(home);
    let keep = json!({"name": "kept", "minerType": "simulated", "config": {"hashrate": 1}});
    let file = Folder::new("profiles");
    node.cli(&["profile", "add", &file.file("kept.json", &keep.to_string())]).ok();
    drop(
        std::process::Command::new("dd")
            .args(["if=/dev/zero", "bs=4k"])
            .arg(format!("of={}", home.join("fill").display()))
            .output(),
    );
    let long = "x".repeat(90);
    let mut refused = None;
    for i in 0..400 {
        let more = json!({"name": format!("p{i}"), "minerType": "simulated", "config": {"hashrate": 1, "wallet": long}});
        let said = node.cli(&["profile", "add", &file.file("more.json", &more.to_string())]);
        if said.code != 0 {
            refused = Some(said);
            break;
        }
    }
    let refused = refused.expect("a full disk refuses");
    assert!(refused.err.contains("node.db"), "{refused:?}");
    let listed = node.cli(&["profile", "list"]).ok();
    assert!(listed.contains("kept"));
    std::fs::remove_file(home.join("fill")).unwrap();
    let after = json!({"name": "after", "minerType": "simulated", "config": {"hashrate": 1}});
    node.cli(&["profile", "add", &file.file("after.json", &after.to_string())]).ok();
}

/// A node whose home is given.
struct NodeAt(std::path::PathBuf, std::process::Child);

impl NodeAt {
    fn serve(home: &std::path::Path) -> Self {
        let run = |args: &[&str]| {
            std::process::Command::new(super::node::BINARY)
                .arg("--home")
                .arg(home)
                .args(args)
                .output()
                .unwrap()
        };
        Said::from(run(&["node", "init", "--name", "full"])).ok();
        let child = std::process::Command::new(super::node::BINARY)
            .arg("--home")
            .arg(home)
            .args(["node", "serve", "--listen", "127.0.0.1:0", "--api", "127.0.0.1:0"])
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let node = Self(home.to_owned(), child);
        super::node::until("it serves", || home.join("run/daemon.json").exists());
        node
    }

    fn cli(&self, args: &[&str]) -> Said {
        std::process::Command::new(super::node::BINARY)
            .arg("--home")
            .arg(&self.0)
            .args(args)
            .output()
            .unwrap()
            .into()
    }
}

impl Drop for NodeAt {
    fn drop(&mut self) {
        super::node::signal_pid(self.1.id(), 15);
        drop(self.1.wait());
    }
}
