//! The thread miner-out-M: reads a miner's pipe into its log ring, and notes what its lines say.
//!
//! A miner may print a gigabyte without a newline, escape sequences, or ten million lines a minute. One line's worth
//! of memory is all that it gets here, and a few notes a second.
use std::io::{PipeReader, Read as _};
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;

use super::adapter::Adapter;
use crate::bus::{Event, MinerEvent, Note};
use crate::logs::{LINE_BYTES, LogRing};
use crate::model::text;
use crate::sys::poll;

/// How long output is still read once the process has gone: a process that left the group may hold the pipe for ever.
const DRAIN: Duration = Duration::from_secs(2);
/// Notes of one kind come at most this often; one that says the same again, ten times less.
const NOTE_EVERY: Duration = Duration::from_secs(1);
const REPEAT_EVERY: Duration = Duration::from_secs(10);
/// How long a note waits for room in the registry's queue.
const PATIENCE: Duration = Duration::from_millis(200);

pub struct Output {
    pub name: String,
    pub run: u64,
    pub pipe: PipeReader,
    /// Its writing end is dropped when the process has gone.
    pub gone: PipeReader,
    pub ring: Arc<LogRing>,
    pub adapter: &'static dyn Adapter,
    pub events: Sender<Event>,
}

/// Dropped when everything is read, also by a panic: tells the spawner that no more output of a run comes.
pub struct Finished {
    pub name: String,
    pub run: u64,
    pub spawner: Sender<(String, u64)>,
}

impl Drop for Finished {
    fn drop(&mut self) {
        let _ = self.spawner.send((std::mem::take(&mut self.name), self.run));
    }
}

impl Output {
    /// Reads until the end of the output, or [`DRAIN`] after the process has gone.
    pub fn run(mut self) {
        let mut lines = Lines::default();
        let mut notes = Notes::default();
        let mut part = vec![0; 64 * 1024];
        let mut deadline = None;
        while self.wait(&mut deadline) {
            match self.pipe.read(&mut part) {
                Ok(0) | Err(_) => break,
                Ok(n) => lines.feed(&part[..n], |line| self.line(line, &mut notes)),
            }
        }
        lines.finish(|line| self.line(line, &mut notes));
    }

    /// Whether there is something to read.
    fn wait(&self, deadline: &mut Option<Instant>) -> bool {
        loop {
            let (ready, gone) = match *deadline {
                None => match poll::readable([self.pipe.as_fd(), self.gone.as_fd()], None) {
                    Ok([ready, gone]) => (ready, gone),
                    Err(_) => return false,
                },
                // A flood that never ends must not outlast the deadline either.
                Some(at) if Instant::now() >= at => return false,
                Some(at) => match poll::readable([self.pipe.as_fd()], Some(at)) {
                    Ok([ready]) => (ready, false),
                    Err(_) => return false,
                },
            };
            if gone && deadline.is_none() {
                *deadline = Some(Instant::now() + DRAIN);
            }
            if ready {
                return true;
            }
        }
    }

    fn line(&self, line: &[u8], notes: &mut Notes) {
        self.ring.push(line);
        let Ok(line) = std::str::from_utf8(line) else { return };
        let Some(note) = self.adapter.note(line) else { return };
        let now = Instant::now();
        if !notes.wants(&note, now) {
            return;
        }
        let event =
            MinerEvent::Noted { name: self.name.clone(), run: self.run, note: note.clone() };
        if self.events.send_timeout(Event::Miner(event), PATIENCE).is_ok() {
            notes.sent(note, now);
        }
    }
}

/// Which notes are worth telling: a miner's output must not flood the registry.
#[derive(Default)]
struct Notes {
    share: Option<Instant>,
    api: Option<Instant>,
    pool: Option<(Note, Instant)>,
}

impl Notes {
    fn wants(&self, note: &Note, now: Instant) -> bool {
        let due = |at: Option<Instant>, every| at.is_none_or(|at| now.duration_since(at) >= every);
        match note {
            Note::ShareAccepted => due(self.share, NOTE_EVERY),
            Note::ApiPortTaken => self.api.is_none(),
            Note::PoolTrouble(_) | Note::PoolFine => match &self.pool {
                Some((told, at)) if told == note => due(Some(*at), REPEAT_EVERY),
                // Good news is never late: a job right after a trouble must not leave the trouble standing.
                Some((_, at)) => *note == Note::PoolFine || due(Some(*at), NOTE_EVERY),
                None => true,
            },
        }
    }

    fn sent(&mut self, note: Note, now: Instant) {
        match note {
            Note::ShareAccepted => self.share = Some(now),
            Note::ApiPortTaken => self.api = Some(now),
            Note::PoolTrouble(_) | Note::PoolFine => self.pool = Some((note, now)),
        }
    }
}

/// Cuts a stream of bytes into lines of printable text, each at most [`LINE_BYTES`] long.
#[derive(Default)]
pub struct Lines {
    line: Vec<u8>,
    state: State,
    /// The line has bytes beyond ASCII, which may be marks that turn or hide text.
    beyond_ascii: bool,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Text,
    /// After ESC.
    Escape,
    /// In a control sequence: `ESC [` up to a byte from `@` to `~`.
    Control,
    /// In a string for the terminal, such as its title: up to BEL or the next escape.
    String,
}

impl Lines {
    pub fn feed(&mut self, bytes: &[u8], mut take: impl FnMut(&[u8])) {
        for &byte in bytes {
            if byte == b'\n' {
                self.end(&mut take);
            } else if self.state == State::Text && (b' '..0x7f).contains(&byte) {
                self.put(byte);
            } else {
                self.odd(byte);
            }
        }
    }

    /// The last line, where it has no newline.
    pub fn finish(&mut self, mut take: impl FnMut(&[u8])) {
        if !self.line.is_empty() {
            self.end(&mut take);
        }
    }

    fn end(&mut self, take: &mut impl FnMut(&[u8])) {
        if self.beyond_ascii {
            take(text::clean(&String::from_utf8_lossy(&self.line), LINE_BYTES).as_bytes());
        } else {
            take(&self.line);
        }
        self.line.clear();
        (self.state, self.beyond_ascii) = (State::Text, false);
    }

    fn put(&mut self, byte: u8) {
        if self.line.len() < LINE_BYTES {
            self.line.push(byte);
        }
    }

    fn odd(&mut self, byte: u8) {
        self.state = match (self.state, byte) {
            (_, 0x1b) => State::Escape,
            (State::Text, b'\t') => {
                self.put(b' ');
                State::Text
            }
            (State::Text, 0x80..) => {
                self.beyond_ascii = true;
                self.put(byte);
                State::Text
            }
            (State::Escape, b'[') => State::Control,
            (State::Escape, b']' | b'P' | b'X' | b'^' | b'_') => State::String,
            // Escapes with bytes in between, such as those that choose a character set.
            (State::Escape, b' '..=b'/') => State::Escape,
            (State::Control, b' '..=b'?') => State::Control,
            (State::String, byte) if byte != 0x07 => State::String,
            _ => State::Text,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::{LINE_BYTES, Lines, NOTE_EVERY, Notes, REPEAT_EVERY};
    use crate::bus::Note;
    use std::time::Instant;

    fn lines(parts: &[&[u8]]) -> Vec<String> {
        let mut got = Vec::new();
        let mut cutter = Lines::default();
        for part in parts {
            cutter.feed(part, |line| got.push(String::from_utf8(line.to_vec()).unwrap()));
        }
        cutter.finish(|line| got.push(String::from_utf8(line.to_vec()).unwrap()));
        got
    }

    #[test]
    fn colours_are_stripped_wherever_the_stream_is_cut() {
        let coloured = include_bytes!("../../tests/fixtures/xmrig/stdout-ansi-colours.log");
        let whole = lines(&[coloured]);
        assert!(whole.iter().all(|line| line.bytes().all(|b| (b' '..0x7f).contains(&b))));
        assert_eq!(
            whole[0],
            " * ABOUT        XMRig/6.26.0 gcc/12.2.0 (built for Linux x86-64, 64 bit)"
        );
        assert_eq!(
            whole.last().map(String::as_str),
            Some("[2026-11-22 10:32:38.380]  cpu      stopped (11 ms)")
        );
        let bytes: Vec<&[u8]> = coloured.chunks(1).collect();
        assert_eq!(lines(&bytes), whole);
    }

    #[test]
    fn nothing_a_terminal_would_obey_gets_through() {
        let hostile: &[u8] =
            b"a\x1b]0;title\x07b\x1b]8;;x\x1b\\c\x1b(Bd\r\x08e\x00\x7f\xc2\x9b2Jf\xe2\x80\xaeg\xff\tz\x1b[31";
        assert_eq!(
            lines(&[hostile, b"mred\n\x1b]never ended\nnext"]),
            ["abcde2Jfg\u{fffd} zred", "", "next"]
        );
    }

    #[test]
    fn a_line_without_end_takes_one_lines_memory() {
        let mut cutter = Lines::default();
        let megabyte = vec![b'x'; 1 << 20];
        for _ in 0..64 {
            cutter.feed(&megabyte, |_| panic!("there is no newline"));
            assert!(cutter.line.capacity() <= 2 * LINE_BYTES);
        }
        cutter.feed(b"\nshort\n", |line| assert!(line.len() == LINE_BYTES || line == b"short"));
    }

    #[test]
    fn notes_are_few_and_the_last_word_on_the_pool_is_told() {
        let mut notes = Notes::default();
        let start = Instant::now();
        let mut tell = |note: &Note, at| {
            let wanted = notes.wants(note, at);
            if wanted {
                notes.sent(note.clone(), at);
            }
            wanted
        };
        let trouble = |text: &str| Note::PoolTrouble(text.to_owned());
        assert!(tell(&Note::ShareAccepted, start));
        assert!(!tell(&Note::ShareAccepted, start));
        assert!(tell(&Note::ShareAccepted, start + NOTE_EVERY));
        assert!(tell(&trouble("a"), start));
        assert!(!tell(&trouble("b"), start));
        assert!(tell(&Note::PoolFine, start), "the trouble would stand although the pool works");
        assert!(!tell(&Note::PoolFine, start + NOTE_EVERY));
        assert!(tell(&trouble("a"), start + NOTE_EVERY));
        assert!(!tell(&trouble("a"), start + 2 * NOTE_EVERY));
        assert!(tell(&trouble("a"), start + NOTE_EVERY + REPEAT_EVERY));
        assert!(
            tell(&Note::ApiPortTaken, start) && !tell(&Note::ApiPortTaken, start + REPEAT_EVERY)
        );
    }
}
