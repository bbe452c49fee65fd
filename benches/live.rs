//! The live stream to many dashboards: how long a change takes to reach the last of 50, and what the stream costs.
//! `cargo bench --bench live [-- --rigs 1000 --changes 30 --seconds 30]`
//!
//! A change is a label that is set by REST. Changes are told every 2 s, so one waits for a second on average; the time
//! from the first dashboard that has it to the last is that of the fan-out.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::print_stdout, reason = "a bench")]
#[path = "fleet/controller.rs"]
#[expect(dead_code, reason = "the fleet uses the rest")]
mod controller;
#[path = "fleet/figures.rs"]
mod figures;
#[path = "fleet/fleet.rs"]
#[expect(dead_code, reason = "the fleet uses the rest")]
mod fleet;
#[path = "fleet/hall.rs"]
mod hall;
#[path = "fleet/rig.rs"]
mod rig;
#[path = "fleet/wire.rs"]
mod wire;

use std::io::{BufRead as _, BufReader};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use controller::{Controller, Reach};
use crossbeam_channel::{Receiver, Sender};
use fleet::Fleet;
use miner_cli::bus;
use miner_cli::sys::limits;
use serde_json::json;

const DASHBOARDS: usize = 50;
const EVERY: Duration = Duration::from_secs(10);

fn main() {
    let (mut rigs, mut changes, mut seconds) = (1_000, 30, 30);
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut number = || words.next().and_then(|n| n.parse().ok()).expect("a number");
        match word.as_str() {
            "--rigs" => rigs = number(),
            "--changes" => changes = number(),
            "--seconds" => seconds = number(),
            // Cargo's own.
            _ => {}
        }
    }
    limits::open_many_files();
    let controller = Controller::start(Path::new(env!("CARGO_BIN_EXE_miner-cli")));
    let reach = &controller.reach;
    let invite = reach.invite(rigs).unwrap();
    let fleet = Fleet::begin(&Fleet::keys(rigs), invite, reach.p2p, EVERY, false);
    fleet.wait_linked(Duration::from_secs(600)).unwrap();
    // The first reports are in.
    pause(EVERY);

    let time = Duration::from_secs(seconds as u64);
    let without = cpu(reach, time);
    let audience = Audience::of(reach);
    pause(EVERY);
    let bytes = audience.bytes.load(Relaxed);
    let with = cpu(reach, time);
    let bytes = (audience.bytes.load(Relaxed) - bytes) as f64;
    let each = bytes / DASHBOARDS as f64 / time.as_secs_f64();
    println!("{rigs} rigs that report every {EVERY:?}, {DASHBOARDS} dashboards");
    println!(
        "  CPU: {:.2} % of a core without dashboards, {:.2} % with them",
        without * 100.0,
        with * 100.0
    );
    println!("  {:.1} KiB a second to each dashboard", each / 1024.0);
    audience.hear_of_changes(reach, &fleet.ids[0].to_string(), changes);
    audience.leave();
    fleet.end();
}

/// The share of a core that the daemon uses meanwhile.
fn cpu(reach: &Reach, time: Duration) -> f64 {
    let (start, before) = (Instant::now(), reach.usage().cpu);
    pause(time);
    (reach.usage().cpu - before) / start.elapsed().as_secs_f64()
}

/// Dashboards that watch everything.
struct Audience {
    streams: Vec<TcpStream>,
    bytes: Arc<AtomicU64>,
    /// The number of a change, and when a dashboard had it.
    heard: Receiver<(usize, Instant)>,
}

impl Audience {
    fn of(reach: &Reach) -> Self {
        let (tell, heard) = bus::wire_channel(DASHBOARDS * 4);
        let bytes = Arc::new(AtomicU64::new(0));
        let one = |_| {
            let stream = reach.stream("/live").unwrap();
            let (reader, tell, bytes) = (stream.try_clone().unwrap(), tell.clone(), bytes.clone());
            std::thread::spawn(move || watch(reader, &tell, &bytes));
            stream
        };
        Self { streams: (0..DASHBOARDS).map(one).collect(), bytes: bytes.clone(), heard }
    }

    fn hear_of_changes(&self, reach: &Reach, rig: &str, changes: usize) {
        let (mut first, mut last) = (Vec::new(), Vec::new());
        for number in 1..=changes {
            // At any moment between two tellings.
            pause(Duration::from_millis(700 + number as u64 * 377 % 2_000));
            let changed = Instant::now();
            let labels = json!({"change": number.to_string()});
            reach.json("PUT", &format!("/peers/{rig}/labels"), Some(&labels)).unwrap();
            let mut times = Vec::new();
            while times.len() < DASHBOARDS {
                let (heard, at) = self.heard.recv_timeout(Duration::from_secs(30)).unwrap();
                if heard == number {
                    times.push(at);
                }
            }
            times.sort();
            last.push(times[DASHBOARDS - 1] - changed);
            first.push(times[DASHBOARDS - 1] - times[0]);
        }
        println!("  from a change to the last of {DASHBOARDS}: {}", spread(last));
        println!("  from the first of them to the last: {}", spread(first));
    }

    fn leave(self) {
        self.streams.iter().for_each(|stream| drop(stream.shutdown(Shutdown::Both)));
    }
}

fn watch(stream: TcpStream, tell: &Sender<(usize, Instant)>, bytes: &AtomicU64) {
    let mut reader = BufReader::with_capacity(1 << 16, stream);
    let mut line = String::new();
    while reader.read_line(&mut line).is_ok_and(|read| read > 0) {
        bytes.fetch_add(line.len() as u64, Relaxed);
        let mark = "\"change\":\"";
        let number = line.find(mark).and_then(|at| {
            let number = line[at + mark.len()..].split('"').next()?;
            number.parse().ok()
        });
        if let Some(number) = number
            && tell.send((number, Instant::now())).is_err()
        {
            return;
        }
        line.clear();
    }
}

fn spread(mut times: Vec<Duration>) -> String {
    times.sort();
    let at = |share: f64| {
        times[((times.len() - 1) as f64 * share).round() as usize].as_secs_f64() * 1_000.0
    };
    format!("p50 {:.1} ms, p99 {:.1} ms, {} samples", at(0.5), at(0.99), times.len())
}

fn pause(time: Duration) {
    std::thread::sleep(time);
}
