//! Rigs that connect, report and vanish, over and over: a controller has nothing left of them when they are gone.
//!
//! The rigs are those of `cargo bench --bench fleet`: real sockets, handshakes, signatures and reports.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::print_stderr, reason = "tests")]
#[path = "../../benches/fleet/controller.rs"]
#[expect(dead_code, reason = "the bench uses the rest")]
mod controller;
#[path = "../../benches/fleet/figures.rs"]
mod figures;
#[path = "../../benches/fleet/fleet.rs"]
#[expect(dead_code, reason = "the bench uses the rest")]
mod fleet;
#[path = "../../benches/fleet/hall.rs"]
mod hall;
#[path = "../../benches/fleet/rig.rs"]
mod rig;
#[path = "../../benches/fleet/wire.rs"]
mod wire;

use std::io::Write as _;
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use controller::Controller;
use fleet::Fleet;
use miner_cli::model::invite::InviteCode;
use serde_json::json;

const BINARY: &str = env!("CARGO_BIN_EXE_miner-cli");
const RIGS: usize = 200;
/// Long enough for a loaded machine; a test that gets this far has failed.
const PATIENCE: Duration = Duration::from_secs(90);
/// Miners that have stopped are shown, and their output kept, until so many newer ones have.
const STOPPED_MINERS: usize = 8;
/// Helpers of the API that had to be called in end when nobody has asked anything for 5 s, whoever asks for their number too.
const QUIET: Duration = Duration::from_secs(8);
const EVERY: Duration = Duration::from_millis(500);
const REPORTS: u64 = 4;
/// Links that are watched and followed while they go.
const FOLLOWED: usize = 8;

/// What is back where it was when everybody is gone.
const COUNTS: [&str; 6] = [
    "process_threads",
    "process_open_fds",
    "miner_cli_links",
    "miner_cli_log_rings",
    "miner_cli_follows",
    "miner_cli_requests_waiting",
];

struct Farm {
    controller: Controller,
    invite: InviteCode,
    keys: Vec<Arc<wire::Keys>>,
    before: [f64; COUNTS.len()],
}

impl Farm {
    fn new() -> Self {
        // It runs miners, too, so that there are rings of output.
        let controller = Controller::with(Path::new(BINARY), "dual");
        let reach = &controller.reach;
        let config = json!({"algo": "rx/0", "hashrate": 100, "simulate": {"warmup": 0.1}});
        let profile = json!({"name": "demo", "minerType": "simulated", "config": config});
        reach.json("POST", "/profiles", Some(&profile)).unwrap();
        let invite = reach.invite(RIGS).unwrap();
        let mut farm =
            Self { controller, invite, keys: Fleet::keys(RIGS), before: [0.0; COUNTS.len()] };
        // As many as are remembered, and the first round: what it makes once and for all is no leak.
        farm.mine(STOPPED_MINERS);
        farm.round();
        farm.until("the last link is gone", || farm.counts()[2] == 0.0);
        std::thread::sleep(QUIET);
        farm.before = farm.counts();
        farm
    }

    fn counts(&self) -> [f64; COUNTS.len()] {
        patiently(|| self.controller.reach.metrics(COUNTS))
    }

    /// Miners of our own start, print and stop. On a busy machine an answer may come late.
    fn mine(&self, miners: usize) {
        let reach = &self.controller.reach;
        for _ in 0..miners {
            let _ = reach.json("POST", "/profiles/demo/start", Some(&json!({})));
        }
        self.until("our miners have stopped", || {
            let rows = patiently(|| reach.json("GET", "/miners", None));
            let running: Vec<_> =
                rows.as_array().unwrap().iter().filter(|m| m["state"] != "stopped").collect();
            for miner in &running {
                let name = miner["name"].as_str().unwrap();
                let _ = reach.json("DELETE", &format!("/miners/{name}"), None);
            }
            running.is_empty()
        });
    }

    /// All rigs link and report; then they vanish in the midst of it, each in its own way, and so does who watches.
    fn round(&self) {
        let reach = &self.controller.reach;
        let fleet = Fleet::begin(&self.keys, self.invite, reach.p2p, EVERY, false);
        fleet.wait_linked(PATIENCE).unwrap();
        let watching: Vec<_> = fleet.ids[..FOLLOWED]
            .iter()
            .flat_map(|id| {
                let logs = format!("/remote/{id}/logs/xmrig-1/stream?lines=5");
                [logs, format!("/live?rig={id}")].map(|path| reach.stream(&path).unwrap())
            })
            .collect();
        self.mine(1);
        let all = RIGS as u64 * REPORTS;
        self.until("everyone has reported", || fleet.shared.reports.load(Relaxed) >= all);
        for id in &fleet.ids[..FOLLOWED] {
            patiently(|| reach.json("GET", &format!("/remote/{id}/stats"), None));
        }
        let callers: Vec<_> = (0..FOLLOWED).map(|_| half_a_call(reach.p2p)).collect();
        assert_eq!(fleet.shared.losses.load(Relaxed), 0, "{:?}", fleet.shared.take_reasons());
        fleet.end();
        drop((watching, callers));
    }

    /// Everything is as it was before the rigs came.
    fn everyone_is_gone(&self) {
        let mut now = self.counts();
        // More files and threads may have gone than were there: helpers of the API.
        let gone = |now: &[f64; COUNTS.len()]| now.iter().zip(&self.before).all(|(n, b)| n <= b);
        let end = Instant::now() + PATIENCE;
        let mut wait = Duration::from_millis(200);
        while !gone(&now) {
            let rows: Vec<_> = COUNTS.iter().zip(self.before.iter().zip(&now)).collect();
            assert!(Instant::now() < end, "name, before, and now: {rows:?}");
            std::thread::sleep(wait);
            wait = QUIET.min(wait * 2);
            now = self.counts();
        }
    }

    fn until(&self, what: &str, check: impl Fn() -> bool) {
        let end = Instant::now() + PATIENCE;
        while !check() {
            assert!(Instant::now() < end, "waited {PATIENCE:?} for: {what}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// What is asked for, once the daemon has time: on a busy machine it may say that it has none.
fn patiently<T>(mut ask: impl FnMut() -> Result<T, String>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        match ask() {
            Ok(answer) => return answer,
            Err(why) => assert!(Instant::now() < end, "{why}"),
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// A caller that says half of what it has to.
fn half_a_call(to: std::net::SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(to).unwrap();
    stream.write_all(b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n").unwrap();
    stream
}

#[test]
fn rigs_that_vanish_leave_no_thread_link_ring_or_file_behind() {
    let farm = Farm::new();
    for _ in 0..3 {
        farm.round();
    }
    farm.everyone_is_gone();
}

/// KiB by which the controller may grow over the last three quarters of the time, or [`A_LINK`] where that is more.
/// SQLite's caches and the allocator's heaps still settle, up and down by a mebibyte.
const GROWTH: f64 = 2_048.0;
/// Bytes a link made in that time. The allocator's smallest piece, lost with each link, would be twice that.
const A_LINK: f64 = 16.0;

#[test]
#[ignore = "an hour, or MINER_CLI_TEST_MINUTES"]
fn long_an_hour_of_rigs_that_come_and_go_costs_no_memory() {
    let minutes = std::env::var("MINER_CLI_TEST_MINUTES").ok().map(|m| m.parse::<f64>().unwrap());
    let time = Duration::from_secs_f64(minutes.unwrap_or(60.0) * 60.0);
    let farm = Farm::new();
    let begun = Instant::now();
    let mut samples = Vec::new();
    while begun.elapsed() < time {
        farm.round();
        farm.everyone_is_gone();
        let at = begun.elapsed().as_secs_f64();
        samples.push((at, farm.controller.reach.usage().rss as f64));
        if samples.len() % 10 == 1 {
            let [events] = farm.controller.reach.metrics(["miner_cli_events_total"]).unwrap();
            eprintln!(
                "{at:.0} s: {} rounds, {:.0} KiB, {events} events",
                samples.len(),
                samples.last().unwrap().1
            );
        }
    }
    let settled: Vec<_> = samples.into_iter().filter(|s| s.0 >= time.as_secs_f64() / 4.0).collect();
    let growth = slope(&settled) * time.as_secs_f64() * 0.75;
    let links = settled.len() * RIGS;
    let most = GROWTH.max(links as f64 * A_LINK / 1024.0);
    eprintln!("{growth:+.0} KiB over the last three quarters and {links} links; {most:.0} may be");
    assert!(growth < most, "{growth:.0} KiB more: {settled:?}");
}

/// Of the line that fits best.
fn slope(points: &[(f64, f64)]) -> f64 {
    let n = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / n;
    let (x, y) = (mean(|p| p.0), mean(|p| p.1));
    let both: f64 = points.iter().map(|p| (p.0 - x) * (p.1 - y)).sum();
    both / points.iter().map(|p| (p.0 - x).powi(2)).sum::<f64>()
}
