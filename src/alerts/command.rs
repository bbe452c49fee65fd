//! A program of the owner's that gets the message as JSON on stdin. It stands in config.toml alone.
use std::path::Path;
use std::time::{Duration, Instant};

use crate::model::alert::Notice;
use crate::sys::process::{self, Program};

const DEADLINE: Duration = Duration::from_secs(30);
/// What a script needs to find its tools; nothing else of our environment is its business.
const PASSED_ON: [&str; 5] = ["PATH", "HOME", "LANG", "LC_ALL", "TZ"];

/// Runs it, without a shell; exit code 0 says that it took the message. It is killed with its group after 30 s.
pub fn deliver(path: &Path, arguments: &[String], notice: &Notice) -> Result<(), String> {
    deliver_by(Instant::now() + DEADLINE, path, arguments, notice)
}

pub fn deliver_by(
    deadline: Instant,
    path: &Path,
    arguments: &[String],
    notice: &Notice,
) -> Result<(), String> {
    let env =
        PASSED_ON.iter().filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?)));
    let env: Vec<(String, String)> = env.collect();
    let program = Program { path, args: arguments, env: &env, folder: Path::new("/") };
    let input = super::format::json(notice);
    let exit = process::feed(&program, input.as_bytes(), deadline).map_err(|e| match e.kind() {
        std::io::ErrorKind::TimedOut => "the command did not end in time".to_owned(),
        _ => format!("the command cannot be run: {e}"),
    })?;
    match (exit.code, exit.signal) {
        (Some(0), _) => Ok(()),
        (Some(code), _) => Err(format!("the command exited with code {code}")),
        (None, signal) => Err(format!("the command was ended by signal {}", signal.unwrap_or(0))),
    }
}
