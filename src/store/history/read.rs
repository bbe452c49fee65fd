//! Rows as a controller that missed them wants them, and the means of the last day.
use std::collections::BTreeMap;

use rusqlite::{Connection, Row, params};

use super::fold::{Part, Together};
use super::write::{HOUR, MINUTE};
use crate::model::history::{Batch, HourMean, RAW_KEPT_MS, Reading, Rollup, Rows, Series};
use crate::model::key::NodeId;
use crate::model::time::Timestamp;

/// What one message takes: rows, and bytes of JSON with room for what is around it.
const ROWS: usize = 400;
const BYTES: usize = 30 * 1024;

/// The rows of `node` after the second `after`, oldest first, in the finest resolution that is left of them: as many as
/// fit into one message. The caller has written what waited.
pub fn after(
    db: &Connection,
    node: NodeId,
    after: i64,
    now: i64,
    days: u32,
) -> rusqlite::Result<Batch> {
    let round_up = |ts: i64| ts + (HOUR - ts.rem_euclid(HOUR)) % HOUR;
    let minutes_from = round_up(now - i64::from(days) * 24 * HOUR);
    let raw_from = round_up(now - RAW_KEPT_MS / 1000).max(minutes_from);
    // A row is wanted when the last second that it stands for is.
    let find = |table, span: i64, until: i64, read: fn(&Row<'_>) -> rusqlite::Result<_>| {
        Page::read(db, node, table, after - span + 2, until, read)
    };
    if after < minutes_from - 1 {
        let page = find("h1", HOUR, minutes_from, hour)?;
        if !page.rows.is_empty() {
            let through = page.through(HOUR).unwrap_or(minutes_from - 1);
            return Ok(Batch {
                series: page.series,
                rows: Rows::Hour(page.rows),
                through,
                more: true,
            });
        }
    }
    if after < raw_from - 1 {
        let page = find("m1", MINUTE, raw_from, minute)?.whole_hours();
        if !page.rows.is_empty() {
            let through = page.through(MINUTE).unwrap_or(raw_from - 1);
            let rows = Rows::Minute(page.rows);
            return Ok(Batch { series: page.series, rows, through, more: true });
        }
    }
    let page = Page::read(db, node, "raw", after + 1, i64::MAX, reading)?;
    let last = page.rows.last().map_or(after, |(_, row)| row.at);
    Ok(Batch { series: page.series, rows: Rows::Raw(page.rows), through: last, more: page.cut })
}

trait At: serde::Serialize + Copy {
    fn at(&self) -> i64;
}

impl At for Reading {
    fn at(&self) -> i64 {
        self.at
    }
}

impl At for Rollup {
    fn at(&self) -> i64 {
        self.at
    }
}

struct Page<T> {
    series: Vec<Series>,
    rows: Vec<(u16, T)>,
    /// There are more in this table.
    cut: bool,
}

impl<T: At> Page<T> {
    fn read(
        db: &Connection,
        node: NodeId,
        table: &str,
        from: i64,
        until: i64,
        read: fn(&Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<Self> {
        let sql = format!(
            "SELECT t.*, miner, miner_type, simulated, algorithm
             FROM {table} AS t CROSS JOIN series ON id = t.series
             WHERE ts >= ?1 AND ts < ?2 AND node = ?3 ORDER BY ts, t.series"
        );
        let mut page = Self { series: Vec::new(), rows: Vec::new(), cut: false };
        let mut numbers: BTreeMap<i64, u16> = BTreeMap::new();
        let mut bytes = 0;
        let mut select = db.prepare_cached(&sql)?;
        let mut rows = select.query(params![from, until, node.0])?;
        while let Some(row) = rows.next()? {
            let one = read(row)?;
            let id: i64 = row.get("series")?;
            let known = numbers.get(&id).copied();
            let series = Series {
                miner: row.get("miner")?,
                miner_type: row.get("miner_type")?,
                simulated: row.get("simulated")?,
                algorithm: row.get("algorithm")?,
            };
            bytes += json(&one) + 8 + if known.is_none() { json(&series) + 1 } else { 0 };
            if bytes > BYTES || page.rows.len() == ROWS {
                page.drop_from(one.at());
                break;
            }
            let number = match known {
                Some(number) => number,
                None => {
                    let number = u16::try_from(page.series.len()).unwrap_or(u16::MAX);
                    numbers.insert(id, number);
                    page.series.push(series);
                    number
                }
            };
            page.rows.push((number, one));
        }
        Ok(page)
    }

    /// The message ends before this second: what belongs to one second goes together, where it is not all there is.
    fn drop_from(&mut self, at: i64) {
        self.cut = true;
        if self.rows.first().is_some_and(|(_, row)| row.at() < at) {
            self.rows.retain(|(_, row)| row.at() < at);
        }
    }

    /// A receiver that keeps minutes for a shorter time needs whole hours of them.
    fn whole_hours(mut self) -> Self {
        if let Some((_, last)) = self.rows.last().filter(|_| self.cut) {
            let hour = last.at() - last.at().rem_euclid(HOUR);
            if self.rows.first().is_some_and(|(_, row)| row.at() < hour) {
                self.rows.retain(|(_, row)| row.at() < hour);
            }
        }
        self
    }

    /// The last second of a page that is not the last one.
    fn through(&self, span: i64) -> Option<i64> {
        self.rows.last().filter(|_| self.cut).map(|(_, row)| row.at() + span - 1)
    }
}

fn json(value: &impl serde::Serialize) -> usize {
    serde_json::to_vec(value).map_or(0, |bytes| bytes.len())
}

fn reading(row: &Row<'_>) -> rusqlite::Result<Reading> {
    Ok(Reading {
        at: row.get("ts")?,
        hashrate: row.get("hashrate")?,
        accepted: row.get("accepted")?,
        rejected: row.get("rejected")?,
        work: row.get("work")?,
        temperature: row.get("temperature")?,
        power: row.get("power")?,
    })
}

fn minute(row: &Row<'_>) -> rusqlite::Result<Rollup> {
    let count = |name| row.get::<_, i64>(name).map(|n| u32::try_from(n).unwrap_or(u32::MAX));
    Ok(Rollup {
        at: row.get("ts")?,
        n: count("n")?,
        sum: row.get("sum")?,
        min: row.get("min")?,
        max: row.get("max")?,
        minutes: 0,
        accepted: count("accepted")?,
        rejected: count("rejected")?,
        work: row.get("work")?,
        temperature: row.get("temperature")?,
        power: row.get("power")?,
    })
}

fn hour(row: &Row<'_>) -> rusqlite::Result<Rollup> {
    let minutes: i64 = row.get("minutes")?;
    Ok(Rollup { minutes: minutes.cast_unsigned(), ..minute(row)? })
}

/// What each node hashed in each of the last 24 whole hours.
pub fn means(db: &Connection, now: i64) -> rusqlite::Result<Vec<(NodeId, HourMean)>> {
    let end = now - now.rem_euclid(HOUR);
    let mut select = db.prepare(
        "SELECT ts, node, algorithm, n, sum, minutes FROM h1 CROSS JOIN series ON id = series
         WHERE ts >= ?1 AND ts < ?2",
    )?;
    let mut rows = select.query([end - 24 * HOUR, end])?;
    let mut all: BTreeMap<(NodeId, String, i64), Together> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let units = row.get::<_, i64>(5)?.cast_unsigned();
        let part = Part { n: row.get(3)?, sum: row.get(4)?, units, ..Part::default() };
        let node = NodeId(row.get(1)?);
        all.entry((node, row.get(2)?, row.get(0)?)).or_default().add(node, &part);
    }
    let mean = |((node, algorithm, ts), together): ((NodeId, String, i64), Together)| {
        let hashrate = together.total(MINUTE).hashrate?;
        Some((node, HourMean { at: Timestamp(ts * 1000), algorithm, hashrate }))
    };
    Ok(all.into_iter().filter_map(mean).collect())
}
