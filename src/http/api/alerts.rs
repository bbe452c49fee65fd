//! `/alerts`: what is wrong now, and whether messages about it would arrive.
use serde::Deserialize;

use super::answer;
use crate::bus::Request;
use crate::http::answer::Answer;
use crate::http::asked::Asked;
use crate::model::fault::Fault;

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Test {
    channel: Option<String>,
}

pub fn list(asked: &Asked<'_>) -> Result<Answer, Fault> {
    asked.call(Request::Alerts).map(answer)
}

pub fn test(asked: &Asked<'_>) -> Result<Answer, Fault> {
    let Test { channel } = asked.json_or_default()?;
    asked.call(Request::TestAlerts { channel }).map(answer)
}
