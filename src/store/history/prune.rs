//! Forgets what is too old, a little at a time, and gives the room back where much is free.
use rusqlite::{Connection, Transaction, params};

use super::write::{HOUR, HOURS_TAKEN, SLACK};
use crate::model::history::RAW_KEPT_MS;

/// Rows that one statement deletes, and how often a table has its turn in one round.
const SLICE: i64 = 5000;
const SLICES: usize = 4;
/// Free pages are used again by what comes next; more of them than a quarter of the file, and these, are given back.
const FREE: i64 = 256;
const GIVEN_BACK: i64 = 500;

/// True when there is more of it. What is not rolled up yet stays.
pub fn prune(db: &Transaction<'_>, now: i64, days: u32) -> rusqlite::Result<bool> {
    let days = i64::from(days) * 24 * HOUR;
    let waiting = |span: i64| {
        db.prepare_cached("SELECT min(ts) FROM dirty WHERE span = ?1")?
            .query_row([span], |row| row.get::<_, Option<i64>>(0))
            .map(|ts| ts.unwrap_or(i64::MAX))
    };
    let raw = (now - RAW_KEPT_MS / 1000).max(now - days).min(waiting(60)?);
    let minutes = (now - days).min(waiting(60)?).min(waiting(HOUR)?);
    let minutes = minutes - minutes.rem_euclid(HOUR);
    let hours = now - HOURS_TAKEN;
    let mut more = false;
    for (table, before) in
        [("raw", raw), ("m1", minutes), ("farm_m1", minutes), ("h1", hours), ("farm_h1", hours)]
    {
        more |= slices(db, table, before)?;
    }
    db.prepare_cached("DELETE FROM series WHERE last < ?1")?.execute([hours - HOUR - SLACK])?;
    Ok(more)
}

fn slices(db: &Transaction<'_>, table: &str, before: i64) -> rusqlite::Result<bool> {
    let edge = format!("SELECT ts FROM {table} WHERE ts < ?1 ORDER BY ts LIMIT 1 OFFSET ?2");
    let delete = format!("DELETE FROM {table} WHERE ts <= ?1");
    let (mut edge, mut delete) = (db.prepare_cached(&edge)?, db.prepare_cached(&delete)?);
    for _ in 0..SLICES {
        let mut rows = edge.query(params![before, SLICE - 1])?;
        let Some(row) = rows.next()? else {
            delete.execute([before - 1])?;
            return Ok(false);
        };
        delete.execute([row.get::<_, i64>(0)?])?;
    }
    Ok(true)
}

/// True when there is more of it.
pub fn give_back(db: &Connection) -> rusqlite::Result<bool> {
    let number = |name| db.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let (free, all) = (number("freelist_count")?, number("page_count")?);
    if free <= FREE || free * 4 <= all {
        return Ok(false);
    }
    let mut pages = db.prepare(&format!("PRAGMA incremental_vacuum({GIVEN_BACK})"))?;
    let mut pages = pages.query([])?;
    while pages.next()?.is_some() {}
    Ok(true)
}
