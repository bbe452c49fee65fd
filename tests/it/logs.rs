//! The output of miners: kept over a crash, bounded, and nobody who reads it slows what it comes from. And the
//! daemon's own log, which no stranger fills.
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use miner_cli::logs::Logs;
use miner_cli::logs::disk::Writer;
use serde_json::json;

use super::node::{
    BINARY, Folder, Node, PATIENCE, alive, children, pair, start_simulated, until, within,
};

const STOP: i32 = 19;
const CONT: i32 = 18;
const MIB: u64 = 1024 * 1024;

#[test]
fn the_run_before_a_crash_of_the_daemon_is_shown_with_previous() {
    let (controller, mut rig) = pair();
    start_simulated(&controller, "demo", &json!({"shareEvery": 0.5})).ok();
    let (log, folder) = (rig.home().join("logs/simulated-1.log"), rig.home().join("logs"));
    let text = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
    until("shares on disk", || text(&log).matches("accepted").count() > 3);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&folder), mode(&log)), (0o700, 0o600));

    let (listen, api) = (rig.p2p(), rig.api());
    let miners = children(rig.pid());
    rig.kill();
    until("the miner is gone", || miners.iter().all(|pid| !alive(*pid)));
    let killed = text(&log);
    rig.start_with(&["--listen", &listen, "--api", &api]);
    until("it hashes again", || controller.state("rig-alpha") == "hashing");
    let shown = controller.cli(&["remote", "logs", "rig-alpha", "simulated-1", "--previous"]).ok();
    let last: Vec<&str> = killed.lines().rev().take(100).collect();
    assert_eq!(shown.lines().rev().take(100).collect::<Vec<_>>(), last);
    assert_eq!(text(&rig.home().join("logs/simulated-1.previous.log")), killed);
    // Likewise over an orderly end, with the very last line: it is written at the end.
    assert_eq!(rig.stop(), Some(0));
    rig.start_with(&["--listen", &listen, "--api", &api]);
    until("the last words of the stopped run", || {
        let said = controller.cli(&["remote", "logs", "rig-alpha", "simulated-1", "--previous"]);
        said.out.lines().last().is_some_and(|line| line.contains("stopped"))
    });
}

/// A rig whose "XMRig" prints `bytes` each time that the file `go-N` appears, says `burst N is over`, and makes the
/// file `done-N`; otherwise it is the simulated miner.
fn pair_with_bursts(bytes: u64) -> (Node, Node) {
    let (controller, mut rig) = pair();
    let home = rig.home().display().to_string();
    let line = "b".repeat(63);
    let script = format!(
        "#!/bin/sh\n\
         (for n in 1 2; do\n\
           until [ -e {home}/go-$n ]; do sleep 0.1; done\n\
           yes {line} | head -c {bytes}\n\
           echo \"burst $n is over\"\n\
           : > {home}/done-$n\n\
         done) &\n\
         exec {BINARY} simulate-miner \"$@\"\n"
    );
    let script = rig.folder.file("xmrig", &script);
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    rig.folder.file("config.toml", &format!("[miners.xmrig]\npath = \"{script}\"\n"));
    let (listen, api) = (rig.p2p(), rig.api());
    rig.stop();
    rig.start_with(&["--listen", &listen, "--api", &api]);
    until("linked", || controller.peer("rig-alpha")["state"] == "idle");
    let profile = json!({"name": "bursts", "minerType": "xmrig",
        "config": {"pool": "127.0.0.1:3333", "wallet": "wallet"}});
    let file = controller.folder.file("bursts.json", &profile.to_string());
    controller.cli(&["profile", "add", &file]).ok();
    controller.cli(&["remote", "start", "rig-alpha", "--profile", "bursts"]).ok();
    (controller, rig)
}

/// Resident bytes of a process.
fn memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// Begins to follow over REST, and reads no more than the beginning of the answer.
fn follow_and_never_read(controller: &Node) -> TcpStream {
    let mut stream = TcpStream::connect(controller.api()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = format!(
        "GET /api/v1/mining/remote/rig-alpha/logs/xmrig-1/stream?lines=1 HTTP/1.1\r\nHost: {}\r\n\
         Authorization: Bearer {}\r\n\r\n",
        controller.api(),
        controller.token()
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut head = [0; 12];
    stream.read_exact(&mut head).unwrap();
    assert_eq!(&head, b"HTTP/1.1 200");
    stream
}

fn bursts_with_followers_that_do_not_read(bytes: u64, patience: Duration) {
    let (controller, rig) = pair_with_bursts(bytes);
    let pids = [rig.pid(), controller.pid()];
    let mut followers = vec![follow_and_never_read(&controller)];
    let before = pids.map(memory);
    let mut most = before;
    let mut look = || {
        for (most, pid) in most.iter_mut().zip(pids) {
            *most = memory(pid).max(*most);
        }
    };
    for burst in 1..=2 {
        if burst == 2 {
            // This time the controller itself is a follower that does not read.
            followers.push(follow_and_never_read(&controller));
            controller.signal(STOP);
        }
        rig.folder.file(&format!("go-{burst}"), "");
        let done = rig.home().join(format!("done-{burst}"));
        let over = within(patience, || {
            look();
            done.exists()
        });
        controller.signal(CONT);
        assert!(over, "burst {burst} did not get through");
        let last = format!("burst {burst} is over");
        until(&last, || {
            look();
            rig.cli(&["miner", "logs", "xmrig-1", "--lines", "2000"]).ok().contains(&last)
        });
    }
    for (before, most) in before.into_iter().zip(most) {
        assert!(most < before + 16 * MIB, "memory rose from {before} to {most}");
    }
    until("the last lines are on disk", || {
        let log = std::fs::read_to_string(rig.home().join("logs/xmrig-1.log")).unwrap_or_default();
        log.contains("burst 2 is over") && log.contains("lines are missing here]")
    });
    let kept: u64 = std::fs::read_dir(rig.home().join("logs"))
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum();
    assert!(kept <= MIB, "{kept} bytes of one run are kept");
    drop(followers);
}

#[test]
fn a_burst_of_output_costs_no_memory_and_no_follower_slows_it() {
    bursts_with_followers_that_do_not_read(64 * MIB, 3 * PATIENCE);
}

#[test]
#[ignore = "prints two GiB: tests/run --long"]
fn long_a_gibibyte_of_output_costs_no_memory_and_no_follower_slows_it() {
    bursts_with_followers_that_do_not_read(1024 * MIB, Duration::from_secs(1800));
}

#[test]
fn a_full_disk_costs_whole_lines_and_is_mended_by_room() {
    let folder = Folder::new("full-logs");
    let mount = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=256k,mode=700", "tmpfs"])
        .arg(&folder.0)
        .output();
    if !mount.is_ok_and(|o| o.status.success()) {
        println!("skipped: no tmpfs can be mounted here");
        return;
    }
    let result = std::panic::catch_unwind(|| full_disk(&folder.0));
    drop(Command::new("umount").arg(&folder.0).status());
    if let Err(panic) = result {
        std::panic::resume_unwind(panic);
    }
}

fn full_disk(folder: &Path) {
    let (wake, _news) = miner_cli::bus::wire_channel(1);
    let logs = Arc::new(Logs::on_disk(folder.to_owned(), wake));
    let mut writer = Writer::new(&logs);
    let ring = logs.open("xmrig-1");
    ring.begin_run();
    std::fs::write(folder.join("fill"), vec![0; 200 * 1024]).unwrap();
    let line = |i: usize| format!("line {i:03} {}", "x".repeat(1000));
    let say = |from: usize, to: usize| (from..to).for_each(|i| ring.push(line(i).as_bytes()));
    say(0, 10);
    writer.round();
    // More than there is room for, with room for a part of it.
    say(10, 110);
    writer.round();
    std::fs::remove_file(folder.join("fill")).unwrap();
    say(110, 112);
    writer.round();
    let text = std::fs::read_to_string(folder.join("xmrig-1.log")).unwrap();
    let mut wanted: Vec<String> = (0..10).map(line).collect();
    wanted.push("[miner-cli: 100 lines are missing here]".to_owned());
    wanted.extend([line(110), line(111)]);
    assert!(text.lines().eq(wanted.iter().map(String::as_str)), "{} lines", text.lines().count());
    assert_eq!(ring.tail(1, false), [line(111)]);
}

#[test]
fn no_flood_of_strangers_fills_the_log() {
    let node = Node::serve("flooded", "worker");
    let (p2p, start) = (node.p2p(), Instant::now());
    let knock = || {
        let mut stream = TcpStream::connect(&p2p).unwrap();
        drop(stream.write_all(b"who is there?\r\n\r\n"));
    };
    let wrong = "Authorization: Bearer wrong\r\n";
    let guess = || drop(node.raw("GET", "/api/v1/mining/peers", wrong, None));
    let foreign = || drop(node.raw("GET", "/", "Host: evil.example\r\n", None));
    for _ in 0..50 {
        knock();
        guess();
        foreign();
    }
    for (kind, cause) in [
        ("did not become a link", &knock as &dyn Fn()),
        ("refused a wrong API token", &guess),
        ("refused an API request", &foreign),
    ] {
        // The next line of the kind tells of those that were left out.
        until(kind, || {
            cause();
            node.log().lines().any(|l| l.contains(kind) && l.contains("more of this kind"))
        });
        let lines = node.log().lines().filter(|l| l.contains(kind)).count();
        let most = start.elapsed().as_secs() + 2;
        assert!(lines as u64 <= most, "{lines} lines of {kind:?} in {most} s");
    }
}
