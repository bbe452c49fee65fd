//! config.toml as people write it. Every value is checked while it is read, so that the parser can say where it
//! stands.
use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::de::{Deserialize, Deserializer, Error};

use super::alerts::AlertsTable;
use super::{ApiConfig, Config, HistoryConfig, MinerProgram, TlsFiles, listen};
use crate::model::address;
use crate::model::key::PublicKey;
use crate::model::policy::{self, Policy, PoolRule, Remote};
use crate::model::text::clean;
use crate::sys::log::{Format, Level};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    #[serde(deserialize_with = "address")]
    listen: String,
    #[serde(deserialize_with = "level")]
    log_level: Level,
    #[serde(deserialize_with = "format")]
    log_format: Format,
    tls: Option<Tls>,
    api: Api,
    miners: Miners,
    policy: PolicyTable,
    alerts: AlertsTable,
    history: History,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Api {
    #[serde(deserialize_with = "address")]
    bind: String,
    allow_plaintext: bool,
    #[serde(deserialize_with = "hosts")]
    hosts: Vec<String>,
    tls: Option<Tls>,
}

/// [`TlsFiles`] as it is written: neither is of use without the other.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Tls {
    #[serde(deserialize_with = "absolute_path")]
    cert: PathBuf,
    #[serde(deserialize_with = "absolute_path")]
    key: PathBuf,
}

/// The miner types that are programs of their own.
#[derive(serde::Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Miners {
    xmrig: Option<Program>,
    #[serde(rename = "tt-miner")]
    tt_miner: Option<Program>,
    lolminer: Option<Program>,
    srbminer: Option<Program>,
}

#[derive(serde::Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Program {
    #[serde(deserialize_with = "absolute")]
    path: Option<PathBuf>,
    #[serde(deserialize_with = "digest")]
    sha256: Option<String>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
struct History {
    enabled: bool,
    #[serde(deserialize_with = "days")]
    retention_days: u32,
}

/// [`Policy`] as it is written.
#[derive(serde::Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct PolicyTable {
    #[serde(deserialize_with = "words")]
    wallets: Option<Vec<String>>,
    #[serde(deserialize_with = "pools")]
    pools: Option<Vec<PoolRule>>,
    #[serde(deserialize_with = "keys")]
    controllers: Option<Vec<PublicKey>>,
    #[serde(deserialize_with = "words")]
    arguments: Option<Vec<String>>,
    remote: Remote,
}

impl Default for File {
    fn default() -> Self {
        let Config { listen, log_level, log_format, .. } = Config::default();
        Self {
            listen,
            log_level,
            log_format,
            tls: None,
            api: Api::default(),
            miners: Miners::default(),
            policy: PolicyTable::default(),
            alerts: AlertsTable::default(),
            history: History::default(),
        }
    }
}

impl Default for History {
    fn default() -> Self {
        let HistoryConfig { enabled, retention_days } = HistoryConfig::default();
        Self { enabled, retention_days }
    }
}

impl Default for Api {
    fn default() -> Self {
        let ApiConfig { bind, allow_plaintext, hosts, .. } = Config::default().api;
        Self { bind, allow_plaintext, hosts, tls: None }
    }
}

/// # Errors
/// `line 3, column 5: unknown field …`.
pub fn parse(text: &str) -> Result<Config, String> {
    let file: File = toml::from_str(text).map_err(|e| {
        let (line, column) = place(text, e.span().map_or(0, |s| s.start));
        format!("line {line}, column {column}: {}", e.message().trim().replace('\n', ", "))
    })?;
    let program = |p: Program| MinerProgram { path: p.path, sha256: p.sha256 };
    let Miners { xmrig, tt_miner, lolminer, srbminer } = file.miners;
    let miners =
        [("xmrig", xmrig), ("tt-miner", tt_miner), ("lolminer", lolminer), ("srbminer", srbminer)];
    let miners: BTreeMap<_, _> =
        miners.into_iter().filter_map(|(name, p)| Some((name.to_owned(), program(p?)))).collect();
    let tls = |t: Tls| TlsFiles { cert: t.cert, key: t.key };
    let api_tls = file.api.tls.map(tls);
    let Api { bind, allow_plaintext, hosts, .. } = file.api;
    let (alerts, channels) = file.alerts.into_parts();
    let History { enabled, retention_days } = file.history;
    Ok(Config {
        listen: file.listen,
        log_level: file.log_level,
        log_format: file.log_format,
        tls: file.tls.map(tls),
        api: ApiConfig { bind, allow_plaintext, hosts, tls: api_tls },
        miners,
        policy: file.policy.into(),
        alerts,
        channels,
        history: HistoryConfig { enabled, retention_days },
    })
}

impl From<PolicyTable> for Policy {
    fn from(table: PolicyTable) -> Self {
        let PolicyTable { wallets, pools, controllers, arguments, remote } = table;
        Self { wallets, pools, controllers, arguments, remote }
    }
}

/// Line and column of a byte, both from 1, the column in characters.
fn place(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.rsplit('\n').next().unwrap_or_default();
    (before.matches('\n').count() + 1, line.chars().count() + 1)
}

fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    listen::check(&text).map_err(D::Error::custom)?;
    Ok(text)
}

fn level<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Level, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
}

fn days<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let days = u32::deserialize(deserializer)?;
    if (1..=365).contains(&days) {
        Ok(days)
    } else {
        Err(D::Error::custom("1 to 365 days are possible"))
    }
}

fn format<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Format, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
}

fn hosts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let hosts = Vec::<String>::deserialize(deserializer)?;
    match hosts.iter().find(|h| !address::is_name(h)) {
        Some(bad) => {
            Err(D::Error::custom(format!("{bad:?} is no host name (expected without a port)")))
        }
        None => Ok(hosts.iter().map(|h| h.to_ascii_lowercase()).collect()),
    }
}

/// A list of the policy, each entry read by `read`; the error names the entry.
fn list<'de, T, D: Deserializer<'de>>(
    deserializer: D,
    read: impl Fn(&str) -> Result<T, String>,
) -> Result<Option<Vec<T>>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    if texts.len() > policy::MOST {
        return Err(D::Error::custom(format!("at most {} entries are taken", policy::MOST)));
    }
    let entries = texts.iter().map(|text| {
        read(text).map_err(|e| D::Error::custom(format!("{:?}: {e}", clean(text, 64))))
    });
    entries.collect::<Result<_, _>>().map(Some)
}

fn words<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
    list(deserializer, |text| policy::check_entry(text).map(|()| text.to_owned()))
}

fn pools<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<PoolRule>>, D::Error> {
    list(deserializer, str::parse)
}

fn keys<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<PublicKey>>, D::Error> {
    list(deserializer, str::parse)
}

fn absolute<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PathBuf>, D::Error> {
    absolute_path(deserializer).map(Some)
}

fn absolute_path<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
    let path = PathBuf::deserialize(deserializer)?;
    if path.is_absolute() {
        return Ok(path);
    }
    Err(D::Error::custom("a whole path is expected, beginning with /"))
}

fn digest<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(deserializer)?.to_ascii_lowercase();
    if text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Ok(Some(text));
    }
    Err(D::Error::custom("a SHA-256 is expected: 64 hex digits, as sha256sum prints it"))
}

#[cfg(test)]
mod tests {
    use super::parse;
    use crate::config::{Config, Flags, HistoryConfig, MinerProgram};
    use crate::model::key::PublicKey;
    use crate::model::policy::{Policy, Remote};
    use crate::sys::log::{Format, Level};

    #[test]
    fn what_is_left_out_has_its_default() {
        assert_eq!(parse("").unwrap(), Config::default());
        let config = parse("[api]\nhosts = [\"Rig.Example\"]").unwrap();
        assert_eq!(config.api.bind, "127.0.0.1:9090");
        assert_eq!(config.api.hosts, ["rig.example"]);
    }

    #[test]
    fn everything_is_read() {
        let text = "listen = \"127.0.0.1:0\"\nlog_level = \"debug\"\nlog_format = \"json\"\n[api]\nbind = \":80\"\n\
                    allow_plaintext = true\n[miners.xmrig]\npath = \"/opt/xmrig\"\nsha256 = \"";
        let config =
            parse(&format!("{text}{}\"\n[miners.tt-miner]\n[miners.lolminer]\n", "aB".repeat(32)))
                .unwrap();
        assert_eq!(config.listen, "127.0.0.1:0");
        assert_eq!((config.log_level, config.log_format), (Level::Debug, Format::Json));
        assert!(config.api.allow_plaintext && config.api.bind == ":80");
        let xmrig = &config.miners["xmrig"];
        assert_eq!(xmrig.path.as_deref(), Some(std::path::Path::new("/opt/xmrig")));
        assert_eq!(xmrig.sha256, Some("ab".repeat(32)));
        assert!(config.miners["tt-miner"].path.is_none());
        assert!(config.miners.contains_key("lolminer") && !config.miners.contains_key("srbminer"));
    }

    #[test]
    fn history_is_kept_for_30_days_unless_it_is_said_otherwise() {
        let read = |text| parse(text).unwrap().history;
        assert_eq!(read(""), HistoryConfig { enabled: true, retention_days: 30 });
        assert_eq!(
            read("[history]\nenabled = false\nretention_days = 365"),
            HistoryConfig { enabled: false, retention_days: 365 }
        );
    }

    #[test]
    fn every_mistake_is_placed_and_says_what_is_expected() {
        for (text, place, words) in [
            ("lisen = \":1\"", "line 1, column 1", "expected one of `listen`"),
            ("\n[polices]\nremote = 1", "line 2, column 2", "unknown field `polices`"),
            ("[policy]\nremote = \"some\"", "line 2, column 10", "`start-stop`"),
            ("[policy]\nwalets = []", "line 2, column 1", "expected one of `wallets`"),
            ("[policy]\nwallets = \"w\"", "line 2, column 11", "expected a sequence"),
            ("[policy]\nwallets = [\"w\", \"a b\"]", "line 2, column 11", "\"a b\": spaces"),
            ("[policy]\npools = [\"p:1\",\n \"p:x\"]", "line 2, column 9", "\"p:x\": the port"),
            ("[policy]\ncontrollers = [\"rig\"]", "line 2, column 15", "\"rig\": a public key"),
            ("[policy]\narguments = [\"\"]", "line 2, column 13", "1 to 256 bytes"),
            ("[history]\nretention_days = 0", "line 2, column 18", "1 to 365 days"),
            ("[history]\nretention_days = 366", "line 2, column 18", "1 to 365 days"),
            ("[history]\nretentionDays = 3", "line 2, column 1", "`retention_days`"),
            ("listen = 9091", "line 1, column 10", "expected a string"),
            ("listen = \"9091\"", "line 1, column 10", "the port is missing"),
            ("log_level = \"loud\"", "line 1, column 13", "error, warn, info or debug"),
            ("log_format = \"xml\"", "line 1, column 14", "text or json"),
            ("[api]\nbind = \"x:y\"", "line 2, column 8", "is no number"),
            ("[api]\nbind = \"x:1\"\nport = 1", "line 3, column 1", "expected one of `bind`"),
            ("[api]\nallow_plaintext = 1", "line 2, column 19", "expected a boolean"),
            ("[api]\nhosts = [\"a:1\"]", "line 2, column 9", "is no host name"),
            (
                "[miners.xmrg]",
                "line 1, column 9",
                "expected one of `xmrig`, `tt-miner`, `lolminer`",
            ),
            ("[miners.xmrig]\npath = \"xmrig\"", "line 2, column 8", "beginning with /"),
            ("[miners.xmrig]\nsha256 = \"12\"", "line 2, column 10", "64 hex digits"),
            ("[miners.xmrig]\nsha = \"12\"", "line 2, column 1", "expected `path` or `sha256`"),
            ("listen = ", "line 1, column 10", "string values must be quoted"),
            ("# é\nlisten = \":1\" x", "line 2, column 15", "expected"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.starts_with(&format!("{place}: ")), "{text:?}: {error}");
            assert!(error.contains(words), "{text:?}: {error}");
            assert!(!error.contains('\n'), "{error:?}");
        }
    }

    #[test]
    fn a_policy_is_read_whole_and_left_out_it_limits_nothing() {
        assert_eq!(parse("[policy]").unwrap().policy, Policy::default());
        let key = PublicKey([7; 32]);
        let text = format!(
            "[policy]\nwallets = [\"48W\"]\npools = [\"pool.example\", \"other.example:3333\"]\n\
             controllers = [\"{key}\"]\narguments = [\"--cpu-priority\"]\nremote = \"read-only\""
        );
        let policy = parse(&text).unwrap().policy;
        assert_eq!(policy.wallets, Some(vec!["48W".to_owned()]));
        assert_eq!(policy.pools.unwrap().len(), 2);
        assert_eq!(policy.controllers, Some(vec![key]));
        assert_eq!(policy.arguments, Some(vec!["--cpu-priority".to_owned()]));
        assert_eq!(policy.remote, Remote::ReadOnly);
        assert_eq!(parse("[policy]\nwallets = []").unwrap().policy.wallets, Some(vec![]));
    }

    /// Every key there is stands in `example`, which `name` shows and which is good as it stands.
    fn shows_every_key(name: &str, example: &str) {
        parse(example).unwrap_or_else(|e| panic!("{name}: {e}"));
        let tables: toml::Table = toml::from_str(example).unwrap();
        for table in
            ["", "tls", "api", "api.tls", "history", "miners", "miners.xmrig", "policy", "alerts"]
        {
            let head = if table.is_empty() { String::new() } else { format!("[{table}]\n") };
            let error = parse(&format!("{head}no-such-key = 1")).unwrap_err();
            let expected = error.split_once(", expected ").unwrap().1;
            let keys: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
            let shown = table.split('.').filter(|part| !part.is_empty());
            let shown = shown.fold(&tables, |above, part| above[part].as_table().unwrap());
            assert!(!keys.is_empty());
            for key in keys {
                assert!(shown.contains_key(key), "{name} does not show [{table}] {key}");
            }
        }
    }

    #[test]
    fn the_documented_example_parses_and_no_key_is_missing_from_it() {
        let page = include_str!("../../docs/configuration.md");
        let example = page.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
        shows_every_key("docs/configuration.md", example);
    }

    /// It is what packages install, and its page in the manual.
    #[test]
    fn the_packaged_file_changes_nothing_and_shows_every_key() {
        let packaged = include_str!("../../packaging/config.toml");
        let mut installed = parse(packaged).unwrap();
        assert!(installed.miners.values().all(|program| *program == MinerProgram::default()));
        installed.miners.clear();
        assert_eq!(installed, Config::default());
        let lines = packaged.lines().map(|line| match line.strip_prefix('#') {
            Some(key) if !key.is_empty() && !key.starts_with(' ') => key,
            _ => line,
        });
        let lines: Vec<&str> = lines.collect();
        shows_every_key("packaging/config.toml", &lines.join("\n"));
    }

    #[test]
    fn flags_go_before_the_file_and_the_api_stays_at_home() {
        let flags = |listen: &str, api: &str| Flags {
            listen: Some(listen.to_owned()),
            api: Some(api.to_owned()),
            ..Flags::default()
        };
        let config = Config::default().with_flags(flags(":1", "[::1]:2")).unwrap();
        assert_eq!((config.listen.as_str(), config.api.bind.as_str()), (":1", "[::1]:2"));

        let fault = Config::default().with_flags(flags("x", "127.0.0.1:1")).unwrap_err();
        assert!(fault.message.starts_with("--listen: "), "{fault}");
        let fault = Config::default().with_flags(flags(":1", ":2")).unwrap_err();
        assert!(fault.message.contains("without encryption"), "{fault}");
        assert!(fault.hint.unwrap().contains("allow_plaintext = true"));
        let open = parse("[api]\nbind = \"0.0.0.0:9090\"").unwrap();
        assert!(open.clone().with_flags(Flags::default()).is_err());
        assert!(open.with_flags(flags(":1", "127.0.0.1:2")).is_ok());
        let open = parse("[api]\nbind = \"0.0.0.0:9090\"\nallow_plaintext = true").unwrap();
        assert!(open.with_flags(Flags::default()).is_ok());
    }

    #[test]
    fn a_missing_file_is_the_defaults_and_a_bad_one_is_named() {
        let name = format!("miner-cli-config-{}.toml", crate::sys::random::hex::<8>());
        let path = std::env::temp_dir().join(name);
        assert_eq!(Config::load(&path).unwrap(), Config::default());
        for bad in [&b"\nx = 1"[..], b"\xff"] {
            std::fs::write(&path, bad).unwrap();
            let fault = Config::load(&path).unwrap_err();
            assert!(fault.message.starts_with(path.to_str().unwrap()), "{fault}");
        }
        std::fs::remove_file(&path).unwrap();
    }
}
