//! The handlers, a file a noun; and what the registry's answers look like in JSON.
pub mod alerts;
pub mod audit;
pub mod events;
pub mod history;
pub mod live;
pub mod miners;
pub mod node;
pub mod peers;
pub mod profiles;
pub mod remote;
pub mod sessions;
pub mod system;

use std::sync::Arc;

use serde::{Serialize, Serializer};
use serde_json::json;

use super::answer::Answer;
use crate::bus::Reply;
use crate::model::key::NodeId;
use crate::model::profile::Profile;
use crate::model::stats::NodeStats;

/// The usual answer for each kind of reply, with status 200.
pub fn answer(reply: Reply) -> Answer {
    answer_as(200, reply)
}

pub fn created(reply: Reply) -> Answer {
    answer_as(201, reply)
}

fn answer_as(status: u16, reply: Reply) -> Answer {
    match reply {
        Reply::Done => Answer::json(status, &json!({ "status": "done" })),
        Reply::NodeInfo(info) => Answer::json(status, &info),
        Reply::Identity(card) => Answer::json(status, &card),
        Reply::Invite(invite) => Answer::json(status, &invite),
        Reply::Invites(all) => Answer::json(status, &all),
        Reply::Peer(peer) => Answer::json(status, &peer),
        Reply::Peers(all) => Answer::json(status, &all),
        Reply::Ping { ping_ms } => Answer::json(status, &json!({ "pingMs": ping_ms })),
        Reply::Stats(stats) => Answer::json(status, &*stats),
        Reply::AllStats(all) => Answer::json(status, &Reports(&all)),
        Reply::Totals(totals) => Answer::json(status, &totals),
        Reply::Started { miner } => {
            Answer::json(status, &json!({ "status": "miner started", "minerName": miner }))
        }
        Reply::Miners { status: done, miners } => {
            Answer::json(status, &json!({ "status": done, "miners": miners }))
        }
        Reply::Lines(lines) => Answer::json(status, &lines),
        Reply::Follow { follow } => Answer::json(status, &json!({ "follow": follow })),
        Reply::DeployCheck(check) => Answer::json(status, &check),
        Reply::RigProfiles(all) => {
            let row = |(profile, same)| RigProfile { profile, same };
            Answer::json(status, &all.into_iter().map(row).collect::<Vec<_>>())
        }
        Reply::Deployed => Answer::json(status, &json!({ "status": "profile deployed" })),
        Reply::Profile(profile) => Answer::json(status, &profile),
        Reply::Profiles(all) => Answer::json(status, &all),
        Reply::MinerList(all) => Answer::json(status, &all),
        Reply::Miner(miner) => Answer::json(status, &miner),
        Reply::Available(all) => Answer::json(status, &all),
        Reply::Events(all) => {
            Answer::json(status, &all.iter().map(|event| &**event).collect::<Vec<_>>())
        }
        Reply::History(points) => {
            let row = |(at, hashrate)| json!({ "timestamp": at, "hashrate": hashrate });
            Answer::json(status, &points.into_iter().map(row).collect::<Vec<_>>())
        }
        Reply::Alerts(overview) => Answer::json(status, &overview),
        Reply::AlertTests(results) => Answer::json(status, &json!({ "results": results })),
        // Only `/metrics` asks for it, and writes it as text.
        Reply::Metrics(snapshot) => Answer::json(status, &snapshot.rigs.len()),
        Reply::Policy(policy) => Answer::json(status, &policy),
        Reply::HistoryStatus(history) => Answer::json(status, &history),
    }
}

/// A rig's copy of a profile; `same` as ours of that id, `null` where we have none.
#[derive(Serialize)]
struct RigProfile {
    #[serde(flatten)]
    profile: Profile,
    same: Option<bool>,
}

/// A JSON object with a node's report under its id.
struct Reports<'a>(&'a [(NodeId, Arc<NodeStats>)]);

impl Serialize for Reports<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(id, stats)| (id, &**stats)))
    }
}
