//! Who is called, who calls, and what is said to whom.
use std::net::TcpListener;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use miner_cli::bus::{DialOutcome, Expect};
use miner_cli::link::Times;
use miner_cli::model::invite::InviteCode;
use miner_cli::model::key::PublicKey;
use miner_cli::noise::Handshake;
use miner_cli::smsg::hello::Answer;
use miner_cli::smsg::limits;
use miner_cli::smsg::messages::Body;
use miner_cli::sys::{clock, thread};
use tungstenite::Message;

use super::common::{
    Node, Raw, accept, address_of, bare, binary, identity, is_closed, message, until_message_3,
    websocket,
};

#[test]
fn both_ends_know_each_other_and_talk() {
    let (a, b) = (Node::start("rig-alpha"), Node::start("rig-beta"));
    let dial = a.dial(&b.address, Expect::Key(b.key()));
    let (at_a, at_b) = (a.up(), b.up());
    assert_eq!((at_a.key, at_a.hello.name.as_str(), at_a.dial), (b.key(), "rig-beta", Some(dial)));
    assert_eq!((at_b.key, at_b.hello.name.as_str(), at_b.dial), (a.key(), "rig-alpha", None));
    assert_eq!(at_a.remote, bare(&b.address));
    at_a.handle.outbox.send(message("one", Body::Ping {})).unwrap();
    let (link, envelope, raw) = b.message();
    assert_eq!((link, envelope.id.as_str(), envelope.body), (at_b.link, "one", Body::Ping {}));
    assert_eq!((envelope.from, envelope.to), (a.key().node_id(), b.key().node_id()));
    assert_eq!(envelope.seq >> 32, 3, "the epoch is the upper half");
    assert!(raw.0.is_empty(), "what asks for nothing needs no proof");
    at_a.handle.outbox.send(message("ask", Body::ListProfiles {})).unwrap();
    assert!(b.message().2.0.len() > 64, "signature and text of a question are kept");
    at_b.handle.outbox.send(message("two", Body::Pong {})).unwrap();
    assert_eq!(a.message().1.id, "two");
    (at_a.handle.cut.0)();
    assert_eq!(a.down(), "this node cut the link");
    assert_eq!(b.down(), "the connection ended");
}

#[test]
fn a_close_says_what_was_queued_before_it_and_why() {
    let (a, b) = (Node::start("a"), Node::start("b"));
    let (at_a, _at_b) = a.link(&b);
    for i in 0..40 {
        at_a.handle.outbox.send(message(&format!("m{i}"), Body::Ping {})).unwrap();
    }
    let close = miner_cli::bus::Outbound::Close { reason: "removed".to_owned() };
    at_a.handle.outbox.send(close.into()).unwrap();
    // Letting go of the link at once loses nothing either.
    drop(at_a);
    for i in 0..40 {
        assert_eq!(b.message().1.id, format!("m{i}"));
    }
    assert_eq!(b.down(), "the other side ended the link: removed");
    assert_eq!(a.down(), "removed");
}

#[test]
fn a_link_ends_when_the_registry_lets_go_of_it() {
    let (a, b) = (Node::start("a"), Node::start("b"));
    let (at_a, _at_b) = a.link(&b);
    drop(at_a);
    assert_eq!(b.down(), "the other side ended the link: the daemon stops");
    assert_eq!(a.down(), "the daemon stops");
}

#[test]
fn a_stranger_hears_one_answer_and_no_more() {
    let node = Node::start("secret-name");
    node.welcome.store(false, Ordering::SeqCst);
    let mut raw = Raw::connect(&node);
    let request = Some(raw.me.card.id);
    assert!(matches!(raw.answer, Answer::NotRegistered { request: r, .. } if r == request));
    assert!(is_closed(&mut raw.ws));
    let other = Node::start("other");
    other.dial(&node.address, Expect::Anyone);
    let DialOutcome::NotRegistered { key, reason, .. } = other.not_dialled() else { panic!() };
    assert_eq!((key, reason.as_deref()), (node.key(), Some("no[2J")));
    assert_eq!(node.hellos.lock().unwrap()[1].asking.as_deref(), Some("word"));
    assert!(node.is_quiet(), "no link began");
}

/// Answers one caller up to message 2; then tells whether anything more came, and what.
fn impostor() -> (String, PublicKey, std::thread::JoinHandle<Option<Vec<u8>>>) {
    let me = identity("impostor");
    let key = me.card.public_key;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = address_of(&listener);
    let thread = thread::spawn("impostor", move || {
        let stream = accept(&listener);
        let mut ws = tungstenite::accept(stream).unwrap();
        let mut noise = Handshake::responder(me.secret(), limits::PROLOGUE);
        noise.read_message(&binary(&mut ws)).unwrap();
        ws.send(Message::binary(noise.write_message(&[]).unwrap())).unwrap();
        match ws.read() {
            Ok(Message::Binary(third)) => Some(noise.read_message(&third).unwrap()),
            _ => None,
        }
    });
    (address, key, thread.unwrap())
}

#[test]
fn a_node_with_another_key_hears_nothing_after_message_2() {
    let (a, real) = (Node::start("a"), Node::start("real"));
    let (address, got, heard) = impostor();
    a.dial(&address, Expect::Key(real.key()));
    assert_eq!(a.not_dialled(), DialOutcome::WrongKey { got });
    assert_eq!(heard.join().unwrap(), None, "no message 3");
}

#[test]
fn an_invite_is_shown_to_its_issuer_alone() {
    let (a, issuer) = (Node::start("a"), Node::start("issuer"));
    let invite = InviteCode::new([0x5A; 16], &issuer.key());
    let (address, got, heard) = impostor();
    a.dial(&address, Expect::Issuer(invite));
    assert_eq!(a.not_dialled(), DialOutcome::WrongKey { got });
    assert_eq!(heard.join().unwrap(), None, "no message 3");
    a.dial(&issuer.address, Expect::Issuer(invite));
    let _up = (a.up(), issuer.up());
    let shown = issuer.hellos.lock().unwrap()[0].invite.clone().unwrap();
    assert_eq!(data_encoding::BASE64.decode(shown.as_bytes()).unwrap(), [0x5A; 16]);
}

#[test]
fn a_man_in_the_middle_of_a_first_contact_shows_his_own_key() {
    let (a, real) = (Node::start("a"), Node::start("real"));
    let (address, got, heard) = impostor();
    a.dial(&address, Expect::Anyone);
    let hello = heard.join().unwrap().expect("first contact introduces itself");
    assert!(!hello.windows(6).any(|w| w == b"invite"));
    // He cannot go on as the real node: what the person is shown is his fingerprint.
    assert!(matches!(a.not_dialled(), DialOutcome::Failed { answered: true, .. }));
    assert_ne!(got.fingerprint(), real.key().fingerprint());
}

#[test]
fn a_node_does_not_link_with_itself() {
    let a = Node::start("a");
    a.dial(&a.address, Expect::Anyone);
    let DialOutcome::Failed { answered: true, reason } = a.not_dialled() else { panic!() };
    assert!(reason.contains("this node itself"), "{reason}");
    assert_eq!(a.greetings.load(Ordering::SeqCst), 0);
}

#[test]
fn nobody_there_and_no_such_place_are_failures_without_an_answer() {
    let a = Node::start("a");
    let closed = address_of(&TcpListener::bind("127.0.0.1:0").unwrap());
    for address in [closed.as_str(), "127.0.0.1", "", "no host:9091"] {
        a.dial(address, Expect::Anyone);
        let outcome = a.not_dialled();
        assert!(matches!(outcome, DialOutcome::Failed { answered: false, .. }), "{outcome:?}");
    }
}

#[test]
fn a_silent_or_foreign_server_is_a_failure_with_an_answer() {
    let times = Times { greeting: Duration::from_millis(200), ..Times::default() };
    let a = Node::with("a", times);
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    a.dial(&address_of(&silent), Expect::Anyone);
    let begun = Instant::now();
    let DialOutcome::Failed { answered: true, reason } = a.not_dialled() else { panic!() };
    assert_eq!(reason, "no answer in time");
    assert!(begun.elapsed() < limits::GREETING);
    let a = Node::start("a");
    let foreign = TcpListener::bind("127.0.0.1:0").unwrap();
    a.dial(&address_of(&foreign), Expect::Anyone);
    let mut stream = accept(&foreign);
    std::io::Write::write_all(&mut stream, b"HTTP/1.1 200 OK\r\n\r\nhello").unwrap();
    let DialOutcome::Failed { answered: true, reason } = a.not_dialled() else { panic!() };
    assert!(reason.contains("200"), "{reason}");
}

#[test]
fn a_hello_that_is_not_of_the_proved_key_is_not_taken() {
    let node = Node::start("node");
    let (me, victim) = (identity("me"), identity("victim"));
    let good = me.hello(None, None, clock::wall());
    let stolen = victim.hello(None, None, clock::wall());
    let mut named = good.clone();
    named.name = "a\u{202e}b".to_owned();
    let mut newer = good.clone();
    newer.protocols = vec![99];
    for bad in [stolen, named, newer] {
        let (mut ws, _, third) = until_message_3(&node.address, &me, &bad);
        ws.send(Message::binary(third)).unwrap();
        assert!(is_closed(&mut ws));
    }
    assert_eq!(node.greetings.load(Ordering::SeqCst), 0);
    let (_raw, _up) = (Raw::introduce(&node.address, me, &good), node.up());
}

#[test]
fn a_responder_that_breaks_its_word_is_a_failure() {
    let a = Node::start("a");
    let (me, thief) = (identity("me"), identity("thief"));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    a.dial(&address_of(&listener), Expect::Key(me.card.public_key));
    let stream = accept(&listener);
    let mut ws = tungstenite::accept(stream).unwrap();
    let mut noise = Handshake::responder(me.secret(), limits::PROLOGUE);
    noise.read_message(&binary(&mut ws)).unwrap();
    ws.send(Message::binary(noise.write_message(&[]).unwrap())).unwrap();
    noise.read_message(&binary(&mut ws)).unwrap();
    let answer = Answer::Welcome { hello: thief.hello(None, None, clock::wall()) };
    let mut sealed = Vec::new();
    let json = serde_json::to_vec(&answer).unwrap();
    noise.finish().unwrap().send.seal(&json, &mut sealed).unwrap();
    ws.send(Message::binary(sealed)).unwrap();
    let DialOutcome::Failed { answered: true, reason } = a.not_dialled() else { panic!() };
    assert!(reason.contains("bind"), "{reason}");
}

#[test]
fn another_prologue_or_version_ends_the_handshake() {
    let node = Node::start("node");
    let me = identity("me");
    for prologue in [b"miner-cli/smsg/2".as_slice(), b""] {
        let mut ws = websocket(&node.address);
        let mut noise = Handshake::initiator(me.secret(), prologue);
        ws.send(Message::binary(noise.write_message(&[]).unwrap())).unwrap();
        assert!(noise.read_message(&binary(&mut ws)).is_err());
    }
    // And the other way round: a node finds out at message 2, before it has said who it is.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    node.dial(&address_of(&listener), Expect::Anyone);
    let stream = accept(&listener);
    let mut ws = tungstenite::accept(stream).unwrap();
    let mut noise = Handshake::responder(me.secret(), b"miner-cli/smsg/2");
    noise.read_message(&binary(&mut ws)).unwrap();
    ws.send(Message::binary(noise.write_message(&[]).unwrap())).unwrap();
    assert!(is_closed(&mut ws));
    assert!(matches!(node.not_dialled(), DialOutcome::Failed { answered: true, .. }));
    assert_eq!(node.greetings.load(Ordering::SeqCst), 0);
}

#[test]
fn a_registry_that_gives_no_answer_makes_no_link() {
    let times = Times { answer: Duration::from_millis(50), ..Times::default() };
    let node = Node::with("node", times);
    // The fake registry answers a caller only after it got hold of this lock.
    let busy = node.hellos.lock().unwrap();
    let me = identity("me");
    let hello = me.hello(None, None, clock::wall());
    let (mut ws, _, third) = until_message_3(&node.address, &me, &hello);
    ws.send(Message::binary(third)).unwrap();
    assert!(is_closed(&mut ws));
    drop(busy);
    assert!(node.is_quiet());
}
