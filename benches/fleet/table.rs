//! The table of docs/performance.md: one row for each number of rigs, each with a controller of its own.
use std::io::{Read as _, Write as _};
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use serde_json::json;

use super::Options;
use super::controller::{Controller, Reach};
use super::fleet::Fleet;

/// Reports of one measurement of CPU time: enough that the clock's 10 ms do not matter.
const REPORTS: u64 = 10_000;
/// How often the latencies of REST and commands are sampled.
const SAMPLES: usize = 1_000;

/// Goals of the project, where a row has one.
const GOALS: &str = "goals: at most 1.0 s of CPU for 10,000 reports; 1,000 rigs in 64 MiB and 10,000 in 500 MiB; 1,000 \
rigs linked again within 90 s; get_stats p50 0.5 ms and p99 2 ms while 1,000 rigs report";

pub fn run(options: &Options) -> Result<(), String> {
    println!("{}", machine());
    println!("{GOALS}");
    options.rigs.iter().try_for_each(|rigs| row(*rigs, options))
}

/// One number of rigs: everything is measured in one run of one controller.
fn row(rigs: usize, options: &Options) -> Result<(), String> {
    let mut controller = Controller::start(&options.binary);
    let idle = controller.reach.usage();
    println!("\n{rigs} rigs");
    line("controller without rigs", &format!("{} in {} threads", mib(idle.rss), idle.threads));

    let every = options.every();
    let invite = controller.reach.invite(rigs)?;
    let begun = Instant::now();
    let keys = Fleet::keys(rigs);
    let fleet = Fleet::begin(&keys, invite, controller.reach.p2p, every, options.one_source);
    fleet.wait_linked(Duration::from_secs(600))?;
    let refused = fleet.shared.refused.load(Relaxed);
    let cpu = controller.reach.usage().cpu - idle.cpu;
    line(
        "registered and linked",
        &format!(
            "{:.1} s, {:.1} s of CPU, {refused} attempts failed",
            begun.elapsed().as_secs_f64(),
            cpu
        ),
    );

    pause(Duration::from_secs(5));
    steady(&fleet, &controller.reach, options);
    let before = fleet.shared.losses.load(Relaxed);
    work(&fleet, &controller.reach, every, options)?;
    latencies(&fleet, &controller.reach)?;
    let lost = fleet.shared.losses.load(Relaxed) - before;
    line("links lost meanwhile", &format!("{lost} {:?}", fleet.shared.take_reasons()));

    relink(&fleet, &mut controller)?;
    fleet.end();
    Ok(())
}

/// With the usual 10 s between reports: memory, and the share of a core.
fn steady(fleet: &Fleet, reach: &Reach, options: &Options) {
    let (start, before) = (Instant::now(), reach.usage());
    pause(Duration::from_secs(options.seconds));
    let after = reach.usage();
    let percent = (after.cpu - before.cpu) / start.elapsed().as_secs_f64() * 100.0;
    line("reporting as usual", &format!("{percent:.2} % of a core"));
    line("resident memory", &mib(after.rss));
    let each = after.rss as f64 / fleet.len() as f64;
    line("threads", &format!("{}; {each:.1} KiB of memory a rig", after.threads));
}

/// Faster than usual, so that few rigs too send enough: CPU time for 10,000 reports, and their bytes.
fn work(fleet: &Fleet, reach: &Reach, every: Duration, options: &Options) -> Result<(), String> {
    let fast = Duration::from_secs(options.seconds).mul_f64(fleet.len() as f64 / REPORTS as f64);
    fleet.report_every(fast.clamp(Duration::from_millis(100), every));
    // Everyone is past its last slow beat.
    pause(every);
    let counts = || {
        (fleet.shared.reports.load(Relaxed), fleet.shared.bytes.load(Relaxed), reach.usage().cpu)
    };
    let readings = reach.readings()?;
    let mut rounds: Vec<f64> = Vec::new();
    let (mut reports, mut bytes, start) = (0, 0, Instant::now());
    for _ in 0..3 {
        let before = counts();
        pause(Duration::from_secs(options.seconds));
        let after = counts();
        let sent = after.0 - before.0;
        (reports, bytes) = (reports + sent, bytes + after.1 - before.1);
        rounds.push((after.2 - before.2) / sent as f64 * 10_000.0);
    }
    rounds.sort_by(f64::total_cmp);
    let rate = reports as f64 / start.elapsed().as_secs_f64();
    line("reports a second", &format!("{rate:.0}"));
    line(
        "CPU for 10,000 reports",
        &format!("{:.2} s (median of three; {:.2} to {:.2})", rounds[1], rounds[0], rounds[2]),
    );
    line("bytes of a report", &format!("{:.0} on the wire", bytes as f64 / reports as f64));
    let readings = reach.readings()? - readings;
    line("history", &format!("{readings} readings of these {reports} reports are in mining.db"));
    if readings == 0 {
        return Err("the controller keeps no history: these figures are worth nothing".to_owned());
    }
    fleet.report_every(every);
    pause(every);
    Ok(())
}

/// While all rigs report as usual.
fn latencies(fleet: &Fleet, reach: &Reach) -> Result<(), String> {
    fleet.shared.take_times();
    fleet.shared.probing.store(true, Relaxed);
    let (mut stats, mut commands, mut health) = (Vec::new(), Vec::new(), Vec::new());
    for sample in 0..SAMPLES {
        let id = fleet.ids[sample * 7 % fleet.len()];
        stats.push(timed(reach, "GET", &format!("/remote/{id}/stats"), None)?);
        health.push(timed(reach, "GET", "/health", None)?);
        if sample % 10 == 0 {
            let body = json!({});
            commands.push(timed(reach, "POST", &format!("/remote/{id}/restart"), Some(&body))?);
        }
        pause(Duration::from_millis(10));
    }
    let floor = echo_times(SAMPLES).map_err(|e| e.to_string())?;
    let (mut peers, mut all) = (Vec::new(), Vec::new());
    for _ in 0..21 {
        peers.push(timed(reach, "GET", "/peers", None)?);
        all.push(timed(reach, "GET", "/remote/stats", None)?);
        pause(Duration::from_millis(50));
    }
    fleet.shared.probing.store(false, Relaxed);
    line("report until visible", &spread(fleet.shared.take_times()));
    line("the machine: TCP and a thread", &spread(floor));
    line("REST: health", &spread(health));
    line("REST: get_stats of a rig", &spread(stats));
    line("REST: a command to a rig", &spread(commands));
    line("REST: all peers", &spread(peers));
    line("REST: all rigs' stats", &spread(all));
    Ok(())
}

/// What the machine itself takes for a new connection, a new thread that answers it, and the end of it: no request can
/// be faster.
fn echo_times(samples: usize) -> std::io::Result<Vec<Duration>> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let server = std::thread::spawn(move || {
        for stream in listener.incoming().take(samples).flatten() {
            std::thread::spawn(move || {
                let mut stream = stream;
                let mut bytes = [0; 512];
                let read = stream.read(&mut bytes).unwrap_or(0);
                let _ = stream.write_all(&bytes[..read]);
            });
        }
    });
    let mut times = Vec::new();
    for _ in 0..samples {
        let start = Instant::now();
        let mut stream = std::net::TcpStream::connect(address)?;
        stream.write_all(&[b'x'; 200])?;
        stream.read_to_end(&mut Vec::new())?;
        times.push(start.elapsed());
        pause(Duration::from_millis(2));
    }
    let _ = server.join();
    Ok(times)
}

fn timed(
    reach: &Reach,
    method: &str,
    path: &str,
    body: Option<&serde_json::Value>,
) -> Result<Duration, String> {
    let (status, answer, took) = reach.ask(method, path, body)?;
    if status == 200 {
        return Ok(took);
    }
    Err(format!("{method} {path}: {status} {}", String::from_utf8_lossy(&answer)))
}

/// The controller is killed and started again; every rig finds back.
fn relink(fleet: &Fleet, controller: &mut Controller) -> Result<(), String> {
    let (refused, overflows) = (fleet.shared.refused.load(Relaxed), accept_overflows());
    let killed = Instant::now();
    controller.restart();
    let served = killed.elapsed();
    fleet.shared.move_controller(controller.reach.p2p);
    fleet.wait_linked(Duration::from_secs(600))?;
    let refused = fleet.shared.refused.load(Relaxed) - refused;
    line(
        "linked again after a crash",
        &format!(
            "{:.1} s (serving again after {:.2} s); {refused} attempts failed, {} overflows of accept queues",
            killed.elapsed().as_secs_f64(),
            served.as_secs_f64(),
            accept_overflows() - overflows
        ),
    );
    let usage = controller.reach.usage();
    line("CPU of that, memory after it", &format!("{:.1} s, {}", usage.cpu, mib(usage.rss)));
    Ok(())
}

/// Of the whole machine: connections that found a listener's queue full.
fn accept_overflows() -> u64 {
    let text = std::fs::read_to_string("/proc/net/netstat").unwrap_or_default();
    let mut lines = text.lines().filter(|line| line.starts_with("TcpExt:"));
    let (Some(names), Some(values)) = (lines.next(), lines.next()) else { return 0 };
    let at = names.split(' ').position(|name| name == "ListenOverflows");
    at.and_then(|at| values.split(' ').nth(at)?.parse().ok()).unwrap_or(0)
}

/// `p50 0.41 ms, p99 1.20 ms, p99.9 3.02 ms, 1000 samples`
fn spread(mut times: Vec<Duration>) -> String {
    if times.is_empty() {
        return "no sample".to_owned();
    }
    times.sort_unstable();
    let at = |share: f64| {
        let index = ((times.len() - 1) as f64 * share).round() as usize;
        times[index].as_secs_f64() * 1_000.0
    };
    let (half, most, all_but_one) = (at(0.5), at(0.99), at(0.999));
    format!(
        "p50 {half:.2} ms, p99 {most:.2} ms, p99.9 {all_but_one:.2} ms, {} samples",
        times.len()
    )
}

fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let field = |line: &str| line.split(": ").nth(1).unwrap_or("?").to_owned();
    let cpu = cpuinfo.lines().find(|l| l.starts_with("model name")).map_or("?".to_owned(), field);
    let cores = cpuinfo.lines().filter(|l| l.starts_with("processor")).count();
    let kernel = read("/proc/sys/kernel/osrelease");
    let load = read("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or("?").to_owned();
    format!("{cores} cores of {cpu}, Linux {}, load {load} at the start", kernel.trim())
}

pub fn mib(kib: u64) -> String {
    format!("{:.1} MiB", kib as f64 / 1024.0)
}

pub fn line(what: &str, figure: &str) {
    println!("  {what:28} {figure}");
}

fn pause(time: Duration) {
    std::thread::sleep(time);
}
