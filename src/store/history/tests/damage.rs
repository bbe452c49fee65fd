use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::{HOUR, ME, RIG, T0, World, raw, reading, series};
use crate::bus::{HistoryCommand, HistoryEvent, LinkId, SetAside};
use crate::store::history::schema::MINING;

/// A world with some history on disk, ended.
fn some() -> World {
    let mut world = World::at(T0);
    for rig in [RIG, ME] {
        world.mine(rig, "a", T0 - 10 * HOUR, 500, 100.0);
    }
    world.pass(600);
    world.end();
    world.events.clear();
    world
}

fn aside(world: &World) -> Vec<PathBuf> {
    let files = fs::read_dir(&world.folder).unwrap().map(|e| e.unwrap().path());
    let mut files: Vec<_> = files.filter(|f| f.to_string_lossy().contains("corrupt-")).collect();
    files.sort();
    files
}

fn overwrite(path: &Path, from: f64, to: f64) {
    let mut bytes = fs::read(path).unwrap();
    let at = |part: f64| (bytes.len() as f64 * part) as usize;
    let (from, to) = (at(from), at(to));
    for (i, byte) in bytes[from..to].iter_mut().enumerate() {
        *byte = (i.wrapping_mul(2_654_435_761) >> 7) as u8;
    }
    fs::write(path, bytes).unwrap();
}

/// It is put away, a new one works, and the registry hears of it.
fn assert_put_away(world: &mut World) -> SetAside {
    world.start();
    let told = world.events.iter().find_map(|event| match event {
        HistoryEvent::Opened { set_aside: Some(aside), marks, .. } if marks.is_empty() => {
            Some(aside)
        }
        _ => None,
    });
    let told = told.unwrap_or_else(|| panic!("{:?}", world.events)).clone();
    assert!(Path::new(&told.file).exists() && told.file.contains("mining.db.corrupt-20231114T"));
    assert_eq!(world.count("raw"), 0);
    world.keep(RIG, raw(&[series("a")], vec![(0, reading(world.wall, 1.0))]), None);
    world.pass(61);
    assert_eq!(world.count("raw"), 1);
    assert_eq!(world.keeper().status().dropped_samples, 0);
    told
}

#[test]
fn a_file_cut_in_half_is_put_away() {
    let mut world = some();
    let bytes = fs::read(world.path()).unwrap();
    fs::write(world.path(), &bytes[..bytes.len() / 2]).unwrap();
    let told = assert_put_away(&mut world);
    assert_eq!(fs::read(told.file).unwrap(), &bytes[..bytes.len() / 2], "as it was found");
}

#[test]
fn a_file_of_noise_is_put_away() {
    for (from, to) in [(0.0, 1.0), (0.0, 0.05), (0.3, 0.9), (0.5, 0.52)] {
        let mut world = some();
        overwrite(&world.path(), from, to);
        assert_put_away(&mut world);
    }
}

#[test]
fn a_file_that_is_empty_while_its_log_is_not_is_put_away() {
    let mut world = some();
    fs::write(world.folder.join("mining.db-wal"), vec![7; 5000]).unwrap();
    fs::write(world.path(), "").unwrap();
    let told = assert_put_away(&mut world);
    assert_eq!(fs::read(format!("{}-wal", told.file)).unwrap(), vec![7; 5000]);
}

/// What only the log held is gone, and what is left is sound.
#[test]
fn a_log_of_noise_costs_what_it_held_and_no_more() {
    let mut world = World::at(T0);
    world.mine(RIG, "a", T0 - HOUR, 60, 100.0);
    world.end();
    world.start();
    world.mine(RIG, "b", T0 - HOUR, 60, 100.0);
    // As it stands at a power cut.
    let log = world.folder.join("mining.db-wal");
    let (db, held) = (fs::read(world.path()).unwrap(), fs::read(&log).unwrap());
    assert!(held.len() > 10_000);
    world.end();
    fs::write(world.path(), db).unwrap();
    fs::write(&log, held).unwrap();
    overwrite(&log, 0.0, 1.0);
    world.start();
    let series = world.number("SELECT count(DISTINCT series) FROM raw");
    assert_eq!((series, world.count("raw")), (1, 360));
    let check: String =
        world.db().query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
    assert!(aside(&world).is_empty());
}

#[test]
fn two_damaged_files_are_kept() {
    let mut world = some();
    let mut files = Vec::new();
    for _ in 0..4 {
        overwrite(&world.path(), 0.0, 1.0);
        files.push(PathBuf::from(assert_put_away(&mut world).file));
        world.end();
        world.events.clear();
        world.wall += 1;
    }
    let kept: Vec<_> =
        aside(&world).into_iter().filter(|f| !f.to_string_lossy().ends_with("-shm")).collect();
    assert_eq!(kept, files[2..]);
}

/// Damage in pages that nobody needed when it was opened.
#[test]
fn damage_that_shows_later_is_put_away_then() {
    let mut world = some();
    world.start();
    world.events.clear();
    let page = world.number("SELECT rootpage FROM sqlite_schema WHERE name = 'raw'");
    let mut bytes = fs::read(world.path()).unwrap();
    let at = usize::try_from((page - 1) * 4096).unwrap();
    bytes[at..at + 4096].fill(0xA5);
    fs::write(world.path(), bytes).unwrap();
    // Pages that the writer still remembered are read again after another's change.
    world.db().execute("INSERT INTO marks VALUES (zeroblob(8), 1)", []).unwrap();
    world.take(HistoryCommand::Read { link: LinkId(1), request: "r".to_owned(), after: 0 });
    assert!(
        matches!(world.events[..], [HistoryEvent::Read { batch: None, .. }]),
        "{:?}",
        world.events
    );
    world.pass(61);
    assert!(
        world.events.iter().any(|e| matches!(e, HistoryEvent::Opened { set_aside: Some(_), .. })),
        "{:?}",
        world.events
    );
    let databases = aside(&world).into_iter().filter(|f| f.extension().unwrap() == "000Z").count();
    assert_eq!(databases, 1);
}

#[test]
fn a_newer_or_foreign_database_is_left_alone_and_tried_again() {
    for (sql, words) in
        [("PRAGMA user_version = 99", "newer miner-cli"), ("CREATE TABLE theirs (x)", "another")]
    {
        let mut world = World::at(T0);
        world.end();
        world.events.clear();
        fs::remove_file(world.path()).unwrap();
        Connection::open(world.path()).unwrap().execute_batch(sql).unwrap();
        let before = fs::read(world.path()).unwrap();
        world.start();
        world.pass(300);
        assert!(
            matches!(&world.events[..], [HistoryEvent::Failed { reason, dropped: 0 }]
                if reason.contains(words)),
            "{:?}",
            world.events
        );
        assert_eq!(fs::read(world.path()).unwrap(), before);
        world.keep(RIG, raw(&[series("a")], vec![(0, reading(T0, 1.0))]), None);
        fs::remove_file(world.path()).unwrap();
        world.pass(61);
        assert!(matches!(world.events[1], HistoryEvent::Opened { .. }));
        assert!(matches!(world.events[2], HistoryEvent::Recovered { dropped: 0 }));
        assert_eq!(world.count("raw"), 1, "it waited");
    }
}

#[test]
fn what_cannot_be_written_waits_and_then_the_oldest_is_dropped_and_counted() {
    let mut world = World::at(T0);
    world.mine(RIG, "a", T0 - HOUR, 10, 5.0);
    world.events.clear();
    // Another program holds the file.
    let other = world.db();
    world.keeper().set_patience(std::time::Duration::ZERO);
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    for i in 0..25 {
        let rows = (0..1000).map(|j| (0, reading(T0 - 30 * HOUR + i * 1000 + j, 5.0))).collect();
        world.keep(RIG, raw(&[series("b")], rows), None);
        world.pass(70);
    }
    let [HistoryEvent::Failed { reason, dropped: 0 }] = &world.events[..] else {
        panic!("{:?}", world.events)
    };
    assert!(reason.contains("another program is using it"), "{reason}");
    other.execute_batch("ROLLBACK").unwrap();
    world.pass(70);
    assert!(matches!(world.events[1..], [HistoryEvent::Recovered { dropped: 5000 }]));
    let status = world.keeper().status();
    assert_eq!((status.samples, status.dropped_samples), (20_060, 5000));
    let newest = format!("SELECT count(*) FROM raw WHERE ts >= {}", T0 - 30 * HOUR + 5000);
    assert_eq!(world.number(&newest), 20_060);
}

/// From every version that there was, the newest comes about, and with it the rows.
#[test]
fn every_older_version_becomes_the_newest() {
    let schema = |path: &Path| {
        let db = Connection::open(path).unwrap();
        let mut select = db.prepare("SELECT sql FROM sqlite_schema ORDER BY name").unwrap();
        let rows = select.query_map([], |row| row.get::<_, Option<String>>(0)).unwrap();
        rows.map(Result::unwrap).collect::<Vec<_>>()
    };
    let fresh = World::at(T0);
    for version in 0..=MINING.len() {
        let mut world = World::at(T0);
        world.end();
        world.events.clear();
        fs::remove_file(world.path()).unwrap();
        let db = Connection::open(world.path()).unwrap();
        for step in &MINING[..version] {
            db.execute_batch(step).unwrap();
        }
        db.pragma_update(None, "user_version", version as i64).unwrap();
        if version > 0 {
            let row =
                "INSERT INTO series VALUES (1, x'0101010101010101', 'a', 'xmrig', 0, 'rx/0', 1, 2);
                INSERT INTO raw VALUES (1699990000, 1, 5.0, 1, 0, NULL, NULL, NULL)";
            db.execute_batch(row).unwrap();
        }
        drop(db);
        world.start();
        assert_eq!(schema(&world.path()), schema(&fresh.path()), "from version {version}");
        assert_eq!(world.count("raw"), i64::from(version > 0));
        assert_eq!(world.number("PRAGMA user_version"), MINING.len() as i64);
    }
}

#[test]
fn only_its_owner_may_read_it_and_it_is_kept_as_it_should() {
    use std::os::unix::fs::PermissionsExt as _;
    let mut world = some();
    world.start();
    for name in ["mining.db", "mining.db-wal"] {
        let mode = fs::metadata(world.folder.join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    assert_eq!(world.number("PRAGMA auto_vacuum"), 2, "incremental");
    let mode: String =
        world.db().pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
    assert_eq!(mode, "wal");
}
