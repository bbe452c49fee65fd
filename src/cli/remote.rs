//! `remote start|stop|restart|deploy`: commands to rigs. Looking at them is in `status` and `follow`.
use serde::Deserialize;
use serde_json::{Value, json};

use super::args::{RemoteRestart, RemoteStop, RemoteVerb};
use super::client::{Client, Reply, segment};
use super::exit::{Exit, Failure};
use super::{Ended, Session, follow, status};

pub fn run(verb: RemoteVerb, session: &mut Session) -> Ended {
    match verb {
        RemoteVerb::Status(wanted) => match &wanted.peer {
            Some(peer) => status::one(peer, session),
            None => status::all(session),
        },
        RemoteVerb::Start(start) => each(&start.peers, session, |client, peer| {
            let wanted = json!({"profileId": start.profile});
            let reply = command(client, peer, "start", &wanted)?;
            let started: Started = reply.read()?;
            Ok((reply, format!("{}: {}", started.status, started.miner_name)))
        }),
        RemoteVerb::Deploy(deploy) => each(&deploy.peers, session, |client, peer| {
            let wanted = json!({"profileId": deploy.profile});
            let reply = command(client, peer, "deploy", &wanted)?;
            Ok((reply, format!("profile {} deployed", deploy.profile)))
        }),
        RemoteVerb::Stop(RemoteStop { peer, miner }) => {
            all_or_one(&peer, miner.as_deref(), "stop", session)
        }
        RemoteVerb::Restart(RemoteRestart { peer, miner }) => {
            all_or_one(&peer, miner.as_deref(), "restart", session)
        }
        RemoteVerb::Logs(logs) if logs.follow => follow::run(&logs, session),
        RemoteVerb::Logs(logs) => follow::tail(&logs, session),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Started {
    status: String,
    miner_name: String,
}

/// The answer to a stop or a restart, here and on rigs.
#[derive(Deserialize)]
pub struct Acted {
    pub status: String,
    #[serde(default)]
    pub miners: Vec<String>,
}

impl Acted {
    /// A line for people; `look` is the command that shows how it goes on.
    #[must_use]
    pub fn sentence(&self, look: &str) -> String {
        let miners = self.miners.join(", ");
        match self.status.as_str() {
            _ if self.miners.is_empty() => format!("{} (no miner was meant to run)", self.status),
            status @ ("stopping" | "restarting") => format!(
                "{miners}: {status}; it still ends, which can take up to 60 s. Look with: {look}"
            ),
            status => format!("{miners}: {status}"),
        }
    }
}

fn command(client: &Client, peer: &str, verb: &str, wanted: &Value) -> Result<Reply, Failure> {
    client.ask("POST", &format!("/remote/{}/{verb}", segment(peer)), Some(wanted))
}

fn all_or_one(peer: &str, miner: Option<&str>, verb: &str, session: &mut Session) -> Ended {
    let wanted = miner.map_or_else(|| json!({}), |name| json!({"minerName": name}));
    let reply = command(&session.client()?, peer, verb, &wanted)?;
    if session.globals.json {
        session.screen.body(&reply.text)?;
        return Ok(Exit::Done);
    }
    let acted: Acted = reply.read()?;
    let look = format!("miner-cli remote status {peer}");
    session.screen.line(&format!("{peer}: {}", acted.sentence(&look)))?;
    Ok(Exit::Done)
}

/// Does one thing on each of `peers`, one line each; in JSON an array with a row each. A single rig's failure is the
/// command's own, with its exit code; one of several makes it 1.
fn each(
    peers: &[String],
    session: &mut Session,
    act: impl Fn(&Client, &str) -> Result<(Reply, String), Failure>,
) -> Ended {
    if peers.is_empty() {
        return Err(Failure::Usage("name at least one rig".to_owned()));
    }
    let client = session.client()?;
    let mut rows = Vec::new();
    let mut failed = false;
    for peer in peers {
        let row = match act(&client, peer) {
            Ok((reply, sentence)) => {
                if !session.globals.json {
                    session.screen.line(&format!("{peer}: {sentence}"))?;
                }
                reply.read::<Value>().unwrap_or(Value::Null)
            }
            Err(Failure::Fault(fault)) if peers.len() > 1 => {
                failed = true;
                session.screen.fault(&format!("{peer}: {fault}"), None);
                json!(fault)
            }
            Err(failure) => return Err(failure),
        };
        let mut row = if row.is_object() { row } else { json!({}) };
        row["peer"] = json!(peer);
        rows.push(row);
    }
    if session.globals.json {
        session.screen.json(&rows)?;
    }
    Ok(if failed { Exit::Failed } else { Exit::Done })
}
