//! Profiles: kept on disk before a change is answered.
use super::calls::ReplyTo;
use super::{Cx, Registry};
use crate::bus::{Reply, StateOp};
use crate::model::fault::{Code, Fault};
use crate::model::profile::Profile;
use crate::model::profile_rules as rules;

/// Profiles that a node keeps.
const MOST: usize = 1_000;

impl Registry {
    /// The profile with this id or, where no id fits, this name.
    pub(super) fn find_profile(&self, text: &str) -> Result<&Profile, Fault> {
        let by_name = || self.profiles.values().find(|p| p.name == text);
        self.profiles.get(text).or_else(by_name).ok_or_else(|| {
            Fault::new(Code::ProfileNotFound, format!("no profile is called {text:?}")).hint(
                "`miner-cli profile list` shows them, `miner-cli profile add FILE.json` makes one",
            )
        })
    }

    /// Every profile as people may see it: passwords hidden.
    pub(super) fn profile_views(&self) -> Vec<Profile> {
        self.profiles.values().map(rules::redact).collect()
    }

    /// A rig's profiles, each with whether ours of that id is the same. Passwords are hidden and so not compared.
    pub(super) fn compared(&self, theirs: Vec<Profile>) -> Vec<(Profile, Option<bool>)> {
        let same = |p: &Profile| self.profiles.get(&p.id).map(|ours| rules::redact(ours) == *p);
        theirs.into_iter().map(|p| (same(&p), p)).map(|(same, p)| (p, same)).collect()
    }

    pub(super) fn add_profile(&mut self, profile: Profile, to: ReplyTo, cx: &mut Cx) {
        let profile = rules::complete(profile, None);
        if self.profiles.contains_key(&profile.id)
            || self.profiles.values().any(|p| p.name == profile.name)
        {
            let fault = Fault::new(
                Code::Exists,
                format!("a profile called {:?} is already there", profile.id),
            )
            .hint(format!("change it with `miner-cli profile edit {} FILE.json`", profile.id));
            return cx.reply(to, Err(fault));
        }
        self.keep_profile(profile.clone(), cx, move |_, result, cx| {
            cx.reply(to, result.map(|()| Reply::Profile(Box::new(rules::redact(&profile)))));
        });
    }

    pub(super) fn edit_profile(&mut self, id: &str, profile: Profile, to: ReplyTo, cx: &mut Cx) {
        let stored = match self.find_profile(id) {
            Ok(stored) => stored,
            Err(fault) => return cx.reply(to, Err(fault)),
        };
        let id = stored.id.clone();
        let mut profile = rules::merge_secret(profile, stored);
        if !profile.id.is_empty() && profile.id != id {
            let fault = Fault::new(Code::Invalid, format!("id: a profile keeps its id, {id:?}"));
            return cx.reply(to, Err(fault));
        }
        profile.id.clone_from(&id);
        if profile.name.is_empty() {
            profile.name.clone_from(&stored.name);
        }
        if self.profiles.values().any(|p| p.id != id && p.name == profile.name) {
            let fault =
                Fault::new(Code::Exists, format!("another profile is called {:?}", profile.name));
            return cx.reply(to, Err(fault));
        }
        self.keep_profile(profile.clone(), cx, move |_, result, cx| {
            cx.reply(to, result.map(|()| Reply::Profile(Box::new(rules::redact(&profile)))));
        });
    }

    pub(super) fn remove_profile(&mut self, id: &str, to: ReplyTo, cx: &mut Cx) {
        let id = match self.find_profile(id) {
            Ok(profile) => profile.id.clone(),
            Err(fault) => return cx.reply(to, Err(fault)),
        };
        self.save(
            vec![StateOp::DeleteProfile { id: id.clone() }],
            cx,
            move |registry, result, cx| {
                if result.is_ok() {
                    registry.profiles.remove(&id);
                }
                cx.reply(to, result.map(|()| Reply::Done));
            },
        );
    }

    /// Checks a profile and writes it; `then` hears when it is on disk. One that is wrong changes nothing.
    pub(super) fn keep_profile(
        &mut self,
        profile: Profile,
        cx: &mut Cx,
        then: impl FnOnce(&mut Self, Result<(), Fault>, &mut Cx) + Send + 'static,
    ) {
        if let Err(fault) = self.check_profile(&profile) {
            return then(self, Err(fault), cx);
        }
        self.save(vec![StateOp::PutProfile(profile.clone())], cx, move |registry, result, cx| {
            if result.is_ok() {
                registry.profiles.insert(profile.id.clone(), profile);
            }
            then(registry, result, cx);
        });
    }

    pub(super) fn check_profile(&self, profile: &Profile) -> Result<(), Fault> {
        rules::validate(profile).map_err(|errors| rules::to_fault(&errors))?;
        if self.profiles.len() >= MOST && !self.profiles.contains_key(&profile.id) {
            return Err(Fault::new(Code::Conflict, format!("{MOST} profiles are kept already"))
                .hint("remove some"));
        }
        Ok(())
    }
}
