//! The output of miners: a ring of lines each, shared by the thread that reads the pipe, the HTTP threads and the
//! link writers. Line text never passes through the registry of the node that has it. A thread of its own keeps the
//! rings on disk ([`disk`]), so that no disk slows a miner.
use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crossbeam_channel::Sender;

pub mod disk;

/// What a ring keeps of one run of a miner.
pub const LINES: usize = 2_000;
pub const BYTES: usize = 256 * 1024;
/// The longest line; the rest of it is cut off.
pub const LINE_BYTES: usize = 4 * 1024;

/// Every miner's ring, by the miner's name.
#[derive(Debug, Default)]
pub struct Logs {
    shelf: Mutex<Shelf>,
    disk: Option<OnDisk>,
}

#[derive(Debug, Default)]
struct Shelf {
    rings: BTreeMap<String, Arc<LogRing>>,
    /// Miners whose files are to go.
    forgotten: Vec<String>,
}

/// Where the rings are kept, and what wakes the thread that does it.
#[derive(Debug)]
struct OnDisk {
    folder: PathBuf,
    wake: Sender<()>,
}

impl Logs {
    /// Rings that a [`disk::Writer`] keeps in `folder`; `wake` (a channel with room for one) tells it that there is
    /// something to write.
    #[must_use]
    pub fn on_disk(folder: PathBuf, wake: Sender<()>) -> Self {
        Self { shelf: Mutex::default(), disk: Some(OnDisk { folder, wake }) }
    }

    /// How many rings there are.
    #[must_use]
    pub fn count(&self) -> usize {
        lock(&self.shelf).rings.len()
    }

    #[must_use]
    pub fn get(&self, miner: &str) -> Option<Arc<LogRing>> {
        lock(&self.shelf).rings.get(miner).cloned()
    }

    /// The miner's ring, made where there is none: then with what an earlier daemon left on disk. `miner` is a slug.
    pub fn open(&self, miner: &str) -> Arc<LogRing> {
        if let Some(ring) = self.get(miner) {
            return ring;
        }
        let ring = match &self.disk {
            Some(disk) => LogRing::found(disk::load(&disk.folder, miner), disk.wake.clone()),
            None => LogRing::default(),
        };
        lock(&self.shelf).rings.entry(miner.to_owned()).or_insert_with(|| Arc::new(ring)).clone()
    }

    /// Forgets a miner's output; its followers see the end.
    pub fn remove(&self, miner: &str) {
        let mut shelf = lock(&self.shelf);
        if let Some(ring) = shelf.rings.remove(miner) {
            ring.end();
        }
        if let Some(disk) = &self.disk {
            shelf.forgotten.push(miner.to_owned());
            let _ = disk.wake.try_send(());
        }
    }

    fn take_forgotten(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.shelf).forgotten)
    }

    fn all(&self) -> Vec<(String, Arc<LogRing>)> {
        let shelf = lock(&self.shelf);
        shelf.rings.iter().map(|(name, ring)| (name.clone(), ring.clone())).collect()
    }
}

/// The last lines of a miner's present run and of the one before it.
#[derive(Debug, Default)]
pub struct LogRing(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    previous: Run,
    current: Run,
    ended: bool,
    followers: Vec<(u64, Nudge)>,
    next_follower: u64,
    disk: Option<Kept>,
}

/// How far a ring is on disk.
struct Kept {
    wake: Sender<()>,
    /// The writer was told since it last looked.
    told: bool,
    /// The run, and the first line of it, that the writer has not got.
    run: u64,
    line: u64,
}

/// What is new in one run, for the disk.
#[derive(Debug, Default, PartialEq, Eq)]
struct Piece {
    /// Nothing of this run has been written before.
    begins: bool,
    /// Lines that were gone before they could be written.
    skipped: u64,
    lines: u64,
    /// Each line ends with a newline.
    text: String,
}

/// Tells a follower that there is something to read. It is called under the ring's lock: it must not block, and
/// must not touch the ring.
pub type Nudge = Box<dyn Fn() + Send>;

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ring of {} + {} lines", self.previous.lines.len(), self.current.lines.len())
    }
}

/// Lines numbered from `first`, over runs without a gap.
#[derive(Default)]
struct Run {
    /// Counts the runs.
    number: u64,
    /// The number of its very first line.
    begin: u64,
    /// The number of the first line that is still here.
    first: u64,
    lines: VecDeque<String>,
    bytes: usize,
}

impl Run {
    fn next(&self) -> u64 {
        self.first + self.lines.len() as u64
    }

    fn push(&mut self, line: String) {
        self.bytes += line.len();
        self.lines.push_back(line);
        while self.lines.len() > LINES || self.bytes > BYTES {
            let Some(gone) = self.lines.pop_front() else { break };
            self.bytes -= gone.len();
            self.first += 1;
        }
    }

    /// What is here from line `from` on.
    fn piece(&self, from: u64) -> Piece {
        let skip = usize::try_from(from.saturating_sub(self.first)).unwrap_or(usize::MAX);
        let mut piece = Piece { skipped: self.first.saturating_sub(from), ..Piece::default() };
        for line in self.lines.iter().skip(skip) {
            piece.lines += 1;
            piece.text.push_str(line);
            piece.text.push('\n');
        }
        piece
    }

    fn last(&self, lines: usize) -> Vec<String> {
        let skip = self.lines.len().saturating_sub(lines);
        self.lines.iter().skip(skip).cloned().collect()
    }
}

/// What a follower reads at once.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Chunk {
    pub lines: Vec<String>,
    /// Where to read on.
    pub next: u64,
    /// Lines that were gone before they could be read.
    pub skipped: u64,
    /// The miner was stopped and nothing is left to read.
    pub ended: bool,
}

impl LogRing {
    /// A ring whose present run was found on disk; `wake` tells the writer of what comes.
    fn found(lines: Vec<String>, wake: Sender<()>) -> Self {
        let mut current = Run::default();
        lines.into_iter().for_each(|line| current.push(line));
        let disk = Some(Kept { wake, told: false, run: 0, line: current.next() });
        Self(Mutex::new(Inner { current, disk, ..Inner::default() }))
    }

    /// A new process begins: what is here becomes the previous run.
    pub fn begin_run(&self) {
        let mut ring = lock(&self.0);
        let (number, next) = (ring.current.number + 1, ring.current.next());
        let new = Run { number, begin: next, first: next, ..Run::default() };
        ring.previous = std::mem::replace(&mut ring.current, new);
        ring.ended = false;
        ring.tell_writer();
    }

    /// Adds a line: invalid UTF-8 becomes U+FFFD, what is longer than [`LINE_BYTES`] is cut.
    pub fn push(&self, line: &[u8]) {
        let cut = &line[..line.len().min(LINE_BYTES)];
        let mut ring = lock(&self.0);
        ring.current.push(String::from_utf8_lossy(cut).into_owned());
        ring.tell_writer();
        ring.nudge();
    }

    /// The miner was stopped for good: followers end when they have read everything.
    pub fn end(&self) {
        let mut ring = lock(&self.0);
        ring.ended = true;
        ring.nudge();
    }

    /// The last `lines` lines of the present run, or of the one before it.
    #[must_use]
    pub fn tail(&self, lines: usize, previous: bool) -> Vec<String> {
        let ring = lock(&self.0);
        if previous { ring.previous.last(lines) } else { ring.current.last(lines) }
    }

    /// Where to begin reading in order to see the last `lines` lines of the present run first.
    #[must_use]
    pub fn start(&self, lines: usize) -> u64 {
        let ring = lock(&self.0);
        ring.current.next().saturating_sub(lines as u64).max(ring.current.first)
    }

    /// Lines from number `from` on, at most `lines` of them and `bytes` of text (but at least one line).
    #[must_use]
    pub fn read(&self, from: u64, lines: usize, bytes: usize) -> Chunk {
        let ring = lock(&self.0);
        let oldest =
            if ring.previous.lines.is_empty() { ring.current.first } else { ring.previous.first };
        let mut chunk = Chunk {
            next: from.max(oldest),
            skipped: oldest.saturating_sub(from),
            ..Chunk::default()
        };
        let mut room = bytes;
        while chunk.lines.len() < lines {
            let Some(line) = ring.line(&mut chunk) else { break };
            if line.len() > room && !chunk.lines.is_empty() {
                break;
            }
            room = room.saturating_sub(line.len());
            chunk.lines.push(line.clone());
            chunk.next += 1;
        }
        chunk.ended = ring.ended && chunk.next >= ring.current.next();
        chunk
    }

    /// Calls `nudge` at every new line and at the end, until [`LogRing::unfollow`].
    pub fn follow(&self, nudge: Nudge) -> u64 {
        let mut ring = lock(&self.0);
        ring.next_follower += 1;
        let id = ring.next_follower;
        ring.followers.push((id, nudge));
        id
    }

    pub fn unfollow(&self, follower: u64) {
        lock(&self.0).followers.retain(|(id, _)| *id != follower);
    }

    /// What came since this was called last, of the previous run and of the present one.
    fn unwritten(&self) -> Vec<Piece> {
        let mut ring = lock(&self.0);
        let Some(kept) = &mut ring.disk else { return Vec::new() };
        kept.told = false;
        let (run, line) = (kept.run, kept.line);
        let mut pieces = Vec::new();
        for there in [&ring.previous, &ring.current] {
            let begins = there.number > run;
            let piece = there.piece(if begins { there.begin } else { line });
            if begins || there.number == run && (piece.lines > 0 || piece.skipped > 0) {
                pieces.push(Piece { begins, ..piece });
            }
        }
        let (run, line) = (ring.current.number, ring.current.next());
        if let Some(kept) = &mut ring.disk {
            (kept.run, kept.line) = (run, line);
        }
        pieces
    }
}

impl Inner {
    /// Once until the writer has looked: a busy miner pays for one message, not for one a line.
    fn tell_writer(&mut self) {
        if let Some(kept) = &mut self.disk
            && !std::mem::replace(&mut kept.told, true)
        {
            let _ = kept.wake.try_send(());
        }
    }

    fn nudge(&self) {
        for (_, nudge) in &self.followers {
            nudge();
        }
    }

    /// The line at `chunk.next`; steps over the gap that a full ring leaves between the runs, and counts it.
    fn line(&self, chunk: &mut Chunk) -> Option<&String> {
        if chunk.next < self.previous.next() {
            return self.previous.lines.get((chunk.next - self.previous.first) as usize);
        }
        if chunk.next < self.current.first {
            chunk.skipped += self.current.first - chunk.next;
            chunk.next = self.current.first;
        }
        self.current.lines.get((chunk.next - self.current.first) as usize)
    }
}

/// A panic of another thread under the lock leaves whole lines behind: the ring is still good.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::{BYTES, LINE_BYTES, LINES, LogRing};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn filled(from: usize, to: usize) -> LogRing {
        let ring = LogRing::default();
        ring.begin_run();
        for i in from..to {
            ring.push(format!("line {i}").as_bytes());
        }
        ring
    }

    #[test]
    fn a_ring_is_bounded_in_lines_and_bytes_and_line_length() {
        let ring = filled(0, LINES + 7);
        assert_eq!(ring.tail(usize::MAX, false).len(), LINES);
        assert_eq!(ring.tail(1, false), [format!("line {}", LINES + 6)]);
        for _ in 0..200 {
            ring.push(&[b'x'; 2 * LINE_BYTES]);
        }
        assert_eq!(ring.tail(usize::MAX, false).len(), BYTES / LINE_BYTES);
    }

    #[test]
    fn the_previous_run_is_kept_and_a_follower_reads_on_over_the_restart() {
        let ring = filled(0, 3);
        let from = ring.start(1);
        ring.begin_run();
        ring.push(b"fresh");
        assert_eq!(ring.tail(10, true), ["line 0", "line 1", "line 2"]);
        let chunk = ring.read(from, 10, 1000);
        assert_eq!(chunk.lines, ["line 2", "fresh"]);
        assert_eq!((chunk.skipped, chunk.ended), (0, false));
        ring.end();
        assert!(ring.read(chunk.next, 10, 1000).ended);
    }

    #[test]
    fn a_slow_follower_learns_how_many_lines_it_missed() {
        let ring = filled(0, LINES + 100);
        let chunk = ring.read(0, 2, 1000);
        assert_eq!((chunk.skipped, chunk.lines.len(), chunk.next), (100, 2, 102));
        let one = ring.read(chunk.next, 10, 1);
        assert_eq!(one.lines.len(), 1, "a line larger than the budget still gets through");
    }

    #[test]
    fn a_follower_is_nudged_until_it_leaves() {
        let ring = filled(0, 0);
        let count = Arc::new(AtomicUsize::new(0));
        let seen = count.clone();
        let id = ring.follow(Box::new(move || {
            seen.fetch_add(1, Ordering::SeqCst);
        }));
        ring.push(b"a");
        ring.end();
        ring.unfollow(id);
        ring.push(b"b");
        assert_eq!(count.load(Ordering::SeqCst), 2);
    }
}
