//! One rig, held against the rules on every beat. Time is counted from beat to beat, so that a daemon which was itself
//! frozen blames nobody.
use std::collections::BTreeMap;
use std::time::Duration;

use super::baseline::{Baseline, Rate};
use super::shares::Shares;
use super::words;
use crate::model::alert::{AlertRules, Rule};
use crate::model::key::NodeId;
use crate::model::miner::MinerState;
use crate::model::stats::{MinerStats, NodeStats, RigState};
use crate::model::time::{Now, Timestamp};

/// A rig that was not heard of since the daemon started is waited for at least so long.
const FIRST_SIGHT: Duration = Duration::from_secs(300);
/// So long it has to be too hot.
const HOT: Duration = Duration::from_secs(60);
/// Algorithms of one rig whose usual hashrate is kept.
const ALGORITHMS: usize = 16;
const HOUR_MS: i64 = 3_600_000;

/// A rig, or this node itself, as it is seen on a beat.
pub struct Seen<'a> {
    pub node: NodeId,
    pub name: &'a str,
    /// Its owner wants to hear nothing of it.
    pub quiet: bool,
    pub reachable: bool,
    pub linked: bool,
    pub lost_at: Option<Timestamp>,
    /// The last one; of this run of the daemon.
    pub report: Option<&'a NodeStats>,
    /// Another node answered in its place.
    pub complaint: Option<&'a str>,
}

/// How a rule finds a rig, or a miner or an algorithm of it.
pub enum Verdict {
    On(Found),
    /// It is not well, and not for long enough to be said.
    Pending,
    Off,
    /// Nothing can be said.
    Unknown,
    /// There is nothing left that could be said.
    Gone,
}

pub struct Found {
    pub text: String,
    pub since: Timestamp,
}

/// What was counted of a rig.
#[derive(Default)]
pub struct Watch {
    /// Something was meant to run when it was last heard of.
    pub mines: bool,
    /// The number of the review that last looked at it.
    pub review: u64,
    silent: Duration,
    hot: Duration,
    shares: BTreeMap<String, Shares>,
    pub rates: BTreeMap<String, Baseline>,
}

/// Rule, miner or algorithm, verdict.
type Verdicts<'a> = Vec<(Rule, &'a str, Verdict)>;

struct Beat<'a> {
    seen: &'a Seen<'a>,
    rules: &'a AlertRules,
    step: Duration,
    now: Now,
}

impl Watch {
    pub fn judge<'a>(
        &mut self,
        seen: &Seen<'a>,
        rules: &AlertRules,
        step: Duration,
        now: Now,
    ) -> Verdicts<'a> {
        let beat = Beat { seen, rules, step, now };
        let mut out = Vec::new();
        if rules.key_changed {
            out.push((Rule::KeyChanged, "", beat.key_changed()));
        }
        // Also of one that came and went between two beats.
        if let Some(report) = seen.report {
            self.mines = report.state != RigState::Idle;
        }
        match seen.report.filter(|_| seen.reachable) {
            Some(report) => {
                self.silent = Duration::ZERO;
                if rules.unreachable.is_some() {
                    out.push((Rule::Unreachable, "", Verdict::Off));
                }
                self.read(&beat, report, &mut out);
            }
            None => {
                self.silent += step;
                self.hot = Duration::ZERO;
                self.rates.values_mut().for_each(Baseline::pause);
                if let Some(patience) = rules.unreachable {
                    out.push((Rule::Unreachable, "", self.silence(&beat, patience)));
                }
            }
        }
        out
    }

    fn silence(&self, beat: &Beat<'_>, patience: Duration) -> Verdict {
        let seen = beat.seen;
        let patience = if seen.report.is_some() { patience } else { patience.max(FIRST_SIGHT) };
        if !self.mines {
            return Verdict::Gone;
        }
        if self.silent < patience {
            return Verdict::Pending;
        }
        let since = seen.lost_at.unwrap_or_else(|| beat.ago(self.silent));
        Verdict::On(Found { text: format!("{} is unreachable", seen.name), since })
    }

    fn read<'a>(&mut self, beat: &Beat<'_>, report: &'a NodeStats, out: &mut Verdicts<'a>) {
        let wanted: Vec<&MinerStats> = report.miners.iter().filter(|m| m.wanted).collect();
        if beat.rules.crash_loop {
            let loops = wanted.iter().map(|m| (Rule::CrashLoop, m.name.as_str(), beat.crashes(m)));
            out.extend(loops);
        }
        if let Some(limit) = beat.rules.rejects {
            self.shares.retain(|name, _| wanted.iter().any(|m| m.name == *name));
            for miner in &wanted {
                let shares = self.shares.entry(miner.name.clone()).or_default();
                shares.take(miner, beat.now.mono);
                out.push((Rule::Rejects, miner.name.as_str(), beat.rejects(miner, shares, limit)));
            }
        }
        if let Some(limit) = beat.rules.hashrate {
            self.judge_rates(beat, &wanted, limit, out);
        }
        if let Some(limit) = beat.rules.temperature {
            out.push((Rule::Temperature, "", self.heat(beat, report, limit)));
        }
        if let Some(limit) = beat.rules.disk {
            out.push((Rule::Disk, "", beat.disk(report, limit)));
        }
    }

    fn judge_rates<'a>(
        &mut self,
        beat: &Beat<'_>,
        wanted: &[&'a MinerStats],
        limit: f64,
        out: &mut Verdicts<'a>,
    ) {
        let hour = beat.now.wall.0.div_euclid(HOUR_MS);
        let mut names: Vec<&'a String> =
            wanted.iter().filter_map(|m| m.algorithm.as_ref()).collect();
        names.sort_unstable();
        names.dedup();
        for (name, baseline) in &mut self.rates {
            if !names.contains(&name) {
                baseline.pause();
            }
        }
        for name in names {
            if self.rates.len() >= ALGORITHMS && !self.rates.contains_key(name) {
                self.rates.clear();
            }
            let baseline = self.rates.entry(name.clone()).or_default();
            let verdict = match rate(wanted, name) {
                Some(rate) => {
                    baseline.take(rate, limit, hour, beat.step);
                    beat.slow(name, baseline)
                }
                None => {
                    baseline.pause();
                    Verdict::Unknown
                }
            };
            out.push((Rule::Hashrate, name.as_str(), verdict));
        }
    }

    fn heat(&mut self, beat: &Beat<'_>, report: &NodeStats, limit: f64) -> Verdict {
        let devices = report.miners.iter().filter(|m| m.state.runs()).flat_map(|m| &m.devices);
        let all = devices.filter_map(|d| d.temperature).chain(report.temperature);
        let Some(hottest) = all.max_by(f64::total_cmp) else { return Verdict::Unknown };
        if hottest <= limit {
            self.hot = Duration::ZERO;
            return Verdict::Off;
        }
        self.hot += beat.step;
        if self.hot < HOT {
            return Verdict::Pending;
        }
        let text = format!("{} has {hottest:.1} °C, more than {limit}", beat.seen.name);
        Verdict::On(Found { text, since: beat.ago(self.hot) })
    }
}

/// What the miners of one algorithm do; `None` when none of them may be expected to hash: another rule speaks of those.
fn rate(wanted: &[&MinerStats], algorithm: &str) -> Option<Rate> {
    let of_it = || wanted.iter().filter(|m| m.algorithm.as_deref() == Some(algorithm));
    let broken = |m: &&&MinerStats| matches!(m.state, MinerState::CrashLoop | MinerState::Failed);
    if of_it().all(|m| broken(&m)) {
        return None;
    }
    let mut profiles: Vec<String> = of_it().filter_map(|m| m.profile_id.clone()).collect();
    profiles.sort_unstable();
    let sum = of_it().filter_map(|m| m.hashrate.now).sum();
    let whole = of_it().all(|m| m.state == MinerState::Hashing && m.hashrate.now.is_some());
    Some(Rate { profiles, sum, whole })
}

impl Beat<'_> {
    fn ago(&self, time: Duration) -> Timestamp {
        self.now.wall.plus_ms(-crate::registry::ms(time))
    }

    fn found(&self, text: String) -> Verdict {
        Verdict::On(Found { text, since: self.now.wall })
    }

    fn key_changed(&self) -> Verdict {
        match self.seen.complaint {
            Some(text) => self.found(text.to_owned()),
            None if self.seen.linked => Verdict::Off,
            None => Verdict::Unknown,
        }
    }

    fn crashes(&self, miner: &MinerStats) -> Verdict {
        let what = match miner.state {
            MinerState::CrashLoop => "is in a crash loop",
            MinerState::Failed => "failed, and a restart cannot mend it",
            _ => return Verdict::Off,
        };
        let why = miner.reason.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        self.found(format!("{} on {} {what}{why}", miner.name, self.seen.name))
    }

    fn rejects(&self, miner: &MinerStats, shares: &Shares, limit: f64) -> Verdict {
        match shares.rejected() {
            Some((percent, bad)) if percent > limit => self.found(format!(
                "{} on {} has {percent:.1} % of its shares rejected ({bad} in 15 min)",
                miner.name, self.seen.name
            )),
            _ => Verdict::Off,
        }
    }

    fn slow(&self, algorithm: &str, baseline: &Baseline) -> Verdict {
        let Some(usual) = baseline.usual() else { return Verdict::Unknown };
        if baseline.under.is_zero() {
            return Verdict::Off;
        }
        if baseline.under < self.rules.hashrate_for {
            return Verdict::Pending;
        }
        let text = format!(
            "{} hashes {} with {algorithm}, {:.0} % less than usual ({})",
            self.seen.name,
            words::rate(baseline.last),
            (1.0 - baseline.last / usual) * 100.0,
            words::rate(usual)
        );
        Verdict::On(Found { text, since: self.ago(baseline.under) })
    }

    fn disk(&self, report: &NodeStats, limit: f64) -> Verdict {
        let Some(disk) = report.disk else { return Verdict::Unknown };
        let percent = disk.free as f64 / disk.total.max(1) as f64 * 100.0;
        if percent >= limit && disk.free >= self.rules.disk_free {
            return Verdict::Off;
        }
        self.found(format!(
            "the disk of {} is nearly full: {} MB ({percent:.1} %) are free",
            self.seen.name,
            disk.free / 1_000_000
        ))
    }
}
