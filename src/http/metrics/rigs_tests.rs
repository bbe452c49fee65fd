use std::sync::Arc;

use super::super::page::{Format, Page};
use super::{DEVICES, Detail, MINERS, write};
use crate::model::key::NodeId;
use crate::model::metrics::RigSnapshot;
use crate::model::miner::MinerState;
use crate::model::stats::{Device, Hashrate, MinerStats, NodeStats, RigState};
use crate::model::time::Timestamp;

fn miner(name: &str, devices: u32) -> MinerStats {
    MinerStats {
        name: name.to_owned(),
        miner_type: "xmrig".to_owned(),
        state: MinerState::Hashing,
        algorithm: Some("rx/0".to_owned()),
        hashrate: Hashrate { now: Some(21_398.5), ..Hashrate::default() },
        accepted: Some(7),
        devices: (0..devices)
            .map(|index| Device {
                index,
                hashrate: Some(2.0),
                fan: Some(64.0),
                ..Device::default()
            })
            .collect(),
        as_of: Some(Timestamp(100_000)),
        ..MinerStats::default()
    }
}

fn rig(name: &str, miners: Vec<MinerStats>) -> RigSnapshot {
    let id = NodeId([1; 8]);
    let report = NodeStats {
        as_of: Some(Timestamp(100_000)),
        uptime: Some(60),
        miners,
        ..NodeStats::unknown(id, name.to_owned(), RigState::Hashing)
    };
    RigSnapshot {
        id,
        name: name.to_owned(),
        labels: [("site.a", "x"), ("site-a", "y"), ("gpu", "none")]
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .into(),
        version: Some("0.1.0".to_owned()),
        up: true,
        state: RigState::Hashing,
        ping_ms: Some(0.5),
        score: None,
        made: report.as_of,
        report: Some(Arc::new(report)),
        reported_at: Some(Timestamp(100_500)),
        age_ms: 500,
    }
}

fn lines(rigs: &[RigSnapshot], detail: Detail) -> (Vec<String>, usize) {
    let mut page = Page::new(Format::Prometheus);
    let left_out = write(&mut page, rigs, detail);
    let text = page.finish();
    (text.lines().filter(|l| !l.starts_with('#')).map(str::to_owned).collect(), left_out)
}

fn series(line: &str) -> &str {
    line.rsplit_once(' ').unwrap().0
}

#[test]
fn known_figures_are_there_with_their_units_and_unknown_ones_are_not() {
    let (lines, left_out) = lines(&[rig("alpha", vec![miner("xmrig-1", 1)])], Detail::Devices);
    for wanted in [
        r#"miner_cli_rig_up{rig="alpha"} 1"#,
        r#"miner_cli_rig_state{rig="alpha",state="hashing"} 1"#,
        r#"miner_cli_rig_info{rig="alpha",id="0101010101010101",version="0.1.0",label_gpu="none",label_site_a="y"} 1"#,
        r#"miner_cli_rig_last_report_timestamp_seconds{rig="alpha"} 100.5"#,
        r#"miner_cli_rig_ping_seconds{rig="alpha"} 0.0005"#,
        r#"miner_hashrate_hashes_per_second{rig="alpha",miner="xmrig-1",algorithm="rx/0"} 21398.5"#,
        r#"miner_shares_total{rig="alpha",miner="xmrig-1",result="accepted"} 7"#,
        r#"miner_state{rig="alpha",miner="xmrig-1",state="hashing"} 1"#,
        r#"miner_device_fan_ratio{rig="alpha",miner="xmrig-1",device="0"} 0.64"#,
    ] {
        assert!(lines.iter().any(|l| l == wanted), "{wanted} is missing in {lines:#?}");
    }
    for unknown in ["score", "load1", "rejected", "power_watts", "temperature", "NaN"] {
        assert!(!lines.iter().any(|l| l.contains(unknown)), "{unknown}: {lines:#?}");
    }
    assert_eq!(left_out, 0);
}

#[test]
fn a_rig_that_is_away_keeps_that_it_is_down_and_loses_its_figures() {
    let away = RigSnapshot {
        up: false,
        state: RigState::Unreachable,
        ping_ms: None,
        ..rig("alpha", vec![miner("xmrig-1", 1)])
    };
    let (lines, _) = lines(&[away], Detail::Devices);
    let names: Vec<_> = lines.iter().map(|l| l.split('{').next().unwrap()).collect();
    assert_eq!(
        names,
        [
            "miner_cli_rig_up",
            "miner_cli_rig_state",
            "miner_cli_rig_info",
            "miner_cli_rig_last_report_timestamp_seconds"
        ]
    );
    assert!(lines[0].ends_with(" 0") && lines[1].contains("unreachable"));
}

#[test]
fn an_old_reading_is_no_hashrate_while_its_rig_still_reports() {
    let mut old = miner("xmrig-1", 1);
    old.as_of = Some(Timestamp(100_000 - 24_600));
    let (lines, _) = lines(&[rig("alpha", vec![old])], Detail::Devices);
    assert!(!lines.iter().any(|l| l.contains("hashrate")), "{lines:#?}");
    assert!(lines.iter().any(|l| l.starts_with("miner_shares_total")));
}

#[test]
fn no_rig_can_make_a_series_twice_or_swamp_the_page() {
    let mut twice = miner("xmrig-1", 1);
    twice.devices.push(twice.devices[0].clone());
    let hostile = rig("alpha", vec![twice.clone(), twice]);
    let huge = rig("beta", (0..64).map(|n| miner(&format!("xmrig-{n}"), 64)).collect());
    let (all, left_out) = lines(&[hostile, rig("alpha", vec![]), huge], Detail::Devices);
    let mut seen: Vec<_> = all.iter().map(|l| series(l)).collect();
    seen.sort_unstable();
    let before = seen.len();
    seen.dedup();
    assert_eq!(seen.len(), before, "each series comes once");
    let count = |start: &str| all.iter().filter(|l| l.starts_with(start)).count();
    assert_eq!(count(r#"miner_state{rig="beta""#), MINERS);
    assert_eq!(count(r#"miner_device_hashrate_hashes_per_second{rig="beta""#), DEVICES);
    assert_eq!(left_out, 1 + 1 + 48 + (16 * 64 - 64));
}

#[test]
fn detail_leaves_out_what_lies_below_it() {
    let rigs = [rig("alpha", vec![miner("xmrig-1", 1)])];
    let has = |detail, start: &str| lines(&rigs, detail).0.iter().any(|l| l.starts_with(start));
    assert!(has(Detail::Rigs, "miner_cli_rig_up") && !has(Detail::Rigs, "miner_state"));
    assert!(has(Detail::Miners, "miner_state") && !has(Detail::Miners, "miner_device"));
    assert!(has(Detail::Devices, "miner_device_hashrate"));
}
