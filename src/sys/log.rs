//! One line an event on stderr: time, level, text. systemd's journal takes the level from the `<n>` prefix
//! where `JOURNAL_STREAM` is set. Secrets never go here.
use std::fmt::Arguments;
use std::io::Write as _;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::model::time::Mono;
use crate::sys::clock;

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
    let word = match level {
        Level::Error => "error",
        Level::Warn => "warn",
        Level::Info => "info",
        Level::Debug => "debug",
    };
    // One write a line, so that lines of several threads never mix; control bytes of strangers end here.
    let text = crate::model::text::clean(&text.to_string(), 2000);
    let line = if std::env::var_os("JOURNAL_STREAM").is_some() {
        format!("<{}>{word}: {text}\n", level as u8)
    } else {
        format!("{} {word}: {text}\n", clock::wall())
    };
    let _ = std::io::stderr().write_all(line.as_bytes());
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
    use super::{SELDOM, Seldom};
    use crate::model::time::Mono;
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
}
