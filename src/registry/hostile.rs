//! What a peer reports is bounded and cleaned before it is kept: it will be shown to people.
use super::obey::MOST_LINES;
use crate::model::event::{EventKind, EventRecord};
use crate::model::fault::Fault;
use crate::model::name::is_slug;
use crate::model::profile::{DeployCheck, Profile, ProfileConfig};
use crate::model::profile_rules as rules;
use crate::model::stats::{Hashrate, MinerStats, NodeStats};
use crate::model::text::{clean, tidy};

/// The most miners of a rig and devices of a miner that are kept.
const MINERS: usize = 64;
const DEVICES: usize = 64;
/// Lines of output that an event keeps, and their characters.
const EVENT_LINES: usize = 50;
const EVENT_LINE: usize = 160;
/// Characters of a reason, and of a shorter text: algorithm, pool, version, device name.
const SENTENCE: usize = 300;
const WORD: usize = 120;
/// Profiles of a rig, and fields of a profile that would change.
const PROFILES: usize = 1_000;
const CHANGES: usize = 64;

pub fn report(mut stats: NodeStats) -> NodeStats {
    tidy(&mut stats.node_name, crate::model::name::LONGEST);
    word(&mut stats.version);
    number(&mut stats.load);
    temperature(&mut stats.temperature);
    stats.miners.retain(|m| is_slug(&m.name));
    stats.miners.truncate(MINERS);
    stats.miners.iter_mut().for_each(miner);
    // A report is kept until the next one comes: without the room that reading it took.
    stats.miners.shrink_to_fit();
    stats
}

pub fn fault(fault: &Fault) -> Fault {
    Fault {
        message: clean(&fault.message, SENTENCE * 2),
        code: fault.code,
        hint: fault.hint.as_ref().map(|h| clean(h, SENTENCE)),
    }
}

/// What deploying would change, as a rig says it.
pub fn deploy_check(mut check: DeployCheck) -> DeployCheck {
    check.changes.truncate(CHANGES);
    for change in &mut check.changes {
        *change = clean(change, SENTENCE * 2);
    }
    check
}

/// A rig's profiles. One that this node would not take itself is not shown: nothing about it could be trusted.
pub fn profiles(profiles: &[Profile]) -> Vec<Profile> {
    let mut kept: Vec<Profile> = profiles
        .iter()
        .take(PROFILES)
        .map(|p| {
            // The rule about a hidden password is for those who store it.
            let bare = ProfileConfig { password: None, ..p.config.clone() };
            (p, Profile { config: bare, ..p.clone() })
        })
        .filter(|(_, bare)| rules::validate(bare).is_ok())
        .map(|(p, _)| rules::redact(p))
        .collect();
    kept.sort_by(|a, b| a.id.cmp(&b.id));
    kept.dedup_by(|a, b| a.id == b.id);
    kept
}

/// Where and when it happened is the caller's to know.
pub fn event(mut event: EventRecord) -> EventRecord {
    event.text = clean(&event.text, SENTENCE * 2);
    word(&mut event.peer);
    word(&mut event.miner);
    if event.kind == EventKind::CrashLoop {
        event.log = event_log(&event.log);
    } else {
        event.log.clear();
    }
    event
}

/// The last lines of a miner's output that go with an event.
pub fn event_log(lines: &[String]) -> Vec<String> {
    let skip = lines.len().saturating_sub(EVENT_LINES);
    lines.iter().skip(skip).map(|line| clean(line, EVENT_LINE)).collect()
}

/// A line of a miner's output on its way to people: one line, of bounded length. Escape sequences are the business of
/// whoever shows it.
pub fn lines(lines: &mut Vec<String>) {
    lines.truncate(MOST_LINES);
    for line in lines {
        if line.len() > crate::logs::LINE_BYTES {
            *line = line.chars().take(crate::logs::LINE_BYTES / 4).collect();
        }
    }
}

fn miner(m: &mut MinerStats) {
    tidy(&mut m.miner_type, WORD);
    if let Some(reason) = &mut m.reason {
        tidy(reason, SENTENCE);
    }
    for text in [&mut m.profile_id, &mut m.algorithm, &mut m.pool.url, &mut m.version] {
        word(text);
    }
    let Hashrate { now, minute, quarter, highest } = &mut m.hashrate;
    for value in
        [now, minute, quarter, highest, &mut m.difficulty, &mut m.power, &mut m.pool.ping_ms]
    {
        number(value);
    }
    m.devices.truncate(DEVICES);
    m.devices.shrink_to_fit();
    for device in &mut m.devices {
        word(&mut device.name);
        temperature(&mut device.temperature);
        for value in [&mut device.hashrate, &mut device.fan, &mut device.power] {
            number(value);
        }
    }
}

fn word(text: &mut Option<String>) {
    if let Some(text) = text {
        tidy(text, WORD);
    }
}

/// A figure that cannot be is no figure.
fn number(value: &mut Option<f64>) {
    *value = value.filter(|v| v.is_finite() && *v >= 0.0);
}

fn temperature(value: &mut Option<f64>) {
    *value = value.filter(|v| (-60.0..=200.0).contains(v));
}
