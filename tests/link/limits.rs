//! Time, room and rates: what idle, slow and greedy ones cost.
use std::io::{Read as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use miner_cli::link::Times;
use miner_cli::smsg::limits;
use miner_cli::smsg::messages::{Body, LogLines};
use miner_cli::sys::{clock, thread};
use tungstenite::Message;

use super::common::{
    Node, PATIENCE, Raw, Socket, bare, identity, is_closed, message, tcp, until_message_3,
    websocket,
};
use crate::tls_support::Far;

/// Writes `bytes` one at a time, each as soon as the last is gone and `pause` has passed, until the node hangs up.
/// Returns how many it took.
fn drip(stream: &mut Far, bytes: &[u8], pause: Duration) -> usize {
    for (i, byte) in bytes.iter().enumerate() {
        // Waiting for the node to say something is the pause.
        stream.set_read_timeout(Some(pause)).unwrap();
        let closed = match stream.read(&mut [0; 512]) {
            Ok(read) => read == 0,
            Err(e) => e.kind() != std::io::ErrorKind::WouldBlock,
        };
        if closed || stream.write_all(&[*byte]).is_err() {
            return i;
        }
    }
    bytes.len()
}

fn short(greeting: u64) -> Times {
    Times { greeting: Duration::from_millis(greeting), ..Times::default() }
}

#[test]
fn a_drip_at_any_stage_of_the_greeting_ends_at_its_one_deadline() {
    let node = Node::with("node", short(1500));
    let pause = Duration::from_millis(20);
    let me = identity("me");
    let hello = me.hello(None, None, clock::wall());
    let in_http = tcp(&node.address);
    let in_first = websocket(&node.address).get_ref().try_clone().unwrap();
    let begun = Instant::now();
    let (third, ..) = until_message_3(&node.address, &me, &hello);
    let in_third = third.get_ref().try_clone().unwrap();
    let head = format!("GET /ws HTTP/1.1\r\nX: {}", "x".repeat(2000));
    let frame = [&[0x82, 0xfe, 0x07, 0xd0, 0, 0, 0, 0], [7; 2000].as_slice()].concat();
    // All three at the same time, against a node that would wait ten seconds for each byte.
    let threads: Vec<_> =
        [(in_http, head.into_bytes()), (in_first, frame.clone()), (in_third, frame)]
            .into_iter()
            .map(|(mut stream, bytes)| {
                thread::spawn("drip", move || drip(&mut stream, &bytes, pause)).unwrap()
            })
            .collect();
    for thread in threads {
        assert!(thread.join().unwrap() < 2000);
    }
    assert!(begun.elapsed() >= Duration::from_secs(1) && begun.elapsed() < PATIENCE / 2);
    assert!(node.is_quiet());
}

#[test]
fn pings_are_no_sign_of_life_and_silence_ends_a_link() {
    let times = Times { silence: Duration::from_millis(150), ..Times::default() };
    let node = Node::with("node", times);
    let mut raw = Raw::connect(&node);
    let _up = node.up();
    let begun = Instant::now();
    raw.ws.get_mut().set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    while node.is_quiet() && begun.elapsed() < PATIENCE {
        let _ = raw.ws.send(Message::Ping("x".into()));
        // The pong, and then the wait for what does not come.
        let _ = (raw.ws.read(), raw.ws.read());
    }
    assert!(!node.is_quiet(), "the pings kept it alive");
    assert_eq!(node.down(), "nothing was heard for 150ms");
}

#[test]
fn a_thousand_idle_strangers_do_not_keep_a_peer_out() {
    let node = Node::start("node");
    let idle: Vec<Far> = (0..1000).map(|_| tcp(&node.address)).collect();
    let (_raw, up) = (Raw::connect(&node), node.up());
    assert_eq!(up.hello.name, "raw");
    // Of one source no more than its share is still open: all others were shut down.
    let mut open = 0;
    for mut stream in idle {
        stream.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        let waits = |e: &std::io::Error| e.kind() == std::io::ErrorKind::WouldBlock;
        open += usize::from(stream.read(&mut [0]).is_err_and(|e| waits(&e)));
    }
    assert!(open <= limits::HANDSHAKES_PER_SOURCE, "{open}");
}

#[test]
fn who_has_begun_to_greet_is_not_pushed_out_by_a_crowd_that_comes_after() {
    let node = Node::with("node", Times { begun: 3 * PATIENCE, ..Times::default() });
    let me = identity("early");
    let (mut early, _noise, third) =
        until_message_3(&node.address, &me, &me.hello(None, None, clock::wall()));
    let _crowd: Vec<Far> =
        (0..4 * limits::HANDSHAKES_PER_SOURCE).map(|_| tcp(&node.address)).collect();
    // Whoever gets through now comes after all of them.
    let (_raw, _up) = (Raw::connect(&node), node.up());
    early.send(Message::binary(third)).unwrap();
    assert_eq!(node.up().hello.name, "early");
}

#[test]
fn finished_greetings_hold_no_slot() {
    let node = Node::start("node");
    let mut links: Vec<_> =
        (0..4 * limits::HANDSHAKES_PER_SOURCE).map(|_| (Raw::connect(&node), node.up())).collect();
    for (raw, _up) in &mut links {
        raw.send(Body::Ping {});
        node.message();
    }
}

#[test]
fn a_flood_of_valid_pings_ends_the_link_with_a_reason() {
    let node = Node::start("node");
    let mut raw = Raw::connect(&node);
    let _up = node.up();
    let ended = flood(&node, &mut raw, |raw| raw.next(Body::Ping {}), Message::binary);
    assert!(ended >= limits::ENVELOPE_BURST as usize, "{ended}");
    let mut raw = Raw::connect(&node);
    let _up = node.up();
    assert_eq!(flood(&node, &mut raw, |_| vec![1], |b: Vec<u8>| Message::Ping(b.into())), 0);
}

/// Sends until the node ends the link; how many messages reached the registry.
fn flood(
    node: &Node,
    raw: &mut Raw,
    next: impl Fn(&mut Raw) -> Vec<u8>,
    wrap: impl Fn(Vec<u8>) -> Message,
) -> usize {
    // A token comes back every 20 ms; a slow machine may need several bursts.
    for _ in 0..100_000 {
        let bytes = next(raw);
        if raw.ws.send(wrap(bytes)).is_err() {
            break;
        }
    }
    let (messages, reason) = node.down_after_messages();
    assert_eq!(reason, "more than 50 messages a second");
    messages
}

#[test]
fn a_peer_that_stops_reading_is_cut_and_blocks_nobody() {
    // What the greeting's deadline left at the socket is not what ends it.
    let (write, greeting) = (Duration::from_millis(100), 3 * PATIENCE);
    let node = Node::with("node", Times { write, greeting, ..Times::default() });
    let (_deaf, other) = (Raw::connect(&node), node.up());
    let text = LogLines { lines: vec!["x".repeat(60_000)], ..LogLines::default() };
    // The registry only ever tries; the outbox fills while the writer waits for the socket.
    let begun = Instant::now();
    while node.is_quiet() && begun.elapsed() < PATIENCE {
        let big = message("big", Body::LogLines(text.clone()));
        let _ = other.handle.outbox.send_timeout(big, Duration::from_millis(5));
    }
    assert_eq!(node.down(), "the other side took nothing for 100ms");
    let (mut raw, _up) = (Raw::connect(&node), node.up());
    raw.send(Body::Ping {});
    node.message();
}

#[test]
fn cut_ends_a_link_whose_writer_is_stuck() {
    let node = Node::start("node");
    let (_deaf, up) = (Raw::connect(&node), node.up());
    let text = LogLines { lines: vec!["x".repeat(60_000)], ..LogLines::default() };
    while up.handle.outbox.try_send(message("big", Body::LogLines(text.clone()))).is_ok()
        || up
            .handle
            .outbox
            .send_timeout(message("big", Body::Ping {}), Duration::from_millis(200))
            .is_ok()
    {}
    let begun = Instant::now();
    (up.handle.cut.0)();
    assert_eq!(node.down(), "this node cut the link");
    assert!(begun.elapsed() < limits::WRITE, "not by the time-out of the write");
}

#[test]
fn pongs_of_a_deaf_peer_never_crowd_out_the_registry() {
    let node = Node::start("node");
    let (mut raw, up) = (Raw::connect(&node), node.up());
    let outbox = &up.handle.outbox;
    let big = LogLines { lines: vec!["x".repeat(60_000)], ..LogLines::default() };
    // One message after the other, until the writer waits for the socket and some stay.
    while outbox.len() < 4 {
        outbox.try_send(message("big", Body::LogLines(big.clone()))).unwrap();
        let patience = Instant::now() + Duration::from_millis(100);
        while !outbox.is_empty() && Instant::now() < patience {
            let _ = crossbeam_channel::after(Duration::from_millis(1)).recv();
        }
    }
    for i in 0..150_u8 {
        raw.ws.write(Message::Ping(vec![i; 100].into())).unwrap();
    }
    raw.send(Body::Ping {});
    node.message();
    for _ in 4..limits::OUTBOX {
        outbox.try_send(message("x", Body::Ping {})).expect("the outbox is the registry's alone");
    }
}

#[test]
fn a_stop_ends_the_port_and_every_unfinished_greeting() {
    // Not the deadline of the greeting ends these.
    let node = Node::with("node", Times { greeting: 3 * PATIENCE, ..Times::default() });
    let address = node.address.clone();
    let mut waiting: Socket = websocket(&address);
    let mut idle = tcp(&address);
    let ended = Arc::new(AtomicBool::new(false));
    let seen = ended.clone();
    let stop = thread::spawn("stop", move || {
        drop(node);
        seen.store(true, Ordering::SeqCst);
    })
    .unwrap();
    assert!(is_closed(&mut waiting));
    assert!(matches!(idle.read(&mut [0]), Ok(0) | Err(_)));
    stop.join().unwrap();
    assert!(ended.load(Ordering::SeqCst));
    let again = miner_cli::sys::net::connect(bare(&address), Instant::now() + PATIENCE);
    assert!(again.is_err(), "the port is closed");
}

#[test]
fn an_answer_too_large_for_an_envelope_is_an_error_and_not_the_end() {
    let node = Node::start("node");
    let (mut raw, up) = (Raw::connect(&node), node.up());
    let body = Body::LogLines(LogLines { lines: vec!["x".repeat(70_000)], ..LogLines::default() });
    let out = |reply_to: Option<&str>| miner_cli::bus::Outbound::Message {
        id: "big".to_owned(),
        reply_to: reply_to.map(ToOwned::to_owned),
        body: Box::new(body.clone()),
    };
    up.handle.outbox.send(out(Some("q1")).into()).unwrap();
    let answer = raw.receive();
    assert_eq!(answer.reply_to.as_deref(), Some("q1"));
    let Body::Error(fault) = answer.body else { panic!() };
    assert_eq!(fault.code, miner_cli::model::fault::Code::TooLarge);
    up.handle.outbox.send(out(None).into()).unwrap();
    up.handle.outbox.send(message("after", Body::Ping {})).unwrap();
    assert_eq!(raw.receive().id, "after");
}
