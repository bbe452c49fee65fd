//! Charts of what a keeper wrote.
use super::{miner, miners, totals};
use crate::model::history::{Batch, Reading, Rollup, Rows, Series, TotalsPoint, Window};
use crate::model::time::Timestamp;
use crate::store::history::tests::{DAY, HOUR, ME, RIG, T0, World, raw, reading, rollup, series};

fn window(world: &World, back: i64, points: usize) -> Window {
    Window { since: world.wall - back, until: world.wall, now: world.wall, points }
}

/// The line of an algorithm, by seconds after T0.
fn line(
    world: &World,
    node: Option<crate::model::key::NodeId>,
    w: Window,
) -> Vec<(i64, TotalsPoint)> {
    let chart = totals(&world.path(), node, Some("rx/0"), w).unwrap();
    let points = chart.series.into_iter().next().map_or(Vec::new(), |s| s.points);
    let step = chart.resolution * 1000;
    for pair in points.windows(2) {
        assert_eq!(pair[1].timestamp.0 - pair[0].timestamp.0, step, "a regular grid");
    }
    assert!(points.iter().all(|p| p.timestamp.0 % step == 0));
    points.into_iter().map(|p| (p.timestamp.0 / 1000 - T0, p)).collect()
}

fn rates(points: &[(i64, TotalsPoint)]) -> Vec<(i64, f64)> {
    points.iter().filter_map(|(at, p)| Some((*at, p.hashrate?))).collect()
}

#[test]
fn where_nothing_was_read_there_is_a_gap_and_no_zero() {
    let mut world = World::at(T0 + 4 * HOUR);
    world.mine(RIG, "a", T0, 60, 100.0);
    world.mine(RIG, "a", T0 + 3 * HOUR, 60, 100.0);
    world.wall = T0 + 4 * HOUR;
    world.pass(1000);
    for node in [None, Some(RIG)] {
        let points = line(&world, node, window(&world, 5 * HOUR, 310));
        let known = rates(&points);
        assert_eq!(known.len(), 120, "{node:?}");
        assert!(known.iter().all(|(at, rate)| {
            *rate == 100.0 && ((0..HOUR).contains(at) || (3 * HOUR..4 * HOUR).contains(at))
        }));
        let gap = points.iter().find(|(at, _)| *at == 2 * HOUR).unwrap().1;
        let nothing = TotalsPoint { rigs: 0, accepted: 0, rejected: 0, ..gap };
        assert_eq!((gap, gap.hashrate, gap.effective), (nothing, None, None));
        assert_eq!(known.first().unwrap().0, 0);
        let first = points.iter().find(|(at, _)| *at == 0).unwrap().1;
        assert_eq!((first.rigs, first.accepted, first.effective), (1, 6, Some(100.0)));
    }
    assert_eq!(rates(&line(&world, Some(ME), window(&world, DAY, 300))), []);
}

#[test]
fn the_farm_is_the_sum_of_its_rigs_and_no_algorithm_is_added_to_another() {
    let mut world = World::at(T0);
    let other = Series { algorithm: "kawpow".to_owned(), ..series("gpu") };
    for i in 0..360 {
        let at = T0 + i * 10;
        let rows = vec![(0, reading(at, 100.0)), (1, reading(at, 20.0)), (2, reading(at, 9000.0))];
        world.keep(RIG, raw(&[series("a"), series("b"), other.clone()], rows), None);
        world.keep(ME, raw(&[series("a")], vec![(0, reading(at, 3.0))]), None);
    }
    world.wall = T0 + 2 * HOUR;
    world.pass(500);
    let chart = totals(&world.path(), None, None, window(&world, 3 * HOUR, 20)).unwrap();
    let names: Vec<_> = chart.series.iter().map(|s| s.algorithm.as_str()).collect();
    assert_eq!((names, chart.resolution), (vec!["kawpow", "rx/0"], 600));
    let known: Vec<_> =
        chart.series[1].points.iter().filter_map(|p| Some((p.hashrate?, p.rigs))).collect();
    assert_eq!(known, [(123.0, 2); 6]);
    let farm = rates(&line(&world, None, window(&world, 3 * HOUR, 20)));
    let rig = rates(&line(&world, Some(RIG), window(&world, 3 * HOUR, 20)));
    assert_eq!((farm[0].1, rig[0].1, rig.len()), (123.0, 120.0, 6));
    // From hours it is the same.
    let days = line(&world, None, window(&world, 20 * DAY, 500));
    assert_eq!(rates(&days), [(0, 123.0)]);
    assert_eq!(days.iter().map(|(_, p)| p.accepted).sum::<u64>(), 3 * 360);
}

/// A miner that was started anew under another name is not two miners.
#[test]
fn what_ran_one_after_the_other_is_not_added() {
    let mut world = World::at(T0);
    world.mine(RIG, "a-1", T0, 30, 100.0);
    world.mine(RIG, "a-2", T0 + HOUR / 2, 30, 100.0);
    world.wall = T0 + 2 * HOUR;
    world.pass(500);
    for (back, points) in [(3 * HOUR, 300), (3 * HOUR, 30), (10 * DAY, 300)] {
        for node in [None, Some(RIG)] {
            let known = rates(&line(&world, node, window(&world, back, points)));
            assert!(!known.is_empty() && known.iter().all(|(_, rate)| *rate == 100.0), "{known:?}");
        }
    }
}

#[test]
fn what_was_just_written_is_in_the_chart_and_a_point_that_has_just_begun_is_not() {
    let mut world = World::at(T0);
    for _ in 0..38 {
        let at = world.wall;
        world.keep(RIG, raw(&[series("a")], vec![(0, reading(at, 60.0))]), None);
        world.keep(ME, raw(&[series("a")], vec![(0, reading(at, 40.0))]), None);
        world.pass(10);
    }
    world.flush();
    // 380 s after T0: the minute from 360 on has its twenty seconds.
    let known = rates(&line(&world, None, window(&world, 600, 300)));
    assert_eq!(known, [0, 60, 120, 180, 240, 300, 360].map(|at| (at, 100.0)));
    let hour = rates(&line(&world, None, window(&world, 20 * DAY, 500)));
    assert_eq!(hour, [(0, 100.0)]);
    world.wall = T0 + 374;
    let before = rates(&line(&world, None, window(&world, 600, 300)));
    assert_eq!(before.last(), Some(&(300, 100.0)));
    // A rig in single readings.
    let fine = rates(&line(&world, Some(RIG), window(&world, 300, 20)));
    assert_eq!(fine[1].0 - fine[0].0, 20);
    assert!(fine.len() >= 14 && fine.iter().all(|(_, rate)| *rate == 60.0), "{fine:?}");
}

#[test]
fn a_miner_shows_its_lowest_and_highest_reading() {
    let mut world = World::at(T0);
    let rows = (0..60).map(|i| (0, reading(T0 + i * 10, 100.0 + (i % 6) as f64))).collect();
    world.keep(RIG, raw(&[series("a")], rows), None);
    world.wall = T0 + 2 * HOUR;
    world.pass(500);
    let chart = miner(&world.path(), RIG, "a", window(&world, 3 * HOUR, 50)).unwrap();
    assert_eq!(chart.resolution, 300);
    let known: Vec<_> = chart.points.iter().filter(|p| p.hashrate.is_some()).collect();
    assert_eq!((known.len(), known[0].timestamp), (2, Timestamp(T0 * 1000)));
    assert_eq!(
        (known[0].hashrate, known[0].min, known[0].max),
        (Some(102.5), Some(100.0), Some(105.0))
    );
    assert_eq!(known[0].effective, Some(102.5));
    assert!(chart.points.len() <= 50);
    let json = serde_json::to_value(chart.points[0]).unwrap();
    assert!(json["hashrate"].is_null() && json["timestamp"].as_str().unwrap().ends_with("Z"));
    assert_eq!(miner(&world.path(), RIG, "b", window(&world, HOUR, 50)).unwrap().points, []);
    assert_eq!(miner(&world.path(), ME, "a", window(&world, HOUR, 50)).unwrap().points, []);
}

#[test]
fn a_miner_that_changed_its_algorithm_shows_the_one_it_ran_longer() {
    let mut world = World::at(T0);
    let other = Series { algorithm: "kawpow".to_owned(), ..series("a") };
    world.mine(RIG, "a", T0, 20, 100.0);
    let rows = (0..40 * 6).map(|i| (0, reading(T0 + 1200 + i * 10, 7.0))).collect();
    world.keep(RIG, raw(&[other], rows), None);
    world.wall = T0 + 2 * HOUR;
    world.pass(500);
    let chart = miner(&world.path(), RIG, "a", window(&world, 9 * DAY, 300)).unwrap();
    let known: Vec<_> = chart.points.iter().filter_map(|p| p.hashrate).collect();
    assert_eq!(known, [7.0]);
}

#[test]
fn every_miner_has_its_average() {
    let mut world = World::at(T0 + 5 * HOUR);
    world.mine(RIG, "a", T0, 3 * 60, 100.0);
    world.mine(RIG, "a", T0 + 3 * HOUR, 30, 400.0);
    world.mine(ME, "b", T0 - 50 * DAY / 50, 10, 1.0);
    let silent = Reading { hashrate: None, ..reading(T0 + 4 * HOUR, 0.0) };
    world.keep(ME, raw(&[series("c")], vec![(0, silent)]), None);
    world.wall = T0 + 5 * HOUR;
    world.pass(1000);
    world.wall = T0 + 5 * HOUR;
    let all = miners(&world.path(), None, window(&world, 4 * HOUR + 30 * 60, 2)).unwrap();
    let names: Vec<_> = all.iter().map(|m| (m.peer_id, m.miner_name.as_str())).collect();
    assert_eq!(names, [(RIG, "a"), (ME, "c")]);
    let a = &all[0];
    // Two and a half hours of the first, half an hour of the second.
    assert_eq!(a.total_points, 150 * 6 + 180);
    assert_eq!(a.average_rate, Some((150.0 * 100.0 + 30.0 * 400.0) / 180.0));
    assert_eq!((a.min_rate, a.max_rate), (Some(100.0), Some(400.0)));
    let at = |seconds: i64| Timestamp((T0 + seconds) * 1000);
    assert_eq!((a.first_seen, a.last_seen), (at(HOUR / 2), at(3 * HOUR + HOUR / 2)));
    let c = &all[1];
    assert_eq!((c.total_points, c.average_rate, c.max_rate), (0, None, None));
    assert_eq!(miners(&world.path(), Some(ME), window(&world, DAY, 2)).unwrap().len(), 1);
    assert_eq!(miners(&world.path(), None, window(&world, 3 * DAY, 2)).unwrap().len(), 3);
    let json = serde_json::to_value(a).unwrap();
    for key in ["peerId", "peer", "minerName", "minerType", "algorithm", "totalPoints", "firstSeen"]
    {
        assert!(json.get(key).is_some(), "{key}: {json}");
    }
}

#[test]
fn what_is_older_than_minutes_is_shown_by_hours() {
    let mut world = World::at(T0);
    let hours: Vec<_> = (0..100 * 24)
        .map(|i| {
            (0, Rollup { minutes: (1 << 60) - 1, ..rollup(T0 - 100 * DAY + i * HOUR, 360, 5.0) })
        })
        .collect();
    let batch = Batch { rows: Rows::Hour(hours), ..raw(&[series("a")], Vec::new()) };
    world.keep(RIG, batch, None);
    world.mine(RIG, "a", T0 - HOUR, 60, 5.0);
    world.pass(2 * HOUR);
    for node in [None, Some(RIG)] {
        let known = rates(&line(&world, node, window(&world, 100 * DAY, 300)));
        assert!(known.len() > 190 && known.iter().all(|(_, rate)| *rate == 5.0), "{node:?}");
        // Three days that have no minutes: points of an hour, whatever was asked for.
        let w =
            Window { since: T0 - 53 * DAY, until: T0 - 50 * DAY, now: world.wall, points: 2000 };
        let old = line(&world, node, w);
        assert_eq!((old.len(), rates(&old).len(), old[1].0 - old[0].0), (72, 72, HOUR));
    }
}

#[test]
fn no_file_is_no_history_and_a_damaged_one_is_an_error() {
    let world = World::at(T0);
    let w = window(&world, DAY, 300);
    let none = world.folder.join("none.db");
    assert_eq!(totals(&none, None, None, w).unwrap().series, []);
    assert!(miners(&none, None, w).unwrap().is_empty() && !none.exists());
    assert_eq!(super::file_bytes(&none), 0);
    std::fs::write(&none, "").unwrap();
    assert_eq!(miner(&none, RIG, "a", w).unwrap().points, []);
    std::fs::write(&none, [7; 9000]).unwrap();
    let fault = totals(&none, None, None, w).unwrap_err();
    assert!(fault.message.contains("none.db cannot be read"), "{fault}");
    // Whatever is asked for, it ends soon.
    for (since, until) in [(i64::MIN / 4, i64::MAX / 4), (5, 5), (i64::MAX / 4, 0)] {
        let w = Window { since, until, now: world.wall, points: 2000 };
        assert!(totals(&world.path(), Some(RIG), None, w).is_ok());
        assert!(miners(&world.path(), None, w).is_ok());
    }
}
