//! What node.db held when the daemon started.
use std::path::Path;

use rusqlite::types::Type;
use rusqlite::{Connection, Row};
use serde::de::DeserializeOwned;

use crate::bus::SavedState;
use crate::model::fault::{Code, Fault};
use crate::model::invite::InviteRecord;
use crate::model::key::PublicKey;
use crate::model::miner::DesiredMiner;
use crate::model::peer::{JoinRecord, PeerRecord};
use crate::model::time::Timestamp;

/// # Errors
/// A row that cannot be understood: nothing is passed over, because nothing may be forgotten.
pub fn state(db: &Connection, path: &Path, epoch: u64) -> Result<SavedState, Fault> {
    let read = || {
        Ok(SavedState {
            peers: all(db, "SELECT * FROM peers ORDER BY added_at, key", peer)?,
            joins: all(db, "SELECT * FROM joins ORDER BY added_at, id", join)?,
            invites: all(db, "SELECT * FROM invites ORDER BY created_at, id", invite)?,
            profiles: all(db, "SELECT json FROM profiles ORDER BY id", |row| json(row, "json"))?,
            miners: all(db, "SELECT name, profile FROM miners ORDER BY name", |row| {
                Ok(DesiredMiner { name: row.get("name")?, profile: json(row, "profile")? })
            })?,
            miner_numbers: all(db, "SELECT * FROM miner_numbers ORDER BY miner_type", |row| {
                Ok((row.get("miner_type")?, row.get::<_, i64>("highest")?.cast_unsigned()))
            })?,
            epoch,
            events: all(
                db,
                &format!(
                    "SELECT json FROM (SELECT number, json FROM events ORDER BY number DESC LIMIT {})
                     ORDER BY number",
                    crate::model::event::KEPT
                ),
                |row| json(row, "json"),
            )?,
            events_heard: all(db, "SELECT key, number FROM events_heard ORDER BY key", |row| {
                Ok((PublicKey(row.get("key")?), row.get::<_, i64>("number")?.cast_unsigned()))
            })?,
            alerts: all(db, "SELECT json FROM alerts ORDER BY key", |row| json(row, "json"))?,
            mining: all(db, "SELECT id FROM mining_rigs ORDER BY id", |row| {
                let id: String = row.get("id")?;
                id.parse().map_err(|e: String| odd("id", &e))
            })?,
        })
    };
    read().map_err(|e: rusqlite::Error| {
        Fault::new(Code::Internal, format!("{} cannot be read: {e}", path.display()))
            .hint("restore it from a backup; it was not changed")
    })
}

fn all<T>(
    db: &Connection,
    sql: &str,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    db.prepare(sql)?.query_map([], read)?.collect()
}

fn peer(row: &Row<'_>) -> rusqlite::Result<PeerRecord> {
    let role: Option<String> = row.get("role")?;
    let last_command: i64 = row.get("last_command")?;
    Ok(PeerRecord {
        key: PublicKey(row.get("key")?),
        name: row.get("name")?,
        address: row.get("address")?,
        trust: json(row, "trust")?,
        role: role.map(|r| r.parse()).transpose().map_err(|e: String| odd("role", &e))?,
        signing_key: row.get::<_, Option<[u8; 32]>>("signing_key")?.map(PublicKey),
        version: row.get("version")?,
        added_at: Timestamp(row.get("added_at")?),
        last_seen: row.get::<_, Option<i64>>("last_seen")?.map(Timestamp),
        labels: json(row, "labels")?,
        asking: row.get("asking")?,
        last_command: last_command.cast_unsigned(),
    })
}

fn join(row: &Row<'_>) -> rusqlite::Result<JoinRecord> {
    let invite: String = row.get("invite")?;
    Ok(JoinRecord {
        invite: invite.parse().map_err(|e: String| odd("invite", &e))?,
        address: row.get("address")?,
        trust: json(row, "trust")?,
        name: row.get("name")?,
        added_at: Timestamp(row.get("added_at")?),
    })
}

fn invite(row: &Row<'_>) -> rusqlite::Result<InviteRecord> {
    Ok(InviteRecord {
        id: row.get("id")?,
        hash: row.get("hash")?,
        uses_left: row.get("uses_left")?,
        expires_at: Timestamp(row.get("expires_at")?),
        created_at: Timestamp(row.get("created_at")?),
    })
}

fn json<T: DeserializeOwned>(row: &Row<'_>, column: &str) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text).map_err(|e| odd(column, &e))
}

/// A value that this program did not write.
fn odd(column: &str, error: &dyn std::fmt::Display) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, Type::Text, format!("{column}: {error}").into())
}
