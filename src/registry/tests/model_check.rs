//! One link per peer, whatever order things happen in: three registries behind a network that delivers in random
//! order, loses closes, lets dials cross, while peers are removed and added. After every step the books must agree;
//! once the network is whole again every two nodes that know each other share exactly one link.
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::{Strategy, prop, prop_oneof, proptest};
use proptest::test_runner::Config;

use super::world::{address, setup};
use crate::bus::{
    Call, Cut, DialOutcome, DialRequest, Event, LinkEvent, LinkHandle, LinkId, LinkUp, Outbound,
    Request, SavedState, SignedBytes, Verdict, reply_channel, wire_channel,
};
use crate::model::key::PublicKey;
use crate::model::node::{NodeCard, Role};
use crate::model::peer::PeerRecord;
use crate::model::policy::Policy;
use crate::model::stats::Host;
use crate::model::time::{Mono, Now, Timestamp};
use crate::model::trust::Trust;
use crate::registry::{Out, Registry};
use crate::smsg::envelope::Envelope;
use crate::smsg::hello::Hello;

const NODES: usize = 3;
const ROLES: [Role; NODES] = [Role::Controller, Role::Dual, Role::Worker];

#[derive(Clone, Debug)]
enum Step {
    /// The so-manieth of what can happen next happens.
    Deliver(usize),
    /// A link breaks; each end hears of it some time.
    Break(usize),
    /// A link breaks and one end hears of it only when it has been silent for long.
    BreakUnseen(usize),
    Pass(u16),
    Remove(usize, usize),
    Add(usize, usize),
    Beat(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (0..40_usize).prop_map(Step::Deliver),
        2 => (0..8_usize).prop_map(Step::Break),
        1 => (0..8_usize).prop_map(Step::BreakUnseen),
        4 => (1..12_000_u16).prop_map(Step::Pass),
        1 => (0..NODES, 1..NODES).prop_map(|(a, d)| Step::Remove(a, (a + d) % NODES)),
        1 => (0..NODES, 1..NODES).prop_map(|(a, d)| Step::Add(a, (a + d) % NODES)),
        1 => (0..NODES).prop_map(Step::Beat),
    ]
}

/// Something that is on its way to a node. What concerns one link comes in order, all else in any.
enum Coming {
    Event { link: Option<LinkId>, event: Box<Event>, not_before: Mono },
    Dial(DialRequest),
}

struct Node {
    registry: Registry,
    card: NodeCard,
    coming: Vec<Coming>,
    /// Links that the registry was told are up, and has neither closed nor heard the end of.
    open: BTreeSet<LinkId>,
    seq: u64,
}

struct Net {
    nodes: Vec<Node>,
    now: Now,
    /// Both ends of each connection.
    pipes: BTreeMap<(usize, LinkId), (usize, LinkId)>,
    count: u64,
}

impl Net {
    fn new() -> Self {
        let now = Now { mono: Mono(1_000_000), wall: Timestamp(1_700_000_000_000) };
        let mut net = Self { nodes: Vec::new(), now, pipes: BTreeMap::new(), count: 0 };
        for node in 0..NODES {
            let others = (0..NODES).filter(|n| *n != node);
            let peers = others.map(|n| record(n, now.wall)).collect();
            let saved = SavedState { peers, ..SavedState::default() };
            let (registry, out) = Registry::new(setup(card(node), Policy::default()), saved, now);
            let card = card(node);
            let (coming, open) = (Vec::new(), BTreeSet::new());
            net.nodes.push(Node { registry, card, coming, open, seq: 0 });
            net.carry_out(node, out);
        }
        net
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Deliver(which) => drop(self.deliver(which)),
            Step::Break(which) => self.break_link(which, Duration::ZERO),
            Step::BreakUnseen(which) => self.break_link(which, Duration::from_secs(45)),
            Step::Pass(ms) => self.pass(u64::from(ms)),
            Step::Remove(node, other) => {
                self.call(node, Request::RemovePeer { peer: card(other).id.to_string() });
            }
            Step::Add(node, other) => self.add(node, other),
            Step::Beat(node) => self.handle(node, Event::Host(Host::default())),
        }
    }

    fn add(&mut self, node: usize, other: usize) {
        let card = card(other);
        let public_key = Some(card.public_key);
        let (address, name, trust) = (address(other), Some(card.name), Trust::System);
        self.call(node, Request::AddPeer { address, trust, name, invite: None, public_key });
    }

    fn call(&mut self, node: usize, request: Request) {
        let (reply, _) = reply_channel();
        self.handle(node, Event::Call(Call { request, who: "local:token", reply }));
    }

    fn handle(&mut self, node: usize, event: Event) {
        let out = self.nodes[node].registry.handle(event, self.now);
        self.carry_out(node, out);
    }

    fn pass(&mut self, ms: u64) {
        let mono = self.now.mono.plus(Duration::from_millis(ms));
        self.now = Now { mono, wall: self.now.wall.plus_ms(i64::try_from(ms).unwrap()) };
        for node in 0..NODES {
            let out = self.nodes[node].registry.fire(self.now);
            self.carry_out(node, out);
        }
    }

    /// Lets one thing happen; false when nothing can.
    fn deliver(&mut self, which: usize) -> bool {
        let mut ready = Vec::new();
        for (node, Node { coming, .. }) in self.nodes.iter().enumerate() {
            let mut blocked = BTreeSet::new();
            for (at, one) in coming.iter().enumerate() {
                let Coming::Event { link, not_before, .. } = one else {
                    ready.push((node, at));
                    continue;
                };
                // What was stored comes back in the order it was written.
                let first = blocked.insert(*link);
                if first && *not_before <= self.now.mono {
                    ready.push((node, at));
                }
            }
        }
        if ready.is_empty() {
            return false;
        }
        let (node, at) = ready[which % ready.len()];
        match self.nodes[node].coming.remove(at) {
            Coming::Dial(request) => self.dial(node, &request),
            Coming::Event { event, .. } => {
                match event.as_ref() {
                    Event::Link(LinkEvent::Up(up)) => drop(self.nodes[node].open.insert(up.link)),
                    Event::Link(LinkEvent::Down { link, .. }) => {
                        self.nodes[node].open.remove(link);
                    }
                    _ => {}
                }
                self.handle(node, *event);
            }
        }
        true
    }

    fn push(&mut self, node: usize, link: Option<LinkId>, event: Event, wait: Duration) {
        let not_before = self.now.mono.plus(wait);
        self.nodes[node].coming.push(Coming::Event { link, event: Box::new(event), not_before });
    }

    fn dial(&mut self, node: usize, request: &DialRequest) {
        let target = (0..NODES).find(|n| address(*n) == request.address).unwrap();
        let (reply, verdict) = reply_channel();
        let hello = Box::new(hello(node, request.asking.clone(), self.now));
        let source = [10, 0, 0, 9].into();
        let key = card(node).public_key;
        self.handle(target, Event::Link(LinkEvent::Greeting { source, key, hello, reply }));
        match verdict.try_recv() {
            Ok(Verdict::Welcome) => self.connect(node, target, request),
            Ok(Verdict::NotRegistered { request: asked, reason }) => {
                let key = card(target).public_key;
                let outcome = DialOutcome::NotRegistered { key, request: asked, reason };
                let event = LinkEvent::NotDialled { dial: request.dial, outcome };
                self.push(node, None, Event::Link(event), Duration::ZERO);
            }
            Err(_) => panic!("no verdict"),
        }
    }

    fn connect(&mut self, node: usize, target: usize, request: &DialRequest) {
        let (here, there) = (LinkId(self.count), LinkId(self.count + 1));
        self.count += 2;
        self.pipes.insert((node, here), (target, there));
        self.pipes.insert((target, there), (node, here));
        let ends = [(node, here, target, Some(request.dial)), (target, there, node, None)];
        for (me, link, other, dial) in ends {
            let (outbox, _) = wire_channel(1);
            let handle = LinkHandle { outbox, cut: Cut(std::sync::Arc::new(|| {})) };
            let (key, hello) = (card(other).public_key, hello(other, None, self.now));
            let up = LinkUp { link, key, hello, dial, remote: address(other), handle };
            self.push(me, Some(link), Event::Link(LinkEvent::Up(Box::new(up))), Duration::ZERO);
        }
    }

    fn break_link(&mut self, which: usize, unseen_for: Duration) {
        let ends: Vec<_> = self.pipes.keys().copied().collect();
        if let Some((node, link)) = ends.get(which % ends.len().max(1)).copied() {
            self.end(node, link, unseen_for);
        }
    }

    /// The end of `link` at `node` hears after `unseen_for`, the other one at once.
    fn end(&mut self, node: usize, link: LinkId, unseen_for: Duration) {
        let Some((other, there)) = self.pipes.remove(&(node, link)) else { return };
        self.pipes.remove(&(other, there));
        for (node, link, wait) in [(node, link, unseen_for), (other, there, Duration::ZERO)] {
            let down = LinkEvent::Down { link, reason: "broken".to_owned() };
            self.push(node, Some(link), Event::Link(down), wait);
        }
    }

    fn carry_out(&mut self, node: usize, out: Vec<Out>) {
        for one in out {
            match one {
                Out::Verdict { to, verdict } => drop(to.try_send(verdict)),
                Out::Reply { to, reply } => drop(to.try_send(reply)),
                Out::Dial(request) => self.nodes[node].coming.push(Coming::Dial(request)),
                Out::Store(command) => {
                    if let Some(ticket) = command.ticket {
                        let stored = Event::Stored { ticket, result: Ok(()) };
                        self.push(node, None, stored, Duration::ZERO);
                    }
                }
                Out::Cut { link } => {
                    self.nodes[node].open.remove(&link);
                    self.end(node, link, Duration::ZERO);
                }
                Out::Send { link, message: Outbound::Close { .. } } => {
                    self.nodes[node].open.remove(&link);
                    self.end(node, link, Duration::ZERO);
                }
                Out::Send { link, message: Outbound::Message { id, reply_to, body } } => {
                    let Some((to, there)) = self.pipes.get(&(node, link)).copied() else {
                        continue;
                    };
                    self.nodes[node].seq += 1;
                    let (seq, ts) = (self.nodes[node].seq, self.now.wall);
                    let (from, addressee) = (card(node).id, card(to).id);
                    let body = *body;
                    let envelope = Envelope { id, from, to: addressee, ts, seq, reply_to, body };
                    let raw = SignedBytes(Vec::new());
                    let message = LinkEvent::Message { link: there, envelope, raw };
                    self.push(to, Some(there), Event::Link(message), Duration::ZERO);
                }
                _ => {}
            }
        }
    }

    /// What must hold at every moment.
    fn check(&self) {
        for Node { registry, card, open, .. } in &self.nodes {
            let me = &card.name;
            let held: BTreeMap<LinkId, PublicKey> = registry
                .peers
                .iter()
                .filter_map(|(key, peer)| Some((peer.link.as_ref()?.id, *key)))
                .collect();
            let known: BTreeMap<LinkId, PublicKey> =
                registry.links.iter().map(|(link, key)| (*link, *key)).collect();
            assert_eq!(held, known, "{me}: the table of links and the peers' own disagree");
            for link in open {
                assert!(held.contains_key(link), "{me}: {link:?} is open and belongs to nobody");
            }
            for (key, peer) in &registry.peers {
                let theirs = registry.waiting.values().filter(|w| w.key == *key);
                assert_eq!(theirs.clone().count(), peer.outstanding, "{me}: requests in flight");
                let current = peer.link.as_ref().map(|l| l.id);
                assert!(theirs.clone().all(|w| Some(w.link) == current), "{me}: of an older link");
            }
            let gone = |key: &PublicKey| !registry.peers.contains_key(key);
            assert!(!registry.waiting.values().any(|w| gone(&w.key)), "{me}: of a removed peer");
        }
    }

    /// The network is whole and time goes by: everybody who is known on both sides is linked, once.
    fn heal_and_check(&mut self) {
        for second in 0..300 {
            while self.deliver(0) {
                self.check();
            }
            self.pass(1000);
            if second % 10 == 0 {
                (0..NODES).for_each(|node| self.handle(node, Event::Host(Host::default())));
            }
        }
        let knows = |a: usize, b: usize| {
            let peer = self.nodes[a].registry.peers.get(&card(b).public_key);
            peer.is_some_and(|p| p.record.asking.is_none())
        };
        for a in 0..NODES {
            for b in a + 1..NODES {
                let links = self.pipes.iter().filter(|((x, _), (y, _))| (*x, *y) == (a, b)).count();
                // Who was refused tries again within the hour; who was never removed is linked now.
                let both = knows(a, b) && knows(b, a);
                assert!(links <= 1, "{a} and {b} have {links} links");
                let refused = |x: usize, y: usize| {
                    let peer = self.nodes[x].registry.peers.get(&card(y).public_key);
                    peer.and_then(|p| p.reason.clone()).is_some_and(|r| r.contains("registered"))
                };
                let waits = both && links == 0 && refused(a, b) && refused(b, a);
                assert!(waits || links == usize::from(both), "{a} and {b}: {links}, known: {both}");
            }
        }
    }
}

fn card(node: usize) -> NodeCard {
    let number = u8::try_from(node).unwrap();
    let key = PublicKey([number + 1; 32]);
    NodeCard {
        id: key.node_id(),
        name: format!("node-{node}"),
        role: ROLES[node],
        public_key: key,
        fingerprint: key.fingerprint(),
        signing_key: PublicKey([number + 101; 32]),
        created_at: Timestamp(1_700_000_000_000),
    }
}

fn record(node: usize, at: Timestamp) -> PeerRecord {
    let card = card(node);
    PeerRecord {
        key: card.public_key,
        name: card.name,
        address: Some(address(node)),
        trust: Trust::System,
        role: Some(card.role),
        signing_key: Some(card.signing_key),
        version: None,
        added_at: at,
        last_seen: Some(at),
        labels: BTreeMap::new(),
        asking: None,
        last_command: 0,
    }
}

fn hello(node: usize, asking: Option<String>, now: Now) -> Hello {
    let card = card(node);
    Hello {
        name: card.name,
        role: card.role,
        version: "1.0".to_owned(),
        protocols: vec![1],
        signing_key: card.signing_key,
        signature: String::new(),
        invite: None,
        asking,
        time: now.wall,
    }
}

proptest! {
    #![proptest_config(Config { cases: 2000, ..Config::default() })]

    #[test]
    fn peers_share_one_link_whatever_order_things_happen_in(steps in prop::collection::vec(step(), 1..120)) {
        let mut net = Net::new();
        for step in &steps {
            net.take(step);
            net.check();
        }
        net.heal_and_check();
    }
}
