//! mining.db when the process is killed while it writes, and when its disk is full. The writer is this program once more,
//! with the thread that the daemon has, and a clock that runs as fast as it writes.
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use miner_cli::bus::{self, Event, HistoryCommand, HistoryEvent};
use miner_cli::model::history::{Batch, HistoryStatus, Reading, Rows, Series};
use miner_cli::model::key::NodeId;
use miner_cli::model::time::{Mono, Now, Timestamp};
use miner_cli::store::history::{self, Keeper, Options};
use miner_cli::sys::thread;
use rusqlite::Connection;

use crate::node::Folder;

const WRITER: &str = "MINER_CLI_TEST_HISTORY";
const T0: i64 = 1_699_999_200;
const RIG: NodeId = NodeId([1; 8]);
/// Commands on their way to the thread.
const QUEUE: i64 = 4;
const MINERS: i64 = 20;

fn options(path: PathBuf) -> Options {
    Options { path, me: RIG, retention_days: 30 }
}

fn batch(at: i64) -> Batch {
    let series = (0..MINERS).map(|i| Series {
        miner: format!("xmrig-{i}"),
        miner_type: "xmrig".to_owned(),
        simulated: false,
        algorithm: "rx/0".to_owned(),
    });
    let reading = |i: i64| Reading {
        at,
        hashrate: Some(1000.0 + (at % 977) as f64 / 7.0 + i as f64),
        accepted: 1,
        work: Some(5.0),
        ..Reading::default()
    };
    let rows = Rows::Raw((0..MINERS).map(|i| (i as u16, reading(i))).collect());
    Batch { series: series.collect(), rows, through: at, more: false }
}

fn number(db: &Connection, sql: &str) -> i64 {
    db.query_row(sql, [], |row| row.get::<_, Option<i64>>(0)).unwrap().unwrap_or(0)
}

/// The child: writes until it is killed, and says what it gave to the thread and what the thread says is on disk.
#[test]
fn history_writer() {
    let Some(path) = std::env::var_os(WRITER).map(PathBuf::from) else { return };
    let begin = number(&Connection::open(&path).unwrap(), "SELECT max(ts) FROM raw").max(T0);
    let (commands, inbox) = bus::wire_channel(QUEUE as usize);
    let (outbox, events) = bus::wire_channel(1000);
    let time = Arc::new(AtomicI64::new(begin));
    let clock = {
        let time = time.clone();
        move || {
            let s = time.load(Ordering::SeqCst);
            let mono = Mono((s - begin).unsigned_abs() * 1_000_000);
            Now { mono, wall: Timestamp(s * 1000) }
        }
    };
    thread::spawn("history", move || history::run(&options(path), &inbox, &outbox, clock)).unwrap();
    let mut out = std::io::stdout();
    let mut mark = begin;
    for at in (begin + 10..).step_by(10) {
        time.store(at, Ordering::SeqCst);
        let after = if at == T0 + 10 { 0 } else { at - 10 };
        let keep = HistoryCommand::Keep { node: RIG, batch: batch(at), after: Some(after) };
        commands.send(vec![keep]).unwrap();
        while let Ok(Event::History(event)) = events.try_recv() {
            match event {
                HistoryEvent::Kept { marks } => mark = marks[0].1,
                HistoryEvent::Opened { set_aside: None, .. } => {}
                other => panic!("{other:?}"),
            }
        }
        writeln!(out, "sent {at} {mark}").unwrap();
        out.flush().unwrap();
    }
}

/// Starts the writer and kills it after it has sent so much and a little time. What it said last: sent, and on disk.
fn kill_a_writer(path: &Path, commands: usize, wait: Duration) -> (i64, i64) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "history_disk::history_writer", "--nocapture"])
        .env(WRITER, path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let said = |line: String| -> Option<(i64, i64)> {
        let mut words = line.split(' ').skip_while(|word| *word != "sent").skip(1);
        Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
    };
    let mut last = None;
    for _ in 0..commands {
        last = lines.by_ref().map_while(Result::ok).find_map(said);
        assert!(last.is_some(), "the writer ended by itself");
    }
    // Somewhere in the middle of whatever it does now.
    let end = Instant::now() + wait;
    while Instant::now() < end {
        std::hint::spin_loop();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // What it had said before it died.
    lines.map_while(Result::ok).filter_map(said).last().or(last).unwrap()
}

#[test]
#[ignore = "fifty processes, a minute or more"]
fn long_a_kill_while_it_writes_costs_at_most_one_batch_and_damages_nothing() {
    let folder = Folder::new("kill");
    let path = folder.0.join("mining.db");
    let at = |s: i64| Now { mono: Mono(0), wall: Timestamp(s * 1000) };
    Keeper::new(options(path.clone())).tick(at(T0));
    let mut lost = 0;
    for round in 0..50_u64 {
        // Different moments in every run.
        let noise =
            u64::from(std::process::id()).wrapping_mul(round + 1).wrapping_mul(2_654_435_761) >> 7;
        let commands = 20 + (noise % 90) as usize;
        let (sent, kept) = kill_a_writer(&path, commands, Duration::from_micros(noise % 6000));

        let mut keeper = Keeper::new(options(path.clone()));
        keeper.tick(at(sent));
        let opened = matches!(&keeper.events[0], HistoryEvent::Opened { set_aside: None, .. });
        assert!(opened, "round {round}: {:?}", keeper.events);
        drop(keeper);
        let db = Connection::open(&path).unwrap();
        let check: String = db.query_row("PRAGMA integrity_check", [], |r| r.get(0)).unwrap();
        assert_eq!(check, "ok", "round {round}");
        let last = number(&db, "SELECT max(ts) FROM raw");
        assert!(last >= kept, "round {round}: {kept} was called kept, {last} is the last");
        // A minute of readings, and what was on its way.
        assert!(
            sent - last <= 60 + 10 * (QUEUE + 3),
            "round {round}: {sent} sent, {last} is the last"
        );
        lost += i64::from(last < sent);
        let whole = number(&db, "SELECT count(*) FROM raw") == (last - T0) / 10 * MINERS;
        assert!(whole, "round {round}: a batch is there whole or not at all");
        assert_eq!(
            number(&db, "SELECT max(through) FROM marks"),
            last,
            "the mark goes with the rows"
        );
    }
    assert!(lost > 10, "it was killed in the middle of something: {lost}");
    assert_rolled_up(&path);
}

/// Long afterwards every minute and hour is what its readings say.
fn assert_rolled_up(path: &Path) {
    let last = number(&Connection::open(path).unwrap(), "SELECT max(ts) FROM raw");
    let mut keeper = Keeper::new(options(path.to_owned()));
    for second in (0..20_000).step_by(5) {
        keeper.tick(Now { mono: Mono(second * 1_000_000), wall: Timestamp((last + 5000) * 1000) });
    }
    drop(keeper);
    let db = Connection::open(path).unwrap();
    assert_eq!(number(&db, "SELECT count(*) FROM dirty"), 0);
    for (table, from, span, n, sum) in [
        ("m1", "raw", 60, "count(hashrate)", "total(hashrate)"),
        ("h1", "m1", 3600, "sum(n)", "total(sum)"),
    ] {
        let sql = format!(
            "SELECT count(*) FROM (SELECT ts / {span} * {span} AS t, series, {n} AS c, {sum} AS s,
                 sum(accepted) AS a FROM {from} GROUP BY t, series) AS x
             LEFT JOIN {table} AS r ON r.ts = x.t AND r.series = x.series
             WHERE r.ts IS NULL OR n <> c OR accepted <> a OR abs(sum - s) > 1e-9 * s"
        );
        assert_eq!(number(&db, &sql), 0, "{table}");
        assert!(number(&db, &format!("SELECT count(*) FROM {table}")) > 0);
    }
}

/// A small disk of memory, unmounted at the end.
struct Disk(PathBuf);

impl Disk {
    fn new(folder: &Folder) -> Option<Self> {
        let place = folder.0.join("disk");
        std::fs::create_dir(&place).unwrap();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"])
            .arg(&place)
            .stderr(Stdio::null())
            .status();
        mount.is_ok_and(|status| status.success()).then_some(Self(place))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg(&self.0).status());
    }
}

#[test]
fn a_full_disk_costs_readings_that_are_counted_and_when_there_is_room_it_goes_on() {
    let folder = Folder::new("full");
    let Some(disk) = Disk::new(&folder) else {
        println!("skipped: no file system can be mounted here (it needs root)");
        return;
    };
    let path = disk.0.join("mining.db");
    let mut keeper = Keeper::new(options(path.clone()));
    let (mut second, mut events) = (0, Vec::new());
    let mut mine = |keeper: &mut Keeper, minutes: i64, events: &mut Vec<HistoryEvent>| {
        for _ in 0..minutes * 6 {
            second += 10;
            let at = T0 + second;
            let now =
                Now { mono: Mono(second.unsigned_abs() * 1_000_000), wall: Timestamp(at * 1000) };
            let keep = HistoryCommand::Keep { node: RIG, batch: batch(at), after: Some(at - 10) };
            keeper.tick(now);
            keeper.take(keep, now);
            events.append(&mut keeper.events);
        }
    };
    let failed = |events: &[HistoryEvent]| {
        events.iter().any(
            |e| matches!(e, HistoryEvent::Failed { reason, .. } if reason.contains("disk is full")),
        )
    };
    for minute in 0.. {
        assert!(minute < 2_000, "the disk does not fill");
        mine(&mut keeper, 1, &mut events);
        if failed(&events) {
            break;
        }
    }
    // It goes on failing: said once, and the oldest of what waits is lost.
    events.clear();
    mine(&mut keeper, 240, &mut events);
    assert!(events.is_empty(), "{events:?}");
    let HistoryStatus { samples, dropped_samples, .. } = keeper.status();
    assert!(dropped_samples >= 28_800 - 20_000, "{dropped_samples}");
    let db = Connection::open(&path).unwrap();
    assert_eq!(number(&db, "SELECT count(*) FROM raw"), samples.cast_signed());
    drop(db);

    let bigger = Command::new("mount").args(["-o", "remount,size=32m"]).arg(&disk.0).status();
    assert!(bigger.unwrap().success());
    mine(&mut keeper, 3, &mut events);
    let recovered = |e: &HistoryEvent| matches!(e, HistoryEvent::Recovered { dropped } if *dropped >= dropped_samples);
    assert!(events.iter().any(recovered), "{events:?}");
    mine(&mut keeper, 10, &mut events);
    assert!(!failed(&events));
    let status = keeper.status();
    let db = Connection::open(&path).unwrap();
    assert_eq!(number(&db, "SELECT count(*) FROM raw"), status.samples.cast_signed());
    assert!(status.samples > samples + 19_000);
    let check: String = db.query_row("PRAGMA integrity_check", [], |r| r.get(0)).unwrap();
    assert_eq!(check, "ok");
    drop((db, keeper));
}
