//! The keeper with a clock that the test turns: hours and days pass in no time.
mod damage;
mod forgetting;
mod reading;
mod thread;
mod writing;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use rusqlite::Connection;
use rusqlite::types::ValueRef;

use super::{Keeper, Options};
use crate::bus::{self, HistoryCommand, HistoryEvent};
use crate::model::history::{Batch, HistoryStatus, Reading, Rollup, Rows, Series};
use crate::model::key::NodeId;
use crate::model::time::{Mono, Now, Timestamp};

/// The beginning of an hour.
pub const T0: i64 = 1_699_999_200;
pub const HOUR: i64 = 3600;
pub const DAY: i64 = 24 * HOUR;
pub const ME: NodeId = NodeId([9; 8]);
pub const RIG: NodeId = NodeId([1; 8]);

/// A keeper of a folder of its own, and the time.
pub struct World {
    pub folder: PathBuf,
    pub keeper: Option<Keeper>,
    pub wall: i64,
    pub mono: i64,
    pub events: Vec<HistoryEvent>,
    pub days: u32,
}

impl Drop for World {
    fn drop(&mut self) {
        self.keeper = None;
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl World {
    /// Its clock says `wall`.
    pub fn at(wall: i64) -> Self {
        let name = format!("miner-cli-history-{}", crate::sys::random::hex::<8>());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir(&folder).unwrap();
        let mut world = Self { folder, keeper: None, wall, mono: 0, events: Vec::new(), days: 30 };
        world.start();
        world
    }

    pub fn path(&self) -> PathBuf {
        self.folder.join("mining.db")
    }

    /// A daemon starts.
    pub fn start(&mut self) {
        let options = Options { path: self.path(), me: ME, retention_days: self.days };
        self.keeper = Some(Keeper::new(options));
        self.mono = 0;
        self.tick();
    }

    /// And ends as it should.
    pub fn end(&mut self) {
        let now = self.now();
        if let Some(mut keeper) = self.keeper.take() {
            keeper.end(now);
        }
    }

    pub fn now(&self) -> Now {
        Now {
            mono: Mono(u64::try_from(self.mono).unwrap() * 1_000_000),
            wall: Timestamp(self.wall * 1000),
        }
    }

    pub fn keeper(&mut self) -> &mut Keeper {
        self.keeper.as_mut().unwrap()
    }

    fn tick(&mut self) {
        let now = self.now();
        self.keeper().tick(now);
        let events: Vec<_> = self.keeper().events.drain(..).collect();
        self.events.extend(events);
    }

    /// Time passes, and what is due in it is done when it is.
    pub fn pass(&mut self, seconds: i64) {
        let end = self.mono + seconds;
        loop {
            let due = i64::try_from(self.keeper().deadline().0.div_ceil(1_000_000)).unwrap();
            let next = due.max(self.mono).min(end);
            self.wall += next - self.mono;
            self.mono = next;
            if due > end {
                return;
            }
            self.tick();
        }
    }

    pub fn take(&mut self, command: HistoryCommand) {
        let now = self.now();
        self.keeper().take(command, now);
        self.tick();
    }

    pub fn keep(&mut self, node: NodeId, batch: Batch, after: Option<i64>) {
        self.take(HistoryCommand::Keep { node, batch, after });
    }

    /// As if somebody was about to look.
    pub fn flush(&mut self) -> HistoryStatus {
        let (reply, answer) = bus::reply_channel();
        self.take(HistoryCommand::Flush { reply });
        answer.try_recv().unwrap()
    }

    /// `minutes` of a miner that reads `rate` every 10 s, from `from` on, written.
    pub fn mine(&mut self, node: NodeId, miner: &str, from: i64, minutes: i64, rate: f64) {
        let rows = (0..minutes * 6).map(|i| (0, reading(from + i * 10, rate))).collect();
        self.keep(node, raw(&[series(miner)], rows), None);
        self.pass(70);
    }

    pub fn db(&self) -> Connection {
        Connection::open(self.path()).unwrap()
    }

    pub fn count(&self, table: &str) -> i64 {
        self.number(&format!("SELECT count(*) FROM {table}"))
    }

    pub fn number(&self, sql: &str) -> i64 {
        self.db().query_row(sql, [], |row| row.get(0)).unwrap()
    }

    /// What the tables of rows hold, with the series by name and figures to nine digits.
    pub fn tables(&self) -> BTreeMap<&'static str, Vec<String>> {
        let db = self.db();
        let mut all = BTreeMap::new();
        for table in ["raw", "m1", "h1", "farm_m1", "farm_h1"] {
            let named = if table.starts_with("farm") {
                format!("SELECT * FROM {table} ORDER BY 1, 2")
            } else {
                format!(
                    "SELECT ts, hex(node) || miner || algorithm AS name, t.* FROM {table} AS t
                     JOIN series ON id = series ORDER BY 1, 2"
                )
            };
            let mut select = db.prepare(&named).unwrap();
            let columns: Vec<String> = select.column_names().map(str::to_owned).collect();
            let mut rows = select.query([]).unwrap();
            let mut texts = Vec::new();
            while let Some(row) = rows.next().unwrap() {
                let show = |(i, name): (usize, &String)| match row.get_ref(i).unwrap() {
                    _ if name == "series" => String::new(),
                    ValueRef::Real(x) => format!("{x:.9e}"),
                    ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
                    ValueRef::Integer(n) => n.to_string(),
                    _ => "-".to_owned(),
                };
                let row: Vec<String> = columns.iter().enumerate().map(show).collect();
                texts.push(row.join(" "));
            }
            all.insert(table, texts);
        }
        all
    }

    /// Every minute that is over, computed here from its readings, is what stands in `m1`; and so are hours of minutes.
    pub fn assert_rolled_up(&self) {
        let bad = self.number(&format!(
            "SELECT count(*) FROM (
                SELECT ts / 60 * 60 AS t, series, count(hashrate) AS c, total(hashrate) AS s,
                    sum(accepted) AS a, sum(rejected) AS r, total(work) AS w
                FROM raw WHERE ts < {0} GROUP BY t, series) AS x
             LEFT JOIN m1 ON m1.ts = x.t AND m1.series = x.series
             WHERE m1.ts IS NULL OR n <> c OR abs(sum - s) > 1e-6 * abs(s) OR accepted <> a
                OR rejected <> r OR abs(coalesce(work, 0.0) - w) > 1e-6 * abs(w)",
            (self.wall - 95) / 60 * 60,
        ));
        assert_eq!(bad, 0, "minutes that are not what their readings say");
        let bad = self.number(&format!(
            "SELECT count(*) FROM (
                SELECT ts / 3600 * 3600 AS t, series, sum(n) AS c, total(sum) AS s,
                    sum(accepted) AS a
                FROM m1 WHERE ts < {0} GROUP BY t, series) AS x
             LEFT JOIN h1 ON h1.ts = x.t AND h1.series = x.series
             WHERE h1.ts IS NULL OR n <> c OR abs(sum - s) > 1e-6 * abs(s) OR accepted <> a",
            (self.wall - 200) / 3600 * 3600,
        ));
        assert_eq!(bad, 0, "hours that are not what their minutes say");
        let bad = self.number(
            "SELECT count(*) FROM farm_m1 AS f WHERE abs(hashrate - (
                SELECT total(sum / n) FROM m1 JOIN series ON id = series
                WHERE m1.ts = f.ts AND algorithm = f.algorithm AND n > 0)) > 1e-6 * hashrate",
        );
        assert_eq!(bad, 0, "farm minutes that are not the sum of their miners'");
    }
}

pub fn series(miner: &str) -> Series {
    Series {
        miner: miner.to_owned(),
        miner_type: "xmrig".to_owned(),
        simulated: false,
        algorithm: "rx/0".to_owned(),
    }
}

pub fn reading(at: i64, rate: f64) -> Reading {
    Reading {
        at,
        hashrate: Some(rate),
        accepted: 1,
        rejected: 0,
        work: Some(10.0 * rate),
        temperature: Some(50.5),
        power: None,
    }
}

pub fn rollup(at: i64, n: u32, rate: f64) -> Rollup {
    Rollup {
        at,
        n,
        sum: rate * f64::from(n),
        min: rate,
        max: rate,
        accepted: n,
        ..Rollup::default()
    }
}

pub fn raw(series: &[Series], rows: Vec<(u16, Reading)>) -> Batch {
    let through = rows.iter().map(|(_, row)| row.at).max().unwrap_or(0);
    Batch { series: series.to_vec(), rows: Rows::Raw(rows), through, more: false }
}
