//! `/profiles`: what to mine. The registry judges what stands in them.
use serde_json::json;

use super::{answer, created};
use crate::bus::{Reply, Request};
use crate::http::answer::Answer;
use crate::http::asked::Asked;
use crate::model::fault::Fault;

pub fn list(asked: &Asked<'_>) -> Result<Answer, Fault> {
    asked.call(Request::Profiles).map(answer)
}

pub fn one(asked: &Asked<'_>) -> Result<Answer, Fault> {
    asked.call(Request::Profile { id: asked.param("id") }).map(answer)
}

pub fn add(asked: &Asked<'_>) -> Result<Answer, Fault> {
    asked.call(Request::AddProfile { profile: asked.json()? }).map(created)
}

pub fn edit(asked: &Asked<'_>) -> Result<Answer, Fault> {
    let profile = asked.json()?;
    asked.call(Request::EditProfile { id: asked.param("id"), profile }).map(answer)
}

pub fn remove(asked: &Asked<'_>) -> Result<Answer, Fault> {
    asked.call(Request::RemoveProfile { id: asked.param("id") })?;
    Ok(Answer::status("profile removed"))
}

pub fn start(asked: &Asked<'_>) -> Result<Answer, Fault> {
    match asked.call(Request::StartProfile { id: asked.param("id") })? {
        Reply::Started { miner } => Ok(Answer::json(200, &json!({ "name": miner }))),
        other => Ok(answer(other)),
    }
}
