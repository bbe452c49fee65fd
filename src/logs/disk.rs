//! The rings on disk, for the daemon that comes after this one. In the folder of logs a miner called `xmrig-1` has
//!
//! | file | holds |
//! |---|---|
//! | `xmrig-1.log`, `xmrig-1.log.1` | the present run, the newer and the older part |
//! | `xmrig-1.previous.log`, `xmrig-1.previous.log.1` | the run before |
//!
//! each at most [`PART`] bytes long. Nothing waits for the disk: what a ring loses before it could be written, or a
//! full disk does not take, is counted, and a line in the file says so. There is no fsync, and at most one round of
//! writing in [`EVERY`], to spare memory cards.
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crossbeam_channel::{Receiver, RecvTimeoutError, select};

use super::{BYTES, LINE_BYTES, Logs, Piece};
use crate::model::{name, text};
use crate::sys::files;

/// The most bytes in one file.
pub const PART: u64 = 512 * 1024;
/// The time between two rounds of writing: a crash of the daemon loses no older lines than this.
pub const EVERY: Duration = Duration::from_secs(3);
/// Miners without a ring whose files stay.
pub const KEPT: usize = 32;

const NOW: &str = ".log";
const NOW_OLDER: &str = ".log.1";
const BEFORE: &str = ".previous.log";
const BEFORE_OLDER: &str = ".previous.log.1";
/// The longer ones first: `x.previous.log` ends with `.log`, too.
const ENDINGS: [&str; 4] = [BEFORE_OLDER, BEFORE, NOW_OLDER, NOW];

/// The body of the thread `miner-logs`.
#[derive(Debug)]
pub struct Writer {
    logs: Arc<Logs>,
    folder: PathBuf,
    /// By miner: what could not be written.
    owed: BTreeMap<String, Owed>,
}

#[derive(Debug, Default)]
struct Owed {
    /// The files still hold the run before as the present one.
    begins: bool,
    lines: u64,
}

impl Writer {
    /// Of rings made by [`Logs::on_disk`]; others are left alone.
    #[must_use]
    pub fn new(logs: &Arc<Logs>) -> Self {
        let folder = logs.disk.as_ref().map(|disk| disk.folder.clone()).unwrap_or_default();
        Self { logs: logs.clone(), folder, owed: BTreeMap::new() }
    }

    /// Writes whenever there is `news`, until the other end of `over` is dropped: then once more.
    pub fn run(mut self, news: &Receiver<()>, over: &Receiver<()>) {
        loop {
            let more = select! {
                recv(news) -> news => news.is_ok(),
                recv(over) -> _ => false,
            };
            self.round();
            if !more || over.recv_timeout(EVERY) == Err(RecvTimeoutError::Disconnected) {
                return self.round();
            }
        }
    }

    /// Removes what is forgotten and writes what is new.
    pub fn round(&mut self) {
        for miner in self.logs.take_forgotten() {
            self.owed.remove(&miner);
            self.remove(&miner);
        }
        for (miner, ring) in self.logs.all() {
            for piece in ring.unwritten() {
                self.write(&miner, &piece);
            }
        }
    }

    fn write(&mut self, miner: &str, piece: &Piece) {
        let owed = self.owed.remove(miner);
        let troubled = owed.is_some();
        let Owed { begins, lines } = owed.unwrap_or_default();
        let begins = begins || piece.begins;
        // Of a run that was never on disk nothing is missing in the next one.
        let missing = piece.skipped + if piece.begins { 0 } else { lines };
        let written = if begins { self.begin(miner) } else { Ok(()) };
        let written = written
            .map_err(|e| (true, e))
            .and_then(|()| self.append(miner, missing, &piece.text).map_err(|e| (false, e)));
        match written {
            Ok(()) if troubled => crate::info!("the output of {miner} is kept on disk again"),
            Ok(()) => {}
            Err((begins, e)) => {
                if !troubled {
                    let folder = self.folder.display();
                    crate::warning!("the output of {miner} is not kept in {folder}: {e}");
                }
                self.owed.insert(miner.to_owned(), Owed { begins, lines: missing + piece.lines });
            }
        }
    }

    /// Makes the present run the previous one.
    fn begin(&self, miner: &str) -> io::Result<()> {
        self.bound(miner);
        replace(&self.path(miner, NOW_OLDER), &self.path(miner, BEFORE_OLDER))?;
        replace(&self.path(miner, NOW), &self.path(miner, BEFORE))
    }

    fn append(&self, miner: &str, missing: u64, text: &str) -> io::Result<()> {
        let note = match missing {
            0 => String::new(),
            n => format!("[miner-cli: {n} lines are missing here]\n"),
        };
        let path = self.path(miner, NOW);
        let mut file = open_to_append(&path)?;
        let mut length = file.metadata()?.len();
        if length > 0 && length + (note.len() + text.len()) as u64 > PART {
            std::fs::rename(&path, self.path(miner, NOW_OLDER))?;
            (file, length) = (open_to_append(&path)?, 0);
        }
        let written =
            file.write_all(note.as_bytes()).and_then(|()| file.write_all(text.as_bytes()));
        // Half a line would be glued to the next one.
        written.inspect_err(|_| drop(file.set_len(length)))
    }

    /// Keeps the files of at most [`KEPT`] miners besides those that have a ring: the ones written to last.
    fn bound(&self, new: &str) {
        let mut found: BTreeMap<String, SystemTime> = BTreeMap::new();
        for entry in std::fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let file = entry.file_name();
            let Some(miner) = file.to_str().and_then(owner) else { continue };
            let written = entry.metadata().and_then(|about| about.modified());
            let latest = found.entry(miner.to_owned()).or_insert(SystemTime::UNIX_EPOCH);
            *latest = written.unwrap_or(SystemTime::UNIX_EPOCH).max(*latest);
        }
        let alive: BTreeSet<String> = self.logs.all().into_iter().map(|(name, _)| name).collect();
        let mut old: Vec<(SystemTime, String)> = found
            .into_iter()
            .filter(|(miner, _)| miner != new && !alive.contains(miner))
            .map(|(miner, at)| (at, miner))
            .collect();
        old.sort();
        let many = old.len().saturating_sub(KEPT);
        old[..many].iter().for_each(|(_, miner)| self.remove(miner));
    }

    fn remove(&self, miner: &str) {
        for ending in ENDINGS {
            if let Err(e) = remove(&self.path(miner, ending)) {
                crate::warning!("old output of {miner} cannot be removed: {e}");
            }
        }
    }

    fn path(&self, miner: &str, ending: &str) -> PathBuf {
        self.folder.join(format!("{miner}{ending}"))
    }
}

/// The miner that a file belongs to; `None` for a file that is not ours.
fn owner(file: &str) -> Option<&str> {
    let miner = ENDINGS.iter().find_map(|ending| file.strip_suffix(ending))?;
    name::is_slug(miner).then_some(miner)
}

/// Neither a symbolic link nor a pipe that nobody reads is what we left there.
fn open_to_append(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(files::PRIVATE);
    let file = options.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::other("it is no regular file"))
    }
}

/// `to` becomes `from`; where there is no `from`, there is no `to` any more either.
fn replace(from: &Path, to: &Path) -> io::Result<()> {
    match std::fs::rename(from, to) {
        Err(e) if e.kind() == ErrorKind::NotFound => remove(to),
        other => other,
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// The last lines of the run that `miner` had when it was last written, as many as a ring holds. None where there is
/// none, or nothing that can be read.
pub(super) fn load(folder: &Path, miner: &str) -> Vec<String> {
    let end = |ending, most| end_of(&folder.join(format!("{miner}{ending}")), most);
    let (newer, whole) = end(NOW, BYTES).unwrap_or((Vec::new(), true));
    let older = if whole { end(NOW_OLDER, BYTES - newer.len()).ok() } else { None };
    let mut bytes = older.map_or_else(Vec::new, |(bytes, _)| bytes);
    bytes.extend(newer);
    // Written cleaned; a power cut may have left anything.
    let all = String::from_utf8_lossy(&bytes);
    all.lines().map(|line| text::clean(line, LINE_BYTES)).collect()
}

/// Whole lines from the end of a file, at most `most` bytes, and whether that is all of it.
fn end_of(path: &Path, most: usize) -> io::Result<(Vec<u8>, bool)> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let mut file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let length = file.metadata()?.len();
    let from = length.saturating_sub(most as u64);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(most as u64).read_to_end(&mut bytes)?;
    if from > 0 {
        let line = bytes.iter().position(|b| *b == b'\n').map_or(bytes.len(), |at| at + 1);
        bytes.drain(..line);
    }
    Ok((bytes, from == 0))
}

#[cfg(test)]
#[path = "disk_tests.rs"]
mod tests;
