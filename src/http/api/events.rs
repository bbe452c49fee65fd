//! `/events`: what happened here and on the rigs.
use super::answer;
use crate::bus::Request;
use crate::http::answer::Answer;
use crate::http::asked::Asked;
use crate::http::server::Outcome;
use crate::http::sse;
use crate::model::event::KEPT;
use crate::model::fault::Fault;

pub fn list(asked: &Asked<'_>) -> Result<Answer, Fault> {
    let (since, lines) = (asked.since()?, asked.lines()?);
    asked.call(Request::Events { since, lines }).map(answer)
}

/// Without `since` and `lines` the stream begins with the present; with `since` alone nothing that is kept is left out.
pub fn follow(asked: &Asked<'_>) -> Result<Outcome, Fault> {
    let since = asked.since()?;
    let lines = asked.lines_or(if since.is_some() { KEPT } else { 0 })?;
    sse::follow(asked, |sink| Request::FollowEvents { since, lines, sink })
}
