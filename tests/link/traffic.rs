//! Much traffic both ways, and links that come and go.
use std::sync::Arc;

use miner_cli::bus::{LinkEvent, Outbound};
use miner_cli::smsg::messages::{Body, LogLines};
use miner_cli::sys::thread;

use super::common::{Node, message};

/// Below the burst that a peer is allowed.
const EACH_WAY: usize = 100;

#[test]
fn large_messages_go_both_ways_at_once_whole_and_in_order() {
    let (a, b) = (Node::start("a"), Node::start("b"));
    let (at_a, at_b) = a.link(&b);
    let feed = |outbox: crossbeam_channel::Sender<Box<Outbound>>| {
        thread::spawn("feed", move || {
            for i in 0..EACH_WAY {
                let lines = vec![format!("{i}"), "y".repeat(60_000 + i)];
                let body = Body::LogLines(LogLines { lines, ..LogLines::default() });
                outbox.send(message(&format!("m{i}"), body)).unwrap();
            }
        })
        .unwrap()
    };
    let feeding = [feed(at_a.handle.outbox.clone()), feed(at_b.handle.outbox.clone())];
    for node in [&a, &b] {
        let mut last = 0;
        for i in 0..EACH_WAY {
            let (_, envelope, _) = node.message();
            assert_eq!(envelope.id, format!("m{i}"));
            assert!(envelope.seq > last);
            last = envelope.seq;
            let Body::LogLines(lines) = envelope.body else { panic!() };
            assert_eq!(lines.lines[1].len(), 60_000 + i);
        }
    }
    for thread in feeding {
        thread.join().unwrap();
    }
}

#[test]
fn every_link_is_up_once_and_down_once_and_last() {
    let hub = Arc::new(Node::start("hub"));
    let rigs: Vec<Node> = (0..4).map(|i| Node::start(&format!("rig-{i}"))).collect();
    for round in 0..5 {
        let ups: Vec<_> = rigs.iter().map(|rig| rig.link(&hub)).collect();
        let mut ids: Vec<_> = ups.iter().map(|(_, at_hub)| at_hub.link).collect();
        ids.dedup();
        assert_eq!(ids.len(), rigs.len());
        for (i, (at_rig, at_hub)) in ups.iter().enumerate() {
            at_rig.handle.outbox.send(message("hello", Body::Ping {})).unwrap();
            match (round + i) % 3 {
                0 => (at_hub.handle.cut.0)(),
                1 => (at_rig.handle.cut.0)(),
                _ => {
                    let reason = "enough".to_owned();
                    at_rig.handle.outbox.send(Outbound::Close { reason }.into()).unwrap();
                }
            }
        }
        let mut down = Vec::new();
        while down.len() < rigs.len() {
            match hub.next() {
                LinkEvent::Down { link, .. } => down.push(link),
                LinkEvent::Message { link, .. } => assert!(!down.contains(&link), "after Down"),
                other => panic!("{other:?}"),
            }
        }
        down.sort();
        ids.sort();
        assert_eq!(down, ids);
        for rig in &rigs {
            rig.down();
            assert!(rig.is_quiet());
        }
    }
}
