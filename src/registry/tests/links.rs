//! Links over time: silence, freezing, reconnection, crossing.
use std::time::Duration;

use super::world::{World, profile};
use crate::bus::{Event, LinkEvent, LinkHandle, LinkId, LinkUp, Reply, Request};
use crate::model::fault::Code;
use crate::model::node::Role;
use crate::model::peer::PeerState;
use crate::model::stats::{RigState, Totals};
use crate::smsg::messages::Body;

const S: Duration = Duration::from_secs(1);

fn start(world: &mut World) {
    let profile = Box::new(profile("demo"));
    world.call(0, Request::AddProfile { profile }).unwrap();
    let request = Request::RemoteStart {
        peer: "rig".to_owned(),
        profile_id: "demo".to_owned(),
        miner_type: None,
        config: None,
    };
    let reply = world.call_later(0, request);
    assert_eq!(reply, Ok(Reply::Started { miner: "simulated-1".to_owned() }));
    world.pass(20 * S);
}

fn totals(world: &mut World) -> Totals {
    match world.call(0, Request::RemoteTotals) {
        Ok(Reply::Totals(totals)) => totals,
        other => panic!("{other:?}"),
    }
}

fn state(world: &mut World) -> PeerState {
    world.peers(0)[0].state
}

#[test]
fn a_frozen_rig_is_unreachable_within_35_s_and_leaves_the_totals() {
    let mut world = World::linked();
    start(&mut world);
    assert_eq!(state(&mut world), PeerState::Rig(RigState::Hashing));
    assert_eq!(totals(&mut world).algorithms[0].hashrate, 1000.0);

    world.nodes[1].frozen = true;
    world.pass(35 * S);
    assert_eq!(state(&mut world), PeerState::Rig(RigState::Unreachable));
    let sum = totals(&mut world);
    assert!(sum.algorithms.is_empty() && sum.rigs.unreachable == 1, "{sum:?}");
    let Ok(Reply::AllStats(all)) = world.call(0, Request::RemoteStatsAll) else { panic!() };
    let stats = &all[0].1;
    assert_eq!(stats.state, RigState::Unreachable);
    assert!(stats.unreachable_since.is_some() && stats.as_of.is_some());
    assert_eq!(stats.miners[0].hashrate.now, None, "an old reading is no reading");
    assert_eq!(stats.miners[0].accepted, Some(3), "the last known counters stay");

    world.nodes[1].frozen = false;
    world.pass(11 * S);
    assert_eq!(state(&mut world), PeerState::Rig(RigState::Hashing));
    assert_eq!(totals(&mut world).algorithms[0].hashrate, 1000.0);
}

#[test]
fn a_rig_frozen_for_long_is_back_within_15_s() {
    let mut world = World::linked();
    world.nodes[1].frozen = true;
    world.pass(45 * S);
    world.cut_all(0);
    world.pass(600 * S);
    world.nodes[1].frozen = false;
    world.pass(15 * S);
    assert_eq!(world.links_of(0), 1);
}

#[test]
fn a_peer_that_is_away_is_dialled_at_growing_intervals_up_to_a_minute() {
    let mut world = World::linked();
    world.nodes[1].cut_off = true;
    world.cut_all(0);
    world.nodes[0].dialled.clear();
    world.pass(600 * S);
    let times: Vec<_> = world.nodes[0].dialled.iter().map(|(at, _)| *at).collect();
    let gaps: Vec<f64> = times.windows(2).map(|w| w[1].since(w[0]).as_secs_f64()).collect();
    for (gap, base) in gaps.iter().zip([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]) {
        assert!((base * 0.74..=base * 1.26 + 0.1).contains(gap), "{gaps:?}");
    }
    assert!(times.len() > 9, "{gaps:?}");
    world.nodes[1].cut_off = false;
    world.pass(80 * S);
    assert_eq!(world.links_of(0), 1);
    assert_eq!(world.peers(0).len(), 1, "no second row for the same peer");
}

#[test]
fn a_peer_that_forgot_us_is_asked_once_an_hour_and_gets_no_new_request() {
    let mut world = World::linked();
    let id = world.id(0);
    world.call(1, Request::RemovePeer { peer: id }).unwrap();
    world.nodes[0].dialled.clear();
    world.pass(2600 * S);
    assert_eq!(world.nodes[0].dialled.len(), 1);
    assert!(world.peers(1).is_empty());
    assert!(world.peers(0)[0].reason.as_ref().unwrap().contains("not registered"));
    world.pass(2000 * S);
    assert_eq!(world.nodes[0].dialled.len(), 2);
}

#[test]
fn a_changed_key_is_named_and_refused() {
    let mut world = World::linked();
    world.cut_all(0);
    world.nodes[1].card.public_key = crate::model::key::PublicKey([200; 32]);
    world.pass(3 * S);
    let row = world.peers(0).remove(0);
    let reason = row.reason.unwrap();
    assert!(reason.contains("the key of rig changed (expected "), "{reason}");
    assert!(reason.contains(&world.nodes[1].card.public_key.fingerprint()));
    assert_eq!(world.links_of(0), 0);
}

/// A second link of the same peer, as `node` sees it.
fn second_link(world: &mut World, node: usize, other: usize, number: u64, dialled: bool) {
    let card = world.nodes[other].card.clone();
    let hello = crate::smsg::hello::Hello {
        name: card.name,
        role: card.role,
        version: "1.0".to_owned(),
        protocols: vec![1],
        signing_key: card.signing_key,
        signature: String::new(),
        invite: None,
        asking: None,
        time: world.now.wall,
    };
    let (outbox, _) = crate::bus::wire_channel(1);
    let handle = LinkHandle { outbox, cut: crate::bus::Cut(std::sync::Arc::new(|| {})) };
    let dial = dialled.then_some(crate::bus::DialId(9999));
    let key = card.public_key;
    let up =
        LinkUp { link: LinkId(number), key, hello, dial, remote: "10.0.0.7:5".to_owned(), handle };
    world.event(node, Event::Link(LinkEvent::Up(Box::new(up))));
}

#[test]
fn of_two_links_that_cross_both_ends_keep_the_one_dialled_by_the_lower_key() {
    // Node 0 has the lower key and dialled the first link.
    let mut world = World::linked();
    assert_eq!(world.links_of(0), 1);
    second_link(&mut world, 0, 1, 1001, false);
    second_link(&mut world, 1, 0, 1002, true);
    assert_eq!(world.links_of(0), 1, "the first link stands");
    assert!(world.peers(0)[0].connected && world.peers(1)[0].connected);
}

#[test]
fn a_dead_link_gives_way_to_a_new_one_from_the_same_peer() {
    let mut world = World::linked();
    world.pass(20 * S);
    // The rig lost its end unseen and dials anew: the new link wins although node 0 dialled the old one.
    second_link(&mut world, 0, 1, 1001, false);
    assert_eq!(world.links_of(0), 0, "the old link was closed");
    assert!(world.peers(0)[0].connected);
    // The old link's end, told late, does not touch the new one.
    world.event(0, Event::Link(LinkEvent::Down { link: LinkId(0), reason: "late".to_owned() }));
    assert!(world.peers(0)[0].connected);
}

#[test]
fn a_rig_that_is_cut_off_leaves_the_totals_at_once() {
    let mut world = World::linked();
    start(&mut world);
    world.nodes[1].cut_off = true;
    world.cut_all(0);
    let sum = totals(&mut world);
    assert!(sum.algorithms.is_empty() && (sum.accepted, sum.rigs.unreachable) == (0, 1), "{sum:?}");
}

#[test]
fn only_the_peer_that_was_asked_can_answer() {
    let mut world = World::new(&[Role::Controller, Role::Worker, Role::Worker]);
    let own = world.id(0);
    for (rig, name) in [(1, "rig"), (2, "other")] {
        world.call(0, World::add_request(rig, name)).unwrap();
        world.call(rig, Request::Approve { peer: own.clone() }).unwrap();
        world.pass(5 * S);
    }
    world.nodes[1].frozen = true;
    let waiting = world.ask(0, Request::PingPeer { peer: "rig".to_owned() });
    let id = world.nodes[0].registry.waiting.keys().next().unwrap().clone();
    world.answer(2, &id, Body::Pong {});
    assert!(waiting.try_recv().is_err(), "another peer's answer counts for nothing");
    world.pass(6 * S);
    assert!(matches!(waiting.try_recv(), Ok(Err(f)) if f.code == Code::Timeout));
}

#[test]
fn a_controller_pings_and_its_worker_only_now_and_then_but_equals_ping_each_other() {
    for (roles, pings) in [
        ([Role::Controller, Role::Worker], [20, 2]),
        ([Role::Dual, Role::Worker], [20, 2]),
        ([Role::Controller, Role::Dual], [20, 20]),
        ([Role::Worker, Role::Worker], [20, 20]),
    ] {
        let mut world = World::new(&roles);
        let own = world.id(0);
        world.call(0, World::add_request(1, "rig")).unwrap();
        world.call(1, Request::Approve { peer: own }).unwrap();
        world.pass(5 * S);
        let before = [0, 1].map(|n| world.nodes[n].pings);
        world.pass(600 * S);
        let sent = [0, 1].map(|n| world.nodes[n].pings - before[n]);
        assert_eq!(sent, pings, "{roles:?} in ten minutes");
        assert_eq!(world.links_of(0), 1);
    }
}

#[test]
fn a_ping_gives_a_time_and_an_absent_peer_none() {
    let mut world = World::linked();
    assert!(matches!(
        world.call(0, Request::PingPeer { peer: "rig".to_owned() }),
        Ok(Reply::Ping { .. })
    ));
    world.nodes[1].frozen = true;
    let fault = world.call_later(0, Request::PingPeer { peer: "rig".to_owned() }).unwrap_err();
    assert_eq!(fault.code, Code::Timeout);
    world.cut_all(0);
    let fault = world.call(0, Request::PingPeer { peer: "rig".to_owned() }).unwrap_err();
    assert_eq!(fault.code, Code::PeerUnreachable);
}

#[test]
fn at_most_64_requests_wait_for_one_peer() {
    let mut world = World::linked();
    world.nodes[1].frozen = true;
    let waiting: Vec<_> =
        (0..70).map(|_| world.ask(0, Request::PingPeer { peer: "rig".to_owned() })).collect();
    let refused = waiting
        .iter()
        .filter(|w| matches!(w.try_recv(), Ok(Err(f)) if f.code == Code::Unavailable))
        .count();
    assert_eq!(refused, 6);
    world.pass(6 * S);
    world.nodes[1].frozen = false;
    assert!(
        world.call(0, Request::PingPeer { peer: "rig".to_owned() }).is_ok(),
        "the late ones are off the list"
    );
}

#[test]
fn what_waits_on_a_link_that_is_lost_is_answered_at_once() {
    let mut world = World::linked();
    world.nodes[1].frozen = true;
    let waiting = world.ask(0, Request::PingPeer { peer: "rig".to_owned() });
    world.cut_all(0);
    assert!(matches!(waiting.try_recv(), Ok(Err(f)) if f.code == Code::PeerUnreachable));
}

#[test]
fn a_controller_restarted_from_its_disk_links_again_without_new_rows() {
    let mut world = World::linked();
    let record = world.nodes[0].written.iter().rev().find_map(|op| match op {
        crate::bus::StateOp::PutPeer(record) => Some(record.clone()),
        _ => None,
    });
    let saved = crate::bus::SavedState { peers: vec![record.unwrap()], ..Default::default() };
    world.cut_all(0);
    // The same node again: a registry with what its disk held.
    let card = world.nodes[0].card.clone();
    let setup = crate::registry::Setup {
        me: card,
        version: "1.0".to_owned(),
        listen: None,
        api: String::new(),
        policy: crate::model::policy::Policy::default(),
        alerts: crate::model::alert::AlertRules::default(),
        history: crate::model::history::HistoryStatus::default(),
        seed: [5; 32],
    };
    let (registry, _) = crate::registry::Registry::new(setup, saved, world.now);
    world.nodes[0].registry = registry;
    world.pass(5 * S);
    assert_eq!(world.links_of(0), 1);
    assert_eq!(world.peers(1).len(), 1);
}
