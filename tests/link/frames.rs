//! Frames, paths and bytes that have no place on a link.
use std::io::{Read as _, Write as _};
use std::sync::atomic::Ordering;

use miner_cli::link::Times;
use miner_cli::smsg::limits;
use miner_cli::smsg::messages::Body;
use tungstenite::Message;

use super::common::{Node, PATIENCE, Raw, is_closed, tcp, websocket};

/// A masked frame as a client sends it, with any first byte and any claimed length.
fn frame(first: u8, claimed: usize, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    match claimed {
        0..=125 => out.push(0x80 | claimed as u8),
        126..=65_535 => {
            out.push(0x80 | 126);
            out.extend((claimed as u16).to_be_bytes());
        }
        _ => {
            out.push(0x80 | 127);
            out.extend((claimed as u64).to_be_bytes());
        }
    }
    out.extend([0; 4]);
    out.extend(payload);
    out
}

const FIN: u8 = 0x80;
const COMPRESSED: u8 = 0x40;
const TEXT: u8 = 1;
const BINARY: u8 = 2;

#[test]
fn on_a_link_a_frame_that_is_not_allowed_ends_it_with_a_reason() {
    let node = Node::start("node");
    let whole = limits::MESSAGE + 1;
    let cases: [(&str, Vec<u8>); 8] = [
        ("text frame", frame(FIN | TEXT, 5, b"hello")),
        ("reserved bits", frame(FIN | COMPRESSED | BINARY, 5, b"hello")),
        ("reserved bits", frame(FIN | 0x20 | BINARY, 5, b"hello")),
        ("larger than allowed", frame(FIN | BINARY, whole, &[])),
        ("larger than allowed", frame(FIN | BINARY, usize::MAX >> 1, &[])),
        (
            "larger than allowed",
            [frame(BINARY, 40_000, &[0; 40_000]), frame(FIN, 40_000, &[0; 40_000])].concat(),
        ),
        ("Continue", frame(FIN, 2, b"xx")),
        ("masked", [0x82, 2, 0, 0].to_vec()),
    ];
    for (wanted, bytes) in cases {
        let mut raw = Raw::connect(&node);
        let _up = node.up();
        raw.ws.get_mut().write_all(&bytes).unwrap();
        let reason = node.down();
        assert!(reason.to_lowercase().contains(&wanted.to_lowercase()), "{wanted}: {reason}");
    }
}

#[test]
fn a_message_in_fragments_within_the_limit_is_taken() {
    let node = Node::start("node");
    let mut raw = Raw::connect(&node);
    let _up = node.up();
    let message = raw.next(Body::Ping {});
    let (head, tail) = message.split_at(20);
    let bytes = [frame(BINARY, head.len(), head), frame(FIN, tail.len(), tail)].concat();
    raw.ws.get_mut().write_all(&bytes).unwrap();
    assert_eq!(node.message().1.body, Body::Ping {});
}

#[test]
fn before_the_greeting_is_over_only_small_binary_messages_are_read() {
    // A greeting that lasts longer than this test waits: its deadline is not what ends these.
    let times = Times { greeting: 3 * PATIENCE, ..Times::default() };
    let node = Node::with("node", times);
    let large = limits::STRANGER_MESSAGE + 1;
    for bytes in [
        frame(FIN | TEXT, 5, b"hello"),
        frame(FIN | COMPRESSED | BINARY, 32, &[0; 32]),
        frame(FIN | BINARY, large, &[]),
        frame(FIN | 9, 0, b""),
        // Otherwise a good first message: any point of X25519, and a payload.
        [frame(BINARY, 1500, &[9; 1500]), frame(FIN, 1500, &[0; 1500])].concat(),
        // Fragments without content never make a message; their bytes are counted.
        [frame(BINARY, 0, b""), frame(0, 0, b"").repeat(5_000)].concat(),
    ] {
        let mut ws = websocket(&node.address);
        // The node may have hung up before all of it is written.
        let _ = ws.get_mut().write_all(&bytes);
        assert!(is_closed(&mut ws));
    }
    assert_eq!(node.greetings.load(Ordering::SeqCst), 0);
    assert!(node.is_quiet());
}

#[test]
fn another_path_and_garbage_get_no_websocket() {
    let node = Node::start("node");
    let upgrade = "Host: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let ask = |bytes: &[u8]| {
        let mut stream = tcp(&node.address);
        let _ = stream.write_all(bytes);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    };
    assert!(
        ask(format!("GET /other HTTP/1.1\r\n{upgrade}").as_bytes()).starts_with("HTTP/1.1 404")
    );
    assert!(!ask(format!("POST /ws HTTP/1.1\r\n{upgrade}").as_bytes()).contains("101"));
    assert!(!ask(b"GET /ws HTTP/1.1\r\nHost: x\r\n\r\n").contains("101"));
    assert!(
        !ask(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a TLS hello\r\n\r\n").contains("101")
    );
    assert!(
        !ask(&[b"GET /ws HTTP/1.1\r\nX: ".as_slice(), &[b'x'; 70_000]].concat()).contains("101")
    );
    assert!(node.is_quiet());
    let (_raw, _up) = (Raw::connect(&node), node.up());
}

#[test]
fn a_websocket_ping_is_answered_and_a_close_ends_the_link() {
    let node = Node::start("node");
    let mut raw = Raw::connect(&node);
    let _up = node.up();
    raw.ws.send(Message::Ping("abc".into())).unwrap();
    assert_eq!(raw.ws.read().unwrap(), Message::Pong("abc".into()));
    raw.ws.close(None).unwrap();
    assert_eq!(node.down(), "the other side closed the WebSocket");
}
