//! `/miners`: this node's own miners.
use super::answer;
use crate::bus::Request;
use crate::http::answer::Answer;
use crate::http::asked::Asked;
use crate::model::fault::{Code, Fault};

pub fn list(asked: &Asked<'_>) -> Result<Answer, Fault> {
    asked.call(Request::Miners).map(answer)
}

pub fn available(asked: &Asked<'_>) -> Result<Answer, Fault> {
    asked.call(Request::AvailableMiners).map(answer)
}

pub fn stats(asked: &Asked<'_>) -> Result<Answer, Fault> {
    asked.call(Request::Miner { name: asked.param("name") }).map(answer)
}

/// Straight from the ring: log lines never pass through the registry of the node that has them.
pub fn logs(asked: &Asked<'_>) -> Result<Answer, Fault> {
    let (name, lines, previous) = (asked.param("name"), asked.lines()?, asked.previous()?);
    match asked.shared.context.logs.get(&name) {
        Some(ring) => Ok(Answer::json(200, &ring.tail(lines, previous))),
        None => Err(Fault::new(Code::MinerNotFound, format!("this node has no miner {name:?}"))
            .hint("`miner-cli miner list` shows what runs here")),
    }
}

pub fn history(asked: &Asked<'_>) -> Result<Answer, Fault> {
    asked.call(Request::HashrateHistory { name: asked.param("name") }).map(answer)
}

pub fn stop(asked: &Asked<'_>) -> Result<Answer, Fault> {
    asked.call(Request::StopMiner { name: asked.param("name") }).map(answer)
}
