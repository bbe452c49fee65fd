//! The actor that owns all state. It is `(state, event, now) -> messages`: no socket, file, SQL, process or clock
//! here, and so every test can say what happened and what time it is.
//!
//! [`Registry`] has one `impl` in each file: `pairing` (who may link), `dialling`, `links`, `peers`, `remote` (what
//! we ask of rigs), `obey` (what controllers ask of us), `miners`, `profiles`, `report` and `calls` (REST).
mod alerts;
mod audit;
mod calls;
mod dialling;
mod effective;
mod events;
mod filling;
mod follow;
mod held;
mod history;
#[doc(hidden)] // for fuzz/
pub mod hostile;
mod hostile_history;
mod joins;
mod labels;
mod links;
mod live;
mod metrics;
mod miner_calls;
mod miner_views;
mod miner_waits;
mod miners;
mod obey;
mod outs;
mod pairing;
mod peers;
mod policy;
mod profiles;
mod readings;
mod remote;
mod report;
mod run;
mod series_seen;
#[cfg(test)]
mod tests;
mod timers;
mod uptime;
mod watchdog;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use crate::bus::{DialId, Event, LinkId, SavedState, StateOp, StoreCommand};
use crate::model::alert::AlertRules;
use crate::model::fault::Fault;
use crate::model::history::HistoryStatus;
use crate::model::invite::InviteRecord;
use crate::model::key::{NodeId, PublicKey};
use crate::model::metrics::Tally;
use crate::model::node::NodeCard;
use crate::model::policy::Policy;
use crate::model::profile::Profile;
use crate::model::stats::Host;
use crate::model::time::{Now, Timestamp};

pub use miners::LAST_GRACE;
pub use outs::{Cx, Out};
pub use run::{Alive, Ports, run};

/// What the registry knows of the node that it runs on.
#[derive(Clone, Debug)]
pub struct Setup {
    pub me: NodeCard,
    pub version: String,
    /// Where the P2P port listens and where the API does, for `node info`.
    pub listen: Option<String>,
    pub api: String,
    /// `[policy]` of this node's config.toml.
    pub policy: Policy,
    /// `[alerts]` of the same.
    pub alerts: AlertRules,
    /// `[history]` of config.toml, before the `history` thread has said anything.
    pub history: HistoryStatus,
    /// Seeds jitter, ids and invite secrets: 32 random bytes.
    pub seed: [u8; 32],
}

/// See the module.
pub struct Registry {
    setup: Setup,
    started: Now,
    peers: BTreeMap<PublicKey, peers::Peer>,
    /// Strangers that asked to be paired, oldest first.
    asked: VecDeque<pairing::Asked>,
    /// Askings that the owner rejected: they leave no new request.
    rejected: VecDeque<(PublicKey, String)>,
    /// Nodes known by an invite of theirs that have not answered yet.
    joins: BTreeMap<NodeId, joins::Join>,
    invites: BTreeMap<String, InviteRecord>,
    /// Callers with an invite whose registration is on its way to the disk.
    registering: BTreeSet<PublicKey>,
    profiles: BTreeMap<String, Profile>,
    miners: BTreeMap<String, miners::Miner>,
    miner_numbers: BTreeMap<String, u64>,
    miner_waits: Vec<miner_waits::Wait>,
    links: HashMap<LinkId, PublicKey>,
    dials: HashMap<DialId, dialling::Dial>,
    waiting: HashMap<String, remote::Waiting>,
    saving: HashMap<u64, Then<Result<(), Fault>>>,
    follows: HashMap<u64, follow::Follow>,
    history: history::History,
    events: events::EventLog,
    pairing_events: events::Quota,
    alerts: alerts::Alerts,
    live: live::Live,
    timers: timers::Timers,
    host: Host,
    random: outs::Random,
    counter: u64,
    stopping: bool,
    refusals: pairing::Refusals,
    tally: Tally,
}

/// What to do with an answer when it comes.
type Then<T> = Box<dyn FnOnce(&mut Registry, T, &mut Cx) + Send>;

impl Registry {
    #[must_use]
    pub fn new(setup: Setup, saved: SavedState, now: Now) -> (Self, Vec<Out>) {
        let random = outs::Random::new(setup.seed);
        let (rules, name) = (setup.alerts.clone(), setup.me.name.clone());
        let mut registry = Self {
            setup,
            started: now,
            peers: BTreeMap::new(),
            asked: VecDeque::new(),
            rejected: VecDeque::new(),
            joins: BTreeMap::new(),
            invites: saved.invites.into_iter().map(|i| (i.id.clone(), i)).collect(),
            registering: BTreeSet::new(),
            profiles: saved.profiles.into_iter().map(|p| (p.id.clone(), p)).collect(),
            miners: BTreeMap::new(),
            miner_numbers: saved.miner_numbers.into_iter().collect(),
            miner_waits: Vec::new(),
            links: HashMap::new(),
            dials: HashMap::new(),
            waiting: HashMap::new(),
            saving: HashMap::new(),
            follows: HashMap::new(),
            history: history::History::default(),
            events: events::EventLog::new(saved.events, saved.epoch),
            pairing_events: events::Quota::default(),
            alerts: alerts::Alerts::new(rules, name, saved.alerts, saved.mining),
            live: live::Live::default(),
            timers: timers::Timers::default(),
            host: Host::default(),
            random,
            counter: 0,
            stopping: false,
            refusals: pairing::Refusals::default(),
            tally: Tally::default(),
        };
        let mut cx = Cx::new(now);
        registry.restore_peers(saved.peers, &mut cx);
        for (key, number) in saved.events_heard {
            if let Some(peer) = registry.peers.get_mut(&key) {
                peer.telling.heard = number;
            }
        }
        registry.restore_joins(saved.joins, &cx);
        registry.restore_miners(saved.miners, &mut cx);
        (registry, cx.out)
    }

    /// Takes in one event; what is to be done about it is returned in order.
    pub fn handle(&mut self, event: Event, now: Now) -> Vec<Out> {
        let mut cx = Cx::new(now);
        match event {
            Event::Call(call) => self.call(call, &mut cx),
            Event::Link(event) => self.link_event(event, &mut cx),
            Event::Miner(event) => self.miner_event(event, &mut cx),
            Event::Host(host) => self.beat(host, &mut cx),
            Event::Stored { ticket, result } => {
                if let Some(then) = self.saving.remove(&ticket) {
                    then(self, result, &mut cx);
                }
            }
            Event::AlertDelivered { notice } => self.alert_delivered(notice, &mut cx),
            Event::History(event) => self.history_event(event, &mut cx),
            Event::Shutdown { done } => self.shut_down(done, &mut cx),
            Event::End => cx.out.push(Out::End),
        }
        self.tell_controllers(&mut cx);
        cx.out
    }

    /// When [`Registry::fire`] wants to be called next.
    #[must_use]
    pub fn deadline(&self) -> Option<crate::model::time::Mono> {
        self.timers.next()
    }

    /// Does what was due by `now`.
    pub fn fire(&mut self, now: Now) -> Vec<Out> {
        let mut cx = Cx::new(now);
        while let Some(timer) = self.timers.due(now.mono) {
            match timer {
                timers::Timer::Dial(key) => self.dial_is_due(&key, &mut cx),
                timers::Timer::Join(id) => self.join_is_due(id, &mut cx),
                timers::Timer::Ping(link) => self.ping_is_due(link, &mut cx),
                timers::Timer::Request(id) => self.request_is_late(&id, &mut cx),
                timers::Timer::MinerStart { name, run } => self.start_is_due(&name, run, &mut cx),
                timers::Timer::MinerWait => self.settle_waits(&mut cx),
                timers::Timer::History(key) => self.history_is_due(&key, &mut cx),
                timers::Timer::Review(last) => self.review_more(last, &mut cx),
                timers::Timer::Live => self.live_is_due(&mut cx),
            }
        }
        self.tell_controllers(&mut cx);
        cx.out
    }

    /// Every 10 s: the machine's figures are new, so look after the miners and report.
    fn beat(&mut self, host: Host, cx: &mut Cx) {
        self.host = host;
        self.review_miners(cx);
        self.forget_old_requests(cx);
        self.review_events(cx);
        self.report(cx);
        self.review_alerts(cx);
    }

    /// Writes `ops` as one transaction; `then` runs when they are on disk, or were not written.
    fn save(
        &mut self,
        mut ops: Vec<StateOp>,
        cx: &mut Cx,
        then: impl FnOnce(&mut Self, Result<(), Fault>, &mut Cx) + Send + 'static,
    ) {
        ops.extend(cx.act.take().map(|act| act.with_change(cx.now.wall)));
        let ticket = self.count();
        self.saving.insert(ticket, Box::new(then));
        cx.out.push(Out::Store(StoreCommand { ops, ticket: Some(ticket) }));
    }

    /// Writes what nobody waits for; it may be lost when the disk is full.
    fn save_later(ops: Vec<StateOp>, cx: &mut Cx) {
        cx.out.push(Out::Store(StoreCommand { ops, ticket: None }));
    }

    /// A number never used before in this run of the daemon.
    fn count(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    fn shut_down(&mut self, done: crossbeam_channel::Sender<()>, cx: &mut Cx) {
        self.stopping = true;
        let mut links: Vec<LinkId> = self.links.keys().copied().collect();
        links.sort();
        for link in links {
            cx.close(link, "the daemon ends");
        }
        cx.out.push(Out::Spawn(crate::bus::SpawnCommand::StopAll {
            grace: miners::LAST_GRACE,
            done,
        }));
    }

    fn uptime(&self, now: Now) -> u64 {
        now.mono.since(self.started.mono).as_secs()
    }
}

/// Milliseconds of a duration, for adding to a [`Timestamp`].
fn ms(time: std::time::Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// The later of two optional times.
fn later(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    a.max(b)
}
