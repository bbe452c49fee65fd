//! A simulated fleet against the real daemon: real sockets, handshakes, signatures, and reports of the real size.
//!
//! ```text
//! cargo bench --bench fleet                                  # the table of docs/performance.md: 100 and 1,000 rigs
//! cargo bench --bench fleet -- --rigs 100,1000,5000,10000    # needs about 25,000 open files
//! cargo bench --bench fleet -- hold --home DIR --rigs 100 --seconds 120
//! ```
//!
//! `hold` only runs the rigs, against a controller that serves DIR: they register by an invite that it makes there, get
//! labels, report every 10 s and obey. It prints `linked: N rigs …` when all of them are, and ends after the time.
//! Further options of both: `--every MS` between reports, `--one-source` for rigs that share one address. Of the table:
//! `--binary FILE` measures another daemon than the one that was just built.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a bench"
)]
mod controller;
mod figures;
mod fleet;
mod rig;
mod table;
mod wire;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use controller::Reach;
use fleet::Fleet;
use miner_cli::sys::limits;

/// What the command line says.
pub struct Options {
    home: Option<PathBuf>,
    rigs: Vec<usize>,
    seconds: u64,
    every: Option<Duration>,
    one_source: bool,
    /// Another daemon than the one that was just built, to compare.
    binary: PathBuf,
}

/// More rigs than this get no labels: each is a write to the controller's disk.
const LABELLED: usize = 2_000;

fn main() -> ExitCode {
    // Cargo adds `--bench`.
    let mut args: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let hold_mode = args.first().is_some_and(|a| a == "hold");
    if hold_mode {
        args.remove(0);
    }
    limits::open_many_files();
    let done = options(&args, hold_mode).and_then(|options| match &options.home {
        Some(home) => hold(home, &options),
        None => table::run(&options),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::FAILURE
        }
    }
}

fn options(args: &[String], hold_mode: bool) -> Result<Options, String> {
    let mut options = Options {
        home: None,
        rigs: if hold_mode { vec![100] } else { vec![100, 1_000] },
        seconds: if hold_mode { 120 } else { 30 },
        every: None,
        one_source: false,
        binary: env!("CARGO_BIN_EXE_miner-cli").into(),
    };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or(format!("{arg} wants a value"));
        let number = |text: &str| text.parse::<u64>().map_err(|_| format!("{text} is no number"));
        match arg.as_str() {
            "--home" => options.home = Some(value()?.into()),
            "--rigs" => {
                let all = value()?.split(',').map(|n| Ok(number(n)? as usize));
                options.rigs = all.collect::<Result<_, String>>()?;
            }
            "--seconds" => options.seconds = number(value()?)?,
            "--every" => options.every = Some(Duration::from_millis(number(value()?)?)),
            "--one-source" => options.one_source = true,
            "--binary" => options.binary = value()?.into(),
            other => return Err(format!("{other} is no option here")),
        }
    }
    if hold_mode && options.home.is_none() {
        return Err("hold wants --home DIR, of a controller that runs".to_owned());
    }
    Ok(options)
}

fn hold(home: &std::path::Path, options: &Options) -> Result<(), String> {
    let rigs: usize = options.rigs.iter().sum();
    let reach = Reach::of(home)?;
    let every = options.every.unwrap_or(Duration::from_secs(10));
    let start = Instant::now();
    let fleet = Fleet::begin(rigs, reach.invite(rigs)?, reach.p2p, every, options.one_source);
    fleet.wait_linked(Duration::from_secs(300))?;
    for (number, id) in fleet.ids.iter().enumerate().take(LABELLED) {
        reach.json("PUT", &format!("/peers/{id}/labels"), Some(&Fleet::labels(number)))?;
    }
    println!("linked: {rigs} rigs after {:.1} s", start.elapsed().as_secs_f64());
    let end = Instant::now() + Duration::from_secs(options.seconds);
    let mut told = 0;
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        std::thread::sleep(left.min(Duration::from_secs(1)));
        let lost = fleet.shared.losses.load(std::sync::atomic::Ordering::Relaxed);
        if lost > told {
            eprintln!("{} of {rigs} linked; {:?}", fleet.linked(), fleet.shared.take_reasons());
            told = lost;
        }
    }
    println!("held: {} of {rigs} rigs linked at the end, {told} links lost", fleet.linked());
    fleet.end();
    Ok(())
}
