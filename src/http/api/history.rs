//! `/history`: what was, out of mining.db, which is read beside the history thread; nothing here can write.
use std::path::PathBuf;
use std::time::Duration;

use crate::bus::{self, Reply, Request};
use crate::http::answer::{Answer, Extra};
use crate::http::asked::Asked;
use crate::model::fault::{Code, Fault};
use crate::model::history::{HOURS_KEPT_MS, HistoryStatus, MinerSummary, Window};
use crate::model::key::NodeId;
use crate::model::time::Timestamp;
use crate::store::query::history as query;
use crate::sys::clock;

/// How long a request waits for the newest readings to be written.
const FLUSH: Duration = Duration::from_secs(1);
const POINTS: std::ops::RangeInclusive<usize> = 2..=2000;
/// Where nothing else is wanted.
const USUAL_POINTS: usize = 300;
const USUAL_SPAN: &str = "24h";

pub fn status(asked: &Asked<'_>) -> Result<Answer, Fault> {
    flushed(asked).map(|status| Answer::json(200, &status))
}

pub fn totals(asked: &Asked<'_>) -> Result<Answer, Fault> {
    let (window, node) = (window(asked)?, node(asked)?);
    let file = file(asked)?;
    let chart = query::totals(&file, node, asked.value("algorithm"), window)?;
    Ok(Answer::json(200, &chart))
}

pub fn miners(asked: &Asked<'_>) -> Result<Answer, Fault> {
    let (window, node) = (window(asked)?, node(asked)?);
    let file = file(asked)?;
    Ok(Answer::json(200, &named(asked, query::miners(&file, node, window)?)?))
}

/// A miner that changed its algorithm is shown with the last one.
pub fn miner(asked: &Asked<'_>) -> Result<Answer, Fault> {
    let (name, window, node) = (asked.param("name"), window(asked)?, node_or_own(asked)?);
    let file = file(asked)?;
    let mut rows = query::miners(&file, Some(node), window)?;
    rows.retain(|row| row.miner_name == name);
    let row = rows.into_iter().max_by_key(|row| row.last_seen).ok_or_else(|| unknown(&name))?;
    Ok(Answer::json(200, &named(asked, vec![row])?[0]))
}

pub fn hashrate(asked: &Asked<'_>) -> Result<Answer, Fault> {
    let (name, window, node) = (asked.param("name"), window(asked)?, node_or_own(asked)?);
    let file = file(asked)?;
    let chart = query::miner(&file, node, &name, window)?;
    if chart.points.is_empty() {
        return Err(unknown(&name));
    }
    Ok(Answer::json(200, &chart.points).with(Extra::Resolution(chart.resolution)))
}

fn unknown(name: &str) -> Fault {
    Fault::new(Code::MinerNotFound, format!("there is no history of a miner {name:?} in that time"))
        .hint("`GET /history/miners` shows what there is; `?peer=` names the rig that it ran on")
}

/// mining.db, with the newest readings in it.
fn file(asked: &Asked<'_>) -> Result<PathBuf, Fault> {
    let path = asked.shared.context.mining_db.clone().ok_or_else(|| {
        Fault::new(Code::Conflict, "this node keeps no history")
            .hint("enabled = true under [history] in config.toml, then restart the daemon")
    })?;
    flushed(asked)?;
    Ok(path)
}

/// Waits for what is to be written. A disk that is slow makes an answer older, not later.
fn flushed(asked: &Asked<'_>) -> Result<HistoryStatus, Fault> {
    let (reply, written) = bus::reply_channel();
    let known = match asked.call(Request::FlushHistory { reply })? {
        Reply::HistoryStatus(known) => known,
        _ => HistoryStatus::default(),
    };
    let file = asked.shared.context.mining_db.as_deref();
    let bytes = file.map_or(0, query::file_bytes);
    let status = written.recv_timeout(FLUSH).unwrap_or(HistoryStatus {
        database_bytes: bytes,
        dropped_samples: 0,
        ..known
    });
    let dropped_samples = status.dropped_samples + known.dropped_samples;
    Ok(HistoryStatus { dropped_samples, ..status })
}

// ---- what was asked for ----

fn window(asked: &Asked<'_>) -> Result<Window, Fault> {
    let now = clock::wall();
    let since = moment("since", asked.value("since").unwrap_or(USUAL_SPAN), now)?;
    let until = asked.value("until").map_or(Ok(now), |text| moment("until", text, now))?;
    if since >= until {
        let why = format!("since must be before until, and {since} is not before {until}");
        return Err(Fault::new(Code::Invalid, why));
    }
    let points = match asked.value("points").map(str::parse) {
        None => USUAL_POINTS,
        Some(Ok(points)) if POINTS.contains(&points) => points,
        Some(_) => {
            let why =
                format!("points must be a number from {} to {}", POINTS.start(), POINTS.end());
            return Err(Fault::new(Code::Invalid, why));
        }
    };
    let second = |at: Timestamp| at.0.div_euclid(1000);
    // Nothing older is kept.
    let oldest = now.plus_ms(-HOURS_KEPT_MS);
    let (since, until) = (second(since.max(oldest)), second(until.max(oldest)));
    Ok(Window { since, until: until.max(since + 1), now: second(now), points })
}

/// A time, or how long ago.
fn moment(name: &str, text: &str, now: Timestamp) -> Result<Timestamp, Fault> {
    if let Ok(span) = humantime::parse_duration(text) {
        return Ok(now.plus_ms(-i64::try_from(span.as_millis()).unwrap_or(i64::MAX)));
    }
    timestamp(text).ok_or_else(|| {
        let why = format!(
            "{name}: {text:?} is neither a time like 2026-11-22T14:00:00Z nor a span like 24h or 30d"
        );
        Fault::new(Code::Invalid, why)
    })
}

/// RFC 3339, also with an offset from UTC. Its `+` means a space in an address where nobody escaped it.
fn timestamp(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(at) = text.parse() {
        return Some(at);
    }
    let (local, offset) = text.split_at_checked(text.len().checked_sub(6)?)?;
    let (sign, rest) = (offset.get(..1)?, offset.get(1..)?);
    let (hours, minutes) = rest.split_once(':')?;
    let digits =
        |text: &str| text.parse().ok().filter(|_| text.bytes().all(|b| b.is_ascii_digit()));
    let (hours, minutes): (i64, i64) = (digits(hours)?, digits(minutes)?);
    if hours > 23 || minutes > 59 {
        return None;
    }
    let ahead = (hours * 60 + minutes) * 60_000;
    let at: Timestamp = format!("{local}Z").parse().ok()?;
    match sign {
        "+" | " " => Some(at.plus_ms(-ahead)),
        "-" => Some(at.plus_ms(ahead)),
        _ => None,
    }
}

/// The node that `?peer=` names: a peer, or this node itself.
fn node(asked: &Asked<'_>) -> Result<Option<NodeId>, Fault> {
    let Some(peer) = asked.value("peer") else { return Ok(None) };
    match asked.call(Request::Peer { peer: peer.to_owned() }) {
        Ok(Reply::Peer(view)) => Ok(Some(view.id)),
        Err(fault) if fault.code == Code::PeerNotFound => {
            let (id, name) = own(asked)?;
            if peer == name || peer == id.to_string() { Ok(Some(id)) } else { Err(fault) }
        }
        Err(fault) => Err(fault),
        Ok(_) => Ok(None),
    }
}

/// The same, and this node where no other is named.
fn node_or_own(asked: &Asked<'_>) -> Result<NodeId, Fault> {
    match node(asked)? {
        Some(node) => Ok(node),
        None => Ok(own(asked)?.0),
    }
}

fn own(asked: &Asked<'_>) -> Result<(NodeId, String), Fault> {
    let identity = match asked.call(Request::NodeInfo)? {
        Reply::NodeInfo(info) => info.identity,
        _ => None,
    };
    identity.map(|card| (card.id, card.name)).ok_or_else(|| {
        Fault::new(Code::Conflict, "this node has no identity yet")
            .hint("miner-cli node init --name NAME")
    })
}

/// The rows with their nodes' names: those of today. One that was removed has none.
fn named(asked: &Asked<'_>, mut rows: Vec<MinerSummary>) -> Result<Vec<MinerSummary>, Fault> {
    let (me, my_name) = own(asked)?;
    let peers = match asked.call(Request::Peers)? {
        Reply::Peers(peers) => peers,
        _ => Vec::new(),
    };
    for row in &mut rows {
        row.peer = if row.peer_id == me {
            Some(my_name.clone())
        } else {
            peers.iter().find(|peer| peer.id == row.peer_id).map(|peer| peer.name.clone())
        };
    }
    rows.sort_by(|a, b| (&a.peer, &a.miner_name).cmp(&(&b.peer, &b.miner_name)));
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::moment;
    use crate::model::time::Timestamp;

    #[test]
    fn a_moment_is_a_time_or_a_span() {
        let now: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
        let at = |text: &str| moment("since", text, now).map(|at| at.to_string()).unwrap();
        assert_eq!(at("24h"), "2026-11-21T12:00:00.000Z");
        assert_eq!(at("1h 30m"), "2026-11-22T10:30:00.000Z");
        assert_eq!(at("2026-11-22T01:02:03Z"), "2026-11-22T01:02:03.000Z");
        assert_eq!(at("2026-11-22T05:30:00+05:30"), "2026-11-22T00:00:00.000Z");
        assert_eq!(at("2026-11-22T05:30:00 05:30"), "2026-11-22T00:00:00.000Z");
        assert_eq!(at("2026-11-21T20:30:00-03:30"), "2026-11-22T00:00:00.000Z");
        for bad in ["", "yesterday", "24", "2026-11-22", "-3h", "2026-11-22T05:30:00+99:00", "é"] {
            let fault = moment("until", bad, now).unwrap_err();
            assert!(fault.message.starts_with("until: "), "{bad}: {}", fault.message);
        }
    }
}
