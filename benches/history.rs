//! What history costs: `cargo bench --bench history [-- --rigs 1000 --days 30 --folder DIR]`.
//!
//! First the live path: every rig's reading every 10 s through the keeper, with rolling up. Then a database of minutes for
//! so many rigs and days, made at once; charts of it; and a day of it forgotten. Needs about 100 bytes a row on the disk.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr, reason = "a bench")]
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use miner_cli::bus::HistoryCommand;
use miner_cli::model::history::{Batch, Reading, Rows, Series, Window};
use miner_cli::model::key::NodeId;
use miner_cli::model::time::{Mono, Now, Timestamp};
use miner_cli::store::history::{Keeper, Options};
use miner_cli::store::query::history as query;
use miner_cli::sys::{clock, disk};
use rusqlite::{Connection, params};

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;
/// The beginning of a day.
const T0: i64 = 1_700_006_400;
/// Simulated minutes of the live path.
const LIVE: i64 = 30;
/// Bytes of a row of minutes on the disk, generously.
const ROW: u64 = 110;

struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn main() {
    let (mut rigs, mut days, mut parent) = (1000, 30, std::env::temp_dir());
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut number = || words.next().and_then(|n| n.parse::<i64>().ok()).expect("a number");
        match word.as_str() {
            "--rigs" => rigs = number(),
            "--days" => days = number(),
            "--folder" => parent = words.next().expect("a folder").into(),
            // Cargo's own.
            _ => {}
        }
    }
    let rows = rigs * days * 1440;
    let (need, free) = (rows.unsigned_abs() * ROW, disk::free_bytes(&parent).unwrap());
    println!(
        "{rigs} rigs, {days} days, {rows} rows of minutes: up to {} MB in {}, where {} MB are free",
        need >> 20,
        parent.display(),
        free >> 20
    );
    if free < need + (1 << 30) {
        eprintln!("that is not enough: try fewer --rigs or --days, or another --folder");
        std::process::exit(1);
    }
    let folder = Folder(parent.join(format!("miner-cli-history-{}", std::process::id())));
    std::fs::create_dir(&folder.0).unwrap();
    live(&folder.0.join("live.db"), rigs);
    let path = folder.0.join("mining.db");
    generate(&path, rigs, days);
    charts(&path, rigs, days);
    forget(&path, rigs, days);
}

fn node(rig: i64) -> NodeId {
    NodeId((rig as u64 * 0x9E37_79B9_7F4A_7C15).to_be_bytes())
}

fn series() -> Series {
    Series {
        miner: "xmrig-1".to_owned(),
        miner_type: "xmrig".to_owned(),
        simulated: false,
        algorithm: "rx/0".to_owned(),
    }
}

/// Different for every reading, as real ones are.
fn rate(rig: i64, at: i64) -> f64 {
    let noise = (rig.wrapping_mul(7919) ^ at).wrapping_mul(2_654_435_761).rem_euclid(10_000);
    10_000.0 + rig as f64 + noise as f64 / 13.0
}

fn options(path: &Path) -> Options {
    Options { path: path.to_owned(), me: NodeId([0; 8]), retention_days: 30 }
}

fn now(mono: i64, wall: i64) -> Now {
    Now { mono: Mono(mono.unsigned_abs() * 1_000_000), wall: Timestamp(wall * 1000) }
}

/// CPU seconds, bytes given to write calls, and bytes that went to the disk's cache of this process.
fn used() -> (f64, u64, u64) {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    let io = std::fs::read_to_string("/proc/self/io").unwrap();
    let field = |name| {
        let line = io.lines().find(|line| line.starts_with(name)).unwrap();
        line.split(' ').nth(1).unwrap().parse().unwrap()
    };
    (ticks / 100.0, field("wchar"), field("write_bytes"))
}

fn live(path: &Path, rigs: i64) {
    let mut keeper = Keeper::new(options(path));
    keeper.tick(now(0, T0));
    let before = used();
    for second in 0..LIVE * 60 {
        let at = T0 + second;
        // A tenth of the rigs report in every second.
        for rig in (second % 10..rigs).step_by(10) {
            let rate = rate(rig, at);
            let reading = Reading {
                at,
                hashrate: Some(rate),
                accepted: u32::from(rig % 3 == second / 10 % 3),
                rejected: 0,
                work: Some(if rig % 3 == second / 10 % 3 { 300_007.0 } else { 0.0 }),
                temperature: Some(60.0 + (rig % 20) as f64),
                power: Some(120.5 + (rig % 9) as f64),
            };
            let rows = Rows::Raw(vec![(0, reading)]);
            let batch = Batch { series: vec![series()], rows, through: at, more: false };
            let keep = HistoryCommand::Keep {
                node: node(rig),
                batch,
                after: Some(if second < 10 { 0 } else { at - 10 }),
            };
            keeper.take(keep, now(second, at));
        }
        keeper.tick(now(second, at));
        keeper.events.clear();
    }
    keeper.end(now(LIVE * 60, T0 + LIVE * 60));
    let samples = keeper.status().samples;
    // Closed, so that what is in its log is in the file, too.
    drop(keeper);
    let after = used();
    let each = |before: u64, after: u64| (after - before) as f64 / samples as f64;
    println!("live path, {samples} readings of {LIVE} minutes:");
    println!(
        "  {:.0} bytes written a reading (write calls {:.0}); the goal is 120",
        each(before.2, after.2),
        each(before.1, after.1)
    );
    println!(
        "  {:.3} s of CPU for 10,000 readings",
        (after.0 - before.0) * 10_000.0 / samples as f64
    );
    println!(
        "  {:.0} bytes of file a reading, minutes included",
        query::file_bytes(path) as f64 / samples as f64
    );
}

/// As the keeper would have written it, without its readings.
fn generate(path: &Path, rigs: i64, days: i64) {
    let begun = Instant::now();
    let mut keeper = Keeper::new(options(path));
    keeper.tick(now(0, T0));
    drop(keeper);
    let mut db = Connection::open(path).unwrap();
    db.execute_batch(
        "PRAGMA journal_mode = DELETE; PRAGMA synchronous = OFF; PRAGMA cache_size = -200000",
    )
    .unwrap();
    let from = T0 - days * DAY;
    for rig in 0..rigs {
        let row = params![rig + 1, node(rig).0, from, T0 - 60];
        db.execute(
            "INSERT INTO series VALUES (?1, ?2, 'xmrig-1', 'xmrig', 0, 'rx/0', ?3, ?4)",
            row,
        )
        .unwrap();
    }
    for day in 0..days {
        let whole = db.transaction().unwrap();
        for ts in (from + day * DAY..from + (day + 1) * DAY).step_by(60) {
            minute(&whole, rigs, ts);
        }
        for ts in (from + day * DAY..from + (day + 1) * DAY).step_by(3600) {
            hour(&whole, rigs, ts);
        }
        whole.commit().unwrap();
    }
    drop(db);
    let (rows, bytes) = (rigs * days * 1440, query::file_bytes(path));
    println!("made {rows} rows of minutes in {:.0} s:", begun.elapsed().as_secs_f64());
    println!(
        "  {} MB, {:.0} bytes a minute of one rig, hours and sums included",
        bytes >> 20,
        bytes as f64 / rows as f64
    );
}

fn minute(db: &Connection, rigs: i64, ts: i64) {
    let mut insert = db
        .prepare_cached("INSERT INTO m1 VALUES (?1, ?2, 6, ?3, ?4, ?5, 2, 0, ?6, ?7, ?8)")
        .unwrap();
    let mut all = 0.0;
    for rig in 0..rigs {
        let rate = rate(rig, ts);
        all += rate;
        let (heat, power) = (60.0 + (rig % 20) as f64, 120.5 + (rig % 9) as f64 + rate / 1e6);
        insert
            .execute(params![
                ts,
                rig + 1,
                rate * 6.0,
                rate - 3.7,
                rate + 9.1,
                600_014.0,
                heat,
                power
            ])
            .unwrap();
    }
    db.prepare_cached("INSERT INTO farm_m1 VALUES (?1, 'rx/0', ?2, 60, ?3, ?4, 0, ?5)")
        .unwrap()
        .execute(params![ts, all, rigs, rigs * 2, rigs as f64 * 600_014.0])
        .unwrap();
}

fn hour(db: &Connection, rigs: i64, ts: i64) {
    let mut insert = db
        .prepare_cached("INSERT INTO h1 VALUES (?1, ?2, 360, ?3, ?4, ?5, ?6, 120, 0, ?7, ?8, ?9)")
        .unwrap();
    let mut all = 0.0;
    for rig in 0..rigs {
        let rate = rate(rig, ts);
        all += rate;
        let (heat, power) = (60.0 + (rig % 20) as f64, 120.5 + (rig % 9) as f64 + rate / 1e6);
        let minutes = (1_i64 << 60) - 1;
        let row = params![
            ts,
            rig + 1,
            rate * 360.0,
            rate - 300.7,
            rate + 490.1,
            minutes,
            36e6,
            heat,
            power
        ];
        insert.execute(row).unwrap();
    }
    db.prepare_cached("INSERT INTO farm_h1 VALUES (?1, 'rx/0', ?2, 3600, ?3, ?4, 0, ?5)")
        .unwrap()
        .execute(params![ts, all, rigs, rigs * 120, rigs as f64 * 36e6])
        .unwrap();
}

fn charts(path: &Path, rigs: i64, days: i64) {
    let back = |span: i64| Window { since: T0 - span, until: T0, now: T0, points: 300 };
    let of_rig = |rig, span| {
        let chart = query::totals(path, Some(node(rig)), None, back(span)).unwrap();
        assert!(chart.series[0].points.iter().filter(|p| p.hashrate.is_some()).count() > 100);
    };
    let month = days * DAY;
    println!("charts of 300 points, median and worst:");
    show("one rig, all days", 50, times(31, |i| of_rig(i * 29 % rigs, month)));
    show("one rig, a week of minutes", 0, times(9, |i| of_rig(i * 31 % rigs, month.min(7 * DAY))));
    show("one rig, 24 h of minutes", 0, times(31, |i| of_rig(i * 37 % rigs, DAY)));
    show(
        "farm, all days",
        300,
        times(11, |_| {
            query::totals(path, None, None, back(month)).unwrap();
        }),
    );
    show(
        "farm, all days in half hours",
        0,
        times(5, |_| {
            let window = Window { points: 2000, ..back(month) };
            query::totals(path, None, None, window).unwrap();
        }),
    );
    show(
        "all miners' averages, 24 h",
        0,
        times(5, |_| {
            assert_eq!(query::miners(path, None, back(DAY)).unwrap().len() as i64, rigs);
        }),
    );
}

fn times(count: i64, mut f: impl FnMut(i64)) -> Vec<Duration> {
    let one = |i| {
        let begun = Instant::now();
        f(i);
        begun.elapsed()
    };
    (0..count).map(one).collect()
}

fn show(what: &str, goal: u64, mut times: Vec<Duration>) {
    times.sort();
    let ms = |d: Duration| d.as_secs_f64() * 1000.0;
    let goal = if goal > 0 { format!("; the goal is {goal} ms") } else { String::new() };
    println!(
        "  {what}: {:.1} ms, {:.1} ms{goal}",
        ms(times[times.len() / 2]),
        ms(times[times.len() - 1])
    );
}

/// A day later, a day of minutes is too old. `days` must be the 30 of the options for that.
fn forget(path: &Path, rigs: i64, days: i64) {
    let wall = T0 + (31 - days) * DAY;
    let mut keeper = Keeper::new(options(path));
    keeper.tick(now(0, wall));
    let left = || {
        let db = Connection::open(path).unwrap();
        let sql = "SELECT count(*) FROM m1 WHERE ts < ?1";
        db.query_row(sql, [wall - 30 * DAY], |row| row.get::<_, i64>(0)).unwrap()
    };
    let (rows, before, begun) = (left(), used(), clock::mono());
    let (mut longest, mut rounds, mut second) = (Duration::ZERO, 0, 4000);
    loop {
        let round = clock::mono();
        // Rounds that have something to do come every 5 s.
        keeper.tick(now(second, wall + second));
        longest = longest.max(clock::mono().since(round));
        rounds += 1;
        let next = i64::try_from(keeper.deadline().0 / 1_000_000).unwrap();
        if next > second + 10 {
            break;
        }
        second = next;
    }
    let (took, after) = (clock::mono().since(begun), used());
    assert_eq!(left(), 0);
    println!("forgetting {rows} rows, a day of {rigs} rigs:");
    println!(
        "  {:.1} s in {rounds} rounds of at most {:.0} ms, {:.1} s of CPU, {} MB written",
        took.as_secs_f64(),
        longest.as_secs_f64() * 1000.0,
        after.0 - before.0,
        (after.2 - before.2) >> 20
    );
}
