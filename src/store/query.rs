//! Reading node.db beside the store thread, over a connection of its own that cannot write; and mining.db likewise.
pub mod history;

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Row, params};

use super::chain;
use crate::model::audit::{AuditEntry, AuditFinding, AuditReport, AuditRow, Signed};
use crate::model::fault::{Code, Fault};
use crate::model::key::PublicKey;
use crate::model::time::Timestamp;
use crate::smsg::envelope;

/// Bad rows that a report names.
const FINDINGS: usize = 100;

/// Whose rows are wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Whose<'a> {
    All,
    /// What this peer sent and what was asked about it here.
    Peer(PublicKey),
    /// By the name in the row: a peer that was removed, or `local:token`.
    Name(&'a str),
}

fn open(path: &Path) -> Result<Connection, Fault> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let ready = || {
        let db = Connection::open_with_flags(path, flags)?;
        db.busy_timeout(Duration::from_secs(2))?;
        db.pragma_update(None, "query_only", true)?;
        db.pragma_update(None, "trusted_schema", false)?;
        Ok(db)
    };
    ready().map_err(|e| not_read(path, &e))
}

fn not_read(path: &Path, error: &rusqlite::Error) -> Fault {
    Fault::new(Code::Internal, format!("{} cannot be read: {error}", path.display()))
}

/// The newest `lines` rows of the audit log, newest last.
///
/// # Errors
/// The database cannot be read.
pub fn audit(path: &Path, whose: Whose<'_>, lines: usize) -> Result<Vec<AuditEntry>, Fault> {
    let db = open(path)?;
    let (key, name) = match whose {
        Whose::All => (None, None),
        Whose::Peer(key) => (Some(key.0), None),
        Whose::Name(name) => (None, Some(name)),
    };
    let filter = match whose {
        Whose::All => "?1 IS NULL AND ?2 IS NULL",
        Whose::Peer(_) => "key = ?1 AND ?2 IS NULL",
        Whose::Name(_) => "who = ?2 AND ?1 IS NULL",
    };
    let sql = format!(
        "SELECT id, at, who, key, what, result, command, envelope IS NOT NULL AS signed
         FROM audit WHERE {filter} ORDER BY id DESC LIMIT ?3"
    );
    let read = || {
        let most = i64::try_from(lines).unwrap_or(i64::MAX);
        let mut rows: Vec<AuditEntry> = db
            .prepare(&sql)?
            .query_map(params![key, name, most], entry)?
            .collect::<Result<_, _>>()?;
        rows.reverse();
        Ok(rows)
    };
    read().map_err(|e| not_read(path, &e))
}

fn entry(row: &Row<'_>) -> rusqlite::Result<AuditEntry> {
    // One that somebody altered must not hide the rest.
    let key = row.get::<_, Option<[u8; 32]>>("key").ok().flatten().map(PublicKey);
    Ok(AuditEntry {
        id: row.get("id")?,
        at: Timestamp(row.get("at")?),
        who: row.get("who")?,
        peer_id: key.map(|k| k.node_id()),
        key,
        what: row.get("what")?,
        result: row.get("result")?,
        command: row.get("command")?,
        signed: row.get("signed")?,
    })
}

/// Looks at every row of the audit log: that none is missing, that each is what was written behind the one before,
/// that the signature of each kept envelope fits, and that the row says of sender, type and id what the envelope says.
/// A row is named once, with the first of these that is wrong.
///
/// # Errors
/// The database cannot be read.
pub fn verify_audit(path: &Path) -> Result<AuditReport, Fault> {
    let db = open(path)?;
    let read = || {
        let mut report = AuditReport::default();
        let (mut last, mut chain) = (0, [0; 32]);
        let mut select = db.prepare("SELECT * FROM audit ORDER BY id")?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            let id: i64 = row.get("id")?;
            report.rows += 1;
            let missing = id - last - 1;
            let checked = match (missing, whole(row)) {
                (1.., _) => Err(format!("the {missing} rows before it are missing")),
                (_, Err(e)) => Err(format!("it cannot be read: {e}")),
                (_, Ok(whole)) => judge(&whole, &chain, &row.get("chain")?),
            };
            match checked {
                Ok(signed) => report.good += u64::from(signed),
                Err(reason) => report.find(id, &reason),
            }
            // What was altered shows in one row, not in all that follow.
            (last, chain) = (id, row.get("chain")?);
        }
        report.end(last, highest(&db)?);
        Ok(report)
    };
    read().map_err(|e| not_read(path, &e))
}

/// The id of the last row that was ever written.
fn highest(db: &Connection) -> rusqlite::Result<i64> {
    let sql = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'audit'";
    db.query_row(sql, [], |row| row.get(0))
}

/// The row as it was given to the store.
fn whole(row: &Row<'_>) -> rusqlite::Result<AuditRow> {
    let envelope: Option<Vec<u8>> = row.get("envelope")?;
    let signer = row.get::<_, Option<[u8; 32]>>("signer")?.map(PublicKey);
    // One without the other is none: the digest tells.
    let signed = envelope.zip(signer).map(|(envelope, signer)| Signed { envelope, signer });
    Ok(AuditRow {
        at: Timestamp(row.get("at")?),
        who: row.get("who")?,
        key: row.get::<_, Option<[u8; 32]>>("key")?.map(PublicKey),
        what: row.get("what")?,
        result: row.get("result")?,
        command: row.get("command")?,
        signed,
    })
}

/// Whether an envelope belongs to the row, when all is well with it.
fn judge(row: &AuditRow, before: &[u8; 32], chain: &[u8; 32]) -> Result<bool, String> {
    if let Some(Signed { envelope, signer }) = &row.signed {
        let proof = envelope::prove(envelope, signer).map_err(|e| e.to_string())?;
        if row.key.map(|k| k.node_id()) != Some(proof.from) {
            return Err(format!("its envelope is of another sender, {}", proof.from));
        }
        if (&row.what, &row.command) != (&proof.kind, &proof.id) {
            return Err(format!("its envelope is another one: {} {}", proof.kind, proof.id));
        }
    }
    if chain::next(before, row) != *chain {
        return Err("it is not what was written, or was written behind another row".to_owned());
    }
    Ok(row.signed.is_some())
}

impl AuditReport {
    fn find(&mut self, id: i64, reason: &str) {
        self.bad += 1;
        if self.findings.len() < FINDINGS {
            self.findings.push(AuditFinding { id, reason: crate::model::text::clean(reason, 300) });
        }
    }

    fn end(&mut self, last: i64, highest: i64) {
        if last < highest {
            self.find(highest, &format!("the last {} rows are missing", highest - last));
        }
    }
}

#[cfg(test)]
#[path = "query_tests.rs"]
mod tests;
