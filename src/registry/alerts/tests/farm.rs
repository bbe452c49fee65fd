//! A farm whose time is played: a beat every 10 s, channels that deliver at once.
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::super::causes::{Alerts, Said};
use super::super::watch::Seen;
use crate::bus::StateOp;
use crate::model::alert::{AlertRules, CauseRecord, Notice, NoticeKind, Rule};
use crate::model::key::NodeId;
use crate::model::miner::MinerState;
use crate::model::stats::{Disk, Hashrate, MinerStats, NodeStats, RigState};
use crate::model::time::{Mono, Now, Timestamp};

pub const S: Duration = Duration::from_secs(1);
pub const MIN: Duration = Duration::from_secs(60);
pub const HOUR: Duration = Duration::from_secs(3600);

pub struct Rig {
    pub node: NodeId,
    pub name: String,
    pub quiet: bool,
    pub up: bool,
    pub heard: bool,
    pub stats: NodeStats,
    pub complaint: Option<String>,
}

pub struct Farm {
    pub alerts: Alerts,
    pub rules: AlertRules,
    pub now: Now,
    pub rigs: Vec<Rig>,
    pub notices: Vec<Notice>,
    pub disk: BTreeMap<String, CauseRecord>,
    pub mining: BTreeSet<NodeId>,
    /// A receiver that takes nothing.
    pub away: bool,
    pub undelivered: Vec<u64>,
}

pub fn miner(name: &str) -> MinerStats {
    MinerStats {
        name: name.to_owned(),
        state: MinerState::Hashing,
        wanted: true,
        profile_id: Some("demo".to_owned()),
        algorithm: Some("rx/0".to_owned()),
        hashrate: Hashrate { now: Some(1000.0), ..Hashrate::default() },
        accepted: Some(0),
        rejected: Some(0),
        uptime: Some(0),
        ..MinerStats::default()
    }
}

pub fn rig(number: u8) -> Rig {
    let (node, name) = (NodeId([number; 8]), format!("rig-{number:02}"));
    let stats = NodeStats {
        temperature: Some(60.0),
        disk: Some(Disk { total: 100_000_000_000, free: 50_000_000_000 }),
        miners: vec![miner("xmrig-1")],
        ..NodeStats::unknown(node, name.clone(), RigState::Hashing)
    };
    Rig { node, name, quiet: false, up: true, heard: true, stats, complaint: None }
}

impl Farm {
    pub fn new(rigs: u8) -> Self {
        Self::with(rigs, AlertRules::default())
    }

    pub fn with(rigs: u8, rules: AlertRules) -> Self {
        let now = Now { mono: Mono(0), wall: Timestamp(1_700_000_000_000) };
        let mut farm = Self {
            alerts: Alerts::new(rules.clone(), "center".to_owned(), Vec::new(), Vec::new()),
            rules,
            now,
            rigs: (0..rigs).map(rig).collect(),
            notices: Vec::new(),
            disk: BTreeMap::new(),
            mining: BTreeSet::new(),
            away: false,
            undelivered: Vec::new(),
        };
        farm.pass(10 * S);
        farm
    }

    /// The daemon starts anew from what is on its disk, and has not heard of anybody.
    pub fn restart(&mut self) {
        let causes = self.disk.values().cloned().collect();
        let mining = self.mining.iter().copied().collect();
        self.alerts = Alerts::new(self.rules.clone(), "center".to_owned(), causes, mining);
        for rig in &mut self.rigs {
            rig.heard = rig.up;
        }
        self.undelivered.clear();
    }

    pub fn pass(&mut self, time: Duration) {
        for _ in 0..time.as_secs() / 10 {
            self.now =
                Now { mono: self.now.mono.plus(10 * S), wall: self.now.wall.plus_ms(10_000) };
            self.beat();
        }
    }

    pub fn beat(&mut self) {
        let seen: Vec<Seen<'_>> = self
            .rigs
            .iter()
            .map(|rig| Seen {
                node: rig.node,
                name: &rig.name,
                quiet: rig.quiet,
                reachable: rig.up,
                linked: rig.up,
                lost_at: None,
                report: rig.heard.then_some(&rig.stats),
                complaint: rig.complaint.as_deref(),
            })
            .collect();
        let mut said = Said::default();
        if self.alerts.begin(self.now) {
            seen.iter().for_each(|rig| self.alerts.look_at(rig, self.now, &mut said));
            self.alerts.end(self.now.wall, &mut said);
        }
        self.keep(said.ops);
        for notice in said.notices {
            self.undelivered.push(notice.number);
            self.notices.push(notice);
        }
        if !self.away {
            for number in std::mem::take(&mut self.undelivered) {
                let said = self.alerts.delivered(number);
                self.keep(said.ops);
            }
        }
    }

    pub fn keep(&mut self, ops: Vec<StateOp>) {
        for op in ops {
            match op {
                StateOp::PutAlert(record) => drop(self.disk.insert(record.key(), record)),
                StateOp::ForgetAlert(key) => drop(self.disk.remove(&key)),
                StateOp::RigMines { node, mines: true } => drop(self.mining.insert(node)),
                StateOp::RigMines { node, .. } => drop(self.mining.remove(&node)),
                other => panic!("{other:?}"),
            }
        }
    }

    pub fn miner(&mut self) -> &mut MinerStats {
        &mut self.rigs[0].stats.miners[0]
    }

    pub fn said(&self) -> Vec<(NoticeKind, Rule, usize)> {
        self.notices.iter().map(|n| (n.kind, n.rule.unwrap(), n.count)).collect()
    }

    #[track_caller]
    pub fn said_only(&self, rule: Rule, kinds: &[NoticeKind]) {
        let wanted: Vec<_> = kinds.iter().map(|kind| (*kind, rule, 1)).collect();
        assert_eq!(self.said(), wanted, "{:#?}", self.notices);
    }
}
