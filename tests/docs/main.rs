//! Runs the commands that the documents show, on two machines (network namespaces), as a reader would type them.
//!
//! Every `sh` block has a mark in the line before it: `<!-- on: controller -->`, `<!-- on: rig -->`, or
//! `<!-- shown: why it is not run -->`. The blocks of one document share its two machines, from top to bottom. Each
//! command must succeed; one that is to fail ends in `# exit 6` or the like. What a reader fills in is filled in here:
//! see [`fill_in`].
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::print_stderr, reason = "tests")]
mod blocks;
mod machine;
#[path = "../it/node.rs"]
#[expect(dead_code, reason = "the other tests use the rest")]
mod node;
mod rest;

use std::path::{Path, PathBuf};

use blocks::{Block, Mark};
use machine::{Machine, Pair};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn documents() -> Vec<PathBuf> {
    let folder = std::fs::read_dir(root().join("docs")).unwrap();
    let mut all: Vec<_> = folder.map(|entry| entry.unwrap().path()).collect();
    all.retain(|path| path.extension().is_some_and(|e| e == "md"));
    all.push(root().join("README.md"));
    all.sort();
    all
}

fn blocks_of(path: &Path) -> Vec<Block> {
    blocks::read(&std::fs::read_to_string(path).unwrap())
        .unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[test]
fn every_block_of_commands_says_where_it_runs_or_why_not() {
    let all: Vec<_> = documents().iter().flat_map(|path| blocks_of(path)).collect();
    assert!(all.iter().any(|b| matches!(b.mark, Mark::On(_))), "no block is run");
}

/// What a reader replaces, and what a test cannot have: a pool, a real miner program.
fn fill_in(text: &str, pair: &Pair) -> String {
    let mut text = text.to_owned();
    for (from, to) in [
        ("\"minerType\": \"xmrig\"", "\"minerType\": \"simulated\""),
        ("\"minerType\":\"xmrig\"", "\"minerType\":\"simulated\""),
        ("\"config\": {\"pool\"", "\"config\": {\"algo\": \"rx/0\", \"hashrate\": 1000, \"pool\""),
        ("\"config\":{\"pool\"", "\"config\":{\"algo\":\"rx/0\",\"hashrate\":1000,\"pool\""),
        ("xmrig-1", "simulated-1"),
        ("CONTROLLER:", "10.99.0.1:"),
        ("RIG:", "10.99.0.2:"),
        ("192.168.1.100:", "10.99.0.2:"),
        // What a package's service starts; tests/packages installs the package itself.
        ("sudo apt install ./miner-cli_*_amd64.deb", "miner-cli node serve &"),
        ("sudo install -m 755 xmrig /usr/local/bin/", "true"),
        ("sudo miner-cli", "miner-cli"),
    ] {
        text = text.replace(from, to);
    }
    if text.contains("CODE") {
        text = text.replace("CODE", &pair.newest_invite());
    }
    if text.contains("REQUEST") {
        text = text.replace("REQUEST", &pair.pairing_request());
    }
    text
}

fn run(path: &Path) {
    let blocks = blocks_of(path);
    if !blocks.iter().any(|b| matches!(b.mark, Mark::On(_))) {
        return;
    }
    match Pair::new() {
        Ok(mut pair) => type_in(path, &blocks, &mut pair),
        Err(why) => eprintln!("skipped {}: {why}", path.display()),
    }
}

/// Types the blocks on their machines; each command must end as it says.
fn type_in(path: &Path, blocks: &[Block], pair: &mut Pair) {
    for block in blocks {
        let Mark::On(machine) = block.mark else { continue };
        for command in blocks::commands(&block.text) {
            let filled = fill_in(&command.text, pair);
            let said = pair.machine(machine).run(&filled);
            assert_eq!(
                said.code,
                command.exit,
                "{}:{}: {}\nas {filled}\nsaid:\n{}\ndaemon:\n{}",
                path.display(),
                block.line,
                command.text,
                said.text,
                pair.machine(machine).daemon_log()
            );
        }
    }
}

#[test]
fn the_commands_of_the_documents_do_what_they_say() {
    documents().iter().for_each(|path| run(path));
}

#[test]
fn a_rig_takes_four_commands_from_install_to_hashing() {
    let path = root().join("docs/getting-started.md");
    let mut blocks = blocks_of(&path);
    let of_a_rig = blocks.iter().filter(|b| b.mark == Mark::On(On::Rig));
    let typed: usize = of_a_rig.map(|b| blocks::commands(&b.text).len()).sum();
    assert!((1..=4).contains(&typed), "{typed} commands");
    // Up to the commands that start mining; those that follow look at it and end it.
    let start = blocks.iter().position(|b| b.text.contains("remote start --all")).unwrap();
    blocks.truncate(start + 1);
    let mut pair = match Pair::new() {
        Ok(pair) => pair,
        Err(why) => return eprintln!("skipped: {why}"),
    };
    type_in(&path, &blocks, &mut pair);
    let peers = || pair.controller.miner_cli(&["peer", "list", "--json"]);
    let state = || serde_json::from_str::<serde_json::Value>(&peers()).unwrap_or_default();
    node::until("the rig hashes", || state()[0]["state"] == "hashing");
}

/// Which machine a block is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum On {
    Controller,
    Rig,
}

impl Pair {
    fn machine(&mut self, on: On) -> &mut Machine {
        match on {
            On::Controller => &mut self.controller,
            On::Rig => &mut self.rig,
        }
    }
}
