//! `miner …`: this node's own miners.
use serde::Deserialize;

use super::args::MinerVerb;
use super::client::segment;
use super::exit::{Exit, Failure};
use super::peer::told;
use super::remote::Acted;
use super::{Ended, Session, follow, status};
use crate::model::stats::MinerStats;
use crate::sys::clock;

pub fn run(verb: MinerVerb, session: &mut Session) -> Ended {
    match verb {
        MinerVerb::List(_) => list(session),
        MinerVerb::Start(start) => self::start(&start.profile, session),
        MinerVerb::Stop(stop) => self::stop(&stop.miner, session),
        MinerVerb::Logs(logs) => {
            if !(1..=10_000).contains(&logs.lines) {
                return Err(Failure::Usage("--lines is 1 to 10000".to_owned()));
            }
            follow::lines(
                &format!("/miners/{}/logs?lines={}", segment(&logs.miner), logs.lines),
                session,
            )
        }
    }
}

fn list(session: &mut Session) -> Ended {
    let reply = session.client()?.get("/miners")?;
    if session.globals.json {
        session.screen.body(&reply.text)?;
        return Ok(Exit::Done);
    }
    let miners: Vec<MinerStats> = reply.read()?;
    if miners.is_empty() {
        session.screen.line("No miners: miner-cli miner start --profile PROFILE")?;
    } else {
        status::miner_lines(&miners, clock::wall(), session)?;
    }
    Ok(Exit::Done)
}

fn start(profile: &str, session: &mut Session) -> Ended {
    #[derive(Deserialize)]
    struct Started {
        name: String,
    }
    let path = format!("/profiles/{}/start", segment(profile));
    let reply = session.client()?.ask("POST", &path, None)?;
    let started: Started = reply.read()?;
    told(&reply, &format!("miner started: {}", started.name), session)
}

fn stop(miner: &str, session: &mut Session) -> Ended {
    let reply = session.client()?.ask("DELETE", &format!("/miners/{}", segment(miner)), None)?;
    let mut acted: Acted = reply.read()?;
    if acted.miners.is_empty() {
        acted.miners.push(miner.to_owned());
    }
    told(&reply, &acted.sentence("miner-cli miner list"), session)
}
