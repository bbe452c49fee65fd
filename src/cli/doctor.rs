//! `doctor`: one line a check; exit 1 when there is a problem, 0 when there are warnings at most.
mod certificates;
mod modes;

use std::net::TcpListener;

use serde::Serialize;

use super::client::Client;
use super::exit::{Exit, Failure};
use super::table::Tint;
use super::{Ended, Session, client, machine};
use crate::config::{Config, Paths, RunFile, parse_listen};
use crate::identity::Identity;
use crate::model::fault::Fault;
use crate::model::miner::AvailableMiner;
use crate::model::node::{NodeCard, NodeInfo, Role};
use crate::sys::clock;

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Ok,
    Warning,
    Problem,
}

/// What was looked at, how it stands, and what to do where it does not stand well.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Check {
    pub check: &'static str,
    pub status: Status,
    pub message: String,
    #[serde(rename = "do", skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

impl Check {
    pub fn ok(check: &'static str, message: impl Into<String>) -> Self {
        Self { check, status: Status::Ok, message: message.into(), remedy: None }
    }

    pub fn warning(
        check: &'static str,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        let (message, remedy) = (message.into(), Some(remedy.into()));
        Self { check, status: Status::Warning, message, remedy }
    }

    pub fn problem(
        check: &'static str,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { status: Status::Problem, ..Self::warning(check, message, remedy) }
    }
}

pub fn run(session: &mut Session) -> Ended {
    let paths = session.paths()?;
    let mut checks = vec![folder(&paths)];
    // The service's keys are its own: what it is, it says itself.
    let (identity, card) =
        if paths.service { identity_of_service(session) } else { identity(&paths) };
    checks.push(identity);
    let (readable, config) = config(&paths);
    checks.push(readable);
    checks.extend(modes::checks(&paths, &config));
    let running = daemon(session, &paths, &config, &mut checks);
    checks.extend(certificates::checks(&config, &paths, running.is_some(), clock::wall()));
    let pid = running.as_ref().and(RunFile::read(&paths.run_file())?).map(|run| run.pid);
    // A controller does not mine: what only miners need is no concern of its.
    if card.as_ref().is_none_or(|card| card.role != Role::Controller) {
        if let Some(client) = &running {
            checks.push(miners(client));
        }
        checks.extend(machine::for_miners(pid));
    }
    checks.extend(machine::for_all(
        pid,
        paths.node_db.parent(),
        card.as_ref().map(|card| card.created_at),
    ));
    print(&checks, session)?;
    let bad = checks.iter().any(|check| check.status == Status::Problem);
    Ok(if bad { Exit::Failed } else { Exit::Done })
}

fn print(checks: &[Check], session: &mut Session) -> Result<(), Failure> {
    if session.globals.json {
        return session.screen.json(&checks);
    }
    for check in checks {
        let (word, tint) = match check.status {
            Status::Ok => ("ok", Tint::Good),
            Status::Warning => ("warning", Tint::Warn),
            Status::Problem => ("problem", Tint::Bad),
        };
        let remedy =
            check.remedy.as_ref().map_or_else(String::new, |remedy| format!(" -> {remedy}"));
        let rest = format!("{:<12} {}{remedy}", check.check, check.message);
        session.screen.tinted(tint, &format!("{word:<8}"), &rest)?;
    }
    Ok(())
}

fn folder(paths: &Paths) -> Check {
    let folder = if paths.service { paths.node_db.parent() } else { paths.private_key.parent() };
    match folder.filter(|folder| folder.is_dir()) {
        None => {
            let message = "the node's folder does not exist yet";
            Check::warning("folder", message, "miner-cli node init --name NAME")
        }
        Some(folder) => Check::ok("folder", folder.display().to_string()),
    }
}

fn identity_of_service(session: &Session) -> (Check, Option<NodeCard>) {
    let info = session.client().and_then(|client| client.get("/node/info")?.read::<NodeInfo>());
    match info {
        Ok(info) => identity_check(Ok(info.identity)),
        Err(failure) => {
            let (message, remedy) = told(failure);
            (Check::problem("identity", message, remedy), None)
        }
    }
}

fn identity(paths: &Paths) -> (Check, Option<NodeCard>) {
    let known = Identity::load(&paths.node_json, &paths.private_key);
    identity_check(known.map(|identity| identity.map(|identity| identity.card)))
}

fn identity_check(known: Result<Option<NodeCard>, Fault>) -> (Check, Option<NodeCard>) {
    match known {
        Ok(Some(card)) => (
            Check::ok("identity", format!("{} ({}), {}", card.name, card.id, card.role)),
            Some(card),
        ),
        Ok(None) => {
            let remedy = "miner-cli node init --name NAME";
            (Check::warning("identity", "this node has none yet", remedy), None)
        }
        Err(fault) => {
            let remedy = fault.hint.clone().unwrap_or_else(|| "restore the key files".to_owned());
            (Check::problem("identity", fault.message, remedy), None)
        }
    }
}

/// What the daemon will do with config.toml; the defaults where it can do nothing with it.
fn config(paths: &Paths) -> (Check, Config) {
    let file = &paths.config_file;
    let shown = file.display();
    match Config::load(file) {
        Ok(config) if file.exists() => (Check::ok("config", shown.to_string()), config),
        Ok(config) => (Check::ok("config", format!("{shown} does not exist: defaults")), config),
        Err(fault) => {
            let remedy = fault.hint.unwrap_or_else(|| "correct that line".to_owned());
            (Check::problem("config", fault.message, remedy), Config::default())
        }
    }
}

/// Daemon, token and ports.
fn daemon(
    session: &Session,
    paths: &Paths,
    config: &Config,
    checks: &mut Vec<Check>,
) -> Option<Client> {
    let client = match Client::find_running(session) {
        Ok(Some(client)) => client,
        Ok(None) => {
            checks.push(Check::warning("daemon", "does not run", client::start_hint(session)));
            checks.push(free("API port", &config.api.bind));
            checks.push(free("P2P port", &config.listen));
            return None;
        }
        Err(failure) => {
            let (message, remedy) = told(failure);
            checks.push(Check::problem("daemon", message, remedy));
            return None;
        }
    };
    match client.get("/node/info").and_then(|reply| reply.read::<NodeInfo>()) {
        Ok(info) => {
            let version = &info.version;
            checks.push(Check::ok(
                "daemon",
                format!("version {version} answers at {}", client.url()),
            ));
            checks.push(Check::ok("token", format!("read from {}", paths.token_file().display())));
            checks.push(match &info.listen {
                Some(listen) => Check::ok("P2P port", format!("listens on {listen}")),
                None => {
                    Check::warning("P2P port", "does not listen", "miner-cli node init --name NAME")
                }
            });
            Some(client)
        }
        Err(failure) => {
            let (message, remedy) = told(failure);
            checks.push(Check::problem("daemon", message, remedy));
            None
        }
    }
}

fn told(failure: Failure) -> (String, String) {
    match failure {
        Failure::Fault(fault) => {
            (fault.message, fault.hint.unwrap_or_else(|| "see its log".to_owned()))
        }
        Failure::NoDaemon { message, hint } => (message, hint),
        Failure::Usage(message) => (message, "miner-cli --help".to_owned()),
        Failure::OutputClosed => (String::new(), String::new()),
    }
}

/// Whether a daemon could listen on `address`.
fn free(what: &'static str, address: &str) -> Check {
    let bound = parse_listen(address).and_then(|all| {
        let mut last = String::new();
        let free =
            all.iter().any(|one| TcpListener::bind(one).map_err(|e| last = e.to_string()).is_ok());
        if free { Ok(()) } else { Err(last) }
    });
    match bound {
        Ok(()) => Check::ok(what, format!("{address} is free")),
        Err(why) => {
            let remedy = "see who has it (ss -ltnp), or choose another in config.toml";
            Check::warning(what, format!("{address} cannot be used: {why}"), remedy)
        }
    }
}

fn miners(client: &Client) -> Check {
    let list =
        client.get("/miners/available").and_then(|reply| reply.read::<Vec<AvailableMiner>>());
    match list {
        Err(failure) => {
            let (message, remedy) = told(failure);
            Check::problem("miners", message, remedy)
        }
        Ok(list) => {
            let found: Vec<String> = (list.iter())
                .filter(|miner| miner.installed && miner.name != "simulated")
                .map(|m| {
                    format!("{} {}", m.name, m.version.as_deref().unwrap_or_default())
                        .trim()
                        .to_owned()
                })
                .collect();
            if found.is_empty() {
                let remedy = "install xmrig on the daemon's PATH, or name it: [miners.xmrig] path in config.toml";
                Check::warning("miners", "no miner program was found", remedy)
            } else {
                Check::ok("miners", found.join(", "))
            }
        }
    }
}
