//! The command line: verbs, options, what is printed, exit codes. Reaches the daemon through REST alone.
#![allow(clippy::print_stdout, clippy::print_stderr)]
use std::path::Path;
use std::process::ExitCode;

use argh::FromArgs as _;

use crate::config::Paths;
use crate::model::fault::Fault;
use args::{Top, Verb};
use client::Client;
use exit::{Exit, Failure};
use prepass::{Environment, Globals, Prepass};
use screen::Screen;

mod alerts;
mod api;
mod args;
mod audit;
mod client;
mod dashboard;
mod demo;
mod doctor;
mod events;
mod exit;
mod follow;
mod history;
mod machine;
mod many;
mod miner;
mod node;
mod peer;
mod plot;
mod prepass;
mod profile;
mod remote;
mod screen;
mod service;
mod status;
mod table;
#[cfg(test)]
mod tests;
mod units;

/// How a command ends when nothing stopped it early.
type Ended = Result<Exit, Failure>;

/// What every verb works with.
struct Session {
    globals: Globals,
    environment: Environment,
    screen: Screen,
}

impl Session {
    /// The folder that the person named; `None` means the usual places.
    fn home(&self) -> Option<&Path> {
        self.globals.home.as_deref().or(self.environment.home.as_deref())
    }

    /// The files of the node that is meant: the one in the folder that was named; else the person's own while its
    /// daemon runs; else the one of this machine's service while that runs.
    fn paths(&self) -> Result<Paths, Fault> {
        let own = Paths::resolve(self.home());
        let Some(service) = self.environment.service.as_ref().filter(|_| self.home().is_none())
        else {
            return own;
        };
        // One that this person may not look for is there.
        let there = service.run_file().try_exists().unwrap_or(true);
        if there && !own.as_ref().is_ok_and(client::runs) { Ok(service.clone()) } else { own }
    }

    /// The machine has a service, and nobody said that another node is meant.
    fn has_service(&self) -> bool {
        let service = self.environment.service.as_ref().filter(|_| self.home().is_none());
        service.is_some_and(|service| service.config_file.exists())
    }

    fn client(&self) -> Result<Client, Failure> {
        Client::find(self)
    }
}

/// Runs one command. `argv` begins with the program's name.
#[must_use]
pub fn run(argv: Vec<String>) -> ExitCode {
    let args: Vec<String> = argv.into_iter().skip(1).collect();
    // Not for people: the daemon starts its simulated miners with it.
    if args.first().is_some_and(|verb| verb == "simulate-miner") {
        return crate::miner::simulated::main(&args[1..]);
    }
    let environment = Environment::read();
    let screen = Screen::standard(environment.no_colour);
    ExitCode::from(run_with(args, environment, screen) as u8)
}

fn run_with(args: Vec<String>, environment: Environment, mut screen: Screen) -> Exit {
    let (globals, rest) = match prepass::prepass(args) {
        Ok(Prepass::Verb(globals, rest)) => (globals, rest),
        Ok(Prepass::Version) => {
            let told = screen.line(&format!("miner-cli {}", env!("CARGO_PKG_VERSION")));
            return told.map_or_else(|failure| failure.exit(), |()| Exit::Done);
        }
        Err(message) => {
            screen.failure(&Failure::Usage(message.clone()));
            return Exit::Usage;
        }
    };
    let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
    let top = match Top::from_args(&["miner-cli"], &rest) {
        Ok(top) => top,
        Err(early) if early.status.is_ok() => {
            return screen
                .body(&early.output)
                .map_or_else(|failure| failure.exit(), |()| Exit::Done);
        }
        Err(early) => {
            screen.failure(&Failure::Usage(early.output.trim_end().to_owned()));
            return Exit::Usage;
        }
    };
    let mut session = Session { globals, environment, screen };
    dispatch(top, &mut session).unwrap_or_else(|failure| {
        session.screen.failure(&failure);
        failure.exit()
    })
}

fn dispatch(top: Top, session: &mut Session) -> Ended {
    match top.verb {
        Verb::Node(node) => node::run(node.verb, session),
        Verb::Peer(peer) => peer::run(peer.verb, session),
        Verb::Remote(remote) => remote::run(remote.verb, session),
        Verb::Profile(profile) => profile::run(profile.verb, session),
        Verb::Miner(miner) => miner::run(miner.verb, session),
        Verb::Api(api) => api::run(&api, session),
        Verb::Doctor(_) => doctor::run(session),
        Verb::Dashboard(_) => dashboard::run(session),
        Verb::Service(service) => service::run(&service.verb, session),
        Verb::Demo(demo) => demo::run(&demo, session),
        Verb::Events(events) => events::run(&events, session),
        Verb::Alerts(alerts) => alerts::run(&alerts, session),
        Verb::Audit(audit) => audit::run(&audit, session),
        Verb::History(history) => history::run(&history, session),
    }
}
