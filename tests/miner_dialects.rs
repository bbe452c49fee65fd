//! The spawner against miners that are not XMRig: a program that takes their arguments and answers as they do.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests are tests")]

mod miner_support;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::Path;

use miner_cli::bus::{self, MinerEvent, Note};
use miner_cli::config::MinerProgram;
use miner_support::{FAR, Spawner, runs, script, temp};
use serde_json::{Value, json};

/// A spawner that has [`helper_miner`] for `dialect`; `first` are lines of shell before it.
fn spawner(dialect: &str, play: &str, first: &str) -> Spawner {
    let root = temp();
    let test = std::env::current_exe().unwrap();
    let run = format!(
        "{first}\nMC_PLAY={play} MC_ARGS=\"$*\" exec {} --ignored --exact --nocapture helper_miner",
        test.display()
    );
    let path = Some(script(&root, &run));
    let program = MinerProgram { path, sha256: None };
    Spawner::with_programs(root, BTreeMap::from([(dialect.to_owned(), program)]))
}

/// Not a test of its own: the miner that the tests run. It answers on the port that its arguments name.
#[test]
#[ignore = "run by the tests of the dialects"]
fn helper_miner() {
    let Ok(play) = std::env::var("MC_PLAY") else { return };
    let args = std::env::var("MC_ARGS").unwrap();
    println!("args {args}");
    let words: Vec<&str> = args.split([' ', '=']).collect();
    let after = |name: &str| words.iter().skip_while(|w| **w != name).nth(1).copied();
    let address = match after("-b") {
        Some(address) => address.to_owned(),
        None => {
            let port = after("--apiport").or(after("--api-port")).unwrap();
            format!("{}:{port}", after("--apihost").unwrap_or("127.0.0.1"))
        }
    };
    let rig = after("--api-rig-name").unwrap_or_default();
    let listener = TcpListener::bind(address).unwrap();
    for (n, stream) in listener.incoming().enumerate() {
        let mut stream = stream.unwrap();
        let mut asked = String::new();
        BufReader::new(&stream).read_line(&mut asked).unwrap();
        print!("asked {asked}");
        // It leaves two questions of three without an answer.
        if play == "flaky" && n % 3 != 2 {
            continue;
        }
        let answer = answer(&play, n, rig);
        let answer = match asked.starts_with("GET ") {
            false => format!("{answer}\n"),
            true => format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{answer}", answer.len()),
        };
        // Whoever asks may be gone.
        let _ = stream.write_all(answer.as_bytes());
    }
}

fn answer(play: &str, n: usize, rig: &str) -> String {
    let fixture = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    match play {
        "lolminer" => fixture(include_str!("fixtures/lolminer/summary-1.88.json")),
        "lolminer-old" => fixture(include_str!("fixtures/lolminer/summary-1.29.json")),
        "srbminer" => {
            let mut all = fixture(include_str!("fixtures/srbminer/api-2.json"));
            all["rig_name"] = rig.into();
            all
        }
        "stranger" => fixture(include_str!("fixtures/srbminer/api-2.json")),
        _ => {
            let shares = format!("64500000;{n};0");
            json!({"id": 0, "result": ["TT-Miner/2024.3.2", "12", shares, "64500000", "", "", "61;45"]})
        }
    }
    .to_string()
}

fn profile() -> Value {
    json!({"pool": "127.0.0.1:1", "wallet": "W.{rig}", "algo": "etchash"})
}

#[test]
fn each_dialect_is_started_read_and_stopped() {
    for (dialect, play, rate, wallet) in [
        ("tt-miner", "tt-miner", 64_500_000.0, "-P W.rig-7@127.0.0.1:1"),
        ("lolminer", "lolminer", 64_500_000.0, "--pool=127.0.0.1:1 --user=W.rig-7"),
        ("lolminer", "lolminer-old", 64_500_000.0, "--apihost=127.0.0.1"),
        ("srbminer", "srbminer", 64_502.0, "--pool 127.0.0.1:1 --wallet W.rig-7"),
    ] {
        let spawner = spawner(dialect, play, "");
        spawner.start("x-1", dialect, &profile());
        let pid = spawner.started();
        let sample = spawner.sample(|_| true);
        assert_eq!(sample.hashrate.now, Some(rate), "{play}");
        spawner.printed("x-1", wallet);
        spawner.stop("x-1", FAR);
        let ended = spawner.ended();
        assert_eq!((ended.reason.as_str(), ended.permanent), ("it was stopped", false));
        assert!(!runs(pid));
    }
}

#[test]
fn a_flaky_miner_is_asked_again_within_the_same_poll() {
    let spawner = spawner("tt-miner", "flaky", "");
    spawner.start("tt-miner-1", "tt-miner", &profile());
    spawner.started();
    let mut readings = 0;
    spawner.wait("two readings in a row", |event| match event {
        MinerEvent::Sample { sample, .. } => {
            assert_eq!(sample.hashrate.now, Some(64_500_000.0));
            readings += 1;
            (readings == 2).then_some(())
        }
        // Before it listens there is nothing to answer.
        MinerEvent::NoSample { reason, .. } if readings > 0 => panic!("a gap: {reason}"),
        _ => None,
    });
    let asked = spawner.log("tt-miner-1").iter().filter(|line| line.starts_with("asked")).count();
    assert!(asked >= 5, "it was asked {asked} times");
}

#[test]
fn a_miner_that_never_answers_gives_no_sample() {
    let spawner = spawner("tt-miner", "none", "sleep 100");
    spawner.start("tt-miner-1", "tt-miner", &profile());
    spawner.started();
    assert!(
        spawner.no_sample().contains("no connection") || spawner.no_sample().contains("refused")
    );
    // A poll that is asked again and again does not hold up the end.
    spawner.stop("tt-miner-1", FAR);
    assert_eq!(spawner.ended().signal, Some(15));
}

#[test]
fn another_miner_on_the_port_is_not_read() {
    let spawner = spawner("srbminer", "stranger", "");
    spawner.start("srbminer-1", "srbminer", &profile());
    spawner.started();
    let stranger = "another program has the miner's API port";
    spawner.wait("the stranger is seen", |event| match event {
        MinerEvent::Sample { .. } => panic!("it was read"),
        MinerEvent::NoSample { reason, .. } => (reason == stranger).then_some(()),
        _ => None,
    });
}

#[test]
fn a_taken_port_is_told_and_an_expired_build_is_permanent() {
    let taken = spawner("lolminer", "none", "echo 'API: bind: Address already in use'; sleep 100");
    taken.start("lolminer-1", "lolminer", &profile());
    taken.started();
    taken.note(|note| *note == Note::ApiPortTaken);
    let line =
        "15:37:36.950 Beta 5 test period expired - please check for a new version of TT-Miner.";
    let expired = spawner("tt-miner", "none", &format!("echo '{line}'; exit 1"));
    expired.start("tt-miner-1", "tt-miner", &profile());
    expired.started();
    let ended = expired.ended();
    assert!(ended.permanent && ended.reason.contains("Beta 5 test period expired"), "{ended:?}");
}

#[test]
fn they_are_listed_with_what_is_installed() {
    let spawner =
        spawner("lolminer", "none", "[ \"$1\" = --version ] && echo lolMiner 1.88 && exit");
    let rows = spawner.survey();
    let lolminer = rows.iter().find(|row| row.name == "lolminer").unwrap();
    assert!(lolminer.installed && Path::new(lolminer.path.as_ref().unwrap()).is_absolute());
    assert_eq!(lolminer.version.as_deref(), Some("1.88"));
    assert!(rows.iter().any(|row| row.name == "srbminer"));
    let (reply, answer) = bus::reply_channel();
    spawner.tell(bus::SpawnCommand::Survey { reply });
    assert!(answer.recv_timeout(FAR).unwrap().is_ok());
}
