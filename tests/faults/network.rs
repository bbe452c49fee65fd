//! The network: pulled cables, lines that lose packets or carry one way only, a rig behind NAT.
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::net::{Net, run};
use crate::node::{Node, children, until, within};
use crate::{Footprint, connected, join, mine, net_or_skip, state};

/// A cut line is found out after 45 s, and dialled again after at most a minute and a connect's time-out.
const RELINKED: Duration = Duration::from_secs(180);

fn farm(net: &Net) -> (Node, Node) {
    let controller = net.serve(1, "control-center", "controller");
    let rig = net.serve(2, "rig-alpha", "worker");
    join(&controller, &rig, &Net::address(1));
    mine(&controller, "rig-alpha");
    (controller, rig)
}

/// Waits until the rig is unreachable because nothing was heard of it, though its link may stand: sooner than the line
/// itself is found out.
#[track_caller]
fn falls_silent(controller: &Node) {
    let mut row = serde_json::Value::Null;
    until("the rig is unreachable", || {
        row = controller.peer("rig-alpha");
        row["state"] == "unreachable"
    });
    assert_eq!(row["reason"], "it is linked but has stopped reporting", "{}", controller.log());
}

/// Processes of the rig's miners, by its own word.
fn runs(rig: &Node) -> Vec<(String, u64)> {
    let miners = rig.json(&["miner", "list"]);
    let row =
        |m: &serde_json::Value| Some((m["name"].as_str()?.to_owned(), m["restarts"].as_u64()?));
    let hashing = miners.as_array().unwrap().iter().filter(|m| m["state"] == "hashing");
    hashing.filter_map(row).collect()
}

#[test]
fn a_rig_with_a_pulled_cable_is_unreachable_mines_on_and_links_again() {
    let net = net_or_skip!(2);
    let (controller, rig) = farm(&net);
    let before = runs(&rig);
    net.cable(2, false);
    falls_silent(&controller);
    assert_eq!(runs(&rig), before, "its miner runs on, and is the same");
    net.cable(2, true);
    assert!(within(RELINKED, || connected(&controller, &rig)), "{}", controller.log());
    until("it hashes for its controller", || state(&controller) == "hashing");
    assert_eq!(runs(&rig), before);
}

#[test]
#[ignore = "two minutes"]
fn long_a_line_cut_for_minutes_ends_the_link_at_both_ends_once_and_heals() {
    let net = net_or_skip!(2);
    let (controller, rig) = farm(&net);
    let (before, threads) = (runs(&rig), Footprint::of(&controller));
    net.cable(2, false);
    let cut = |node: &Node, name: &str| node.peer(name)["connected"] == false;
    until("the controller ends the link", || cut(&controller, "rig-alpha"));
    until("so does the rig", || cut(&rig, "control-center"));
    std::thread::sleep(Duration::from_secs(30));
    net.cable(2, true);
    assert!(within(RELINKED, || connected(&controller, &rig)), "{}", controller.log());
    until("it hashes for its controller", || state(&controller) == "hashing");
    assert_eq!(runs(&rig), before);
    for node in [&controller, &rig] {
        let events = node.json(&["events", "--lines", "1000"]);
        let count = |kind| events.as_array().unwrap().iter().filter(|e| e["kind"] == kind).count();
        assert_eq!((count("peer-lost"), count("peer-linked")), (1, 2), "{}", node.log());
    }
    threads.comes_back(&controller);
}

#[test]
fn a_line_that_carries_one_way_only_is_found_out_and_nothing_happens_later() {
    let net = net_or_skip!(2);
    let (controller, rig) = farm(&net);
    let before = runs(&rig);
    // The controller is heard, the rig is not.
    net.lose(2, 1, true);
    let start = ["remote", "start", "rig-alpha", "--profile", "demo"];
    let said = std::thread::scope(|scope| {
        let starting = scope.spawn(|| controller.cli(&start));
        falls_silent(&controller);
        starting.join().unwrap()
    });
    assert_eq!(said.code, 5, "{said:?}");
    net.lose(2, 1, false);
    assert!(within(RELINKED, || connected(&controller, &rig)), "{}", controller.log());
    until("it hashes for its controller", || state(&controller) == "hashing");
    // A command that was answered as timed out may have come in time; it never happens twice or late.
    let after = runs(&rig).len();
    assert!(after <= before.len() + 1, "{after}");
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(runs(&rig).len(), after, "nothing happens later");
}

/// Ends what goes on beside a test, however that ends.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn a_line_that_loses_packets_in_bursts_carries_every_command_that_says_done() {
    let net = net_or_skip!(2);
    let (controller, rig) = farm(&net);
    let over = AtomicBool::new(false);
    let done = std::thread::scope(|scope| {
        let _over = Over(&over);
        scope.spawn(|| {
            while !over.load(Ordering::SeqCst) {
                for (from, to) in [(1, 2), (2, 1)] {
                    net.lose(from, to, true);
                    std::thread::sleep(Duration::from_millis(150));
                    net.lose(from, to, false);
                    std::thread::sleep(Duration::from_millis(100));
                }
            }
        });
        let mut done = 0;
        for round in 0..8 {
            let verb = if round % 2 == 0 { "stop" } else { "start" };
            let args: &[&str] = match verb {
                "stop" => &["remote", "stop", "rig-alpha"],
                _ => &["remote", "start", "rig-alpha", "--profile", "demo"],
            };
            let said = controller.cli(args);
            assert!([0, 1, 5].contains(&said.code), "{verb}: {said:?}");
            if said.code == 0 {
                done += 1;
                let miners = children(rig.pid());
                assert_eq!(miners.is_empty(), verb == "stop", "{verb}: {said:?}");
            }
        }
        done
    });
    assert!(done > 0, "no command came through at all");
    assert!(within(RELINKED, || connected(&controller, &rig)), "{}", controller.log());
}

#[test]
fn a_rig_behind_the_kernels_nat_is_steered_and_found_again_when_the_controller_was_away() {
    let mut net = net_or_skip!(2);
    // Machine 2 is the router; the rig is on its other side, and nobody can connect to it.
    let router = &net.namespace(2).to_owned();
    let inside = format!("{router}n");
    net.ends_with_it(&inside);
    let behind = || -> Result<(), String> {
        let cable = ["netns", "exec", router, "ip", "link", "add", "eth1", "type", "veth"];
        run("ip", &["netns", "add", &inside])?;
        run("ip", &[&cable[..], &["peer", "name", "eth0", "netns", &inside]].concat())?;
        for (name, address, link) in
            [(router, "192.168.77.1/24", "eth1"), (&inside, "192.168.77.2/24", "eth0")]
        {
            run("ip", &["-n", name, "addr", "add", address, "dev", link])?;
            run("ip", &["-n", name, "link", "set", link, "up"])?;
            run("ip", &["-n", name, "link", "set", "lo", "up"])?;
        }
        run("ip", &["-n", &inside, "route", "add", "default", "via", "192.168.77.1"])?;
        run("ip", &["netns", "exec", router, "sysctl", "-qw", "net.ipv4.ip_forward=1"])?;
        net.rule(2, "postrouting", "oifname eth0 masquerade;")
    };
    if let Err(why) = behind() {
        return eprintln!("skipped: {why}");
    }
    let mut controller = net.serve(1, "control-center", "controller");
    let mut rig = Node::bare_around("rig-alpha", &["ip", "netns", "exec", &inside]);
    rig.cli(&["node", "init", "--name", "rig-alpha", "--role", "worker"]).ok();
    net.start(&mut rig);
    join(&controller, &rig, &Net::address(1));
    mine(&controller, "rig-alpha");
    controller.cli(&["peer", "ping", "rig-alpha", "--count", "1"]).ok();
    controller.kill();
    net.start(&mut controller);
    assert!(within(RELINKED, || connected(&controller, &rig)), "{}", rig.log());
    controller.cli(&["remote", "stop", "rig-alpha"]).ok();
}
