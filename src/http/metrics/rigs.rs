//! Rigs, their miners and their devices. What is unknown has no sample; a rig that is away keeps `miner_cli_rig_up 0`,
//! its state and the time of its last report, and loses everything else.
use std::collections::BTreeSet;

use super::Detail;
use super::page::{Kind, Labels, Page};
use crate::model::metrics::RigSnapshot;
use crate::model::stats::{Device, MinerStats, NodeStats};

/// So many miners of a rig and devices of a rig are shown: what one rig says must not swamp whoever stores all of it.
const MINERS: usize = 16;
const DEVICES: usize = 64;

struct Rig<'a> {
    labels: Labels,
    rig: &'a RigSnapshot,
    /// Of a rig that is up.
    report: Option<&'a NodeStats>,
}

struct Miner<'a> {
    labels: Labels,
    miner: &'a MinerStats,
    /// Its reading is young enough to count.
    fresh: bool,
}

struct Card<'a> {
    labels: Labels,
    device: &'a Device,
    /// Its miner's algorithm.
    algorithm: Option<&'a str>,
    fresh: bool,
}

/// Name, help and value of a gauge.
type Gauge<T> = (&'static str, &'static str, fn(&T) -> Option<f64>);

const RIG_GAUGES: [Gauge<NodeStats>; 5] = [
    ("miner_cli_rig_uptime_seconds", "Time since the rig's daemon started.", |r| {
        r.uptime.map(|s| s as f64)
    }),
    ("miner_cli_rig_load1", "Load average of one minute.", |r| r.load),
    ("miner_cli_rig_memory_bytes", "Memory of the rig.", |r| r.memory.map(|m| m.total as f64)),
    ("miner_cli_rig_memory_available_bytes", "Memory of the rig that is free for use.", |r| {
        r.memory.map(|m| m.available as f64)
    }),
    ("miner_cli_rig_cpu_temperature_celsius", "The rig's CPU.", |r| r.temperature),
];

const MINER_GAUGES: [Gauge<MinerStats>; 8] = [
    ("miner_difficulty", "Difficulty of the present job.", |m| m.difficulty),
    ("miner_pool_connected", "1 while the pool is connected.", |m| {
        m.pool.connected.map(|c| f64::from(u8::from(c)))
    }),
    ("miner_pool_ping_seconds", "Time of a message to the pool and back.", |m| {
        m.pool.ping_ms.map(|ms| ms / 1000.0)
    }),
    ("miner_uptime_seconds", "Time since this run of the miner started.", |m| {
        m.uptime.map(|s| s as f64)
    }),
    ("miner_threads", "Threads that hash.", |m| m.threads.map(f64::from)),
    ("miner_huge_pages_used", "Huge pages in use.", |m| m.huge_pages.map(|h| h.used as f64)),
    ("miner_power_watts", "Power of the whole miner.", |m| m.power),
    ("miner_last_share_timestamp_seconds", "When its last share was accepted.", |m| {
        m.last_share_at.map(|at| at.0 as f64 / 1000.0)
    }),
];

const DEVICE_GAUGES: [Gauge<Device>; 3] = [
    ("miner_device_temperature_celsius", "Temperature of the device.", |d| d.temperature),
    ("miner_device_fan_ratio", "Speed of its fan, 0 to 1.", |d| d.fan.map(|f| f / 100.0)),
    ("miner_device_power_watts", "Power of the device.", |d| d.power),
];

/// How many miners and devices were left out.
pub fn write(page: &mut Page, snapshots: &[RigSnapshot], detail: Detail) -> usize {
    let rigs = named(snapshots);
    rig_families(page, &rigs);
    if detail < Detail::Miners {
        return 0;
    }
    let (mut miners, mut cards, mut left_out) = (Vec::new(), Vec::new(), 0);
    for rig in &rigs {
        let Some(report) = rig.report else { continue };
        let first = miners.len();
        left_out += add_miners(&mut miners, rig, report);
        left_out += add_cards(&mut cards, &miners[first..]);
    }
    miner_families(page, &miners);
    if detail >= Detail::Devices {
        device_families(page, &cards);
    }
    left_out
}

/// A series must not come twice, or the whole page is refused: this node may bear the name of one of its rigs.
fn named(snapshots: &[RigSnapshot]) -> Vec<Rig<'_>> {
    let mut names = BTreeSet::new();
    let rows = snapshots.iter().map(|rig| {
        let labels = if names.insert(&rig.name) {
            Labels::one("rig", &rig.name)
        } else {
            Labels::one("rig", &format!("{} {}", rig.name, rig.id))
        };
        Rig { labels, rig, report: rig.report.as_deref().filter(|_| rig.up) }
    });
    rows.collect()
}

/// A rig that names two miners alike keeps the first.
fn add_miners<'a>(miners: &mut Vec<Miner<'a>>, rig: &Rig<'a>, report: &'a NodeStats) -> usize {
    let (mut names, first) = (BTreeSet::new(), miners.len());
    for miner in report.miners.iter().filter(|m| names.insert(&m.name)).take(MINERS) {
        let labels = rig.labels.and("miner", &miner.name);
        miners.push(Miner { labels, miner, fresh: miner.is_fresh(rig.rig.made, rig.rig.age_ms) });
    }
    report.miners.len() - (miners.len() - first)
}

fn add_cards<'a>(cards: &mut Vec<Card<'a>>, miners: &[Miner<'a>]) -> usize {
    let (first, mut all) = (cards.len(), 0);
    for Miner { labels, miner, fresh } in miners {
        all += miner.devices.len();
        let mut numbers = BTreeSet::new();
        let room = DEVICES - (cards.len() - first);
        for device in miner.devices.iter().filter(|d| numbers.insert(d.index)).take(room) {
            cards.push(Card {
                labels: labels.and("device", &device.index.to_string()),
                device,
                algorithm: miner.algorithm.as_deref(),
                fresh: *fresh,
            });
        }
    }
    all - (cards.len() - first)
}

fn rig_families(page: &mut Page, rigs: &[Rig<'_>]) {
    let mut family = page.family(
        Kind::Gauge,
        "miner_cli_rig_up",
        "1 while the rig is linked and reports; 0 from 30 s after its last report.",
    );
    rigs.iter().for_each(|r| family.sample(&r.labels, Some(f64::from(u8::from(r.rig.up)))));
    let mut family =
        page.family(Kind::Gauge, "miner_cli_rig_state", "1 for the state that the rig is in.");
    rigs.iter().for_each(|r| family.sample(&r.labels.and("state", r.rig.state.text()), Some(1.0)));
    let mut family =
        page.family(Kind::Info, "miner_cli_rig", "The rig's id, version and labels (label_…).");
    rigs.iter().for_each(|r| family.sample(&about(r), Some(1.0)));
    let mut family = page.family(
        Kind::Gauge,
        "miner_cli_rig_last_report_timestamp_seconds",
        "When the rig last reported, by the clock here.",
    );
    for r in rigs {
        family.sample(&r.labels, r.rig.reported_at.map(|at| at.0 as f64 / 1000.0));
    }
    let mut family =
        page.family(Kind::Gauge, "miner_cli_rig_ping_seconds", "A message to the rig and back.");
    rigs.iter().for_each(|r| family.sample(&r.labels, r.rig.ping_ms.map(|ms| ms / 1000.0)));
    let mut family =
        page.family(Kind::Gauge, "miner_cli_rig_score", "How reliably the rig is there, 0 to 100.");
    rigs.iter().for_each(|r| family.sample(&r.labels, r.rig.score.map(f64::from)));
    for (name, help, value) in RIG_GAUGES {
        let mut family = page.family(Kind::Gauge, name, help);
        rigs.iter().for_each(|r| family.sample(&r.labels, r.report.and_then(value)));
    }
}

fn about(rig: &Rig<'_>) -> Labels {
    let id = rig.rig.id.to_string();
    let mut labels = rig.labels.and("id", &id);
    if let Some(version) = &rig.rig.version {
        labels = labels.and("version", version);
    }
    // Dots and dashes may stand in a key of ours and not in a name of theirs: of two that become one the first stays.
    let mut keys = BTreeSet::new();
    for (key, value) in &rig.rig.labels {
        let key = key.replace(['.', '-'], "_");
        if keys.insert(key.clone()) {
            labels = labels.and(&format!("label_{key}"), value);
        }
    }
    labels
}

fn miner_families(page: &mut Page, miners: &[Miner<'_>]) {
    let mut family = page.family(
        Kind::Gauge,
        "miner_hashrate_hashes_per_second",
        "Hashrate, as the miner says; no sample where the last reading is older than 25 s.",
    );
    for m in miners.iter().filter(|m| m.fresh) {
        family
            .sample(&with_algorithm(&m.labels, m.miner.algorithm.as_deref()), m.miner.hashrate.now);
    }
    let mut family =
        page.family(Kind::Gauge, "miner_state", "1 for the state that the miner is in.");
    for m in miners {
        family.sample(&m.labels.and("state", m.miner.state.text()), Some(1.0));
    }
    let mut family = page.family(
        Kind::Info,
        "miner",
        "Program, profile and pool of the miner; simulated=\"true\" is no real hashing.",
    );
    for Miner { labels, miner, .. } in miners {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let labels = labels
            .and("type", &miner.miner_type)
            .and("version", &text(&miner.version))
            .and("profile", &text(&miner.profile_id))
            .and("pool", &text(&miner.pool.url))
            .and("simulated", if miner.simulated { "true" } else { "false" });
        family.sample(&labels, Some(1.0));
    }
    let mut family = page.family(
        Kind::Counter,
        "miner_shares",
        "Shares of this run of the miner, by what became of them.",
    );
    for Miner { labels, miner, .. } in miners {
        for (result, count) in [
            ("accepted", miner.accepted),
            ("rejected", miner.rejected),
            ("stale", miner.stale),
            ("invalid", miner.invalid),
        ] {
            family.sample(&labels.and("result", result), count.map(|n| n as f64));
        }
    }
    let mut family =
        page.family(Kind::Counter, "miner_restarts", "Times that it was started again by itself.");
    miners.iter().for_each(|m| family.sample(&m.labels, Some(m.miner.restarts as f64)));
    for (name, help, value) in MINER_GAUGES {
        let mut family = page.family(Kind::Gauge, name, help);
        miners.iter().for_each(|m| family.sample(&m.labels, value(m.miner)));
    }
}

fn device_families(page: &mut Page, cards: &[Card<'_>]) {
    let mut family = page.family(
        Kind::Gauge,
        "miner_device_hashrate_hashes_per_second",
        "Hashrate of a GPU, or of the CPU's threads.",
    );
    for card in cards.iter().filter(|card| card.fresh) {
        family.sample(&with_algorithm(&card.labels, card.algorithm), card.device.hashrate);
    }
    let mut family = page.family(Kind::Info, "miner_device", "The name of the device.");
    for card in cards {
        if let Some(name) = &card.device.name {
            family.sample(&card.labels.and("name", name), Some(1.0));
        }
    }
    for (name, help, value) in DEVICE_GAUGES {
        let mut family = page.family(Kind::Gauge, name, help);
        cards.iter().for_each(|card| family.sample(&card.labels, value(card.device)));
    }
}

fn with_algorithm(labels: &Labels, algorithm: Option<&str>) -> Labels {
    labels.and("algorithm", algorithm.unwrap_or_default())
}

#[cfg(test)]
#[path = "rigs_tests.rs"]
mod tests;
