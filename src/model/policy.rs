//! `[policy]` of config.toml: what may run on this node and which peers may command it, whatever a peer or the API says.
//!
//! A list that is left out limits nothing; one that is there allows what stands in it and nothing else, also when it
//! is empty. Every refusal names the field.
use std::net::Ipv6Addr;

use serde::{Deserialize, Serialize};

use super::address;
use super::fault::{Code, Fault};
use super::key::PublicKey;
use super::profile::Profile;
use super::profile_rules;
use super::text::{self, clean};

/// Entries of one list.
pub const MOST: usize = 1_000;
/// Bytes of one entry: longer than any wallet or argument.
const LONGEST: usize = 256;
/// Characters of a worker's name.
const WORKER: usize = 64;

/// The default allows everything.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Policy {
    /// Whom this node may mine for. See [`wallet_fits`].
    pub wallets: Option<Vec<String>>,
    pub pools: Option<Vec<PoolRule>>,
    /// The peers that may command; every other registered controller may only read.
    pub controllers: Option<Vec<PublicKey>>,
    /// Extra arguments beside which no others are taken: `--cpu-priority` with any value, `--donate-level=1` with this
    /// one. What a miner type refuses stays refused.
    pub arguments: Option<Vec<String>>,
    pub remote: Remote,
}

/// What peers may do here.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Remote {
    #[default]
    Full,
    /// Start the profiles that this node has, as they are; stop; restart. Deploy nothing.
    StartStop,
    /// Change nothing.
    ReadOnly,
}

/// A pool's host, with any port or with one. JSON and TOML: `host` or `host:port`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PoolRule {
    host: String,
    port: Option<u16>,
}

impl std::str::FromStr for PoolRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let whole = !text.contains(':') || text.ends_with(']');
        let (host, port) = if whole {
            let with_port = format!("{text}:1");
            (address::split(&with_port)?.0.to_owned(), None)
        } else {
            let (host, port) = address::split(text)?;
            (host.to_owned(), Some(port))
        };
        if host.is_empty() || port == Some(0) {
            return Err("a pool is written host or host:port".to_owned());
        }
        Ok(Self { host: canonical(&host), port })
    }
}

impl std::fmt::Display for PoolRule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let host =
            if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        match self.port {
            Some(port) => write!(f, "{host}:{port}"),
            None => f.write_str(&host),
        }
    }
}

impl Serialize for PoolRule {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One spelling for a host: DNS does not tell upper from lower case, and a dot at the end changes nothing.
fn canonical(host: &str) -> String {
    match host.parse::<Ipv6Addr>() {
        Ok(address) => address.to_string(),
        Err(_) => host.trim_end_matches('.').to_ascii_lowercase(),
    }
}

impl PoolRule {
    /// Whether `pool` of a profile, `stratum+ssl://host:port` or without the scheme, is this one.
    fn fits(&self, pool: &str) -> bool {
        let place = pool.split_once("://").map_or(pool, |(_, place)| place);
        address::split(place).is_ok_and(|(host, port)| {
            canonical(host) == self.host && self.port.is_none_or(|only| only == port)
        })
    }
}

/// An entry of `wallets` or `arguments` as it may stand in the file.
///
/// # Errors
/// Says what is wrong with it.
pub fn check_entry(entry: &str) -> Result<(), String> {
    if entry.is_empty() || entry.len() > LONGEST {
        return Err(format!("1 to {LONGEST} bytes are wanted"));
    }
    if entry.chars().any(|c| c.is_whitespace() || text::is_unsafe(c)) {
        return Err("spaces, control and invisible characters are not taken".to_owned());
    }
    Ok(())
}

/// Whether the miner would be paid to `pinned`: `wallet` is `pinned` itself, or `pinned` with one worker name behind a
/// dot. A worker name is `{rig}` or 1 to 64 of `A-Z a-z 0-9 - _`, and not 16 or 64 hex digits: pools read those as a
/// payment id, which names another account. In both texts `{rig}` stands for this node's name.
#[must_use]
pub fn wallet_fits(pinned: &str, wallet: &str, rig: &str) -> bool {
    let (pinned, wallet) = (pinned.replace("{rig}", rig), wallet.replace("{rig}", rig));
    match wallet.strip_prefix(&pinned) {
        Some("") => true,
        Some(rest) => {
            rest.strip_prefix('.').is_some_and(|worker| worker == rig || is_worker(worker))
        }
        None => false,
    }
}

fn is_worker(name: &str) -> bool {
    let payment_id = matches!(name.len(), 16 | 64) && name.bytes().all(|b| b.is_ascii_hexdigit());
    (1..=WORKER).contains(&name.len())
        && !payment_id
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

impl Policy {
    /// Whether `profile`, which passed [`profile_rules::validate`], may run on the node called `rig`. One without a
    /// wallet or pool (a benchmark, a simulated miner) pays nobody and breaks neither list.
    ///
    /// # Errors
    /// POLICY, with every field that breaks it.
    pub fn check_profile(&self, profile: &Profile, rig: &str) -> Result<(), Fault> {
        let mut wrong = Vec::new();
        let config = &profile.config;
        if let (Some(pinned), Some(wallet)) = (&self.wallets, &config.wallet)
            && !pinned.iter().any(|p| wallet_fits(p, wallet, rig))
        {
            let wallet = clean(wallet, 128);
            wrong.push(format!("config.wallet: {wallet} is none of [policy] wallets"));
        }
        if let Some(rules) = &self.pools {
            let first = config.pool.iter().map(|pool| ("config.pool".to_owned(), pool));
            let further =
                config.pools.iter().enumerate().map(|(i, p)| (format!("config.pools[{i}]"), p));
            for (field, pool) in first.chain(further) {
                if !rules.iter().any(|rule| rule.fits(pool)) {
                    let pool = clean(pool, 128);
                    wrong.push(format!("{field}: {pool} is none of [policy] pools"));
                }
            }
        }
        if let Some(allowed) = &self.arguments {
            for (i, argument) in config.cli_args.iter().enumerate() {
                let name = argument.split('=').next().unwrap_or_default();
                if !allowed.iter().any(|a| a == argument || a == name) {
                    let argument = clean(argument, 64);
                    wrong.push(format!(
                        "config.cliArgs[{i}]: {argument} is none of [policy] arguments"
                    ));
                }
            }
        }
        if wrong.is_empty() { Ok(()) } else { Err(refusal(&wrong.join("; "), rig)) }
    }

    /// Whether this peer may command at all.
    ///
    /// # Errors
    /// POLICY.
    pub fn check_controller(&self, key: &PublicKey, rig: &str) -> Result<(), Fault> {
        let listed = self.controllers.as_ref().is_none_or(|all| all.contains(key));
        if listed && self.remote != Remote::ReadOnly {
            return Ok(());
        }
        let why = if listed {
            "remote: [policy] says read-only: peers change nothing here".to_owned()
        } else {
            format!("controllers: {key} is none of [policy] controllers: it may read, not command")
        };
        Err(refusal(&why, rig))
    }

    /// What a peer with `remote = "start-stop"` may not do.
    #[must_use]
    pub fn only_start_stop(what: &str, rig: &str) -> Fault {
        refusal(&format!("remote: [policy] says start-stop: {what}"), rig)
    }
}

fn refusal(why: &str, rig: &str) -> Fault {
    Fault::new(Code::Policy, format!("{rig} refuses: {why}"))
        .hint("only config.toml on that node can change its [policy]")
}

/// `profile` as a start with these overrides would run it: exactly what the node has?
#[must_use]
pub fn is_as_stored(
    stored: &Profile,
    sent: Option<&Profile>,
    miner_type: Option<&str>,
    config: Option<&super::profile::ProfileConfig>,
) -> bool {
    let run = profile_rules::with_overrides(sent.unwrap_or(stored), miner_type, config);
    run == *stored
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
