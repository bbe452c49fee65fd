//! What the audit log is told: every change, who asked for it and what came of it.
use super::world::{MinerPlay, World, profile};
use crate::bus::{Call, Event, Request, StateOp, StoreCommand, reply_channel};
use crate::model::audit::AuditRow;
use crate::registry::Out;

fn rows(world: &World, node: usize) -> Vec<AuditRow> {
    let rows = world.nodes[node].written.iter().filter_map(|op| match op {
        StateOp::Audit(row) => Some(row.clone()),
        _ => None,
    });
    rows.collect()
}

fn told(row: &AuditRow) -> (&str, &str, &str) {
    (&row.who, &row.what, &row.result)
}

#[test]
fn a_local_change_is_in_the_transaction_that_makes_it() {
    let mut world = World::linked();
    world.nodes[0].written.clear();
    let (reply, _answer) = reply_channel();
    let request = Request::AddProfile { profile: Box::new(profile("demo")) };
    let call = Event::Call(Call { request, who: "local:token", reply });
    let now = world.now;
    let out = world.nodes[0].registry.handle(call, now);
    let [Out::Store(StoreCommand { ops, .. })] = &out[..] else { panic!("{out:?}") };
    let [StateOp::PutProfile(_), StateOp::Audit(row)] = &ops[..] else { panic!("{ops:?}") };
    assert_eq!(told(row), ("local:token", "add profile demo", "done"));
    // Neither the change nor its row, when the disk is full; later the reason, if it can be written.
    world.nodes[0].disk_full = true;
    let add = Request::AddProfile { profile: Box::new(profile("other")) };
    world.call(0, add).unwrap_err();
    assert!(world.nodes[0].written.is_empty());
}

#[test]
fn a_refused_change_has_its_reason_and_questions_leave_no_row() {
    let mut world = World::linked();
    world.nodes[0].written.clear();
    world.call(0, Request::Peers).unwrap();
    world.call(0, Request::RemoteStats { peer: "rig".to_owned() }).unwrap();
    assert!(rows(&world, 0).is_empty());
    world.call(0, Request::RemoveProfile { id: "no\u{1b}ne".to_owned() }).unwrap_err();
    let rows = rows(&world, 0);
    assert_eq!(rows[0].what, "remove profile none");
    assert!(rows[0].result.contains("no profile is called"), "{rows:?}");
    assert!(rows.iter().all(|r| r.signed.is_none() && r.result.len() < 500));
}

#[test]
fn a_command_has_a_row_before_and_one_with_what_came_of_it_on_both_ends() {
    let mut world = World::linked();
    world.call(0, Request::AddProfile { profile: Box::new(profile("demo")) }).unwrap();
    for node in [0, 1] {
        world.nodes[node].written.clear();
    }
    let start = Request::RemoteStart {
        peer: "rig".to_owned(),
        profile_id: "demo".to_owned(),
        miner_type: None,
        config: None,
    };
    world.call_later(0, start.clone()).unwrap();
    let there = rows(&world, 1);
    assert_eq!(told(&there[0]), ("node-0", "start_miner", "accepted"));
    assert_eq!(told(&there[1]), ("node-0", "start_miner", "done: miner started simulated-1"));
    assert_eq!(there[0].command, there[1].command);
    assert_eq!(there[0].signed.as_ref().unwrap().signer, world.nodes[0].card.signing_key);
    assert_eq!((there.len(), &there[1].signed), (2, &None));
    let here = rows(&world, 0);
    assert_eq!(told(&here[0]), ("local:token", "start demo on rig", "done: simulated-1"));
    assert_eq!((here.len(), here[0].key), (1, Some(world.nodes[1].card.public_key)));

    world.nodes[1].miners = MinerPlay::Exit { permanent: true };
    world.call_later(0, start).unwrap_err();
    assert!(rows(&world, 1)[3].result.starts_with("failed: simulated-2 could not be started"));
    assert!(rows(&world, 0)[1].result.contains("could not be started"));
}

#[test]
fn a_local_start_is_written_with_the_miner_and_again_when_it_is_seen_to_run() {
    let mut world = World::linked();
    world.call(1, Request::AddProfile { profile: Box::new(profile("demo")) }).unwrap();
    world.nodes[1].written.clear();
    world.call_later(1, Request::StartProfile { id: "demo".to_owned() }).unwrap();
    assert!(matches!(world.nodes[1].written[0], StateOp::PutMiner(_)));
    let rows = rows(&world, 1);
    assert_eq!(told(&rows[0]), ("local:token", "start profile demo", "accepted"));
    assert_eq!(told(&rows[1]), ("local:token", "start profile demo", "done: simulated-1"));
    assert_eq!(rows[0].command, rows[1].command);
    assert_eq!(rows.len(), 2);
}
