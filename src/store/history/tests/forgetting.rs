use super::{DAY, HOUR, ME, RIG, T0, World, raw, reading, rollup, series};
use crate::model::history::{Batch, Rows};

fn minutes(from: i64, count: i64) -> Batch {
    let rows = (0..count).map(|i| (0, rollup(from + i * 60, 6, 5.0))).collect();
    Batch { rows: Rows::Minute(rows), ..raw(&[series("a")], Vec::new()) }
}

fn hours(from: i64, count: i64) -> Batch {
    let rows = (0..count).map(|i| (0, rollup(from + i * HOUR, 360, 5.0))).collect();
    Batch { rows: Rows::Hour(rows), ..raw(&[series("a")], Vec::new()) }
}

#[test]
fn each_table_keeps_its_rows_as_long_as_it_should() {
    let mut world = World::at(T0);
    world.keep(RIG, hours(T0 - 700 * DAY, 96), None);
    world.keep(RIG, minutes(T0 - 20 * DAY, 2 * 24 * 60), None);
    let rows = (0..8640).map(|i| (0, reading(T0 - DAY + i * 10, 5.0))).collect();
    world.keep(RIG, raw(&[series("a")], rows), None);
    world.pass(6 * HOUR);
    world.assert_rolled_up();
    assert_eq!((world.count("raw"), world.count("m1"), world.count("h1")), (8640, 4320, 168));
    world.pass(DAY + 6 * HOUR + 5000);
    let left = world.count("raw");
    assert!((3820..=4190).contains(&left), "{left}");
    assert_eq!(world.count("m1"), 4320);
    // Nine days later half a day of minutes is more than 30 days old.
    world.pass(9 * DAY);
    assert_eq!(world.count("raw"), 0);
    let left = world.count("m1");
    assert!((3500..3600).contains(&left), "{left}");
    assert_eq!(world.count("farm_m1"), left);
    assert_eq!(world.count("h1"), 168);
    world.pass(21 * DAY);
    assert_eq!((world.count("m1"), world.count("farm_m1")), (0, 0));
    let left = world.count("h1");
    assert!((129..=133).contains(&left), "{left}: 730 days");
    assert_eq!(world.count("farm_h1"), left);
    world.wall += 731 * DAY;
    world.pass(3 * HOUR);
    assert_eq!((world.count("h1"), world.count("farm_h1"), world.count("series")), (0, 0, 0));
}

#[test]
fn a_shorter_retention_shortens_and_a_longer_one_brings_nothing_back() {
    let mut world = World::at(T0);
    world.keep(RIG, minutes(T0 - 25 * DAY, 25 * 24 * 60), None);
    world.pass(4 * HOUR);
    world.end();
    let full = world.number("PRAGMA page_count");
    world.days = 1;
    world.start();
    world.pass(2 * HOUR);
    let left = world.count("m1");
    assert!((1000..=1200).contains(&left), "{left}");
    assert_eq!(world.count("h1"), 600, "hours stay");
    world.pass(HOUR);
    let left = world.count("m1");
    world.end();
    let now = world.number("PRAGMA page_count");
    assert!(now * 2 < full, "{now} of {full} pages: the room was given back");
    world.days = 365;
    world.start();
    world.pass(2 * HOUR);
    assert_eq!(world.count("m1"), left);
}

#[test]
fn minutes_that_are_too_old_still_count_in_their_hours() {
    let mut world = World::at(T0);
    world.keep(RIG, minutes(T0 - 100 * DAY, 120), None);
    world.pass(2 * HOUR);
    assert_eq!((world.count("m1"), world.count("h1"), world.count("farm_h1")), (0, 2, 2));
    assert_eq!(world.number("SELECT min(n) FROM h1"), 360);
    // And once more, half of them.
    world.keep(RIG, minutes(T0 - 100 * DAY, 30), None);
    world.pass(2 * HOUR);
    assert_eq!(world.number("SELECT min(n) FROM h1"), 360, "the hour was whole");
}

#[test]
fn a_clock_that_was_wrong_for_a_while_costs_nothing() {
    let mut world = World::at(T0);
    world.mine(ME, "a", T0 - 40 * HOUR, 30 * 60, 5.0);
    world.pass(2 * HOUR);
    let before = world.tables();
    for jump in [500 * DAY, -500 * DAY] {
        world.wall += jump;
        world.pass(540);
    }
    assert_eq!(world.tables(), before);
    // A daemon that starts with the wrong time, until the right one is known.
    world.end();
    world.wall += 900 * DAY;
    world.start();
    world.pass(540);
    world.wall -= 900 * DAY;
    world.pass(HOUR);
    assert_eq!(world.tables(), before);
    world.wall += 900 * DAY;
    world.pass(3 * HOUR);
    assert_eq!(world.count("h1"), 0, "it stays so: it is right");
}
