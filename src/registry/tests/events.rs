//! Events: where they are raised, who reads them in which order, and that controllers hear each once.
use std::sync::Arc;
use std::time::Duration;

use super::world::{World, profile, setup};
use crate::bus::{Reply, Request, SavedState, SpawnCommand, StateOp, wire_channel};
use crate::model::event::{EventKind, EventPart, EventRecord, KEPT, Severity};
use crate::model::key::{NodeId, PublicKey};
use crate::model::node::Role;
use crate::registry::Registry;
use crate::smsg::messages::{Body, MinerCommand};

const S: Duration = Duration::from_secs(1);

impl World {
    /// All events that `node` keeps.
    pub fn events(&mut self, node: usize) -> Vec<Arc<EventRecord>> {
        match self.call(node, Request::Events { since: None, lines: 10_000 }) {
            Ok(Reply::Events(events)) => events,
            other => panic!("{other:?}"),
        }
    }

    pub fn kinds(&mut self, node: usize) -> Vec<EventKind> {
        self.events(node).iter().map(|e| e.kind).collect()
    }

    /// The daemon dies and comes back with what is on its disk of peers and events.
    pub fn restart(&mut self, node: usize) {
        self.cut_all(node);
        let mut saved = SavedState { epoch: self.now.mono.0 / 1000, ..SavedState::default() };
        for op in &self.nodes[node].written {
            match op {
                StateOp::PutPeer(peer) => {
                    saved.peers.retain(|p| p.key != peer.key);
                    saved.peers.push(peer.clone());
                }
                StateOp::Event(event) => saved.events.push(event.as_ref().clone()),
                StateOp::ForgetEvents(number) => saved.events.retain(|e| e.number > *number),
                StateOp::EventsHeard { key, number } => saved.events_heard.push((*key, *number)),
                _ => {}
            }
        }
        let card = self.nodes[node].card.clone();
        let (registry, out) = Registry::new(setup(card, Default::default()), saved, self.now);
        self.nodes[node].registry = registry;
        self.nodes[node].seq += 1 << 32;
        self.carry_out(node, out);
        self.settle();
    }
}

/// The rig's own events as the controller has them.
fn told(world: &mut World) -> Vec<Arc<EventRecord>> {
    let rig = world.nodes[1].card.id;
    world.events(0).into_iter().filter(|e| e.node == rig).collect()
}

fn texts(events: &[Arc<EventRecord>]) -> Vec<&str> {
    events.iter().map(|e| e.text.as_str()).collect()
}

/// One event on the rig: a profile starts there.
fn start(world: &mut World) {
    drop(world.call(1, Request::AddProfile { profile: Box::new(profile("demo")) }));
    world.call(1, Request::StartProfile { id: "demo".to_owned() }).unwrap();
}

fn count(events: &[Arc<EventRecord>], kind: EventKind) -> usize {
    events.iter().filter(|e| e.kind == kind).count()
}

#[test]
fn what_happens_to_peers_is_told_once_each() {
    let mut world = World::linked();
    let kinds = world.kinds(0);
    assert_eq!(kinds, [EventKind::PeerRegistered, EventKind::PeerLinked]);
    assert_eq!(
        world.kinds(1),
        [EventKind::PairingRequest, EventKind::PeerRegistered, EventKind::PeerLinked]
    );
    world.nodes[1].cut_off = true;
    world.cut_all(0);
    world.pass(120 * S);
    assert_eq!(world.kinds(0)[2..], [EventKind::PeerLost]);
    world.nodes[1].cut_off = false;
    world.pass(80 * S);
    world.call(0, Request::RemovePeer { peer: "rig".to_owned() }).unwrap();
    assert_eq!(world.kinds(0)[3..], [EventKind::PeerLinked, EventKind::PeerRemoved]);
}

#[test]
fn a_peer_that_comes_and_goes_does_not_push_out_what_others_did() {
    let mut world = World::linked();
    let begun = world.events(0).len();
    for _ in 0..50 {
        world.cut_all(0);
        world.pass(5 * S);
        assert_eq!(world.links_of(0), 1);
    }
    let told = world.events(0);
    // The first link was one of the twenty.
    assert_eq!(told.len() - begun, 19);
    assert!(told.last().unwrap().text.contains("it comes and goes"), "{:?}", texts(&told));
    world.pass(600 * S);
    world.cut_all(0);
    world.pass(5 * S);
    let again: Vec<_> = world.events(0)[told.len()..].iter().map(|e| e.kind).collect();
    assert_eq!(again, [EventKind::PeerLost, EventKind::PeerLinked]);
}

#[test]
fn a_changed_key_is_told_once_until_another_one_comes() {
    let mut world = World::linked();
    world.nodes[1].impostor = Some(PublicKey([77; 32]));
    world.cut_all(0);
    world.pass(400 * S);
    let events = world.events(0);
    assert_eq!(count(&events, EventKind::KeyChanged), 1, "{:?}", texts(&events));
    let event = events.iter().find(|e| e.kind == EventKind::KeyChanged).unwrap();
    assert_eq!((event.severity, event.peer.as_deref()), (Severity::Critical, Some("rig")));
    world.nodes[1].impostor = Some(PublicKey([78; 32]));
    world.pass(400 * S);
    assert_eq!(count(&world.events(0), EventKind::KeyChanged), 2);
    // A node that comes with a new key each time does not fill the week.
    for key in 100..150 {
        world.nodes[1].impostor = Some(PublicKey([key; 32]));
        world.pass(100 * S);
    }
    assert_eq!(count(&world.events(0), EventKind::KeyChanged), 10);
}

#[test]
fn a_reader_gets_the_past_then_the_new_in_order_and_never_twice() {
    let mut world = World::linked();
    let past = world.events(1);
    let (sink, parts) = wire_channel::<EventPart>(64);
    let since = Some(past[0].number);
    let reply = world.call(1, Request::FollowEvents { since, lines: 10_000, sink });
    let Ok(Reply::Follow { follow }) = reply else { panic!("{reply:?}") };
    start(&mut world);
    start(&mut world);
    let got: Vec<Arc<EventRecord>> = parts.try_iter().flat_map(|p| p.events).collect();
    let all = world.events(1);
    assert_eq!(got, all[1..], "the rest of the past, then what is new");
    assert!(all.windows(2).all(|w| w[0].number < w[1].number));
    let since = Some(got[got.len() - 2].number);
    let Ok(Reply::Events(last)) = world.call(1, Request::Events { since, lines: 50 }) else {
        panic!()
    };
    assert_eq!(last[..], all[all.len() - 1..]);
    world.call(1, Request::Unfollow { follow }).unwrap();
    start(&mut world);
    assert!(parts.try_iter().next().is_none());
}

#[test]
fn a_slow_reader_loses_events_and_is_told_how_many() {
    let mut world = World::linked();
    let (sink, parts) = wire_channel::<EventPart>(2);
    world.call(1, Request::FollowEvents { since: None, lines: 0, sink }).unwrap();
    for _ in 0..7 {
        start(&mut world);
    }
    assert_eq!(
        parts.try_iter().map(|p| (p.events.len(), p.skipped)).collect::<Vec<_>>(),
        [(1, 0), (1, 0)]
    );
    start(&mut world);
    let part = parts.try_recv().unwrap();
    assert_eq!((part.events.len(), part.skipped), (1, 5));
}

#[test]
fn a_rigs_events_reach_its_controller_under_its_name_there() {
    let mut world = World::linked();
    world.nodes[1].clock_ahead = 3_600_000;
    world.pass(40 * S);
    start(&mut world);
    let told = told(&mut world);
    assert_eq!(told.len(), 1, "{:?}", texts(&told));
    let event = &told[0];
    assert_eq!((event.kind, event.node_name.as_str()), (EventKind::MinerStarted, "rig"));
    assert_eq!(event.miner.as_deref(), Some("simulated-1"));
    assert!(world.now.wall.since_ms(event.at).abs() < 1000, "by the controller's clock");
    assert_eq!(event.number, world.events(0).last().unwrap().number, "its own number");
}

#[test]
fn what_happened_without_a_link_is_told_afterwards_exactly_once() {
    let mut world = World::linked();
    world.nodes[1].cut_off = true;
    world.cut_all(0);
    world.pass(5 * S);
    for _ in 0..40 {
        start(&mut world);
        let name = world.nodes[1].spawned.iter().rev().find_map(|c| match c {
            SpawnCommand::Start { name, .. } => Some(name.clone()),
            _ => None,
        });
        world.call(1, Request::StopMiner { name: name.unwrap() }).unwrap();
    }
    assert!(told(&mut world).is_empty());
    let wanted: Vec<String> = world
        .events(1)
        .iter()
        .filter(|e| matches!(e.kind, EventKind::MinerStarted | EventKind::MinerStopped))
        .map(|e| e.text.clone())
        .collect();
    assert_eq!(wanted.len(), 80);
    world.nodes[1].cut_off = false;
    world.pass(80 * S);
    assert_eq!(texts(&told(&mut world)), wanted);
    // Again linked, and after a restart of either end: nothing comes twice, and new ones still come.
    for round in 0..4 {
        match round {
            0 => world.cut_all(0),
            1 => world.restart(1),
            2 => world.restart(0),
            _ => {
                world.restart(0);
                world.restart(1);
            }
        }
        world.pass(80 * S);
        assert_eq!(world.links_of(0), 1);
        assert_eq!(count(&told(&mut world), EventKind::MinerStarted), 40 + round, "round {round}");
        world.call(1, Request::AddProfile { profile: Box::new(profile("demo")) }).ok();
        world.call(1, Request::StartProfile { id: "demo".to_owned() }).ok();
        assert_eq!(count(&told(&mut world), EventKind::MinerStarted), 41 + round, "round {round}");
    }
}

#[test]
fn an_answer_that_is_lost_makes_no_second_event() {
    let mut world = World::linked();
    start(&mut world);
    assert_eq!(told(&mut world).len(), 1);
    // The same message again, as a rig sends it that heard no answer.
    let event = world.events(1).last().unwrap().as_ref().clone();
    world.say(1, Body::Events { events: vec![event.clone(), event] });
    assert_eq!(told(&mut world).len(), 1);
    let heard = world.nodes[0].written.iter().filter(|o| matches!(o, StateOp::EventsHeard { .. }));
    assert_eq!(heard.count(), 1);
}

#[test]
fn a_controller_hears_nothing_from_before_it_was_registered() {
    let mut world = World::new(&[Role::Controller, Role::Worker]);
    start(&mut world);
    world.pass(S);
    world.call(0, World::add_request(1, "rig")).unwrap();
    let id = world.id(0);
    world.call(1, Request::Approve { peer: id }).unwrap();
    world.pass(5 * S);
    assert_eq!(world.links_of(0), 1);
    assert!(told(&mut world).is_empty());
}

#[test]
fn a_refused_command_is_an_event_here_and_at_the_controller() {
    let mut world = World::linked();
    let late = world.now.wall.plus_ms(-1);
    world.say(0, Body::StopMiner(MinerCommand { deadline: late, miner: None }));
    let told = told(&mut world);
    assert_eq!(count(&told, EventKind::CommandRefused), 1, "{:?}", texts(&told));
}

fn hostile(number: u64) -> EventRecord {
    EventRecord {
        number,
        at: crate::model::time::Timestamp(i64::MAX),
        node: NodeId([9; 8]),
        node_name: "\u{1b}[2Jsomeone else".to_owned(),
        kind: EventKind::CrashLoop,
        severity: Severity::Critical,
        peer: Some("\u{202e}".repeat(500)),
        miner: Some("m".repeat(5000)),
        text: "\u{1b}]0;x\u{7}".repeat(2000),
        log: vec!["\u{1b}[31m".repeat(500); 500],
    }
}

#[test]
fn a_hostile_rig_lies_about_nothing_but_itself_and_floods_nobody() {
    let mut world = World::linked();
    for n in 0..100 {
        let events = (1..=40).map(|i| hostile(1000 + n * 40 + i)).collect();
        world.say(1, Body::Events { events });
    }
    let told = told(&mut world);
    assert_eq!(told.len(), 600, "so many in ten minutes of one rig");
    let event = told.last().unwrap();
    assert_eq!(event.node_name, "rig");
    assert!(event.at <= world.now.wall);
    assert!(event.text.chars().count() <= 601 && !event.text.contains('\u{1b}'));
    assert!(event.miner.as_ref().unwrap().chars().count() <= 121);
    assert!(event.log.len() == 50 && event.log[0].chars().count() <= 161);
    assert_eq!(told.iter().filter(|e| !e.log.is_empty()).count(), 100);
    // From a node that is no rig nothing is taken at all.
    world.say(0, Body::Events { events: vec![hostile(u64::MAX)] });
    assert!(world.events(1).iter().all(|e| e.node == world.nodes[1].card.id));
}

#[test]
fn events_are_kept_for_a_week_and_in_a_bounded_number() {
    let mut world = World::linked();
    let first = world.events(1)[0].clone();
    for number in 0..KEPT as u64 + 5 {
        let event = EventRecord { number: number + 1, ..first.as_ref().clone() };
        world.nodes[1].written.push(StateOp::Event(Arc::new(event)));
    }
    world.restart(1);
    world.pass(10 * S);
    assert_eq!(world.events(1).len(), KEPT);
    assert!(world.nodes[1].written.iter().any(|o| matches!(o, StateOp::ForgetEvents(_))));
    world.now.wall = world.now.wall.plus_ms(7 * 24 * 3600 * 1000);
    world.pass(10 * S);
    let left = world.events(1);
    assert!(left.len() < 5, "{:?}", texts(&left));
}

#[test]
fn a_number_is_not_used_again_though_the_disk_lost_the_last_events() {
    let mut world = World::new(&[]);
    let saved = SavedState { epoch: 1_700_000_000, ..SavedState::default() };
    let rig = world.add(Role::Worker, saved);
    world.call(rig, Request::AddProfile { profile: Box::new(profile("demo")) }).unwrap();
    world.call(rig, Request::StartProfile { id: "demo".to_owned() }).unwrap();
    let before = world.events(rig)[0].number;
    let saved = SavedState { epoch: 1_700_000_001, ..SavedState::default() };
    let again = world.add(Role::Worker, saved);
    world.call(again, Request::AddProfile { profile: Box::new(profile("demo")) }).unwrap();
    world.call(again, Request::StartProfile { id: "demo".to_owned() }).unwrap();
    let after = world.events(again)[0].number;
    assert!(after > before && after < 1 << 53, "exact in every JSON reader");
}

#[test]
fn strangers_push_no_events_out() {
    let mut world = World::linked();
    let before = world.events(0).len();
    for key in 0..200_u8 {
        let hello = world.hello(1, Some(format!("asking-{key}")), None);
        let source = std::net::Ipv4Addr::new(10, 0, 1, key).into();
        world.greet_as(0, PublicKey([key + 50; 32]), source, hello);
        world.pass(2 * S);
    }
    assert_eq!(world.events(0).len() - before, 60);
}

#[test]
fn a_newer_link_in_the_place_of_an_older_one_is_no_event() {
    let mut world = World::linked();
    let before = world.events(0).len();
    world.pass(60 * S);
    world.link_again(0, 1);
    assert_eq!(world.events(0).len(), before);
}
