//! Reading mining.db beside the `history` thread, over a connection that cannot write. A file that is not there yet holds
//! nothing, and that is no error.
mod grid;
mod rows;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use rusqlite::{Connection, Transaction, params};

use super::not_read;
use crate::model::fault::Fault;
use crate::model::history::{
    AlgorithmChart, MinerChart, MinerPoint, MinerSummary, TotalsChart, TotalsPoint, Window,
};
use crate::model::key::NodeId;
use crate::model::time::Timestamp;
use crate::store::history::fold::{Part, Together, Total};
use grid::Grid;
use rows::{Line, Piece, Table, Which};

pub use crate::store::history::file_bytes;

/// The chart of all rigs, or of `node` alone (the sum of its miners), a line an algorithm; of `algorithm` alone where it
/// is given.
///
/// # Errors
/// The database cannot be read.
pub fn totals(
    path: &Path,
    node: Option<NodeId>,
    algorithm: Option<&str>,
    window: Window,
) -> Result<TotalsChart, Fault> {
    let read = |db: &Transaction<'_>| {
        let finest = match node {
            Some(_) => rows::finest_of_series(db, window)?,
            None => rows::finest_of_farm(db, window)?,
        };
        let grid = Grid::new(window, finest);
        let mut lines = BTreeMap::new();
        for piece in rows::plan(db, grid.since(), grid.until(), window.now, grid.step)? {
            match node {
                Some(node) => {
                    let lines_of = rows::lines(db, Some(node), None, algorithm)?;
                    add_series(db, &lines_of, piece, &grid, &mut lines)?;
                }
                None if piece.table == Table::Raw => {
                    let all = rows::lines(db, None, None, algorithm)?;
                    add_series(db, &all, piece, &grid, &mut lines)?;
                }
                None => add_farm(db, algorithm, piece, &grid, &mut lines)?,
            }
        }
        Ok((grid, lines))
    };
    let empty = || (Grid::new(window, 60), BTreeMap::new());
    let (grid, lines) = with(path, read)?.unwrap_or_else(empty);
    let chart = |(algorithm, totals): (String, Vec<Total>)| AlgorithmChart {
        algorithm,
        points: grid.times().zip(&totals).map(|(at, total)| point(at, total)).collect(),
    };
    Ok(TotalsChart {
        since: Timestamp(window.since.saturating_mul(1000)),
        until: Timestamp(window.until.saturating_mul(1000)),
        resolution: grid.step,
        series: lines.into_iter().map(chart).collect(),
    })
}

fn point(timestamp: Timestamp, total: &Total) -> TotalsPoint {
    TotalsPoint {
        timestamp,
        hashrate: total.hashrate,
        effective: total.effective(),
        rigs: total.rigs,
        accepted: total.accepted.max(0).unsigned_abs(),
        rejected: total.rejected.max(0).unsigned_abs(),
    }
}

/// The chart of one miner; no points when nothing is known of it.
///
/// # Errors
/// The database cannot be read.
pub fn miner(path: &Path, node: NodeId, name: &str, window: Window) -> Result<MinerChart, Fault> {
    let read = |db: &Transaction<'_>| {
        let grid = Grid::new(window, rows::finest_of_series(db, window)?);
        let series = rows::lines(db, Some(node), Some(name), None)?;
        let mut lines = Lines::new();
        for piece in rows::plan(db, grid.since(), grid.until(), window.now, grid.step)? {
            add_series(db, &series, piece, &grid, &mut lines)?;
        }
        let point = |(i, timestamp): (usize, Timestamp)| {
            let of_all = lines.values().filter_map(|line| line.get(i).copied());
            let total = of_all.max_by_key(|t| t.seconds).unwrap_or_default();
            let Total { hashrate, min, max, .. } = total;
            MinerPoint { timestamp, hashrate, min, max, effective: total.effective() }
        };
        let points = grid.times().enumerate().map(point);
        let points = if series.is_empty() { Vec::new() } else { points.collect() };
        Ok(MinerChart { resolution: grid.step, points })
    };
    let none = || MinerChart { resolution: Grid::new(window, 60).step, points: Vec::new() };
    Ok(with(path, read)?.unwrap_or_else(none))
}

/// Every miner with readings in that time, by node, name and algorithm; those of `node` alone where it is given.
///
/// # Errors
/// The database cannot be read.
pub fn miners(
    path: &Path,
    node: Option<NodeId>,
    window: Window,
) -> Result<Vec<MinerSummary>, Fault> {
    let read = |db: &Transaction<'_>| {
        let lines = rows::lines(db, node, None, None)?;
        let mut all: HashMap<i64, Sum> = HashMap::new();
        for piece in rows::plan_exactly(db, window)? {
            let which = node.map_or(Which::All, |_| Which::These(&lines));
            rows::visit(db, piece, which, &mut |ts, id, part| {
                all.entry(id).or_default().add(ts, piece.unit(), piece.span(), part);
            })?;
        }
        let mut out: Vec<MinerSummary> =
            lines.iter().filter_map(|line| all.remove(&line.id).map(|s| s.of(line))).collect();
        out.sort_by(|a, b| {
            let key = |m: &MinerSummary| (m.peer_id, m.miner_name.clone(), m.algorithm.clone());
            key(a).cmp(&key(b))
        });
        Ok(out)
    };
    Ok(with(path, read)?.unwrap_or_default())
}

/// A miner over all of the time asked for.
#[derive(Default)]
struct Sum {
    n: i64,
    sum: f64,
    min: f64,
    max: f64,
    seen: Option<(i64, i64)>,
}

impl Sum {
    fn add(&mut self, ts: i64, unit: i64, span: i64, part: &Part) {
        if part.n > 0 {
            self.min = if self.n == 0 { part.min } else { self.min.min(part.min) };
            self.max = if self.n == 0 { part.max } else { self.max.max(part.max) };
            self.n += part.n;
            self.sum += part.sum;
        }
        let (from, to) = match part.units {
            0 => (ts, ts + span),
            units => {
                let end = u64::BITS - units.leading_zeros();
                (ts + i64::from(units.trailing_zeros()) * unit, ts + i64::from(end) * unit)
            }
        };
        let (first, last) = self.seen.unwrap_or((from, to));
        self.seen = Some((first.min(from), last.max(to)));
    }

    fn of(self, line: &Line) -> MinerSummary {
        let known = |x: f64| (self.n > 0).then_some(x);
        let (first, last) = self.seen.unwrap_or_default();
        MinerSummary {
            peer_id: line.node,
            peer: None,
            miner_name: line.miner.clone(),
            miner_type: line.miner_type.clone(),
            simulated: line.simulated,
            algorithm: line.algorithm.clone(),
            total_points: self.n.max(0).unsigned_abs(),
            average_rate: known(self.sum / self.n.max(1) as f64),
            max_rate: known(self.max),
            min_rate: known(self.min),
            first_seen: Timestamp(first * 1000),
            last_seen: Timestamp(last * 1000),
        }
    }
}

type Lines = BTreeMap<String, Vec<Total>>;

fn place(lines: &mut Lines, grid: &Grid, algorithm: &str, ts: i64, total: &Total) {
    let Some(at) = grid.place(ts) else { return };
    if !lines.contains_key(algorithm) {
        lines.insert(algorithm.to_owned(), vec![Total::default(); grid.count]);
    }
    if let Some(point) = lines.get_mut(algorithm).and_then(|line| line.get_mut(at)) {
        point.extend(total);
    }
}

/// The sum of these series, algorithm by algorithm.
fn add_series(
    db: &Connection,
    series: &[Line],
    piece: Piece,
    grid: &Grid,
    lines: &mut Lines,
) -> rusqlite::Result<()> {
    let by_id: HashMap<i64, &Line> = series.iter().map(|line| (line.id, line)).collect();
    let mut all: BTreeMap<(i64, &str), Together> = BTreeMap::new();
    rows::visit(db, piece, Which::These(series), &mut |ts, id, part| {
        if let Some(line) = by_id.get(&id) {
            all.entry((ts, &line.algorithm)).or_default().add(line.node, part);
        }
    })?;
    for ((ts, algorithm), together) in all {
        place(lines, grid, algorithm, ts, &together.total(piece.unit()));
    }
    Ok(())
}

fn add_farm(
    db: &Connection,
    algorithm: Option<&str>,
    piece: Piece,
    grid: &Grid,
    lines: &mut Lines,
) -> rusqlite::Result<()> {
    let table = if piece.table == Table::Hour { "farm_h1" } else { "farm_m1" };
    let mut select = db.prepare_cached(&format!(
        "SELECT ts, algorithm, hashrate, seconds, rigs, accepted, rejected, work FROM {table}
         WHERE ts >= ?1 AND ts < ?2 AND (?3 IS NULL OR algorithm = ?3)"
    ))?;
    let mut rows = select.query(params![piece.from, piece.until, algorithm])?;
    while let Some(row) = rows.next()? {
        let total = Total {
            hashrate: row.get(2)?,
            seconds: row.get(3)?,
            rigs: row.get(4)?,
            accepted: row.get(5)?,
            rejected: row.get(6)?,
            work: row.get(7)?,
            ..Total::default()
        };
        place(lines, grid, row.get_ref(1)?.as_str()?, row.get(0)?, &total);
    }
    Ok(())
}

/// One moment of the database. `None`: there is none yet.
fn with<T>(
    path: &Path,
    read: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
) -> Result<Option<T>, Fault> {
    if !path.exists() {
        return Ok(None);
    }
    let db = super::open(path)?;
    let all = || {
        let moment = db.unchecked_transaction()?;
        let version: i64 = moment.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if version == 0 { Ok(None) } else { read(&moment).map(Some) }
    };
    all().map_err(|e| not_read(path, &e))
}

#[cfg(test)]
#[path = "history/tests.rs"]
mod tests;
