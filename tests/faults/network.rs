//! The network: pulled cables, lines that lose packets or carry one way only, a rig behind NAT.
use std::time::Duration;

use crate::net::{Net, run};
use crate::node::{Node, until, within};
use crate::{connected, join, mine, net_or_skip, state};

/// A cut line is found out after 45 s, and dialled again after at most a minute and a connect's time-out.
const RELINKED: Duration = Duration::from_secs(180);

fn farm(net: &Net) -> (Node, Node) {
    let controller = net.serve(1, "control-center", "controller");
    let rig = net.serve(2, "rig-alpha", "worker");
    join(&controller, &rig, &Net::address(1));
    mine(&controller, "rig-alpha");
    (controller, rig)
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
    until("the rig is unreachable", || state(&controller) == "unreachable");
    assert_eq!(runs(&rig), before, "its miner runs on, and is the same");
    net.cable(2, true);
    assert!(within(RELINKED, || connected(&controller, &rig)), "{}", controller.log());
    until("it hashes for its controller", || state(&controller) == "hashing");
    assert_eq!(runs(&rig), before);
}

#[test]
fn a_line_that_carries_one_way_only_is_found_out_and_nothing_happens_later() {
    let net = net_or_skip!(2);
    let (controller, rig) = farm(&net);
    let before = runs(&rig);
    // The controller is heard, the rig is not.
    if let Err(why) = net.rule(2, "output", "oifname eth0 drop;") {
        return eprintln!("skipped: {why}");
    }
    let said = controller.cli(&["remote", "start", "rig-alpha", "--profile", "demo"]);
    assert_eq!(said.code, 5, "{said:?}");
    until("the rig is unreachable", || state(&controller) == "unreachable");
    net.no_rules(2);
    assert!(within(RELINKED, || connected(&controller, &rig)), "{}", controller.log());
    until("it hashes for its controller", || state(&controller) == "hashing");
    // A command that was answered as timed out may have come in time; it never happens twice or late.
    let after = runs(&rig).len();
    assert!(after <= before.len() + 1, "{after}");
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(runs(&rig).len(), after, "nothing happens later");
}

#[test]
fn a_line_that_loses_every_fifth_packet_carries_every_command_that_says_done() {
    let net = net_or_skip!(2);
    let (controller, rig) = farm(&net);
    if let Err(why) = net.rule(1, "input", "iifname eth0 numgen random mod 5 == 0 drop;") {
        return eprintln!("skipped: {why}");
    }
    let mut done = 0;
    for round in 0..6 {
        let verb = if round % 2 == 0 { "stop" } else { "restart" };
        let args: &[&str] = match verb {
            "stop" => &["remote", "stop", "rig-alpha"],
            _ => &["remote", "start", "rig-alpha", "--profile", "demo"],
        };
        let said = controller.cli(args);
        assert!([0, 1, 5].contains(&said.code), "{verb}: {said:?}");
        if said.code == 0 {
            done += 1;
            assert_eq!(runs(&rig).is_empty(), verb == "stop", "{verb}: {said:?}");
        }
    }
    net.no_rules(1);
    assert!(done > 0, "no command came through at all");
    assert!(within(RELINKED, || connected(&controller, &rig)), "{}", controller.log());
}

#[test]
fn a_rig_behind_nat_is_steered_and_found_again_when_the_controller_was_away() {
    let net = net_or_skip!(2);
    // Machine 2 is the router; the rig is on its other side, and nobody can connect to it.
    let router = net.namespace(2);
    let inside = format!("{router}n");
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
        drop(run("ip", &["netns", "del", &inside]));
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
    drop(rig);
    drop(run("ip", &["netns", "del", &inside]));
}
