//! `[alerts]` of config.toml: rules and channels. Addresses of webhooks and tokens are secrets: they stand in no
//! error and in no debug output.
use std::path::PathBuf;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error};

use crate::model::address::is_name;
use crate::model::alert::AlertRules;
use crate::model::event::Severity;
use crate::model::name::is_slug;

/// Channels at once.
const MOST: usize = 16;
/// Arguments of a command, and the bytes of one.
const ARGUMENTS: usize = 32;
const ARGUMENT: usize = 1024;
/// Bytes of an address.
const LONGEST_URL: usize = 1024;
const TELEGRAM: &str = "https://api.telegram.org";

/// Shown as `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// A place that messages go to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChannelConfig {
    pub name: String,
    /// Only messages that matter at least so much.
    pub severity: Severity,
    pub target: Target,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Target {
    Webhook(Box<Webhook>),
    Command { path: PathBuf, arguments: Vec<String> },
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Webhook {
    pub format: WebhookFormat,
    pub tls: bool,
    pub host: String,
    pub port: u16,
    /// From the `/` on.
    pub path: Secret,
    pub token: Option<Secret>,
    /// Read anew for every message; absolute.
    pub token_file: Option<PathBuf>,
    /// Telegram's.
    pub chat_id: Option<String>,
    /// Certificates to trust instead of the system's, PEM; absolute.
    pub ca_file: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WebhookFormat {
    Generic,
    Discord,
    Slack,
    Ntfy,
    Telegram,
}

impl WebhookFormat {
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Generic => "generic",
            Self::Discord => "discord",
            Self::Slack => "slack",
            Self::Ntfy => "ntfy",
            Self::Telegram => "telegram",
        }
    }
}

impl Webhook {
    /// Scheme and host: all of the address that may be shown.
    #[must_use]
    pub fn shown(&self) -> String {
        format!("{}://{}", if self.tls { "https" } else { "http" }, self.host)
    }
}

/// As it is written.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AlertsTable {
    enabled: bool,
    unreachable: Switched<Span>,
    crash_loop: bool,
    hashrate: Switched<Percent>,
    hashrate_for: Span,
    rejects: Switched<Percent>,
    temperature: Switched<Degrees>,
    key_changed: bool,
    policy: bool,
    disk: Switched<Percent>,
    disk_free_mb: u32,
    recovery: Span,
    group: Span,
    #[serde(deserialize_with = "channels")]
    channels: Vec<ChannelConfig>,
}

/// A value, or `false`.
#[derive(Clone, Copy)]
struct Switched<T>(Option<T>);

/// `5m`; at most a week.
#[derive(Clone, Copy)]
struct Span(Duration);
#[derive(Clone, Copy)]
struct Percent(f64);
#[derive(Clone, Copy)]
struct Degrees(f64);

/// Anything that stands for a value here; what it is instead is never repeated in an error.
#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Raw {
    Switch(bool),
    Number(f64),
    Text(String),
    Other(serde::de::IgnoredAny),
}

trait Value: Sized {
    const WANTED: &'static str;
    fn of(raw: &Raw) -> Option<Self>;
}

impl Value for Span {
    const WANTED: &'static str = "a time up to 7d, like \"90s\" or \"5m\"";
    fn of(raw: &Raw) -> Option<Self> {
        let Raw::Text(text) = raw else { return None };
        let time = humantime::parse_duration(text).ok()?;
        (time <= Duration::from_secs(7 * 86_400)).then_some(Self(time))
    }
}

impl Value for Percent {
    const WANTED: &'static str = "a percentage, above 0 and below 100";
    fn of(raw: &Raw) -> Option<Self> {
        let Raw::Number(number) = raw else { return None };
        (*number > 0.0 && *number < 100.0).then_some(Self(*number))
    }
}

impl Value for Degrees {
    const WANTED: &'static str = "degrees Celsius, 20 to 150";
    fn of(raw: &Raw) -> Option<Self> {
        let Raw::Number(number) = raw else { return None };
        (20.0..=150.0).contains(number).then_some(Self(*number))
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Raw::deserialize(deserializer)?;
        Self::of(&raw).ok_or_else(|| D::Error::custom(format!("expected {}", Self::WANTED)))
    }
}

impl<'de, T: Value> Deserialize<'de> for Switched<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Raw::deserialize(deserializer)?;
        if matches!(raw, Raw::Switch(false)) {
            return Ok(Self(None));
        }
        let wrong = || D::Error::custom(format!("expected {}, or false", T::WANTED));
        T::of(&raw).map(|value| Self(Some(value))).ok_or_else(wrong)
    }
}

impl Default for AlertsTable {
    fn default() -> Self {
        let rules = AlertRules::default();
        Self {
            enabled: rules.enabled,
            unreachable: Switched(rules.unreachable.map(Span)),
            crash_loop: rules.crash_loop,
            hashrate: Switched(rules.hashrate.map(Percent)),
            hashrate_for: Span(rules.hashrate_for),
            rejects: Switched(rules.rejects.map(Percent)),
            temperature: Switched(rules.temperature.map(Degrees)),
            key_changed: rules.key_changed,
            policy: rules.policy,
            disk: Switched(rules.disk.map(Percent)),
            disk_free_mb: 500,
            recovery: Span(rules.recovery),
            group: Span(rules.group),
            channels: Vec::new(),
        }
    }
}

impl AlertsTable {
    pub fn into_parts(self) -> (AlertRules, Vec<ChannelConfig>) {
        let rules = AlertRules {
            enabled: self.enabled,
            unreachable: self.unreachable.0.map(|span| span.0),
            crash_loop: self.crash_loop,
            hashrate: self.hashrate.0.map(|percent| percent.0),
            hashrate_for: self.hashrate_for.0,
            rejects: self.rejects.0.map(|percent| percent.0),
            temperature: self.temperature.0.map(|degrees| degrees.0),
            key_changed: self.key_changed,
            policy: self.policy,
            disk: self.disk.0.map(|percent| percent.0),
            disk_free: u64::from(self.disk_free_mb) * 1_000_000,
            recovery: self.recovery.0,
            group: self.group.0,
        };
        (rules, self.channels)
    }
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct ChannelTable {
    name: String,
    #[serde(rename = "type")]
    kind: Kind,
    severity: Option<Severity>,
    format: Option<WebhookFormat>,
    url: Option<String>,
    token: Option<String>,
    token_file: Option<PathBuf>,
    chat_id: Option<String>,
    ca_file: Option<PathBuf>,
    path: Option<PathBuf>,
    arguments: Option<Vec<String>>,
}

#[derive(Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Webhook,
    Command,
}

fn channels<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<ChannelConfig>, D::Error> {
    let tables = Vec::<ChannelTable>::deserialize(deserializer)?;
    if tables.len() > MOST {
        return Err(D::Error::custom(format!("at most {MOST} channels are taken")));
    }
    let mut all: Vec<ChannelConfig> = Vec::new();
    for table in tables {
        if !is_slug(&table.name) {
            let text = "the name of a channel is made of a to z, 0 to 9 and `-`";
            return Err(D::Error::custom(text));
        }
        let name = table.name.clone();
        if all.iter().any(|other| other.name == name) {
            return Err(D::Error::custom(format!("two channels are called {name:?}")));
        }
        let channel = channel(table)
            .map_err(|why| D::Error::custom(format!("the channel {name:?}: {why}")))?;
        all.push(channel);
    }
    Ok(all)
}

fn channel(table: ChannelTable) -> Result<ChannelConfig, String> {
    let name = table.name.clone();
    let severity = table.severity.unwrap_or(Severity::Info);
    let target = match table.kind {
        Kind::Command => command(table)?,
        Kind::Webhook => Target::Webhook(Box::new(webhook(table)?)),
    };
    Ok(ChannelConfig { name, severity, target })
}

fn command(table: ChannelTable) -> Result<Target, String> {
    let for_webhooks = table.format.is_some()
        || table.url.is_some()
        || table.token.is_some()
        || table.token_file.is_some()
        || table.chat_id.is_some()
        || table.ca_file.is_some();
    if for_webhooks {
        return Err("a command takes path and arguments alone".to_owned());
    }
    let path = table.path.ok_or("a command needs path")?;
    let arguments = table.arguments.unwrap_or_default();
    if !path.is_absolute() {
        return Err("path: a whole path is expected, beginning with /".to_owned());
    }
    let fits = |argument: &String| argument.len() <= ARGUMENT && !argument.contains('\0');
    if arguments.len() > ARGUMENTS || !arguments.iter().all(fits) {
        return Err(format!("at most {ARGUMENTS} arguments of {ARGUMENT} bytes are taken"));
    }
    Ok(Target::Command { path, arguments })
}

fn webhook(table: ChannelTable) -> Result<Webhook, String> {
    if table.path.is_some() || table.arguments.is_some() {
        return Err("path and arguments belong to a command; a webhook has url".to_owned());
    }
    let format = table.format.unwrap_or(WebhookFormat::Generic);
    if table.token.is_some() && table.token_file.is_some() {
        return Err("either token or token_file, not both".to_owned());
    }
    let has_token = table.token.is_some() || table.token_file.is_some();
    if (format == WebhookFormat::Telegram) != table.chat_id.is_some() {
        return Err("chat_id is what Telegram needs, and nobody else".to_owned());
    }
    if format == WebhookFormat::Telegram && !has_token {
        return Err("Telegram needs the token of a bot, as token or token_file".to_owned());
    }
    for (key, file) in [("token_file", &table.token_file), ("ca_file", &table.ca_file)] {
        if file.as_ref().is_some_and(|file| !file.is_absolute()) {
            return Err(format!("{key}: a whole path is expected, beginning with /"));
        }
    }
    if table.token.as_ref().is_some_and(|token| !is_word(token)) {
        return Err("token: only visible ASCII characters are taken".to_owned());
    }
    let url = match (table.url, format) {
        (Some(url), _) => url,
        (None, WebhookFormat::Telegram) => TELEGRAM.to_owned(),
        (None, _) => return Err("a webhook needs url".to_owned()),
    };
    let (tls, host, port, path) = parts(&url).ok_or(
        "url: expected https://HOST[:PORT]/PATH (or http://), without user, password and fragment",
    )?;
    Ok(Webhook {
        format,
        tls,
        host,
        port,
        path: Secret(path),
        token: table.token.map(Secret),
        token_file: table.token_file,
        chat_id: table.chat_id,
        ca_file: table.ca_file,
    })
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic())
}

/// Scheme, host, port, path. The text itself is a secret and stands in no error.
fn parts(url: &str) -> Option<(bool, String, u16, String)> {
    if !is_word(url) || url.len() > LONGEST_URL || url.contains('#') {
        return None;
    }
    let (tls, rest) = match url.split_once("://")? {
        ("https", rest) => (true, rest),
        ("http", rest) => (false, rest),
        _ => return None,
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let port = |text: &str| text.parse().ok().filter(|port| *port > 0);
    let (host, port) = match authority.rsplit_once(':') {
        // The colons of an IPv6 address stand in brackets.
        Some((host, text)) if !text.ends_with(']') => (host, port(text)?),
        _ => (authority, if tls { 443 } else { 80 }),
    };
    let v6 = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let good = match v6 {
        Some(v6) => v6.parse::<std::net::Ipv6Addr>().is_ok(),
        None => is_name(host),
    };
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    good.then(|| (tls, host.to_ascii_lowercase(), port, path))
}

#[cfg(test)]
#[path = "alerts_tests.rs"]
mod tests;
