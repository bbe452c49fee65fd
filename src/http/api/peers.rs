//! `/peers`: the nodes that this one knows.
use serde::Deserialize;

use super::node::{checked_name, invite_code, trust};
use super::{answer, created};
use crate::bus::Request;
use crate::http::answer::Answer;
use crate::http::asked::Asked;
use crate::model::fault::{Code, Fault};
use crate::model::trust::Pin;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Add {
    address: String,
    #[serde(default)]
    tls_ca: Option<String>,
    #[serde(default)]
    tls_pin: Option<Pin>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    invite: Option<String>,
    #[serde(default)]
    public_key: Option<String>,
}

pub fn list(asked: &Asked<'_>) -> Result<Answer, Fault> {
    asked.call(Request::Peers).map(answer)
}

pub fn one(asked: &Asked<'_>) -> Result<Answer, Fault> {
    asked.call(Request::Peer { peer: asked.param("peer") }).map(answer)
}

pub fn add(asked: &Asked<'_>) -> Result<Answer, Fault> {
    let Add { address, tls_ca, tls_pin, name, invite, public_key } = asked.json()?;
    let trust = trust(tls_ca, tls_pin)?;
    name.as_deref().map_or(Ok(()), checked_name)?;
    let invite = invite.as_deref().map(invite_code).transpose()?;
    let public_key = public_key
        .map(|text| text.parse())
        .transpose()
        .map_err(|why: String| Fault::new(Code::Invalid, format!("publicKey: {why}")))?;
    asked.call(Request::AddPeer { address, trust, name, invite, public_key }).map(created)
}

pub fn remove(asked: &Asked<'_>) -> Result<Answer, Fault> {
    asked.call(Request::RemovePeer { peer: asked.param("peer") })?;
    Ok(Answer::status("peer removed"))
}

pub fn ping(asked: &Asked<'_>) -> Result<Answer, Fault> {
    asked.call(Request::PingPeer { peer: asked.param("peer") }).map(answer)
}

pub fn approve(asked: &Asked<'_>) -> Result<Answer, Fault> {
    asked.call(Request::Approve { peer: asked.param("peer") }).map(answer)
}

pub fn reject(asked: &Asked<'_>) -> Result<Answer, Fault> {
    asked.call(Request::Reject { peer: asked.param("peer") })?;
    Ok(Answer::status("rejected"))
}

pub fn labels(asked: &Asked<'_>) -> Result<Answer, Fault> {
    asked.call(Request::SetLabels { peer: asked.param("peer"), labels: asked.json()? }).map(answer)
}
