//! One line an event on stderr: time, level, text, or the same as JSON. Where stderr is systemd's journal, that gets
//! the level as its `<n>` prefix, and has the time itself. Secrets never go here.
use std::fmt::Arguments;
use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use crate::model::time::{Mono, Timestamp};
use crate::sys::{clock, thread};

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum Level {
    Error = 3,
    Warn = 4,
    Info = 6,
    Debug = 7,
}

impl std::str::FromStr for Level {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "error" => Ok(Self::Error),
            "warn" => Ok(Self::Warn),
            "info" => Ok(Self::Info),
            "debug" => Ok(Self::Debug),
            _ => Err(format!("{text:?} is no log level: error, warn, info or debug")),
        }
    }
}

impl Level {
    fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }
}

/// What a line looks like.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Format {
    #[default]
    Text,
    /// `{"time":"…","level":"info","message":"…"}`
    Json,
}

impl std::str::FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(format!("{text:?} is no log format: text or json")),
        }
    }
}

static JSON: AtomicBool = AtomicBool::new(false);

pub fn set_format(format: Format) {
    JSON.store(format == Format::Json, Ordering::Relaxed);
}

/// From now on a panic is one line of the log, too.
pub fn take_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let text = panic.to_string().replace('\n', " ");
        line(Level::Error, format_args!("thread {}: {text}", thread::own_name()));
    }));
}

static MOST: AtomicU8 = AtomicU8::new(Level::Info as u8);

/// Lines beyond `level` are dropped from now on.
pub fn set_level(level: Level) {
    MOST.store(level as u8, Ordering::Relaxed);
}

/// Of lines of one kind that a stranger can cause, at most one is written in this time.
pub const SELDOM: Duration = Duration::from_secs(1);

/// Bounds lines of one kind, so that a flood of strangers does not fill the log.
#[derive(Debug, Default)]
pub struct Seldom {
    last: Option<Mono>,
    left_out: u64,
}

impl Seldom {
    #[must_use]
    pub const fn new() -> Self {
        Self { last: None, left_out: 0 }
    }

    /// The line to write now: `text`, with the number of lines left out before it. `None` when one was written
    /// within the last [`SELDOM`]: this one is counted.
    pub fn take(&mut self, now: Mono, text: String) -> Option<String> {
        if self.last.is_some_and(|last| now.since(last) < SELDOM) {
            self.left_out = self.left_out.saturating_add(1);
            return None;
        }
        self.last = Some(now);
        match std::mem::take(&mut self.left_out) {
            0 => Some(text),
            n => Some(format!("{text} (and {n} more of this kind before it)")),
        }
    }
}

/// As [`line`], within the bounds of `kind`. The macro [`crate::seldom`] has a kind for each place that it is
/// used in.
pub fn seldom_line(kind: &Mutex<Seldom>, level: Level, text: Arguments<'_>) {
    if level as u8 > MOST.load(Ordering::Relaxed) {
        return;
    }
    let due =
        kind.lock().unwrap_or_else(PoisonError::into_inner).take(clock::mono(), text.to_string());
    if let Some(text) = due {
        line(level, format_args!("{text}"));
    }
}

/// Writes one line; a log that cannot be written stops nothing.
pub fn line(level: Level, text: Arguments<'_>) {
    if level as u8 > MOST.load(Ordering::Relaxed) {
        return;
    }
    let format = if JSON.load(Ordering::Relaxed) { Format::Json } else { Format::Text };
    let line = written(format, to_journal(), clock::wall(), level, &text.to_string());
    // One write a line, so that lines of several threads never mix.
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// The line with its end. Control bytes of strangers stop here.
fn written(format: Format, journal: bool, now: Timestamp, level: Level, text: &str) -> String {
    let (word, text) = (level.word(), crate::model::text::clean(text, 2000));
    let prefix = if journal { format!("<{}>", level as u8) } else { String::new() };
    match format {
        Format::Json => {
            let time = now.to_string();
            let line = serde_json::json!({"time": time, "level": word, "message": text});
            format!("{prefix}{line}\n")
        }
        Format::Text if journal => format!("{prefix}{word}: {text}\n"),
        Format::Text => format!("{now} {word}: {text}\n"),
    }
}

/// Whether stderr is the journal: `JOURNAL_STREAM` names the device and inode of the journal's own socket, and stands
/// in the environment of processes whose output was redirected, too.
fn to_journal() -> bool {
    static KNOWN: OnceLock<bool> = OnceLock::new();
    *KNOWN.get_or_init(|| {
        let stderr = std::io::stderr().as_fd().try_clone_to_owned().map(File::from);
        let Ok(about) = stderr.and_then(|stderr| stderr.metadata()) else { return false };
        std::env::var("JOURNAL_STREAM")
            .is_ok_and(|named| named == format!("{}:{}", about.dev(), about.ino()))
    })
}

#[macro_export]
macro_rules! error { ($($arg:tt)*) => { $crate::sys::log::line($crate::sys::log::Level::Error, format_args!($($arg)*)) } }
#[macro_export]
macro_rules! warning { ($($arg:tt)*) => { $crate::sys::log::line($crate::sys::log::Level::Warn, format_args!($($arg)*)) } }
#[macro_export]
macro_rules! info { ($($arg:tt)*) => { $crate::sys::log::line($crate::sys::log::Level::Info, format_args!($($arg)*)) } }
#[macro_export]
macro_rules! debug { ($($arg:tt)*) => { $crate::sys::log::line($crate::sys::log::Level::Debug, format_args!($($arg)*)) } }
/// A line that strangers can cause: `seldom!(Warn, "…")`. See [`sys::log::Seldom`](crate::sys::log::Seldom).
#[macro_export]
macro_rules! seldom {
    ($level:ident, $($arg:tt)*) => {{
        static KIND: std::sync::Mutex<$crate::sys::log::Seldom> =
            std::sync::Mutex::new($crate::sys::log::Seldom::new());
        $crate::sys::log::seldom_line(&KIND, $crate::sys::log::Level::$level, format_args!($($arg)*));
    }};
}

#[cfg(test)]
mod tests {
    use super::{Format, Level, SELDOM, Seldom, written};
    use crate::model::time::{Mono, Timestamp};
    use std::time::Duration;

    #[test]
    fn a_flood_is_one_line_a_second_that_counts_the_others() {
        let mut kind = Seldom::new();
        let start = Mono(7_000_000);
        let mut written = Vec::new();
        for ms in 0..3_000 {
            let now = start.plus(Duration::from_millis(ms));
            written.extend(kind.take(now, format!("refused {ms}")));
        }
        assert_eq!(
            written,
            [
                "refused 0",
                "refused 1000 (and 999 more of this kind before it)",
                "refused 2000 (and 999 more of this kind before it)"
            ]
        );
        let later = start.plus(10 * SELDOM);
        assert_eq!(
            kind.take(later, "x".to_owned()).as_deref(),
            Some("x (and 999 more of this kind before it)")
        );
        assert_eq!(kind.take(later.plus(SELDOM), "y".to_owned()).as_deref(), Some("y"));
    }
    #[test]
    fn a_line_is_plain_prefixed_for_the_journal_or_json() {
        let line = |format, journal| {
            written(format, journal, Timestamp(1_700_000_000_000), Level::Warn, "a \x1b[1m\"b\"\nc")
        };
        let time = "2023-11-14T22:13:20.000Z";
        assert_eq!(line(Format::Text, false), format!("{time} warn: a [1m\"b\"c\n"));
        assert_eq!(line(Format::Text, true), "<4>warn: a [1m\"b\"c\n");
        for (journal, prefix) in [(false, ""), (true, "<4>")] {
            let line = line(Format::Json, journal);
            let json: serde_json::Value =
                serde_json::from_str(line.strip_prefix(prefix).unwrap()).unwrap();
            let wanted =
                serde_json::json!({"time": time, "level": "warn", "message": "a [1m\"b\"c"});
            assert_eq!(json, wanted);
        }
        assert!("loud".parse::<Format>().is_err());
    }
}
