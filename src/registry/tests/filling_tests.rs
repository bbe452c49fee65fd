//! Asking rigs for what is missing: how often, how many at once, after which mishaps; and rigs that answer nonsense.
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::world::{MinerPlay, Played, World, profile};
use crate::bus::{HistoryCommand, HistoryEvent, Reply, Request, SetAside};
use crate::model::event::{EventKind, Severity};
use crate::model::fault::Code;
use crate::model::history::{Batch, Live, Reading, Rollup, Rows, Series};
use crate::model::key::NodeId;
use crate::model::node::Role;
use crate::model::stats::NodeStats;
use crate::registry::readings::second;
use crate::smsg::messages::Body;

const S: Duration = Duration::from_secs(1);

/// What came to a history thread that is played here.
#[derive(Clone, Default)]
struct Taken(Arc<Mutex<Vec<HistoryCommand>>>);

/// A row with whose it is and which series.
type Row = (NodeId, String, Reading);

impl Taken {
    fn rows(&self) -> Vec<Row> {
        let mut out = Vec::new();
        for command in self.0.lock().unwrap().iter() {
            if let HistoryCommand::Keep { node, batch, .. } = command
                && let Rows::Raw(rows) = &batch.rows
            {
                let named = |i: u16| batch.series[usize::from(i)].miner.clone();
                out.extend(rows.iter().map(|(i, row)| (*node, named(*i), *row)));
            }
        }
        out
    }

    fn last_keep(&self) -> (Option<i64>, i64) {
        let all = self.0.lock().unwrap();
        let keep = all.iter().rev().find_map(|c| match c {
            HistoryCommand::Keep { batch, after, .. } => Some((*after, batch.through)),
            _ => None,
        });
        keep.expect("something was kept")
    }

    /// A thread that is open and keeps what it is given; `script` is said first.
    fn thread(&self, script: Vec<HistoryEvent>) -> Played {
        let (taken, mut script) = (self.0.clone(), script);
        Box::new(move |command, _| {
            taken.lock().unwrap().extend(command);
            std::mem::take(&mut script)
        })
    }
}

fn opened(marks: Vec<(NodeId, i64)>) -> HistoryEvent {
    HistoryEvent::Opened { marks, means: Vec::new(), set_aside: None }
}

/// A controller whose history thread is played, and a rig without one that is played by hand.
fn by_hand() -> (World, Taken) {
    let mut world = World::linked();
    let taken = Taken::default();
    world.nodes[1].asked_by_hand = true;
    world.nodes[0].history = Some(taken.thread(vec![opened(Vec::new())]));
    (world, taken)
}

fn series(miner: &str) -> Series {
    Series {
        miner: miner.to_owned(),
        miner_type: "xmrig".to_owned(),
        simulated: false,
        algorithm: "rx/0".to_owned(),
    }
}

fn row(at: i64) -> (u16, Reading) {
    (0, Reading { at, hashrate: Some(500.0), ..Reading::default() })
}

fn batch(rows: Vec<(u16, Reading)>, through: i64, more: bool) -> Batch {
    Batch { series: vec![series("xmrig-1")], rows: Rows::Raw(rows), through, more }
}

/// A report of the rig that carries `live`.
fn report(world: &mut World, live: Live) {
    let Ok(Reply::AllStats(all)) = world.call(0, Request::RemoteStatsAll) else { panic!() };
    let stats = NodeStats { history: Some(Box::new(live)), ..all[0].1.as_ref().clone() };
    world.say(1, Body::Stats(Box::new(stats)));
}

fn now(world: &World) -> i64 {
    second(world.now.wall)
}

/// Makes the controller ask, and answers as the rig.
fn ask_and_answer(world: &mut World, answer: Body) {
    world.pass(2 * S);
    let after = now(world) - 1;
    report(world, Live { after, batch: batch(Vec::new(), after, false) });
    let id = world.asked.last().expect("it asks").3.clone();
    world.answer(1, &id, answer);
}

#[test]
fn eight_rigs_are_asked_at_once_and_the_next_when_one_has_answered_or_does_not() {
    let mut world = World::new(&[Role::Controller]);
    world.nodes[0].history = Some(Taken::default().thread(vec![opened(Vec::new())]));
    for rig in 1..=12 {
        world.add(Role::Worker, Default::default());
        // It is open and answers nothing.
        world.nodes[rig].history = Some(Taken::default().thread(vec![opened(Vec::new())]));
        world.call(0, World::add_request(rig, &format!("rig-{rig}"))).unwrap();
        let id = world.id(0);
        world.call(rig, Request::Approve { peer: id }).unwrap();
    }
    world.pass(20 * S);
    assert_eq!(world.links_of(0), 12);
    let mut rigs: Vec<usize> = world.asked.iter().map(|(_, rig, ..)| *rig).collect();
    assert_eq!(rigs.len(), 8, "{rigs:?}");
    let Some((_, rig, _, id)) = world.asked.first().cloned() else { panic!() };
    let through = now(&world) - 1;
    answer_as(&mut world, rig, &id, Body::HistoryBatch(Box::new(batch(vec![], through, false))));
    assert_eq!(world.asked.len(), 9, "one has answered");
    // Nobody is forgotten over those who say nothing.
    world.pass(40 * S);
    rigs = world.asked.iter().map(|(_, rig, ..)| *rig).collect();
    rigs.sort_unstable();
    rigs.dedup();
    assert_eq!(rigs, (1..=12).collect::<Vec<_>>());
}

/// As [`World::answer`] of a node whose only peer is the controller.
fn answer_as(world: &mut World, rig: usize, id: &str, body: Body) {
    world.answer(rig, id, body);
}

#[test]
fn a_rig_with_much_to_tell_is_asked_once_a_second_from_where_it_ended() {
    let (mut world, taken) = by_hand();
    let start = now(&world) - 4000;
    let rows = |from: i64| (0..100).map(|n| row(from + n)).collect::<Vec<_>>();
    ask_and_answer(&mut world, Body::HistoryBatch(Box::new(batch(rows(start), start + 99, true))));
    for n in 1..10 {
        world.pass(S);
        let Some((_, _, after, id)) = world.asked.last().cloned() else { panic!() };
        let from = start + n * 100;
        assert_eq!(after, from - 1, "from where it ended");
        let more = n < 9;
        let answer = batch(rows(from), from + 99, more);
        world.answer(1, &id, Body::HistoryBatch(Box::new(answer)));
    }
    let times: Vec<_> = world.asked.iter().map(|(at, ..)| *at).collect();
    assert_eq!(times.len(), 10);
    assert!(times.windows(2).all(|w| w[1].since(w[0]) >= S), "{times:?}");
    assert_eq!(taken.rows().len(), 1000);
    // The last one covers what its reports told meanwhile, and nothing more is asked.
    let through = taken.last_keep().1;
    report(&mut world, Live { after: through, batch: batch(vec![], through + 5, false) });
    assert_eq!(taken.last_keep(), (Some(through), through + 5));
    world.pass(30 * S);
    assert_eq!(world.asked.len(), 10);
}

#[test]
fn nonsense_is_given_up_until_the_next_link() {
    type Answer = fn(i64) -> Batch;
    let cases: &[(&str, Answer)] = &[
        ("from before what was asked for", |_| batch(vec![row(-5)], 5, false)),
        ("no progress", |_| batch(vec![], -1, true)),
        ("not yet", |now| batch(vec![row(now + 4000)], now + 4000, true)),
        ("rows behind its end", |now| batch(vec![row(now)], now - 10, true)),
        ("too many", |now| batch((0..401).map(|n| row(now - n)).collect(), now, false)),
    ];
    for (name, answer) in cases {
        let (mut world, taken) = by_hand();
        let answer = answer(now(&world));
        ask_and_answer(&mut world, Body::HistoryBatch(Box::new(answer)));
        let (asked, rows) = (world.asked.len(), taken.rows().len());
        for _ in 0..10 {
            let after = now(&world) - 1;
            report(&mut world, Live { after, batch: batch(vec![], after, false) });
            world.pass(20 * S);
        }
        assert_eq!((world.asked.len(), rows), (asked, 0), "{name}");
        assert!(world.nodes[0].logged.iter().any(|l| l.contains("rig is not asked")), "{name}");
        world.cut_all(0);
        world.pass(90 * S);
        assert!(world.asked.len() > asked, "{name}: its next link is a new chance");
    }
    // Anything else than a batch.
    let (mut world, _) = by_hand();
    ask_and_answer(&mut world, Body::Pong {});
    let asked = world.asked.len();
    world.pass(120 * S);
    assert_eq!(world.asked.len(), asked);
}

#[test]
fn an_endless_story_ends() {
    let (mut world, taken) = by_hand();
    let start = now(&world) - 2_000_000;
    let one = |n: i64| Body::HistoryBatch(Box::new(batch(vec![row(start + n)], start + n, true)));
    ask_and_answer(&mut world, one(0));
    for n in 1..100 {
        world.pass(S);
        let Some((.., id)) = world.asked.last().cloned() else { panic!() };
        world.answer(1, &id, one(n));
    }
    assert_eq!(world.asked.len(), 17, "a row at a time is no history");
    assert_eq!(taken.rows().len(), 16);
}

#[test]
fn a_rig_without_time_is_asked_again_after_a_minute() {
    let (mut world, _) = by_hand();
    // The rig of this world has no history thread, and says so by itself.
    world.nodes[1].asked_by_hand = false;
    world.pass(30 * S);
    assert_eq!(world.asked.len(), 1);
    world.pass(60 * S);
    assert_eq!(world.asked.len(), 2, "{:?}", world.asked);
    // An older program does not know the question.
    let fault = crate::model::fault::Fault::new(Code::Unsupported, "no get_history here");
    let (mut world, _) = by_hand();
    ask_and_answer(&mut world, Body::Error(fault));
    let asked = world.asked.len();
    world.pass(200 * S);
    assert_eq!(world.asked.len(), asked);
}

#[test]
fn what_a_report_carries_is_cleaned_and_bounded() {
    let (mut world, taken) = by_hand();
    let at = now(&world);
    let mut odd = batch(vec![row(at), row(at + 500), row(at - 900_000_000)], at, false);
    odd.series = vec![
        series("xmrig-1"),
        series("\u{1b}[2J"),
        Series { algorithm: "\u{1b}[31m".repeat(99), ..series("x-2") },
    ];
    let Rows::Raw(rows) = &mut odd.rows else { panic!() };
    rows.push((1, Reading { at, ..Reading::default() }));
    rows.push((9, Reading { at, ..Reading::default() }));
    let wild = Reading {
        at,
        hashrate: Some(f64::MAX),
        work: Some(-1.0),
        temperature: Some(1e9),
        power: Some(f64::MAX),
        accepted: u32::MAX,
        rejected: u32::MAX,
    };
    rows.push((2, wild));
    report(&mut world, Live { after: at - 10, batch: odd });
    let got = taken.rows();
    assert_eq!(got.len(), 2, "{got:?}");
    assert_eq!((got[0].1.as_str(), got[0].2.at), ("xmrig-1", at));
    let wild = got[1].2;
    assert_eq!((wild.hashrate, wild.work, wild.temperature, wild.power), (None, None, None, None));
    assert!(wild.accepted < u32::MAX && wild.rejected < u32::MAX);
    assert!(got.iter().all(|(node, ..)| *node == world.nodes[1].card.id));

    // So many series a day, and of each report so many rows.
    let mut many =
        batch((0..100).map(|n| (n, Reading { at, ..Reading::default() })).collect(), at, false);
    many.series = (0..100).map(|n| series(&format!("m-{n}"))).collect();
    report(&mut world, Live { after: at, batch: many.clone() });
    assert_eq!(taken.rows().len(), 2 + 62, "64 a day");
    many.rows = Rows::Raw((0..60_000).map(|n| row(at - n)).collect());
    report(&mut world, Live { after: at, batch: many });
    assert!(taken.rows().len() <= 64 + 100);
    // Who is no rig has no history here.
    let before = taken.rows().len();
    world.nodes[1].history = Some(taken.thread(Vec::new()));
    let live = Live { after: at, batch: batch(vec![row(at)], at, false) };
    let Ok(Reply::AllStats(all)) = world.call(0, Request::RemoteStatsAll) else { panic!() };
    let stats = NodeStats { history: Some(Box::new(live)), ..all[0].1.as_ref().clone() };
    world.say(0, Body::Stats(Box::new(stats)));
    assert_eq!(taken.rows().len(), before);
}

#[test]
fn minutes_and_hours_of_a_rig_must_be_possible() {
    let (mut world, taken) = by_hand();
    let minute = now(&world) / 60 * 60 - 6000;
    let good =
        Rollup { at: minute, n: 6, sum: 3000.0, min: 400.0, max: 600.0, ..Rollup::default() };
    let rows = vec![
        (0, good),
        (0, Rollup { at: minute + 61, ..good }),
        (0, Rollup { at: minute + 60, n: u32::MAX, ..good }),
        (0, Rollup { at: minute + 60, sum: f64::MAX, ..good }),
        (0, Rollup { at: minute + 60, min: 900.0, ..good }),
    ];
    let answer = Batch { rows: Rows::Minute(rows), ..batch(vec![], minute + 119, true) };
    ask_and_answer(&mut world, Body::HistoryBatch(Box::new(answer)));
    let all = taken.0.lock().unwrap();
    let kept = all.iter().find_map(|c| match c {
        HistoryCommand::Keep { batch: Batch { rows: Rows::Minute(rows), .. }, .. } => {
            Some(rows.clone())
        }
        _ => None,
    });
    assert_eq!(kept.unwrap(), [(0, good)]);
}

#[test]
fn only_controllers_may_ask_and_one_question_at_a_time() {
    let (mut world, taken) = by_hand();
    world.say(1, Body::GetHistory { after: 0 });
    let reads = |taken: &Taken| {
        let all = taken.0.lock().unwrap();
        all.iter().filter(|c| matches!(c, HistoryCommand::Read { .. })).count()
    };
    assert_eq!(reads(&taken), 0);
    let kinds = world.kinds(0);
    assert!(kinds.contains(&EventKind::CommandRefused), "{kinds:?}");

    let rig = Taken::default();
    world.nodes[1].asked_by_hand = false;
    world.nodes[1].history = Some(rig.thread(vec![opened(Vec::new())]));
    world.pass(S);
    for _ in 0..50 {
        world.say(0, Body::GetHistory { after: 0 });
    }
    assert_eq!(reads(&rig), 1);
    // A link that went away waits for no answer.
    world.cut_all(0);
    world.pass(5 * S);
    let before = reads(&rig);
    world.say(0, Body::GetHistory { after: 0 });
    assert!(reads(&rig) > 1 && before >= 1);
}

#[test]
fn a_clock_that_is_far_off_is_told_once_and_its_readings_are_kept_by_ours() {
    let (mut world, taken) = by_hand();
    world.nodes[1].clock_ahead = 600_000;
    world.nodes[1].miners = MinerPlay::Hash(700.0);
    world.cut_all(0);
    drop(world.call(1, Request::AddProfile { profile: Box::new(profile("demo")) }));
    drop(world.ask(1, Request::StartProfile { id: "demo".to_owned() }));
    world.pass(100 * S);
    let asked = world.asked.len();
    world.pass(100 * S);
    let rows = taken.rows();
    assert!(rows.len() > 10);
    let latest = rows.last().unwrap().2.at;
    assert!((now(&world) - latest).abs() <= 15, "{latest} {}", now(&world));
    assert!(rows.windows(2).all(|w| w[0].2.at < w[1].2.at), "ten seconds apart as they were made");
    assert_eq!(taken.last_keep().0, None, "no mark moves");
    assert_eq!(world.asked.len(), asked, "and nothing is fetched");
    let clocks = |world: &mut World| {
        let events = world.events(0);
        let off = events.iter().filter(|e| e.kind == EventKind::ClockOff);
        off.map(|e| (e.severity, e.text.clone())).collect::<Vec<_>>()
    };
    let told = clocks(&mut world);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].0 == Severity::Warning && told[0].1.contains("10m ahead of"), "{told:?}");
    // Set right, it is told again, and what was missed is asked for.
    world.nodes[1].clock_ahead = 500;
    world.pass(60 * S);
    let told = clocks(&mut world);
    assert_eq!((told.len(), told[1].0), (2, Severity::Info), "{told:?}");
    assert!(world.asked.len() > asked);
    assert!(taken.last_keep().0.is_some());
}

#[test]
fn after_a_full_disk_rigs_are_asked_from_what_is_on_it() {
    let (mut world, taken) = by_hand();
    let (rig, mark) = (world.nodes[1].card.id, now(&world) - 1000);
    ask_and_answer(&mut world, Body::HistoryBatch(Box::new(batch(vec![], mark, false))));
    let through = taken.last_keep().1;
    let tell = |world: &mut World, event| world.event(0, crate::bus::Event::History(event));
    tell(&mut world, HistoryEvent::Kept { marks: vec![(rig, mark)] });
    let live = |world: &mut World, after: i64| {
        report(world, Live { after, batch: batch(vec![row(after + 5)], after + 10, false) });
    };
    live(&mut world, through);
    let asked = world.asked.len();
    tell(&mut world, HistoryEvent::Failed { reason: "no space left".to_owned(), dropped: 7 });
    live(&mut world, through + 10);
    assert_eq!(world.asked.len(), asked, "nothing is asked while nothing can be kept");
    assert_eq!(taken.last_keep().0, Some(through + 10), "but what comes is still handed on");
    tell(&mut world, HistoryEvent::Recovered { dropped: 9 });
    world.pass(2 * S);
    live(&mut world, through + 20);
    let last = world.asked.last().unwrap();
    assert_eq!((world.asked.len(), last.2), (asked + 1, mark), "from what is on disk");
    let kinds = world.kinds(0);
    let count = |kind| kinds.iter().filter(|k| **k == kind).count();
    assert_eq!((count(EventKind::HistoryFailed), count(EventKind::HistoryRecovered)), (1, 1));
    assert!(world.events(0).iter().any(|e| e.text.contains("no space left")));

    // A damaged file: everything again.
    world.cut_all(0);
    world.pass(3 * S);
    let set_aside = Some(SetAside {
        reason: "not a database".to_owned(),
        file: "mining.db.corrupt".to_owned(),
    });
    let opened = HistoryEvent::Opened { marks: vec![], means: vec![], set_aside };
    tell(&mut world, opened);
    let asked = world.asked.len();
    world.pass(120 * S);
    assert_eq!(world.asked.get(asked).map(|a| a.2), Some(0));
    let events = world.events(0);
    let told = events.iter().find(|e| e.kind == EventKind::HistorySetAside).unwrap();
    assert!(told.text.contains("mining.db.corrupt") && told.text.contains("not a database"));
}

#[test]
fn readings_that_find_no_room_are_counted_and_asked_for_again() {
    let (mut world, taken) = by_hand();
    let (rig, mark) = (world.nodes[1].card.id, now(&world) - 1000);
    ask_and_answer(&mut world, Body::HistoryBatch(Box::new(batch(vec![], mark, false))));
    let through = taken.last_keep().1;
    world.event(0, crate::bus::Event::History(HistoryEvent::Kept { marks: vec![(rig, mark)] }));
    let lost = HistoryCommand::Keep {
        node: rig,
        batch: batch(vec![row(through + 1), row(through + 2)], through + 2, false),
        after: Some(through),
    };
    let mut cx = crate::registry::Cx::new(world.now);
    world.nodes[0].registry.history_lost(lost, &mut cx);
    let (reply, _status) = crate::bus::reply_channel();
    let Ok(Reply::HistoryStatus(status)) = world.call(0, Request::FlushHistory { reply }) else {
        panic!()
    };
    assert_eq!(status.dropped_samples, 2);
    world.pass(2 * S);
    let asked = world.asked.len();
    let live = batch(vec![], through + 12, false);
    report(&mut world, Live { after: through + 2, batch: live });
    assert!(asked > 0 && world.asked.len() > 1);
    assert_eq!(world.asked.last().unwrap().2, mark);
}

#[test]
fn a_peer_that_is_removed_is_forgotten() {
    let (mut world, taken) = by_hand();
    let rig = world.nodes[1].card.id;
    world.call(0, Request::RemovePeer { peer: "rig".to_owned() }).unwrap();
    let all = taken.0.lock().unwrap();
    assert!(all.iter().any(|c| matches!(c, HistoryCommand::Forget { node } if *node == rig)));
}

#[test]
fn the_totals_know_what_was_paid_for() {
    let mut world = World::linked();
    let taken = Taken::default();
    world.nodes[0].history = Some(taken.thread(vec![opened(Vec::new())]));
    world.nodes[1].miners = MinerPlay::Hash(1000.0);
    drop(world.call(1, Request::AddProfile { profile: Box::new(profile("demo")) }));
    drop(world.ask(1, Request::StartProfile { id: "demo".to_owned() }));
    let effective = |world: &mut World| match world.call(0, Request::RemoteTotals) {
        Ok(Reply::Totals(totals)) => totals.algorithms[0].effective,
        other => panic!("{other:?}"),
    };
    world.pass(30 * S);
    assert_eq!(effective(&mut world), None, "too early to say");
    for _ in 0..70 {
        let at = now(&world);
        let paid = Reading { at, hashrate: Some(1000.0), work: Some(9000.0), ..Reading::default() };
        world.pass(S);
        report_as_is(&mut world, Live { after: at, batch: batch(vec![(0, paid)], at, false) });
    }
    // The world's own miner does not say what was paid: a part of it is not the whole.
    assert_eq!(effective(&mut world), None);
}

/// The rig's present report, with `live` in the place of its own.
fn report_as_is(world: &mut World, live: Live) {
    let mut cx = crate::registry::Cx::new(world.now);
    world.nodes[1].registry.report(&mut cx);
    let body = cx.out.into_iter().find_map(|out| match out {
        crate::registry::Out::Send {
            message: crate::bus::Outbound::Message { body, .. }, ..
        } => Some(*body),
        _ => None,
    });
    let Some(Body::Stats(stats)) = body else { panic!("it is linked") };
    world.say(1, Body::Stats(Box::new(NodeStats { history: Some(Box::new(live)), ..*stats })));
}
