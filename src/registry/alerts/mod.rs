//! Alerts: what is wrong now and somebody should know of. Rules are evaluated here, on every beat; `crate::alerts`
//! delivers the messages.
mod baseline;
mod causes;
mod shares;
#[cfg(test)]
mod tests;
mod watch;
mod words;

use std::ops::Bound;
use std::time::Duration;

use super::calls::ReplyTo;
use super::peers::Peer;
use super::timers::Timer;
use super::{Cx, Out, Registry};
use crate::bus::AlertCommand;
use crate::model::alert::{Alert, AlertOverview, NoticeKind};
use crate::model::event::{EventKind, EventRecord};
use crate::model::history::HourMean;
use crate::model::key::{NodeId, PublicKey};
use crate::model::time::Now;
use crate::sys::log::Level;
use causes::Said;
use watch::Seen;

pub use causes::Alerts;

/// The label that keeps a rig out of all this, and its value.
const LABEL: (&str, &str) = ("alerts", "off");

/// Rigs that are looked at in one go: thousands would hold up whoever waits for an answer …
const AT_ONCE: usize = 256;
/// … which comes in this time before the next ones.
const BETWEEN: Duration = Duration::from_millis(50);

fn sight(peer: &Peer, now: Now) -> Seen<'_> {
    Seen {
        node: peer.id,
        name: &peer.record.name,
        quiet: peer.record.labels.get(LABEL.0).is_some_and(|value| value == LABEL.1),
        reachable: peer.reachable(now) && peer.report.is_some(),
        linked: peer.link.is_some(),
        lost_at: peer.unreachable_since(now),
        report: peer.report.as_ref().map(|report| &*report.stats),
        complaint: peer.complained.as_deref(),
    }
}

impl Registry {
    /// Every 10 s.
    pub(super) fn review_alerts(&mut self, cx: &mut Cx) {
        // Our own going is no trouble of the rigs.
        if self.stopping || !self.alerts.begin(cx.now) {
            return;
        }
        let own = self.own_stats(cx.now);
        let me = Seen {
            node: self.setup.me.id,
            name: &self.setup.me.name,
            quiet: false,
            reachable: true,
            linked: true,
            lost_at: None,
            report: Some(&own),
            complaint: None,
        };
        let mut said = Said::default();
        self.alerts.look_at(&me, cx.now, &mut said);
        self.review_rigs(None, said, cx);
    }

    /// Goes on behind the peer `last`.
    pub(super) fn review_more(&mut self, last: PublicKey, cx: &mut Cx) {
        if !self.stopping {
            self.review_rigs(Some(last), Said::default(), cx);
        }
    }

    fn review_rigs(&mut self, last: Option<PublicKey>, mut said: Said, cx: &mut Cx) {
        let from = last.map_or(Bound::Unbounded, Bound::Excluded);
        let rigs = self.peers.range((from, Bound::Unbounded)).filter(|(_, peer)| peer.is_rig());
        let mut seen = 0;
        let mut last = None;
        for (key, peer) in rigs.take(AT_ONCE) {
            self.alerts.look_at(&sight(peer, cx.now), cx.now, &mut said);
            seen += 1;
            last = Some(*key);
        }
        match last.filter(|_| seen == AT_ONCE) {
            Some(last) => self.timers.set(cx.now.mono.plus(BETWEEN), Timer::Review(last)),
            None => self.alerts.end(cx.now.wall, &mut said),
        }
        Self::say(said, cx);
    }

    fn say(said: Said, cx: &mut Cx) {
        if !said.ops.is_empty() {
            Self::save_later(said.ops, cx);
        }
        for notice in said.notices {
            let (level, word) = match notice.kind {
                NoticeKind::Recovery => (Level::Info, "over"),
                _ => (Level::Warn, notice.severity.text()),
            };
            cx.out.push(Out::Log(level, format!("alert ({word}): {}", notice.text)));
            cx.out.push(Out::Alert(AlertCommand::Notice(Box::new(notice))));
        }
    }

    /// Events of this node and of its rigs pass here once.
    pub(super) fn alert_on_event(&mut self, event: &EventRecord, cx: &mut Cx) {
        if event.kind != EventKind::PolicyRefused {
            return;
        }
        // Here it is our own policy that refused; a controller raises what a rig refused it.
        let about = event.peer.as_ref().filter(|_| event.node == self.setup.me.id);
        let rig = about.and_then(|name| {
            self.peers.values().find(|p| p.is_rig() && p.record.name == *name).map(|p| &p.record)
        });
        let (node, name) = rig.map_or((event.node, event.node_name.as_str()), |record| {
            (record.key.node_id(), record.name.as_str())
        });
        let said = self.alerts.policy_refused(node, name, event.text.clone(), event.at);
        Self::say(said, cx);
    }

    /// A message has arrived at one of the channels.
    pub(super) fn alert_delivered(&mut self, number: u64, cx: &mut Cx) {
        let said = self.alerts.delivered(number);
        Self::say(said, cx);
    }

    /// What is wrong now.
    #[must_use]
    pub fn current_alerts(&self) -> Vec<Alert> {
        self.alerts.current()
    }

    /// Hourly means of the last day, as the history knows them at the start.
    pub fn seed_baseline(&mut self, means: &[(NodeId, HourMean)]) {
        self.alerts.seed_baseline(means);
    }

    /// The channels add their part to the answer.
    pub(super) fn alert_overview(&self, to: ReplyTo, cx: &mut Cx) {
        let overview = Box::new(AlertOverview {
            enabled: self.alerts.enabled(),
            alerts: self.current_alerts(),
            rules: self.alerts.described(),
            channels: Vec::new(),
        });
        cx.out.push(Out::Alert(AlertCommand::Overview { overview, reply: to.to }));
    }

    pub(super) fn test_alerts(&self, channel: Option<String>, to: ReplyTo, cx: &mut Cx) {
        let notice = Box::new(self.alerts.test_notice(cx.now.wall));
        cx.out.push(Out::Alert(AlertCommand::Test { channel, notice, reply: to.to }));
    }
}
