//! Whoever is refused is one line of the log, and a flood of them is a line a second.
use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use miner_cli::model::invite::InviteCode;
use miner_cli::model::node::Role;
use miner_cli::smsg::hello::Hello;

use crate::Footprint;
use crate::caller::{Caller, Me, tcp};
use crate::node::{Node, PATIENCE};

/// What a stranger does, again and again, and what the log says of it.
type Row<'a> = (&'a str, Box<dyn Fn(u16) + 'a>);

/// Sends `bytes`, and waits for the end of what is answered.
fn knock(to: SocketAddr, number: u16, bytes: &[u8]) {
    let Ok(mut tcp) = tcp(to, number) else { return };
    drop(tcp.write_all(bytes));
    drop(std::io::copy(&mut (&tcp).take(1 << 20), &mut std::io::sink()));
}

/// Does each row for a second or more; its lines are no more than a second and the first and last allow.
fn each_is_told_seldom(node: &Node, rows: &[Row<'_>]) {
    for (line, act) in rows {
        let (begun, already) = (Instant::now(), node.log().len());
        for number in 0..u16::MAX {
            act(number);
            let long = begun.elapsed() > Duration::from_millis(1100);
            let left_out = |l: &str| l.contains(line) && l.contains("more of this kind");
            if number >= 20 && long && node.log()[already..].lines().any(left_out) {
                break;
            }
            assert!(begun.elapsed() < PATIENCE, "no line says {line:?}: {}", node.log());
        }
        let log = node.log();
        let lines = log[already..].lines().filter(|l| l.contains(line)).count() as u64;
        let most = begun.elapsed().as_secs() + 2;
        assert!(lines <= most, "{lines} lines of {line:?} in {most} s");
    }
}

#[test]
fn strangers_at_the_peers_port_are_refused_in_a_line_a_second_of_each_kind() {
    let node = Node::serve("refuses", "controller");
    let before = Footprint::of(&node);
    let to: SocketAddr = node.p2p().parse().unwrap();
    let greet = |number: u16, change: &dyn Fn(Hello) -> Hello| {
        let me = Me::new("stranger", Role::Worker);
        let hello = change(me.hello());
        drop(tcp(to, number).map(|tcp| Caller::greet(tcp, &me, &hello)));
    };
    let invite = InviteCode::new(*b"no invite of it.", &Me::new("x", Role::Worker).key());
    let rows: Vec<Row<'_>> = vec![
        ("did not become a link", Box::new(|n| knock(to, n, b"who is there?\r\n\r\n"))),
        ("speaks TLS here", Box::new(|n| knock(to, n, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc"))),
        (
            "none of the protocol versions",
            Box::new(|n| greet(n, &|hello| Hello { protocols: vec![99], ..hello })),
        ),
        (
            "did not become a link",
            Box::new(|n| greet(n, &|hello| Hello { signature: "AAAA".to_owned(), ..hello })),
        ),
        ("it is not registered here", Box::new(|n| greet(n, &|hello| hello))),
        (
            "came with an invite that is not valid here",
            Box::new(|n| {
                let me = Me::new("stranger", Role::Worker);
                let hello = me.invited(&invite.to_string());
                drop(tcp(to, n).map(|tcp| Caller::greet(tcp, &me, &hello)));
            }),
        ),
        (
            "too many pairing requests from this address",
            Box::new(|_| greet(1, &|hello| Hello { asking: Some("word".to_owned()), ..hello })),
        ),
        (
            "asks to pair",
            Box::new(|n| greet(n, &|hello| Hello { asking: Some("word".to_owned()), ..hello })),
        ),
        (
            "ask to pair: ",
            Box::new(|n| greet(n, &|hello| Hello { asking: Some("word".to_owned()), ..hello })),
        ),
    ];
    each_is_told_seldom(&node, &rows);
    // More at once than have room: the oldest give way, and are a line.
    let crowd: Vec<TcpStream> = (0..600).filter_map(|n| tcp(to, n).ok()).collect();
    each_is_told_seldom(&node, &[("did not become a link", Box::new(|n| drop(tcp(to, n % 8))))]);
    drop(crowd);
    before.comes_back(&node);
}

#[test]
fn strangers_at_the_api_are_refused_in_a_line_a_second_of_each_kind() {
    let node = Node::serve("refuses", "controller");
    assert_eq!(node.rest("GET", "/peers", None).0, 200);
    let before = Footprint::of(&node);
    let api = node.api();
    let to: SocketAddr = api.parse().unwrap();
    let ask = |headers: &str, body: Option<&str>| {
        drop(node.raw("POST", "/api/v1/mining/profiles", headers, body));
    };
    let large = "x".repeat(300 * 1024);
    let rows: Vec<Row<'_>> = vec![
        ("wrong API token", Box::new(|_| ask("Authorization: Bearer wrong\r\n", None))),
        ("without the token or a session", Box::new(|_| ask("", None))),
        ("the Host header names no address", Box::new(|_| ask("Host: evil.example\r\n", None))),
        ("refused an API request", Box::new(|_| ask("", Some(&large)))),
        ("refused an API request", Box::new(|n| knock(to, n, b"\x16\x03\x01\x02\x00\x01\r\n\r\n"))),
    ];
    each_is_told_seldom(&node, &rows);
    // More at once than have room, and they stay: who has been cut makes room for the next.
    let crowd = RefCell::new(VecDeque::new());
    let come = |number: u16| {
        let mut crowd = crowd.borrow_mut();
        crowd.extend((0..100).filter_map(|_| tcp(to, number % 8).ok()));
        let gone = crowd.len().saturating_sub(600);
        crowd.drain(..gone);
    };
    each_is_told_seldom(&node, &[("too many clients", Box::new(come))]);
    drop(crowd);
    before.comes_back(&node);
}
