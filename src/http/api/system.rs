//! The daemon itself: health, version, self-check.
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::TrySendError;
use serde::Serialize;
use serde_json::json;

use crate::bus::{self, Call, Event, Reply, Request};
use crate::http::answer::Answer;
use crate::http::asked::Asked;
use crate::http::{BASE, routes};
use crate::model::fault::{Code, Fault};

/// When the registry was last seen to be there, and whether it was.
#[derive(Debug, Default)]
pub struct Health(Mutex<Option<(Instant, bool)>>);

/// How long a look at the registry's queue is good for. `/health` is public, and a look costs the registry an event.
const LOOK: Duration = Duration::from_secs(1);

/// Says whether the registry's end of the queue is there. It waits for no answer: a busy registry is healthy.
pub fn health(asked: &Asked<'_>) -> Result<Answer, Fault> {
    let mut last = asked.shared.health.0.lock().unwrap_or_else(PoisonError::into_inner);
    let there = match *last {
        Some((at, there)) if at.elapsed() < LOOK => there,
        _ => {
            let (reply, _) = bus::reply_channel();
            let call = Event::Call(Call { request: Request::NodeInfo, who: asked.who, reply });
            let sent = asked.shared.context.events.try_send(call);
            let there = !matches!(sent, Err(TrySendError::Disconnected(_)));
            *last = Some((Instant::now(), there));
            there
        }
    };
    if there {
        Ok(Answer::status("healthy"))
    } else {
        Err(Fault::new(Code::Unavailable, "the daemon is ending or has lost its core"))
    }
}

pub fn openapi(asked: &Asked<'_>) -> Result<Answer, Fault> {
    Ok(routes::description(asked.shared.context.version))
}

pub fn info(asked: &Asked<'_>) -> Result<Answer, Fault> {
    Ok(Answer::json(
        200,
        &json!({
            "version": asked.shared.context.version,
            "basePath": BASE,
            "features": ["peers", "remote", "profiles", "miners", "log-stream", "events", "history", "sessions", "live", "alerts"],
        }),
    ))
}

#[derive(Serialize)]
struct Check {
    name: &'static str,
    ok: bool,
    detail: String,
}

/// What the daemon can see of itself; 200 whatever the checks say.
pub fn doctor(asked: &Asked<'_>) -> Result<Answer, Fault> {
    let mut checks = Vec::new();
    let mut check = |name, ok, detail: String| checks.push(Check { name, ok, detail });
    match asked.call(Request::NodeInfo) {
        Ok(Reply::NodeInfo(info)) => {
            check("daemon", true, format!("answers; up for {} s", info.uptime));
            match &info.identity {
                Some(card) => check("identity", true, format!("{} ({})", card.name, card.id)),
                None => check(
                    "identity",
                    false,
                    "this node has none; run `miner-cli node init`".to_owned(),
                ),
            }
            match &info.listen {
                Some(address) => check("p2p", true, format!("listens on {address}")),
                None => check("p2p", false, "does not listen for peers".to_owned()),
            }
        }
        Ok(_) => check("daemon", false, "answers something else than was asked".to_owned()),
        Err(fault) => check("daemon", false, fault.message),
    }
    match asked.call(Request::AvailableMiners) {
        Ok(Reply::Available(all)) => {
            let found: Vec<_> =
                all.iter().filter(|m| m.installed).map(|m| m.name.as_str()).collect();
            if found.is_empty() {
                check("miners", false, "no miner program was found".to_owned());
            } else {
                check("miners", true, found.join(", "));
            }
        }
        Ok(_) => check("miners", false, "answers something else than was asked".to_owned()),
        Err(fault) => check("miners", false, fault.message),
    }
    Ok(Answer::json(200, &json!({ "checks": checks })))
}
