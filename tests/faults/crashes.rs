//! Daemons and miners that are killed at random moments, in the middle of what they write.
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::node::{Node, children, signal_pid, until};
use crate::{connected, join, mine, state};

/// What was answered as done, and so must be there.
#[derive(Default)]
struct Promised {
    profiles: Vec<String>,
    invites: usize,
    label: u32,
}

struct Farm {
    controller: Node,
    rig: Node,
    promised: Promised,
    count: u32,
    random: u64,
}

impl Farm {
    fn new() -> Self {
        let controller = Node::serve("control-center", "controller");
        let rig = Node::serve("rig-alpha", "worker");
        join(&controller, &rig, &controller.p2p());
        mine(&controller, "rig-alpha");
        let random = u64::from(std::process::id());
        eprintln!("the random moments follow from {random}");
        Self { controller, rig, promised: Promised::default(), count: 0, random }
    }

    fn dice(&mut self, sides: u64) -> u64 {
        // Knuth's MMIX.
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.random >> 33) % sides
    }

    /// Changes things on the controller until something is killed in the midst of it.
    fn write_and_kill(&mut self) -> u64 {
        let victim = self.dice(3);
        let moment = Duration::from_millis(self.dice(400));
        let pid = match victim {
            0 => self.controller.pid(),
            1 => self.rig.pid(),
            _ => children(self.rig.pid()).first().copied().expect("a miner runs"),
        };
        let over = AtomicBool::new(false);
        let Self { controller, promised, count, .. } = self;
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    *count += 1;
                    write(controller, *count, promised);
                }
            });
            std::thread::sleep(moment);
            signal_pid(pid, 9);
            std::thread::sleep(Duration::from_millis(50));
            over.store(true, Ordering::Relaxed);
            writer.join().unwrap();
        });
        victim
    }

    fn check(&mut self, killed: u64) {
        match killed {
            0 => {
                let listen = self.controller.p2p();
                self.controller.kill();
                self.controller.start_with(&["--listen", &listen, "--api", "127.0.0.1:0"]);
            }
            1 => {
                self.rig.kill();
                self.rig.start();
            }
            _ => {}
        }
        let Self { controller, rig, promised, .. } = self;
        until("they are linked", || connected(controller, rig));
        until("it hashes", || state(controller) == "hashing");
        let profiles = controller.json(&["profile", "list"]);
        let names: Vec<_> =
            profiles.as_array().unwrap().iter().map(|p| p["name"].clone()).collect();
        let missing: Vec<_> =
            promised.profiles.iter().filter(|p| !names.contains(&(**p).clone().into())).collect();
        assert!(missing.is_empty(), "after {killed}: lost {missing:?}");
        let (_, invites) = controller.rest("GET", "/node/invites", None);
        assert!(invites.as_array().unwrap().len() >= promised.invites, "after {killed}: {invites}");
        let label = controller.peer("rig-alpha")["labels"]["round"].clone();
        let label: u32 = label.as_str().and_then(|l| l.parse().ok()).unwrap_or(0);
        assert!(label >= promised.label, "after {killed}: {label} < {}", promised.label);
        for node in [&*controller, &*rig] {
            assert_eq!(node.json(&["peer", "list"]).as_array().unwrap().len(), 1);
            node.cli(&["audit", "verify"]).ok();
        }
        // Its numbers are higher than all that the rig has heard, and the rig's memory of them is whole.
        controller.cli(&["remote", "restart", "rig-alpha"]).ok();
        until("it hashes again", || state(controller) == "hashing");
        assert!(!controller.log().contains("panicked") && !rig.log().contains("panicked"));
    }
}

fn write(controller: &Node, number: u32, promised: &mut Promised) {
    let name = format!("p-{number}");
    let profile = serde_json::json!({
        "name": name, "minerType": "simulated", "config": {"algo": "rx/0", "hashrate": 1}
    });
    let file = controller.folder.file("next.json", &profile.to_string());
    if controller.cli(&["profile", "add", &file]).code == 0 {
        promised.profiles.push(name);
    }
    if number.is_multiple_of(4) && controller.cli(&["node", "invite"]).code == 0 {
        promised.invites += 1;
    }
    if controller.cli(&["peer", "label", "rig-alpha", &format!("round={number}")]).code == 0 {
        promised.label = number;
    }
}

fn kill_for(time: Duration, at_least: u32) {
    let (mut farm, begun) = (Farm::new(), Instant::now());
    let mut rounds = 0;
    while rounds < at_least || begun.elapsed() < time {
        let killed = farm.write_and_kill();
        farm.check(killed);
        rounds += 1;
    }
    eprintln!("{rounds} kills, {} profiles", farm.promised.profiles.len());
}

#[test]
fn what_was_answered_as_done_is_there_whatever_was_killed_when() {
    kill_for(Duration::ZERO, 4);
}

#[test]
#[ignore = "five minutes"]
fn long_five_minutes_of_kills_lose_nothing_that_was_answered_as_done() {
    kill_for(Duration::from_secs(300), 10);
}
