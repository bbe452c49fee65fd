use proptest::prelude::*;

use super::{DAY, HOUR, ME, RIG, T0, World, raw, reading, rollup, series};
use crate::bus::{HistoryCommand, HistoryEvent};
use crate::model::history::{Batch, Reading, Rollup, Rows};
use crate::model::key::NodeId;

#[test]
fn readings_wait_for_a_minute_or_for_enough_others() {
    let mut world = World::at(T0);
    assert!(matches!(world.events[..], [HistoryEvent::Opened { .. }]));
    world.keep(RIG, raw(&[series("a")], vec![(0, reading(T0, 5.0))]), None);
    world.pass(59);
    assert_eq!(world.count("raw"), 0);
    world.pass(1);
    assert_eq!(world.count("raw"), 1);
    let many = (0..8000).map(|i| (0, reading(T0 - 80_000 + i * 10, 5.0))).collect();
    world.keep(RIG, raw(&[series("a")], many), None);
    assert_eq!(world.count("raw"), 8001, "at once");
    let status = world.keeper().status();
    assert_eq!((status.samples, status.dropped_samples, status.retention_days), (8001, 0, 30));
    assert!(status.database_bytes > 4096 && status.enabled);
}

#[test]
fn whoever_looks_has_it_written_at_most_once_in_ten_seconds() {
    let mut world = World::at(T0);
    world.pass(100);
    for (wait, rows) in [(0, 1), (5, 1), (5, 3)] {
        world.pass(wait);
        let at = world.wall;
        world.keep(RIG, raw(&[series("a")], vec![(0, reading(at, 5.0))]), None);
        world.flush();
        assert_eq!(world.count("raw"), rows);
    }
}

#[test]
fn what_waits_is_written_at_the_end() {
    let mut world = World::at(T0);
    world.keep(RIG, raw(&[series("a")], vec![(0, reading(T0, 5.0))]), None);
    world.end();
    assert_eq!(world.count("raw"), 1);
}

#[test]
fn an_hour_of_mining_is_rolled_up_while_it_goes_on() {
    let mut world = World::at(T0);
    for i in 0..500 {
        let at = world.wall;
        let rate = 100.0 + f64::from(i % 7);
        for (miner, node) in [("a", RIG), ("b", RIG), ("a", ME)] {
            let row = Reading { power: Some(80.0), ..reading(at, rate) };
            world.keep(node, raw(&[series(miner)], vec![(0, row)]), None);
        }
        world.pass(10);
    }
    world.pass(200);
    world.assert_rolled_up();
    assert_eq!((world.count("raw"), world.count("m1"), world.count("h1")), (1500, 252, 3));
    assert_eq!((world.count("farm_m1"), world.count("farm_h1")), (84, 1));
    assert_eq!(world.number("SELECT minutes FROM h1 LIMIT 1"), (1 << 60) - 1);
    assert_eq!(world.number("SELECT rigs FROM farm_h1"), 2);
    assert_eq!(world.number("SELECT CAST(power AS INTEGER) FROM h1 LIMIT 1"), 80);
    assert_eq!(world.number(&format!("SELECT count(*) FROM dirty WHERE ts < {}", T0 + HOUR)), 0);
}

#[test]
fn a_reading_without_a_hashrate_counts_its_shares_and_no_zero() {
    let mut world = World::at(T0);
    let none = Reading { hashrate: None, accepted: 4, ..reading(T0 + 10, 0.0) };
    let odd =
        Reading { hashrate: Some(f64::NAN), work: Some(f64::INFINITY), ..reading(T0 + 20, 1.0) };
    world.keep(RIG, raw(&[series("a")], vec![(0, reading(T0, 8.0)), (0, none), (0, odd)]), None);
    world.pass(200);
    let found = world.tables();
    assert_eq!(found["m1"].len(), 1);
    assert_eq!(world.number("SELECT n FROM m1"), 1);
    assert_eq!(world.number("SELECT accepted FROM m1"), 6);
    assert_eq!(world.number("SELECT CAST(sum AS INTEGER) FROM farm_m1 JOIN m1 USING (ts)"), 8);
    assert_eq!(world.number("SELECT CAST(work AS INTEGER) FROM m1"), 80, "of what is finite");
}

#[test]
fn late_rows_change_the_minute_the_hour_and_the_farm() {
    let mut world = World::at(T0);
    world.mine(RIG, "a", T0, 60, 100.0);
    world.wall = T0 + 3 * HOUR;
    world.pass(1000);
    world.assert_rolled_up();
    let before = world.tables();
    // Another rig was cut off all the time; and the first one missed a reading.
    world.mine(ME, "a", T0, 60, 50.0);
    world.keep(RIG, raw(&[series("a")], vec![(0, reading(T0 + 5, 700.0))]), None);
    world.pass(1000);
    world.assert_rolled_up();
    let after = world.tables();
    assert_ne!(before["farm_h1"], after["farm_h1"]);
    assert_eq!(world.number("SELECT max(rigs) FROM farm_h1"), 2);
    assert_eq!(world.number("SELECT CAST(max(hashrate) AS INTEGER) FROM farm_m1"), 235);
    assert_eq!(world.count("dirty"), 0);
}

#[test]
fn what_comes_again_changes_nothing() {
    let mut world = World::at(T0);
    for _ in 0..2 {
        world.mine(RIG, "a", T0 - HOUR, 70, 100.0);
        world.pass(7200);
        assert_eq!(world.keeper().status().samples, 420);
    }
    let changed = raw(&[series("a")], vec![(0, reading(T0 - HOUR, 9.0))]);
    world.keep(RIG, changed, None);
    world.pass(100);
    assert_eq!(world.number("SELECT CAST(min(hashrate) AS INTEGER) FROM raw"), 100);
    assert_eq!(world.count("dirty"), 0);
}

#[test]
fn a_mark_moves_only_where_nothing_is_missing() {
    let mut world = World::at(T0);
    let batch = |through| Batch { through, ..raw(&[series("a")], vec![(0, reading(T0, 1.0))]) };
    let kept = |world: &mut World| {
        world.pass(61);
        let marks = world.events.drain(..).filter_map(|event| match event {
            HistoryEvent::Kept { marks } => Some(marks),
            _ => None,
        });
        marks.flatten().collect::<Vec<_>>()
    };
    world.keep(RIG, batch(T0), Some(5));
    assert_eq!(kept(&mut world), [], "between the beginning and 5 something may be missing");
    world.keep(RIG, batch(T0 - 10), Some(0));
    world.keep(RIG, batch(T0), Some(T0 - 10));
    world.keep(RIG, batch(T0 + 60), None);
    assert_eq!(kept(&mut world), [(RIG, T0)]);
    world.keep(RIG, batch(T0 + 30), Some(T0 + 20));
    world.keep(RIG, batch(T0 - 20), Some(0));
    assert_eq!(kept(&mut world), []);
    world.keep(RIG, batch(i64::MAX), Some(T0));
    let through = world.wall + 60 + HOUR;
    assert_eq!(kept(&mut world), [(RIG, through)], "not for ever");
    world.end();
    world.start();
    assert!(
        matches!(&world.events[0], HistoryEvent::Opened { marks, .. } if *marks == [(RIG, through)])
    );
    world.take(HistoryCommand::Forget { node: RIG });
    assert_eq!(kept(&mut world), []);
    assert_eq!((world.count("marks"), world.count("raw")), (0, 1));
    world.keep(RIG, batch(T0), Some(T0 - 10));
    assert_eq!(kept(&mut world), [], "nothing is known of what was before");
}

#[test]
fn rows_of_wrong_clocks_unknown_series_and_crooked_minutes_are_not_taken() {
    let mut world = World::at(T0);
    let rows =
        [T0 - 49 * HOUR - 1, T0 + HOUR + 1, i64::MAX, i64::MIN].map(|at| (0, reading(at, 1.0)));
    world.keep(RIG, raw(&[series("a")], rows.to_vec()), None);
    world.keep(RIG, raw(&[series("a")], vec![(1, reading(T0, 1.0))]), None);
    let minutes = [T0 + 30, T0 - 731 * DAY].map(|at| (0, rollup(at, 6, 1.0))).to_vec();
    let batch = |rows| Batch { rows, ..raw(&[series("a")], Vec::new()) };
    world.keep(RIG, batch(Rows::Minute(minutes)), None);
    world.keep(RIG, batch(Rows::Hour(vec![(0, rollup(T0 + 60, 6, 1.0))])), None);
    world.flush();
    for table in ["raw", "m1", "h1", "dirty"] {
        assert_eq!(world.count(table), 0, "{table}");
    }
    assert_eq!(world.keeper().status().dropped_samples, 0, "not lost: refused");
}

#[test]
fn a_node_has_so_many_series_and_no_more() {
    let mut world = World::at(T0);
    let many: Vec<_> = (0..2100).map(|i| series(&format!("m-{i}"))).collect();
    let rows = (0..2100).map(|i| (i, reading(T0, 1.0))).collect();
    world.keep(RIG, raw(&many, rows), None);
    world.keep(ME, raw(&[series("a")], vec![(0, reading(T0, 1.0))]), None);
    world.pass(61);
    assert_eq!((world.count("series"), world.count("raw")), (2001, 2001));
}

#[test]
fn an_hour_that_comes_whole_knows_its_minutes() {
    let mut world = World::at(T0);
    let rows = vec![
        (0, Rollup { minutes: 0b1100, ..rollup(T0 - 2 * HOUR, 12, 5.0) }),
        (0, rollup(T0 - 3 * HOUR, 12, 5.0)),
        (0, Rollup { n: 0, ..rollup(T0 - 4 * HOUR, 1, 5.0) }),
    ];
    let batch = Batch { rows: Rows::Hour(rows), ..raw(&[series("a")], Vec::new()) };
    world.keep(RIG, batch, None);
    world.pass(200);
    let minutes = |hours: i64| {
        world.number(&format!("SELECT minutes FROM h1 WHERE ts = {}", T0 - hours * HOUR))
    };
    assert_eq!((minutes(2), minutes(3), minutes(4)), (0b1100, 0b11, 0));
    assert_eq!(world.count("farm_h1"), 3);
    assert_eq!(world.number("SELECT max(seconds) FROM farm_h1"), 120);
}

/// The clock of this machine jumps: what was read stays, and is rolled up.
#[test]
fn a_clock_that_jumps_back_and_forth_loses_nothing() {
    let mut world = World::at(T0);
    let mut rows = 0;
    for jump in [0, DAY, -DAY, -HOUR, 400 * DAY, -400 * DAY, 90, -30 * DAY, 30 * DAY] {
        world.wall += jump;
        for _ in 0..30 {
            let at = world.wall;
            world.keep(RIG, raw(&[series("a")], vec![(0, reading(at, 100.0))]), None);
            rows += 1;
            world.pass(10);
        }
    }
    world.pass(70);
    // Where it was an hour before, the seconds were the same ones.
    let twice = rows - world.number("SELECT count(DISTINCT ts) FROM raw");
    assert_eq!(world.count("raw"), rows - twice);
    assert!(twice < 40, "{twice}");
    world.assert_rolled_up();
}

#[derive(Clone, Debug)]
enum One {
    Raw(u8, u16, Reading),
    Minute(u8, u16, Rollup),
    Hour(u8, u16, Rollup),
}

/// A row of one of two nodes with two miners each.
fn one() -> impl Strategy<Value = One> {
    let rate = prop_oneof![Just(None), (1_u32..1000).prop_map(|r| Some(f64::from(r) * 0.37))];
    let time = prop_oneof![0..2 * HOUR, Just(59), Just(60), HOUR - 3..HOUR + 3];
    let row = (0..3_u8, 1..3_u8, 0..2_u16, time, rate, 0..3_u32, 0..8_u32);
    row.prop_map(|(kind, node, miner, at, rate, shares, n)| {
        let (at, value) = (T0 + at, rate.unwrap_or(7.0));
        let reading = Reading { accepted: shares, hashrate: rate, ..reading(at, value) };
        match kind {
            0 | 1 => One::Raw(node, miner, reading),
            _ if n < 6 => One::Minute(node, miner, rollup(at - at % 60, n, value)),
            _ => One::Hour(node, miner, rollup(at - at % HOUR, n * 3, value)),
        }
    })
}

/// Different rows under one name are nothing that a rig ever says.
fn distinct(rows: Vec<One>) -> Vec<One> {
    let mut seen = std::collections::HashSet::new();
    let name = |one: &One| match one {
        One::Raw(node, miner, r) => (0, *node, *miner, r.at),
        One::Minute(node, miner, r) => (1, *node, *miner, r.at),
        One::Hour(node, miner, r) => (2, *node, *miner, r.at),
    };
    rows.into_iter().filter(|one| seen.insert(name(one))).collect()
}

fn keep(world: &mut World, one: &One) {
    let all = [series("a"), series("b")];
    let batch = |rows| Batch { rows, ..raw(&all, Vec::new()) };
    let (node, batch) = match one {
        One::Raw(node, miner, r) => (node, batch(Rows::Raw(vec![(*miner, *r)]))),
        One::Minute(node, miner, r) => (node, batch(Rows::Minute(vec![(*miner, *r)]))),
        One::Hour(node, miner, r) => (node, batch(Rows::Hour(vec![(*miner, *r)]))),
    };
    world.keep(NodeId([*node; 8]), batch, None);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn any_order_and_any_repetition_end_in_the_same_tables(
        rows in prop::collection::vec(one(), 1..80).prop_map(distinct),
        again in prop::collection::vec((any::<prop::sample::Index>(), 0..300_i64), 0..120),
        shuffled in any::<u64>(),
    ) {
        let mut plain = World::at(T0 + HOUR);
        rows.iter().for_each(|one| keep(&mut plain, one));
        plain.pass(6 * HOUR);

        let mut mixed = World::at(T0 + HOUR);
        for (which, wait) in &again {
            keep(&mut mixed, which.get(&rows));
            mixed.pass(*wait);
        }
        let mut order: Vec<usize> = (0..rows.len()).collect();
        order.sort_by_key(|i| (*i as u64 + 1).wrapping_mul(shuffled | 1).rotate_left(17));
        for i in order {
            keep(&mut mixed, &rows[i]);
            if i % 5 == 0 {
                mixed.pass(45);
            }
        }
        mixed.pass(6 * HOUR);
        prop_assert_eq!(plain.tables(), mixed.tables());
        prop_assert_eq!((plain.count("dirty"), mixed.count("dirty")), (0, 0));
    }
}
