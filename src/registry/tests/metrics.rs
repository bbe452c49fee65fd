//! The snapshot behind `/metrics`.
use std::time::Duration;

use super::world::{MinerPlay, World};
use crate::bus::{Event, HistoryEvent, Reply, Request};
use crate::model::metrics::Snapshot;
use crate::model::stats::RigState;

fn snapshot(world: &mut World, node: usize) -> Snapshot {
    let Reply::Metrics(snapshot) = world.call(node, Request::Metrics).unwrap() else { panic!() };
    *snapshot
}

#[test]
fn a_rig_is_up_while_it_is_linked_and_reports_and_down_but_there_afterwards() {
    let mut world = World::linked();
    world.pass(Duration::from_secs(20));
    let before = snapshot(&mut world, 0);
    assert_eq!(before.rigs.len(), 1, "a controller runs no miners and is no rig");
    let rig = &before.rigs[0];
    assert_eq!((rig.name.as_str(), rig.up, rig.state), ("rig", true, RigState::Idle));
    assert!(rig.age_ms <= 10_000 && rig.report.is_some() && rig.reported_at.is_some());
    assert_eq!((before.own.links, before.own.peers), (1, 1));
    assert!(before.own.tally.reports >= 2 && before.own.tally.links_made == 1);

    // Frozen: the link stands, and nothing comes any more.
    world.nodes[1].frozen = true;
    world.pass(Duration::from_secs(31));
    let frozen = snapshot(&mut world, 0);
    assert!(!frozen.rigs[0].up && frozen.rigs[0].age_ms > 30_000);
    assert_eq!(frozen.rigs[0].state, RigState::Unreachable);

    world.nodes[1].cut_off = true;
    world.cut_all(0);
    let cut = snapshot(&mut world, 0);
    assert_eq!((cut.rigs.len(), cut.rigs[0].up, cut.own.links), (1, false, 0));
    assert_eq!(cut.own.tally.links_lost, 1);
    assert!(cut.rigs[0].ping_ms.is_none(), "nothing is measured without a link");
}

#[test]
fn a_node_that_runs_miners_is_a_rig_of_its_own() {
    let mut world = World::linked();
    world.nodes[1].miners = MinerPlay::Hash(12_500.0);
    let own = snapshot(&mut world, 1);
    assert_eq!(own.rigs.len(), 1, "its controller is no rig");
    assert_eq!((&own.rigs[0].name, own.rigs[0].up), (&world.nodes[1].card.name, true));
}

#[test]
fn lost_readings_are_counted_as_the_history_thread_tells_them() {
    let mut world = World::linked();
    let failed = HistoryEvent::Failed { reason: "the disk is full".to_owned(), dropped: 3 };
    world.event(0, Event::History(failed));
    assert_eq!(snapshot(&mut world, 0).own.readings_dropped, 3);
    world.event(0, Event::History(HistoryEvent::Recovered { dropped: 7 }));
    assert_eq!(snapshot(&mut world, 0).own.readings_dropped, 7);
}
