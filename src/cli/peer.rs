//! `peer …`: other nodes, registered or waiting.
use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

use super::args::{PeerAdd, PeerLabel, PeerPing, PeerVerb};
use super::client::{self, Reply, segment};
use super::exit::{Exit, Failure};
use super::table::{Align, Cell, Table};
use super::{Ended, Session, units};
use crate::model::labels::{self, Labels};
use crate::model::node::NodeInfo;
use crate::model::peer::{PeerState, PeerView};
use crate::sys::clock;

pub fn run(verb: PeerVerb, session: &mut Session) -> Ended {
    match verb {
        PeerVerb::Add(add) => self::add(&add, session),
        PeerVerb::List(_) => list(session),
        PeerVerb::Approve(approve) => self::approve(&approve.id, session),
        PeerVerb::Reject(reject) => {
            let path = format!("/peers/{}/reject", segment(&reject.id));
            let reply = session.client()?.ask("POST", &path, None)?;
            told(&reply, &format!("{} is rejected.", reject.id), session)
        }
        PeerVerb::Remove(remove) => {
            let path = format!("/peers/{}", segment(&remove.peer));
            let reply = session.client()?.ask("DELETE", &path, None)?;
            told(&reply, &format!("{} is removed.", remove.peer), session)
        }
        PeerVerb::Ping(ping) => self::ping(&ping, session),
        PeerVerb::Label(wanted) => label(&wanted, session),
    }
}

/// The daemon's answer as JSON, or else `sentence`.
pub fn told(reply: &Reply, sentence: &str, session: &mut Session) -> Ended {
    if session.globals.json {
        session.screen.body(&reply.text)?;
    } else {
        session.screen.line(sentence)?;
    }
    Ok(Exit::Done)
}

/// The word for a peer's state.
pub fn state_word(state: PeerState) -> &'static str {
    match state {
        PeerState::PairingRequest => "pairing-request",
        PeerState::AwaitingApproval => "awaiting-approval",
        PeerState::Connected => "connected",
        PeerState::Rig(state) => state.text(),
    }
}

pub fn card_lines(peer: &PeerView, session: &mut Session) -> Result<(), Failure> {
    for (what, value) in [
        ("name", peer.name.clone()),
        ("id", peer.id.to_string()),
        ("address", peer.address.clone().unwrap_or_else(|| units::NONE.to_owned())),
        ("fingerprint", peer.fingerprint.clone().unwrap_or_else(|| units::NONE.to_owned())),
        ("state", state_word(peer.state).to_owned()),
    ] {
        session.screen.line(&format!("{what:<12} {value}"))?;
    }
    if let Some(reason) = &peer.reason {
        session.screen.line(&format!("{:<12} {reason}", "reason"))?;
    }
    Ok(())
}

fn add(add: &PeerAdd, session: &mut Session) -> Ended {
    let mut wanted = json!({"address": add.address, "name": add.name});
    trust(&mut wanted, add.tls_ca.as_deref(), add.tls_pin.as_deref())?;
    if let Some(invite) = &add.invite {
        wanted["invite"] = json!(invite);
    }
    if let Some(key) = &add.key {
        wanted["publicKey"] = json!(key);
    }
    let client = session.client()?;
    let reply = client.ask("POST", "/peers", Some(&wanted))?;
    if session.globals.json {
        session.screen.body(&reply.text)?;
        return Ok(Exit::Done);
    }
    let added: PeerView = reply.read()?;
    session.screen.line(&format!("Added {}.", added.name))?;
    card_lines(&added, session)?;
    if added.state == PeerState::AwaitingApproval {
        let info: NodeInfo = client.get("/node/info")?.read()?;
        let id = info.identity.map_or_else(|| "OURID".to_owned(), |card| card.id.to_string());
        session.screen.line("")?;
        session
            .screen
            .line("`miner-cli node info` on the other node must print the same fingerprint.")?;
        session.screen.line("It connects once it is approved there. On the other node type:")?;
        session.screen.line(&format!("  miner-cli peer approve {id}"))?;
    }
    Ok(Exit::Done)
}

/// Puts what is to be believed of a certificate into a request. The daemon gets the text of the file: it may run as
/// another user, who cannot read it, and the file may go.
pub fn trust(wanted: &mut Value, ca: Option<&Path>, pin: Option<&str>) -> Result<(), Failure> {
    if let Some(file) = ca {
        wanted["tlsCa"] = json!(client::read_certificates(file)?);
    }
    if let Some(pin) = pin {
        wanted["tlsPin"] = json!(pin);
    }
    Ok(())
}

fn approve(id: &str, session: &mut Session) -> Ended {
    let reply = session.client()?.ask("POST", &format!("/peers/{}/approve", segment(id)), None)?;
    if session.globals.json {
        session.screen.body(&reply.text)?;
        return Ok(Exit::Done);
    }
    let approved: PeerView = reply.read()?;
    session.screen.line(&format!("Approved {}.", approved.name))?;
    card_lines(&approved, session)?;
    Ok(Exit::Done)
}

fn list(session: &mut Session) -> Ended {
    let reply = session.client()?.get("/peers")?;
    if session.globals.json {
        session.screen.body(&reply.text)?;
        return Ok(Exit::Done);
    }
    let mut peers: Vec<PeerView> = reply.read()?;
    peers.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
    if peers.is_empty() {
        session.screen.line("No peers yet: miner-cli node invite, or miner-cli peer add")?;
        return Ok(Exit::Done);
    }
    session.screen.table(&table(&peers))?;
    if peers.iter().any(|peer| peer.state == PeerState::PairingRequest) {
        session.screen.note("hint: let a pairing request in with: miner-cli peer approve ID");
    }
    Ok(Exit::Done)
}

fn table(peers: &[PeerView]) -> Table {
    let now = clock::wall();
    let mut table = Table::new(&[
        ("ID", Align::Left),
        ("NAME", Align::Left),
        ("ROLE", Align::Left),
        ("STATE", Align::Left),
        ("ADDRESS", Align::Left),
        ("PING", Align::Right),
        ("SCORE", Align::Right),
        ("LAST SEEN", Align::Right),
        ("LABELS", Align::Left),
        ("REASON", Align::Left),
    ]);
    for peer in peers {
        let seen =
            peer.last_seen.map_or_else(|| "never".to_owned(), |at| units::ago(Some(at), now));
        table.row([
            peer.id.to_string().into(),
            peer.name.as_str().into(),
            peer.role.map_or(units::NONE, |role| role.text()).into(),
            Cell::state(state_word(peer.state)),
            peer.address.as_deref().unwrap_or(units::NONE).into(),
            units::measure(peer.ping_ms, "ms").into(),
            units::count(peer.score.map(u64::from)).into(),
            seen.into(),
            labels::text(&peer.labels).into(),
            peer.reason.as_deref().unwrap_or_default().into(),
        ]);
    }
    table
}

/// Changes the labels of a peer, and prints those that it has then.
fn label(wanted: &PeerLabel, session: &mut Session) -> Ended {
    let change = |set: &mut Labels| -> Result<(), Failure> {
        let mut all = wanted.changes.iter();
        all.try_for_each(|typed| labels::change(set, typed)).map_err(Failure::Usage)
    };
    // What is wrong with them is said before anybody is asked.
    change(&mut Labels::new())?;
    let client = session.client()?;
    let mut peer: PeerView = client.get(&format!("/peers/{}", segment(&wanted.peer)))?.read()?;
    if !wanted.changes.is_empty() {
        change(&mut peer.labels)?;
        let path = format!("/peers/{}/labels", peer.id);
        peer = client.ask("PUT", &path, Some(&json!(peer.labels)))?.read()?;
    }
    if session.globals.json {
        session.screen.json(&peer.labels)?;
    } else {
        let text = labels::text(&peer.labels);
        let text = if text.is_empty() { "no labels" } else { &text };
        session.screen.line(&format!("{}: {text}", peer.name))?;
    }
    Ok(Exit::Done)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Pong {
    ping_ms: f64,
}

fn ping(ping: &PeerPing, session: &mut Session) -> Ended {
    if ping.count == 0 {
        return Err(Failure::Usage("--count is at least 1".to_owned()));
    }
    let client = session.client()?;
    let path = format!("/peers/{}/ping", segment(&ping.peer));
    let mut times: Vec<Option<f64>> = Vec::new();
    for n in 1..=ping.count {
        let line = match client.ask("POST", &path, None) {
            Ok(reply) => {
                let ms = reply.read::<Pong>()?.ping_ms;
                times.push(Some(ms));
                format!("{n}: {ms:.2} ms")
            }
            Err(failure) if failure.exit() == Exit::Unreachable => {
                times.push(None);
                let Failure::Fault(fault) = &failure else { return Err(failure) };
                format!("{n}: lost ({fault})")
            }
            Err(failure) => return Err(failure),
        };
        if !session.globals.json {
            session.screen.line(&line)?;
        }
    }
    ping_summary(&ping.peer, &times, session)
}

fn ping_summary(peer: &str, times: &[Option<f64>], session: &mut Session) -> Ended {
    let answered: Vec<f64> = times.iter().copied().flatten().collect();
    let lost = times.len() - answered.len();
    let figures = (!answered.is_empty()).then(|| {
        let least = answered.iter().copied().fold(f64::INFINITY, f64::min);
        let most = answered.iter().copied().fold(0.0, f64::max);
        (least, answered.iter().sum::<f64>() / answered.len() as f64, most)
    });
    if session.globals.json {
        let (least, average, most) = match figures {
            Some((least, average, most)) => (json!(least), json!(average), json!(most)),
            None => (Value::Null, Value::Null, Value::Null),
        };
        session.screen.json(&json!({
            "peer": peer, "pingMs": times, "sent": times.len(), "lost": lost,
            "min": least, "avg": average, "max": most,
        }))?;
    } else {
        let sent = times.len();
        let figures = figures.map_or_else(String::new, |(least, average, most)| {
            format!(", min/avg/max {least:.2}/{average:.2}/{most:.2} ms")
        });
        session.screen.line(&format!("{sent} sent, {lost} lost{figures}"))?;
    }
    Ok(if answered.is_empty() { Exit::Unreachable } else { Exit::Done })
}
