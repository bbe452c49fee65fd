//! One order for many rigs. Every rig is a daemon of its own with a program that stands in for XMRig.
#![allow(clippy::print_stdout, reason = "figures to report")]
use std::os::unix::fs::PermissionsExt as _;
use std::time::Instant;

use serde_json::{Value, json};

use super::node::{BINARY, Folder, Node, Said, children, until};

struct Farm {
    controller: Node,
    /// In the order of their names, `rig-01` and so on.
    rigs: Vec<Node>,
    /// Holds the stand-in for XMRig.
    _programs: Folder,
}

fn name(number: usize) -> String {
    format!("rig-{number:02}")
}

/// `count` rigs, linked; those whose number is in `without` have no XMRig.
fn farm(count: usize, without: &[usize]) -> Farm {
    let begun = Instant::now();
    let programs = Folder::new("programs");
    let script = format!("#!/bin/sh\nexec '{BINARY}' simulate-miner \"$@\"\n");
    let xmrig = programs.file("xmrig", &script);
    std::fs::set_permissions(&xmrig, std::fs::Permissions::from_mode(0o755)).unwrap();

    let controller = Node::serve("control-center", "controller");
    let uses = count.to_string();
    let invite = controller.json(&["node", "invite", "--uses", &uses]);
    let (code, address) = (invite["code"].as_str().unwrap(), controller.p2p());
    let join = |number: usize| {
        let mut rig = Node::bare(&name(number));
        rig.cli(&["node", "init", "--name", &name(number), "--role", "worker"]).ok();
        let path = if without.contains(&number) { "/nowhere/xmrig" } else { &xmrig };
        rig.folder.file("config.toml", &format!("[miners.xmrig]\npath = {}\n", json!(path)));
        rig.start();
        rig.cli(&["node", "join", &address, code]).ok();
        (number, rig)
    };
    let join = &join;
    let mut rigs = std::thread::scope(|scope| {
        let parts: Vec<_> = (0..4)
            .map(|part| {
                scope.spawn(move || {
                    (1..=count).filter(|n| n % 4 == part).map(join).collect::<Vec<_>>()
                })
            })
            .collect();
        parts.into_iter().flat_map(|part| part.join().unwrap()).collect::<Vec<_>>()
    });
    rigs.sort_by_key(|(number, _)| *number);
    let rigs = rigs.into_iter().map(|(_, rig)| rig).collect();
    let farm = Farm { controller, rigs, _programs: programs };
    farm.linked(count);
    println!("{count} rigs were linked after {:.1?}", begun.elapsed());
    let profile = json!({"name": "p", "minerType": "xmrig",
        "config": {"pool": "pool.example:3333", "wallet": "48wallet.{rig}"}});
    let (status, answer) = farm.controller.rest("POST", "/profiles", Some(&profile));
    assert_eq!(status, 201, "{answer}");
    farm
}

impl Farm {
    fn linked(&self, count: usize) {
        until("every rig is linked and has reported", || {
            let peers = self.controller.rest("GET", "/peers", None).1;
            peers.as_array().unwrap().iter().filter(|peer| peer["state"] == "idle").count() == count
        });
    }

    fn label(&self, number: usize, labels: &Value) {
        let path = format!("/peers/{}/labels", name(number));
        let (status, answer) = self.controller.rest("PUT", &path, Some(labels));
        assert_eq!((status, &answer["labels"]), (200, labels), "{answer}");
    }

    fn timed(&self, args: &[&str]) -> Said {
        let begun = Instant::now();
        let said = self.controller.cli(args);
        println!("miner-cli {}: {:.2?}", args.join(" "), begun.elapsed());
        said
    }

    fn running(&self) -> Vec<usize> {
        let numbers = (1..).zip(&self.rigs);
        numbers.filter(|(_, rig)| !children(rig.pid()).is_empty()).map(|(n, _)| n).collect()
    }

    /// `remote start --label site=garage`, with these rigs in the garage, some of which have no XMRig.
    fn start_in_the_garage(&self, garage: &[usize], without: &[usize]) {
        let said = self.timed(&["remote", "start", "--label", "site=garage", "--profile", "p"]);
        assert_eq!(said.code, 1, "{said:?}");
        let lines: Vec<_> = said.out.lines().collect();
        assert_eq!(lines.len(), garage.len(), "a line each, {said:?}");
        for (line, number) in lines.iter().zip(garage) {
            let end = if without.contains(number) { "failed: " } else { "miner started: xmrig-1" };
            assert!(line.starts_with(&format!("{}: {end}", name(*number))), "{line}");
            assert_eq!(line.contains("/nowhere/xmrig"), without.contains(number), "{line}");
        }
        let (all, failed) = (garage.len(), without.len());
        let summary = format!("{} of {all} started, {failed} failed\n", all - failed);
        assert_eq!(said.err, summary);
        let wanted: Vec<_> = garage.iter().copied().filter(|n| !without.contains(n)).collect();
        assert_eq!(self.running(), wanted);
    }
}

#[test]
fn labels_choose_the_rigs_that_are_started_and_each_has_its_line() {
    let (count, without) = (12, [4, 9]);
    let mut farm = farm(count, &without);
    for number in 1..count {
        farm.label(number, &json!({"site": "garage"}));
    }
    let said = farm.controller.cli(&["peer", "label", "rig-12", "site=attic", "gpu=none"]).ok();
    assert_eq!(said, "rig-12: gpu=none site=attic\n");

    // Labels are on disk, and the rigs that introduce themselves anew leave them alone.
    let address = farm.controller.p2p();
    farm.controller.kill();
    farm.controller.start_with(&["--listen", &address, "--api", "127.0.0.1:0"]);
    farm.linked(count);
    let listed = farm.controller.cli(&["peer", "list"]).ok();
    assert_eq!(listed.matches("site=garage").count(), count - 1, "{listed}");
    assert!(listed.contains("gpu=none site=attic"), "{listed}");

    let garage: Vec<usize> = (1..count).collect();
    let dry = ["remote", "start", "--label", "site=garage", "--profile", "p", "--dry-run"];
    let said = farm.controller.cli(&dry).ok();
    assert_eq!(said.matches(": would start profile p\n").count(), garage.len(), "{said}");
    assert!(farm.running().is_empty());
    farm.start_in_the_garage(&garage, &without);

    // `{rig}` in the wallet is the rig's own name, in what its miner was given.
    for (number, rig) in (1..).zip(&farm.rigs) {
        let config = std::fs::read(rig.home().join("run/miners/xmrig-1/config.json"));
        let ran = garage.contains(&number) && !without.contains(&number);
        let user = config.ok().map(|bytes| {
            serde_json::from_slice::<Value>(&bytes).unwrap()["pools"][0]["user"].clone()
        });
        assert_eq!(user, ran.then(|| json!(format!("48wallet.{}", name(number)))));
    }

    // A rig that is gone is named.
    farm.rigs[1].kill();
    until("it is missed", || farm.controller.state("rig-02") == "unreachable");
    let said = farm.timed(&["remote", "deploy", "--all", "--profile", "p"]);
    assert_eq!((said.code, said.out.lines().count()), (1, count), "{said:?}");
    assert!(said.out.contains("rig-02: failed: rig-02 is unreachable since"), "{said:?}");
    assert_eq!(said.err, "11 of 12 deployed, 1 failed\n");
    let said = farm.timed(&["remote", "stop", "--label", "site=garage", "--json"]);
    let rows: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((said.code, rows.as_array().unwrap().len()), (1, 11));
    assert_eq!(
        (&rows[1]["peer"], &rows[1]["code"]),
        (&json!("rig-02"), &json!("PEER_UNREACHABLE"))
    );
    assert_eq!(rows[0]["miners"], json!(["xmrig-1"]));
    assert_eq!(farm.controller.cli(&["remote", "stop", "--label", "site=moon"]).code, 4);
    farm.rigs.remove(1);
    until("all are stopped", || farm.running().is_empty());
}

#[test]
fn fifty_rigs_are_started_with_one_command() {
    let without = [7, 23, 50];
    let farm = farm(50, &without);
    let garage: Vec<usize> = (1..=50).collect();
    for number in &garage {
        farm.label(*number, &json!({"site": "garage"}));
    }
    farm.start_in_the_garage(&garage, &without);
}
