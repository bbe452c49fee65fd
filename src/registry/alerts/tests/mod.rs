//! How alerts begin, are told and end.
mod farm;
mod rules;

use crate::model::alert::{AlertRules, NoticeKind, Rule};
use crate::model::key::NodeId;
use crate::model::miner::MinerState;
use crate::model::stats::{Disk, RigState};
use crate::model::time::Now;
use NoticeKind::{Alert, Recovery};
use farm::{Farm, HOUR, MIN, S, rig};

#[test]
fn a_lost_rig_is_one_message_and_its_return_another() {
    let mut farm = Farm::new(2);
    farm.rigs[0].up = false;
    farm.pass(4 * MIN + 50 * S);
    assert!(farm.alerts.current().is_empty(), "not before five minutes");
    farm.pass(10 * S);
    let now = farm.alerts.current();
    assert_eq!((now.len(), now[0].rule, now[0].notified), (1, Rule::Unreachable, false));
    assert_eq!(now[0].rigs, ["rig-00"]);
    farm.pass(HOUR);
    farm.said_only(Rule::Unreachable, &[Alert]);
    assert!(farm.alerts.current()[0].notified);
    assert_eq!(farm.notices[0].text, "rig-00 is unreachable");
    farm.rigs[0].up = true;
    farm.pass(4 * MIN + 50 * S);
    assert_eq!(farm.notices.len(), 1, "well for less than five minutes");
    assert_eq!(farm.alerts.current().len(), 1);
    farm.pass(MIN);
    farm.said_only(Rule::Unreachable, &[Alert, Recovery]);
    assert_eq!(farm.notices[1].ids, farm.notices[0].ids);
    assert!(farm.alerts.current().is_empty() && farm.disk.is_empty());
    farm.pass(HOUR);
    assert_eq!(farm.notices.len(), 2);
}

#[test]
fn twenty_flaps_in_ten_minutes_are_at_most_two_messages() {
    // With the patience of a nervous owner: each flap alone would be an alert.
    let rules = AlertRules { unreachable: Some(10 * S), ..AlertRules::default() };
    let mut farm = Farm::with(1, rules);
    for _ in 0..20 {
        farm.rigs[0].up = false;
        farm.pass(20 * S);
        farm.rigs[0].up = true;
        farm.pass(10 * S);
    }
    assert_eq!(farm.notices.len(), 1);
    farm.pass(HOUR);
    farm.said_only(Rule::Unreachable, &[Alert, Recovery]);
    // And with the usual patience it is none at all.
    let mut farm = Farm::new(1);
    for _ in 0..20 {
        farm.rigs[0].up = false;
        farm.pass(20 * S);
        farm.rigs[0].up = true;
        farm.pass(10 * S);
    }
    farm.pass(HOUR);
    assert!(farm.notices.is_empty());
}

#[test]
fn flaps_of_every_rule_are_at_most_two_messages() {
    let rules = AlertRules { hashrate: None, ..AlertRules::default() };
    let mut farm = Farm::with(1, rules);
    for n in 0..20_u64 {
        let bad = n % 2 == 0;
        farm.rigs[0].complaint = bad.then(|| "another key".to_owned());
        farm.rigs[0].stats.disk = Some(Disk { total: 1000, free: if bad { 1 } else { 999 } });
        farm.rules.disk_free = 0;
        farm.miner().state = if bad { MinerState::CrashLoop } else { MinerState::Starting };
        farm.pass(30 * S);
    }
    farm.rigs[0].stats.disk = rig(0).stats.disk;
    farm.miner().state = MinerState::Hashing;
    farm.pass(HOUR);
    for rule in [Rule::CrashLoop, Rule::KeyChanged, Rule::Disk] {
        let kinds: Vec<_> =
            farm.notices.iter().filter(|n| n.rule == Some(rule)).map(|n| n.kind).collect();
        assert_eq!(kinds, [Alert, Recovery], "{rule:?}");
    }
}

#[test]
fn forty_rigs_lost_together_are_one_message_and_one_when_they_are_back() {
    let mut farm = Farm::new(40);
    farm.rigs[..25].iter_mut().for_each(|rig| rig.up = false);
    farm.pass(20 * S);
    farm.rigs.iter_mut().for_each(|rig| rig.up = false);
    farm.pass(HOUR);
    assert_eq!(farm.said(), [(Alert, Rule::Unreachable, 40)]);
    let notice = &farm.notices[0];
    assert_eq!(notice.rigs.len(), 10);
    assert!(
        notice.text.starts_with("40 rigs are unreachable: rig-00, rig-01, "),
        "{}",
        notice.text
    );
    assert!(notice.text.ends_with(" and 30 more"), "{}", notice.text);
    let now = farm.alerts.current();
    assert_eq!((now.len(), now[0].rigs.len()), (1, 40));
    farm.rigs[1..].iter_mut().for_each(|rig| rig.up = true);
    farm.pass(10 * MIN);
    assert_eq!(farm.said()[1..], [(Recovery, Rule::Unreachable, 39)]);
    assert_eq!(farm.alerts.current()[0].text, "rig-00 is unreachable");
    farm.rigs[0].up = true;
    farm.pass(10 * MIN);
    assert_eq!(farm.said()[2..], [(Recovery, Rule::Unreachable, 1)]);
    assert!(farm.disk.is_empty());
}

#[test]
fn what_its_owner_stopped_or_silenced_or_removed_says_nothing() {
    let mut farm = Farm::new(5);
    farm.rigs[0].stats.state = RigState::Idle;
    farm.rigs[0].stats.miners[0].wanted = false;
    farm.rigs[0].stats.miners[0].state = MinerState::Stopped;
    farm.rigs[1].quiet = true;
    farm.rigs[1].stats.miners[0].state = MinerState::CrashLoop;
    farm.rigs[1].stats.temperature = Some(99.0);
    farm.pass(10 * S);
    farm.rigs[..3].iter_mut().for_each(|rig| rig.up = false);
    farm.pass(MIN);
    farm.rigs.remove(2);
    farm.pass(HOUR);
    assert!(farm.notices.is_empty() && farm.alerts.current().is_empty(), "{:?}", farm.notices);
    // What was alerted ends without a word when its owner takes the matter into their hands.
    farm.rigs[2].stats.miners[0].state = MinerState::CrashLoop;
    farm.rigs[3].stats.miners[0].state = MinerState::Failed;
    farm.pass(MIN);
    assert_eq!(farm.said(), [(Alert, Rule::CrashLoop, 2)]);
    farm.rigs[2].stats.miners[0].wanted = false;
    farm.rigs[3].quiet = true;
    farm.pass(HOUR);
    assert_eq!(farm.notices.len(), 1);
    assert!(farm.alerts.current().is_empty() && farm.disk.is_empty());
    assert!(!farm.mining.contains(&NodeId([2; 8])), "what was removed is forgotten");
}

#[test]
fn a_restart_neither_repeats_an_alert_nor_forgets_its_end() {
    let mut farm = Farm::new(3);
    farm.rigs[0].up = false;
    farm.rigs[1].stats.miners[0].state = MinerState::CrashLoop;
    farm.pass(10 * MIN);
    assert_eq!(farm.notices.len(), 2);
    let since = farm.alerts.current()[0].since;
    farm.restart();
    farm.pass(HOUR);
    assert_eq!(farm.notices.len(), 2, "{:?}", farm.said());
    assert_eq!(farm.alerts.current()[0].since, since);
    farm.rigs[0].up = true;
    farm.rigs[0].heard = true;
    farm.pass(MIN);
    farm.restart();
    farm.pass(10 * MIN);
    assert_eq!(farm.said()[2..], [(Recovery, Rule::Unreachable, 1)]);
    // The rigs went while the daemon was away: the first sight is silent, then it is told.
    farm.rigs[2].up = false;
    farm.restart();
    farm.pass(4 * MIN + 50 * S);
    assert_eq!(farm.notices.len(), 3);
    farm.pass(MIN);
    assert_eq!(farm.said()[3..], [(Alert, Rule::Unreachable, 1)]);
}

#[test]
fn what_did_not_arrive_is_said_again_after_a_restart() {
    let mut farm = Farm::new(1);
    farm.away = true;
    farm.rigs[0].up = false;
    farm.pass(10 * MIN);
    assert!(!farm.alerts.current()[0].notified);
    farm.restart();
    farm.away = false;
    farm.pass(10 * MIN);
    farm.said_only(Rule::Unreachable, &[Alert, Alert]);
    // The same with the end of it.
    farm.rigs[0].up = true;
    farm.rigs[0].heard = true;
    farm.away = true;
    farm.pass(10 * MIN);
    assert_eq!(farm.notices.len(), 3);
    farm.restart();
    farm.away = false;
    farm.pass(10 * MIN);
    farm.said_only(Rule::Unreachable, &[Alert, Alert, Recovery, Recovery]);
    assert!(farm.disk.is_empty());
    farm.restart();
    farm.pass(HOUR);
    assert_eq!(farm.notices.len(), 4);
}

#[test]
fn after_the_daemons_start_unknown_rigs_get_five_minutes_and_idle_ones_are_left_alone() {
    let rules = AlertRules { unreachable: Some(30 * S), ..AlertRules::default() };
    let mut farm = Farm::with(2, rules);
    farm.rigs[1].stats.state = RigState::Idle;
    farm.pass(10 * S);
    farm.rigs.iter_mut().for_each(|rig| rig.up = false);
    farm.restart();
    farm.pass(4 * MIN + 50 * S);
    assert!(farm.alerts.current().is_empty());
    farm.pass(2 * MIN);
    assert_eq!(farm.said(), [(Alert, Rule::Unreachable, 1)]);
    assert_eq!(farm.notices[0].rigs, ["rig-00"]);
}

#[test]
fn a_daemon_that_was_frozen_blames_nobody() {
    let mut farm = Farm::new(3);
    farm.rigs.iter_mut().for_each(|rig| rig.up = false);
    farm.now = Now { mono: farm.now.mono.plus(HOUR), wall: farm.now.wall.plus_ms(3_600_000) };
    farm.pass(MIN);
    farm.rigs.iter_mut().for_each(|rig| rig.up = true);
    farm.pass(HOUR);
    assert!(farm.notices.is_empty());
}

#[test]
fn a_rig_that_came_and_went_between_two_beats_is_missed() {
    let rules = AlertRules { unreachable: Some(10 * S), ..AlertRules::default() };
    let mut farm = Farm::with(0, rules);
    farm.rigs.push(rig(1));
    farm.rigs[0].up = false;
    farm.pass(MIN);
    farm.said_only(Rule::Unreachable, &[Alert]);
}

#[test]
fn of_an_unreachable_rig_nothing_else_is_said() {
    let mut farm = Farm::new(1);
    farm.miner().state = MinerState::CrashLoop;
    farm.pass(MIN);
    farm.rigs[0].up = false;
    farm.pass(HOUR);
    let said = farm.said();
    assert_eq!(said, [(Alert, Rule::CrashLoop, 1), (Alert, Rule::Unreachable, 1)]);
    assert_eq!(farm.alerts.current().len(), 2, "nobody knows that the crashes are over");
}
