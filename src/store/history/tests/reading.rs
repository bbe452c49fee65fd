use std::collections::BTreeMap;

use super::{DAY, HOUR, ME, RIG, T0, World, raw, reading, rollup, series};
use crate::bus::{HistoryCommand, HistoryEvent, LinkId};
use crate::model::history::{Batch, Reading, Rows};
use crate::model::key::NodeId;

fn read(world: &mut World, after: i64) -> Batch {
    let (link, request) = (LinkId(7), "r".to_owned());
    world.events.clear();
    world.take(HistoryCommand::Read { link, request, after });
    let read = world.events.drain(..).find_map(|event| match event {
        HistoryEvent::Read { link: LinkId(7), batch, .. } => batch,
        _ => None,
    });
    read.unwrap()
}

fn size(batch: &Batch) -> usize {
    match &batch.rows {
        Rows::Raw(rows) => rows.len(),
        Rows::Minute(rows) | Rows::Hour(rows) => rows.len(),
    }
}

/// All of them, asked for one after the other as a controller does.
fn fill(rig: &mut World, controller: &mut World, mut after: i64) -> (usize, i64) {
    for count in 1..500 {
        let batch = read(rig, after);
        assert!(size(&batch) <= 400);
        let text = serde_json::to_string(&batch).unwrap();
        assert!(text.len() <= 32 * 1024, "{}", text.len());
        assert!(batch.through > after || !batch.more, "it goes on");
        let (through, more) = (batch.through, batch.more);
        let sent: Batch = serde_json::from_str(&text).unwrap();
        controller.keep(ME, sent, Some(after));
        after = through;
        if !more {
            return (count, after);
        }
        controller.pass(1);
    }
    panic!("it has no end");
}

/// A rig alone for ten hours; then its controller has what it has, row by row.
#[test]
fn a_controller_gets_all_that_it_missed() {
    let mut rig = World::at(T0);
    let mut controller = World::at(T0);
    for i in 0..3600 {
        for (miner, every) in [("a", 1), ("b", 3)] {
            if i % every == 0 {
                let row =
                    Reading { power: Some(99.5), ..reading(rig.wall, 100.0 / 3.0 + f64::from(i)) };
                rig.keep(ME, raw(&[series(miner)], vec![(0, row)]), None);
            }
        }
        rig.pass(10);
    }
    controller.wall = rig.wall;
    // It has something of its own, and of others.
    controller.mine(RIG, "a", T0, 600, 70.0);
    let last = rig.wall - 10;
    let (batches, through) = fill(&mut rig, &mut controller, 0);
    assert_eq!(through, last);
    assert!(batches > 12, "{batches}");
    rig.pass(6 * HOUR);
    controller.pass(6 * HOUR);
    let of_rig = |world: &World, table| {
        let rows = world.tables().remove(table).unwrap();
        rows.into_iter().filter(|row| row.contains("0909090909090909")).collect::<Vec<_>>()
    };
    for table in ["raw", "m1", "h1"] {
        assert_eq!(of_rig(&rig, table), of_rig(&controller, table), "{table}");
    }
    assert_eq!(of_rig(&controller, "raw").len(), 4800);
    controller.assert_rolled_up();
    let marks = controller.number("SELECT through FROM marks");
    assert_eq!(marks, last);
    // Again from the beginning: nothing changes.
    let before = controller.tables();
    fill(&mut rig, &mut controller, 0);
    controller.pass(6 * HOUR);
    assert_eq!(controller.tables(), before);
}

#[test]
fn the_past_comes_in_hours_then_minutes_then_readings_without_a_gap() {
    let mut rig = World::at(T0);
    let batch = |rows| Batch { rows, ..raw(&[series("a")], Vec::new()) };
    let hours = (0..60 * 24).map(|i| (0, rollup(T0 - 60 * DAY + i * HOUR, 360, 5.0))).collect();
    rig.keep(ME, batch(Rows::Hour(hours)), None);
    let minutes = (0..30 * 1440).map(|i| (0, rollup(T0 - 30 * DAY + i * 60, 6, 5.0))).collect();
    rig.keep(ME, batch(Rows::Minute(minutes)), None);
    rig.mine(ME, "a", T0 - 2 * DAY, 2 * 1440, 5.0);
    rig.pass(8 * HOUR);
    let now = rig.wall;

    let mut covered = BTreeMap::new();
    let mut after = 0;
    loop {
        let batch = read(&mut rig, after);
        let (span, ats): (i64, Vec<i64>) = match &batch.rows {
            Rows::Raw(rows) => (10, rows.iter().map(|(_, r)| r.at).collect()),
            Rows::Minute(rows) => (60, rows.iter().map(|(_, r)| r.at).collect()),
            Rows::Hour(rows) => (HOUR, rows.iter().map(|(_, r)| r.at).collect()),
        };
        if span == 60 && batch.more {
            assert_eq!((batch.through + 1) % HOUR, 0, "whole hours");
        }
        for at in ats {
            assert!(at + span - 1 > after && (at + span - 1 <= batch.through || span == 10));
            assert_eq!(covered.insert(at, span), None);
        }
        after = batch.through;
        if !batch.more {
            break;
        }
    }
    let (first, mut end) = (*covered.keys().next().unwrap(), T0 - 60 * DAY);
    assert_eq!(first, end);
    let mut seen = BTreeMap::new();
    for (at, span) in covered {
        assert_eq!(at, end, "no gap and nothing twice");
        end = at + span;
        *seen.entry(span).or_insert(0) += 1;
    }
    assert_eq!((end, after), (T0, T0 - 10));
    // 30 and 2 days before now, at the full hour.
    let first_raw = now - 2 * DAY;
    let first_raw = first_raw + (HOUR - first_raw.rem_euclid(HOUR)) % HOUR;
    assert_eq!(seen[&10], (T0 - first_raw) / 10);
    assert_eq!(seen[&60], 28 * 1440);
}

#[test]
fn a_reader_gets_what_still_waits_and_nothing_of_others() {
    let mut world = World::at(T0);
    assert_eq!(read(&mut world, 0), raw(&[], Vec::new()));
    world.keep(ME, raw(&[series("a")], vec![(0, reading(T0, 1.0))]), None);
    world.keep(RIG, raw(&[series("b")], vec![(0, reading(T0, 2.0))]), None);
    let batch = read(&mut world, 0);
    assert_eq!(batch, raw(&[series("a")], vec![(0, reading(T0, 1.0))]));
    let none = read(&mut world, T0);
    assert_eq!((size(&none), none.through, none.more), (0, T0, false));
}

#[test]
fn the_means_of_the_last_day_are_told_when_it_is_opened() {
    let mut world = World::at(T0);
    world.mine(RIG, "a", T0 - 30 * HOUR, 30 * 60, 100.0);
    world.mine(RIG, "b", T0 - 2 * HOUR, 60, 50.0);
    world.pass(3 * 3600);
    world.end();
    world.events.clear();
    world.start();
    let HistoryEvent::Opened { means, .. } = &world.events[0] else { panic!() };
    let at = |hours: i64| {
        let found = means.iter().find(|(_, mean)| mean.at.0 == (T0 + hours * HOUR) * 1000);
        found.map(|(node, mean)| (*node, mean.algorithm.as_str(), mean.hashrate))
    };
    let (rig, rx): (NodeId, &str) = (RIG, "rx/0");
    assert_eq!((at(-1), at(-2)), (Some((rig, rx, 100.0)), Some((rig, rx, 150.0))));
    assert_eq!((at(0), at(-21).is_some(), at(-22)), (None, true, None));
    assert_eq!(means.len(), 21);
}
