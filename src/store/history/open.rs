//! Opens mining.db and proves that it is sound; puts a damaged one away.
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode};

use super::schema::MINING;
use crate::model::fault::{Code, Fault};
use crate::model::time::Timestamp;
use crate::store::{code, fault, make_private, schema};

/// A file of at most so many bytes is checked page by page whenever it is opened; of a longer one only the edges are.
const CHECKED_WHOLE: u64 = 64 << 20;
/// Damaged files that are kept.
const KEPT: usize = 2;

/// Why the database is of no use.
#[derive(Debug)]
pub enum Trouble {
    /// It is to be put away.
    Damaged(String),
    /// A full disk, another program, a newer version: to be tried again later.
    Fault(Fault),
}

/// What an error of SQLite means for the file.
pub fn trouble(path: &Path, error: &rusqlite::Error) -> Trouble {
    match code(error) {
        Some(ErrorCode::NotADatabase) => Trouble::Damaged("it is no SQLite database".to_owned()),
        Some(ErrorCode::DatabaseCorrupt) => Trouble::Damaged(error.to_string()),
        _ => Trouble::Fault(fault(path, error)),
    }
}

/// The database, with its newest schema. Made, mode 0600, where there is none.
pub fn open(path: &Path) -> Result<Connection, Trouble> {
    let failed = |e: rusqlite::Error| trouble(path, &e);
    let log = length(&beside(path, "-wal"));
    if length(path) == 0 && log > 0 {
        return Err(Trouble::Damaged("it is missing or empty, and its log is not".to_owned()));
    }
    make_private(path).map_err(Trouble::Fault)?;
    let mut db = Connection::open(path).map_err(failed)?;
    // Until it is known to be sound, nothing is written into it.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map_err(failed)?;
    db.busy_timeout(Duration::from_secs(5)).map_err(failed)?;
    check(&db, path, log)?;
    schema::ours(&db, path, MINING).map_err(Trouble::Fault)?;
    settings(&db).map_err(failed)?;
    schema::migrate(&mut db, path, MINING).map_err(Trouble::Fault)?;
    whole(&db, path)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false).map_err(failed)?;
    Ok(db)
}

/// `log`: how long the log was.
fn check(db: &Connection, path: &Path, log: u64) -> Result<(), Trouble> {
    let failed = |e: rusqlite::Error| trouble(path, &e);
    db.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(())).map_err(failed)?;
    // A log of which nothing can be read is damaged, and with it perhaps what was being copied from it.
    let frames: i64 =
        db.query_row("PRAGMA wal_checkpoint(NOOP)", [], |row| row.get(1)).map_err(failed)?;
    if length(path) > CHECKED_WHOLE && (log == 0 || frames > 0) {
        return edges(db).map_err(failed);
    }
    let found: String =
        db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(failed)?;
    if found == "ok" { Ok(()) } else { Err(Trouble::Damaged(found)) }
}

/// Goes down to the oldest and the newest rows, which are the ones that are worked on.
fn edges(db: &Connection) -> rusqlite::Result<()> {
    for table in ["raw", "m1", "h1", "farm_m1", "farm_h1"] {
        let sql = format!("SELECT min(ts), (SELECT max(ts) FROM {table}) FROM {table}");
        db.query_row(&sql, [], |_| Ok(()))?;
    }
    Ok(())
}

fn settings(db: &Connection) -> rusqlite::Result<()> {
    // Has to be said before the first table is made.
    db.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    // A power cut loses what the last minutes brought, and damages nothing.
    db.pragma_update(None, "synchronous", "NORMAL")?;
    db.pragma_update(None, "journal_size_limit", 4 << 20)?;
    db.pragma_update(None, "temp_store", "MEMORY")?;
    db.pragma_update(None, "cache_size", -4000)?;
    db.pragma_update(None, "trusted_schema", false)
}

/// A file that was cut off has fewer pages than its header counts.
fn whole(db: &Connection, path: &Path) -> Result<(), Trouble> {
    let read = || {
        db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        let number = |name| db.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        Ok((number("page_count")? * number("page_size")?).cast_unsigned())
    };
    let bytes: u64 = read().map_err(|e| trouble(path, &e))?;
    if length(path) < bytes {
        return Err(Trouble::Damaged(format!(
            "its end is missing: {} of {bytes} bytes are there",
            length(path)
        )));
    }
    Ok(())
}

/// Puts the database and its log away under names that end in the time, and keeps the newest of such. Returns where it
/// lies now.
pub fn set_aside(path: &Path, now: Timestamp) -> io::Result<PathBuf> {
    let time: String = now.to_string().chars().filter(|c| !matches!(c, '-' | ':')).collect();
    let aside = beside(path, &format!(".corrupt-{time}"));
    for end in ["-wal", "-shm", ""] {
        match fs::rename(beside(path, end), beside(&aside, end)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            result => result?,
        }
    }
    forget_old(path)?;
    Ok(aside)
}

fn forget_old(path: &Path) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let name = beside(path, ".corrupt-");
    let name = name.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut all = Vec::new();
    for entry in fs::read_dir(folder)? {
        let file = entry?.file_name().to_string_lossy().into_owned();
        if file.starts_with(&name) {
            all.push(file);
        }
    }
    let whole = |file: &str| file.trim_end_matches("-wal").trim_end_matches("-shm").to_owned();
    let mut times: Vec<String> = all.iter().map(|file| whole(file)).collect();
    times.sort();
    times.dedup();
    times.truncate(times.len().saturating_sub(KEPT));
    for file in all.iter().filter(|file| times.contains(&whole(file))) {
        fs::remove_file(folder.join(file))?;
    }
    Ok(())
}

/// `path` with something behind its name.
pub fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

pub fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |about| about.len())
}

/// Nothing is copied from the log into a file that is to be kept as it was found.
pub fn close_untouched(db: Connection) {
    drop(db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true));
    drop(db);
}

/// For whoever may not know better: the file cannot be put away, either.
pub fn stuck(path: &Path, reason: &str, error: &io::Error) -> Fault {
    let text = format!("{} is damaged ({reason}) and cannot be put away: {error}", path.display());
    Fault::new(Code::NotSaved, text)
}
