//! Starting, stopping and restarting this node's miners, for REST and for controllers: on disk first, then done, and
//! answered when it can be seen.
use std::time::Duration;

use super::events::About;
use super::miner_waits::{Goal, Outcome};
use super::miners::Miner;
use super::{Cx, Registry};
use crate::bus::StateOp;
use crate::model::event::{EventKind, Severity};
use crate::model::fault::{Code, Fault};
use crate::model::miner::DesiredMiner;
use crate::model::profile::Profile;

/// A started miner whose API is still silent after this long counts as started: its process lives.
const STARTED_AFTER: Duration = Duration::from_secs(6);
const RESTARTED_AFTER: Duration = Duration::from_secs(12);
/// A stop that takes longer is acknowledged as "stopping".
const STOPPED_AFTER: Duration = Duration::from_secs(4);
/// Miners at once.
const MOST: usize = 32;

impl Registry {
    /// Starts a miner and keeps it in mind on disk first; `keep` is a profile to store with it. `then` hears its name
    /// once its API answers, or once its process has lived for six seconds.
    pub(super) fn start_miner(
        &mut self,
        profile: Profile,
        keep: Option<Profile>,
        cx: &mut Cx,
        then: impl FnOnce(&mut Self, Result<String, Fault>, &mut Cx) + Send + 'static,
    ) {
        let checked = self.may_start().and_then(|()| self.check_profile(&profile));
        if let Err(fault) =
            checked.and_then(|()| keep.as_ref().map_or(Ok(()), |k| self.check_profile(k)))
        {
            return then(self, Err(fault), cx);
        }
        if let Err(fault) = self.may_run(&profile) {
            let text = format!("refused to start {}: {}", profile.id, fault.message);
            let (kind, severity) = (EventKind::PolicyRefused, Severity::Warning);
            self.raise(kind, severity, About::default(), text, cx);
            return then(self, Err(fault), cx);
        }
        let number = self.miner_numbers.entry(profile.miner_type.clone()).or_default();
        *number += 1;
        let name = format!("{}-{number}", profile.miner_type);
        let wanted = DesiredMiner { name: name.clone(), profile };
        let mut ops = vec![StateOp::PutMiner(wanted.clone())];
        ops.extend(keep.clone().map(StateOp::PutProfile));
        self.save(ops, cx, move |registry, result, cx| {
            if let Err(fault) = result {
                return then(registry, Err(fault), cx);
            }
            registry.profiles.extend(keep.map(|k| (k.id.clone(), k)));
            registry.miners.insert(name.clone(), Miner::new(wanted));
            registry.launch(&name, cx);
            registry.await_miners(
                vec![name.clone()],
                Goal::Up,
                STARTED_AFTER,
                cx,
                move |registry, outcome, cx| {
                    registry.started(name, outcome, cx, then);
                },
            );
        });
    }

    fn may_start(&self) -> Result<(), Fault> {
        if !self.setup.me.role.obeys() {
            return Err(Fault::new(
                Code::NotAllowed,
                format!("{} is a controller: it runs no miners", self.setup.me.name),
            )
            .hint("a node of role worker or dual does"));
        }
        if self.miners.values().filter(|m| m.wanted || m.process).count() >= MOST {
            return Err(Fault::new(Code::Conflict, format!("{MOST} miners run here already")));
        }
        Ok(())
    }

    fn started(
        &mut self,
        name: String,
        outcome: Outcome,
        cx: &mut Cx,
        then: impl FnOnce(&mut Self, Result<String, Fault>, &mut Cx) + Send + 'static,
    ) {
        match outcome {
            Outcome::Reached | Outcome::Late => then(self, Ok(name), cx),
            Outcome::Failed { reason, permanent: false, .. } => {
                let fault = Fault::new(
                    Code::StartFailed,
                    format!("{name} ended at once: {reason}; it will be tried again"),
                )
                .hint(format!("its log says more; stopping {name} ends the attempts"));
                then(self, Err(fault), cx);
            }
            // It is no use to remember it: the next start of the daemon would fail in the same way.
            Outcome::Failed { reason, .. } => {
                if let Some(miner) = self.miners.get_mut(&name) {
                    miner.wanted = false;
                }
                self.save(
                    vec![StateOp::DeleteMiner { name: name.clone() }],
                    cx,
                    move |registry, _, cx| {
                        let fault = Fault::new(
                            Code::StartFailed,
                            format!("{name} could not be started: {reason}"),
                        );
                        registry.forget_ended(cx);
                        then(registry, Err(fault), cx);
                    },
                );
            }
        }
    }

    /// Stops one miner, or all; `then` hears `stopped` or `stopping` and the names.
    pub(super) fn stop_miners(
        &mut self,
        name: Option<&str>,
        cx: &mut Cx,
        then: impl FnOnce(&mut Self, Result<(String, Vec<String>), Fault>, &mut Cx) + Send + 'static,
    ) {
        let names = match self.meant(name, |m| m.wanted || m.process) {
            Ok(names) => names,
            Err(fault) => return then(self, Err(fault), cx),
        };
        let ops = names.iter().map(|n| StateOp::DeleteMiner { name: n.clone() }).collect();
        self.save(ops, cx, move |registry, result, cx| {
            if let Err(fault) = result {
                return then(registry, Err(fault), cx);
            }
            for name in &names {
                registry.end(name, cx);
            }
            let goal = names.clone();
            registry.await_miners(
                goal,
                Goal::Gone,
                STOPPED_AFTER,
                cx,
                move |registry, outcome, cx| {
                    let status =
                        if matches!(outcome, Outcome::Late) { "stopping" } else { "stopped" };
                    registry.forget_ended(cx);
                    then(registry, Ok((status.to_owned(), names)), cx);
                },
            );
        });
    }

    /// Restarts one miner, or all that are wanted; `then` hears `restarted` or `restarting` and the names.
    pub(super) fn restart_miners(
        &mut self,
        name: Option<&str>,
        cx: &mut Cx,
        then: impl FnOnce(&mut Self, Result<(String, Vec<String>), Fault>, &mut Cx) + Send + 'static,
    ) {
        let may = self.may_start().and_then(|()| self.may_run_again(name));
        let names = match may.and_then(|()| self.meant(name, |m| m.wanted)) {
            Ok(names) => names,
            Err(fault) => return then(self, Err(fault), cx),
        };
        let wanted = names.iter().filter_map(|n| self.miners.get(n));
        let ops = wanted.map(|m| {
            StateOp::PutMiner(DesiredMiner { name: m.name.clone(), profile: m.profile.clone() })
        });
        self.save(ops.collect(), cx, move |registry, result, cx| {
            if let Err(fault) = result {
                return then(registry, Err(fault), cx);
            }
            for name in &names {
                registry.begin_again(name, cx);
            }
            let goal = names.clone();
            registry.await_miners(
                goal,
                Goal::Up,
                RESTARTED_AFTER,
                cx,
                move |registry, outcome, cx| {
                    let result = match outcome {
                        Outcome::Reached => Ok(("restarted".to_owned(), names)),
                        Outcome::Late => Ok(("restarting".to_owned(), names)),
                        Outcome::Failed { name, reason, .. } => Err(Fault::new(
                            Code::StartFailed,
                            format!("{name} could not be started again: {reason}"),
                        )),
                    };
                    then(registry, result, cx);
                },
            );
        });
    }

    /// The miner that was named, or all that fit.
    fn meant(
        &self,
        name: Option<&str>,
        fits: impl Fn(&Miner) -> bool,
    ) -> Result<Vec<String>, Fault> {
        match name {
            Some(name) => self.find_miner(name).map(|m| vec![m.name.clone()]),
            None => Ok(self.miners.values().filter(|m| fits(m)).map(|m| m.name.clone()).collect()),
        }
    }
}
