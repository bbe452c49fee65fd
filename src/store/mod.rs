//! node.db: who is registered, which invites and profiles there are, what should run, and the audit log.
//! One thread owns it. What it calls stored is on disk (WAL with synchronous=FULL).
mod chain;
pub mod history;
mod load;
mod ops;
pub mod query;
mod schema;

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, TransactionBehavior};

use crate::bus::{Event, SavedState, StateOp, StoreCommand};
use crate::model::fault::{Code, Fault};
use crate::model::key::PublicKey;
use crate::model::time::Timestamp;
use crate::sys::{clock, files};

/// Commands that share one transaction at most.
const TOGETHER: usize = 256;

/// How long a peer's "last seen" may wait for others: each transaction is a flush of the disk.
const SEEN_WAITS: Duration = Duration::from_secs(30);

/// The open database.
#[derive(Debug)]
pub struct Store {
    db: Connection,
    path: PathBuf,
}

/// Opens node.db, made with mode 0600 where it is missing; brings its schema up to date; reads everything; and
/// counts this start, so that [`SavedState::epoch`] is higher than ever before.
///
/// # Errors
/// It cannot be read or written, is damaged, is no database of ours or one of a newer version. Such a file is left
/// as it is: it says who is registered.
pub fn open(path: &Path) -> Result<(Store, SavedState), Fault> {
    refuse_orphaned_log(path)?;
    make_private(path)?;
    let db = Connection::open(path).map_err(|e| fault(path, &e))?;
    let mut store = Store { db, path: path.to_owned() };
    store.check()?;
    schema::ours(&store.db, path, schema::NODE)?;
    let failed = |e: &rusqlite::Error| fault(path, e);
    store.settings().map_err(|e| failed(&e))?;
    schema::migrate(&mut store.db, path, schema::NODE)?;
    let wall = u64::try_from(clock::wall().0 / 1000).unwrap_or(0);
    let epoch = store.next_epoch(wall).map_err(|e| failed(&e))?;
    let state = load::state(&store.db, path, epoch)?;
    Ok((store, state))
}

/// SQLite throws the log away when the database it belongs to is missing or empty, and with it the newest commits.
fn refuse_orphaned_log(path: &Path) -> Result<(), Fault> {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let length = |file: &Path| std::fs::metadata(file).map_or(0, |about| about.len());
    if length(path) > 0 || length(Path::new(&log)) == 0 {
        return Ok(());
    }
    let (file, log) = (path.display(), Path::new(&log).display());
    Err(Fault::new(Code::Internal, format!("{file} is missing or empty, and its log {log} is not"))
        .hint("restore both from a backup; without one, move both away and pair the peers again"))
}

fn make_private(path: &Path) -> Result<(), Fault> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(files::PRIVATE)
        .open(path)
        .map_err(|e| files::not_saved(path, &e))?;
    let about = file.metadata().map_err(|e| files::not_read(path, &e))?;
    // A copy restored from a backup is often readable by all, and pool passwords stand in it.
    if about.permissions().mode() & 0o077 != 0 {
        let private = std::fs::Permissions::from_mode(files::PRIVATE);
        file.set_permissions(private).map_err(|e| files::not_saved(path, &e))?;
    }
    Ok(())
}

impl Store {
    /// Proves that the file is a sound database before anything is written to it.
    fn check(&self) -> Result<(), Fault> {
        let damaged = |what: &str| {
            let file = self.path.display();
            Fault::new(Code::Internal, format!("{file} is damaged ({what}); it was not changed"))
                .hint(
                    "restore it from a backup; without one, move it away and pair the peers again",
                )
        };
        let sound = || {
            // Closing must not write what was found into the file, either.
            self.db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
            self.db.busy_timeout(Duration::from_secs(5))?;
            let found: String = self.db.query_row("PRAGMA quick_check(1)", [], |r| r.get(0))?;
            self.db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, found != "ok")?;
            Ok(found)
        };
        match sound() {
            Ok(found) if found == "ok" => Ok(()),
            Ok(found) => Err(damaged(&found)),
            Err(e) if matches!(code(&e), Some(ErrorCode::NotADatabase)) => {
                Err(damaged("it is no SQLite database"))
            }
            Err(e) if matches!(code(&e), Some(ErrorCode::DatabaseCorrupt)) => {
                Err(damaged(&e.to_string()))
            }
            Err(e) => Err(fault(&self.path, &e)),
        }
    }

    fn settings(&self) -> rusqlite::Result<()> {
        self.db.pragma_update(None, "journal_mode", "WAL")?;
        self.db.pragma_update(None, "synchronous", "FULL")?;
        self.db.pragma_update(None, "journal_size_limit", 4 << 20)?;
        self.db.pragma_update(None, "cache_size", -2000)?;
        // Types that the schema does not know cannot be smuggled in by a file made elsewhere.
        self.db.pragma_update(None, "trusted_schema", false)
    }

    /// Above every epoch before, and above any that a lost or restored node.db could have held.
    fn next_epoch(&self, wall: u64) -> rusqlite::Result<u64> {
        self.db.query_row(
            "INSERT INTO meta (key, value) VALUES ('epoch', ?1)
             ON CONFLICT (key) DO UPDATE SET value = max(value + 1, excluded.value)
             RETURNING value",
            [i64::try_from(wall).unwrap_or(i64::MAX)],
            |row| row.get::<_, i64>(0).map(i64::cast_unsigned),
        )
    }

    /// The store thread: carries out commands, each whole or not at all, until all their senders are gone.
    /// The outcome of one with a ticket is sent when it is on disk, or could not be.
    #[expect(clippy::needless_pass_by_value, reason = "the thread owns its ends of the channels")]
    pub fn run(mut self, commands: Receiver<StoreCommand>, events: Sender<Event>) {
        let mut seen = Seen::default();
        loop {
            let next = match seen.flush_at {
                None => commands.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(at) => commands.recv_deadline(at),
            };
            let ended = next == Err(RecvTimeoutError::Disconnected);
            let due = next.is_err();
            let mut batch: Vec<_> =
                next.into_iter().chain(commands.try_iter().take(TOGETHER)).collect();
            batch.retain(|command| !seen.keep(command));
            if due || !batch.is_empty() {
                batch.splice(..0, seen.take());
                self.carry_out(&batch, &events);
            }
            if ended {
                return;
            }
        }
    }

    fn carry_out(&mut self, batch: &[StoreCommand], events: &Sender<Event>) {
        for (command, result) in batch.iter().zip(self.write(batch)) {
            match (command.ticket, result) {
                // Nobody listens any more when the daemon ends.
                (Some(ticket), result) => drop(events.send(Event::Stored { ticket, result })),
                (None, Err(fault)) => crate::seldom!(Error, "{fault}"),
                (None, Ok(())) => {}
            }
        }
    }

    /// The outcome of each command. They share a transaction, and with it one flush of the disk; should that fail
    /// as a whole, each gets one of its own.
    fn write(&mut self, batch: &[StoreCommand]) -> Vec<Result<(), Fault>> {
        match self.transaction(batch) {
            Ok(results) => results,
            Err(fault) if batch.len() == 1 => vec![Err(fault)],
            Err(_) => batch
                .iter()
                .map(|c| self.transaction(std::slice::from_ref(c)).and_then(|mut r| r.remove(0)))
                .collect(),
        }
    }

    fn transaction(&mut self, batch: &[StoreCommand]) -> Result<Vec<Result<(), Fault>>, Fault> {
        let path = &self.path;
        let failed = |e: rusqlite::Error| fault(path, &e);
        let now = clock::wall();
        let mut whole = match self.db.transaction_with_behavior(TransactionBehavior::Immediate) {
            Ok(whole) => whole,
            // Nothing of any of them is to blame: trying each alone would only take longer.
            Err(e) => return Ok(vec![Err(failed(e)); batch.len()]),
        };
        let mut results = Vec::with_capacity(batch.len());
        for command in batch {
            let part = whole.savepoint().map_err(failed)?;
            match command.ops.iter().try_for_each(|op| ops::apply(&part, op, now)) {
                Ok(()) => results.push(part.commit().map_err(failed)),
                // Dropping the savepoint undoes it.
                Err(ops::Failure::Refused(fault)) => results.push(Err(fault)),
                // A full or failing disk may have ended the transaction; what else was in it is tried again.
                Err(ops::Failure::Sql(e)) => return Err(failed(e)),
            }
        }
        whole.commit().map_err(failed)?;
        Ok(results)
    }
}

/// When peers were last seen: worth no flush of the disk of its own. It is written with the next command, or
/// after a while; losing it loses nothing that anyone was told is kept.
#[derive(Default)]
struct Seen {
    peers: BTreeMap<PublicKey, Timestamp>,
    flush_at: Option<Instant>,
}

impl Seen {
    /// Whether `command` says nothing else, and is kept here now.
    fn keep(&mut self, command: &StoreCommand) -> bool {
        let only_seen = |op: &StateOp| matches!(op, StateOp::Seen { .. });
        if command.ticket.is_some() || !command.ops.iter().all(only_seen) {
            return false;
        }
        for op in &command.ops {
            if let StateOp::Seen { key, at } = op {
                let last = self.peers.entry(*key).or_default();
                *last = (*last).max(*at);
                self.flush_at.get_or_insert_with(|| Instant::now() + SEEN_WAITS);
            }
        }
        true
    }

    fn take(&mut self) -> Option<StoreCommand> {
        self.flush_at = None;
        let peers = std::mem::take(&mut self.peers);
        let ops: Vec<_> = peers.into_iter().map(|(key, at)| StateOp::Seen { key, at }).collect();
        (!ops.is_empty()).then_some(StoreCommand { ops, ticket: None })
    }
}

fn code(error: &rusqlite::Error) -> Option<ErrorCode> {
    error.sqlite_error_code()
}

/// An error of SQLite as a sentence that names the file.
fn fault(path: &Path, error: &rusqlite::Error) -> Fault {
    let (why, hint) = match code(error) {
        Some(ErrorCode::DiskFull) => {
            ("the disk is full".to_owned(), "make room on that disk and try again")
        }
        Some(ErrorCode::ReadOnly) => (
            "the file or its disk is read-only".to_owned(),
            "mount it writable, or choose another folder with --home",
        ),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => (
            "another program is using it".to_owned(),
            "close the program that has the file open and try again",
        ),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            (format!("it is damaged: {error}"), "stop the daemon and restore it from a backup")
        }
        Some(ErrorCode::SystemIoFailure) => {
            (format!("the disk failed: {error}"), "look at the kernel's log (dmesg) and the disk")
        }
        _ => (error.to_string(), "see the daemon's log"),
    };
    let text = format!("{} could not be written: {why}", path.display());
    Fault::new(Code::NotSaved, text).hint(hint)
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod thread_tests;
