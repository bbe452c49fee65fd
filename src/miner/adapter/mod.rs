//! Dialects: how one kind of miner program is configured, asked and understood.
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::bus::Note;
use crate::model::profile::Profile;
use crate::model::stats::MinerSample;

mod ask;
mod flags;
pub mod lolminer;
mod reading;
pub mod srbminer;
pub mod tt_miner;
pub mod xmrig;

/// What an adapter knows when it prepares a start.
#[derive(Clone, Copy, Debug)]
pub struct Launch<'a> {
    /// Checked by `model::profile_rules`, and `{rig}` already replaced in it.
    pub profile: &'a Profile,
    /// Private to this miner and empty: its working folder and its HOME.
    pub folder: &'a Path,
    pub api: &'a Api,
}

/// Where a miner's own API is, on 127.0.0.1, and how it knows us and we know it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Api {
    pub port: u16,
    pub token: String,
    /// What the answers of this process carry, and those of another that took its port do not.
    pub instance: String,
}

/// What to run.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Plan {
    pub args: Vec<String>,
    /// The whole environment.
    pub env: BTreeMap<String, String>,
    /// Files to be written into the miner's folder first, readable by us alone.
    pub files: Vec<(&'static str, Vec<u8>)>,
}

/// Why a miner cannot be started, as a sentence; `permanent`: trying again cannot help.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StartProblem {
    pub reason: String,
    pub permanent: bool,
}

impl StartProblem {
    pub fn permanent(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), permanent: true }
    }

    pub fn passing(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), permanent: false }
    }
}

/// One dialect. It holds no state: a miner's is in its process.
pub trait Adapter: Send + Sync {
    /// The command line, environment and files for a profile.
    ///
    /// # Errors
    /// The profile cannot be run.
    fn launch(&self, launch: &Launch<'_>) -> Result<Plan, StartProblem>;

    /// Asks the miner's API, until `deadline` at the latest. What the miner does not know is `None`, never 0.
    ///
    /// # Errors
    /// No answer that is certainly this miner's could be read; a sentence says why.
    fn poll(&self, api: &Api, deadline: Instant) -> Result<MinerSample, String>;

    /// Whether a question that got no answer is worth asking again before the deadline.
    fn is_flaky(&self) -> bool {
        false
    }

    /// What a line of output says that the API does not. Called for every line, so it must be quick.
    fn note(&self, line: &str) -> Option<Note>;

    /// Why a process that was not told to end did so, in a sentence, and whether a restart is useless.
    fn exit_reason(
        &self,
        code: Option<i32>,
        signal: Option<i32>,
        last: &[String],
    ) -> (String, bool);
}

/// A miner type that this build knows.
pub struct Dialect {
    /// The `minerType`.
    pub name: &'static str,
    pub description: &'static str,
    /// Names to look for on PATH; none: our own program.
    pub programs: &'static [&'static str],
    /// How it is asked for its version, where it is safe to ask.
    pub version_argument: Option<&'static str>,
    pub adapter: &'static dyn Adapter,
}

pub static DIALECTS: &[Dialect] = &[
    Dialect {
        name: "xmrig",
        description: "XMRig: CPU miner for RandomX, CryptoNight, Argon2 and GhostRider, with GPU back ends",
        programs: &["xmrig"],
        version_argument: Some("--version"),
        adapter: &xmrig::Xmrig { simulated: false },
    },
    Dialect {
        name: "tt-miner",
        description: "TT-Miner: GPU miner for ProgPoW, Ethash, KawPow and others",
        programs: &["TT-Miner", "tt-miner"],
        version_argument: None,
        adapter: &tt_miner::TtMiner,
    },
    Dialect {
        name: "lolminer",
        description: "lolMiner: GPU miner for Ethash, Autolykos, Equihash, Cuckoo and others",
        programs: &["lolMiner", "lolminer"],
        version_argument: Some("--version"),
        adapter: &lolminer::LolMiner,
    },
    Dialect {
        name: "srbminer",
        description: "SRBMiner-Multi: CPU and GPU miner for many algorithms",
        programs: &["SRBMiner-MULTI", "srbminer"],
        version_argument: None,
        adapter: &srbminer::SrbMiner,
    },
    Dialect {
        name: "simulated",
        description: "Built-in simulated miner: invented figures, no hashing, no connection to any pool",
        programs: &[],
        version_argument: None,
        adapter: &xmrig::Xmrig { simulated: true },
    },
];

/// # Errors
/// This build has no such dialect.
pub fn find(miner_type: &str) -> Result<&'static Dialect, StartProblem> {
    DIALECTS.iter().find(|dialect| dialect.name == miner_type).ok_or_else(|| {
        let known: Vec<&str> = DIALECTS.iter().map(|dialect| dialect.name).collect();
        StartProblem::permanent(format!(
            "{miner_type:?} is no miner type; there are {}",
            known.join(", ")
        ))
    })
}

/// The working folder and HOME of a miner are private to it, so that no configuration of another's is picked up.
fn environment(folder: &Path) -> BTreeMap<String, String> {
    let text = |text: &str| text.to_owned();
    let mut env = BTreeMap::from([
        (text("HOME"), folder.to_string_lossy().into_owned()),
        (text("LANG"), text("C.UTF-8")),
        (text("PATH"), text("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")),
    ]);
    // The times in the miner's lines should be those of the machine's other logs.
    if let Ok(zone) = std::env::var("TZ") {
        env.insert(text("TZ"), zone);
    }
    env
}

/// What any program says whose port another one has. No miner but for its API binds one.
fn port_taken(line: &str) -> Option<Note> {
    line.to_ascii_lowercase().contains("address already in use").then_some(Note::ApiPortTaken)
}

/// A sentence for an end that needs no knowledge of the program.
#[must_use]
pub fn plain_exit(code: Option<i32>, signal: Option<i32>) -> String {
    match (code, signal) {
        (Some(0), _) => "it ended by itself (exit code 0)".to_owned(),
        (Some(code), _) => format!("it ended with exit code {code}"),
        (None, Some(libc::SIGKILL)) => {
            "it was killed by SIGKILL from outside, as when the machine runs out of memory"
                .to_owned()
        }
        (None, Some(libc::SIGSEGV)) => "it crashed: SIGSEGV".to_owned(),
        (None, Some(libc::SIGABRT)) => "it gave up: SIGABRT".to_owned(),
        (None, Some(libc::SIGILL)) => {
            "it crashed: SIGILL, it may be built for another processor".to_owned()
        }
        (None, Some(libc::SIGBUS)) => "it crashed: SIGBUS".to_owned(),
        (None, Some(signal)) => format!("it was ended by signal {signal}"),
        (None, None) => "it ended".to_owned(),
    }
}

/// A file in a miner's folder, as its command line names it.
fn path_text(folder: &Path, file: &str) -> Result<String, StartProblem> {
    let path: PathBuf = folder.join(file);
    path.into_os_string()
        .into_string()
        .map_err(|path| StartProblem::permanent(format!("{} is not UTF-8", path.display())))
}

#[cfg(test)]
mod fake_tests;

#[cfg(test)]
mod tests {
    use super::{DIALECTS, find, plain_exit};
    use crate::model::profile_rules::MINER_TYPES;

    #[test]
    fn every_end_has_a_sentence() {
        assert!(plain_exit(Some(3), None).contains('3'));
        assert!(plain_exit(None, Some(9)).contains("memory"));
        assert!(plain_exit(None, Some(64)).contains("64"));
        let unknown = find("xmr").err().unwrap();
        assert!(unknown.permanent && unknown.reason.contains("xmrig, tt-miner, lolminer"));
    }

    #[test]
    fn every_type_that_a_profile_may_name_can_be_run_and_the_other_way_round() {
        let names: Vec<&str> = DIALECTS.iter().map(|dialect| dialect.name).collect();
        assert_eq!(names, MINER_TYPES);
    }
}
