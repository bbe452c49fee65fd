//! What this node was told: where its files are, what config.toml says, what the flags say over it.
mod file;
pub mod listen;
pub mod paths;
pub mod run_file;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::model::fault::{Code, Fault};
use crate::model::policy::Policy;
use crate::sys::files;
use crate::sys::log::Level;

pub use listen::parse_listen;
pub use paths::Paths;
pub use run_file::RunFile;

/// The longest config.toml that is read, in bytes.
const LONGEST: usize = 256 * 1024;

/// Validated; nobody checks these again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// Where peers connect, for [`parse_listen`].
    pub listen: String,
    pub log_level: Level,
    pub api: ApiConfig,
    /// Where miner programs are, by miner type; one that is missing here is looked for on PATH.
    pub miners: BTreeMap<String, MinerProgram>,
    /// What may run here and which peers may command; nothing but this file changes it.
    pub policy: Policy,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ApiConfig {
    /// Where REST and the dashboard are served, for [`parse_listen`].
    pub bind: String,
    /// Serve beyond loopback without TLS.
    pub allow_plaintext: bool,
    /// Further names that a request's Host header may hold; lower case, no port.
    pub hosts: Vec<String>,
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct MinerProgram {
    /// Absolute.
    pub path: Option<PathBuf>,
    /// What the program's SHA-256 has to be: 64 lower-case hex digits.
    pub sha256: Option<String>,
}

/// What `node serve` was told on its command line: it goes before config.toml.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Flags {
    pub listen: Option<String>,
    pub api: Option<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: ":9091".to_owned(),
            log_level: Level::Info,
            api: ApiConfig {
                bind: "127.0.0.1:9090".to_owned(),
                allow_plaintext: false,
                hosts: Vec::new(),
            },
            miners: BTreeMap::new(),
            policy: Policy::default(),
        }
    }
}

impl Config {
    /// Reads config.toml; without one everything has its default.
    ///
    /// # Errors
    /// The file cannot be read, or something in it is not understood: names file, line and column, and what is
    /// expected there.
    pub fn load(file: &Path) -> Result<Self, Fault> {
        let Some(bytes) = files::read_small(file, LONGEST)? else { return Ok(Self::default()) };
        let wrong = |what: &str| Fault::new(Code::Invalid, format!("{}, {what}", file.display()));
        let text = String::from_utf8(bytes).map_err(|_| wrong("this is no UTF-8 text"))?;
        file::parse(&text).map_err(|e| wrong(&e))
    }

    /// Puts the flags over it, and checks what can only be judged when everything is known. Call it without
    /// flags, too.
    ///
    /// # Errors
    /// A flag's address is none, or the API would be served to the network without TLS.
    pub fn with_flags(mut self, flags: Flags) -> Result<Self, Fault> {
        let wrong = |flag: &str, e: String| Fault::new(Code::Invalid, format!("{flag}: {e}"));
        if let Some(text) = flags.listen {
            listen::check(&text).map_err(|e| wrong("--listen", e))?;
            self.listen = text;
        }
        if let Some(text) = flags.api {
            listen::check(&text).map_err(|e| wrong("--api", e))?;
            self.api.bind = text;
        }
        if !self.api.allow_plaintext && !listen::is_loopback(&self.api.bind) {
            let text = format!(
                "the API would be served on {} without encryption: the network could read its token",
                self.api.bind
            );
            return Err(Fault::new(Code::Invalid, text).hint(
                "bind it to 127.0.0.1:9090 and reach it through an SSH tunnel, \
                 or set allow_plaintext = true under [api] in config.toml",
            ));
        }
        Ok(self)
    }
}
