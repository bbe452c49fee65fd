//! The dashboard's sessions: begin, look, end.
use serde::Deserialize;
use serde_json::json;

use crate::http::answer::{Answer, Extra};
use crate::http::asked::Asked;
use crate::model::fault::Fault;
use crate::sys::clock;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Login {
    token: String,
}

pub fn current(asked: &Asked<'_>) -> Result<Answer, Fault> {
    Ok(Answer::json(200, &json!({ "loggedIn": asked.has_session() })))
}

pub fn login(asked: &Asked<'_>) -> Result<Answer, Fault> {
    let Login { token } = asked.json()?;
    let id = asked.shared.auth.begin(&token, asked.claim.from, clock::now())?;
    // TLS ends here, or in a proxy before.
    let secure =
        asked.shared.secure || asked.origin.is_some_and(|origin| origin.starts_with("https://"));
    Ok(Answer::empty().with(Extra::Session { port: asked.claim.port, id, secure }))
}

pub fn logout(asked: &Asked<'_>) -> Result<Answer, Fault> {
    asked.shared.auth.end(&asked.claim);
    Ok(Answer::empty().with(Extra::NoSession(asked.claim.port)))
}

pub fn list(asked: &Asked<'_>) -> Result<Answer, Fault> {
    Ok(Answer::json(200, &asked.shared.auth.sessions(&asked.claim, clock::now())))
}

/// Ends one, whoever has it.
pub fn end(asked: &Asked<'_>) -> Result<Answer, Fault> {
    asked.shared.auth.end_one(&asked.param("id"))?;
    Ok(Answer::status("session ended"))
}

/// Ends all but the one that asks.
pub fn end_others(asked: &Asked<'_>) -> Result<Answer, Fault> {
    let ended = asked.shared.auth.end_others(&asked.claim);
    Ok(Answer::json(200, &json!({ "status": "sessions ended", "ended": ended })))
}
