//! Which miner programs are installed, and in which version.
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use crossbeam_channel::Sender;

use super::MinerSetup;
use super::adapter::{DIALECTS, Dialect};
use super::programs;
use crate::bus::Reply;
use crate::model::fault::Fault;
use crate::model::miner::AvailableMiner;
use crate::model::text;
use crate::sys::{process, thread};
use crate::warning;

/// How long a program may take to tell its version.
const PATIENCE: Duration = Duration::from_secs(3);
const LONGEST_ANSWER: usize = 4096;

/// Versions that were told, by program and the time it was last changed.
#[derive(Clone, Default)]
pub struct Survey(Arc<Mutex<Versions>>);

type Versions = BTreeMap<(PathBuf, SystemTime), Option<String>>;

impl Survey {
    /// Answers on a short-lived thread of its own: a program that hangs must not hold up the spawner.
    pub fn answer(&self, setup: &Arc<MinerSetup>, reply: Sender<Result<Reply, Fault>>) {
        let (survey, setup) = (self.clone(), setup.clone());
        let started = thread::spawn("miner-survey", move || {
            let _ = reply.try_send(Ok(Reply::Available(survey.look(&setup))));
        });
        if let Err(e) = started {
            // The asker hears that nobody answers.
            warning!("no thread for a survey of the miner programs: {e}");
        }
    }

    fn look(&self, setup: &MinerSetup) -> Vec<AvailableMiner> {
        DIALECTS.iter().map(|dialect| self.row(dialect, setup)).collect()
    }

    fn row(&self, dialect: &Dialect, setup: &MinerSetup) -> AvailableMiner {
        let found = programs::find(dialect, setup);
        let version = match (&found, dialect.version_argument) {
            (Ok(path), Some(argument)) => self.version(path, argument),
            (Ok(_), None) if dialect.programs.is_empty() => {
                Some(env!("CARGO_PKG_VERSION").to_owned())
            }
            _ => None,
        };
        AvailableMiner {
            name: dialect.name.to_owned(),
            description: dialect.description.to_owned(),
            installed: found.is_ok(),
            path: found.ok().map(|path| path.to_string_lossy().into_owned()),
            version,
        }
    }

    /// The lock is held while a program is asked, so that many surveys at once ask it once.
    fn version(&self, path: &Path, argument: &str) -> Option<String> {
        let changed = path.metadata().and_then(|file| file.modified()).ok()?;
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|(program, at), _| program != path || *at == changed);
        known.entry((path.to_owned(), changed)).or_insert_with(|| ask(path, argument)).clone()
    }
}

fn ask(path: &Path, argument: &str) -> Option<String> {
    let args = [argument.to_owned()];
    let program = process::Program { path, args: &args, env: &[], folder: Path::new("/") };
    let said = process::output(&program, Instant::now() + PATIENCE, LONGEST_ANSWER).ok()?;
    version_in(&String::from_utf8_lossy(&said))
}

/// The first word that begins with a digit: `XMRig 6.26.0` and what follows.
fn version_in(said: &str) -> Option<String> {
    let word =
        said.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    Some(text::clean(word, 40))
}

#[cfg(test)]
mod tests {
    use super::{Survey, version_in};
    use crate::sys::random;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    #[test]
    fn the_version_is_the_first_number() {
        let recorded = include_str!("../../tests/fixtures/xmrig/version.txt");
        assert_eq!(version_in(recorded).as_deref(), Some("6.26.0"));
        assert_eq!(version_in("no version here"), None);
    }

    #[test]
    fn a_program_is_asked_once_until_it_changes() {
        let path = std::env::temp_dir().join(format!("mc-version-{}", random::hex::<6>()));
        let count = path.with_extension("count");
        let write = |version: &str, second: u64| {
            let next = path.with_extension("next");
            std::fs::write(
                &next,
                format!("#!/bin/sh\necho x >> {}\necho Miner {version}\n", count.display()),
            )
            .unwrap();
            std::fs::set_permissions(&next, std::fs::Permissions::from_mode(0o755)).unwrap();
            let at = std::time::UNIX_EPOCH + std::time::Duration::from_secs(second);
            std::fs::File::open(&next).unwrap().set_modified(at).unwrap();
            std::fs::rename(next, &path).unwrap();
        };
        let survey = Survey::default();
        let ask = || survey.version(&path, "--version");
        write("1.2", 1000);
        assert_eq!((ask().as_deref(), ask().as_deref()), (Some("1.2"), Some("1.2")));
        write("1.3", 2000);
        assert_eq!(ask().as_deref(), Some("1.3"));
        assert_eq!(std::fs::read_to_string(&count).unwrap(), "x\nx\n");
        assert_eq!(survey.version(Path::new("/does/not/exist"), "--version"), None);
        std::fs::remove_file(&path).unwrap();
        std::fs::remove_file(&count).unwrap();
    }
}
