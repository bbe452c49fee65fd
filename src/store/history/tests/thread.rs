//! The thread itself, over its channels.
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use super::{ME, Options, RIG, T0, World, raw, reading, series};
use crate::bus::{self, Event, HistoryCommand, HistoryEvent};
use crate::model::time::{Mono, Now, Timestamp};
use crate::store::history;
use crate::sys::thread;

const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn a_panic_costs_what_waited_and_not_the_thread() {
    let mut world = World::at(T0);
    world.end();
    let options = Options { path: world.path(), me: ME, retention_days: 30 };
    let (commands, inbox) = bus::wire_channel(10);
    let (outbox, events) = bus::wire_channel(100);
    let (time, panics) = (Arc::new(AtomicI64::new(0)), Arc::new(AtomicBool::new(false)));
    let clock = {
        let (time, panics) = (time.clone(), panics.clone());
        move || {
            assert!(!panics.swap(false, Ordering::SeqCst), "on purpose");
            let s = time.load(Ordering::SeqCst);
            Now { mono: Mono(s.unsigned_abs() * 1_000_000), wall: Timestamp((T0 + s) * 1000) }
        }
    };
    let thread =
        thread::spawn("history", move || history::run(&options, &inbox, &outbox, clock)).unwrap();
    let heard = || match events.recv_timeout(PATIENCE).unwrap() {
        Event::History(event) => event,
        other => panic!("{other:?}"),
    };
    assert!(matches!(heard(), HistoryEvent::Opened { .. }), "before anything is asked of it");
    let keep = |at| {
        let batch = raw(&[series("a")], vec![(0, reading(T0 + at, 1.0))]);
        commands.send(vec![HistoryCommand::Keep { node: RIG, batch, after: Some(0) }]).unwrap();
    };
    let flush = || {
        let (reply, answer) = bus::reply_channel();
        commands.send(vec![HistoryCommand::Flush { reply }]).unwrap();
        answer.recv_timeout(PATIENCE)
    };
    keep(0);
    time.store(20, Ordering::SeqCst);
    assert_eq!(flush().unwrap().samples, 1);
    assert!(matches!(heard(), HistoryEvent::Kept { marks } if marks == [(RIG, T0)]));

    keep(10);
    assert_eq!(flush().unwrap().samples, 1, "ten seconds are not over");
    panics.store(true, Ordering::SeqCst);
    let (reply, answer) = bus::reply_channel();
    commands.send(vec![HistoryCommand::Flush { reply }]).unwrap();
    let HistoryEvent::Failed { reason, dropped } = heard() else { panic!() };
    assert!(reason.contains("broke down") && dropped == 1, "{reason} {dropped}");
    drop(answer);
    keep(30);
    time.store(90, Ordering::SeqCst);
    keep(40);
    assert!(matches!(heard(), HistoryEvent::Opened { .. }));
    while !matches!(heard(), HistoryEvent::Recovered { dropped: 1 }) {}
    keep(50);
    drop(commands);
    thread.join().unwrap();
    let ats = world.number(
        "SELECT group_concat(ts) = '0,30,40,50' FROM (SELECT ts - 1699999200 AS ts FROM raw)",
    );
    assert_eq!(ats, 1);
}
