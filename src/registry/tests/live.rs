//! `GET /live`: what those who watch are told, when, and that nobody watching costs nothing.
use std::time::Duration;

use crossbeam_channel::Receiver;
use serde_json::Value;

use super::world::{World, profile};
use crate::bus::{LivePart, Reply, Request, wire_channel};
use crate::model::event::EventKind;
use crate::model::fault::Code;
use crate::model::node::Role;
use crate::registry::timers::Timer;

const S: Duration = Duration::from_secs(1);

struct Watch {
    follow: u64,
    parts: Receiver<LivePart>,
}

/// A message as a page reads it.
#[derive(Debug)]
struct Told {
    all: bool,
    json: Value,
    rig: bool,
    events: Vec<EventKind>,
    skipped: u64,
}

fn watch_with(world: &mut World, node: usize, rig: Option<&str>, room: usize) -> Watch {
    let (sink, parts) = wire_channel(room);
    let request = Request::WatchLive { rig: rig.map(str::to_owned), sink };
    match world.call(node, request) {
        Ok(Reply::Follow { follow }) => Watch { follow, parts },
        other => panic!("{other:?}"),
    }
}

fn watch(world: &mut World, node: usize) -> Watch {
    watch_with(world, node, None, 1000)
}

impl Watch {
    fn told(&self) -> Vec<Told> {
        let told = |part: LivePart| Told {
            all: part.news.all,
            json: serde_json::from_str(part.news.json()).unwrap(),
            rig: part.rig.is_some(),
            events: part.events.iter().map(|e| e.kind).collect(),
            skipped: part.skipped,
        };
        self.parts.try_iter().map(told).collect()
    }
}

fn keys(told: &Told) -> Vec<&str> {
    told.json.as_object().unwrap().keys().map(String::as_str).collect()
}

fn ticks(world: &World, node: usize) -> usize {
    world.nodes[node].registry.timers.count(&Timer::Live)
}

fn start(world: &mut World) {
    drop(world.call(1, Request::AddProfile { profile: Box::new(profile("demo")) }));
    world.call(1, Request::StartProfile { id: "demo".to_owned() }).unwrap();
}

#[test]
fn everything_comes_first_and_then_only_what_changed() {
    let mut world = World::linked();
    world.pass(20 * S);
    let watch = watch(&mut world, 0);
    let first = watch.told();
    assert_eq!(first.len(), 1);
    assert!(first[0].all);
    assert_eq!(keys(&first[0]), ["alerts", "at", "node", "peers", "rigs", "totals"]);
    let rig = world.id(1);
    let row = &first[0].json["rigs"][&rig];
    assert_eq!(
        (&row["name"], &row["own"], &row["state"]),
        (&"rig".into(), &false.into(), &"idle".into())
    );
    assert!(row["unreachableSince"].is_null() && row["temperature"].is_null());
    assert_eq!(first[0].json["peers"][0]["name"], "rig");

    start(&mut world);
    world.pass(30 * S);
    let told = watch.told();
    assert!(told.iter().all(|t| !t.all));
    let with_rigs: Vec<_> = told.iter().filter(|t| !t.json["rigs"].is_null()).collect();
    // A report every 10 s, and no other reason to tell of the rig.
    assert!((2..=4).contains(&with_rigs.len()), "{told:#?}");
    let miner = &with_rigs.last().unwrap().json["rigs"][&rig]["miners"][0];
    assert_eq!((&miner["name"], &miner["state"]), (&"simulated-1".into(), &"hashing".into()));
    assert_eq!(miner["hashrate"]["now"], 1000.0);
    assert_eq!(miner["pool"]["pingMs"], Value::Null);
    let last = told.iter().rev().find(|t| !t.json["totals"].is_null()).unwrap();
    assert_eq!(last.json["totals"]["algorithms"][0]["hashrate"], 1000.0);
    assert!(told.iter().all(|t| t.json["node"].is_null()), "a second of uptime is no news");
    assert!(told.iter().any(|t| t.events.contains(&EventKind::MinerStarted)));
}

#[test]
fn changes_come_at_most_every_two_seconds_and_a_heartbeat_every_ten() {
    let mut world = World::new(&[Role::Controller]);
    let watch = watch(&mut world, 0);
    watch.told();
    world.pass(35 * S);
    let told = watch.told();
    assert_eq!(told.len(), 3, "{told:#?}");
    assert!(told.iter().all(|t| keys(t) == ["at"]), "{told:#?}");
    // Ten changes are as many messages as there were ticks, not ten.
    let begun = world.now.mono;
    for n in 0..10 {
        let request = Request::AddPeer {
            trust: crate::model::trust::Trust::System,
            address: format!("10.9.9.{n}:9091"),
            name: Some(format!("far-{n}")),
            invite: None,
            public_key: Some(crate::model::key::PublicKey([n + 90; 32])),
        };
        world.call_later(0, request).unwrap();
    }
    world.pass(2 * S);
    let ticks = world.now.mono.since(begun).as_secs() / 2 + 1;
    let told = watch.told();
    let rows: usize = told.iter().map(|t| t.json["peers"].as_array().map_or(0, Vec::len)).sum();
    assert_eq!(rows, 10);
    assert!((told.len() as u64) <= ticks && ticks < 10, "{} in {ticks} ticks", told.len());
}

#[test]
fn a_peer_that_is_removed_is_gone() {
    let mut world = World::linked();
    world.pass(10 * S);
    let watch = watch(&mut world, 0);
    watch.told();
    world.call(0, Request::RemovePeer { peer: "rig".to_owned() }).unwrap();
    world.pass(2 * S);
    let told = watch.told();
    assert_eq!(told.len(), 1, "{told:#?}");
    assert_eq!(told[0].json["gone"], serde_json::json!([world.id(1)]));
    assert_eq!(told[0].json["node"]["registeredPeers"], 0);
    assert_eq!(told[0].events, [EventKind::PeerRemoved]);
    assert!(told[0].json["rigs"].is_null());
}

#[test]
fn without_watchers_there_is_no_timer_and_no_picture() {
    let mut world = World::linked();
    world.pass(20 * S);
    assert_eq!(ticks(&world, 0), 0);
    let (one, two) = (watch(&mut world, 0), watch(&mut world, 0));
    assert_eq!(ticks(&world, 0), 1, "one timer for all");
    world.pass(9 * S);
    assert_eq!(ticks(&world, 0), 1);
    world.call(0, Request::Unfollow { follow: one.follow }).unwrap();
    world.pass(4 * S);
    assert_eq!(ticks(&world, 0), 1);
    world.call(0, Request::Unfollow { follow: two.follow }).unwrap();
    two.told();
    world.pass(4 * S);
    assert_eq!(ticks(&world, 0), 0);
    assert!(two.told().is_empty());
    // Someone whose channel is gone is found out.
    drop(watch(&mut world, 0).parts);
    world.pass(30 * S);
    assert_eq!(ticks(&world, 0), 0);
    assert!(world.nodes[0].registry.live.is_idle());
}

#[test]
fn a_reader_that_lags_gets_everything_again_and_holds_up_no_other() {
    let mut world = World::linked();
    world.pass(10 * S);
    let slow = watch_with(&mut world, 0, None, 2);
    let fast = watch(&mut world, 0);
    start(&mut world);
    world.pass(60 * S);
    let seen = fast.told();
    assert!(seen.len() > 5 && seen.iter().skip(1).all(|t| !t.all), "{}", seen.len());
    let told = slow.told();
    assert_eq!(told.iter().map(|t| t.all).collect::<Vec<_>>(), [true, false], "what had room");
    world.pass(2 * S);
    let told = slow.told();
    assert_eq!(told.len(), 1, "it does not wait for a change");
    assert!(told[0].all);
    let rig = &told[0].json["rigs"][&world.id(1)];
    assert_eq!(rig["miners"][0]["state"], "hashing");
    world.pass(30 * S);
    assert!(slow.told().iter().all(|t| !t.all));
}

#[test]
fn a_flood_of_events_is_counted_not_kept() {
    let mut world = World::linked();
    let watch = watch(&mut world, 1);
    watch.told();
    drop(world.call(1, Request::AddProfile { profile: Box::new(profile("demo")) }));
    for _ in 0..300 {
        world.call(1, Request::StartProfile { id: "demo".to_owned() }).unwrap();
        let name = world.nodes[1].spawned.iter().rev().find_map(|c| match c {
            crate::bus::SpawnCommand::Start { name, .. } => Some(name.clone()),
            _ => None,
        });
        world.call(1, Request::StopMiner { name: name.unwrap() }).unwrap();
    }
    world.pass(2 * S);
    let told = watch.told();
    assert_eq!((told[0].events.len(), told[0].skipped), (500, 100));
}

#[test]
fn a_node_that_mines_is_a_row_of_its_own_and_is_told_when_it_changes() {
    let mut world = World::linked();
    world.pass(20 * S);
    let watch = watch(&mut world, 1);
    let own = world.id(1);
    let first = watch.told();
    assert_eq!(first[0].json["rigs"][&own]["own"], true);
    assert_eq!(first[0].json["rigs"][&own]["miners"].as_array().unwrap().len(), 0);
    world.pass(4 * S);
    start(&mut world);
    world.pass(2 * S);
    let told = watch.told();
    let row = &told.last().unwrap().json["rigs"][&own]["miners"][0];
    assert_eq!(row["name"], "simulated-1");
    // Its clocks alone are told every 10 s, so that its age is right.
    world.pass(61 * S);
    let rows = watch.told().iter().filter(|t| !t.json["rigs"].is_null()).count();
    assert!((6..=13).contains(&rows), "{rows}");
}

#[test]
fn the_whole_report_of_one_rig_comes_along_when_it_changed() {
    let mut world = World::linked();
    world.pass(10 * S);
    let watch = watch_with(&mut world, 0, Some("rig"), 1000);
    assert!(watch.told()[0].rig);
    world.pass(30 * S);
    let told = watch.told();
    let with = told.iter().filter(|t| t.rig).count();
    assert!((2..=4).contains(&with) && with < told.len(), "{told:#?}");
    let (sink, _parts) = wire_channel(1);
    let nobody = Request::WatchLive { rig: Some("nobody".to_owned()), sink };
    assert_eq!(world.call(0, nobody).unwrap_err().code, Code::PeerNotFound);
}

#[test]
fn a_rig_that_falls_silent_is_told_though_nothing_came() {
    let mut world = World::linked();
    start(&mut world);
    world.pass(20 * S);
    let watch = watch(&mut world, 0);
    watch.told();
    world.nodes[1].frozen = true;
    world.pass(40 * S);
    let rig = world.id(1);
    let told = watch.told();
    let row = told.iter().rev().find(|t| !t.json["rigs"].is_null()).unwrap();
    let row = &row.json["rigs"][&rig];
    assert_eq!(row["state"], "unreachable");
    assert!(row["unreachableSince"].is_string());
    assert_eq!(row["miners"][0]["hashrate"]["now"], Value::Null);
    let totals = told.iter().rev().find(|t| !t.json["totals"].is_null()).unwrap();
    assert_eq!(totals.json["totals"]["rigs"]["unreachable"], 1);
}
