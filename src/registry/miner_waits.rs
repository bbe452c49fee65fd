//! Waiting for miners to be up or gone: what an answer to start, stop and restart hangs on.
use std::time::Duration;

use super::timers::Timer;
use super::{Cx, Registry, Then};
use crate::model::miner::MinerState;
use crate::model::time::Mono;

/// Someone waits for miners to be up, or gone.
pub struct Wait {
    names: Vec<String>,
    goal: Goal,
    until: Mono,
    then: Then<Outcome>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    Up,
    Gone,
}

pub enum Outcome {
    Reached,
    /// Not yet, and the wait is over.
    Late,
    Failed {
        name: String,
        reason: String,
        permanent: bool,
    },
}

impl Registry {
    pub(super) fn await_miners(
        &mut self,
        names: Vec<String>,
        goal: Goal,
        patience: Duration,
        cx: &mut Cx,
        then: impl FnOnce(&mut Self, Outcome, &mut Cx) + Send + 'static,
    ) {
        let until = cx.now.mono.plus(patience);
        self.miner_waits.push(Wait { names, goal, until, then: Box::new(then) });
        self.timers.set(until, Timer::MinerWait);
        self.settle_waits(cx);
    }

    pub(super) fn settle_waits(&mut self, cx: &mut Cx) {
        let (done, open): (Vec<_>, Vec<_>) = std::mem::take(&mut self.miner_waits)
            .into_iter()
            .map(|wait| (self.outcome(&wait, cx.now.mono), wait))
            .partition(|(outcome, _)| outcome.is_some());
        self.miner_waits = open.into_iter().map(|(_, wait)| wait).collect();
        for (outcome, wait) in done {
            (wait.then)(self, outcome.unwrap_or(Outcome::Late), cx);
        }
    }

    fn outcome(&self, wait: &Wait, now: Mono) -> Option<Outcome> {
        let miners = || wait.names.iter().filter_map(|n| self.miners.get(n));
        if wait.goal == Goal::Gone {
            return if miners().all(|m| !m.process) {
                Some(Outcome::Reached)
            } else {
                (now >= wait.until).then_some(Outcome::Late)
            };
        }
        if let Some(m) = miners().find(|m| !m.process) {
            let reason = m.reason.clone().unwrap_or_else(|| "it was stopped meanwhile".to_owned());
            let permanent = m.state == MinerState::Failed;
            return Some(Outcome::Failed { name: m.name.clone(), reason, permanent });
        }
        if miners().all(|m| m.sample.is_some() && m.state != MinerState::Stopping) {
            return Some(Outcome::Reached);
        }
        (now >= wait.until).then_some(Outcome::Late)
    }
}
