//! The store thread, over its channels.
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};
use rusqlite::Connection;

use super::tests::{Folder, peer, profile};
use super::{Seen, open};
use crate::bus::{self, Event, StateOp, StoreCommand};
use crate::model::fault::{Code, Fault};
use crate::model::key::PublicKey;
use crate::model::time::Timestamp;
use crate::sys::thread;

struct Running {
    commands: Sender<StoreCommand>,
    events: Receiver<Event>,
    thread: std::thread::JoinHandle<()>,
}

fn run(folder: &Folder) -> Running {
    let (store, _) = open(&folder.db()).unwrap();
    let (commands, inbox) = bus::wire_channel(1000);
    let (outbox, events) = bus::wire_channel(1000);
    let thread = thread::spawn("store", move || store.run(inbox, outbox)).unwrap();
    Running { commands, events, thread }
}

impl Running {
    fn send(&self, ops: Vec<StateOp>, ticket: Option<u64>) {
        self.commands.send(StoreCommand { ops, ticket }).unwrap();
    }

    fn stored(&self) -> (u64, Result<(), Fault>) {
        match self.events.recv_timeout(Duration::from_secs(20)).unwrap() {
            Event::Stored { ticket, result } => (ticket, result),
            other => panic!("{other:?}"),
        }
    }

    fn end(self) {
        drop(self.commands);
        self.thread.join().unwrap();
    }
}

#[test]
fn tickets_are_answered_in_order_when_it_is_on_disk() {
    let folder = Folder::new();
    let running = run(&folder);
    running.send(vec![StateOp::PutPeer(peer(1, "a"))], Some(11));
    assert_eq!(running.stored(), (11, Ok(())));
    // Another connection sees it already.
    let other = Connection::open(folder.db()).unwrap();
    let count = "SELECT count(*) FROM peers";
    assert_eq!(other.query_row(count, [], |r| r.get::<_, i64>(0)).unwrap(), 1);

    running.send(vec![StateOp::PutPeer(peer(2, "a"))], None);
    running.send(vec![StateOp::PutPeer(peer(3, "a"))], Some(12));
    running.send(vec![StateOp::PutPeer(peer(4, "d"))], Some(13));
    let (ticket, result) = running.stored();
    assert_eq!((ticket, result.unwrap_err().code), (12, Code::Exists));
    assert_eq!(running.stored(), (13, Ok(())));
    running.end();
    assert_eq!(folder.reopen().peers, [peer(1, "a"), peer(4, "d")]);
}

#[test]
fn last_seen_waits_and_many_become_one_write() {
    let key = |n| PublicKey([n; 32]);
    let seen = |n, at| StateOp::Seen { key: key(n), at: Timestamp(at) };
    let command = |ops, ticket| StoreCommand { ops, ticket };
    let mut waiting = Seen::default();
    for at in [3, 200, 7] {
        assert!(waiting.keep(&command(vec![seen(1, at), seen(2, 1)], None)));
    }
    assert!(waiting.flush_at.is_some_and(|at| at > Instant::now()));
    assert!(!waiting.keep(&command(vec![seen(1, 1)], Some(1))), "somebody waits for the answer");
    assert!(!waiting.keep(&command(vec![seen(1, 1), StateOp::DeletePeer(key(1))], None)));
    assert_eq!(waiting.take(), Some(command(vec![seen(1, 200), seen(2, 1)], None)));
    assert_eq!((waiting.take(), waiting.flush_at), (None, None));
}

#[test]
fn last_seen_is_written_with_the_next_command_and_at_the_end() {
    let folder = Folder::new();
    let running = run(&folder);
    let seen = |n, at| vec![StateOp::Seen { key: PublicKey([n; 32]), at: Timestamp(at) }];
    running.send(vec![StateOp::PutPeer(peer(1, "a")), StateOp::PutPeer(peer(2, "b"))], Some(1));
    assert_eq!(running.stored(), (1, Ok(())));
    running.send(seen(1, 200), None);
    running.send(vec![StateOp::PutProfile(profile("p"))], Some(2));
    assert_eq!(running.stored(), (2, Ok(())));
    let other = Connection::open(folder.db()).unwrap();
    let sql = "SELECT last_seen FROM peers WHERE name = 'a'";
    assert_eq!(other.query_row(sql, [], |r| r.get::<_, i64>(0)).unwrap(), 200);
    running.send(seen(2, 300), None);
    running.end();
    assert_eq!(folder.reopen().peers[1].last_seen, Some(Timestamp(300)));
}

#[test]
fn the_thread_goes_on_after_a_listener_is_gone() {
    let folder = Folder::new();
    let Running { commands, events, thread } = run(&folder);
    drop(events);
    for n in 1..=3 {
        let ops = vec![StateOp::PutPeer(peer(n, &format!("rig-{n}")))];
        commands.send(StoreCommand { ops, ticket: Some(1) }).unwrap();
    }
    drop(commands);
    thread.join().unwrap();
    assert_eq!(folder.reopen().peers.len(), 3);
}
