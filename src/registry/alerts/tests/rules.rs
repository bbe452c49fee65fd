//! What each rule finds, and what it leaves alone.
use super::farm::{Farm, HOUR, MIN, S, miner, rig};
use crate::model::alert::{AlertRules, NoticeKind, Rule};
use crate::model::history::HourMean;
use crate::model::key::NodeId;
use crate::model::miner::MinerState;
use crate::model::stats::{Device, Disk};
use NoticeKind::{Alert, Recovery};

/// Rule by rule: how it is switched off, how a rig is made ill, how it is made well.
type Case = (Rule, fn(&mut AlertRules), fn(&mut Farm), fn(&mut Farm));

const CASES: &[Case] = &[
    (
        Rule::Unreachable,
        |rules| rules.unreachable = None,
        |farm| farm.rigs[0].up = false,
        |farm| farm.rigs[0].up = true,
    ),
    (
        Rule::CrashLoop,
        |rules| rules.crash_loop = false,
        |farm| farm.miner().state = MinerState::Failed,
        |farm| farm.miner().state = MinerState::Hashing,
    ),
    (
        Rule::Temperature,
        |rules| rules.temperature = None,
        |farm| {
            let hot = Device { temperature: Some(90.5), ..Device::default() };
            farm.miner().devices = vec![hot];
        },
        |farm| farm.miner().devices[0].temperature = Some(90.0),
    ),
    (
        Rule::KeyChanged,
        |rules| rules.key_changed = false,
        |farm| farm.rigs[0].complaint = Some("another key answers".to_owned()),
        |farm| farm.rigs[0].complaint = None,
    ),
    (
        Rule::Disk,
        |rules| rules.disk = None,
        |farm| farm.rigs[0].stats.disk = Some(Disk { total: 100, free: 4 }),
        |farm| farm.rigs[0].stats.disk = rig(0).stats.disk,
    ),
    (
        Rule::Hashrate,
        |rules| rules.hashrate = None,
        |farm| farm.miner().hashrate.now = Some(790.0),
        |farm| farm.miner().hashrate.now = Some(810.0),
    ),
];

fn learnt(rules: AlertRules) -> Farm {
    let mut farm = Farm::with(1, rules);
    farm.pass(4 * HOUR);
    farm
}

#[test]
fn every_rule_finds_its_trouble_and_sees_its_end() {
    for (rule, _, ill, well) in CASES {
        let mut farm = learnt(AlertRules::default());
        ill(&mut farm);
        farm.pass(20 * MIN);
        farm.said_only(*rule, &[Alert]);
        assert!(farm.notices[0].text.contains("rig-00") || *rule == Rule::KeyChanged);
        well(&mut farm);
        farm.pass(20 * MIN);
        farm.said_only(*rule, &[Alert, Recovery]);
    }
}

#[test]
fn a_rule_that_is_off_says_nothing() {
    for (rule, off, ill, _) in CASES {
        let mut rules = AlertRules::default();
        off(&mut rules);
        assert!(!rules.has(*rule));
        let mut farm = learnt(rules);
        ill(&mut farm);
        farm.pass(20 * MIN);
        assert!(farm.notices.is_empty(), "{rule:?}: {:?}", farm.notices);
        // An alert of before it was switched off ends without a word.
        let mut farm = learnt(AlertRules::default());
        ill(&mut farm);
        farm.pass(20 * MIN);
        off(&mut farm.rules);
        farm.restart();
        farm.pass(20 * MIN);
        assert_eq!(farm.notices.len(), 1, "{rule:?}");
        assert!(farm.alerts.current().is_empty() && farm.disk.is_empty());
    }
}

#[test]
fn nothing_is_said_when_alerts_are_off() {
    let mut farm = learnt(AlertRules { enabled: false, ..AlertRules::default() });
    CASES.iter().for_each(|(_, _, ill, _)| ill(&mut farm));
    farm.pass(HOUR);
    assert!(farm.notices.is_empty() && farm.alerts.current().is_empty());
}

#[test]
fn heat_and_low_hashrate_have_to_last() {
    let mut farm = learnt(AlertRules::default());
    for _ in 0..50 {
        farm.rigs[0].stats.temperature = Some(95.0);
        farm.pass(50 * S);
        farm.rigs[0].stats.temperature = Some(80.0);
        farm.miner().hashrate.now = Some(700.0);
        farm.pass(13 * MIN);
        farm.miner().hashrate.now = Some(1000.0);
        farm.pass(2 * MIN);
    }
    assert!(farm.notices.is_empty(), "{:?}", farm.notices);
}

#[test]
fn the_usual_hashrate_needs_three_hours_or_the_history() {
    let mut farm = Farm::new(1);
    farm.pass(2 * HOUR);
    farm.miner().hashrate.now = Some(100.0);
    farm.pass(30 * MIN);
    assert!(farm.notices.is_empty(), "two hours say nothing");
    let mut farm = Farm::new(1);
    let mean = |hours: i64, hashrate| {
        let at = farm.now.wall.plus_ms(-3_600_000 * hours);
        (NodeId([0; 8]), HourMean { at, algorithm: "rx/0".to_owned(), hashrate })
    };
    let means = [mean(1, 2000.0), mean(2, 10.0), mean(3, 2000.0), mean(4, 2000.0), mean(30, 1.0)];
    farm.alerts.seed_baseline(&means);
    farm.pass(14 * MIN);
    assert!(farm.notices.is_empty());
    farm.pass(3 * MIN);
    farm.said_only(Rule::Hashrate, &[Alert]);
    let text = &farm.notices[0].text;
    assert_eq!(text, "rig-00 hashes 1.00 kH/s with rx/0, 50 % less than usual (2.00 kH/s)");
}

#[test]
fn what_hashes_otherwise_is_learnt_anew_and_algorithms_are_kept_apart() {
    let mut farm = learnt(AlertRules::default());
    farm.rigs[0].stats.miners.push(miner("xmrig-2"));
    farm.pass(4 * HOUR);
    // The owner stops one of two: half the hashrate is no trouble.
    farm.rigs[0].stats.miners.pop();
    farm.pass(HOUR);
    assert!(farm.notices.is_empty(), "{:?}", farm.notices);
    farm.miner().algorithm = Some("kawpow".to_owned());
    farm.miner().hashrate.now = Some(5.0);
    farm.pass(HOUR);
    assert!(farm.notices.is_empty());
    // A miner that stands still counts as nothing; one that crashes is another rule's.
    farm.miner().algorithm = Some("rx/0".to_owned());
    farm.miner().hashrate.now = Some(1000.0);
    farm.pass(4 * HOUR);
    farm.miner().hashrate.now = None;
    farm.miner().state = MinerState::CrashLoop;
    farm.pass(HOUR);
    farm.said_only(Rule::CrashLoop, &[Alert]);
    farm.miner().state = MinerState::NotHashing;
    farm.pass(HOUR);
    assert_eq!(farm.said()[1..], [(Recovery, Rule::CrashLoop, 1), (Alert, Rule::Hashrate, 1)]);
}

#[test]
fn rejects_are_counted_over_a_quarter_of_an_hour_and_not_over_a_life() {
    let mut farm = Farm::new(1);
    // A bad past, from before the daemon looked.
    (farm.miner().accepted, farm.miner().rejected) = (Some(1000), Some(900));
    let mine = |farm: &mut Farm, minutes: u64, good: u64, bad: u64| {
        for _ in 0..minutes {
            let miner = farm.miner();
            miner.accepted = miner.accepted.map(|n| n + good);
            miner.rejected = miner.rejected.map(|n| n + bad);
            miner.uptime = miner.uptime.map(|n| n + 60);
            farm.pass(MIN);
        }
    };
    let mut farm = {
        farm.restart();
        farm
    };
    mine(&mut farm, 60, 3, 0);
    assert!(farm.notices.is_empty(), "{:?}", farm.notices);
    // Too few to say anything.
    mine(&mut farm, 60, 0, 0);
    mine(&mut farm, 15, 0, 1);
    assert!(farm.notices.is_empty());
    mine(&mut farm, 20, 0, 0);
    // Started anew: its counters begin again, which is no share.
    (farm.miner().accepted, farm.miner().rejected, farm.miner().uptime) =
        (Some(0), Some(0), Some(0));
    mine(&mut farm, 20, 19, 1);
    assert!(farm.notices.is_empty(), "5 % are not more than 5 %");
    mine(&mut farm, 20, 18, 2);
    farm.said_only(Rule::Rejects, &[Alert]);
    assert_eq!(farm.notices[0].miner.as_deref(), Some("xmrig-1"));
    mine(&mut farm, 40, 20, 0);
    farm.said_only(Rule::Rejects, &[Alert, Recovery]);

    let mut farm = Farm::with(1, AlertRules { rejects: None, ..AlertRules::default() });
    mine(&mut farm, 40, 1, 20);
    assert!(farm.notices.is_empty());
}

#[test]
fn a_refusal_is_told_once_and_has_no_end() {
    let mut farm = Farm::new(1);
    let refused = |farm: &mut Farm| {
        let at = farm.now.wall;
        let text = "rig-00 refused start_miner: wallet".to_owned();
        let said = farm.alerts.policy_refused(NodeId([0; 8]), "rig-00", text, at);
        farm.keep(said.ops);
    };
    for _ in 0..20 {
        refused(&mut farm);
        farm.pass(30 * S);
    }
    farm.pass(HOUR);
    farm.said_only(Rule::Policy, &[Alert]);
    assert!(farm.disk.is_empty() && farm.alerts.current().is_empty());
    refused(&mut farm);
    farm.pass(MIN);
    farm.said_only(Rule::Policy, &[Alert, Alert]);
    let mut farm = Farm::with(1, AlertRules { policy: false, ..AlertRules::default() });
    refused(&mut farm);
    farm.pass(MIN);
    assert!(farm.notices.is_empty());
}
