//! Commands: who may give them, that none runs twice or late, and what the answers say.
use std::time::Duration;

use super::world::{MinerPlay, World, profile};
use crate::bus::{Reply, Request, SpawnCommand, StateOp};
use crate::model::fault::Code;
use crate::model::node::Role;
use crate::model::time::Timestamp;
use crate::smsg::messages::{Body, DeployProfile, MinerCommand, StartMiner};

const S: Duration = Duration::from_secs(1);

fn start_body(world: &World) -> Body {
    let mut profile = profile("demo");
    profile.id = "demo".to_owned();
    Body::StartMiner(Box::new(StartMiner {
        deadline: world.now.wall.plus_ms(10_000),
        profile_id: "demo".to_owned(),
        profile: Some(profile),
        miner_type: None,
        config: None,
    }))
}

fn starts(world: &World, node: usize) -> usize {
    world.nodes[node].spawned.iter().filter(|c| matches!(c, SpawnCommand::Start { .. })).count()
}

fn refusals(world: &World, node: usize) -> Vec<String> {
    let rows = world.nodes[node].written.iter().filter_map(|op| match op {
        StateOp::Audit(row) if row.signed.is_some() && row.result != "accepted" => {
            Some(row.result.clone())
        }
        _ => None,
    });
    rows.collect()
}

fn remote_start() -> Request {
    Request::RemoteStart {
        peer: "rig".to_owned(),
        profile_id: "demo".to_owned(),
        miner_type: None,
        config: None,
    }
}

fn with_profile() -> World {
    let mut world = World::linked();
    world.call(0, Request::AddProfile { profile: Box::new(profile("demo")) }).unwrap();
    world
}

#[test]
fn a_command_runs_after_its_sequence_number_is_on_disk_and_is_audited() {
    let mut world = World::linked();
    world.nodes[1].disk_full = true;
    let body = start_body(&world);
    world.say(0, body.clone());
    assert_eq!(starts(&world, 1), 0, "nothing is kept on disk, so nothing runs");
    world.nodes[1].disk_full = false;
    world.say(0, body);
    assert_eq!(starts(&world, 1), 1);
    let written = &world.nodes[1].written;
    let place = |f: fn(&StateOp) -> bool| written.iter().position(f).unwrap();
    assert!(
        place(|o| matches!(o, StateOp::LastCommand { .. }))
            < place(|o| matches!(o, StateOp::PutMiner(_)))
    );
    assert!(
        written.iter().any(
            |o| matches!(o, StateOp::Audit(r) if r.what == "start_miner" && r.signed.is_some())
        )
    );
}

#[test]
fn a_recorded_command_is_refused_also_by_a_restarted_rig() {
    let mut world = World::linked();
    let body = start_body(&world);
    world.nodes[0].replay_seq = Some(500);
    world.say(0, body.clone());
    assert_eq!(starts(&world, 1), 1);
    world.say(0, body.clone());
    assert_eq!(starts(&world, 1), 1, "the same number again");
    world.nodes[0].replay_seq = Some(499);
    world.say(0, body);
    assert_eq!(starts(&world, 1), 1, "an older number");
    assert!(refusals(&world, 1)[0].contains("sequence number"));
}

#[test]
fn a_worker_commands_nobody_and_a_controller_obeys_nobody() {
    let mut world = World::linked();
    let body = start_body(&world);
    world.say(1, body);
    assert_eq!(starts(&world, 0), 0);
    assert!(refusals(&world, 0)[0].contains("obeys no commands"));

    // Two workers that registered each other.
    let mut world = World::new(&[Role::Worker, Role::Worker]);
    world.call(0, World::add_request(1, "rig")).unwrap();
    let id = world.id(0);
    world.call(1, Request::Approve { peer: id }).unwrap();
    world.pass(5 * S);
    let body = start_body(&world);
    world.say(0, body);
    world.say(0, Body::GetStats {});
    assert_eq!(starts(&world, 1), 0);
    assert!(refusals(&world, 1)[0].contains("role is worker"));
    let fault = world.call(0, Request::RemoteStats { peer: "rig".to_owned() }).unwrap_err();
    assert_eq!(fault.code, Code::NotAllowed);
}

#[test]
fn a_command_read_after_its_deadline_is_not_carried_out_and_says_so() {
    let mut world = World::linked();
    let late = Timestamp(world.now.wall.0 - 1);
    world.say(0, Body::StopMiner(MinerCommand { deadline: late, miner: None }));
    assert!(refusals(&world, 1)[0].contains("after its deadline"));
}

#[test]
fn what_was_answered_timed_out_never_happens() {
    let mut world = with_profile();
    world.nodes[1].frozen = true;
    let fault = world.call_later(0, remote_start()).unwrap_err();
    assert_eq!(fault.code, Code::Timeout);
    // The rig thaws and finds the command in its socket.
    world.nodes[1].frozen = false;
    let body = start_body(&world);
    let Body::StartMiner(mut start) = body else { unreachable!() };
    start.deadline = world.now.wall.plus_ms(-15_000);
    world.say(0, Body::StartMiner(start));
    assert_eq!(starts(&world, 1), 0);
}

#[test]
fn clocks_that_differ_by_an_hour_do_not_spoil_deadlines() {
    for ahead in [-3_600_000, 3_600_000] {
        let mut world = World::new(&[Role::Controller, Role::Worker]);
        world.nodes[1].clock_ahead = ahead;
        world.call(0, World::add_request(1, "rig")).unwrap();
        let id = world.id(0);
        world.call(1, Request::Approve { peer: id }).unwrap();
        world.pass(5 * S);
        world.call(0, Request::AddProfile { profile: Box::new(profile("demo")) }).unwrap();
        assert_eq!(
            world.call_later(0, remote_start()),
            Ok(Reply::Started { miner: "simulated-1".to_owned() })
        );
    }
}

#[test]
fn a_clock_that_jumps_between_two_pings_costs_no_command() {
    for ahead in [-86_400_000, -10_000, 60_000, 86_400_000] {
        let mut world = with_profile();
        world.nodes[1].clock_ahead = ahead;
        assert_eq!(
            world.call_later(0, remote_start()),
            Ok(Reply::Started { miner: "simulated-1".to_owned() }),
            "{ahead} ms"
        );
        assert_eq!(starts(&world, 1), 1, "once");
    }
}

#[test]
fn start_stop_restart_answer_with_what_became_of_the_miners() {
    let mut world = with_profile();
    world.call_later(0, remote_start()).unwrap();
    let restart = Request::RemoteRestart { peer: "rig".to_owned(), miner: None };
    let names = vec!["simulated-1".to_owned()];
    let done =
        |status: &str| Ok(Reply::Miners { status: status.to_owned(), miners: names.clone() });
    assert_eq!(world.call_later(0, restart), done("restarted"));
    assert_eq!(starts(&world, 1), 2);
    world.nodes[1].miners = MinerPlay::Stubborn;
    let stop =
        Request::RemoteStop { peer: "rig".to_owned(), miner: Some("simulated-1".to_owned()) };
    assert_eq!(world.call_later(0, stop), done("stopping"));
    let unknown =
        Request::RemoteStop { peer: "rig".to_owned(), miner: Some("simulated".to_owned()) };
    assert_eq!(
        world.call_later(0, unknown).unwrap_err().code,
        Code::MinerNotFound,
        "names match whole"
    );
}

#[test]
fn a_start_that_cannot_succeed_is_the_rigs_fault_with_its_reason() {
    let mut world = with_profile();
    world.nodes[1].miners = MinerPlay::Exit { permanent: true };
    let fault = world.call_later(0, remote_start()).unwrap_err();
    assert_eq!(fault.code, Code::RigFailed);
    assert!(fault.message.contains("exited with code 2"), "{fault}");
    assert!(
        world.nodes[1].written.iter().any(|o| matches!(o, StateOp::DeleteMiner { .. })),
        "not kept in mind"
    );
    world.pass(700 * S);
    assert_eq!(starts(&world, 1), 1, "not tried again");
}

#[test]
fn a_profile_is_deployed_whole_or_not_at_all() {
    let mut world = with_profile();
    let deploy = Request::RemoteDeploy { peer: "rig".to_owned(), profile_id: "demo".to_owned() };
    assert_eq!(world.call(0, deploy.clone()), Ok(Reply::Deployed));
    assert!(matches!(
        world.call(1, Request::Profile { id: "demo".to_owned() }),
        Ok(Reply::Profile(_))
    ));
    // A controller that sends nonsense: the rig keeps what it has.
    let mut wrong = profile("demo");
    wrong.id = "../../x".to_owned();
    world.say(
        0,
        Body::DeployProfile(Box::new(DeployProfile { deadline: world.now.wall, profile: wrong })),
    );
    let Ok(Reply::Profiles(kept)) = world.call(1, Request::Profiles) else { panic!() };
    assert_eq!(kept.len(), 1);
    world.nodes[1].disk_full = true;
    assert_eq!(world.call(0, deploy).unwrap_err().code, Code::NotSaved);
}

#[test]
fn a_deployment_that_fails_leaves_the_old_profile_there() {
    let mut world = with_profile();
    let deploy = Request::RemoteDeploy { peer: "rig".to_owned(), profile_id: "demo".to_owned() };
    world.call(0, deploy.clone()).unwrap();
    let kept = |world: &mut World| world.call(1, Request::Profile { id: "demo".to_owned() });
    let old = kept(&mut world);
    assert!(old.is_ok());

    // The rig checks for itself what a controller of another version let through.
    let mut wrong = profile("demo");
    wrong.id = "demo".to_owned();
    wrong.config.pool = Some("no port".to_owned());
    let deadline = world.now.wall.plus_ms(10_000);
    world.say(0, Body::DeployProfile(Box::new(DeployProfile { deadline, profile: wrong })));
    assert_eq!(kept(&mut world), old);

    let mut new = profile("demo");
    new.config.hashrate = Some(5.0);
    let edit = Request::EditProfile { id: "demo".to_owned(), profile: Box::new(new) };
    world.call(0, edit).unwrap();
    world.nodes[1].disk_full = true;
    assert_eq!(world.call(0, deploy.clone()).unwrap_err().code, Code::NotSaved);
    assert_eq!(kept(&mut world), old);
    world.nodes[1].disk_full = false;
    world.call(0, deploy).unwrap();
    assert_ne!(kept(&mut world), old);
}

#[test]
fn logs_come_in_and_an_unknown_miner_is_named() {
    let mut world = with_profile();
    world.call_later(0, remote_start()).unwrap();
    let logs = |miner: &str| Request::RemoteLogs {
        peer: "rig".to_owned(),
        miner: miner.to_owned(),
        lines: 2,
        previous: false,
    };
    assert_eq!(
        world.call(0, logs("simulated-1")),
        Ok(Reply::Lines(vec!["line 0".to_owned(), "line 1".to_owned()]))
    );
    let fault = world.call(0, logs("xmrig-9")).unwrap_err();
    assert_eq!(fault.code, Code::MinerNotFound);
    assert!(fault.hint.unwrap().contains("simulated-1"));
}

#[test]
fn hostile_reports_are_cleaned_and_cannot_speak_for_another() {
    let mut world = with_profile();
    world.call_later(0, remote_start()).unwrap();
    let Ok(Reply::Stats(stats)) = world.call(0, Request::RemoteStats { peer: "rig".to_owned() })
    else {
        panic!()
    };
    let mut stats = Box::new(stats.as_ref().clone());
    stats.node_name = "node-0".to_owned();
    stats.node_id = world.nodes[0].card.id;
    stats.miners[0].algorithm = Some(format!("rx\u{1b}[2J\u{202e}{}", "x".repeat(10_000)));
    stats.miners[0].hashrate.now = Some(-5.0);
    let mut slash = stats.miners[0].clone();
    slash.name = "../x".to_owned();
    stats.miners.push(slash);
    world.say(1, Body::Stats(stats));
    let Ok(Reply::AllStats(all)) = world.call(0, Request::RemoteStatsAll) else { panic!() };
    let (id, seen) = &all[0];
    assert_eq!((*id, seen.node_name.as_str()), (world.nodes[1].card.id, "rig"));
    assert_eq!(seen.node_id, world.nodes[1].card.id);
    assert_eq!(seen.miners.len(), 1);
    let algorithm = seen.miners[0].algorithm.as_ref().unwrap();
    assert!(!algorithm.contains('\u{1b}') && algorithm.chars().count() < 130);
    assert_eq!(seen.miners[0].hashrate.now, None);
}
