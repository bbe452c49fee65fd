//! `remote status`: the rigs, or one of them. Hashrates of different algorithms are never added together.
use std::collections::BTreeMap;

use super::client::segment;
use super::exit::{Exit, Failure};
use super::table::{Align, Cell, Table};
use super::{Ended, Session, units};
use crate::model::fault::Code;
use crate::model::peer::PeerView;
use crate::model::stats::{MinerStats, NodeStats, RigState, Totals};
use crate::model::time::Timestamp;
use crate::sys::clock;

/// Every rig, one line each, and the totals.
pub fn all(session: &mut Session) -> Ended {
    let client = session.client()?;
    let reply = client.get("/remote/stats")?;
    if session.globals.json {
        session.screen.body(&reply.text)?;
        return Ok(Exit::Done);
    }
    let by_peer: BTreeMap<String, NodeStats> = reply.read()?;
    let mut rigs: Vec<NodeStats> = by_peer.into_values().collect();
    rigs.sort_by(|a, b| (&a.node_name, a.node_id).cmp(&(&b.node_name, b.node_id)));
    if rigs.is_empty() {
        session.screen.line("No rigs yet: miner-cli node invite, or miner-cli peer add")?;
        return Ok(Exit::Done);
    }
    session.screen.table(&rig_table(&rigs, clock::wall()))?;
    let totals: Totals = client.get("/remote/totals")?.read()?;
    session.screen.line("")?;
    for line in total_lines(&totals) {
        session.screen.line(&line)?;
    }
    Ok(Exit::Done)
}

fn rig_table(rigs: &[NodeStats], now: Timestamp) -> Table {
    let mut table = Table::new(&[
        ("RIG", Align::Left),
        ("STATE", Align::Left),
        ("HASHRATE", Align::Right),
        ("ACCEPTED", Align::Right),
        ("REJECTED", Align::Right),
        ("MINERS", Align::Right),
        ("AS OF", Align::Right),
    ]);
    for rig in rigs {
        // The last figures of a rig that cannot be reached say nothing about now.
        let current = rig.state != RigState::Unreachable;
        let rates = if current { rates(&rig.miners) } else { units::NONE.to_owned() };
        let as_of = rig.as_of.map_or_else(|| "never".to_owned(), |at| units::ago(Some(at), now));
        table.row([
            rig.node_name.as_str().into(),
            Cell::state(rig.state.text()),
            rates.into(),
            units::count(sum(&rig.miners, |m| m.accepted)).into(),
            units::count(sum(&rig.miners, |m| m.rejected)).into(),
            running(&rig.miners).into(),
            as_of.into(),
        ]);
    }
    table
}

/// `12.50 kH/s rx/0, 30.10 MH/s kawpow`: what is known now, by algorithm.
fn rates(miners: &[MinerStats]) -> String {
    let mut by_algorithm: BTreeMap<&str, f64> = BTreeMap::new();
    for miner in miners {
        if let Some(rate) = miner.hashrate.now {
            *by_algorithm.entry(miner.algorithm.as_deref().unwrap_or("?")).or_default() += rate;
        }
    }
    if by_algorithm.is_empty() {
        return units::NONE.to_owned();
    }
    let parts =
        by_algorithm.iter().map(|(name, rate)| format!("{} {name}", units::hashrate(Some(*rate))));
    parts.collect::<Vec<_>>().join(", ")
}

/// `1/3`: how many miners have a process, of those that the rig tells of.
fn running(miners: &[MinerStats]) -> String {
    format!("{}/{}", miners.iter().filter(|miner| miner.state.runs()).count(), miners.len())
}

/// The sum of what is known; `None` when nothing is.
fn sum(miners: &[MinerStats], of: impl Fn(&MinerStats) -> Option<u64>) -> Option<u64> {
    miners.iter().filter_map(of).reduce(u64::saturating_add)
}

fn total_lines(totals: &Totals) -> Vec<String> {
    let mut lines = Vec::new();
    for total in &totals.algorithms {
        let simulated = match total.simulated {
            0 => String::new(),
            n if n == total.miners => " (simulated)".to_owned(),
            n => format!(" ({n} of {} miners simulated)", total.miners),
        };
        lines.push(format!(
            "{}: {}{simulated} from {} and {}",
            total.algorithm,
            units::hashrate(Some(total.hashrate)),
            plural(total.miners, "miner"),
            plural(total.rigs, "rig")
        ));
    }
    let rigs = totals.rigs;
    let states: Vec<String> = [
        (rigs.hashing, "hashing"),
        (rigs.degraded, "degraded"),
        (rigs.not_hashing, "not hashing"),
        (rigs.crash_loop, "in a crash loop"),
        (rigs.idle, "idle"),
        (rigs.unreachable, "unreachable"),
        (rigs.awaiting_approval, "awaiting approval"),
    ]
    .into_iter()
    .filter(|(n, _)| *n > 0)
    .map(|(n, word)| format!("{n} {word}"))
    .collect();
    let states = if states.is_empty() { String::new() } else { format!(": {}", states.join(", ")) };
    lines.push(format!("{}{states}", plural(rigs.total, "rig")));
    let all = totals.accepted.saturating_add(totals.rejected);
    let share = units::percent(totals.rejected, all);
    lines.push(format!(
        "shares: {} accepted, {} rejected ({share})",
        totals.accepted, totals.rejected
    ));
    lines
}

/// `1 rig`, `2 rigs`.
#[must_use]
pub fn plural(n: usize, word: &str) -> String {
    format!("{n} {word}{}", if n == 1 { "" } else { "s" })
}

/// One rig with its miners. Of one that cannot be reached the last known figures, and exit 5.
pub fn one(peer: &str, session: &mut Session) -> Ended {
    let client = session.client()?;
    let (text, failure) = match client.get(&format!("/remote/{}/stats", segment(peer))) {
        Ok(reply) => (reply.text, None),
        Err(Failure::Fault(fault))
            if matches!(fault.code, Code::PeerUnreachable | Code::Timeout) =>
        {
            let id = client.get(&format!("/peers/{}", segment(peer)))?.read::<PeerView>()?.id;
            let mut known: BTreeMap<String, serde_json::Value> =
                client.get("/remote/stats")?.read()?;
            match known.remove(&id.to_string()) {
                Some(stats) => (stats.to_string(), Some(fault)),
                None => return Err(fault.into()),
            }
        }
        Err(failure) => return Err(failure),
    };
    let stats: NodeStats = serde_json::from_str(&text)
        .map_err(|e| Failure::own(format!("the daemon's answer is not understood: {e}")))?;
    if session.globals.json {
        session.screen.body(&text)?;
    } else {
        node_lines(&stats, failure.is_some(), session)?;
    }
    match failure {
        Some(fault) => Err(fault.into()),
        None if stats.state == RigState::Unreachable => Ok(Exit::Unreachable),
        None => Ok(Exit::Done),
    }
}

fn node_lines(stats: &NodeStats, silent: bool, session: &mut Session) -> Result<(), Failure> {
    let now = clock::wall();
    let reached = !silent && stats.state != RigState::Unreachable;
    let as_of = match (stats.as_of, stats.unreachable_since) {
        (None, _) => "no report yet".to_owned(),
        (at, _) if reached => format!("as of {}", units::ago(at, now)),
        (Some(at), Some(since)) => format!("as of {at} (unreachable since {since})"),
        (Some(at), None) => format!("as of {at} (it does not answer)"),
    };
    session.screen.line(&format!("{}: {}, {as_of}", stats.node_name, stats.state.text()))?;
    let memory = stats.memory.map_or_else(
        || units::NONE.to_owned(),
        |m| format!("{} of {} free", units::bytes(m.available), units::bytes(m.total)),
    );
    session.screen.line(&format!(
        "version {}, up {}, load {}, memory {memory}, CPU {}",
        stats.version.as_deref().unwrap_or(units::NONE),
        units::duration(stats.uptime),
        stats.load.map_or_else(|| units::NONE.to_owned(), |load| format!("{load:.2}")),
        units::measure(stats.temperature, "°C"),
    ))?;
    if stats.miners.is_empty() {
        return session.screen.line("No miners.");
    }
    miner_lines(&stats.miners, now, session)
}

/// The miners as a table; below it their reasons and, where there are several or they tell of themselves, the devices.
pub fn miner_lines(
    miners: &[MinerStats],
    now: Timestamp,
    session: &mut Session,
) -> Result<(), Failure> {
    session.screen.table(&miner_table(miners, now))?;
    for miner in miners {
        if let Some(reason) = &miner.reason {
            session.screen.line(&format!("{}: {reason}", miner.name))?;
        }
    }
    let mut table = Table::new(&[
        ("MINER", Align::Left),
        ("DEVICE", Align::Right),
        ("NAME", Align::Left),
        ("HASHRATE", Align::Right),
        ("TEMP", Align::Right),
        ("FAN", Align::Right),
        ("POWER", Align::Right),
    ]);
    let mut any = false;
    for miner in
        miners.iter().filter(|m| m.devices.len() > 1 || m.devices.iter().any(|d| d.name.is_some()))
    {
        for device in &miner.devices {
            any = true;
            table.row([
                miner.name.as_str().into(),
                device.index.to_string().into(),
                device.name.as_deref().unwrap_or(units::NONE).into(),
                units::hashrate(device.hashrate).into(),
                units::measure(device.temperature, "°C").into(),
                units::measure(device.fan, "%").into(),
                units::measure(device.power, "W").into(),
            ]);
        }
    }
    if any {
        session.screen.line("")?;
        session.screen.table(&table)?;
    }
    Ok(())
}

fn miner_table(miners: &[MinerStats], now: Timestamp) -> Table {
    let mut table = Table::new(&[
        ("MINER", Align::Left),
        ("STATE", Align::Left),
        ("ALGORITHM", Align::Left),
        ("NOW", Align::Right),
        ("1 MIN", Align::Right),
        ("15 MIN", Align::Right),
        ("ACCEPTED", Align::Right),
        ("REJECTED", Align::Right),
        ("LAST SHARE", Align::Right),
        ("POOL", Align::Left),
        ("UPTIME", Align::Right),
        ("RESTARTS", Align::Right),
    ]);
    for miner in miners {
        let mut algorithm = miner.algorithm.clone().unwrap_or_else(|| units::NONE.to_owned());
        if miner.simulated {
            algorithm.push_str(" (simulated)");
        }
        table.row([
            miner.name.as_str().into(),
            Cell::state(miner.state.text()),
            algorithm.into(),
            units::hashrate(miner.hashrate.now).into(),
            units::hashrate(miner.hashrate.minute).into(),
            units::hashrate(miner.hashrate.quarter).into(),
            units::count(miner.accepted).into(),
            units::count(miner.rejected).into(),
            units::ago(miner.last_share_at, now).into(),
            miner.pool.url.as_deref().unwrap_or(units::NONE).into(),
            units::duration(miner.uptime).into(),
            miner.restarts.to_string().into(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::{rates, sum, total_lines};
    use crate::model::stats::{AlgorithmTotal, Hashrate, MinerStats, RigCounts, Totals};

    fn miner(algorithm: &str, now: Option<f64>) -> MinerStats {
        MinerStats {
            algorithm: Some(algorithm.to_owned()),
            hashrate: Hashrate { now, ..Hashrate::default() },
            ..MinerStats::default()
        }
    }

    #[test]
    fn algorithms_are_never_added_together() {
        let miners = [
            miner("rx/0", Some(1000.0)),
            miner("kawpow", Some(3e7)),
            miner("rx/0", Some(500.0)),
            miner("ghostrider", None),
        ];
        assert_eq!(rates(&miners), "30.00 MH/s kawpow, 1.50 kH/s rx/0");
        assert_eq!(rates(&miners[3..]), "-");
    }

    #[test]
    fn unknown_counts_stay_unknown() {
        let known = MinerStats { accepted: Some(3), ..MinerStats::default() };
        assert_eq!(sum(&[known, MinerStats::default()], |m| m.accepted), Some(3));
        assert_eq!(sum(&[MinerStats::default()], |m| m.accepted), None);
    }

    #[test]
    fn totals_say_what_is_simulated() {
        let line = |miners, simulated| {
            let algorithm = "rx/0".to_owned();
            let one = AlgorithmTotal {
                algorithm,
                hashrate: 25_000.0,
                rigs: 1,
                miners,
                simulated,
                effective: None,
            };
            total_lines(&Totals { algorithms: vec![one], ..Totals::default() }).remove(0)
        };
        assert_eq!(line(2, 2), "rx/0: 25.00 kH/s (simulated) from 2 miners and 1 rig");
        assert_eq!(
            line(2, 1),
            "rx/0: 25.00 kH/s (1 of 2 miners simulated) from 2 miners and 1 rig"
        );
        assert_eq!(line(1, 0), "rx/0: 25.00 kH/s from 1 miner and 1 rig");
        let rigs = RigCounts { total: 3, hashing: 2, unreachable: 1, ..RigCounts::default() };
        let lines = total_lines(&Totals { rigs, accepted: 39, rejected: 1, ..Totals::default() });
        assert_eq!(
            lines,
            ["3 rigs: 2 hashing, 1 unreachable", "shares: 39 accepted, 1 rejected (2.5 %)"]
        );
    }
}
