//! What is wrong now and somebody should know of: the rules, what they found, and the messages that are sent.
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::event::Severity;
use super::key::NodeId;
use super::time::Timestamp;

/// Rigs that a message names; of the rest it tells the number.
pub const NAMED: usize = 10;

/// What is looked for. JSON: kebab-case.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// A rig that was meant to mine cannot be reached.
    Unreachable,
    /// A miner crashes again and again, or failed for good.
    CrashLoop,
    /// A rig hashes less than it usually does.
    Hashrate,
    /// The pool rejects too many shares.
    Rejects,
    Temperature,
    /// Another node answers in the place of a peer.
    KeyChanged,
    /// A command was refused by a rig's policy.
    Policy,
    /// The disk is nearly full.
    Disk,
}

impl Rule {
    pub const ALL: [Self; 8] = [
        Self::Unreachable,
        Self::CrashLoop,
        Self::Hashrate,
        Self::Rejects,
        Self::Temperature,
        Self::KeyChanged,
        Self::Policy,
        Self::Disk,
    ];

    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::CrashLoop => "crash-loop",
            Self::Hashrate => "hashrate",
            Self::Rejects => "rejects",
            Self::Temperature => "temperature",
            Self::KeyChanged => "key-changed",
            Self::Policy => "policy",
            Self::Disk => "disk",
        }
    }

    #[must_use]
    pub fn severity(self) -> Severity {
        match self {
            Self::Unreachable | Self::CrashLoop | Self::Temperature | Self::KeyChanged => {
                Severity::Critical
            }
            Self::Hashrate | Self::Rejects | Self::Policy | Self::Disk => Severity::Warning,
        }
    }
}

/// `[alerts]` of config.toml without its channels. `None` and `false`: the rule is off.
#[derive(Clone, PartialEq, Debug)]
pub struct AlertRules {
    pub enabled: bool,
    /// How long a rig may be unreachable.
    pub unreachable: Option<Duration>,
    pub crash_loop: bool,
    /// Percent under the usual hashrate …
    pub hashrate: Option<f64>,
    /// … for so long.
    pub hashrate_for: Duration,
    /// Percent of the shares of 15 minutes.
    pub rejects: Option<f64>,
    /// Degrees Celsius.
    pub temperature: Option<f64>,
    pub key_changed: bool,
    pub policy: bool,
    /// Percent of the disk that have to be free …
    pub disk: Option<f64>,
    /// … and bytes.
    pub disk_free: u64,
    /// So long all has to be well until it counts as well.
    pub recovery: Duration,
    /// What begins within this time is one message.
    pub group: Duration,
}

impl Default for AlertRules {
    fn default() -> Self {
        Self {
            enabled: true,
            unreachable: Some(Duration::from_secs(300)),
            crash_loop: true,
            hashrate: Some(20.0),
            hashrate_for: Duration::from_secs(900),
            rejects: Some(5.0),
            temperature: Some(90.0),
            key_changed: true,
            policy: true,
            disk: Some(5.0),
            disk_free: 500_000_000,
            recovery: Duration::from_secs(300),
            group: Duration::from_secs(30),
        }
    }
}

impl AlertRules {
    /// Whether this rule is looked at.
    #[must_use]
    pub fn has(&self, rule: Rule) -> bool {
        self.enabled
            && match rule {
                Rule::Unreachable => self.unreachable.is_some(),
                Rule::CrashLoop => self.crash_loop,
                Rule::Hashrate => self.hashrate.is_some(),
                Rule::Rejects => self.rejects.is_some(),
                Rule::Temperature => self.temperature.is_some(),
                Rule::KeyChanged => self.key_changed,
                Rule::Policy => self.policy,
                Rule::Disk => self.disk.is_some(),
            }
    }

    /// The rules that are looked at, each as a sentence.
    #[must_use]
    pub fn described(&self) -> Vec<RuleText> {
        let on = Rule::ALL.into_iter().filter(|rule| self.has(*rule));
        on.map(|rule| RuleText { rule, text: self.sentence(rule) }).collect()
    }

    fn sentence(&self, rule: Rule) -> String {
        let time = |t: Duration| humantime::format_duration(t).to_string();
        let number = |n: Option<f64>| n.unwrap_or_default();
        match rule {
            Rule::Unreachable => {
                let after = time(self.unreachable.unwrap_or_default());
                format!("a rig that was meant to mine is unreachable for {after}")
            }
            Rule::CrashLoop => "a miner is in a crash loop or failed for good".to_owned(),
            Rule::Hashrate => format!(
                "a rig hashes {} % under its own median of 24 h for {}",
                number(self.hashrate),
                time(self.hashrate_for)
            ),
            Rule::Rejects => {
                format!("more than {} % of the shares of 15 min are rejected", number(self.rejects))
            }
            Rule::Temperature => {
                format!("a rig is hotter than {} °C for 1 min", number(self.temperature))
            }
            Rule::KeyChanged => "another node answers in the place of a peer".to_owned(),
            Rule::Policy => "a command was refused by a policy".to_owned(),
            Rule::Disk => format!(
                "less than {} % or {} MB of the disk are free",
                number(self.disk),
                self.disk_free / 1_000_000
            ),
        }
    }
}

/// A row of `rules` in `GET /alerts`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RuleText {
    pub rule: Rule,
    pub text: String,
}

/// What is wrong now; what began together is one of these.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Alert {
    pub id: String,
    pub rule: Rule,
    pub severity: Severity,
    pub rigs: Vec<String>,
    /// Where it is about one.
    pub miner: Option<String>,
    pub text: String,
    pub since: Timestamp,
    /// A message about it has arrived somewhere.
    pub notified: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NoticeKind {
    Alert,
    Recovery,
    Test,
}

/// A message on its way to the channels; as JSON what a generic webhook and a command get.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Notice {
    /// Of this run of the daemon.
    #[serde(skip)]
    pub number: u64,
    pub kind: NoticeKind,
    /// The alerts that it is about.
    pub ids: Vec<String>,
    /// None in a test.
    pub rule: Option<Rule>,
    pub severity: Severity,
    /// The node that says it.
    pub node: String,
    /// At most [`NAMED`].
    pub rigs: Vec<String>,
    /// How many it is about.
    pub count: usize,
    pub miner: Option<String>,
    /// A sentence.
    pub text: String,
    pub since: Timestamp,
    pub at: Timestamp,
}

/// One cause of an alert as it is kept over restarts.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CauseRecord {
    pub rule: Rule,
    pub node: NodeId,
    /// The miner or the algorithm, where it is about one.
    pub what: String,
    /// Of the alert that it is part of.
    pub id: String,
    pub name: String,
    pub text: String,
    pub since: Timestamp,
    /// A message about it arrived.
    pub told: bool,
    /// It is over since then, and the message about that has not arrived yet.
    pub over: Option<Timestamp>,
}

impl CauseRecord {
    /// Names it in node.db.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{}/{}/{}", self.rule.text(), self.node, self.what)
    }
}

/// A row of `channels` in `GET /alerts`. No secrets: of an address scheme and host.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChannelView {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub format: Option<String>,
    /// `https://ntfy.example`, or the path of the command.
    pub target: String,
    pub last_delivery: Option<Timestamp>,
    pub last_error: Option<String>,
    /// Messages that wait for their delivery.
    pub waiting: usize,
    /// Messages that were given up.
    pub dropped: u64,
}

/// `GET /alerts`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AlertOverview {
    pub enabled: bool,
    pub alerts: Vec<Alert>,
    pub rules: Vec<RuleText>,
    pub channels: Vec<ChannelView>,
}

/// A row of the answer to `POST /alerts/test`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TestResult {
    pub channel: String,
    pub delivered: bool,
    pub error: Option<String>,
}
