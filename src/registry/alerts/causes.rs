//! From verdicts to messages. A cause opens when its rule finds it, is over when all has been well for a while, and in
//! between nothing more is said of it, however often it comes and goes. What begins together is one alert and one
//! message; what ends together is one message, too.
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::watch::{Found, Seen, Verdict, Watch};
use super::words;
use crate::bus::StateOp;
use crate::model::alert::{
    Alert, AlertRules, CauseRecord, NAMED, Notice, NoticeKind, Rule, RuleText,
};
use crate::model::event::Severity;
use crate::model::history::HourMean;
use crate::model::key::NodeId;
use crate::model::time::{Mono, Now, Timestamp};

/// More time than this between two beats was not watched.
const STEP: Duration = Duration::from_secs(20);
/// A miner that crashed again and again has to run so long to be well, as the watchdog has it.
const HEALTHY: Duration = Duration::from_secs(600);
/// A recovery that no channel could tell in this time is not told after the next start.
const STALE: Duration = Duration::from_secs(24 * 3600);
/// Messages whose delivery is awaited.
const FLIGHTS: usize = 256;
const HOUR_MS: i64 = 3_600_000;

/// Rig, rule, and the miner or algorithm where it is about one.
type Key = (NodeId, Rule, String);

pub struct Cause {
    pub record: CauseRecord,
    /// The message about it was handed to the channels.
    sent: bool,
    /// The same of the message that it is over.
    over_sent: bool,
    /// Waited for others to be told with.
    wait: Duration,
    /// It has been well for so long.
    well: Duration,
}

/// A message that the channels have and that has not arrived yet.
struct Flight {
    recovery: bool,
    causes: Vec<(Key, String)>,
}

/// All that the alerts know.
#[derive(Default)]
pub struct Alerts {
    rules: AlertRules,
    /// What this node is called.
    node: String,
    rigs: BTreeMap<NodeId, Watch>,
    causes: BTreeMap<Key, Cause>,
    flights: BTreeMap<u64, Flight>,
    notices: u64,
    /// When the last review began, and the time since the one before.
    beat: Option<Mono>,
    step: Duration,
    /// Counts the reviews; the last of them has not ended.
    review: u64,
    under_way: bool,
}

/// What is to be sent and written.
#[derive(Default)]
pub struct Said {
    pub notices: Vec<Notice>,
    pub ops: Vec<StateOp>,
}

impl Alerts {
    pub fn new(
        rules: AlertRules,
        node: String,
        causes: Vec<CauseRecord>,
        mines: Vec<NodeId>,
    ) -> Self {
        let mut alerts = Self { rules, node, ..Self::default() };
        for node in mines {
            alerts.rigs.entry(node).or_default().mines = true;
        }
        for record in causes {
            // What was not told by then is told now; what nobody was told of needs no end.
            if record.told || record.over.is_none() {
                let sent = record.told;
                let cause = Cause { sent, ..Cause::new(record) };
                alerts.causes.insert(cause.key(), cause);
            }
        }
        alerts
    }

    /// Hourly means of the past, from the history: what is usual is known without three hours of waiting.
    pub fn seed_baseline(&mut self, means: &[(NodeId, HourMean)]) {
        for (node, mean) in means {
            let rates = &mut self.rigs.entry(*node).or_default().rates;
            let baseline = rates.entry(mean.algorithm.clone()).or_default();
            baseline.seed(mean.at.0.div_euclid(HOUR_MS), mean.hashrate);
        }
    }

    /// Begins a review: from here to [`Alerts::end`] each rig is looked at once. False while another has not ended, and
    /// when nobody wants alerts.
    pub fn begin(&mut self, now: Now) -> bool {
        if !self.rules.enabled {
            self.causes.clear();
        }
        if !self.rules.enabled || self.under_way {
            return false;
        }
        self.step = self.beat.map_or(Duration::ZERO, |last| now.mono.since(last).min(STEP));
        self.beat = Some(now.mono);
        self.review += 1;
        self.under_way = true;
        true
    }

    pub fn look_at(&mut self, rig: &Seen<'_>, now: Now, said: &mut Said) {
        let watch = self.rigs.entry(rig.node).or_default();
        watch.review = self.review;
        let before = watch.mines;
        let mut verdicts = watch.judge(rig, &self.rules, self.step, now);
        if watch.mines != before {
            said.ops.push(StateOp::RigMines { node: rig.node, mines: watch.mines });
        }
        if rig.quiet {
            verdicts.clear();
        }
        for key in self.causes_of(rig.node) {
            let found =
                verdicts.iter().position(|(rule, what, _)| *rule == key.1 && *what == key.2);
            let verdict = match found.map(|place| verdicts.swap_remove(place).2) {
                _ if rig.quiet || !self.rules.has(key.1) => Verdict::Gone,
                Some(verdict) => verdict,
                None if key.1 == Rule::Policy => Verdict::Off,
                None if rig.reachable => Verdict::Gone,
                None => Verdict::Unknown,
            };
            let Some(cause) = self.causes.get_mut(&key) else { continue };
            if !cause.take(verdict, self.step, self.rules.recovery, now.wall) {
                self.forget(&key, &mut said.ops);
            }
        }
        for (rule, what, verdict) in verdicts {
            if let Verdict::On(found) = verdict {
                self.open((rig.node, rule, what.to_owned()), rig.name, found, &mut said.ops);
            }
        }
    }

    fn causes_of(&self, node: NodeId) -> Vec<Key> {
        let first = (node, Rule::ALL[0], String::new());
        let keys = self.causes.range(first..).map(|(key, _)| key);
        keys.take_while(|key| key.0 == node).cloned().collect()
    }

    fn forget(&mut self, key: &Key, ops: &mut Vec<StateOp>) {
        if let Some(cause) = self.causes.remove(key) {
            ops.push(StateOp::ForgetAlert(cause.record.key()));
        }
    }

    /// Every rig has been looked at: the others are gone, and what is due is told.
    pub fn end(&mut self, now: Timestamp, said: &mut Said) {
        self.under_way = false;
        let (review, ops) = (self.review, &mut said.ops);
        self.rigs.retain(|node, watch| {
            let known = watch.review == review;
            if watch.mines && !known {
                ops.push(StateOp::RigMines { node: *node, mines: false });
            }
            known
        });
        let gone: Vec<Key> =
            self.causes.keys().filter(|key| !self.rigs.contains_key(&key.0)).cloned().collect();
        gone.iter().for_each(|key| self.forget(key, &mut said.ops));
        for rule in Rule::ALL {
            self.tell(rule, now, said);
            self.tell_recovery(rule, now, said);
        }
    }

    /// Something that happens and does not last.
    pub fn policy_refused(
        &mut self,
        node: NodeId,
        name: &str,
        text: String,
        now: Timestamp,
    ) -> Said {
        let mut said = Said::default();
        if !self.rules.has(Rule::Policy) {
            return said;
        }
        // It may be newer than the review that is under way.
        self.rigs.entry(node).or_default().review = self.review;
        let key = (node, Rule::Policy, String::new());
        match self.causes.get_mut(&key) {
            Some(cause) => cause.well = Duration::ZERO,
            None => self.open(key, name, Found { text, since: now }, &mut said.ops),
        }
        said
    }

    fn open(&mut self, key: Key, name: &str, found: Found, ops: &mut Vec<StateOp>) {
        // It joins what waits to be told.
        let waiting = self.causes.values().find(|c| c.record.rule == key.1 && c.waits());
        let id = waiting.map_or_else(|| id(key.1, found.since), |c| c.record.id.clone());
        let Found { text, since } = found;
        let (node, rule, what) = key;
        let (name, told, over) = (name.to_owned(), false, None);
        let record = CauseRecord { rule, node, what, id, name, text, since, told, over };
        ops.push(StateOp::PutAlert(record.clone()));
        let cause = Cause::new(record);
        self.causes.insert(cause.key(), cause);
    }

    fn tell(&mut self, rule: Rule, now: Timestamp, said: &mut Said) {
        let group = self.rules.group;
        let due = |c: &Cause| c.record.rule == rule && c.waits();
        if !self.causes.values().any(|c| due(c) && c.wait >= group) {
            return;
        }
        let told: Vec<&Cause> = self.causes.values().filter(|c| due(c)).collect();
        let notice = self.notice(NoticeKind::Alert, rule, &told, now);
        let causes = told.iter().map(|c| (c.key(), c.record.id.clone())).collect();
        self.causes.values_mut().filter(|c| due(c)).for_each(|c| c.sent = true);
        self.send(notice, Flight { recovery: false, causes }, said);
    }

    fn tell_recovery(&mut self, rule: Rule, now: Timestamp, said: &mut Said) {
        let group = self.rules.group;
        let due = |c: &Cause| c.record.rule == rule && c.record.over.is_some() && !c.over_sent;
        if !self.causes.values().any(|c| due(c) && c.wait >= group) {
            return;
        }
        let told: Vec<&Cause> = self.causes.values().filter(|c| due(c)).collect();
        let notice = self.notice(NoticeKind::Recovery, rule, &told, now);
        let causes = told.iter().map(|c| (c.key(), c.record.id.clone())).collect();
        for cause in self.causes.values_mut().filter(|c| due(c)) {
            cause.over_sent = true;
            said.ops.push(StateOp::PutAlert(cause.record.clone()));
        }
        self.send(notice, Flight { recovery: true, causes }, said);
    }

    fn notice(&self, kind: NoticeKind, rule: Rule, causes: &[&Cause], at: Timestamp) -> Notice {
        let ids: BTreeSet<&String> = causes.iter().map(|c| &c.record.id).collect();
        let text = match kind {
            NoticeKind::Recovery => words::of_recovery(rule, causes),
            _ => words::of_alert(rule, causes),
        };
        Notice {
            number: 0,
            kind,
            ids: ids.into_iter().cloned().collect(),
            rule: Some(rule),
            severity: rule.severity(),
            node: self.node.clone(),
            rigs: names(causes).into_iter().take(NAMED).collect(),
            count: causes.len(),
            miner: miner(causes),
            text,
            since: causes.iter().map(|c| c.record.since).min().unwrap_or(at),
            at,
        }
    }

    fn send(&mut self, mut notice: Notice, flight: Flight, said: &mut Said) {
        self.notices += 1;
        notice.number = self.notices;
        self.flights.insert(notice.number, flight);
        if self.flights.len() > FLIGHTS {
            self.flights.pop_first();
        }
        said.notices.push(notice);
    }

    /// For `POST /alerts/test`.
    pub fn test_notice(&self, at: Timestamp) -> Notice {
        Notice {
            number: 0,
            kind: NoticeKind::Test,
            ids: Vec::new(),
            rule: None,
            severity: Severity::Info,
            node: self.node.clone(),
            rigs: Vec::new(),
            count: 0,
            miner: None,
            text: "This is a test: alerts arrive here".to_owned(),
            since: at,
            at,
        }
    }

    /// A channel has delivered the message of this number.
    pub fn delivered(&mut self, number: u64) -> Said {
        let mut said = Said::default();
        let Some(flight) = self.flights.remove(&number) else { return said };
        for (key, id) in flight.causes {
            // It may have begun anew meanwhile.
            let Some(cause) = self.causes.get_mut(&key).filter(|c| c.record.id == id) else {
                continue;
            };
            if !flight.recovery {
                cause.record.told = true;
                said.ops.push(StateOp::PutAlert(cause.record.clone()));
            } else if cause.over_sent {
                said.ops.push(StateOp::ForgetAlert(cause.record.key()));
                self.causes.remove(&key);
            }
        }
        said
    }

    /// What is wrong now, the longest first.
    pub fn current(&self) -> Vec<Alert> {
        let mut together: BTreeMap<&str, Vec<&Cause>> = BTreeMap::new();
        for cause in self.causes.values().filter(|c| c.record.over.is_none()) {
            together.entry(&cause.record.id).or_default().push(cause);
        }
        let mut all: Vec<Alert> =
            together.into_iter().map(|(id, causes)| alert(id, &causes)).collect();
        all.sort_by(|a, b| (a.since, &a.id).cmp(&(b.since, &b.id)));
        all
    }

    pub fn enabled(&self) -> bool {
        self.rules.enabled
    }

    pub fn described(&self) -> Vec<RuleText> {
        self.rules.described()
    }
}

impl Cause {
    fn new(record: CauseRecord) -> Self {
        let (wait, well) = (Duration::ZERO, Duration::ZERO);
        Self { record, sent: false, over_sent: false, wait, well }
    }

    fn key(&self) -> Key {
        (self.record.node, self.record.rule, self.record.what.clone())
    }

    /// For its message to be sent.
    fn waits(&self) -> bool {
        !self.sent && self.record.over.is_none()
    }

    /// What the beat found of it. False: it is to be forgotten.
    fn take(
        &mut self,
        verdict: Verdict,
        step: Duration,
        recovery: Duration,
        now: Timestamp,
    ) -> bool {
        self.wait += step;
        let rule = self.record.rule;
        match verdict {
            Verdict::Gone => return false,
            Verdict::On(found) if self.over_sent => {
                let id = id(rule, found.since);
                let Found { text, since } = found;
                let record =
                    CauseRecord { id, text, since, told: false, over: None, ..self.record.clone() };
                *self = Self::new(record);
            }
            Verdict::On(found) => {
                self.record.text = found.text;
                self.record.over = None;
                self.well = Duration::ZERO;
            }
            Verdict::Pending if self.record.over.is_none() => self.well = Duration::ZERO,
            Verdict::Off if self.record.over.is_none() => {
                self.well += step;
                let enough = if rule == Rule::CrashLoop { recovery.max(HEALTHY) } else { recovery };
                if self.well >= enough {
                    self.record.over = Some(now);
                    self.wait = Duration::ZERO;
                    // Nobody was told; and a refusal has no end that would be worth telling.
                    return self.sent && rule != Rule::Policy;
                }
            }
            Verdict::Pending | Verdict::Off | Verdict::Unknown => {}
        }
        !(self.over_sent && self.wait >= STALE)
    }
}

/// Of an alert that began then.
fn id(rule: Rule, since: Timestamp) -> String {
    format!("{}-{}", rule.text(), since.0)
}

fn alert(id: &str, causes: &[&Cause]) -> Alert {
    let first = &causes[0].record;
    Alert {
        id: id.to_owned(),
        rule: first.rule,
        severity: first.rule.severity(),
        rigs: names(causes),
        miner: miner(causes),
        text: words::of_alert(first.rule, causes),
        since: causes.iter().map(|c| c.record.since).min().unwrap_or(first.since),
        notified: causes.iter().any(|c| c.record.told),
    }
}

fn names(causes: &[&Cause]) -> Vec<String> {
    let names: BTreeSet<&String> = causes.iter().map(|c| &c.record.name).collect();
    names.into_iter().cloned().collect()
}

fn miner(causes: &[&Cause]) -> Option<String> {
    let [only] = causes else { return None };
    let about_one = matches!(only.record.rule, Rule::CrashLoop | Rule::Rejects);
    about_one.then(|| only.record.what.clone())
}
