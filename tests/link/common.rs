//! Nodes with a fake registry, and raw peers that can do wrong what a node does right.
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};
use miner_cli::bus::{
    self, DialId, DialOutcome, DialRequest, Event, Expect, LinkEvent, LinkId, LinkUp, Outbound,
    SignedBytes, Verdict,
};
use miner_cli::identity::Identity;
use miner_cli::link::{Listening, Shared, Times, dialler, listen};
use miner_cli::logs::Logs;
use miner_cli::model::key::PublicKey;
use miner_cli::model::node::Role;
use miner_cli::model::trust::{Trust, WSS};
use miner_cli::noise::{Handshake, Transport};
use miner_cli::smsg::envelope::{Envelope, open, seal};
use miner_cli::smsg::hello::{Answer, Hello};
use miner_cli::smsg::limits;
use miner_cli::smsg::messages::Body;
use miner_cli::sys::{clock, random, thread};
use tungstenite::{Message, WebSocket};

use crate::TLS;
use crate::tls_support::{Far, good};

/// Longer than anything here takes; only a test that fails waits for it.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub fn identity(name: &str) -> Identity {
    let folder = std::env::temp_dir().join(format!("link-{}", random::hex::<8>()));
    let (card, key) = (folder.join("node.json"), folder.join("private.key"));
    let made = Identity::create(&card, &key, name, Role::Dual, clock::wall()).unwrap();
    std::fs::remove_dir_all(folder).unwrap();
    made
}

/// A node without a registry of its own: the test hears the link events and decides who is welcome.
pub struct Node {
    pub shared: Arc<Shared>,
    pub address: String,
    pub logs: Arc<Logs>,
    pub welcome: Arc<AtomicBool>,
    pub greetings: Arc<AtomicUsize>,
    pub hellos: Arc<Mutex<Vec<Hello>>>,
    events: Option<Receiver<LinkEvent>>,
    dials: Option<Sender<DialRequest>>,
    next_dial: AtomicU64,
    listening: Option<Listening>,
    threads: Vec<JoinHandle<()>>,
}

impl Node {
    pub fn start(name: &str) -> Self {
        Self::with(name, Times::default())
    }

    pub fn with(name: &str, times: Times) -> Self {
        Self::under(name, times, TLS)
    }

    /// Whatever these tests are about, without TLS.
    #[allow(dead_code, reason = "the tests of TLS need it")]
    pub fn plain(name: &str) -> Self {
        Self::under(name, Times::default(), false)
    }

    fn under(name: &str, times: Times, tls: bool) -> Self {
        let identity = Arc::new(identity(name));
        let logs = Arc::new(Logs::default());
        let (events, heard) = bus::wire_channel(1000);
        let mut shared = Shared::new(identity, events, logs.clone(), 3);
        shared.times = times;
        shared.tls = tls.then(|| good().server());
        let shared = Arc::new(shared);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let scheme = if tls { WSS } else { "" };
        let address = format!("{scheme}{}", listener.local_addr().unwrap());
        let listening = Some(listen(vec![listener], &shared).unwrap());
        let (dials, requests) = bus::wire_channel(64);
        let dialling = dialler(requests, shared.clone()).unwrap();
        let (out, events) = bus::wire_channel(100_000);
        let mut node = Self {
            shared,
            address,
            logs,
            welcome: Arc::new(AtomicBool::new(true)),
            greetings: Arc::default(),
            hellos: Arc::default(),
            events: Some(events),
            dials: Some(dials),
            next_dial: AtomicU64::new(1),
            listening,
            threads: vec![dialling],
        };
        node.threads.push(node.registry(heard, out));
        node
    }

    /// Answers callers and passes everything else on to the test.
    fn registry(&self, heard: Receiver<Event>, out: Sender<LinkEvent>) -> JoinHandle<()> {
        let (welcome, greetings) = (self.welcome.clone(), self.greetings.clone());
        let hellos = self.hellos.clone();
        thread::spawn("registry", move || {
            for event in heard {
                match event {
                    Event::Link(LinkEvent::Greeting { key, hello, reply, .. }) => {
                        greetings.fetch_add(1, Ordering::SeqCst);
                        hellos.lock().unwrap().push(*hello);
                        let answer = if welcome.load(Ordering::SeqCst) {
                            Verdict::Welcome
                        } else {
                            let reason = Some("no\u{1b}[2J".to_owned());
                            Verdict::NotRegistered { request: Some(key.node_id()), reason }
                        };
                        let _ = reply.try_send(answer);
                    }
                    Event::Link(event) => drop(out.try_send(event)),
                    Event::End => return,
                    _ => {}
                }
            }
        })
        .unwrap()
    }

    pub fn key(&self) -> PublicKey {
        self.shared.identity.card.public_key
    }

    pub fn dial(&self, address: &str, expect: Expect) -> DialId {
        let dial = DialId(self.next_dial.fetch_add(1, Ordering::SeqCst));
        let (address, trust) = (address.to_owned(), Trust::Pin(good().pin));
        let asking = Some("word".to_owned());
        self.dial_with(DialRequest { dial, address, trust, expect, asking });
        dial
    }

    pub fn dial_with(&self, request: DialRequest) {
        self.dials.as_ref().unwrap().send(request).unwrap();
    }

    pub fn next(&self) -> LinkEvent {
        self.events.as_ref().unwrap().recv_timeout(PATIENCE).expect("an event comes")
    }

    /// Whether nothing has been heard so far.
    pub fn is_quiet(&self) -> bool {
        self.events.as_ref().unwrap().is_empty()
    }

    pub fn up(&self) -> Box<LinkUp> {
        match self.next() {
            LinkEvent::Up(up) => up,
            other => panic!("{other:?} instead of Up"),
        }
    }

    pub fn message(&self) -> (LinkId, Envelope, SignedBytes) {
        match self.next() {
            LinkEvent::Message { link, envelope, raw } => (link, envelope, raw),
            other => panic!("{other:?} instead of Message"),
        }
    }

    pub fn down(&self) -> String {
        match self.next() {
            LinkEvent::Down { reason, .. } => reason,
            other => panic!("{other:?} instead of Down"),
        }
    }

    /// The reason of Down, whatever messages come before it, and how many.
    pub fn down_after_messages(&self) -> (usize, String) {
        let mut messages = 0;
        loop {
            match self.next() {
                LinkEvent::Down { reason, .. } => return (messages, reason),
                LinkEvent::Message { .. } => messages += 1,
                other => panic!("{other:?} instead of Down"),
            }
        }
    }

    pub fn not_dialled(&self) -> DialOutcome {
        match self.next() {
            LinkEvent::NotDialled { outcome, .. } => outcome,
            other => panic!("{other:?} instead of NotDialled"),
        }
    }

    /// Links `self` (which dials) with `other`.
    pub fn link(&self, other: &Self) -> (Box<LinkUp>, Box<LinkUp>) {
        self.dial(&other.address, Expect::Anyone);
        (self.up(), other.up())
    }
}

impl Drop for Node {
    /// Every thread ends, or the test fails.
    fn drop(&mut self) {
        drop(self.events.take());
        drop(self.dials.take());
        self.listening.take().unwrap().stop();
        let ended = self.shared.wait(Instant::now() + PATIENCE);
        let _ = self.shared.events.send(Event::End);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
        assert!(ended || std::thread::panicking(), "a thread of a link never ended");
    }
}

pub fn message(id: &str, body: Body) -> Box<Outbound> {
    Box::new(Outbound::Message { id: id.to_owned(), reply_to: None, body: Box::new(body) })
}

/// As a node of these tests dials it.
pub fn address_of(listener: &TcpListener) -> String {
    let scheme = if TLS { WSS } else { "" };
    format!("{scheme}{}", listener.local_addr().unwrap())
}

/// `host:port`.
pub fn bare(address: &str) -> &str {
    address.strip_prefix(WSS).unwrap_or(address)
}

/// A connection whose reads fail rather than wait for ever.
pub fn tcp(address: &str) -> Far {
    Far::connect(address)
}

/// The next caller of a server that is no node.
pub fn accept(listener: &TcpListener) -> Far {
    Far::accept(listener, TLS)
}

pub type Socket = WebSocket<Far>;

pub fn websocket(address: &str) -> Socket {
    tungstenite::client(format!("ws://{}/ws", bare(address)), tcp(address)).unwrap().0
}

pub fn binary(ws: &mut Socket) -> Vec<u8> {
    match ws.read().unwrap() {
        Message::Binary(bytes) => bytes.to_vec(),
        other => panic!("{other:?} instead of binary"),
    }
}

/// Whether the other side ends the connection without a further data message.
pub fn is_closed(ws: &mut Socket) -> bool {
    match ws.read() {
        Ok(Message::Close(_)) => true,
        Err(tungstenite::Error::Io(e)) => e.kind() != std::io::ErrorKind::WouldBlock,
        other => other.is_err(),
    }
}

/// A caller that has sent message 3 and holds the answer.
pub struct Raw {
    pub ws: Socket,
    pub transport: Transport,
    pub me: Identity,
    pub peer: PublicKey,
    pub peer_signs: Option<PublicKey>,
    pub answer: Answer,
    pub seq: u64,
}

/// The handshake up to message 3, which is returned and not sent.
pub fn until_message_3(
    address: &str,
    me: &Identity,
    hello: &Hello,
) -> (Socket, Handshake, Vec<u8>) {
    let mut ws = websocket(address);
    let mut noise = Handshake::initiator(me.secret(), limits::PROLOGUE);
    ws.send(Message::binary(noise.write_message(&[]).unwrap())).unwrap();
    let payload = noise.read_message(&binary(&mut ws)).unwrap();
    assert!(payload.is_empty(), "message 2 tells nothing");
    let third = noise.write_message(&serde_json::to_vec(hello).unwrap()).unwrap();
    (ws, noise, third)
}

impl Raw {
    pub fn connect(node: &Node) -> Self {
        let me = identity("raw");
        let hello = me.hello(None, None, clock::wall());
        Self::introduce(&node.address, me, &hello)
    }

    pub fn introduce(address: &str, me: Identity, hello: &Hello) -> Self {
        let (mut ws, noise, third) = until_message_3(address, &me, hello);
        let peer = PublicKey(noise.remote_static().unwrap());
        ws.send(Message::binary(third)).unwrap();
        let mut transport = noise.finish().unwrap();
        let mut plain = Vec::new();
        transport.receive.open(&binary(&mut ws), &mut plain).unwrap();
        let answer: Answer = serde_json::from_slice(&plain).unwrap();
        let peer_signs = match &answer {
            Answer::Welcome { hello } => Some(hello.signing_key),
            Answer::NotRegistered { .. } => None,
        };
        Self { ws, transport, me, peer, peer_signs, answer, seq: 1 }
    }

    pub fn envelope(&mut self, body: Body) -> Envelope {
        self.seq += 1;
        Envelope {
            id: format!("r{}", self.seq),
            from: self.me.card.id,
            to: self.peer.node_id(),
            ts: clock::wall(),
            seq: self.seq,
            reply_to: None,
            body,
        }
    }

    pub fn signed(&self, envelope: &Envelope) -> Vec<u8> {
        seal(envelope, |bytes| self.me.sign(bytes)).unwrap()
    }

    pub fn sealed(&mut self, plain: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        self.transport.send.seal(plain, &mut out).unwrap();
        out
    }

    /// A good next message, as it goes into a WebSocket frame.
    pub fn next(&mut self, body: Body) -> Vec<u8> {
        let envelope = self.envelope(body);
        let signed = self.signed(&envelope);
        self.sealed(&signed)
    }

    pub fn send_bytes(&mut self, bytes: Vec<u8>) {
        self.ws.send(Message::binary(bytes)).unwrap();
    }

    pub fn send(&mut self, body: Body) {
        let bytes = self.next(body);
        self.send_bytes(bytes);
    }

    pub fn send_plain(&mut self, plain: &[u8]) {
        let bytes = self.sealed(plain);
        self.send_bytes(bytes);
    }

    /// The next envelope of the other side, checked as a node checks it.
    pub fn receive(&mut self) -> Envelope {
        let bytes = binary(&mut self.ws);
        let mut plain = Vec::new();
        self.transport.receive.open(&bytes, &mut plain).unwrap();
        let key = ed25519_dalek::VerifyingKey::from_bytes(&self.peer_signs.unwrap().0).unwrap();
        open(&plain, &key, self.peer.node_id(), self.me.card.id).unwrap().content.unwrap()
    }

    /// The reason with which the other side says bye, then the end of the connection.
    pub fn bye(&mut self) -> String {
        let Body::Bye { reason } = self.receive().body else { panic!("no bye") };
        assert!(is_closed(&mut self.ws));
        reason
    }
}
