//! Writes what waits, in one transaction with the marks that it moves.
use std::collections::{BTreeSet, HashMap};

use rusqlite::{Connection, Transaction, params};

use super::schema::{OF_HOURS, OF_MINUTES, or_replace};
use crate::model::history::{Batch, HOURS_KEPT_MS, RAW_KEPT_MS, Reading, Rollup, Rows, Series};
use crate::model::key::NodeId;

pub const MINUTE: i64 = 60;
pub const HOUR: i64 = 3600;

/// Rows of later than this are of a clock that is wrong.
const AHEAD: i64 = HOUR;
/// Readings are taken a little longer than they are kept: a rig's clock may be behind ours.
const RAW_TAKEN: i64 = RAW_KEPT_MS / 1000 + HOUR;
pub const HOURS_TAKEN: i64 = HOURS_KEPT_MS / 1000;
/// A series' times are written again when they are so much off, and therefore hold to within that.
pub const SLACK: i64 = HOUR;
/// Miners and algorithms that one node can have in two years.
const MOST_SERIES: usize = 2000;

/// What waits to be written.
#[derive(Debug)]
pub enum Word {
    Keep { node: NodeId, batch: Batch, after: Option<i64> },
    Forget { node: NodeId },
}

impl Word {
    pub fn rows(&self) -> usize {
        match self {
            Self::Keep { batch, .. } => match &batch.rows {
                Rows::Raw(rows) => rows.len(),
                Rows::Minute(rows) | Rows::Hour(rows) => rows.len(),
            },
            Self::Forget { .. } => 0,
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Known {
    id: i64,
    first: i64,
    last: i64,
}

/// What the writer remembers of the database.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    series: HashMap<NodeId, HashMap<Series, Known>>,
    pub marks: HashMap<NodeId, i64>,
}

impl Memory {
    pub fn load(db: &Connection) -> rusqlite::Result<Self> {
        let mut memory = Self::default();
        let mut rows = db.prepare("SELECT * FROM series")?;
        let mut rows = rows.query([])?;
        while let Some(row) = rows.next()? {
            let series = Series {
                miner: row.get("miner")?,
                miner_type: row.get("miner_type")?,
                simulated: row.get("simulated")?,
                algorithm: row.get("algorithm")?,
            };
            let known =
                Known { id: row.get("id")?, first: row.get("first")?, last: row.get("last")? };
            memory.series.entry(NodeId(row.get("node")?)).or_default().insert(series, known);
        }
        let mut rows = db.prepare("SELECT node, through FROM marks")?;
        let marks = rows.query_map([], |row| Ok((NodeId(row.get(0)?), row.get(1)?)))?;
        memory.marks = marks.collect::<Result<_, _>>()?;
        Ok(memory)
    }
}

/// What came of it.
#[derive(Debug, Default, PartialEq)]
pub struct Written {
    /// Readings that are new.
    pub rows: u64,
    /// Marks that moved.
    pub marks: Vec<(NodeId, i64)>,
}

/// The rows of one transaction, in the order of the tables.
#[derive(Default)]
struct Sorted {
    raw: Vec<(i64, i64, Reading)>,
    minutes: Vec<(i64, i64, Rollup)>,
    hours: Vec<(i64, i64, Rollup)>,
}

/// Writes all of `words`. When it fails, `memory` is not to be trusted any more.
pub fn write(
    db: &Transaction<'_>,
    memory: &mut Memory,
    words: &[Word],
    now: i64,
) -> rusqlite::Result<Written> {
    let mut sorted = Sorted::default();
    let mut moved = BTreeSet::new();
    for word in words {
        match word {
            Word::Keep { node, batch, after } => {
                sort(db, memory, *node, batch, now, &mut sorted)?;
                let mark = memory.marks.get(node).copied().unwrap_or(0);
                let through = batch.through.min(now + AHEAD);
                if after.is_some_and(|after| after <= mark) && through > mark {
                    memory.marks.insert(*node, through);
                    moved.insert(*node);
                }
            }
            Word::Forget { node } => {
                memory.marks.remove(node);
                moved.remove(node);
                db.execute("DELETE FROM marks WHERE node = ?1", [node.0])?;
            }
        }
    }
    let mut written = Written { rows: insert(db, sorted)?, marks: Vec::new() };
    for node in moved {
        let through = memory.marks.get(&node).copied().unwrap_or(0);
        db.prepare_cached(
            "INSERT INTO marks VALUES (?1, ?2)
             ON CONFLICT (node) DO UPDATE SET through = excluded.through",
        )?
        .execute(params![node.0, through])?;
        written.marks.push((node, through));
    }
    Ok(written)
}

fn sort(
    db: &Transaction<'_>,
    memory: &mut Memory,
    node: NodeId,
    batch: &Batch,
    now: i64,
    out: &mut Sorted,
) -> rusqlite::Result<()> {
    let (span, oldest) = match batch.rows {
        Rows::Raw(_) => (1, now - RAW_TAKEN),
        Rows::Minute(_) => (MINUTE, now - HOURS_TAKEN),
        Rows::Hour(_) => (HOUR, now - HOURS_TAKEN),
    };
    let taken = |at: i64| (oldest..=now + AHEAD).contains(&at) && at % span == 0;
    // The first and the last row of each series.
    let mut reach: HashMap<u16, (i64, i64)> = HashMap::new();
    let mut see = |series: u16, at: i64| {
        let (first, last) = reach.entry(series).or_insert((at, at));
        (*first, *last) = ((*first).min(at), (*last).max(at));
    };
    match &batch.rows {
        Rows::Raw(rows) => {
            rows.iter().filter(|(_, row)| taken(row.at)).for_each(|(s, row)| see(*s, row.at));
        }
        Rows::Minute(rows) | Rows::Hour(rows) => {
            rows.iter().filter(|(_, row)| taken(row.at)).for_each(|(s, row)| see(*s, row.at));
        }
    }
    let mut ids = HashMap::new();
    for (number, (first, last)) in reach {
        let Some(series) = batch.series.get(usize::from(number)) else { continue };
        if let Some(id) = identify(db, memory, node, series, first, last)? {
            ids.insert(number, id);
        }
    }
    let id = |series: &u16, at: i64| ids.get(series).copied().filter(|_| taken(at));
    match &batch.rows {
        Rows::Raw(rows) => {
            out.raw.extend(rows.iter().filter_map(|(s, r)| Some((r.at, id(s, r.at)?, *r))));
        }
        Rows::Minute(rows) => {
            out.minutes.extend(rows.iter().filter_map(|(s, r)| Some((r.at, id(s, r.at)?, *r))));
        }
        Rows::Hour(rows) => {
            out.hours.extend(rows.iter().filter_map(|(s, r)| Some((r.at, id(s, r.at)?, *r))));
        }
    }
    Ok(())
}

/// The number of a series, made where it is new. `None`: its node has too many.
fn identify(
    db: &Transaction<'_>,
    memory: &mut Memory,
    node: NodeId,
    series: &Series,
    first: i64,
    last: i64,
) -> rusqlite::Result<Option<i64>> {
    let own = memory.series.entry(node).or_default();
    let known = match own.get(series) {
        Some(known) if known.first <= first && last < known.last + SLACK => {
            return Ok(Some(known.id));
        }
        Some(known) => {
            Known { id: known.id, first: known.first.min(first), last: known.last.max(last) }
        }
        None if own.len() >= MOST_SERIES => return Ok(None),
        None => Known { id: 0, first, last },
    };
    // Type and origin of figures are said of the newest.
    let id = db
        .prepare_cached(
            "INSERT INTO series (node, miner, miner_type, simulated, algorithm, first, last)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (node, miner, algorithm) DO UPDATE SET miner_type = excluded.miner_type,
                 simulated = excluded.simulated, first = min(first, excluded.first),
                 last = max(last, excluded.last)
             RETURNING id",
        )?
        .query_row(
            params![
                node.0,
                series.miner,
                series.miner_type,
                series.simulated,
                series.algorithm,
                known.first,
                known.last
            ],
            |row| row.get(0),
        )?;
    own.insert(series.clone(), Known { id, ..known });
    Ok(Some(id))
}

/// How many of the raw rows are new.
fn insert(db: &Transaction<'_>, mut rows: Sorted) -> rusqlite::Result<u64> {
    rows.raw.sort_unstable_by_key(|(at, series, _)| (*at, *series));
    rows.minutes.sort_unstable_by_key(|(at, series, _)| (*at, *series));
    rows.hours.sort_unstable_by_key(|(at, series, _)| (*at, *series));
    let mut dirty = BTreeSet::new();
    let mut new = 0;
    let mut raw = db.prepare_cached(
        "INSERT INTO raw VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO NOTHING",
    )?;
    for (at, series, r) in &rows.raw {
        let (hashrate, work) = (finite(r.hashrate), finite(r.work));
        let (heat, power) = (finite(r.temperature), finite(r.power));
        let row = params![at, series, hashrate, r.accepted, r.rejected, work, heat, power];
        if raw.execute(row)? > 0 {
            new += 1;
            dirty.insert((MINUTE, at - at.rem_euclid(MINUTE)));
        }
    }
    // One with more readings knows more.
    let upsert = |values: &str, columns: &[&str]| {
        format!("INSERT INTO {values} {} WHERE excluded.n > n", or_replace(columns))
    };
    let sql = upsert("m1 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)", OF_MINUTES);
    let mut minute = db.prepare_cached(&sql)?;
    for (at, series, r) in &rows.minutes {
        let Rollup { n, accepted, rejected, .. } = *r;
        let [sum, min, max] = [r.sum, r.min, r.max].map(|x| finite(Some(x)).unwrap_or(0.0));
        let [work, heat, power] = [r.work, r.temperature, r.power].map(finite);
        let row = params![at, series, n, sum, min, max, accepted, rejected, work, heat, power];
        if minute.execute(row)? > 0 {
            dirty.insert((MINUTE, *at));
        }
    }
    let sql = upsert("h1 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)", OF_HOURS);
    let mut hour = db.prepare_cached(&sql)?;
    for (at, series, r) in &rows.hours {
        let Rollup { n, accepted, rejected, .. } = *r;
        let [sum, min, max] = [r.sum, r.min, r.max].map(|x| finite(Some(x)).unwrap_or(0.0));
        let [work, heat, power] = [r.work, r.temperature, r.power].map(finite);
        let minutes = minutes_of(r).cast_signed();
        let row =
            params![at, series, n, sum, min, max, minutes, accepted, rejected, work, heat, power];
        if hour.execute(row)? > 0 {
            dirty.insert((HOUR, *at));
        }
    }
    let mut mark = db.prepare_cached("INSERT INTO dirty VALUES (?1, ?2) ON CONFLICT DO NOTHING")?;
    for (span, ts) in dirty {
        mark.execute([span, ts])?;
    }
    Ok(new)
}

/// Which minutes of an hour have readings; as many as they need where it was not said.
fn minutes_of(row: &Rollup) -> u64 {
    let said = row.minutes & ((1 << 60) - 1);
    match row.n {
        0 => 0,
        _ if said != 0 => said,
        n => (1 << n.div_ceil(6).clamp(1, 60)) - 1,
    }
}

fn finite(number: Option<f64>) -> Option<f64> {
    number.filter(|n| n.is_finite())
}
