//! Alerts of a controller about a rig that really is linked, stopped, removed.
use std::collections::BTreeMap;
use std::time::Duration;

use super::super::timers::Timer;
use super::world::{MinerPlay, World, profile};
use crate::bus::{Event, Reply, Request, SavedState};
use crate::model::alert::{AlertOverview, NoticeKind, Rule};
use crate::model::key::PublicKey;
use crate::model::node::Role;
use crate::model::peer::PeerRecord;
use crate::model::policy::Policy;
use crate::model::stats::{Disk, Host};
use crate::model::time::Timestamp;
use crate::model::trust::Trust;

const S: Duration = Duration::from_secs(1);
const MIN: Duration = Duration::from_secs(60);

fn start(world: &mut World) {
    let demo = Box::new(profile("demo"));
    world.call(0, Request::AddProfile { profile: demo }).unwrap();
    let start = Request::RemoteStart {
        peer: "rig".to_owned(),
        profile_id: "demo".to_owned(),
        miner_type: None,
        config: None,
    };
    drop(world.call_later(0, start));
    world.pass(30 * S);
}

fn said(world: &World) -> Vec<(NoticeKind, Rule)> {
    world.nodes[0].notices.iter().map(|n| (n.kind, n.rule.unwrap())).collect()
}

fn overview(world: &mut World) -> AlertOverview {
    match world.call(0, Request::Alerts) {
        Ok(Reply::Alerts(overview)) => *overview,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_frozen_rig_that_mines_is_told_of_and_a_planned_stop_is_not() {
    let mut world = World::linked();
    start(&mut world);
    world.nodes[1].frozen = true;
    world.pass(6 * MIN + 30 * S);
    assert_eq!(said(&world), [(NoticeKind::Alert, Rule::Unreachable)]);
    assert_eq!(overview(&mut world).alerts[0].rigs, ["rig"]);
    world.nodes[1].frozen = false;
    world.pass(7 * MIN);
    assert_eq!(said(&world)[1..], [(NoticeKind::Recovery, Rule::Unreachable)]);

    let stop = Request::RemoteStop { peer: "rig".to_owned(), miner: None };
    world.call_later(0, stop).unwrap();
    world.pass(2 * MIN);
    world.nodes[1].frozen = true;
    world.pass(10 * MIN);
    assert_eq!(world.nodes[0].notices.len(), 2, "an idle rig is its owner's business");
    assert!(overview(&mut world).alerts.is_empty());
}

fn rig_on_disk(number: u16) -> PeerRecord {
    let mut key = [0; 32];
    key[..2].copy_from_slice(&number.to_be_bytes());
    PeerRecord {
        key: PublicKey(key),
        name: format!("rig-{number}"),
        address: None,
        trust: Trust::System,
        role: Some(Role::Worker),
        signing_key: None,
        version: None,
        added_at: Timestamp(0),
        last_seen: None,
        labels: BTreeMap::new(),
        asking: None,
        last_command: 0,
    }
}

#[test]
fn a_thousand_rigs_are_looked_at_in_parts_and_told_of_together() {
    let mut world = World::new(&[]);
    let peers: Vec<_> = (1..=1000).map(rig_on_disk).collect();
    let mining = peers.iter().map(|peer| peer.key.node_id()).collect();
    let last_of_first_part = Timer::Review(peers[255].key);
    world.add(Role::Controller, SavedState { peers, mining, ..SavedState::default() });
    // The second beat comes while the first one's review is under way.
    for _ in 0..2 {
        world.event(0, Event::Host(Host::default()));
        assert_eq!(world.nodes[0].registry.timers.count(&last_of_first_part), 1);
    }
    world.pass(10 * MIN);
    let notices: Vec<_> = world.nodes[0].notices.iter().map(|n| (n.rule, n.count)).collect();
    assert_eq!(notices, [(Some(Rule::Unreachable), 1000)]);

    // Also of those that are gone when the review comes to where they were.
    world.event(0, Event::Host(Host::default()));
    for rig in 250..=260 {
        world.call(0, Request::RemovePeer { peer: format!("rig-{rig}") }).unwrap();
    }
    world.pass(MIN);
    let told = overview(&mut world).alerts;
    assert_eq!((told.len(), told[0].rigs.len()), (1, 989));
}

#[test]
fn a_rig_that_is_removed_or_labelled_is_forgotten() {
    let mut world = World::linked();
    start(&mut world);
    let labels = [("alerts".to_owned(), "off".to_owned())].into();
    world.call(0, Request::SetLabels { peer: "rig".to_owned(), labels }).unwrap();
    world.nodes[1].cut_off = true;
    world.nodes[1].frozen = true;
    world.cut_all(1);
    world.pass(8 * MIN);
    assert!(overview(&mut world).alerts.is_empty());
    world.call(0, Request::SetLabels { peer: "rig".to_owned(), labels: [].into() }).unwrap();
    world.pass(30 * S);
    assert_eq!(overview(&mut world).alerts.len(), 1);
    world.call(0, Request::RemovePeer { peer: "rig".to_owned() }).unwrap();
    world.pass(10 * MIN);
    assert!(overview(&mut world).alerts.is_empty());
    assert!(world.nodes[0].notices.iter().all(|n| n.kind != NoticeKind::Recovery));
}

#[test]
fn a_rigs_crash_loop_and_its_full_disk_reach_the_controller() {
    let mut world = World::linked();
    world.nodes[1].miners = MinerPlay::Exit { permanent: false };
    start(&mut world);
    world.pass(3 * MIN);
    assert_eq!(said(&world), [(NoticeKind::Alert, Rule::CrashLoop)]);
    let notice = &world.nodes[0].notices[0];
    assert!(notice.text.contains("simulated-1 on rig is in a crash loop"), "{}", notice.text);
    let disk = Some(Disk { total: 100_000_000_000, free: 400_000_000 });
    for _ in 0..5 {
        world.event(1, Event::Host(Host { disk, ..Host::default() }));
        world.pass(9 * S);
    }
    let now = overview(&mut world);
    let rules: Vec<Rule> = now.alerts.iter().map(|a| a.rule).collect();
    assert!(rules.contains(&Rule::Disk), "{rules:?}");
    assert_eq!(now.rules.len(), 8);
}

#[test]
fn a_command_that_the_rigs_policy_refuses_is_told_at_both_ends() {
    let policy = Policy { wallets: Some(vec!["mine".to_owned()]), ..Policy::default() };
    let mut world = World::linked_with(policy);
    let mut other = profile("demo");
    other.config.wallet = Some("theirs".to_owned());
    world.call(0, Request::AddProfile { profile: Box::new(other) }).unwrap();
    let start = Request::RemoteStart {
        peer: "rig".to_owned(),
        profile_id: "demo".to_owned(),
        miner_type: None,
        config: None,
    };
    assert!(world.call_later(0, start).is_err());
    world.pass(MIN);
    for node in [0, 1] {
        let notices = &world.nodes[node].notices;
        assert_eq!(notices.len(), 1, "{notices:?}");
        assert_eq!(notices[0].rule, Some(Rule::Policy));
    }
    assert_eq!(world.nodes[0].notices[0].rigs, ["rig"]);
}

#[test]
fn another_node_in_the_place_of_a_rig_is_told_of_until_the_right_one_is_back() {
    let mut world = World::linked();
    world.nodes[1].impostor = Some(crate::model::key::PublicKey([99; 32]));
    world.cut_all(1);
    world.pass(10 * MIN);
    assert_eq!(said(&world), [(NoticeKind::Alert, Rule::KeyChanged)]);
    world.nodes[1].impostor = None;
    world.pass(10 * MIN);
    assert_eq!(said(&world)[1..], [(NoticeKind::Recovery, Rule::KeyChanged)]);
}
