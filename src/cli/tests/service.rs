//! Which node a command means when none is named: the person's own, or this machine's service.
use serde_json::json;

use super::daemon::{Daemon, home, run_with};
use super::info;
use crate::cli::prepass::Environment;
use crate::config::Paths;
use crate::model::key::PublicKey;

/// As on a machine whose service keeps its files where `daemon` does.
fn beside(daemon: &Daemon) -> Environment {
    let paths = Paths { service: true, ..Paths::resolve(Some(&daemon.home)).unwrap() };
    Environment { service: Some(paths), ..Environment::default() }
}

#[test]
fn without_a_home_the_service_is_asked() {
    let daemon = Daemon::new(&[("GET /node/info", 200, info(&PublicKey([9; 32])))]);
    let (exit, out, err) = run_with(beside(&daemon), "node info");
    assert_eq!((exit, err.as_str()), (0, ""));
    assert!(out.contains("me") && daemon.lines() == ["GET /health", "GET /node/info"], "{out}");

    let own = home();
    let line = format!("node info --home {}", own.display());
    assert!(run_with(beside(&daemon), &line).1.contains("no identity yet"));
    assert_eq!(daemon.seen().len(), 2, "a home that was named is meant");
    std::fs::remove_dir_all(&own).unwrap();
}

#[test]
fn the_service_gets_its_identity_over_rest() {
    let card = info(&PublicKey([9; 32]))["identity"].clone();
    let daemon = Daemon::new(&[("POST /node/init", 200, card)]);
    let (exit, out, _) = run_with(beside(&daemon), "node init --name rig-alpha --role worker");
    assert_eq!(exit, 0, "{out}");
    let asked = daemon.seen().pop().unwrap();
    assert_eq!(asked.body, json!({"name": "rig-alpha", "role": "worker"}));
    assert!(asked.head.contains("Authorization: Bearer secret-token"));
}

#[test]
fn a_service_that_does_not_run_is_not_passed_by() {
    let daemon = Daemon::new(&[]);
    let service = beside(&daemon);
    let paths = service.service.clone().unwrap();
    std::fs::remove_file(paths.run_file()).unwrap();
    std::fs::write(&paths.config_file, "").unwrap();
    let (exit, _, err) = run_with(service, "node init --name rig-alpha");
    assert_eq!(exit, 3, "{err}");
    assert!(err.contains("service of this machine does not run"), "{err}");
    assert!(err.contains("sudo systemctl start miner-cli"), "{err}");
}

#[test]
fn a_service_whose_files_may_not_be_read_says_who_may() {
    let daemon = Daemon::new(&[]);
    let service = beside(&daemon);
    let file = service.service.as_ref().unwrap().run_file();
    // Unreadable to root, too.
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    let (exit, _, err) = run_with(service, "peer list");
    assert_eq!(exit, 1, "{err}");
    assert!(err.contains("usermod -aG miner-cli"), "{err}");
}
