//! One line an event on stderr: time, level, text. systemd's journal takes the level from the `<n>` prefix
//! where `JOURNAL_STREAM` is set. Secrets never go here.
use std::fmt::Arguments;
use std::io::Write as _;
use std::sync::atomic::{AtomicU8, Ordering};

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
