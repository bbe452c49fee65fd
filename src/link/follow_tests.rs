use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{FOLLOWS, Follows, PART_EVERY, json_bytes, parts};
use crate::bus;
use crate::logs::{LINE_BYTES, LogRing};
use crate::smsg::limits;

fn ring(lines: &[&str]) -> Arc<LogRing> {
    let ring = LogRing::default();
    ring.begin_run();
    for line in lines {
        ring.push(line.as_bytes());
    }
    Arc::new(ring)
}

/// Everything that is to be sent now, pacing aside.
fn all(follows: &mut Follows) -> Vec<(u64, Vec<String>, u64, bool)> {
    let mut out = Vec::new();
    while follows.due().is_some() {
        if let Some(part) = follows.next(Instant::now()) {
            out.push((part.follow.unwrap(), part.lines, part.skipped, part.ended));
        }
    }
    out
}

#[test]
fn parts_lose_nothing_and_fit_even_when_every_byte_is_escaped() {
    assert_eq!(parts(vec![]), [Vec::<String>::new()]);
    let worst = "\u{1}".repeat(LINE_BYTES);
    let mixed: Vec<String> = (0..300)
        .map(|i| if i % 50 == 0 { worst.clone() } else { format!("line {i} \"\\") })
        .collect();
    let cut = parts(mixed.clone());
    assert_eq!(cut.concat(), mixed);
    for part in &cut {
        let size = serde_json::to_string(part).unwrap().len();
        assert!(size <= limits::LOG_BYTES + 4 || part.len() == 1, "{size}");
        assert!(size < limits::ENVELOPE - 1000, "{size}");
    }
    assert_eq!(json_bytes(&worst), serde_json::to_string(&worst).unwrap().len() + 1);
}

#[test]
fn no_more_lines_leave_than_credit_was_given_for() {
    let (wake, _woken) = bus::wire_channel(8);
    let wake = Arc::new(wake);
    let mut follows = Follows::new(Arc::downgrade(&wake));
    let ring = ring(&["a", "b", "c", "d"]);
    assert!(!follows.grant(7, 5), "nothing is followed yet");
    assert!(follows.begin(7, ring.clone(), 3, 2));
    assert_eq!(all(&mut follows), [(7, vec!["b".into(), "c".into()], 0, false)]);
    ring.push(b"e");
    ring.end();
    assert_eq!(all(&mut follows), []);
    assert!(follows.grant(7, 10));
    assert_eq!(all(&mut follows), [(7, vec!["d".into(), "e".into()], 0, true)]);
    assert!(!follows.grant(7, 1), "it has ended");
}

#[test]
fn a_follower_is_woken_once_until_it_has_looked() {
    let (wake, woken) = bus::wire_channel(8);
    let wake = Arc::new(wake);
    let mut follows = Follows::new(Arc::downgrade(&wake));
    let ring = ring(&[]);
    assert!(follows.begin(1, ring.clone(), 0, 100));
    assert_eq!(all(&mut follows), []);
    ring.push(b"a");
    ring.push(b"b");
    assert_eq!(woken.len(), 1);
    assert_eq!(all(&mut follows), [(1, vec!["a".into(), "b".into()], 0, false)]);
    ring.push(b"c");
    assert_eq!(woken.len(), 2);
    assert_eq!(all(&mut follows).len(), 1);
    follows.end(1);
    ring.push(b"d");
    assert_eq!((woken.len(), follows.due()), (2, None), "it has left the ring");
    assert!(follows.begin(2, ring.clone(), 0, 100));
    assert_eq!(all(&mut follows), []);
    drop(follows);
    ring.push(b"e");
    assert_eq!(woken.len(), 2, "a link that ended has left every ring");
}

#[test]
fn a_wake_up_that_finds_no_room_is_not_lost() {
    let (wake, woken) = bus::wire_channel(1);
    let wake = Arc::new(wake);
    wake.try_send(Box::new(bus::Outbound::Raw(vec![]))).unwrap();
    let mut follows = Follows::new(Arc::downgrade(&wake));
    let ring = ring(&[]);
    assert!(follows.begin(1, ring.clone(), 0, 100));
    assert_eq!(all(&mut follows), []);
    ring.push(b"a");
    // The writer takes what filled the channel, and then looks.
    woken.try_recv().unwrap();
    assert_eq!(all(&mut follows).len(), 1);
}

#[test]
fn lost_lines_are_counted_once() {
    let mut follows = Follows::new(std::sync::Weak::new());
    let ring = ring(&[]);
    assert!(follows.begin(1, ring.clone(), 0, 10_000));
    let count = crate::logs::LINES + 250;
    for i in 0..count {
        ring.push(format!("{i} {}", "\u{1}".repeat(50)).as_bytes());
    }
    let seen = all(&mut follows);
    let lines: usize = seen.iter().map(|part| part.1.len()).sum();
    let skipped: u64 = seen.iter().map(|part| part.2).sum();
    assert!(skipped > 0 && seen.len() > 10);
    assert_eq!(lines as u64 + skipped, count as u64);
}

#[test]
fn parts_are_paced_and_every_log_gets_its_turn() {
    let mut follows = Follows::new(std::sync::Weak::new());
    for follow in 1..=FOLLOWS as u64 {
        assert!(follows.begin(follow, ring(&["x"]), 1, 10));
    }
    assert!(!follows.begin(99, ring(&["x"]), 1, 10), "more than a link may follow");
    let mut now = follows.due().unwrap();
    for follow in 1..=FOLLOWS as u64 {
        assert_eq!(follows.next(now).unwrap().follow, Some(follow));
        assert!(follows.due().unwrap() >= now + PART_EVERY);
        now += PART_EVERY;
    }
    let per_second = Duration::from_secs(1).as_secs_f64() / PART_EVERY.as_secs_f64();
    assert!(per_second < limits::ENVELOPES_PER_SECOND / 2.0);
}

#[test]
fn followers_that_never_look_stop_no_miner_and_learn_what_they_missed() {
    const PRINTED: u64 = 50_000;
    // Room for one word, and nobody who takes it: a miner that had to wait would wait here for ever.
    let (wake, woken) = bus::wire_channel(1);
    let wake = Arc::new(wake);
    let mut follows = Follows::new(Arc::downgrade(&wake));
    let ring = ring(&[]);
    for follow in 0..FOLLOWS as u64 {
        assert!(follows.begin(follow, ring.clone(), 0, 10_000));
    }
    assert_eq!(all(&mut follows), []);
    (0..PRINTED).for_each(|i| ring.push(format!("{i}").as_bytes()));
    assert_eq!(woken.len(), 1);
    let mut got = vec![0; FOLLOWS];
    for (follow, lines, skipped, _) in all(&mut follows) {
        got[usize::try_from(follow).unwrap()] += lines.len() as u64 + skipped;
    }
    assert_eq!(got, vec![PRINTED; FOLLOWS]);
}
