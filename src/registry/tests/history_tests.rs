//! Histories: readings are made once, told live, and what was missed is asked for until the controller's rows are the
//! rig's own. Played with the real mining.db on both sides, over hours, in virtual time.
use std::path::PathBuf;
use std::time::Duration;

use super::world::{MinerPlay, World, profile};
use crate::bus::{Event, HistoryCommand, HistoryEvent, MinerEvent, Request, SpawnCommand};
use crate::model::history::{Batch, Live};
use crate::model::stats::{Hashrate, MinerSample};
use crate::registry::readings::second;
use crate::smsg::messages::Body;
use crate::store::history::{Keeper, Options};

const S: Duration = Duration::from_secs(1);
const H: Duration = Duration::from_secs(3600);

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let name = format!("mc-history-{}", crate::sys::random::hex::<6>());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A controller and a rig, each with a mining.db.
struct Farm {
    world: World,
    folder: Folder,
    /// Shares found by each miner so far.
    beat: u64,
}

impl Farm {
    fn new() -> Self {
        let mut farm = Self { world: World::linked(), folder: Folder::new(), beat: 0 };
        farm.world.nodes[1].miners = MinerPlay::Mute;
        for node in 0..2 {
            farm.open(node);
        }
        farm.world.pass(S);
        drop(farm.world.call(1, Request::AddProfile { profile: Box::new(profile("demo")) }));
        farm
    }

    fn file(&self, node: usize) -> PathBuf {
        self.folder.0.join(format!("{node}.db"))
    }

    fn open(&mut self, node: usize) {
        let (path, me) = (self.file(node), self.world.nodes[node].card.id);
        let mut keeper = Keeper::new(Options { path, me, retention_days: 30 });
        self.world.nodes[node].history = Some(Box::new(move |command, now| {
            keeper.tick(now);
            if let Some(command) = command {
                keeper.take(command, now);
            }
            keeper.events.drain(..).collect()
        }));
    }

    fn start(&mut self) -> String {
        let asked = Request::StartProfile { id: "demo".to_owned() };
        drop(self.world.ask(1, asked));
        match self.world.nodes[1].spawned.last() {
            Some(SpawnCommand::Start { name, .. }) => name.clone(),
            other => panic!("{other:?}"),
        }
    }

    fn stop(&mut self, name: &str) {
        drop(self.world.ask(1, Request::StopMiner { name: name.to_owned() }));
    }

    /// Lets time go by while the rig's miners answer every 10 s.
    fn mine(&mut self, time: Duration) {
        let end = self.world.now.mono.plus(time);
        while self.world.now.mono < end {
            self.world.pass_in_steps(10 * S, 500);
            self.beat += 1;
            let mut running: Vec<(String, u64)> = Vec::new();
            for command in &self.world.nodes[1].spawned {
                match command {
                    SpawnCommand::Start { name, run, .. } => {
                        running.retain(|(n, _)| n != name);
                        running.push((name.clone(), *run));
                    }
                    SpawnCommand::Stop { name, .. } => running.retain(|(n, _)| n != name),
                    _ => {}
                }
            }
            for (place, (name, run)) in running.into_iter().enumerate() {
                let sample = Box::new(sample(self.beat, place as u64));
                let event = Event::Miner(MinerEvent::Sample { name, run, sample });
                self.world.event(1, event);
            }
        }
    }

    fn cut(&mut self) {
        self.world.nodes[1].cut_off = true;
        self.world.cut_all(0);
    }

    fn mend(&mut self) {
        self.world.nodes[1].cut_off = false;
    }

    /// The controller dies without a word, and comes back with what is on its disks.
    fn kill_controller(&mut self) {
        self.world.nodes[0].history = None;
        self.world.restart(0);
        self.open(0);
    }

    /// Everything that waits in `node` is written.
    fn write(&mut self, node: usize) {
        let now = self.world.now_of(node);
        let read = HistoryCommand::Read {
            link: crate::bus::LinkId(u64::MAX),
            request: String::new(),
            after: i64::MAX - 10_000,
        };
        let events = self.world.nodes[node].history.as_mut().expect("it has one")(Some(read), now);
        for event in events {
            self.world.event(node, Event::History(event));
        }
    }

    /// The rig's rows of `table` as `node` has them, each as a text.
    fn rows(&mut self, node: usize, table: &str) -> Vec<String> {
        self.write(node);
        let rig = self.world.nodes[1].card.id;
        let db = rusqlite::Connection::open(self.file(node)).unwrap();
        let sql = format!(
            "SELECT t.ts, s.miner, s.miner_type, s.simulated, s.algorithm, t.* FROM {table} AS t
             JOIN series AS s ON s.id = t.series WHERE s.node = ?1 ORDER BY t.ts, s.miner, s.algorithm"
        );
        let mut select = db.prepare(&sql).unwrap();
        let names: Vec<String> = select.column_names().map(str::to_owned).collect();
        let mut rows = select.query([rig.0]).unwrap();
        let mut out = Vec::new();
        while let Some(row) = rows.next().unwrap() {
            let cells = names.iter().enumerate().filter(|(_, name)| *name != "series");
            let cells: Vec<String> = cells
                .map(|(i, name)| {
                    let value: rusqlite::types::Value = row.get(i).unwrap();
                    format!("{name}={value:?}")
                })
                .collect();
            out.push(cells.join(" "));
        }
        out
    }

    /// Both sides have the same rows, of every kind.
    fn same(&mut self) -> usize {
        // The newest readings go with the next report.
        self.world.pass(11 * S);
        let raw = self.rows(1, "raw");
        for table in ["raw", "m1", "h1"] {
            let (rig, controller) = (self.rows(1, table), self.rows(0, table));
            let first = rig.iter().zip(&controller).find(|(a, b)| a != b);
            assert_eq!((rig.len(), first), (controller.len(), None), "{table}");
        }
        raw.len()
    }
}

/// What a miner says at a beat: rates, shares and work go up and down as if by chance.
fn sample(beat: u64, place: u64) -> MinerSample {
    let noise = |n: u64| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) % 1000;
    let shares: u64 = beat + beat / 7 * place;
    MinerSample {
        algorithm: Some(if beat % 900 < 700 { "rx/0" } else { "rx/wow" }.to_owned()),
        hashrate: Hashrate {
            now: (!beat.is_multiple_of(50)).then(|| 1000.0 + noise(beat + place) as f64 / 10.0),
            ..Hashrate::default()
        },
        accepted: Some(shares),
        rejected: Some(shares / 40),
        work: Some((shares * 10_000 + noise(shares)) as f64),
        uptime: Some(beat * 10),
        pool: crate::model::stats::Pool { connected: Some(true), ..Default::default() },
        ..MinerSample::default()
    }
}

#[test]
fn after_ten_hours_without_a_link_the_controllers_rows_are_the_rigs_own() {
    let mut farm = Farm::new();
    let (one, other) = (farm.start(), farm.start());
    farm.mine(H / 3);
    assert_eq!(farm.same(), 240, "live, before anything is missed");

    farm.cut();
    farm.mine(3 * H);
    farm.stop(&one);
    farm.mine(H);
    farm.stop(&other);
    // Here nothing is mined.
    farm.mine(H);
    let idle = farm.world.now.wall;
    farm.start();
    farm.mine(H);
    farm.start();
    farm.mine(4 * H);
    assert_eq!(farm.rows(0, "raw").len(), 240, "the controller knows nothing of it");
    let own = farm.rows(1, "raw").len();
    assert!(own > 240 + 4500, "{own}");

    // The link comes back, and goes again in the middle; …
    farm.mend();
    let halfway = |farm: &mut Farm, rows: usize| {
        for _ in 0..600 {
            if farm.rows(0, "raw").len() >= rows {
                return;
            }
            farm.mine(10 * S);
        }
        panic!("it never got {rows} rows: {}", farm.rows(0, "raw").len());
    };
    halfway(&mut farm, 1000);
    farm.cut();
    farm.mine(2 * 60 * S);
    farm.mend();
    halfway(&mut farm, 2000);
    // … the controller is killed, with readings that were not written yet; …
    farm.kill_controller();
    halfway(&mut farm, 3000);
    farm.world.cut_all(0);
    // … and everything that the rig has said is said again.
    halfway(&mut farm, 4000);
    let rows = farm.rows(1, "raw").len();
    assert!(farm.rows(0, "raw").len() < rows, "still in the middle");
    halfway(&mut farm, own);
    farm.mine(H / 2);
    let rows = farm.same();
    assert!(rows >= own + 300, "{rows} {own}");

    // Where the rig did not mine there is nothing on either side.
    let end = second(idle);
    let in_gap = |row: &String| {
        let at: i64 =
            row.trim_start_matches("ts=Integer(").split(')').next().unwrap().parse().unwrap();
        at > end - 3590 && at < end
    };
    for node in 0..2 {
        assert_eq!(farm.rows(node, "raw").iter().filter(|row| in_gap(row)).count(), 0);
    }
    // Nobody was asked more often than once a second.
    let times: Vec<_> = farm.world.asked.iter().map(|(at, ..)| *at).collect();
    assert!(times.windows(2).all(|w| w[1].since(w[0]) >= S), "{times:?}");
    // And when all is there, nothing is asked any more.
    let asked = farm.world.asked.len();
    farm.mine(H / 6);
    assert_eq!((farm.world.asked.len(), farm.same()), (asked, rows + 120));
}

#[test]
fn what_comes_twice_or_in_another_order_changes_nothing() {
    let mut farm = Farm::new();
    farm.start();
    farm.mine(H / 6);
    let rows = farm.same();
    let batch = Batch { through: second(farm.world.now.wall) - 1, more: false, ..all(&mut farm) };
    for _ in 0..2 {
        let live = Live { after: 0, batch: batch.clone() };
        say_live(&mut farm.world, live);
    }
    assert_eq!(farm.same(), rows);
}

/// The last hundred readings that the controller has of the rig.
fn all(farm: &mut Farm) -> Batch {
    farm.write(1);
    let now = farm.world.now_of(1);
    let read = HistoryCommand::Read {
        link: crate::bus::LinkId(u64::MAX),
        request: String::new(),
        after: second(now.wall) - 900,
    };
    let events = farm.world.nodes[1].history.as_mut().expect("it has one")(Some(read), now);
    match events.into_iter().next_back() {
        Some(HistoryEvent::Read { batch: Some(batch), .. }) => batch,
        other => panic!("{other:?}"),
    }
}

fn say_live(world: &mut World, live: Live) {
    let Body::Stats(stats) = report(world) else { panic!() };
    let stats = crate::model::stats::NodeStats { history: Some(Box::new(live)), ..*stats };
    world.say(1, Body::Stats(Box::new(stats)));
}

/// A report as the rig makes it.
fn report(world: &mut World) -> Body {
    let mut cx = crate::registry::Cx::new(world.now);
    world.nodes[1].registry.report(&mut cx);
    let sent = cx.out.into_iter().find_map(|out| match out {
        crate::registry::Out::Send {
            message: crate::bus::Outbound::Message { body, .. }, ..
        } => Some(*body),
        _ => None,
    });
    sent.expect("it is linked")
}
