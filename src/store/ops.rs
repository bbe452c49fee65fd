//! Each [`StateOp`] as SQL.
use rusqlite::{Connection, OptionalExtension as _, params};

use super::chain;
use crate::bus::StateOp;
use crate::model::audit::AuditRow;
use crate::model::fault::{Code, Fault};
use crate::model::invite::InviteRecord;
use crate::model::miner::DesiredMiner;
use crate::model::peer::{JoinRecord, PeerRecord};
use crate::model::time::Timestamp;

/// Why an operation did not happen.
#[derive(Debug)]
pub enum Failure {
    /// The state forbids it.
    Refused(Fault),
    /// The database cannot do it.
    Sql(rusqlite::Error),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

fn refuse(code: Code, text: String) -> Result<(), Failure> {
    Err(Failure::Refused(Fault::new(code, text)))
}

/// # Errors
/// [`Failure`]; what was done before it has to be undone by the caller.
pub fn apply(db: &Connection, op: &StateOp, now: Timestamp) -> Result<(), Failure> {
    let run = |sql: &str, values: &[&dyn rusqlite::ToSql]| db.prepare_cached(sql)?.execute(values);
    match op {
        StateOp::PutPeer(peer) => put_peer(db, peer)?,
        StateOp::DeletePeer(key) => {
            run("DELETE FROM peers WHERE key = ?1", &[&key.0])?;
            run("DELETE FROM events_heard WHERE key = ?1", &[&key.0])?;
        }
        StateOp::Seen { key, at } => {
            run(
                "UPDATE peers SET last_seen = max(coalesce(last_seen, 0), ?2) WHERE key = ?1",
                &[&key.0, &at.0],
            )?;
        }
        StateOp::PutJoin(join) => put_join(db, join)?,
        StateOp::DeleteJoin(id) => {
            run("DELETE FROM joins WHERE id = ?1", &[&id.to_string()])?;
        }
        StateOp::PutInvite(invite) => put_invite(db, invite)?,
        StateOp::UseInvite { id } => use_invite(db, id, now)?,
        StateOp::DeleteInvite { id } => drop(run("DELETE FROM invites WHERE id = ?1", &[id])?),
        StateOp::PutProfile(profile) => {
            run(
                "INSERT INTO profiles (id, json) VALUES (?1, ?2)
                 ON CONFLICT (id) DO UPDATE SET json = excluded.json",
                &[&profile.id, &json(profile)],
            )?;
        }
        StateOp::DeleteProfile { id } => drop(run("DELETE FROM profiles WHERE id = ?1", &[id])?),
        StateOp::PutMiner(miner) => put_miner(db, miner)?,
        StateOp::DeleteMiner { name } => drop(run("DELETE FROM miners WHERE name = ?1", &[name])?),
        StateOp::LastCommand { key, seq } => {
            let sql = "UPDATE peers SET last_command = ?2 WHERE key = ?1";
            if run(sql, &[&key.0, &seq.cast_signed()])? == 0 {
                // Without the record a replay of this command could not be refused.
                refuse(Code::PeerNotFound, format!("no peer {} is stored", key.node_id()))?;
            }
        }
        StateOp::Audit(row) => audit(db, row)?,
        StateOp::Event(event) => {
            let sql = "INSERT OR REPLACE INTO events (number, json) VALUES (?1, ?2)";
            run(sql, &[&event.number.cast_signed(), &json(&**event)])?;
        }
        StateOp::ForgetEvents(number) => {
            run("DELETE FROM events WHERE number <= ?1", &[&number.cast_signed()])?;
        }
        StateOp::EventsHeard { key, number } => {
            run(
                "INSERT INTO events_heard (key, number) VALUES (?1, ?2)
                 ON CONFLICT (key) DO UPDATE SET number = excluded.number",
                &[&key.0, &number.cast_signed()],
            )?;
        }
        StateOp::Labels { key, labels } => {
            if run("UPDATE peers SET labels = ?2 WHERE key = ?1", &[&key.0, &json(labels)])? == 0 {
                refuse(Code::PeerNotFound, "that peer was removed meanwhile".to_owned())?;
            }
        }
        StateOp::PutAlert(cause) => {
            let sql = "INSERT OR REPLACE INTO alerts (key, json) VALUES (?1, ?2)";
            run(sql, &[&cause.key(), &json(cause)])?;
        }
        StateOp::ForgetAlert(key) => drop(run("DELETE FROM alerts WHERE key = ?1", &[key])?),
        StateOp::RigMines { node, mines } => {
            let sql = if *mines {
                "INSERT OR IGNORE INTO mining_rigs (id) VALUES (?1)"
            } else {
                "DELETE FROM mining_rigs WHERE id = ?1"
            };
            run(sql, &[&node.to_string()])?;
        }
    }
    Ok(())
}

fn put_peer(db: &Connection, peer: &PeerRecord) -> Result<(), Failure> {
    let owner = "SELECT 1 FROM peers WHERE name = ?1 AND key <> ?2";
    let taken = db
        .prepare_cached(owner)?
        .query_row(params![peer.name, peer.key.0], |_| Ok(()))
        .optional()?;
    if taken.is_some() {
        let fault =
            Fault::new(Code::Exists, format!("another peer is called {:?} already", peer.name))
                .hint("choose another name, or remove that peer first");
        return Err(Failure::Refused(fault));
    }
    db.prepare_cached(
        "INSERT INTO peers (key, name, address, trust, role, signing_key, version, added_at, last_seen,
                            labels, asking, last_command)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
         ON CONFLICT (key) DO UPDATE SET
             name = excluded.name, address = excluded.address, trust = excluded.trust, role = excluded.role,
             signing_key = excluded.signing_key, version = excluded.version,
             added_at = excluded.added_at, last_seen = excluded.last_seen,
             asking = excluded.asking,
             last_command = excluded.last_command",
    )?
    .execute(params![
        peer.key.0,
        peer.name,
        peer.address,
        json(&peer.trust),
        peer.role.map(crate::model::node::Role::text),
        peer.signing_key.map(|k| k.0),
        peer.version,
        peer.added_at.0,
        peer.last_seen.map(|t| t.0),
        json(&peer.labels),
        peer.asking,
        // Sequence numbers fill 64 bits; SQLite has signed ones, and they are never compared here.
        peer.last_command.cast_signed(),
    ])?;
    Ok(())
}

fn put_join(db: &Connection, join: &JoinRecord) -> Result<(), Failure> {
    let JoinRecord { invite, address, trust, name, added_at } = join;
    db.prepare_cached(
        "INSERT INTO joins (id, invite, address, trust, name, added_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (id) DO UPDATE SET
             invite = excluded.invite, address = excluded.address, trust = excluded.trust,
             name = excluded.name",
    )?
    .execute(params![
        invite.issuer().to_string(),
        invite.to_string(),
        address,
        json(trust),
        name,
        added_at.0,
    ])?;
    Ok(())
}

fn put_invite(db: &Connection, invite: &InviteRecord) -> Result<(), Failure> {
    db.prepare_cached(
        "INSERT INTO invites (id, hash, uses_left, expires_at, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (id) DO UPDATE SET
             hash = excluded.hash, uses_left = excluded.uses_left,
             expires_at = excluded.expires_at, created_at = excluded.created_at",
    )?
    .execute(params![
        invite.id,
        invite.hash,
        invite.uses_left,
        invite.expires_at.0,
        invite.created_at.0
    ])?;
    Ok(())
}

fn use_invite(db: &Connection, id: &str, now: Timestamp) -> Result<(), Failure> {
    let used = db
        .prepare_cached(
            "UPDATE invites SET uses_left = uses_left - 1
             WHERE id = ?1 AND uses_left > 0 AND expires_at > ?2",
        )?
        .execute(params![id, now.0])?;
    if used == 1 {
        return Ok(());
    }
    let left = db
        .prepare_cached("SELECT uses_left FROM invites WHERE id = ?1")?
        .query_row([id], |row| row.get::<_, i64>(0))
        .optional()?;
    let why = match left {
        None => "does not exist",
        Some(0) => "has been used up",
        Some(_) => "has expired",
    };
    refuse(Code::Invalid, format!("the invite {why}"))
}

fn put_miner(db: &Connection, miner: &DesiredMiner) -> Result<(), Failure> {
    let number = miner.name.rsplit_once('-').and_then(|(t, n)| Some((t, n.parse::<u32>().ok()?)));
    let Some((miner_type, number)) = number else {
        return refuse(Code::Invalid, format!("{:?} is no name of a miner", miner.name));
    };
    db.prepare_cached(
        "INSERT INTO miners (name, profile) VALUES (?1, ?2)
         ON CONFLICT (name) DO UPDATE SET profile = excluded.profile",
    )?
    .execute(params![miner.name, json(&miner.profile)])?;
    db.prepare_cached(
        "INSERT INTO miner_numbers (miner_type, highest) VALUES (?1, ?2)
         ON CONFLICT (miner_type) DO UPDATE SET highest = max(highest, excluded.highest)",
    )?
    .execute(params![miner_type, number])?;
    Ok(())
}

fn audit(db: &Connection, row: &AuditRow) -> Result<(), Failure> {
    let last = "SELECT chain FROM audit ORDER BY id DESC LIMIT 1";
    let before = db.prepare_cached(last)?.query_row([], |r| r.get(0)).optional()?;
    let chain = chain::next(&before.unwrap_or_default(), row);
    db.prepare_cached(
        "INSERT INTO audit (at, who, key, what, result, command, envelope, signer, chain)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?
    .execute(params![
        row.at.0,
        row.who,
        row.key.map(|k| k.0),
        row.what,
        row.result,
        row.command,
        row.signed.as_ref().map(|s| &s.envelope),
        row.signed.as_ref().map(|s| s.signer.0),
        chain,
    ])?;
    Ok(())
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("plain data is always JSON")
}
