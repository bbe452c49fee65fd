//! Someone on the way: who listens, records, changes, repeats and reorders.
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener};
use std::sync::atomic::Ordering;

use miner_cli::bus::{Expect, Outbound};
use miner_cli::model::invite::InviteCode;
use miner_cli::noise::Handshake;
use miner_cli::smsg::limits;
use miner_cli::smsg::messages::Body;
use miner_cli::sys::{clock, thread};
use tungstenite::Message;

use super::common::{
    Node, Raw, accept, address_of, binary, identity, is_closed, message, tcp, until_message_3,
    websocket,
};
use crate::tls_support::Far;

/// Passes one connection on to `to` and returns all that went each way. TLS ends here: whoever has the certificate that
/// is trusted learns no more than who listens to the wire.
fn wiretap(to: &str) -> (String, std::thread::JoinHandle<[Vec<u8>; 2]>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, to) = (address_of(&listener), to.to_owned());
    let thread = thread::spawn("wiretap", move || {
        let near = accept(&listener);
        let far = tcp(&to);
        let (near_too, far_too) = (near.try_clone().unwrap(), far.try_clone().unwrap());
        let back = thread::spawn("wiretap-back", move || pump(far_too, near_too)).unwrap();
        [pump(near, far), back.join().unwrap()]
    });
    (address, thread.unwrap())
}

fn pump(mut from: Far, mut to: Far) -> Vec<u8> {
    let (mut all, mut buffer) = (Vec::new(), [0; 4096]);
    while let Ok(read) = from.read(&mut buffer) {
        if read == 0 || to.write_all(&buffer[..read]).is_err() {
            break;
        }
        all.extend(&buffer[..read]);
    }
    to.shutdown(Shutdown::Write);
    all
}

/// The payloads of the WebSocket frames in a recording, unmasked, and the HTTP head in front of them.
fn payloads(recording: &[u8]) -> Vec<u8> {
    let head = recording.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
    let mut out = recording[..head].to_vec();
    let mut rest = &recording[head..];
    while rest.len() > 1 {
        let masked = rest[1] & 0x80 != 0;
        let (len, mut at) = match rest[1] & 0x7f {
            126 => (usize::from(u16::from_be_bytes([rest[2], rest[3]])), 4),
            short => (usize::from(short), 2),
        };
        let mask =
            if masked { [rest[at], rest[at + 1], rest[at + 2], rest[at + 3]] } else { [0; 4] };
        at += if masked { 4 } else { 0 };
        out.extend(rest[at..at + len].iter().zip(mask.iter().cycle()).map(|(b, m)| b ^ m));
        rest = &rest[at + len..];
    }
    out
}

#[test]
fn an_eavesdropper_reads_no_name_no_log_no_key_and_no_invite() {
    let (a, b) = (Node::start("rig-of-alice"), Node::start("rig-of-bob"));
    let ring = b.logs.open("xmrig-1");
    ring.begin_run();
    ring.push(b"a line nobody else may read");
    let invite = InviteCode::new(*b"sixteen secrets!", &b.key());
    let (address, tap) = wiretap(&b.address);
    a.dial(&address, Expect::Issuer(invite));
    let (at_a, at_b) = (a.up(), b.up());
    let tail = Outbound::Tail {
        reply_to: "q".to_owned(),
        miner: "xmrig-1".to_owned(),
        lines: 9,
        previous: false,
    };
    at_b.handle.outbox.send(tail.into()).unwrap();
    let Body::LogLines(lines) = a.message().1.body else { panic!() };
    assert_eq!(lines.lines, ["a line nobody else may read"]);
    let close = Outbound::Close { reason: "a reason of our own".to_owned() };
    at_a.handle.outbox.send(close.into()).unwrap();
    b.down();
    let recorded = tap.join().unwrap();
    for (bytes, known) in recorded.iter().zip(["GET /ws", "101 Switching"]) {
        let seen = payloads(bytes);
        let sees = |text: &[u8]| seen.windows(text.len()).any(|w| w == text);
        assert!(sees(known.as_bytes()), "the wiretap itself works");
        assert!(seen.len() > 300);
        for secret in
            ["alice", "bob", "nobody else", "sixteen", "reason", "xmrig", "dual", "\"id\""]
        {
            assert!(!sees(secret.as_bytes()), "{secret}");
        }
        let shown = data_encoding::BASE64.encode(b"sixteen secrets!");
        assert!(!sees(shown.as_bytes()));
        // XX hides the static keys of both ends.
        assert!(!sees(&a.key().0) && !sees(&b.key().0));
        assert!(!sees(a.key().to_string().as_bytes()) && !sees(b.key().to_string().as_bytes()));
    }
}

#[test]
fn a_recorded_frame_is_refused_in_its_own_session() {
    let node = Node::start("node");
    let mut raw = Raw::connect(&node);
    let _up = node.up();
    let frame = raw.next(Body::Ping {});
    raw.send_bytes(frame.clone());
    node.message();
    raw.send_bytes(frame);
    assert!(node.down().contains("not sealed by the other side or not meant to come now"));
}

#[test]
fn a_recorded_session_played_again_makes_no_link() {
    let node = Node::start("node");
    let me = identity("me");
    let hello = me.hello(None, None, clock::wall());
    // Everything that the initiator sends, recorded while it works …
    let mut ws = websocket(&node.address);
    let mut noise = Handshake::initiator(me.secret(), limits::PROLOGUE);
    let first = noise.write_message(&[]).unwrap();
    ws.send(Message::binary(first.clone())).unwrap();
    noise.read_message(&binary(&mut ws)).unwrap();
    let third = noise.write_message(&serde_json::to_vec(&hello).unwrap()).unwrap();
    ws.send(Message::binary(third.clone())).unwrap();
    let up = node.up();
    assert_eq!(up.key, me.card.public_key);
    // … and sent again.
    let mut ws = websocket(&node.address);
    ws.send(Message::binary(first)).unwrap();
    binary(&mut ws);
    ws.send(Message::binary(third)).unwrap();
    assert!(is_closed(&mut ws));
    assert_eq!(node.greetings.load(Ordering::SeqCst), 1);
}

#[test]
fn a_recorded_frame_is_refused_in_a_new_session() {
    let node = Node::start("node");
    let mut raw = Raw::connect(&node);
    let _first = node.up();
    let frame = raw.next(Body::Ping {});
    let mut again = Raw::connect(&node);
    let _second = node.up();
    again.send_bytes(frame);
    assert!(node.down().contains("not sealed by the other side"));
}

#[test]
fn frames_out_of_order_or_left_out_are_refused() {
    let node = Node::start("node");
    for left_out in [false, true] {
        let mut raw = Raw::connect(&node);
        let _up = node.up();
        let (first, second) = (raw.next(Body::Ping {}), raw.next(Body::Ping {}));
        raw.send_bytes(second);
        assert!(node.down().contains("not sealed by the other side"));
        if !left_out {
            let _ = raw.ws.send(Message::binary(first));
        }
    }
    assert!(node.is_quiet());
}

#[test]
fn a_bit_flipped_or_a_byte_cut_off_anywhere_in_a_frame_ends_the_link() {
    let node = Node::start("node");
    let length = Raw::connect(&node).next(Body::Ping {}).len();
    drop(node.up());
    node.down();
    for at in 0..length {
        let mut raw = Raw::connect(&node);
        let up = node.up();
        let mut frame = raw.next(Body::Ping {});
        assert!(frame.len() >= length);
        if at % 16 == 3 {
            frame.truncate(at);
        } else {
            frame[at] ^= 1 << (at % 8);
        }
        raw.send_bytes(frame);
        let reason = node.down();
        assert!(reason.contains("not sealed") || reason.contains("too short"), "{at}: {reason}");
        drop(up);
    }
}

#[test]
fn a_bit_flipped_anywhere_in_message_3_makes_no_link() {
    let node = Node::start("node");
    let me = identity("me");
    let hello = me.hello(None, None, clock::wall());
    let length = until_message_3(&node.address, &me, &hello).2.len();
    for at in 0..length {
        let (mut ws, _, mut third) = until_message_3(&node.address, &me, &hello);
        third[at] ^= 1 << (at % 8);
        ws.send(Message::binary(third)).unwrap();
        assert!(is_closed(&mut ws), "offset {at}");
    }
    assert_eq!(node.greetings.load(Ordering::SeqCst), 0);
}

#[test]
fn points_of_low_order_are_refused() {
    let node = Node::start("node");
    let mut one = [0; 32];
    one[0] = 1;
    // Order 8, and p - 1, p, p + 1, which are reduced to the first ones.
    let eight: [u8; 32] = data_encoding::HEXLOWER
        .decode(b"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800")
        .unwrap()
        .try_into()
        .unwrap();
    let near_p = |low: u8| {
        let mut point = [0xff; 32];
        (point[0], point[31]) = (low, 0x7f);
        point
    };
    for point in [[0; 32], one, eight, near_p(0xec), near_p(0xed), near_p(0xee)] {
        let mut ws = websocket(&node.address);
        ws.send(Message::binary(point.to_vec())).unwrap();
        assert!(is_closed(&mut ws), "{point:?}");
    }
    // A whole point is answered.
    let me = identity("me");
    let mut ws = websocket(&node.address);
    let mut noise = Handshake::initiator(me.secret(), limits::PROLOGUE);
    ws.send(Message::binary(noise.write_message(&[]).unwrap())).unwrap();
    assert!(noise.read_message(&binary(&mut ws)).is_ok());
}

/// Sends one envelope of a linked peer after `change` and returns why the link ended.
fn refused(change: impl FnOnce(&mut Raw) -> Vec<u8>) -> String {
    let node = Node::start("node");
    let mut raw = Raw::connect(&node);
    let _up = node.up();
    let plain = change(&mut raw);
    raw.send_plain(&plain);
    let (_, reason) = node.down_after_messages();
    assert_eq!(raw.bye(), reason, "it is told why");
    reason
}

#[test]
fn a_peer_that_lies_in_an_envelope_loses_its_link_and_hears_why() {
    let other = identity("other");
    let said = refused(|raw| {
        let mut envelope = raw.envelope(Body::Ping {});
        envelope.from = other.card.id;
        raw.signed(&envelope)
    });
    assert!(said.contains("claims to come from"), "{said}");
    let said = refused(|raw| {
        let mut envelope = raw.envelope(Body::Ping {});
        envelope.to = other.card.id;
        raw.signed(&envelope)
    });
    assert!(said.contains("meant for"), "{said}");
    let said = refused(|raw| {
        let envelope = raw.envelope(Body::Ping {});
        miner_cli::smsg::envelope::seal(&envelope, |bytes| other.sign(bytes)).unwrap()
    });
    assert!(said.contains("wrong signature"), "{said}");
    let said = refused(|raw| {
        let first = raw.next(Body::Ping {});
        raw.send_bytes(first);
        raw.seq -= 1;
        let again = raw.envelope(Body::Pong {});
        raw.signed(&again)
    });
    assert!(said.contains("out of sequence"), "{said}");
}

#[test]
fn an_unknown_type_is_answered_and_the_link_goes_on() {
    let node = Node::start("node");
    let mut raw = Raw::connect(&node);
    let _up = node.up();
    let envelope = raw.envelope(Body::Ping {});
    let json = serde_json::to_string(&envelope).unwrap().replace("\"ping\"", "\"dance\"");
    let signed = [raw.me.sign(json.as_bytes()).as_slice(), json.as_bytes()].concat();
    raw.send_plain(&signed);
    let answer = raw.receive();
    assert_eq!(answer.reply_to.as_ref(), Some(&envelope.id));
    let Body::Error(fault) = answer.body else { panic!() };
    assert_eq!(fault.code, miner_cli::model::fault::Code::Unsupported);
    raw.send(Body::Ping {});
    assert_eq!(node.message().1.body, Body::Ping {});
}

#[test]
fn a_bye_of_a_peer_is_cleaned_and_ends_the_link() {
    let node = Node::start("node");
    let mut raw = Raw::connect(&node);
    let up = node.up();
    up.handle.outbox.send(message("x", Body::Ping {})).unwrap();
    assert_eq!(raw.receive().id, "x");
    raw.send(Body::Bye { reason: format!("\u{1b}[2J{}", "x".repeat(1000)) });
    let reason = node.down();
    assert!(!reason.contains('\u{1b}') && reason.len() < 300, "{reason}");
}

/// A payload in front of its type is kept as a tree until that is known: nothing takes more of a link's small stack.
#[test]
fn however_deep_a_message_is_the_stack_of_a_link_suffices() {
    let node = Node::start("node");
    let (mut raw, _up) = (Raw::connect(&node), node.up());
    let (object, array) = ("{\"a\":", "[");
    for (open, close, deep) in
        [(object, "}", 120), (array, "]", 120), (object, "}", 5_000), (array, "]", 20_000)]
    {
        let tree = format!("{}1{}", open.repeat(deep), close.repeat(deep));
        for kind in ["stats", "start_miner", "history_batch"] {
            let envelope = serde_json::to_string(&raw.envelope(Body::Ping {})).unwrap();
            let ping = "\"type\":\"ping\",\"payload\":{}";
            assert!(envelope.contains(ping), "{envelope}");
            let late = format!("\"payload\":{{\"profile\":{tree}}},\"type\":\"{kind}\"");
            let json = envelope.replace(ping, &late);
            let signed = [&raw.me.sign(json.as_bytes())[..], json.as_bytes()].concat();
            raw.send_plain(&signed);
            assert!(matches!(raw.receive().body, Body::Error(_)), "{kind}, {deep} deep");
        }
    }
    raw.send(Body::Ping {});
    assert_eq!(node.message().1.body, Body::Ping {});
}
