//! Daemons and miners that are killed at random moments, in the middle of what they write.
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use miner_cli::model::node::Role;

use crate::caller::{Caller, Me, tcp};
use crate::node::{Node, children, signal_pid, until};
use crate::{join, mine};

/// Uses of the invite that nodes come with while things are killed.
const USES: usize = 10_000;

/// What was answered as done, and so must be there.
#[derive(Default)]
struct Promised {
    profiles: Vec<u32>,
    invites: usize,
    label: u32,
    /// Nodes that were welcomed with the invite, and all that came.
    joined: usize,
    came: usize,
}

struct Farm {
    controller: Node,
    rig: Node,
    promised: Promised,
    /// The code of the invite, and its id.
    invite: (String, String),
    count: u32,
    random: u64,
}

impl Farm {
    fn new() -> Self {
        let controller = Node::serve("control-center", "controller");
        let rig = Node::serve("rig-alpha", "worker");
        join(&controller, &rig, &controller.p2p());
        mine(&controller, "rig-alpha");
        let invite = controller.json(&["node", "invite", "--uses", &USES.to_string()]);
        let word = |key: &str| invite[key].as_str().unwrap().to_owned();
        let invite = (word("code"), word("id"));
        let random = u64::from(std::process::id());
        eprintln!("the random moments follow from {random}");
        Self { controller, rig, promised: Promised::default(), invite, count: 0, random }
    }

    fn dice(&mut self, sides: u64) -> u64 {
        // Knuth's MMIX.
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.random >> 33) % sides
    }

    /// Changes things on the controller until something is killed in the midst of it.
    fn write_and_kill(&mut self, round: u64) -> u64 {
        // Each of them once, and then as it comes.
        let victim = if round < 3 { round } else { self.dice(3) };
        let moment = Duration::from_millis(self.dice(400));
        let pid = match victim {
            0 => self.controller.pid(),
            1 => self.rig.pid(),
            _ => children(self.rig.pid()).first().copied().expect("a miner runs"),
        };
        let over = AtomicBool::new(false);
        let Self { controller, promised, invite, count, .. } = self;
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    *count += 1;
                    write(controller, *count, &invite.0, promised);
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
        let Self { controller, rig, promised, invite, .. } = self;
        until("they are linked", || linked(controller, rig));
        until("it hashes", || controller.state("rig-alpha") == "hashing");
        let profiles = controller.json(&["profile", "list"]);
        let there = |number: &&u32| {
            let name = format!("p-{number}");
            let found = profiles.as_array().unwrap().iter().find(|p| p["name"] == *name);
            found.is_some_and(|p| p["config"]["hashrate"].as_f64() == Some(f64::from(**number)))
        };
        let missing: Vec<_> = promised.profiles.iter().filter(|p| !there(p)).collect();
        assert!(missing.is_empty(), "after {killed}: lost or torn: {missing:?}");
        let (_, invites) = controller.rest("GET", "/node/invites", None);
        let invites = invites.as_array().unwrap();
        assert!(invites.len() > promised.invites, "after {killed}: {invites:?}");
        // A node that came with an invite and its use are there together, or not at all.
        let shared = invites.iter().find(|i| i["id"] == *invite.1).expect("it is open");
        let used = USES - usize::try_from(shared["uses"].as_u64().unwrap()).unwrap();
        let peers = controller.json(&["peer", "list"]);
        assert_eq!(peers.as_array().unwrap().len(), 1 + used, "after {killed}: {shared}");
        assert!((promised.joined..=promised.came).contains(&used), "after {killed}: {used} used");
        let label = controller.peer("rig-alpha")["labels"]["round"].clone();
        let label: u32 = label.as_str().and_then(|l| l.parse().ok()).unwrap_or(0);
        assert!(label >= promised.label, "after {killed}: {label} < {}", promised.label);
        assert_eq!(rig.json(&["peer", "list"]).as_array().unwrap().len(), 1);
        for node in [&*controller, &*rig] {
            node.cli(&["audit", "verify"]).ok();
        }
        // Its numbers are higher than all that the rig has heard, and the rig's memory of them is whole.
        controller.cli(&["remote", "restart", "rig-alpha"]).ok();
        until("it hashes again", || controller.state("rig-alpha") == "hashing");
    }
}

fn linked(controller: &Node, rig: &Node) -> bool {
    controller.peer("rig-alpha")["connected"] == true
        && rig.peer("control-center")["connected"] == true
}

fn write(controller: &Node, number: u32, invite: &str, promised: &mut Promised) {
    promised.came += 1;
    let me = Me::new(&format!("n-{number}"), Role::Worker);
    let to = controller.p2p().parse().unwrap();
    let welcome = |tcp| Caller::link(tcp, &me, &me.invited(invite)).is_ok();
    promised.joined += usize::from(tcp(to, 1).is_ok_and(welcome));
    let name = format!("p-{number}");
    let profile = serde_json::json!({
        "name": name, "minerType": "simulated", "config": {"algo": "rx/0", "hashrate": number}
    });
    let file = controller.folder.file("next.json", &profile.to_string());
    if controller.cli(&["profile", "add", &file]).code == 0 {
        promised.profiles.push(number);
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
        let killed = farm.write_and_kill(u64::from(rounds));
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
