//! The tables of mining.db.

/// See [`crate::store::schema::migrate`]. Entries never change once released.
pub const MINING: &[&str] = &[FIRST];

/// The columns behind `ts` and `series`.
pub const OF_MINUTES: &[&str] =
    &["n", "sum", "min", "max", "accepted", "rejected", "work", "temperature", "power"];
pub const OF_HOURS: &[&str] =
    &["n", "sum", "min", "max", "minutes", "accepted", "rejected", "work", "temperature", "power"];

/// The end of an INSERT that takes the place of the row that is there.
pub fn or_replace(columns: &[&str]) -> String {
    let set: Vec<String> = columns.iter().map(|c| format!("{c} = excluded.{c}")).collect();
    format!("ON CONFLICT DO UPDATE SET {}", set.join(", "))
}

/// Whether the new row says anything else.
pub fn differs(columns: &[&str]) -> String {
    let new: Vec<String> = columns.iter().map(|c| format!("excluded.{c}")).collect();
    format!("({}) IS NOT ({})", new.join(", "), columns.join(", "))
}

/// Times are seconds since 1970, UTC; `ts` is where a minute or an hour begins. `farm_*` hold the sums over all rigs.
/// `dirty` names the minutes (span 60) and hours (span 3600) that have rows which are not rolled up yet.
const FIRST: &str = "
CREATE TABLE series (
    id         INTEGER PRIMARY KEY,
    node       BLOB NOT NULL CHECK (length(node) = 8),
    miner      TEXT NOT NULL,
    miner_type TEXT NOT NULL,
    simulated  INTEGER NOT NULL,
    algorithm  TEXT NOT NULL,
    first      INTEGER NOT NULL,
    last       INTEGER NOT NULL,
    UNIQUE (node, miner, algorithm)
) STRICT;

CREATE TABLE raw (
    ts          INTEGER NOT NULL,
    series      INTEGER NOT NULL,
    hashrate    REAL,
    accepted    INTEGER NOT NULL,
    rejected    INTEGER NOT NULL,
    work        REAL,
    temperature REAL,
    power       REAL,
    PRIMARY KEY (ts, series)
) STRICT, WITHOUT ROWID;

CREATE TABLE m1 (
    ts          INTEGER NOT NULL,
    series      INTEGER NOT NULL,
    n           INTEGER NOT NULL,
    sum         REAL NOT NULL,
    min         REAL NOT NULL,
    max         REAL NOT NULL,
    accepted    INTEGER NOT NULL,
    rejected    INTEGER NOT NULL,
    work        REAL,
    temperature REAL,
    power       REAL,
    PRIMARY KEY (ts, series)
) STRICT, WITHOUT ROWID;

CREATE TABLE h1 (
    ts          INTEGER NOT NULL,
    series      INTEGER NOT NULL,
    n           INTEGER NOT NULL,
    sum         REAL NOT NULL,
    min         REAL NOT NULL,
    max         REAL NOT NULL,
    minutes     INTEGER NOT NULL,
    accepted    INTEGER NOT NULL,
    rejected    INTEGER NOT NULL,
    work        REAL,
    temperature REAL,
    power       REAL,
    PRIMARY KEY (ts, series)
) STRICT, WITHOUT ROWID;

CREATE TABLE farm_m1 (
    ts        INTEGER NOT NULL,
    algorithm TEXT NOT NULL,
    hashrate  REAL,
    seconds   INTEGER NOT NULL,
    rigs      INTEGER NOT NULL,
    accepted  INTEGER NOT NULL,
    rejected  INTEGER NOT NULL,
    work      REAL,
    PRIMARY KEY (ts, algorithm)
) STRICT, WITHOUT ROWID;

CREATE TABLE farm_h1 (
    ts        INTEGER NOT NULL,
    algorithm TEXT NOT NULL,
    hashrate  REAL,
    seconds   INTEGER NOT NULL,
    rigs      INTEGER NOT NULL,
    accepted  INTEGER NOT NULL,
    rejected  INTEGER NOT NULL,
    work      REAL,
    PRIMARY KEY (ts, algorithm)
) STRICT, WITHOUT ROWID;

CREATE TABLE marks (
    node    BLOB PRIMARY KEY CHECK (length(node) = 8),
    through INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE dirty (
    span INTEGER NOT NULL,
    ts   INTEGER NOT NULL,
    PRIMARY KEY (span, ts)
) STRICT, WITHOUT ROWID;
";
