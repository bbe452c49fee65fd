//! One order for many rigs: which are meant, asking them side by side, and a line each in the order of their names.
use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::client::{Client, Reply, segment};
use super::exit::{Exit, Failure};
use super::peer::state_word;
use super::{Ended, Session};
use crate::bus::wire_channel;
use crate::model::fault::{Code, Fault};
use crate::model::labels;
use crate::model::node::Role;
use crate::model::peer::{PeerState, PeerView};
use crate::model::stats::RigState;
use crate::sys::thread;

/// The daemon answers 28 requests at once: the dashboard and others shall find a place beside us.
const MOST_PARALLEL: usize = 24;

/// Which rigs are meant, and how they are asked: by name, or all, or by labels.
#[derive(Clone, Debug)]
pub struct Choice {
    pub names: Vec<String>,
    pub all: bool,
    pub labels: Vec<String>,
    pub dry_run: bool,
    pub max_parallel: usize,
}

/// What each of them is told.
pub struct Order<'a> {
    /// `start`; the last part of the path.
    pub verb: &'static str,
    /// `started`, for the summary.
    pub done: &'static str,
    /// `start profile rx`, for a dry run.
    pub what: String,
    pub body: Value,
    /// What a rig's answer says to people; the first argument is its name.
    pub say: &'a dyn Fn(&str, &Reply) -> Result<String, Failure>,
}

/// A rig that is meant.
struct Rig {
    /// What its line begins with.
    name: String,
    known: Known,
}

enum Known {
    /// The daemon finds out whom the name means.
    NotYet,
    Peer(Box<PeerView>),
    /// It is not asked: nobody is called so, or several are.
    Nobody(Failure),
}

impl Rig {
    fn new(peer: PeerView) -> Self {
        Self { name: peer.name.clone(), known: Known::Peer(Box::new(peer)) }
    }

    fn peer(&self) -> Option<&PeerView> {
        if let Known::Peer(peer) = &self.known { Some(peer) } else { None }
    }

    fn path(&self, verb: &str) -> Result<String, Failure> {
        let id = match &self.known {
            Known::NotYet => self.name.clone(),
            Known::Peer(peer) => peer.id.to_string(),
            Known::Nobody(failure) => return Err(failure.clone()),
        };
        Ok(format!("/remote/{}/{verb}", segment(&id)))
    }
}

impl Choice {
    /// The rig's name when one is named, and is not to be looked up first.
    #[must_use]
    pub fn one_name(&self) -> Option<&str> {
        match &self.names[..] {
            [name] if !self.all && self.labels.is_empty() && !self.dry_run => Some(name),
            _ => None,
        }
    }

    fn check(&self) -> Result<Vec<(String, String)>, Failure> {
        let ways = [!self.names.is_empty(), self.all, !self.labels.is_empty()];
        match ways.iter().filter(|way| **way).count() {
            0 => Err("name at least one rig, or choose: --all, --label KEY=VALUE".to_owned()),
            1 => Ok(()),
            _ => Err("rigs are chosen by name, by --all or by --label, one of them".to_owned()),
        }
        .and_then(|()| match self.max_parallel {
            1..=MOST_PARALLEL => self.labels.iter().map(|typed| labels::parse(typed)).collect(),
            _ => Err(format!("--max-parallel is 1 to {MOST_PARALLEL}")),
        })
        .map_err(Failure::Usage)
    }

    fn rigs(&self, wanted: &[(String, String)], client: &Client) -> Result<Vec<Rig>, Failure> {
        if let Some(name) = self.one_name() {
            return Ok(vec![Rig { name: name.to_owned(), known: Known::NotYet }]);
        }
        let mut rigs = if self.names.is_empty() {
            self.matching(wanted, client)?
        } else {
            self.named(client)?
        };
        rigs.sort_by_key(|rig| (rig.name.clone(), rig.peer().map(|peer| peer.id)));
        rigs.dedup_by_key(|rig| (rig.name.clone(), rig.peer().map(|peer| peer.id)));
        Ok(rigs)
    }

    fn named(&self, client: &Client) -> Result<Vec<Rig>, Failure> {
        let look = |typed: &String| {
            let found = client.get(&format!("/peers/{}", segment(typed)));
            match found.and_then(|reply| reply.read::<PeerView>()) {
                Ok(peer) => Ok(Rig::new(peer)),
                Err(failure @ Failure::Fault(_)) => {
                    Ok(Rig { name: typed.clone(), known: Known::Nobody(failure) })
                }
                Err(failure) => Err(failure),
            }
        };
        self.names.iter().map(look).collect()
    }

    fn matching(&self, wanted: &[(String, String)], client: &Client) -> Result<Vec<Rig>, Failure> {
        let peers: Vec<PeerView> = client.get("/peers")?.read()?;
        let fits = |peer: &PeerView| {
            is_rig(peer) && wanted.iter().all(|(key, value)| peer.labels.get(key) == Some(value))
        };
        let rigs: Vec<Rig> = peers.into_iter().filter(fits).map(Rig::new).collect();
        if rigs.is_empty() {
            let why = if self.all {
                "no rig is registered".to_owned()
            } else {
                format!("no registered rig has {}", self.labels.join(" and "))
            };
            let fault = Fault::new(Code::PeerNotFound, why);
            return Err(fault.hint("`miner-cli peer list` shows rigs and their labels").into());
        }
        Ok(rigs)
    }
}

/// Registered, and not a mere controller. The unreachable ones are meant, too: they shall be named.
fn is_rig(peer: &PeerView) -> bool {
    !matches!(peer.state, PeerState::PairingRequest | PeerState::AwaitingApproval)
        && peer.role.is_none_or(Role::obeys)
}

/// Gives the order to each rig that is meant. Exit 0 when all did it, else 1; with a single rig its failure's own.
pub fn run(choice: &Choice, order: &Order<'_>, session: &mut Session) -> Ended {
    let wanted = choice.check()?;
    let client = session.client()?;
    let rigs = choice.rigs(&wanted, &client)?;
    let mut told = Told::new(choice.names.len() == 1, session);
    if choice.dry_run {
        for rig in &rigs {
            told.would(rig, order);
        }
        return told.end("dry run: nothing was done");
    }
    let paths = rigs.iter().map(|rig| rig.path(order.verb)).collect();
    ask_all(client, paths, &order.body, choice.max_parallel, |i, result| {
        told.answer(&rigs[i], order, result);
    })?;
    let (all, failed) = (rigs.len(), told.failed);
    let failures = if failed > 0 { format!(", {failed} failed") } else { String::new() };
    told.end(&format!("{} of {all} {}{failures}", all - failed, order.done))
}

/// Posts `body` to every path, at most `parallel` at once. `each` hears of them in order, as soon as all before are
/// done. A path that is a failure already is not asked.
fn ask_all(
    client: Client,
    paths: Vec<Result<String, Failure>>,
    body: &Value,
    parallel: usize,
    mut each: impl FnMut(usize, Result<Reply, Failure>),
) -> Result<(), Failure> {
    let count = paths.len();
    let (jobs_to, jobs) = wire_channel(count);
    let (results_to, results) = wire_channel(count);
    for job in paths.into_iter().enumerate() {
        let _ = jobs_to.try_send(job);
    }
    drop(jobs_to);
    let shared = Arc::new((client, body.clone()));
    let mut threads = Vec::new();
    for _ in 0..parallel.min(count) {
        let (jobs, results_to, shared) = (jobs.clone(), results_to.clone(), Arc::clone(&shared));
        let work = move || {
            let (client, body) = &*shared;
            for (i, path) in jobs {
                let result = path.and_then(|path| client.ask("POST", &path, Some(body)));
                let _ = results_to.try_send((i, result));
            }
        };
        match thread::spawn("ask-rig", work) {
            Ok(thread) => threads.push(thread),
            Err(e) if threads.is_empty() => {
                return Err(Failure::own(format!("no thread can be had: {e}")));
            }
            Err(_) => break,
        }
    }
    drop(results_to);
    let (mut waiting, mut next) = (BTreeMap::new(), 0);
    for (i, result) in results {
        waiting.insert(i, result);
        while let Some(result) = waiting.remove(&next) {
            each(next, result);
            next += 1;
        }
    }
    for i in next..count {
        let lost = || Err(Failure::own("this program stumbled over the answer"));
        each(i, waiting.remove(&i).unwrap_or_else(lost));
    }
    for thread in threads {
        let _ = thread.join();
    }
    Ok(())
}

/// What has been printed so far.
struct Told<'a> {
    /// One rig was named: its failure is told by the command's own end.
    one_name: bool,
    session: &'a mut Session,
    rows: Vec<Value>,
    failed: usize,
    /// Of the rig that failed first.
    failure: Option<Failure>,
    /// Why nothing more is printed; the rigs are asked all the same.
    mute: Option<Failure>,
}

impl<'a> Told<'a> {
    fn new(one_name: bool, session: &'a mut Session) -> Self {
        Self { one_name, session, rows: Vec::new(), failed: 0, failure: None, mute: None }
    }

    fn line(&mut self, line: &str) {
        if !self.session.globals.json && self.mute.is_none() {
            self.mute = self.session.screen.line(line).err();
        }
    }

    fn row(&mut self, rig: &Rig, row: Value) {
        let mut row = if row.is_object() { row } else { json!({}) };
        row["peer"] = json!(rig.name);
        if let Some(peer) = rig.peer() {
            row["id"] = json!(peer.id);
        }
        self.rows.push(row);
    }

    fn would(&mut self, rig: &Rig, order: &Order<'_>) {
        let state = match &rig.known {
            Known::Nobody(failure) => return self.failed(rig, failure.clone()),
            Known::NotYet => None,
            Known::Peer(peer) => Some(peer.state),
        };
        let away = state.filter(|state| *state == PeerState::Rig(RigState::Unreachable));
        let but = away.map_or_else(String::new, |state| format!(" ({})", state_word(state)));
        self.line(&format!("{}: would {}{but}", rig.name, order.what));
        self.row(rig, json!({"would": order.verb, "state": state}));
    }

    fn answer(&mut self, rig: &Rig, order: &Order<'_>, result: Result<Reply, Failure>) {
        match result.and_then(|reply| Ok(((order.say)(&rig.name, &reply)?, reply))) {
            Ok((sentence, reply)) => {
                self.line(&format!("{}: {sentence}", rig.name));
                self.row(rig, reply.read().unwrap_or(Value::Null));
            }
            Err(failure) => self.failed(rig, failure),
        }
    }

    fn failed(&mut self, rig: &Rig, failure: Failure) {
        self.failed += 1;
        let fault = failure.fault();
        if !self.one_name {
            self.line(&format!("{}: failed: {fault}", rig.name));
        }
        self.row(rig, json!(fault));
        self.failure.get_or_insert(failure);
    }

    fn end(self, summary: &str) -> Ended {
        let Self { one_name, session, rows, failure, mute, .. } = self;
        if one_name && let Some(failure) = failure {
            return Err(failure);
        }
        let printed = match mute {
            Some(closed) => Err(closed),
            None if session.globals.json => session.screen.json(&rows),
            None => {
                if !one_name {
                    session.screen.note(summary);
                }
                Ok(())
            }
        };
        match failure {
            Some(failure) if rows.len() == 1 => Ok(failure.exit()),
            Some(_) => Ok(Exit::Failed),
            None => printed.map(|()| Exit::Done),
        }
    }
}
