//! A rig's own `[policy]`: whatever breaks it does not happen, and the refusal is told, written and raised.
use super::world::{World, profile};
use crate::bus::{Reply, Request, SavedState, SpawnCommand, StateOp};
use crate::model::fault::{Code, Fault};
use crate::model::key::PublicKey;
use crate::model::miner::{DesiredMiner, MinerState};
use crate::model::node::Role;
use crate::model::policy::{Policy, Remote};
use crate::model::profile::{Profile, ProfileConfig};

/// A simulated profile called `demo` for this wallet.
fn demo(wallet: &str) -> Profile {
    let mut profile = profile("demo");
    profile.id = "demo".to_owned();
    profile.config.wallet = Some(wallet.to_owned());
    profile.config.pool = Some("pool.example:3333".to_owned());
    profile
}

fn pinned() -> Policy {
    Policy {
        wallets: Some(vec!["48W".to_owned()]),
        pools: Some(vec!["pool.example".parse().unwrap()]),
        arguments: Some(vec![]),
        ..Policy::default()
    }
}

fn remote_only(remote: Remote) -> Policy {
    Policy { remote, ..Policy::default() }
}

fn add(world: &mut World, node: usize, profile: &Profile) {
    world.call(node, Request::AddProfile { profile: Box::new(profile.clone()) }).unwrap();
}

fn start_with(config: Option<ProfileConfig>) -> Request {
    Request::RemoteStart {
        peer: "rig".to_owned(),
        profile_id: "demo".to_owned(),
        miner_type: None,
        config: config.map(Box::new),
    }
}

fn start() -> Request {
    start_with(None)
}

fn deploy() -> Request {
    Request::RemoteDeploy { peer: "rig".to_owned(), profile_id: "demo".to_owned() }
}

fn stop() -> Request {
    Request::RemoteStop { peer: "rig".to_owned(), miner: None }
}

fn restart() -> Request {
    Request::RemoteRestart { peer: "rig".to_owned(), miner: None }
}

fn starts(world: &World, node: usize) -> usize {
    world.nodes[node].spawned.iter().filter(|c| matches!(c, SpawnCommand::Start { .. })).count()
}

/// The controller's request is refused by the rig's policy with these words; nothing happened there, and the refusal
/// was written on the rig and raised at both ends.
#[track_caller]
fn refused(world: &mut World, request: Request, words: &str) {
    let (spawned, told) = (world.nodes[1].spawned.len(), world.nodes[0].logged.len());
    world.nodes[1].written.clear();
    world.nodes[1].logged.clear();
    let fault = world.call_later(0, request).unwrap_err();
    assert_eq!(fault.code, Code::Policy, "{fault}");
    assert!(fault.message.contains(words), "{fault}");
    assert_eq!(world.nodes[1].spawned.len(), spawned, "nothing was started or stopped");
    let beside = |op: &StateOp| matches!(op, StateOp::Event(_) | StateOp::PutAlert(_));
    world.nodes[1].written.retain(|op| !beside(op));
    let [StateOp::Audit(row)] = &world.nodes[1].written[..] else {
        panic!("one audit row and nothing else: {:?}", world.nodes[1].written);
    };
    assert!(row.result.contains(words) && row.signed.is_some(), "{row:?}");
    assert_eq!(row.key, Some(world.nodes[0].card.public_key));
    let raised = |node: usize, from: usize| {
        world.nodes[node].logged[from..].iter().any(|line| line.contains(words))
    };
    assert!(raised(1, 0), "on the rig: {:?}", world.nodes[1].logged);
    assert!(raised(0, told), "at the controller: {:?}", world.nodes[0].logged);
}

#[test]
fn another_wallet_or_pool_is_refused_in_a_start_and_a_deploy_alike() {
    let mut other_pool = demo("48W");
    other_pool.config.pools = vec!["pool.example:1".to_owned(), "evil.example:1".to_owned()];
    for (profile, words) in
        [(demo("49Evil"), "config.wallet: 49Evil"), (other_pool, "config.pools[1]: evil.example:1")]
    {
        let mut world = World::linked_with(pinned());
        add(&mut world, 0, &profile);
        refused(&mut world, start(), words);
        refused(&mut world, deploy(), words);
    }
}

#[test]
fn what_fits_the_policy_runs() {
    let mut world = World::linked_with(pinned());
    add(&mut world, 0, &demo("48W.{rig}"));
    world.call_later(0, start()).unwrap();
    assert_eq!(world.call(0, deploy()), Ok(Reply::Deployed));
    assert_eq!(starts(&world, 1), 1);
}

#[test]
fn overrides_of_a_start_are_held_against_the_policy_too() {
    let mut world = World::linked_with(pinned());
    add(&mut world, 0, &demo("48W"));
    let wallet = ProfileConfig { wallet: Some("49Evil".to_owned()), ..ProfileConfig::default() };
    refused(&mut world, start_with(Some(wallet)), "config.wallet: 49Evil");
    let pool =
        ProfileConfig { pool: Some("evil.example:1".to_owned()), ..ProfileConfig::default() };
    refused(&mut world, start_with(Some(pool)), "config.pool: evil.example:1");
    // The carried profile would be kept, so an override does not make it good.
    let mut world = World::linked_with(pinned());
    add(&mut world, 0, &demo("49Evil"));
    let wallet = ProfileConfig { wallet: Some("48W".to_owned()), ..ProfileConfig::default() };
    refused(&mut world, start_with(Some(wallet)), "config.wallet: 49Evil");
}

#[test]
fn arguments_are_limited_further_than_the_allow_list_does() {
    let mut world = World::linked_with(pinned());
    let mut profile = demo("48W");
    profile.miner_type = "xmrig".to_owned();
    profile.config.hashrate = None;
    profile.config.cli_args = vec!["--donate-level=10".to_owned()];
    add(&mut world, 0, &profile);
    refused(&mut world, start(), "config.cliArgs[0]: --donate-level=10");
}

#[test]
fn a_controller_that_is_not_listed_reads_and_does_not_command() {
    let others = Policy { controllers: Some(vec![PublicKey([99; 32])]), ..Policy::default() };
    let mut world = World::linked_with(others);
    add(&mut world, 0, &demo("48W"));
    for request in [start(), deploy(), stop(), restart()] {
        refused(&mut world, request, "controllers: ");
    }
    assert!(world.call(0, Request::RemoteStats { peer: "rig".to_owned() }).is_ok());
    let this = Policy { controllers: Some(vec![PublicKey([1; 32])]), ..Policy::default() };
    let mut world = World::linked_with(this);
    assert_eq!(world.nodes[0].card.public_key, PublicKey([1; 32]));
    add(&mut world, 0, &demo("48W"));
    world.call_later(0, start()).unwrap();
}

#[test]
fn read_only_refuses_every_write() {
    let mut world = World::linked_with(remote_only(Remote::ReadOnly));
    add(&mut world, 0, &demo("48W"));
    add(&mut world, 1, &demo("48W"));
    world.call_later(1, Request::StartProfile { id: "demo".to_owned() }).unwrap();
    for request in [start(), deploy(), stop(), restart()] {
        refused(&mut world, request, "read-only");
    }
    assert_eq!(starts(&world, 1), 1, "the one that its owner started");
    let logs = Request::RemoteLogs {
        peer: "rig".to_owned(),
        miner: "simulated-1".to_owned(),
        lines: 1,
        previous: false,
    };
    assert!(world.call(0, logs).is_ok(), "reading is free");
}

#[test]
fn start_stop_starts_what_the_rig_has_and_nothing_else() {
    let mut world = World::linked_with(remote_only(Remote::StartStop));
    add(&mut world, 0, &demo("49Evil"));
    refused(&mut world, deploy(), "peers deploy nothing");
    refused(&mut world, start(), "not on the rig");
    // The rig has another one under that name.
    add(&mut world, 1, &demo("48W"));
    refused(&mut world, start(), "differs");
    let fault = world.call(1, Request::Profile { id: "demo".to_owned() }).unwrap();
    let Reply::Profile(kept) = fault else { panic!() };
    assert_eq!(kept.config.wallet.as_deref(), Some("48W"));
    // The same on both: it runs, and can be stopped and started again.
    let edit = Request::EditProfile { id: "demo".to_owned(), profile: Box::new(demo("48W")) };
    world.call(0, edit).unwrap();
    world.call_later(0, start()).unwrap();
    world.call_later(0, restart()).unwrap();
    world.call_later(0, stop()).unwrap();
    let other = ProfileConfig { threads: Some(1), ..ProfileConfig::default() };
    refused(&mut world, start_with(Some(other)), "differs");
    // The controller need not have it.
    world.call(0, Request::RemoveProfile { id: "demo".to_owned() }).unwrap();
    world.call_later(0, start()).unwrap();
    let unknown = Request::RemoteStart {
        peer: "rig".to_owned(),
        profile_id: "none".to_owned(),
        miner_type: None,
        config: None,
    };
    assert_eq!(world.call_later(0, unknown).unwrap_err().code, Code::ProfileNotFound);
}

fn local_start(world: &mut World) -> Result<Reply, Fault> {
    world.call_later(1, Request::StartProfile { id: "demo".to_owned() })
}

/// A profile, and a miner that ran it, from before the policy.
fn stored_before(policy: Policy) -> World {
    let miner = DesiredMiner { name: "simulated-1".to_owned(), profile: demo("49Evil") };
    let saved = SavedState {
        profiles: vec![demo("49Evil")],
        miners: vec![miner],
        miner_numbers: vec![("simulated".to_owned(), 1)],
        ..SavedState::default()
    };
    let mut world = World::new(&[Role::Controller]);
    world.add_with(Role::Worker, saved, policy);
    world.call(0, World::add_request(1, "rig")).unwrap();
    let id = world.id(0);
    world.call(1, Request::Approve { peer: id }).unwrap();
    world.pass(std::time::Duration::from_secs(5));
    world
}

#[test]
fn what_was_stored_before_the_policy_does_not_start_by_anyone() {
    let mut world = stored_before(pinned());
    assert_eq!(starts(&world, 1), 0, "not with the daemon");
    assert!(world.nodes[1].logged.iter().any(|l| l.contains("config.wallet")), "raised");
    let Ok(Reply::MinerList(miners)) = world.call(1, Request::Miners) else { panic!() };
    assert_eq!(miners[0].state, MinerState::Failed);
    assert!(miners[0].reason.as_ref().unwrap().contains("config.wallet: 49Evil"), "{miners:?}");
    world.pass(std::time::Duration::from_secs(900));
    assert_eq!(starts(&world, 1), 0, "not later either");

    refused(&mut world, restart(), "config.wallet: 49Evil");
    refused(&mut world, start(), "config.wallet: 49Evil");
    let fault = local_start(&mut world).unwrap_err();
    assert_eq!(fault.code, Code::Policy);
    assert_eq!(starts(&world, 1), 0, "not by its owner");
    // It can be given up.
    world.call_later(0, stop()).unwrap();
    let Ok(Reply::MinerList(miners)) = world.call(1, Request::Miners) else { panic!() };
    assert_eq!(miners[0].state, MinerState::Stopped);
}

#[test]
fn without_the_policy_the_same_starts_with_the_daemon() {
    assert_eq!(starts(&stored_before(Policy::default()), 1), 1);
}

#[test]
fn the_policy_can_be_read_and_not_written() {
    let mut world = World::linked_with(pinned());
    assert_eq!(world.call(1, Request::Policy), Ok(Reply::Policy(Box::new(pinned()))));
}
