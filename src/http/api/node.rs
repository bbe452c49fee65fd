//! `/node`: this node's identity and its invites.
use std::time::Duration;

use serde::Deserialize;

use super::{answer, created};
use crate::bus::Request;
use crate::http::answer::Answer;
use crate::http::asked::Asked;
use crate::model::fault::{Code, Fault};
use crate::model::invite::InviteCode;
use crate::model::name;
use crate::model::node::Role;
use crate::model::trust::{Pin, Trust};
use crate::tls;

/// The longest life of an invite.
const LONGEST: u64 = 365 * 24 * 3600;
/// The longest PEM text of a peer's authorities, in bytes; it is kept with the peer.
const LONGEST_CA: usize = 64 * 1024;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Init {
    name: String,
    #[serde(default)]
    role: Role,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct NewInvite {
    uses: u32,
    expires_seconds: u64,
}

impl Default for NewInvite {
    fn default() -> Self {
        Self { uses: 1, expires_seconds: 24 * 3600 }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Join {
    address: String,
    #[serde(default)]
    tls_ca: Option<String>,
    #[serde(default)]
    tls_pin: Option<Pin>,
    invite: String,
    #[serde(default)]
    name: Option<String>,
}

pub fn info(asked: &Asked<'_>) -> Result<Answer, Fault> {
    asked.call(Request::NodeInfo).map(answer)
}

pub fn init(asked: &Asked<'_>) -> Result<Answer, Fault> {
    let Init { name, role } = asked.json()?;
    checked_name(&name)?;
    asked.call(Request::NodeInit { name, role }).map(answer)
}

pub fn invites(asked: &Asked<'_>) -> Result<Answer, Fault> {
    asked.call(Request::Invites).map(answer)
}

pub fn create_invite(asked: &Asked<'_>) -> Result<Answer, Fault> {
    let NewInvite { uses, expires_seconds } = asked.json_or_default()?;
    if uses == 0 {
        return Err(Fault::new(Code::Invalid, "uses: an invite needs at least one use"));
    }
    if !(1..=LONGEST).contains(&expires_seconds) {
        return Err(Fault::new(Code::Invalid, "expiresSeconds: from 1 second to 365 days"));
    }
    let expires = Duration::from_secs(expires_seconds);
    asked.call(Request::CreateInvite { uses, expires }).map(created)
}

pub fn delete_invite(asked: &Asked<'_>) -> Result<Answer, Fault> {
    asked.call(Request::DeleteInvite { id: asked.param("id") })?;
    Ok(Answer::status("invite removed"))
}

pub fn join(asked: &Asked<'_>) -> Result<Answer, Fault> {
    let Join { address, tls_ca, tls_pin, invite, name } = asked.json()?;
    name.as_deref().map_or(Ok(()), checked_name)?;
    let invite = invite_code(&invite)?;
    let trust = trust(tls_ca, tls_pin)?;
    asked.call(Request::Join { address, trust, invite, name }).map(created)
}

/// By what the certificate of an address is to be judged.
pub fn trust(ca: Option<String>, pin: Option<Pin>) -> Result<Trust, Fault> {
    match (ca, pin) {
        (None, None) => Ok(Trust::System),
        (None, Some(pin)) => Ok(Trust::Pin(pin)),
        (Some(text), None) => {
            if text.len() > LONGEST_CA {
                return Err(Fault::new(Code::Invalid, "tlsCa: at most 64 KiB are taken"));
            }
            tls::check_authorities(&text)
                .map_err(|why| Fault::new(Code::Invalid, format!("tlsCa: {why}")))?;
            Ok(Trust::Ca(text))
        }
        (Some(_), Some(_)) => Err(Fault::new(
            Code::Invalid,
            "tlsCa and tlsPin: one of them says which certificate is right, not both",
        )),
    }
}

pub fn checked_name(text: &str) -> Result<(), Fault> {
    name::check(text).map_err(|why| Fault::new(Code::Invalid, format!("name: {why}")))
}

pub fn invite_code(text: &str) -> Result<InviteCode, Fault> {
    text.parse().map_err(|why| Fault::new(Code::Invalid, format!("invite: {why}")))
}
