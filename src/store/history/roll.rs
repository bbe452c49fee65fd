//! Rolls readings up into minutes and those into hours, and sums up the farm.
//!
//! Whatever is written into a minute or an hour makes it dirty, in the same transaction; when it is over, all of it is
//! computed anew and it is clean again. So it does not matter when a row comes, or how often.
use std::collections::BTreeMap;

use rusqlite::{Transaction, params};

use super::fold::{Part, Together};
use super::schema::{OF_HOURS, OF_MINUTES, differs, or_replace};
use super::write::{HOUR, MINUTE};
use crate::model::key::NodeId;

/// After its end, for what is still on its way.
const GRACE: i64 = 30;
/// At once; what is left over comes in the next round.
const MINUTES: usize = 32;
const HOURS: usize = 4;

const MINUTE_SQL: &str = "
INSERT INTO m1
SELECT ?1, series, count(hashrate), total(hashrate), coalesce(min(hashrate), 0.0),
    coalesce(max(hashrate), 0.0), sum(accepted), sum(rejected), sum(work), max(temperature),
    avg(power)
FROM raw WHERE ts >= ?1 AND ts < ?1 + 60 GROUP BY series";

const HOUR_SQL: &str = "
INSERT INTO h1
SELECT ?1, series, sum(n), total(sum), coalesce(min(CASE WHEN n > 0 THEN min END), 0.0),
    coalesce(max(CASE WHEN n > 0 THEN max END), 0.0),
    sum(CASE WHEN n > 0 THEN 1 << ((ts - ?1) / 60) ELSE 0 END),
    sum(accepted), sum(rejected), sum(work), max(temperature), avg(power)
FROM m1 WHERE ts >= ?1 AND ts < ?1 + 3600 GROUP BY series";

/// A row stays where it has more readings than the new one, or is the same.
fn unless_more(sql: &str, columns: &[&str]) -> String {
    let (replace, differs) = (or_replace(columns), differs(columns));
    format!("{sql} {replace} WHERE excluded.n > n OR excluded.n = n AND {differs}")
}

/// Rolls up what is over. True when there is more of it.
pub fn roll(db: &Transaction<'_>, now: i64) -> rusqlite::Result<bool> {
    let sql = "SELECT ts FROM dirty WHERE span = 60 AND ts <= ?1 ORDER BY ts DESC LIMIT ?2";
    let minutes = due(db, sql, now - MINUTE - GRACE, MINUTES)?;
    let sql = unless_more(MINUTE_SQL, OF_MINUTES);
    for ts in &minutes {
        db.prepare_cached(&sql)?.execute([ts])?;
        farm(db, "m1", MINUTE, *ts)?;
        clean(db, MINUTE, *ts)?;
        db.prepare_cached("INSERT INTO dirty VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
            .execute([HOUR, ts - ts.rem_euclid(HOUR)])?;
    }
    // Not while minutes of it wait.
    let sql = "SELECT ts FROM dirty AS hour WHERE span = 3600 AND ts <= ?1 AND NOT EXISTS (
            SELECT 1 FROM dirty WHERE span = 60 AND ts >= hour.ts AND ts < hour.ts + 3600)
        ORDER BY ts DESC LIMIT ?2";
    let hours = due(db, sql, now - HOUR - GRACE, HOURS)?;
    let sql = unless_more(HOUR_SQL, OF_HOURS);
    for ts in &hours {
        db.prepare_cached(&sql)?.execute([ts])?;
        farm(db, "h1", HOUR, *ts)?;
        clean(db, HOUR, *ts)?;
    }
    Ok(minutes.len() == MINUTES || hours.len() == HOURS)
}

/// Seconds until something can be rolled up; `None`: nothing waits.
pub fn next(db: &Transaction<'_>, now: i64) -> rusqlite::Result<Option<i64>> {
    let sql = "SELECT min(ts + span) FROM dirty";
    let end: Option<i64> = db.query_row(sql, [], |row| row.get(0))?;
    Ok(end.map(|end| (end + GRACE - now).max(0)))
}

fn due(db: &Transaction<'_>, sql: &str, until: i64, most: usize) -> rusqlite::Result<Vec<i64>> {
    db.prepare_cached(sql)?.query_map([until, most as i64], |row| row.get(0))?.collect()
}

fn clean(db: &Transaction<'_>, span: i64, ts: i64) -> rusqlite::Result<()> {
    db.prepare_cached("DELETE FROM dirty WHERE span = ?1 AND ts = ?2")?.execute([span, ts])?;
    Ok(())
}

/// The sums of all series of an algorithm in one minute or hour, out of `table`.
fn farm(db: &Transaction<'_>, table: &str, span: i64, ts: i64) -> rusqlite::Result<()> {
    let units = if span == HOUR { "minutes" } else { "n > 0" };
    let sql = format!(
        "SELECT algorithm, node, n, sum, accepted, rejected, work, {units}, min, max
         FROM {table} CROSS JOIN series ON id = series WHERE ts = ?1"
    );
    let mut algorithms: BTreeMap<String, Together> = BTreeMap::new();
    let mut rows = db.prepare_cached(&sql)?;
    let mut rows = rows.query([ts])?;
    while let Some(row) = rows.next()? {
        let part = Part {
            n: row.get(2)?,
            sum: row.get(3)?,
            accepted: row.get(4)?,
            rejected: row.get(5)?,
            work: row.get(6)?,
            units: row.get::<_, i64>(7)?.cast_unsigned(),
            min: row.get(8)?,
            max: row.get(9)?,
        };
        let node = NodeId(row.get(1)?);
        let name = row.get_ref(0)?.as_str()?;
        match algorithms.get_mut(name) {
            Some(together) => together.add(node, &part),
            None => algorithms.entry(name.to_owned()).or_default().add(node, &part),
        }
    }
    for (algorithm, together) in algorithms {
        let t = together.total(MINUTE);
        let replace = or_replace(&["hashrate", "seconds", "rigs", "accepted", "rejected", "work"]);
        let sql =
            format!("INSERT INTO farm_{table} VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) {replace}");
        db.prepare_cached(&sql)?.execute(params![
            ts, algorithm, t.hashrate, t.seconds, t.rigs, t.accepted, t.rejected, t.work
        ])?;
    }
    Ok(())
}
