//! Supervision measured by its events: delays, crash loops, miners that hang. Time is injected.
use std::sync::Arc;
use std::time::Duration;

use super::world::{MinerPlay, World, profile, sample};
use crate::bus::{Event, MinerEvent, Reply, Request, SpawnCommand};
use crate::model::event::{EventKind, EventRecord, Severity};
use crate::model::miner::MinerState;
use crate::model::node::Role;
use crate::model::stats::{Device, Hashrate, MinerSample, MinerStats, Pool, RigState};

const S: Duration = Duration::from_secs(1);

fn started(play: MinerPlay) -> World {
    let mut world = World::new(&[Role::Worker]);
    world.nodes[0].miners = play;
    world.call(0, Request::AddProfile { profile: Box::new(profile("demo")) }).unwrap();
    drop(world.ask(0, Request::StartProfile { id: "demo".to_owned() }));
    world
}

fn miner(world: &mut World) -> MinerStats {
    match world.call(0, Request::Miner { name: "simulated-1".to_owned() }) {
        Ok(Reply::Miner(miner)) => *miner,
        other => panic!("{other:?}"),
    }
}

fn run(world: &World) -> u64 {
    let last = world.nodes[0].spawned.iter().rev().find_map(|c| match c {
        SpawnCommand::Start { run, .. } => Some(*run),
        _ => None,
    });
    last.unwrap()
}

fn starts(world: &World) -> usize {
    world.nodes[0].spawned.iter().filter(|c| matches!(c, SpawnCommand::Start { .. })).count()
}

/// How long each stop that was asked for may take.
fn graces(world: &World) -> Vec<Duration> {
    let stops = world.nodes[0].spawned.iter().filter_map(|c| match c {
        SpawnCommand::Stop { grace, .. } => Some(*grace),
        _ => None,
    });
    stops.collect()
}

fn tell(world: &mut World, event: impl FnOnce(String, u64) -> MinerEvent) {
    let run = run(world);
    world.event(0, Event::Miner(event("simulated-1".to_owned(), run)));
}

fn exit(world: &mut World, lines: &[String]) {
    let lines = lines.to_vec();
    tell(world, |name, run| MinerEvent::LastLines { name, run, lines });
    tell(world, |name, run| MinerEvent::Exited {
        name,
        run,
        code: Some(7),
        signal: None,
        reason: "it exited with code 7".to_owned(),
        permanent: false,
    });
}

/// A reading every 10 s for so long.
fn read_for(world: &mut World, time: Duration, sample: &MinerSample) {
    for _ in 0..time.as_secs() / 10 {
        let sample = Box::new(sample.clone());
        tell(world, |name, run| MinerEvent::Sample { name, run, sample });
        world.pass(10 * S);
    }
}

fn hashing() -> MinerSample {
    let hashrate = Hashrate { now: Some(500.0), highest: Some(500.0), ..Hashrate::default() };
    MinerSample { hashrate, ..sample(None) }
}

fn zero() -> MinerSample {
    let hashrate = Hashrate { now: Some(0.0), ..hashing().hashrate };
    MinerSample { hashrate, ..sample(None) }
}

fn without_pool() -> MinerSample {
    MinerSample { pool: Pool { connected: Some(false), ..Pool::default() }, ..zero() }
}

fn of(world: &mut World, kind: EventKind) -> Vec<Arc<EventRecord>> {
    world.events(0).into_iter().filter(|e| e.kind == kind).collect()
}

#[test]
fn the_delays_of_a_miner_that_exits_at_once_can_be_read_from_its_events() {
    let mut world = started(MinerPlay::Exit { permanent: false });
    world.pass(40 * S);
    let events = world.events(0);
    let mut gaps = Vec::new();
    for pair in events.windows(2) {
        if (pair[0].kind, pair[1].kind) == (EventKind::MinerExited, EventKind::MinerRestarted) {
            gaps.push(pair[1].at.since_ms(pair[0].at) as f64 / 1000.0);
        }
    }
    assert_eq!(gaps.len(), 4, "{events:?}");
    for (gap, base) in gaps.iter().zip([1.0, 2.0, 4.0, 8.0]) {
        assert!((base * 0.79..=base * 1.21 + 0.1).contains(gap), "{gaps:?}");
    }
    let last = events.last().unwrap();
    assert_eq!((last.kind, last.severity), (EventKind::CrashLoop, Severity::Critical));
    assert_eq!(starts(&world), 5);
    let before = events.len();
    // Hours later: tried every five minutes, and nothing more is said about it.
    world.pass(7200 * S);
    assert_eq!(world.events(0).len(), before);
    assert!((20..=31).contains(&(starts(&world) - 5)), "{} tries in 2 h", starts(&world) - 5);
    assert_eq!(miner(&mut world).state, MinerState::CrashLoop);
}

#[test]
fn a_crash_loop_ends_with_ten_healthy_minutes_and_says_so_once() {
    let mut world = started(MinerPlay::Exit { permanent: false });
    world.pass(40 * S);
    world.nodes[0].miners = MinerPlay::Hash(10.0);
    world.pass(600 * S);
    assert_eq!(of(&mut world, EventKind::MinerRestarted).len(), 4, "not yet");
    world.pass(700 * S);
    let restarted = of(&mut world, EventKind::MinerRestarted);
    assert_eq!(restarted.len(), 5);
    assert!(restarted[4].text.contains("over"), "{}", restarted[4].text);
    // From now on it counts from one again.
    world.nodes[0].miners = MinerPlay::Exit { permanent: false };
    exit(&mut world, &[]);
    assert_eq!(miner(&mut world).state, MinerState::Backoff);
    world.pass(40 * S);
    assert_eq!(of(&mut world, EventKind::CrashLoop).len(), 2, "a new loop is a new event");
}

#[test]
fn less_than_ten_minutes_or_no_hashes_forgive_nothing() {
    let mut world = started(MinerPlay::Mute);
    for _ in 0..3 {
        exit(&mut world, &[]);
        world.pass(10 * S);
    }
    // Fifteen minutes of waiting for a pool are no health: the next wait is the fourth.
    read_for(&mut world, 900 * S, &without_pool());
    exit(&mut world, &[]);
    let events = of(&mut world, EventKind::MinerExited);
    let text = &events[3].text;
    let wait: f64 = text.rsplit(" in ").next().unwrap().trim_end_matches(" s").parse().unwrap();
    assert!((6.4..=9.7).contains(&wait), "{text}");
    world.pass(20 * S);
    read_for(&mut world, 620 * S, &hashing());
    exit(&mut world, &[]);
    let events = of(&mut world, EventKind::MinerExited);
    assert!(
        events[4].text.ends_with(" s") && events[4].text.contains(" in 1.")
            || events[4].text.contains(" in 0."),
        "{}",
        events[4].text
    );
}

#[test]
fn the_event_of_a_crash_loop_keeps_the_last_50_lines_of_that_run() {
    let mut world = started(MinerPlay::Mute);
    for n in 0..5 {
        let lines: Vec<String> = (0..60).map(|i| format!("run {n} \u{1b}[31mline {i}")).collect();
        exit(&mut world, &lines);
        world.pass(20 * S);
    }
    // What later tries print does not take their place.
    exit(&mut world, &["later".to_owned()]);
    let events = of(&mut world, EventKind::CrashLoop);
    let log = &events[0].log;
    assert_eq!(
        (log.len(), log[0].as_str(), log[49].as_str()),
        (50, "run 4 [31mline 10", "run 4 [31mline 59")
    );
    assert!(
        world.events(0).iter().filter(|e| e.kind != EventKind::CrashLoop).all(|e| e.log.is_empty())
    );
}

#[test]
fn a_frozen_miner_is_not_hashing_then_killed_and_started_again() {
    let mut world = started(MinerPlay::Stubborn);
    read_for(&mut world, 60 * S, &hashing());
    assert_eq!(miner(&mut world).state, MinerState::Hashing);
    // SIGSTOP: the process lives, nothing comes from it any more, SIGTERM stays pending.
    world.pass(40 * S);
    assert_eq!(miner(&mut world).state, MinerState::NotHashing);
    assert!(graces(&world).is_empty(), "not before 60 s");
    world.pass(30 * S);
    assert_eq!(graces(&world), [10 * S], "SIGKILL follows soon");
    assert_eq!(miner(&mut world).state, MinerState::Stopping);
    world.pass(30 * S);
    assert_eq!(graces(&world).len(), 1, "asked once");
    exit(&mut world, &[]);
    world.pass(2 * S);
    assert_eq!(starts(&world), 2);
    let seen = miner(&mut world);
    assert_eq!(seen.restarts, 1);
    assert_eq!(
        world.kinds(0),
        [EventKind::MinerStarted, EventKind::MinerHung, EventKind::MinerRestarted]
    );
    let event = &of(&mut world, EventKind::MinerHung)[0];
    assert!(event.text.contains("no answer of its API for 60 s"), "{}", event.text);
}

#[test]
fn a_miner_whose_pool_is_away_is_not_restarted_in_15_minutes_nor_in_hours() {
    // Connected at first, and never connected.
    for first in [hashing(), without_pool()] {
        let mut world = started(MinerPlay::Stubborn);
        read_for(&mut world, 60 * S, &first);
        read_for(&mut world, 7200 * S, &without_pool());
        assert_eq!((graces(&world).len(), starts(&world)), (0, 1));
        assert_eq!(miner(&mut world).state, MinerState::NotHashing);
    }
    // Frozen while its pool was away.
    let mut world = started(MinerPlay::Stubborn);
    read_for(&mut world, 60 * S, &without_pool());
    world.pass(900 * S);
    assert_eq!(graces(&world).len(), 0);
    world.pass(400 * S);
    assert_eq!(graces(&world).len(), 1, "but not left alone for ever");
}

#[test]
fn five_minutes_without_hashes_on_a_pool_are_a_restart() {
    let mut world = started(MinerPlay::Stubborn);
    read_for(&mut world, 60 * S, &hashing());
    read_for(&mut world, 290 * S, &zero());
    assert_eq!(graces(&world).len(), 0);
    // The outage in between begins the count anew.
    read_for(&mut world, 60 * S, &without_pool());
    read_for(&mut world, 290 * S, &zero());
    assert_eq!(graces(&world).len(), 0);
    read_for(&mut world, 20 * S, &zero());
    assert_eq!(graces(&world), [10 * S]);
    let event = &of(&mut world, EventKind::MinerHung)[0];
    assert!(event.text.contains("no hashes for 5 minutes"), "{}", event.text);
}

#[test]
fn ten_minutes_are_given_before_the_first_hashrate_and_for_a_new_data_set() {
    let mut world = started(MinerPlay::Stubborn);
    read_for(&mut world, 590 * S, &sample(None));
    assert_eq!(graces(&world).len(), 0);
    read_for(&mut world, 20 * S, &sample(None));
    assert_eq!(graces(&world).len(), 1);
    // All windows are null again: threads are made anew.
    let mut world = started(MinerPlay::Stubborn);
    read_for(&mut world, 60 * S, &hashing());
    read_for(&mut world, 590 * S, &sample(None));
    assert_eq!(graces(&world).len(), 0);
    read_for(&mut world, 20 * S, &sample(None));
    assert_eq!(graces(&world).len(), 1);
}

#[test]
fn a_daemon_that_was_frozen_itself_blames_no_miner() {
    let mut world = started(MinerPlay::Stubborn);
    read_for(&mut world, 60 * S, &hashing());
    world.nodes[0].frozen = true;
    world.pass(3600 * S);
    world.nodes[0].frozen = false;
    world.pass(20 * S);
    assert_eq!(graces(&world).len(), 0);
    read_for(&mut world, 60 * S, &hashing());
    assert_eq!(graces(&world).len(), 0);
}

#[test]
fn a_miner_that_hangs_again_and_again_is_a_crash_loop_too() {
    let mut world = started(MinerPlay::Stubborn);
    let mut hangs = 0;
    // Too slowly for five exits in ten minutes.
    for _ in 0..1500 {
        if graces(&world).len() > hangs {
            hangs = graces(&world).len();
            exit(&mut world, &[]);
        }
        read_for(&mut world, 10 * S, &zero());
    }
    assert_eq!(of(&mut world, EventKind::CrashLoop).len(), 1);
    assert_eq!(of(&mut world, EventKind::MinerHung).len(), 5);
    assert!(hangs > 10, "it is tried on: {hangs}");
}

#[test]
fn a_stop_while_the_watchdog_ends_a_miner_is_a_stop() {
    let mut world = started(MinerPlay::Stubborn);
    world.pass(80 * S);
    assert_eq!(graces(&world).len(), 1);
    drop(world.ask(0, Request::StopMiner { name: "simulated-1".to_owned() }));
    exit(&mut world, &[]);
    world.pass(400 * S);
    assert_eq!((starts(&world), miner(&mut world).state), (1, MinerState::Stopped));
    assert_eq!(world.kinds(0).last(), Some(&EventKind::MinerStopped));
}

#[test]
fn a_failure_for_good_is_one_event_and_so_is_a_restart_that_was_asked_for() {
    let mut world = started(MinerPlay::Exit { permanent: true });
    world.pass(400 * S);
    assert_eq!(world.kinds(0), [EventKind::MinerStarted, EventKind::MinerFailed]);

    let mut world = started(MinerPlay::Hash(10.0));
    let node = world.nodes[0].card.clone();
    assert_eq!(node.role, Role::Worker);
    tell(&mut world, |name, run| MinerEvent::Noted {
        name,
        run,
        note: crate::bus::Note::ApiPortTaken,
    });
    assert_eq!(world.kinds(0), [EventKind::MinerStarted, EventKind::MinerRestarted]);
}

#[test]
fn one_dead_device_makes_the_rig_degraded_though_the_total_looks_fine() {
    let mut world = World::linked();
    world.nodes[1].miners = MinerPlay::Mute;
    world.call(1, Request::AddProfile { profile: Box::new(profile("demo")) }).unwrap();
    drop(world.ask(1, Request::StartProfile { id: "demo".to_owned() }));
    let device = |index, rate| Device { index, hashrate: Some(rate), ..Device::default() };
    for (second, wanted) in [(250.0, RigState::Hashing), (0.0, RigState::Degraded)] {
        let devices = vec![device(0, 250.0), device(1, second)];
        let sample = Box::new(MinerSample { devices, ..hashing() });
        let run = world.nodes[1].spawned.iter().find_map(|c| match c {
            SpawnCommand::Start { run, .. } => Some(*run),
            _ => None,
        });
        let name = "simulated-1".to_owned();
        world.event(1, Event::Miner(MinerEvent::Sample { name, run: run.unwrap(), sample }));
        world.pass(10 * S);
        assert_eq!(world.peers(0)[0].state, crate::model::peer::PeerState::Rig(wanted));
    }
}
