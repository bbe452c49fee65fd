//! A simulated fleet against the real daemon: real sockets, handshakes, signatures, and reports of the real size.
//!
//! ```text
//! cargo bench --bench fleet                                  # the table of docs/performance.md: 100 and 1,000 rigs
//! cargo bench --bench fleet -- --rigs 100,1000,5000,10000
//! cargo bench --bench fleet -- hold --rigs 10000 --seconds 600
//! ```
//!
//! `hold` only lets the rigs report every 10 s and obey, and tells what became of links, reports and memory meanwhile. With
//! `--home DIR` it does so against the controller that serves DIR. It prints `linked: N rigs …` when all of them are.
//! Further options of both: `--every MS` between reports, `--one-source` for rigs that share one address, `--binary FILE`
//! for another daemon than the one that was just built. 10,000 rigs need 12,000 open files in each of the two processes.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a bench"
)]
#[expect(dead_code, reason = "other benches use the rest")]
mod controller;
mod figures;
mod fleet;
mod hall;
mod hold;
mod rig;
mod table;
mod wire;

use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Duration;

use miner_cli::sys::{limits, usage};

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

fn main() -> ExitCode {
    // Cargo adds `--bench`.
    let mut args: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let hold_mode = args.first().is_some_and(|a| a == "hold");
    if hold_mode {
        args.remove(0);
    }
    let done = options(&args, hold_mode).and_then(|options| {
        let most = if hold_mode {
            options.all_rigs()
        } else {
            options.rigs.iter().copied().max().unwrap_or(0)
        };
        room_for(most)?;
        if hold_mode { hold::run(&options) } else { table::run(&options) }
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
    if options.home.is_some() && !hold_mode {
        return Err("--home is for hold: the table has a controller of its own".to_owned());
    }
    Ok(options)
}

impl Options {
    /// `hold` has them all at once.
    fn all_rigs(&self) -> usize {
        self.rigs.iter().sum()
    }

    fn every(&self) -> Duration {
        self.every.unwrap_or(Duration::from_secs(10))
    }
}

/// Memory maps of the two threads that the daemon has for a rig.
const MAPS: usize = 4;

/// Sees to it that this process and the daemon that it starts may have a socket for each rig.
fn room_for(rigs: usize) -> Result<(), String> {
    limits::open_many_files();
    // Each hall of rigs has a pipe, and the daemon a few files of its own.
    let wanted = rigs + rigs / hall::RIGS * 2 + 500;
    let allowed = || usage::read().most_files.unwrap_or(0.0) as usize;
    if allowed() < wanted {
        // Who may raise the limit of the process itself.
        let limit = format!("--nofile={wanted}:{wanted}");
        let _ = Command::new("prlimit")
            .args(["--pid", &std::process::id().to_string(), &limit])
            .stderr(std::process::Stdio::null())
            .status();
    }
    if allowed() < wanted {
        return Err(format!(
            "{rigs} rigs need {wanted} open files, and {} are allowed: ulimit -n {wanted}, as root",
            allowed()
        ));
    }
    let maps = std::fs::read_to_string("/proc/sys/vm/max_map_count").unwrap_or_default();
    if maps.trim().parse().is_ok_and(|maps: usize| maps < rigs * MAPS + 8_192) {
        let wanted = rigs * MAPS + 8_192;
        eprintln!(
            "note: the daemon may need {wanted} memory maps: sysctl -w vm.max_map_count={wanted}"
        );
    }
    Ok(())
}
