//! What only a link under TLS can meet: certificates, plain callers, and strangers in the handshake.
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use miner_cli::bus::{DialId, DialOutcome, DialRequest, Expect};
use miner_cli::link::Times;
use miner_cli::model::trust::{Trust, WSS};
use miner_cli::smsg::limits;
use miner_cli::sys::net;

use super::common::{Node, PATIENCE, Raw, bare};
use super::tls_support::{Authority, HOME, certificate, good};

fn failed(node: &Node) -> String {
    match node.not_dialled() {
        DialOutcome::Failed { answered: true, reason } => reason,
        other => panic!("{other:?}"),
    }
}

fn dial(node: &Node, address: &str, trust: Trust) {
    node.dial_with(DialRequest {
        dial: DialId(1000),
        address: address.to_owned(),
        trust,
        expect: Expect::Anyone,
        asking: None,
    });
}

#[test]
fn a_certificate_that_is_not_believed_is_a_failure_with_its_reason() {
    let (a, b) = (Node::start("a"), Node::start("b"));
    dial(&a, &b.address, Trust::System);
    assert_eq!(failed(&a), "its certificate is of an authority that is not trusted here");
    dial(&a, &b.address, Authority::new().trust());
    assert_eq!(failed(&a), "its certificate is of an authority that is not trusted here");
    dial(&a, &b.address, Trust::Pin(certificate(&HOME, 2020..2090).pin));
    assert!(failed(&a).starts_with("its certificate is not the pinned one (expected "));
    dial(&a, &b.address.replace("127.0.0.1", "localhost"), Trust::Ca(good().cert.clone()));
    a.up();
    dial(&a, &b.address.replace("127.0.0.1", "127.0.0.2"), Trust::Ca(good().cert.clone()));
    // Nobody listens on that one, which is another matter than its certificate.
    assert!(matches!(a.not_dialled(), DialOutcome::Failed { answered: false, .. }));
    assert_eq!(b.greetings.load(std::sync::atomic::Ordering::SeqCst), 1);
}

#[test]
fn plain_to_tls_and_tls_to_plain_are_told_apart_and_do_no_harm() {
    let under_tls = Node::start("tls");
    dial(&under_tls, bare(&under_tls.address), Trust::System);
    assert_eq!(
        failed(&under_tls),
        "the other side's port is under TLS: its address begins with wss://"
    );
    let plain = Node::plain("plain");
    dial(&plain, &format!("{WSS}{}", plain.address), Trust::System);
    let said = failed(&plain);
    assert!(said.contains("perhaps the other side does not speak TLS"), "{said}");
    // Both still take whoever comes as it should.
    let (_raw, _up) = (Raw::connect(&under_tls), under_tls.up());
    let (_raw, _up) = (Raw::connect(&plain), plain.up());
}

#[test]
fn a_server_that_speaks_tls_where_none_is_expected_is_recognised() {
    let node = Node::start("node");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    dial(&node, &listener.local_addr().unwrap().to_string(), Trust::System);
    let mut caller = listener.accept().unwrap().0;
    caller.write_all(&[0x15, 3, 3, 0, 2, 2, 70]).unwrap();
    assert_eq!(failed(&node), "the other side speaks TLS here, and this one does not");
}

#[test]
fn a_handshake_in_drips_ends_at_the_deadline_of_the_greeting() {
    let times = Times { greeting: Duration::from_millis(800), ..Times::default() };
    let node = Node::with("node", times);
    let mut slow = raw(&node);
    slow.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let begun = Instant::now();
    // The beginning of a hello of 16,000 bytes.
    let mut bytes = [[0x16, 3, 1, 0x3e, 0x80, 1, 0].as_slice(), &[0; 2000]].concat().into_iter();
    loop {
        let _ = slow.write_all(&[bytes.next().unwrap()]);
        match slow.read(&mut [0]) {
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {}
            _ => break,
        }
    }
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(700) && took < PATIENCE / 2, "{took:?}");
}

#[test]
fn strangers_who_never_begin_the_handshake_keep_no_peer_out() {
    let node = Node::with("node", Times { greeting: 3 * PATIENCE, ..Times::default() });
    let idle: Vec<TcpStream> = (0..300).map(|_| raw(&node)).collect();
    let (_raw, _up) = (Raw::connect(&node), node.up());
    let mut open = 0;
    for mut stream in idle {
        stream.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        let waits = |e: &std::io::Error| e.kind() == std::io::ErrorKind::WouldBlock;
        open += usize::from(stream.read(&mut [0]).is_err_and(|e| waits(&e)));
    }
    assert!(open <= limits::HANDSHAKES_PER_SOURCE, "{open}");
}

fn raw(node: &Node) -> TcpStream {
    net::connect(bare(&node.address), Instant::now() + PATIENCE).unwrap()
}
