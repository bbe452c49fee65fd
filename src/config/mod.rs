//! What this node was told: where its files are, what config.toml says, what the flags say over it.
pub mod alerts;
mod file;
pub mod listen;
pub mod paths;
pub mod run_file;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::model::alert::AlertRules;
use crate::model::fault::{Code, Fault};
use crate::model::policy::Policy;
use crate::sys::files;
use crate::sys::log::{Format, Level};

pub use alerts::{ChannelConfig, Secret, Target, Webhook, WebhookFormat};
pub use listen::parse_listen;
pub use paths::Paths;
pub use run_file::RunFile;

/// The longest config.toml that is read, in bytes.
const LONGEST: usize = 256 * 1024;

/// Validated; nobody checks these again.
#[derive(Clone, PartialEq, Debug)]
pub struct Config {
    /// Where peers connect, for [`parse_listen`].
    pub listen: String,
    pub log_level: Level,
    pub log_format: Format,
    /// Of the P2P port.
    pub tls: Option<TlsFiles>,
    pub api: ApiConfig,
    /// Where miner programs are, by miner type; one that is missing here is looked for on PATH.
    pub miners: BTreeMap<String, MinerProgram>,
    /// What may run here and which peers may command; nothing but this file changes it.
    pub policy: Policy,
    pub alerts: AlertRules,
    /// Where alerts are sent to.
    pub channels: Vec<ChannelConfig>,
    pub history: HistoryConfig,
}

/// `[history]`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HistoryConfig {
    /// Without it nothing is kept in mining.db.
    pub enabled: bool,
    /// How long minutes are kept: 1 to 365.
    pub retention_days: u32,
}

impl Default for HistoryConfig {
    fn default() -> Self {
        Self { enabled: true, retention_days: 30 }
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ApiConfig {
    /// Where REST and the dashboard are served, for [`parse_listen`].
    pub bind: String,
    /// Serve beyond loopback without TLS.
    pub allow_plaintext: bool,
    pub tls: Option<TlsFiles>,
    /// Further names that a request's Host header may hold; lower case, no port.
    pub hosts: Vec<String>,
}

/// Certificate (with those between it and its authority) and private key, both PEM.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TlsFiles {
    pub cert: PathBuf,
    pub key: PathBuf,
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
    pub tls: TlsFlags,
    pub api_tls: TlsFlags,
}

/// `--tls-cert` and `--tls-key`, or the same of the API.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TlsFlags {
    pub cert: Option<PathBuf>,
    pub key: Option<PathBuf>,
}

impl TlsFlags {
    /// Over what config.toml says.
    fn over(self, files: &mut Option<TlsFiles>, flag: &str) -> Result<(), Fault> {
        match (self.cert, self.key) {
            (None, None) => {}
            (Some(cert), Some(key)) => *files = Some(TlsFiles { cert, key }),
            _ => {
                let text = format!("{flag}-cert and {flag}-key belong together: one is missing");
                return Err(Fault::new(Code::Invalid, text));
            }
        }
        Ok(())
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: ":9091".to_owned(),
            log_level: Level::Info,
            log_format: Format::Text,
            tls: None,
            api: ApiConfig {
                bind: "127.0.0.1:9090".to_owned(),
                allow_plaintext: false,
                tls: None,
                hosts: Vec::new(),
            },
            miners: BTreeMap::new(),
            policy: Policy::default(),
            alerts: AlertRules::default(),
            channels: Vec::new(),
            history: HistoryConfig::default(),
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
        Self::parse(&text).map_err(|e| wrong(&e))
    }

    /// The text of a config.toml.
    ///
    /// # Errors
    /// `line 3, column 5: unknown field …`.
    pub fn parse(text: &str) -> Result<Self, String> {
        file::parse(text)
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
        flags.tls.over(&mut self.tls, "--tls")?;
        flags.api_tls.over(&mut self.api.tls, "--api-tls")?;
        let open = self.api.tls.is_none() && !self.api.allow_plaintext;
        if open && !listen::is_loopback(&self.api.bind) {
            let text = format!(
                "the API would be served on {} without encryption: the network could read its token",
                self.api.bind
            );
            return Err(Fault::new(Code::Invalid, text).hint(
                "bind it to 127.0.0.1:9090 and reach it through an SSH tunnel, give it a \
                 certificate (cert and key under [api.tls] in config.toml, see docs/tls.md), \
                 or set allow_plaintext = true under [api] in config.toml",
            ));
        }
        Ok(self)
    }
}
