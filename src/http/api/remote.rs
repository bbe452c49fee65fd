//! `/remote`: figures from the rigs, and commands to them.
use serde::Deserialize;

use super::answer;
use crate::bus::Request;
use crate::http::answer::Answer;
use crate::http::asked::Asked;
use crate::http::server::Outcome;
use crate::http::sse;
use crate::model::fault::Fault;
use crate::model::profile::ProfileConfig;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Start {
    profile_id: String,
    #[serde(default)]
    miner_type: Option<String>,
    #[serde(default)]
    config: Option<Box<ProfileConfig>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Which {
    miner_name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Deploy {
    profile_id: String,
    /// Store nothing: say what would change.
    #[serde(default)]
    dry_run: bool,
}

pub fn stats_all(asked: &Asked<'_>) -> Result<Answer, Fault> {
    asked.call(Request::RemoteStatsAll).map(answer)
}

pub fn totals(asked: &Asked<'_>) -> Result<Answer, Fault> {
    asked.call(Request::RemoteTotals).map(answer)
}

pub fn stats(asked: &Asked<'_>) -> Result<Answer, Fault> {
    asked.call(Request::RemoteStats { peer: asked.param("peer") }).map(answer)
}

pub fn start(asked: &Asked<'_>) -> Result<Answer, Fault> {
    let Start { profile_id, miner_type, config } = asked.json()?;
    let peer = asked.param("peer");
    asked.call(Request::RemoteStart { peer, profile_id, miner_type, config }).map(answer)
}

pub fn stop(asked: &Asked<'_>) -> Result<Answer, Fault> {
    let Which { miner_name: miner } = asked.json_or_default()?;
    asked.call(Request::RemoteStop { peer: asked.param("peer"), miner }).map(answer)
}

pub fn restart(asked: &Asked<'_>) -> Result<Answer, Fault> {
    let Which { miner_name: miner } = asked.json_or_default()?;
    asked.call(Request::RemoteRestart { peer: asked.param("peer"), miner }).map(answer)
}

pub fn logs(asked: &Asked<'_>) -> Result<Answer, Fault> {
    let (peer, miner) = (asked.param("peer"), asked.param("miner"));
    let (lines, previous) = (asked.lines()?, asked.previous()?);
    asked.call(Request::RemoteLogs { peer, miner, lines, previous }).map(answer)
}

pub fn follow(asked: &Asked<'_>) -> Result<Outcome, Fault> {
    let (peer, miner, lines) = (asked.param("peer"), asked.param("miner"), asked.lines()?);
    sse::follow(asked, |sink| Request::FollowLogs { peer, miner, lines, sink })
}

pub fn deploy(asked: &Asked<'_>) -> Result<Answer, Fault> {
    let Deploy { profile_id, dry_run } = asked.json()?;
    let peer = asked.param("peer");
    let request = if dry_run {
        Request::RemoteDeployCheck { peer, profile_id }
    } else {
        Request::RemoteDeploy { peer, profile_id }
    };
    asked.call(request).map(answer)
}

pub fn profiles(asked: &Asked<'_>) -> Result<Answer, Fault> {
    asked.call(Request::RemoteProfiles { peer: asked.param("peer") }).map(answer)
}
