//! `remote start|stop|restart|deploy`: commands to rigs. Looking at them is in `status` and `follow`.
use serde::Deserialize;
use serde_json::{Value, json};

use super::args::{RemoteDeploy, RemoteRestart, RemoteStart, RemoteStop, RemoteVerb};
use super::client::{Reply, segment};
use super::exit::{Exit, Failure};
use super::many::{self, Choice, Order};
use super::{Ended, Session, follow, status};

pub fn run(verb: RemoteVerb, session: &mut Session) -> Ended {
    match verb {
        RemoteVerb::Status(wanted) => match &wanted.peer {
            Some(peer) => status::one(peer, session),
            None => status::all(session),
        },
        RemoteVerb::Start(start) => self::start(start, session),
        RemoteVerb::Deploy(deploy) => self::deploy(deploy, session),
        RemoteVerb::Stop(stop) => {
            let RemoteStop { named, miner, all, label: labels, dry_run, max_parallel } = stop;
            let (names, miner) = rigs_and_miner(named, miner)?;
            let choice = Choice { names, all, labels, dry_run, max_parallel };
            act(&choice, miner.as_deref(), ("stop", "stopped"), session)
        }
        RemoteVerb::Restart(restart) => {
            let RemoteRestart { named, miner, all, label: labels, dry_run, max_parallel } = restart;
            let (names, miner) = rigs_and_miner(named, miner)?;
            let choice = Choice { names, all, labels, dry_run, max_parallel };
            act(&choice, miner.as_deref(), ("restart", "restarted"), session)
        }
        RemoteVerb::Logs(logs) if logs.follow => follow::run(&logs, session),
        RemoteVerb::Logs(logs) => follow::tail(&logs, session),
    }
}

fn start(start: RemoteStart, session: &mut Session) -> Ended {
    let RemoteStart { peers: names, profile, all, label: labels, dry_run, max_parallel } = start;
    let say = |_: &str, reply: &Reply| {
        let started: Started = reply.read()?;
        Ok(format!("{}: {}", started.status, started.miner_name))
    };
    let order = Order {
        verb: "start",
        done: "started",
        what: format!("start profile {profile}"),
        body: json!({"profileId": profile}),
        say: &say,
    };
    many::run(&Choice { names, all, labels, dry_run, max_parallel }, &order, session)
}

fn deploy(deploy: RemoteDeploy, session: &mut Session) -> Ended {
    let RemoteDeploy { peers: names, profile, all, label: labels, dry_run, max_parallel } = deploy;
    let order = Order {
        verb: "deploy",
        done: "deployed",
        what: format!("deploy profile {profile}"),
        body: json!({"profileId": profile}),
        say: &|_, _| Ok(format!("profile {profile} deployed")),
    };
    many::run(&Choice { names, all, labels, dry_run, max_parallel }, &order, session)
}

/// What stands behind `stop`: `PEER [MINER]`, or with `--miner` rigs alone.
fn rigs_and_miner(
    mut named: Vec<String>,
    miner: Option<String>,
) -> Result<(Vec<String>, Option<String>), Failure> {
    match (named.len(), &miner) {
        (2, None) => {
            let miner = named.pop();
            Ok((named, miner))
        }
        (3.., None) => {
            let message = "PEER [MINER] is wanted; several rigs go with --miner, --label or --all";
            Err(Failure::Usage(message.to_owned()))
        }
        _ => Ok((named, miner)),
    }
}

/// Stops or restarts one miner of each rig that is meant, or all of them.
fn act(
    choice: &Choice,
    miner: Option<&str>,
    (verb, done): (&'static str, &'static str),
    session: &mut Session,
) -> Ended {
    if let Some(peer) = choice.one_name() {
        return all_or_one(peer, miner, verb, session);
    }
    let say = |rig: &str, reply: &Reply| {
        let acted: Acted = reply.read()?;
        Ok(acted.sentence(&format!("miner-cli remote status {rig}")))
    };
    let order = Order {
        verb,
        done,
        what: format!("{verb} {}", miner.unwrap_or("all of its miners")),
        body: wanted(miner),
        say: &say,
    };
    many::run(choice, &order, session)
}

fn wanted(miner: Option<&str>) -> Value {
    miner.map_or_else(|| json!({}), |name| json!({"minerName": name}))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Started {
    status: String,
    miner_name: String,
}

/// The answer to a stop or a restart, here and on rigs.
#[derive(Deserialize)]
pub struct Acted {
    pub status: String,
    #[serde(default)]
    pub miners: Vec<String>,
}

impl Acted {
    /// A line for people; `look` is the command that shows how it goes on.
    #[must_use]
    pub fn sentence(&self, look: &str) -> String {
        let miners = self.miners.join(", ");
        match self.status.as_str() {
            _ if self.miners.is_empty() => format!("{} (no miner was meant to run)", self.status),
            status @ ("stopping" | "restarting") => format!(
                "{miners}: {status}; it still ends, which can take up to 60 s. Look with: {look}"
            ),
            status => format!("{miners}: {status}"),
        }
    }
}

fn all_or_one(peer: &str, miner: Option<&str>, verb: &str, session: &mut Session) -> Ended {
    let path = format!("/remote/{}/{verb}", segment(peer));
    let reply = session.client()?.ask("POST", &path, Some(&wanted(miner)))?;
    if session.globals.json {
        session.screen.body(&reply.text)?;
        return Ok(Exit::Done);
    }
    let acted: Acted = reply.read()?;
    let look = format!("miner-cli remote status {peer}");
    session.screen.line(&format!("{peer}: {}", acted.sentence(&look)))?;
    Ok(Exit::Done)
}
