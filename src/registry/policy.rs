//! This node's own `[policy]`, held against what peers and the local API ask for. It came with the start of the daemon
//! and nothing changes it.
use super::Registry;
use crate::model::fault::Fault;
use crate::model::key::PublicKey;
use crate::model::policy::{Policy, Remote, is_as_stored};
use crate::model::profile::Profile;
use crate::model::profile_rules as rules;
use crate::smsg::messages::{Body, StartMiner};

impl Registry {
    /// Whether this profile may run here, whoever wants it to.
    pub(super) fn may_run(&self, profile: &Profile) -> Result<(), Fault> {
        self.setup.policy.check_profile(profile, &self.setup.me.name)
    }

    /// Whether the policy takes this command of this peer. What is wrong for other reasons is said later.
    pub(super) fn policy_allows(&self, key: &PublicKey, command: &Body) -> Result<(), Fault> {
        let (policy, rig) = (&self.setup.policy, &self.setup.me.name);
        policy.check_controller(key, rig)?;
        match command {
            Body::StartMiner(start) => self.may_be_started(start),
            Body::DeployProfile(deploy) => self.may_be_deployed(&deploy.profile),
            Body::CheckProfile(profile) => self.may_be_deployed(profile),
            Body::RestartMiner(command) => self.may_run_again(command.miner.as_deref()),
            _ => Ok(()),
        }
    }

    fn may_be_deployed(&self, profile: &Profile) -> Result<(), Fault> {
        if self.setup.policy.remote == Remote::StartStop {
            return Err(Policy::only_start_stop("peers deploy nothing", &self.setup.me.name));
        }
        self.may_run_if_valid(profile)
    }

    fn may_be_started(&self, start: &StartMiner) -> Result<(), Fault> {
        let StartMiner { profile_id, profile, miner_type, config, .. } = start;
        let (miner_type, config) = (miner_type.as_deref(), config.as_ref());
        let stored = self.find_profile(profile_id).ok();
        if self.setup.policy.remote == Remote::StartStop {
            let only = |what| Err(Policy::only_start_stop(what, &self.setup.me.name));
            return match stored {
                None if profile.is_none() => Ok(()),
                None => only("this profile is not on the rig, and peers deploy nothing"),
                Some(stored) if is_as_stored(stored, profile.as_ref(), miner_type, config) => {
                    self.may_run(stored)
                }
                Some(_) => only("the start differs from the profile that the rig has"),
            };
        }
        let Some(base) = profile.as_ref().or(stored) else { return Ok(()) };
        if let Some(kept) = profile {
            self.may_run_if_valid(kept)?;
        }
        self.may_run_if_valid(&rules::with_overrides(base, miner_type, config))
    }

    /// A profile that is no proper one is refused as that, later, with all that is wrong in it.
    fn may_run_if_valid(&self, profile: &Profile) -> Result<(), Fault> {
        if rules::validate(profile).is_ok() { self.may_run(profile) } else { Ok(()) }
    }

    /// Whether the miner of this name, or each that is wanted, may be started again.
    pub(super) fn may_run_again(&self, miner: Option<&str>) -> Result<(), Fault> {
        let meant = |m: &&super::miners::Miner| miner.map_or(m.wanted, |name| m.name == name);
        self.miners.values().filter(meant).try_for_each(|m| self.may_run(&m.profile))
    }
}
