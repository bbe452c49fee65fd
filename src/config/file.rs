//! config.toml as people write it. Every value is checked while it is read, so that the parser can say where it
//! stands.
use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::de::{Deserialize, Deserializer, Error};

use super::{ApiConfig, Config, MinerProgram, listen};
use crate::model::address;
use crate::model::key::PublicKey;
use crate::model::policy::{self, Policy, PoolRule, Remote};
use crate::model::text::clean;
use crate::sys::log::Level;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    #[serde(deserialize_with = "address")]
    listen: String,
    #[serde(deserialize_with = "level")]
    log_level: Level,
    api: Api,
    miners: Miners,
    policy: PolicyTable,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Api {
    #[serde(deserialize_with = "address")]
    bind: String,
    allow_plaintext: bool,
    #[serde(deserialize_with = "hosts")]
    hosts: Vec<String>,
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
        let Config { listen, log_level, .. } = Config::default();
        Self {
            listen,
            log_level,
            api: Api::default(),
            miners: Miners::default(),
            policy: PolicyTable::default(),
        }
    }
}

impl Default for Api {
    fn default() -> Self {
        let ApiConfig { bind, allow_plaintext, hosts } = Config::default().api;
        Self { bind, allow_plaintext, hosts }
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
    let Api { bind, allow_plaintext, hosts } = file.api;
    Ok(Config {
        listen: file.listen,
        log_level: file.log_level,
        api: ApiConfig { bind, allow_plaintext, hosts },
        miners,
        policy: file.policy.into(),
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
    let path = PathBuf::deserialize(deserializer)?;
    if path.is_absolute() {
        return Ok(Some(path));
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
    use crate::config::{Config, Flags};
    use crate::model::key::PublicKey;
    use crate::model::policy::{Policy, Remote};
    use crate::sys::log::Level;

    #[test]
    fn what_is_left_out_has_its_default() {
        assert_eq!(parse("").unwrap(), Config::default());
        let config = parse("[api]\nhosts = [\"Rig.Example\"]").unwrap();
        assert_eq!(config.api.bind, "127.0.0.1:9090");
        assert_eq!(config.api.hosts, ["rig.example"]);
    }

    #[test]
    fn everything_is_read() {
        let text = "listen = \"127.0.0.1:0\"\nlog_level = \"debug\"\n[api]\nbind = \":80\"\n\
                    allow_plaintext = true\n[miners.xmrig]\npath = \"/opt/xmrig\"\nsha256 = \"";
        let config =
            parse(&format!("{text}{}\"\n[miners.tt-miner]\n[miners.lolminer]\n", "aB".repeat(32)))
                .unwrap();
        assert_eq!(config.listen, "127.0.0.1:0");
        assert_eq!(config.log_level, Level::Debug);
        assert!(config.api.allow_plaintext && config.api.bind == ":80");
        let xmrig = &config.miners["xmrig"];
        assert_eq!(xmrig.path.as_deref(), Some(std::path::Path::new("/opt/xmrig")));
        assert_eq!(xmrig.sha256, Some("ab".repeat(32)));
        assert!(config.miners["tt-miner"].path.is_none());
        assert!(config.miners.contains_key("lolminer") && !config.miners.contains_key("srbminer"));
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
            ("listen = 9091", "line 1, column 10", "expected a string"),
            ("listen = \"9091\"", "line 1, column 10", "the port is missing"),
            ("log_level = \"loud\"", "line 1, column 13", "error, warn, info or debug"),
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

    /// docs/configuration.md shows every key there is, in an example that is good as it stands.
    #[test]
    fn the_documented_example_parses_and_no_key_is_missing_from_it() {
        let page = include_str!("../../docs/configuration.md");
        let example = page.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
        parse(example).unwrap();
        let tables: toml::Table = toml::from_str(example).unwrap();
        for table in ["", "api", "miners", "miners.xmrig", "policy"] {
            let head = if table.is_empty() { String::new() } else { format!("[{table}]\n") };
            let error = parse(&format!("{head}no-such-key = 1")).unwrap_err();
            let expected = error.split_once(", expected ").unwrap().1;
            let keys: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
            let shown = table.split('.').filter(|part| !part.is_empty());
            let shown = shown.fold(&tables, |above, part| above[part].as_table().unwrap());
            assert!(!keys.is_empty());
            for key in keys {
                assert!(shown.contains_key(key), "[{table}] {key} is not documented");
            }
        }
    }

    #[test]
    fn flags_go_before_the_file_and_the_api_stays_at_home() {
        let flags = |listen: &str, api: &str| Flags {
            listen: Some(listen.to_owned()),
            api: Some(api.to_owned()),
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
