//! Rigs that do nothing but report and obey, for as long as one likes.
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::Options;
use super::controller::{Controller, Reach};
use super::fleet::Fleet;
use super::table::{line, mib};

/// More rigs than this get no labels: each is a write to the controller's disk.
const LABELLED: usize = 2_000;

pub fn run(options: &Options) -> Result<(), String> {
    match &options.home {
        Some(home) => hold(&Reach::of(home)?, options),
        None => hold(&Controller::start(&options.binary).reach, options),
    }
}

fn hold(reach: &Reach, options: &Options) -> Result<(), String> {
    let (rigs, every) = (options.all_rigs(), options.every());
    let (start, idle) = (Instant::now(), reach.usage());
    let invite = reach.invite(rigs)?;
    let fleet = Fleet::begin(&Fleet::keys(rigs), invite, reach.p2p, every, options.one_source);
    fleet.wait_linked(Duration::from_secs(600))?;
    for (number, id) in fleet.ids.iter().enumerate().take(LABELLED) {
        reach.json("PUT", &format!("/peers/{id}/labels"), Some(&Fleet::labels(number)))?;
    }
    println!("linked: {rigs} rigs after {:.1} s", start.elapsed().as_secs_f64());
    let lost_before = fleet.shared.losses.load(Relaxed);
    let (begun, before) = (Instant::now(), Count::of(&fleet, reach)?);
    keep(&fleet, Duration::from_secs(options.seconds));
    let (held, after) = (begun.elapsed(), Count::of(&fleet, reach)?);
    let lost = fleet.shared.losses.load(Relaxed) - lost_before;
    println!("held: {} of {rigs} rigs linked at the end, {lost} links lost", fleet.linked());

    let due = rigs as f64 * held.as_secs_f64() / every.as_secs_f64();
    let (sent, taken) = (after.sent - before.sent, after.taken - before.taken);
    line(
        "reports",
        &format!(
            "{due:.0} were due, {sent} sent, {taken:.0} taken by the controller; {:.0} missed",
            (sent as f64 - taken).max(0.0)
        ),
    );
    line(
        "readings in mining.db",
        &format!(
            "{} more; {} were dropped",
            after.rows - before.rows,
            reach.json("GET", "/history/status", None)?["droppedSamples"]
        ),
    );
    line(
        "resident memory",
        &format!(
            "{} without rigs, {} at the start, {} at the end",
            mib(idle.rss),
            mib(before.usage.rss),
            mib(after.usage.rss)
        ),
    );
    let percent = (after.usage.cpu - before.usage.cpu) / held.as_secs_f64() * 100.0;
    line("CPU", &format!("{percent:.2} % of a core, {} threads", after.usage.threads));
    fleet.end();
    Ok(())
}

/// Lets the fleet be, and tells of losses as they come.
fn keep(fleet: &Fleet, time: Duration) {
    let end = Instant::now() + time;
    let mut told = fleet.shared.losses.load(Relaxed);
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        std::thread::sleep(left.min(Duration::from_secs(1)));
        let lost = fleet.shared.losses.load(Relaxed);
        if lost > told {
            let (linked, all) = (fleet.linked(), fleet.len());
            eprintln!("{linked} of {all} linked; {:?}", fleet.shared.take_reasons());
            told = lost;
        }
    }
}

/// Both ends' counts at one moment.
struct Count {
    sent: u64,
    taken: f64,
    rows: u64,
    usage: super::controller::Usage,
}

impl Count {
    fn of(fleet: &Fleet, reach: &Reach) -> Result<Self, String> {
        // Memory first: the page of metrics of many rigs is large.
        let usage = reach.usage();
        let rows = reach.readings()?;
        let [taken] = reach.metrics(["miner_cli_reports_total"])?;
        Ok(Self { sent: fleet.shared.reports.load(Relaxed), taken, rows, usage })
    }
}
