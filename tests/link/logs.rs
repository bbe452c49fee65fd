//! Logs over a link: tails in parts, and followed live with credit.
use std::sync::Arc;

use miner_cli::bus::{LinkUp, Outbound};
use miner_cli::logs::{LINES, LogRing};
use miner_cli::model::fault::Code;
use miner_cli::smsg::messages::{Body, LogLines};

use super::common::{Node, Raw};

struct Rig {
    raw: Raw,
    up: Box<LinkUp>,
    ring: Arc<LogRing>,
    node: Node,
}

impl Rig {
    fn new() -> Self {
        let node = Node::start("rig");
        let ring = node.logs.open("xmrig-1");
        ring.begin_run();
        let raw = Raw::connect(&node);
        let up = node.up();
        Self { raw, up, ring, node }
    }

    fn push(&self, lines: std::ops::Range<usize>) {
        for i in lines {
            self.ring.push(format!("line {i}").as_bytes());
        }
    }

    fn send(&self, out: Outbound) {
        self.up.handle.outbox.send(out.into()).unwrap();
    }

    fn follow(&self, follow: u64, miner: &str, lines: usize, credit: usize) {
        self.send(Outbound::Follow { follow, miner: miner.to_owned(), lines, credit });
    }

    fn tail(&self, miner: &str, previous: bool) {
        let (reply_to, miner) = ("q".to_owned(), miner.to_owned());
        self.send(Outbound::Tail { reply_to, miner, lines: 10_000, previous });
    }

    fn lines(&mut self) -> LogLines {
        match self.raw.receive().body {
            Body::LogLines(lines) => lines,
            other => panic!("{other:?}"),
        }
    }

    /// Reads parts until `count` lines have come.
    fn read(&mut self, count: usize) -> Vec<String> {
        let mut all = Vec::new();
        while all.len() < count {
            all.extend(self.lines().lines);
        }
        assert_eq!(all.len(), count);
        all
    }
}

fn numbered(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|i| format!("line {i}")).collect()
}

#[test]
fn a_tail_comes_in_parts_of_which_the_last_says_so() {
    let mut rig = Rig::new();
    for i in 0..LINES {
        rig.ring.push(format!("{i} \u{1b}[0m{}", "x".repeat(100)).as_bytes());
    }
    rig.tail("xmrig-1", false);
    let (mut all, mut parts) = (Vec::new(), 0);
    loop {
        let envelope = rig.raw.receive();
        assert_eq!(envelope.reply_to.as_deref(), Some("q"));
        let Body::LogLines(part) = envelope.body else { panic!() };
        all.extend(part.lines);
        parts += 1;
        if !part.more {
            break;
        }
    }
    assert_eq!(all, rig.ring.tail(usize::MAX, false));
    assert!(parts > 5, "{parts}");
    rig.ring.begin_run();
    rig.tail("xmrig-1", false);
    assert_eq!(rig.lines(), LogLines::default());
    rig.tail("xmrig-1", true);
    assert!(rig.lines().more);
}

#[test]
fn a_log_that_is_not_there_is_said_to_be_so() {
    let mut rig = Rig::new();
    rig.tail("xmrig-2", false);
    let answer = rig.raw.receive();
    assert_eq!(answer.reply_to.as_deref(), Some("q"));
    assert!(matches!(answer.body, Body::Error(fault) if fault.code == Code::MinerNotFound));
    rig.follow(4, "xmrig-2", 1, 1);
    assert_eq!(rig.lines(), LogLines { follow: Some(4), ended: true, ..LogLines::default() });
}

#[test]
fn a_followed_log_comes_live_as_far_as_the_credit_and_ends_with_the_miner() {
    let mut rig = Rig::new();
    rig.push(0..5);
    rig.follow(7, "xmrig-1", 2, 4);
    assert_eq!(rig.read(2), numbered(3..5));
    rig.push(5..100);
    assert_eq!(rig.read(2), numbered(5..7));
    rig.follow(7, "xmrig-1", 0, 1000);
    assert_eq!(rig.read(93), numbered(7..100));
    rig.push(100..101);
    assert_eq!(rig.read(1), numbered(100..101));
    rig.node.logs.remove("xmrig-1");
    assert!(rig.lines().ended);
}

#[test]
fn an_unfollowed_log_is_quiet() {
    let mut rig = Rig::new();
    rig.push(0..1);
    rig.follow(7, "xmrig-1", 1, 100);
    assert_eq!(rig.read(1), numbered(0..1));
    rig.send(Outbound::Unfollow { follow: 7 });
    rig.tail("xmrig-1", false);
    assert_eq!(rig.lines().follow, None);
    rig.push(1..50);
    // Logs take turns: were 7 still followed, it would come between two parts of 8.
    rig.follow(8, "xmrig-1", 1, 100);
    for i in 50..53 {
        assert_eq!(rig.lines().follow, Some(8));
        rig.push(i..i + 1);
    }
}

#[test]
fn a_slow_reader_is_told_how_much_it_missed() {
    let mut rig = Rig::new();
    rig.push(0..1);
    rig.follow(7, "xmrig-1", 1, 1);
    assert_eq!(rig.read(1), numbered(0..1));
    rig.push(1..LINES + 501);
    rig.follow(7, "xmrig-1", 0, 10_000);
    let first = rig.lines();
    assert_eq!(first.skipped, 500);
    assert_eq!(first.lines[0], "line 501");
}

#[test]
fn the_seventeenth_follow_of_a_link_is_refused() {
    let mut rig = Rig::new();
    for follow in 1..=16 {
        rig.follow(follow, "xmrig-1", 0, 10);
    }
    rig.follow(17, "xmrig-1", 0, 10);
    let refused = rig.lines();
    assert_eq!((refused.follow, refused.ended), (Some(17), true));
}
