//! Supervision of this node's miners, with time injected.
use std::time::Duration;

use super::world::{MinerPlay, World, profile, sample};
use crate::bus::{Event, MinerEvent, Note, Reply, Request, SavedState, SpawnCommand, StateOp};
use crate::model::fault::Code;
use crate::model::miner::{DesiredMiner, MinerState};
use crate::model::node::Role;
use crate::model::stats::{MinerSample, MinerStats, Pool};
use crate::model::time::Mono;

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

fn tell(world: &mut World, event: impl FnOnce(String, u64) -> MinerEvent) {
    let run = run(world);
    world.event(0, Event::Miner(event("simulated-1".to_owned(), run)));
}

fn read(world: &mut World, sample: MinerSample) {
    tell(world, |name, run| MinerEvent::Sample { name, run, sample: Box::new(sample) });
}

#[test]
fn a_hashrate_is_null_until_it_is_known_and_never_zero_instead() {
    let mut world = started(MinerPlay::Mute);
    read(&mut world, sample(None));
    let seen = miner(&mut world);
    assert_eq!((seen.state, seen.hashrate.now), (MinerState::Starting, None));
    read(&mut world, sample(Some(500.0)));
    let seen = miner(&mut world);
    assert_eq!((seen.state, seen.hashrate.now), (MinerState::Hashing, Some(500.0)));
    // The API falls silent: after 25 s there is no reading, and the reason says so.
    world.pass(30 * S);
    let seen = miner(&mut world);
    assert_eq!((seen.state, seen.hashrate.now), (MinerState::NotHashing, None));
    assert!(seen.reason.unwrap().contains("API"));
    assert_eq!(seen.accepted, Some(3), "counters stay");
}

#[test]
fn a_lost_pool_is_named_with_what_the_pool_said() {
    let mut world = started(MinerPlay::Mute);
    read(&mut world, sample(Some(500.0)));
    let pool = Pool { url: Some("p:1".to_owned()), connected: Some(false), ping_ms: None };
    read(&mut world, MinerSample { pool, ..sample(Some(80.0)) });
    tell(&mut world, |name, run| MinerEvent::Noted {
        name,
        run,
        note: Note::PoolTrouble("connection refused".into()),
    });
    let pool = Pool { url: Some("p:1".to_owned()), connected: Some(false), ping_ms: None };
    read(&mut world, MinerSample { pool, ..sample(Some(0.0)) });
    world.pass(16 * S);
    let pool = Pool { url: Some("p:1".to_owned()), connected: Some(false), ping_ms: None };
    read(&mut world, MinerSample { pool, ..sample(Some(0.0)) });
    let seen = miner(&mut world);
    assert_eq!(seen.state, MinerState::NotHashing);
    assert_eq!(seen.reason.as_deref(), Some("not connected to its pool: connection refused"));
    assert_eq!(seen.pool.url.as_deref(), Some("p:1"));
}

#[test]
fn five_exits_in_ten_minutes_are_a_crash_loop_with_growing_waits_before() {
    let mut world = started(MinerPlay::Exit { permanent: false });
    let mut at: Vec<Mono> = Vec::new();
    let mut seen = 0;
    for _ in 0..3000 {
        if starts(&world) > seen {
            seen = starts(&world);
            at.push(world.now.mono);
        }
        world.pass(Duration::from_millis(100));
    }
    let gaps: Vec<f64> = at.windows(2).map(|w| w[1].since(w[0]).as_secs_f64()).collect();
    for (gap, base) in gaps.iter().zip([1.0, 2.0, 4.0, 8.0]) {
        assert!((base * 0.79..=base * 1.21 + 0.1).contains(gap), "{gaps:?}");
    }
    assert_eq!(
        seen,
        5 + usize::from(gaps.len() > 4),
        "five starts, then one try every five minutes: {gaps:?}"
    );
    assert_eq!(miner(&mut world).state, MinerState::CrashLoop);
    world.nodes[0].miners = MinerPlay::Hash(10.0);
    world.pass(400 * S);
    let seen = miner(&mut world);
    assert_eq!(seen.state, MinerState::Hashing);
    assert!(seen.restarts >= 5);
}

#[test]
fn an_exit_that_a_restart_cannot_mend_is_a_failure_at_once() {
    let mut world = started(MinerPlay::Exit { permanent: true });
    world.pass(400 * S);
    assert_eq!(starts(&world), 1);
    let seen = miner(&mut world);
    assert_eq!(seen.state, MinerState::Failed);
    assert_eq!(seen.reason.as_deref(), Some("it exited with code 2"));
}

#[test]
fn a_miner_without_api_because_its_port_was_taken_is_started_anew() {
    let mut world = started(MinerPlay::Hash(10.0));
    tell(&mut world, |name, run| MinerEvent::Noted { name, run, note: Note::ApiPortTaken });
    assert_eq!(starts(&world), 2);
    assert_eq!(miner(&mut world).restarts, 1);
}

#[test]
fn what_should_run_is_on_disk_before_it_runs_and_off_it_before_a_stop_is_answered() {
    let mut world = World::new(&[Role::Worker]);
    world.call(0, Request::AddProfile { profile: Box::new(profile("demo")) }).unwrap();
    world.nodes[0].disk_full = true;
    let fault = world.call(0, Request::StartProfile { id: "demo".to_owned() }).unwrap_err();
    assert_eq!((fault.code, starts(&world)), (Code::NotSaved, 0));
    world.nodes[0].disk_full = false;
    let reply = world.call(0, Request::StartProfile { id: "demo".to_owned() });
    assert_eq!(
        reply,
        Ok(Reply::Started { miner: "simulated-2".to_owned() }),
        "a number is never used again"
    );
    world.nodes[0].disk_full = true;
    let stop = Request::StopMiner { name: "simulated-2".to_owned() };
    assert_eq!(world.call(0, stop.clone()).unwrap_err().code, Code::NotSaved);
    assert!(!world.nodes[0].spawned.iter().any(|c| matches!(c, SpawnCommand::Stop { .. })));
    world.nodes[0].disk_full = false;
    world.call(0, stop).unwrap();
    let gone = |op: &StateOp| matches!(op, StateOp::DeleteMiner { .. });
    assert!(world.nodes[0].written.iter().any(gone));
}

#[test]
fn what_should_run_starts_with_the_daemon_under_its_own_name() {
    let mut world = World::new(&[]);
    let mut wanted = profile("demo");
    wanted.id = "demo".to_owned();
    let miners = vec![DesiredMiner { name: "simulated-7".to_owned(), profile: wanted }];
    let miner_numbers = vec![("simulated".to_owned(), 7)];
    world.add(Role::Worker, SavedState { miners, miner_numbers, ..SavedState::default() });
    assert!(
        matches!(&world.nodes[0].spawned[..], [SpawnCommand::Start { name, .. }] if name == "simulated-7")
    );
    world.call(0, Request::AddProfile { profile: Box::new(profile("demo")) }).unwrap();
    let reply = world.call(0, Request::StartProfile { id: "demo".to_owned() });
    assert_eq!(reply, Ok(Reply::Started { miner: "simulated-8".to_owned() }));
}

#[test]
fn events_of_an_earlier_process_do_not_touch_the_present_one() {
    let mut world = started(MinerPlay::Hash(10.0));
    let old = run(&world);
    tell(&mut world, |name, run| MinerEvent::Noted { name, run, note: Note::ApiPortTaken });
    let gone = MinerEvent::Exited {
        name: "simulated-1".to_owned(),
        run: old,
        code: None,
        signal: Some(9),
        reason: "late".to_owned(),
        permanent: true,
    };
    world.event(0, Event::Miner(gone));
    assert_ne!(miner(&mut world).state, MinerState::Failed);
}

#[test]
fn only_the_last_few_ended_miners_are_shown() {
    let mut world = started(MinerPlay::Hash(10.0));
    for n in 2..=15 {
        world.call(0, Request::StartProfile { id: "demo".to_owned() }).unwrap();
        world.call(0, Request::StopMiner { name: format!("simulated-{n}") }).unwrap();
    }
    let Ok(Reply::MinerList(list)) = world.call(0, Request::Miners) else { panic!() };
    assert_eq!(list.len(), 9, "one that runs and eight that ended");
    assert_eq!(list.iter().filter(|m| m.state == MinerState::Stopped).count(), 8);
}

#[test]
fn the_last_hour_is_kept_with_gaps_where_nothing_was_read() {
    let mut world = started(MinerPlay::Hash(10.0));
    world.pass(30 * S);
    world.nodes[0].miners = MinerPlay::Mute;
    world.pass(60 * S);
    let Ok(Reply::History(past)) =
        world.call(0, Request::HashrateHistory { name: "simulated-1".to_owned() })
    else {
        panic!()
    };
    assert!(past.iter().any(|(_, r)| *r == Some(10.0)) && past.iter().any(|(_, r)| r.is_none()));
    world.pass(3700 * S);
    let Ok(Reply::History(past)) =
        world.call(0, Request::HashrateHistory { name: "simulated-1".to_owned() })
    else {
        panic!()
    };
    assert_eq!(past.len(), 360);
}

#[test]
fn a_pure_controller_runs_no_miners() {
    let mut world = World::new(&[Role::Controller]);
    world.call(0, Request::AddProfile { profile: Box::new(profile("demo")) }).unwrap();
    let fault = world.call(0, Request::StartProfile { id: "demo".to_owned() }).unwrap_err();
    assert_eq!(fault.code, Code::NotAllowed);
}

#[test]
fn a_share_of_a_miner_that_began_anew_is_one() {
    let mut world = started(MinerPlay::Mute);
    let at = |uptime, accepted| MinerSample {
        uptime: Some(uptime),
        accepted: Some(accepted),
        ..sample(Some(500.0))
    };
    read(&mut world, at(600, 12));
    assert_eq!(miner(&mut world).last_share_at, None);
    // It started itself anew within its process, as a miner's own watchdog does, and counts again.
    world.pass(10 * S);
    read(&mut world, at(5, 12));
    let shared = miner(&mut world).last_share_at;
    assert!(shared.is_some());
    world.pass(10 * S);
    read(&mut world, at(15, 12));
    assert_eq!(miner(&mut world).last_share_at, shared);
}

#[test]
fn a_miner_that_does_not_tell_its_algorithm_has_that_of_its_profile() {
    let mut world = started(MinerPlay::Mute);
    let nameless = || MinerSample { algorithm: None, ..sample(Some(500.0)) };
    read(&mut world, nameless());
    let said = miner(&mut world).algorithm;
    assert_eq!(said, profile("demo").config.algo);
    let mut coin = profile("coin");
    (coin.config.algo, coin.config.coin) = (None, Some("rvn".to_owned()));
    let mut world = World::new(&[Role::Worker]);
    world.nodes[0].miners = MinerPlay::Mute;
    world.call(0, Request::AddProfile { profile: Box::new(coin) }).unwrap();
    drop(world.ask(0, Request::StartProfile { id: "coin".to_owned() }));
    read(&mut world, nameless());
    assert_eq!(miner(&mut world).algorithm.as_deref(), Some("RVN"));
}
