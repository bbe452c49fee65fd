//! What the `history` thread decides: when to write, what to do when that fails. It is told the time.
use std::collections::VecDeque;
use std::time::Duration;

use super::Options;
use super::file::{File, Round, Work};
use super::open::{self, Trouble};
use super::write::Word;
use crate::bus::{HistoryCommand, HistoryEvent, LinkId, SetAside};
use crate::model::history::HistoryStatus;
use crate::model::time::{Mono, Now};

/// Rows wait for others, so that they share the pages that are written.
const WAITS: Duration = Duration::from_secs(60);
const TOGETHER: usize = 8000;
/// Rows that wait while nothing can be written; the oldest are dropped for newer ones.
const ROOM: usize = 20_000;
/// After a failure.
const AGAIN: Duration = Duration::from_secs(60);
/// Who looks at a chart has it written at most so often.
const LOOKED_AT: Duration = Duration::from_secs(10);
/// An idle thread looks after old rows so often.
const IDLE: i64 = 3600;
/// Nothing is forgotten before the clock has agreed with itself for so long: one that was wrong at start, or jumped,
/// must not cost what was kept.
const STEADY: Duration = Duration::from_secs(600);
const JUMP_MS: i64 = 60_000;

/// See the module.
#[derive(Debug)]
pub struct Keeper {
    options: Options,
    file: Option<File>,
    /// Not before this it is opened again.
    open_at: Mono,
    words: VecDeque<Word>,
    rows: usize,
    /// The next round.
    next: Mono,
    written_at: Option<Mono>,
    failing: bool,
    samples: u64,
    dropped: u64,
    steady: Option<(i64, Mono)>,
    set_aside: Option<SetAside>,
    /// For the registry.
    pub events: Vec<HistoryEvent>,
}

impl Keeper {
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self {
            options,
            file: None,
            open_at: Mono::default(),
            words: VecDeque::new(),
            rows: 0,
            next: Mono::default(),
            written_at: None,
            failing: false,
            samples: 0,
            dropped: 0,
            steady: None,
            set_aside: None,
            events: Vec::new(),
        }
    }

    /// When [`Keeper::tick`] wants to be called.
    #[must_use]
    pub fn deadline(&self) -> Mono {
        self.next
    }

    /// Does what is due.
    pub fn tick(&mut self, now: Now) {
        if now.mono >= self.next {
            let work = if self.is_steady(now) { Work::Prune } else { Work::Roll };
            self.round(work, now);
        }
    }

    pub fn take(&mut self, command: HistoryCommand, now: Now) {
        match command {
            HistoryCommand::Keep { node, batch, after } => {
                self.keep(Word::Keep { node, batch, after }, now);
            }
            HistoryCommand::Forget { node } => self.keep(Word::Forget { node }, now),
            HistoryCommand::Read { link, request, after } => self.read(link, request, after, now),
            HistoryCommand::Flush { reply } => {
                let due = self.written_at.is_none_or(|at| now.mono.since(at) >= LOOKED_AT);
                if due && !self.words.is_empty() && !self.failing {
                    self.round(Work::Write, now);
                }
                let _ = reply.try_send(self.status());
            }
        }
    }

    /// The last round.
    pub fn end(&mut self, now: Now) {
        if !self.words.is_empty() {
            self.round(Work::Write, now);
        }
    }

    /// After a panic: whatever waited may have caused it, and the file is opened anew.
    pub fn broke_down(&mut self, now: Now) {
        self.file = None;
        self.open_at = now.mono.plus(AGAIN);
        self.drop_words(0);
        self.failed("the thread that writes it broke down".to_owned(), now);
    }

    #[must_use]
    pub fn status(&self) -> HistoryStatus {
        HistoryStatus {
            enabled: true,
            retention_days: self.options.retention_days,
            database_bytes: super::file_bytes(&self.options.path),
            samples: self.samples,
            dropped_samples: self.dropped,
        }
    }

    fn keep(&mut self, word: Word, now: Now) {
        if self.words.is_empty() {
            self.next = self.next.min(now.mono.plus(WAITS));
        }
        self.rows += word.rows();
        self.words.push_back(word);
        if self.failing || self.file.is_none() {
            // The next try has its time.
            self.drop_words(ROOM);
        } else if self.rows >= TOGETHER {
            self.next = now.mono;
        }
    }

    /// Drops the oldest until at most `room` rows are left.
    fn drop_words(&mut self, room: usize) {
        while self.rows > room {
            let Some(word) = self.words.pop_front() else { break };
            self.rows -= word.rows();
            self.dropped += word.rows() as u64;
        }
    }

    fn read(&mut self, link: LinkId, request: String, after: i64, now: Now) {
        if !self.words.is_empty() && !self.failing {
            self.round(Work::Write, now);
        }
        let (me, days) = (self.options.me, self.options.retention_days);
        let read = self.file.as_ref().map(|file| file.after(me, after, seconds(now), days));
        let batch = match read {
            Some(Ok(batch)) => Some(batch),
            Some(Err(trouble)) => {
                self.trouble(trouble, now);
                None
            }
            None => None,
        };
        self.events.push(HistoryEvent::Read { link, request, batch });
    }

    fn round(&mut self, work: Work, now: Now) {
        if self.file.is_none() && !self.open(now) {
            return;
        }
        let days = self.options.retention_days;
        let words = self.words.make_contiguous();
        let Some(file) = self.file.as_mut() else { return };
        match file.round(words, seconds(now), days, work) {
            Ok(round) => self.done(round, work, now),
            Err(trouble) => self.trouble(trouble, now),
        }
    }

    fn done(&mut self, round: Round, work: Work, now: Now) {
        self.words.clear();
        self.rows = 0;
        self.written_at = Some(now.mono);
        self.samples += round.written.rows;
        if !round.written.marks.is_empty() {
            self.events.push(HistoryEvent::Kept { marks: round.written.marks });
        }
        if std::mem::take(&mut self.failing) {
            self.events.push(HistoryEvent::Recovered { dropped: self.dropped });
        }
        // What was only written is rolled up in its turn.
        let seconds = if work == Work::Write { Some(0) } else { round.next };
        let wait = match seconds {
            Some(0) => WAITS,
            Some(wait) => Duration::from_secs(wait.clamp(1, IDLE).unsigned_abs()),
            None => Duration::from_secs(IDLE.unsigned_abs()),
        };
        let next = now.mono.plus(wait);
        self.next = if work == Work::Write { self.next.max(now.mono).min(next) } else { next };
    }

    /// Whether the file is open now.
    fn open(&mut self, now: Now) -> bool {
        if now.mono < self.open_at {
            self.next = self.open_at;
            return false;
        }
        self.open_at = now.mono.plus(AGAIN);
        let opened = File::open(&self.options.path)
            .and_then(|file| file.means(seconds(now)).map(|means| (file, means)));
        match opened {
            Ok((file, means)) => {
                let set_aside = self.set_aside.take();
                self.events.push(HistoryEvent::Opened { marks: file.marks(), means, set_aside });
                self.file = Some(file);
                true
            }
            // A new one is opened at once, but not for ever.
            Err(Trouble::Damaged(reason)) if self.set_aside.is_none() => {
                self.put_away(reason, now) && {
                    self.open_at = now.mono;
                    self.open(now)
                }
            }
            Err(trouble) => {
                let text = match trouble {
                    Trouble::Damaged(reason) => reason,
                    Trouble::Fault(fault) => fault.message,
                };
                self.failed(text, now);
                false
            }
        }
    }

    fn trouble(&mut self, trouble: Trouble, now: Now) {
        match trouble {
            Trouble::Fault(fault) => self.failed(fault.message, now),
            Trouble::Damaged(reason) => {
                if let Some(file) = self.file.take() {
                    file.close_untouched();
                }
                // Rows that wait are written into the new one, at once or when the last opening is long enough ago.
                if self.put_away(reason, now) {
                    self.next = self.open_at.max(now.mono);
                }
            }
        }
    }

    /// False where the damaged file cannot be moved.
    fn put_away(&mut self, reason: String, now: Now) -> bool {
        match open::set_aside(&self.options.path, now.wall) {
            Ok(file) => {
                let file = file.display().to_string();
                crate::warning!("the history was damaged ({reason}): it lies in {file} now");
                self.set_aside = Some(SetAside { reason, file });
                true
            }
            Err(e) => {
                let fault = open::stuck(&self.options.path, &reason, &e);
                self.failed(fault.message, now);
                false
            }
        }
    }

    fn failed(&mut self, reason: String, now: Now) {
        self.next = now.mono.plus(AGAIN);
        self.drop_words(ROOM);
        if !std::mem::replace(&mut self.failing, true) {
            crate::warning!("history is not written: {reason}");
            self.events.push(HistoryEvent::Failed { reason, dropped: self.dropped });
        }
    }

    #[cfg(test)]
    pub fn set_patience(&self, patience: Duration) {
        self.file.as_ref().unwrap().db().busy_timeout(patience).unwrap();
    }

    fn is_steady(&mut self, now: Now) -> bool {
        let ahead = now.wall.0 - i64::try_from(now.mono.0 / 1000).unwrap_or(i64::MAX);
        let since = match self.steady {
            Some((before, since)) if (ahead - before).abs() <= JUMP_MS => since,
            _ => now.mono,
        };
        self.steady = Some((ahead, since));
        now.mono.since(since) >= STEADY
    }
}

fn seconds(now: Now) -> i64 {
    now.wall.0.div_euclid(1000)
}
