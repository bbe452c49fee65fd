//! The open database and its one transaction a round.
use std::path::{Path, PathBuf};

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::open::{self, Trouble, trouble};
use super::write::{self, Memory, Word, Written};
use super::{prune, read, roll};
use crate::model::history::{Batch, HourMean};
use crate::model::key::NodeId;

#[derive(Debug)]
pub struct File {
    db: Connection,
    path: PathBuf,
    memory: Memory,
}

/// What belongs to a round beside writing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Work {
    /// Somebody waits for what was written.
    Write,
    /// Rolling up, too.
    Roll,
    /// And forgetting what is too old.
    Prune,
}

/// What came of a round.
#[derive(Debug)]
pub struct Round {
    pub written: Written,
    /// Seconds until there is something to do, apart from writing; `None`: nothing is known of.
    pub next: Option<i64>,
}

/// Where there was too much work for one round: seconds until the next one.
const SOON: i64 = 5;

impl File {
    pub fn open(path: &Path) -> Result<Self, Trouble> {
        let db = open::open(path)?;
        match Memory::load(&db) {
            Ok(memory) => Ok(Self { db, path: path.to_owned(), memory }),
            Err(e) => {
                open::close_untouched(db);
                Err(trouble(path, &e))
            }
        }
    }

    /// All of it or nothing.
    pub fn round(
        &mut self,
        words: &[Word],
        now: i64,
        days: u32,
        work: Work,
    ) -> Result<Round, Trouble> {
        let result = self.try_round(words, now, days, work);
        if result.is_err() {
            // It holds series and marks that are not there.
            if let Ok(memory) = Memory::load(&self.db) {
                self.memory = memory;
            }
        }
        result.map_err(|e| trouble(&self.path, &e))
    }

    fn try_round(
        &mut self,
        words: &[Word],
        now: i64,
        days: u32,
        work: Work,
    ) -> rusqlite::Result<Round> {
        let whole = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let written = write::write(&whole, &mut self.memory, words, now)?;
        let (mut more, mut next) = (false, None);
        if work != Work::Write {
            more |= roll::roll(&whole, now)?;
            more |= work == Work::Prune && prune::prune(&whole, now, days)?;
            next = roll::next(&whole, now)?;
        }
        whole.commit()?;
        if work == Work::Prune {
            more |= prune::give_back(&self.db)?;
        }
        Ok(Round { written, next: if more { Some(SOON) } else { next } })
    }

    /// See [`read::after`].
    pub fn after(&self, node: NodeId, after: i64, now: i64, days: u32) -> Result<Batch, Trouble> {
        self.reading(|db| read::after(db, node, after, now, days))
    }

    /// See [`read::means`].
    pub fn means(&self, now: i64) -> Result<Vec<(NodeId, HourMean)>, Trouble> {
        self.reading(|db| read::means(db, now))
    }

    fn reading<T>(
        &self,
        read: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, Trouble> {
        let all = || read(&self.db.unchecked_transaction()?);
        all().map_err(|e| trouble(&self.path, &e))
    }

    pub fn marks(&self) -> Vec<(NodeId, i64)> {
        let mut marks: Vec<_> = self.memory.marks.iter().map(|(n, t)| (*n, *t)).collect();
        marks.sort_unstable();
        marks
    }

    pub fn close_untouched(self) {
        open::close_untouched(self.db);
    }

    #[cfg(test)]
    pub fn db(&self) -> &Connection {
        &self.db
    }
}
