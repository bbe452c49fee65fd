//! The tables of node.db, and how an older database becomes a newer one.
use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use crate::model::fault::{Code, Fault};

/// The n-th entry makes version n of version n - 1. Entries never change once released.
pub const NODE: &[&str] = &[FIRST];

/// Times are milliseconds since 1970, keys and hashes the bytes themselves.
const FIRST: &str = "
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE peers (
    key          BLOB PRIMARY KEY CHECK (length(key) = 32),
    name         TEXT NOT NULL UNIQUE,
    address      TEXT,
    trust        TEXT NOT NULL,
    role         TEXT,
    signing_key  BLOB CHECK (length(signing_key) = 32),
    version      TEXT,
    added_at     INTEGER NOT NULL,
    last_seen    INTEGER,
    labels       TEXT NOT NULL,
    asking       TEXT,
    last_command INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE joins (
    id       TEXT PRIMARY KEY,
    invite   TEXT NOT NULL,
    address  TEXT NOT NULL,
    trust    TEXT NOT NULL,
    name     TEXT,
    added_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE invites (
    id         TEXT PRIMARY KEY,
    hash       BLOB NOT NULL CHECK (length(hash) = 32),
    uses_left  INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE profiles (
    id   TEXT PRIMARY KEY,
    json TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE miners (
    name    TEXT PRIMARY KEY,
    profile TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE miner_numbers (
    miner_type TEXT PRIMARY KEY,
    highest    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE audit (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    at       INTEGER NOT NULL,
    who      TEXT NOT NULL,
    key      BLOB,
    what     TEXT NOT NULL,
    result   TEXT NOT NULL,
    command  TEXT NOT NULL,
    envelope BLOB,
    signer   BLOB CHECK (length(signer) = 32),
    chain    BLOB NOT NULL CHECK (length(chain) = 32)
) STRICT;
CREATE INDEX audit_by_key ON audit (key, id);
CREATE INDEX audit_by_who ON audit (who, id);
CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_is_not_deleted BEFORE DELETE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;

CREATE TABLE events (
    number INTEGER PRIMARY KEY,
    json   TEXT NOT NULL
) STRICT;

CREATE TABLE events_heard (
    key    BLOB PRIMARY KEY CHECK (length(key) = 32),
    number INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE alerts (
    key  TEXT PRIMARY KEY,
    json TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE mining_rigs (
    id TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;
";

/// Brings the database to the newest version, a transaction a step of `steps`.
///
/// # Errors
/// It is of a newer version, another program's, or cannot be written.
pub fn migrate(db: &mut Connection, path: &Path, steps: &[&str]) -> Result<(), Fault> {
    let failed = |e: rusqlite::Error| super::fault(path, &e);
    for (sql, next) in steps.iter().zip(1_i64..) {
        let step = db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        let version = version(&step).map_err(failed)?;
        if version >= next {
            continue;
        }
        step.execute_batch(sql).map_err(failed)?;
        step.pragma_update(None, "user_version", next).map_err(failed)?;
        step.commit().map_err(failed)?;
    }
    Ok(())
}

/// Refuses what this program must not write to.
///
/// # Errors
/// The sentence says what it is instead.
pub fn ours(db: &Connection, path: &Path, steps: &[&str]) -> Result<(), Fault> {
    let failed = |e: rusqlite::Error| super::fault(path, &e);
    let (version, newest) = (version(db).map_err(failed)?, steps.len() as i64);
    if version > newest {
        let text = format!(
            "{} was written by a newer miner-cli (its format is {version}, this program knows up to {newest})",
            path.display()
        );
        return Err(Fault::new(Code::Conflict, text).hint("install the newer version again"));
    }
    let count = "SELECT count(*) FROM sqlite_schema";
    let tables: i64 = db.query_row(count, [], |row| row.get(0)).map_err(failed)?;
    if version < 0 || (version == 0 && tables > 0) {
        let text = format!("{} is another program's database", path.display());
        return Err(Fault::new(Code::Conflict, text).hint("move it away, or choose another --home"));
    }
    Ok(())
}

fn version(db: &Connection) -> rusqlite::Result<i64> {
    db.pragma_query_value(None, "user_version", |row| row.get(0))
}
