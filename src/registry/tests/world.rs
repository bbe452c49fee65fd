//! Several registries with everything around them played: links deliver at once unless a node is frozen or cut off,
//! disks obey unless they are full, miners start and hash as told.
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Receiver;

use crate::bus::{
    Call, Cut, DialOutcome, DialRequest, Event, Expect, HistoryCommand, HistoryEvent, LinkEvent,
    LinkHandle, LinkId, LinkUp, Outbound, Reply, Request, SavedState, SignedBytes, SpawnCommand,
    StateOp, Verdict, reply_channel, wire_channel,
};
use crate::model::alert::{AlertRules, Notice};
use crate::model::fault::{Code, Fault};
use crate::model::key::PublicKey;
use crate::model::node::{NodeCard, Role};
use crate::model::peer::PeerView;
use crate::model::policy::Policy;
use crate::model::stats::Host;
use crate::model::time::{Mono, Now, Timestamp};
use crate::model::trust::Trust;
use crate::registry::{Out, Registry, Setup};
use crate::smsg::envelope::Envelope;
use crate::smsg::hello::Hello;
use crate::smsg::messages::Body;

pub use super::shapes::{profile, sample};

pub struct Node {
    pub registry: Registry,
    pub card: NodeCard,
    pub disk_full: bool,
    /// Nothing it says arrives and nothing reaches it; its links stand.
    pub frozen: bool,
    /// Another node answers at its address.
    pub impostor: Option<PublicKey>,
    /// Nobody can connect to it.
    pub cut_off: bool,
    /// What it does when told to start a miner.
    pub miners: MinerPlay,
    pub written: Vec<StateOp>,
    pub spawned: Vec<SpawnCommand>,
    pub dialled: Vec<(Mono, DialRequest)>,
    /// What it logged, which is where events show.
    pub logged: Vec<String>,
    pub seq: u64,
    /// Pings that it sent.
    pub pings: u32,
    /// Link, other node, the link's number there.
    links: BTreeMap<LinkId, (usize, LinkId)>,
    /// Its clock against the world's, in milliseconds.
    pub clock_ahead: i64,
    /// Sends with another sequence number than the next, as a replayed recording would.
    pub replay_seq: Option<u64>,
    /// Messages of its alerts; they arrive at once.
    pub notices: Vec<Notice>,
    /// What its hello says of the program.
    pub version: String,
    /// Its history thread: takes a command, or is told that time passed.
    pub history: Option<Played>,
    /// Questions for its history are answered by the test.
    pub asked_by_hand: bool,
}

pub type Played = Box<dyn FnMut(Option<HistoryCommand>, Now) -> Vec<HistoryEvent>>;

#[derive(Clone)]
pub enum MinerPlay {
    Hash(f64),
    /// The process lives, its API is silent.
    Mute,
    Exit {
        permanent: bool,
    },
    /// SIGTERM does nothing for now.
    Stubborn,
}

pub struct World {
    pub nodes: Vec<Node>,
    pub now: Now,
    pub queue: VecDeque<(usize, Event)>,
    links: u64,
    /// Who was asked for its history, when, behind which second, and in which message.
    pub asked: Vec<(Mono, usize, i64, String)>,
}

/// Where a node answers, by its place in the world.
pub fn address(node: usize) -> String {
    format!("10.0.0.{node}:9091")
}

impl World {
    pub fn new(roles: &[Role]) -> Self {
        let now = Now { mono: Mono(1_000_000), wall: Timestamp(1_700_000_000_000) };
        let mut world =
            Self { nodes: Vec::new(), now, queue: VecDeque::new(), links: 0, asked: Vec::new() };
        for role in roles {
            world.add(*role, SavedState::default());
        }
        world
    }

    pub fn add(&mut self, role: Role, saved: SavedState) -> usize {
        self.add_with(role, saved, Policy::default())
    }

    pub fn add_with(&mut self, role: Role, saved: SavedState, policy: Policy) -> usize {
        let number = u8::try_from(self.nodes.len()).unwrap();
        let key = PublicKey([number + 1; 32]);
        let card = NodeCard {
            id: key.node_id(),
            name: format!("node-{number}"),
            role,
            public_key: key,
            fingerprint: key.fingerprint(),
            signing_key: PublicKey([number + 101; 32]),
            created_at: self.now.wall,
        };
        let setup = setup(card.clone(), policy);
        let (registry, out) = Registry::new(setup, saved, self.now);
        self.nodes.push(Node {
            registry,
            card,
            disk_full: false,
            frozen: false,
            impostor: None,
            cut_off: false,
            miners: MinerPlay::Hash(1000.0),
            written: Vec::new(),
            spawned: Vec::new(),
            dialled: Vec::new(),
            logged: Vec::new(),
            seq: 1,
            pings: 0,
            links: BTreeMap::new(),
            clock_ahead: 0,
            replay_seq: None,
            notices: Vec::new(),
            version: "1.0".to_owned(),
            history: None,
            asked_by_hand: false,
        });
        let node = self.nodes.len() - 1;
        self.carry_out(node, out);
        self.settle();
        node
    }

    pub fn id(&self, node: usize) -> String {
        self.nodes[node].card.id.to_string()
    }

    /// Gives `node` an event and lets everything that follows from it happen.
    pub fn event(&mut self, node: usize, event: Event) {
        self.queue.push_back((node, event));
        self.settle();
    }

    pub fn ask(&mut self, node: usize, request: Request) -> Receiver<Result<Reply, Fault>> {
        let (reply, answer) = reply_channel();
        self.event(node, Event::Call(Call { request, who: "local:token", reply }));
        answer
    }

    /// The answer that is there at once.
    pub fn call(&mut self, node: usize, request: Request) -> Result<Reply, Fault> {
        let answer = self.ask(node, request);
        answer.try_recv().expect("the answer came without waiting")
    }

    /// The answer, letting time go by for at most a minute.
    pub fn call_later(&mut self, node: usize, request: Request) -> Result<Reply, Fault> {
        let answer = self.ask(node, request);
        for _ in 0..600 {
            if let Ok(result) = answer.try_recv() {
                return result;
            }
            self.pass(Duration::from_millis(100));
        }
        panic!("no answer within a minute");
    }

    /// Lets time go by in steps of 100 ms, with a beat every 10 s.
    pub fn pass(&mut self, time: Duration) {
        self.pass_in_steps(time, 100);
    }

    pub fn pass_in_steps(&mut self, time: Duration, ms: u64) {
        let end = self.now.mono.plus(time);
        while self.now.mono < end {
            let before = self.now.mono.0 / 10_000_000;
            let mono = self.now.mono.plus(Duration::from_millis(ms));
            self.now = Now { mono, wall: self.now.wall.plus_ms(ms as i64) };
            for node in 0..self.nodes.len() {
                if self.nodes[node].frozen {
                    continue;
                }
                let now = self.now_of(node);
                let out = self.nodes[node].registry.fire(now);
                self.carry_out(node, out);
                self.history(node, None);
                if self.now.mono.0 / 10_000_000 != before {
                    self.sample(node);
                    self.queue.push_back((node, Event::Host(Host::default())));
                }
                self.settle();
            }
        }
    }

    fn history(&mut self, node: usize, command: Option<HistoryCommand>) {
        let now = self.now_of(node);
        let Some(played) = &mut self.nodes[node].history else { return };
        let events = played(command, now);
        self.queue.extend(events.into_iter().map(|event| (node, Event::History(event))));
    }

    pub fn now_of(&self, node: usize) -> Now {
        Now { wall: self.now.wall.plus_ms(self.nodes[node].clock_ahead), ..self.now }
    }

    pub fn settle(&mut self) {
        while let Some((node, event)) = self.queue.pop_front() {
            if self.nodes[node].frozen {
                continue;
            }
            let now = self.now_of(node);
            let out = self.nodes[node].registry.handle(event, now);
            self.carry_out(node, out);
        }
    }

    pub fn carry_out(&mut self, node: usize, out: Vec<Out>) {
        for one in out {
            match one {
                Out::Reply { to, reply } => drop(to.try_send(reply)),
                Out::Verdict { to, verdict } => drop(to.try_send(verdict)),
                Out::Part { to, part, .. } => drop(to.try_send(part)),
                Out::Store(command) => {
                    let full = self.nodes[node].disk_full;
                    if !full {
                        self.nodes[node].written.extend(command.ops);
                    }
                    let result =
                        if full { Err(Fault::new(Code::NotSaved, "disk full")) } else { Ok(()) };
                    if let Some(ticket) = command.ticket {
                        self.queue.push_back((node, Event::Stored { ticket, result }));
                    }
                }
                Out::Dial(request) => {
                    let at = self.now.mono;
                    self.nodes[node].dialled.push((at, request.clone()));
                    self.dial(node, request);
                }
                Out::Send { link, message } => self.send(node, link, message),
                Out::Cut { link } => self.cut(node, link, "cut"),
                Out::Spawn(command) => self.spawn(node, command),
                Out::Live { follow, to, part } => match to.try_send(part) {
                    Ok(()) => {}
                    Err(e) if e.is_full() => self.nodes[node].registry.live_lost(follow),
                    Err(_) => self.nodes[node].registry.unwatch(follow),
                },
                Out::Tell { follow, to, part } => {
                    if let Err(refused) = to.try_send(part) {
                        let full = refused.is_full().then(|| refused.into_inner());
                        self.nodes[node].registry.events_lost(follow, full.as_ref());
                    }
                }
                Out::Log(_, text) => self.nodes[node].logged.push(text),
                Out::Alert(command) => self.alert(node, command),
                Out::History(command) => self.history(node, Some(command)),
                Out::ForgetLog { .. } | Out::End => {}
            }
        }
    }

    // ---- links ----

    pub fn hello(&self, node: usize, asking: Option<String>, invite: Option<String>) -> Hello {
        let card = &self.nodes[node].card;
        Hello {
            name: card.name.clone(),
            role: card.role,
            version: self.nodes[node].version.clone(),
            protocols: vec![1],
            signing_key: card.signing_key,
            signature: String::new(),
            invite,
            asking,
            time: self.now_of(node).wall,
        }
    }

    fn dial(&mut self, node: usize, request: DialRequest) {
        let DialRequest { dial, address, trust: _, expect, asking } = request;
        let target = (0..self.nodes.len()).find(|n| self::address(*n) == address);
        let fail = |outcome| (node, Event::Link(LinkEvent::NotDialled { dial, outcome }));
        let Some(target) = target.filter(|t| !self.nodes[*t].cut_off && !self.nodes[*t].frozen)
        else {
            let answered = target.is_some_and(|t| self.nodes[t].frozen);
            let reason = "connection refused".to_owned();
            return self.queue.push_back(fail(DialOutcome::Failed { answered, reason }));
        };
        let key = self.nodes[target].impostor.unwrap_or(self.nodes[target].card.public_key);
        let right = match expect {
            Expect::Anyone => true,
            Expect::Key(expected) => expected == key,
            Expect::Issuer(invite) => invite.is_from(&key),
        };
        if !right {
            return self.queue.push_back(fail(DialOutcome::WrongKey { got: key }));
        }
        let invite = match expect {
            Expect::Issuer(invite) => Some(data_encoding::BASE64.encode(&invite.secret)),
            _ => None,
        };
        let hello = self.hello(node, asking, invite);
        let answer = self.greet(target, node, hello.clone());
        match answer {
            Some(Verdict::Welcome) => self.connect(node, target, hello, dial),
            Some(Verdict::NotRegistered { request, reason }) => {
                self.queue.push_back(fail(DialOutcome::NotRegistered { key, request, reason }));
            }
            None => {
                let reason = "no answer".to_owned();
                self.queue.push_back(fail(DialOutcome::Failed { answered: true, reason }));
            }
        }
    }

    /// `hello` of `from`, said to `node`.
    pub fn greet(&mut self, node: usize, from: usize, hello: Hello) -> Option<Verdict> {
        self.greet_from(node, from, u8::try_from(from).unwrap(), hello)
    }

    /// The same from the address 10.0.0.`host`.
    pub fn greet_from(
        &mut self,
        node: usize,
        from: usize,
        host: u8,
        hello: Hello,
    ) -> Option<Verdict> {
        let source = IpAddr::V4(Ipv4Addr::new(10, 0, 0, host));
        let key = self.nodes[from].card.public_key;
        self.greet_as(node, key, source, hello)
    }

    pub fn greet_as(
        &mut self,
        node: usize,
        key: PublicKey,
        source: IpAddr,
        hello: Hello,
    ) -> Option<Verdict> {
        let (reply, answer) = reply_channel();
        self.event(
            node,
            Event::Link(LinkEvent::Greeting { source, key, hello: Box::new(hello), reply }),
        );
        answer.try_recv().ok()
    }

    fn connect(&mut self, node: usize, target: usize, hello: Hello, dial: crate::bus::DialId) {
        let (here, there) = (LinkId(self.links), LinkId(self.links + 1));
        self.links += 2;
        self.nodes[node].links.insert(here, (target, there));
        self.nodes[target].links.insert(there, (node, here));
        let welcome = self.hello(target, None, None);
        let up = |link, key, hello, dial, remote| {
            let (outbox, _) = wire_channel(1);
            let handle = LinkHandle { outbox, cut: Cut(Arc::new(|| {})) };
            Event::Link(LinkEvent::Up(Box::new(LinkUp { link, key, hello, dial, remote, handle })))
        };
        let (my_key, its_key) =
            (self.nodes[node].card.public_key, self.nodes[target].card.public_key);
        self.queue.push_back((target, up(there, my_key, hello, None, address(node))));
        self.queue.push_back((node, up(here, its_key, welcome, Some(dial), address(target))));
    }

    /// A second link to the same node, as one whose other end lost the first dials it.
    pub fn link_again(&mut self, node: usize, target: usize) {
        let hello = self.hello(node, None, None);
        self.connect(node, target, hello, crate::bus::DialId(u64::MAX));
        self.settle();
    }

    fn send(&mut self, node: usize, link: LinkId, message: Outbound) {
        let Some((target, there)) = self.nodes[node].links.get(&link).copied() else { return };
        match message {
            Outbound::Message { id, reply_to, body } => {
                if let Body::GetHistory { after } = *body {
                    self.asked.push((self.now.mono, target, after, id.clone()));
                    if self.nodes[target].asked_by_hand {
                        return;
                    }
                }
                self.nodes[node].pings += u32::from(matches!(*body, Body::Ping {}));
                self.nodes[node].seq += 1;
                let seq = self.nodes[node].replay_seq.unwrap_or(self.nodes[node].seq);
                let (from, to) = (self.nodes[node].card.id, self.nodes[target].card.id);
                let ts = self.now_of(node).wall;
                let envelope = Envelope { id, from, to, ts, seq, reply_to, body: *body };
                let raw = SignedBytes(b"signed".to_vec());
                self.queue.push_back((
                    target,
                    Event::Link(LinkEvent::Message { link: there, envelope, raw }),
                ));
            }
            Outbound::Close { reason } => self.cut(node, link, &reason),
            Outbound::Tail { reply_to, lines, .. } => {
                let lines = (0..lines.min(3)).map(|i| format!("line {i}")).collect();
                let body =
                    Body::LogLines(crate::smsg::messages::LogLines { lines, ..Default::default() });
                let message = Outbound::Message {
                    id: "tail".to_owned(),
                    reply_to: Some(reply_to),
                    body: Box::new(body),
                };
                self.send(node, link, message);
            }
            _ => {}
        }
    }

    /// Ends a link at both ends.
    pub fn cut(&mut self, node: usize, link: LinkId, reason: &str) {
        let Some((target, there)) = self.nodes[node].links.remove(&link) else { return };
        self.nodes[target].links.remove(&there);
        for (node, link) in [(node, link), (target, there)] {
            self.queue.push_back((
                node,
                Event::Link(LinkEvent::Down { link, reason: reason.to_owned() }),
            ));
        }
    }

    pub fn cut_all(&mut self, node: usize) {
        for link in self.nodes[node].links.keys().copied().collect::<Vec<_>>() {
            self.cut(node, link, "the network went away");
        }
        self.settle();
    }

    pub fn links_of(&self, node: usize) -> usize {
        self.nodes[node].links.len()
    }

    /// A message of `node` to its only peer, made by hand.
    pub fn say(&mut self, node: usize, body: Body) {
        let link = *self.nodes[node].links.keys().next().expect("it is linked");
        self.send(
            node,
            link,
            Outbound::Message { id: "by-hand".to_owned(), reply_to: None, body: Box::new(body) },
        );
        self.settle();
    }

    /// An answer of `node` to its only peer, to a request that was perhaps never sent to it.
    pub fn answer(&mut self, node: usize, to: &str, body: Body) {
        let link = *self.nodes[node].links.keys().next().expect("it is linked");
        let reply_to = Some(to.to_owned());
        let id = "by-hand".to_owned();
        self.send(node, link, Outbound::Message { id, reply_to, body: Box::new(body) });
        self.settle();
    }

    // ---- short cuts ----

    pub fn peers(&mut self, node: usize) -> Vec<PeerView> {
        match self.call(node, Request::Peers) {
            Ok(Reply::Peers(peers)) => peers,
            other => panic!("{other:?}"),
        }
    }

    pub fn add_request(target: usize, name: &str) -> Request {
        Request::AddPeer {
            address: address(target),
            trust: Trust::System,
            name: Some(name.to_owned()),
            invite: None,
            public_key: None,
        }
    }

    /// A controller (0) linked with a rig (1) that it calls `rig`.
    pub fn linked() -> Self {
        Self::linked_with(Policy::default())
    }

    /// The same with a rig that has this policy.
    pub fn linked_with(policy: Policy) -> Self {
        let mut world = Self::new(&[Role::Controller]);
        world.add_with(Role::Worker, SavedState::default(), policy);
        world.call(0, Self::add_request(1, "rig")).unwrap();
        let id = world.id(0);
        world.call(1, Request::Approve { peer: id }).unwrap();
        world.pass(Duration::from_secs(5));
        assert_eq!(world.links_of(0), 1, "linked after the approval");
        world
    }
}

pub fn setup(me: NodeCard, policy: Policy) -> Setup {
    Setup {
        seed: [me.public_key.0[0] - 1; 32],
        me,
        version: "1.0".to_owned(),
        listen: None,
        api: "http://127.0.0.1:1".to_owned(),
        policy,
        alerts: AlertRules::default(),
        history: crate::model::history::HistoryStatus::default(),
    }
}
