//! Which rows answer a question, and reading them. Hours are read from `h1`; the latest, which are not rolled up yet, from
//! `m1`; and the latest minutes likewise from `raw`.
use std::collections::{BTreeMap, BTreeSet, HashSet};

use rusqlite::{Connection, Row, params};

use crate::model::history::{HOURS_KEPT_MS, RAW_KEPT_MS, Window};
use crate::model::key::NodeId;
use crate::store::history::fold::Part;

const MINUTE: i64 = 60;
const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// A point that began less than so many seconds ago is not shown: some rigs have not reported in it yet, and it would
/// look like a loss.
const SETTLED: i64 = 15;
/// Minutes and hours that wait to be rolled up and are computed here; older ones show what was rolled up before.
const FRESH_MINUTES: i64 = 10;
const FRESH_HOURS: i64 = 3;
/// Spans that are read finer than in hours (a farm, a series) and in single readings (a series).
const FARM_MINUTES: i64 = 31 * DAY;
const SERIES_MINUTES: i64 = 7 * DAY;
const SERIES_RAW: i64 = HOUR;
/// Every 10 s there is a reading, give or take some.
const RAW_STEP: i64 = 20;
/// The times of a series are not kept to the second.
const SLACK: i64 = 2 * HOUR;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Table {
    Raw,
    Minute,
    Hour,
}

/// A time that is read from one table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Piece {
    pub table: Table,
    pub from: i64,
    /// Exclusive.
    pub until: i64,
    /// What a row stands for, in seconds; readings are put together to so much.
    span: i64,
}

impl Piece {
    pub fn span(&self) -> i64 {
        self.span
    }

    /// What a bit of [`Part::units`] stands for, in seconds.
    pub fn unit(&self) -> i64 {
        self.span.min(MINUTE)
    }
}

/// A series and the times between which it has rows.
#[derive(Clone, Debug)]
pub struct Line {
    pub id: i64,
    pub node: NodeId,
    pub miner: String,
    pub miner_type: String,
    pub simulated: bool,
    pub algorithm: String,
    first: i64,
    last: i64,
}

pub fn lines(
    db: &Connection,
    node: Option<NodeId>,
    miner: Option<&str>,
    algorithm: Option<&str>,
) -> rusqlite::Result<Vec<Line>> {
    let sql = "SELECT * FROM series WHERE (?1 IS NULL OR node = ?1) AND (?2 IS NULL OR miner = ?2)
        AND (?3 IS NULL OR algorithm = ?3)";
    let read = |row: &Row<'_>| {
        Ok(Line {
            id: row.get("id")?,
            node: NodeId(row.get("node")?),
            miner: row.get("miner")?,
            miner_type: row.get("miner_type")?,
            simulated: row.get("simulated")?,
            algorithm: row.get("algorithm")?,
            first: row.get("first")?,
            last: row.get("last")?,
        })
    };
    db.prepare_cached(sql)?.query_map(params![node.map(|n| n.0), miner, algorithm], read)?.collect()
}

/// The finest step that makes sense for a series.
pub fn finest_of_series(db: &Connection, window: Window) -> rusqlite::Result<i64> {
    let Window { since, until, now, .. } = window;
    let span = until.saturating_sub(since);
    if span <= SERIES_RAW && since > now - RAW_KEPT_MS / 1000 {
        return Ok(RAW_STEP);
    }
    if span <= SERIES_MINUTES { minutes_or_hours(db, since) } else { Ok(HOUR) }
}

/// The finest step that makes sense for the farm.
pub fn finest_of_farm(db: &Connection, window: Window) -> rusqlite::Result<i64> {
    let span = window.until.saturating_sub(window.since);
    if span <= FARM_MINUTES { minutes_or_hours(db, window.since) } else { Ok(HOUR) }
}

/// Hours where there are some from before the first minute.
fn minutes_or_hours(db: &Connection, since: i64) -> rusqlite::Result<i64> {
    let minutes = first(db, "m1")?;
    let older = first(db, "h1")? < minutes - minutes.rem_euclid(HOUR);
    Ok(if older && since < minutes { HOUR } else { MINUTE })
}

fn first(db: &Connection, table: &str) -> rusqlite::Result<i64> {
    let sql = format!("SELECT min(ts) FROM {table}");
    db.query_row(&sql, [], |row| row.get::<_, Option<i64>>(0)).map(|ts| ts.unwrap_or(i64::MAX / 2))
}

/// What a chart with this step is read from. Both times are multiples of it.
pub fn plan(
    db: &Connection,
    from: i64,
    until: i64,
    now: i64,
    step: i64,
) -> rusqlite::Result<Vec<Piece>> {
    let Some((from, until)) = clipped(from, until, now) else { return Ok(Vec::new()) };
    if step < MINUTE {
        return Ok(vec![Piece {
            table: Table::Raw,
            from,
            until: settled(until, now, step),
            span: step,
        }]);
    }
    let fresh = Fresh::read(db, from, until, now)?;
    let mut out = Vec::new();
    if step < HOUR {
        fresh.minutes(from, until, now, &mut out);
    } else {
        fresh.hours(from - from.rem_euclid(HOUR), until, now, &mut out);
    }
    Ok(out)
}

/// The same for sums over the whole of a time: its ends, to the minute, are read from minutes where there are such.
pub fn plan_exactly(db: &Connection, window: Window) -> rusqlite::Result<Vec<Piece>> {
    let Some((since, until)) = clipped(window.since, window.until, window.now) else {
        return Ok(Vec::new());
    };
    let (since, until) = (since - since.rem_euclid(MINUTE), until);
    let (mut from, mut to) = (since - since.rem_euclid(HOUR), until - until.rem_euclid(HOUR));
    let minutes = first(db, "m1")?;
    let fresh = Fresh::read(db, from, until, window.now)?;
    let mut out = Vec::new();
    if since > from && since >= minutes {
        from += HOUR;
        fresh.minutes(since, from.min(until), window.now, &mut out);
    }
    if until > to && until < minutes {
        to += HOUR;
    }
    if from < to {
        fresh.hours(from, to, window.now, &mut out);
    }
    if to.max(from) < until {
        fresh.minutes(to.max(from), until, window.now, &mut out);
    }
    Ok(out)
}

/// No rows are older, and none are of the future.
fn clipped(from: i64, until: i64, now: i64) -> Option<(i64, i64)> {
    let oldest = now - HOURS_KEPT_MS / 1000 - DAY;
    let from = if from < oldest { oldest - oldest.rem_euclid(DAY) } else { from };
    let until = until.min(now + DAY);
    (from < until).then_some((from, until))
}

/// The end of what is old enough to be shown.
fn settled(until: i64, now: i64, span: i64) -> i64 {
    let newest = now - SETTLED;
    until.min(newest - newest.rem_euclid(span) + span)
}

/// What waits to be rolled up.
struct Fresh {
    minutes: BTreeSet<i64>,
    hours: BTreeSet<i64>,
}

impl Fresh {
    fn read(db: &Connection, from: i64, until: i64, now: i64) -> rusqlite::Result<Self> {
        let sql = "SELECT ts FROM dirty WHERE span = ?1 AND ts > ?2 AND ts < ?3 AND ts <= ?4
            ORDER BY ts DESC LIMIT ?5";
        let dirty = |span: i64, most: i64| -> rusqlite::Result<BTreeSet<i64>> {
            let mut select = db.prepare_cached(sql)?;
            let rows = select.query_map([span, from - span, until, now, most], |row| row.get(0))?;
            rows.collect()
        };
        let minutes = dirty(MINUTE, FRESH_MINUTES)?;
        let mut hours = dirty(HOUR, FRESH_HOURS)?;
        let of_minutes = minutes.iter().rev().map(|ts| ts - ts.rem_euclid(HOUR));
        hours.extend(of_minutes.take(2));
        Ok(Self { minutes, hours })
    }

    fn hours(&self, from: i64, until: i64, now: i64, out: &mut Vec<Piece>) {
        let mut at = from;
        for hour in self.hours.range(from..until) {
            push(out, Table::Hour, HOUR, at, *hour);
            self.minutes(*hour, until.min(hour + HOUR), now, out);
            at = hour + HOUR;
        }
        push(out, Table::Hour, HOUR, at, until);
    }

    fn minutes(&self, from: i64, until: i64, now: i64, out: &mut Vec<Piece>) {
        let until = settled(until, now, MINUTE);
        let mut at = from;
        for minute in self.minutes.range(from..until.max(from)) {
            push(out, Table::Minute, MINUTE, at, *minute);
            push(out, Table::Raw, MINUTE, *minute, minute + MINUTE);
            at = minute + MINUTE;
        }
        push(out, Table::Minute, MINUTE, at, until);
    }
}

fn push(out: &mut Vec<Piece>, table: Table, span: i64, from: i64, until: i64) {
    if from < until {
        out.push(Piece { table, from, until, span });
    }
}

#[derive(Clone, Copy)]
pub enum Which<'a> {
    All,
    These(&'a [Line]),
}

/// Shows every row to `f`: where it begins, its series, and what it holds. A few series are looked up one by one, since
/// the rows of all others lie between theirs.
pub fn visit(
    db: &Connection,
    piece: Piece,
    which: Which<'_>,
    f: &mut dyn FnMut(i64, i64, &Part),
) -> rusqlite::Result<()> {
    let columns = "n, sum, min, max, accepted, rejected, work";
    let source = match piece.table {
        Table::Raw => return visit_raw(db, piece, which, f),
        Table::Minute => format!("SELECT {columns}, n > 0, ts, series FROM m1"),
        Table::Hour => format!("SELECT {columns}, minutes, ts, series FROM h1"),
    };
    let Which::These(lines) = which else {
        let mut select = db.prepare_cached(&format!("{source} WHERE ts >= ?1 AND ts < ?2"))?;
        let mut rows = select.query([piece.from, piece.until])?;
        while let Some(row) = rows.next()? {
            f(row.get(8)?, row.get(9)?, &part(row)?);
        }
        return Ok(());
    };
    let mut select = db.prepare_cached(&format!("{source} WHERE ts = ?1 AND series = ?2"))?;
    for line in lines {
        let before = (line.first - piece.from).div_euclid(piece.span).max(0);
        let mut ts = piece.from + before * piece.span;
        while ts < piece.until.min(line.last + SLACK) {
            let mut rows = select.query([ts, line.id])?;
            if let Some(row) = rows.next()? {
                f(ts, line.id, &part(row)?);
            }
            ts += piece.span;
        }
    }
    Ok(())
}

fn part(row: &Row<'_>) -> rusqlite::Result<Part> {
    Ok(Part {
        n: row.get(0)?,
        sum: row.get(1)?,
        min: row.get(2)?,
        max: row.get(3)?,
        accepted: row.get(4)?,
        rejected: row.get(5)?,
        work: row.get(6)?,
        units: row.get::<_, i64>(7)?.cast_unsigned(),
    })
}

fn visit_raw(
    db: &Connection,
    piece: Piece,
    which: Which<'_>,
    f: &mut dyn FnMut(i64, i64, &Part),
) -> rusqlite::Result<()> {
    let wanted: Option<HashSet<i64>> = match which {
        Which::All => None,
        Which::These(lines) => Some(lines.iter().map(|line| line.id).collect()),
    };
    let mut parts: BTreeMap<(i64, i64), Part> = BTreeMap::new();
    let mut select = db.prepare_cached(
        "SELECT ts, series, hashrate, accepted, rejected, work FROM raw WHERE ts >= ?1 AND ts < ?2",
    )?;
    let mut rows = select.query([piece.from, piece.until])?;
    while let Some(row) = rows.next()? {
        let (ts, series): (i64, i64) = (row.get(0)?, row.get(1)?);
        if wanted.as_ref().is_none_or(|ids| ids.contains(&series)) {
            let begin = ts - ts.rem_euclid(piece.span);
            let part = parts.entry((begin, series)).or_default();
            part.add(row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?);
        }
    }
    for ((ts, series), part) in parts {
        f(ts, series, &part);
    }
    Ok(())
}
