//! The simulated miner: a process that looks like XMRig from outside (API, lines of output, exit codes), invents its
//! figures, and opens no connection. For demonstrations and tests; what it says of itself is `miner-cli-simulated`.
mod api;
mod world;

use std::io::{self, Write as _};
use std::net::TcpListener;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};

use crate::bus::reply_channel;
use crate::sys::{clock, process, signals, thread};
use api::Api;
use world::{Settings, World};

/// What XMRig ends with when it finds no configuration that it can use.
const NO_CONFIGURATION: u8 = 2;
/// How long a grandchild holds the output open, if nobody ends it.
const GRANDCHILD: Duration = Duration::from_secs(600);

/// `simulate-miner --config FILE`. The file is one of XMRig, with an object `simulate`.
#[must_use]
pub fn main(args: &[String]) -> ExitCode {
    if args.iter().any(|arg| arg == "--sleep") {
        let (_silent, nothing) = reply_channel::<()>();
        let _ = nothing.recv_timeout(GRANDCHILD);
        return ExitCode::SUCCESS;
    }
    match settings(args) {
        Ok(settings) => match simulate(settings) {
            Ok(code) => code,
            Err(e) => {
                say(&format!("the simulation failed: {e}"));
                ExitCode::FAILURE
            }
        },
        Err(e) => {
            say(&e);
            say("no valid configuration found");
            ExitCode::from(NO_CONFIGURATION)
        }
    }
}

fn settings(args: &[String]) -> Result<Settings, String> {
    let joined = args.iter().find_map(|arg| arg.strip_prefix("--config="));
    let apart = args.iter().skip_while(|arg| *arg != "--config").nth(1).map(String::as_str);
    let file = joined.or(apart).ok_or("--config FILE is missing")?;
    let text = std::fs::read(file).map_err(|e| format!("unable to open {file:?}: {e}"))?;
    Settings::read(&text)
        .map_err(|e| format!("{file}<line:{}, position:{}>: \"{e}\"", e.line(), e.column()))
}

fn simulate(settings: Settings) -> io::Result<ExitCode> {
    let (stop, stopped) = reply_channel();
    let hung_up = stop.clone();
    let _signals = signals::watch(
        move || {
            let _ = stop.try_send(());
        },
        || {},
        move || {
            let _ = hung_up.try_send(());
        },
    )?;
    let world = Arc::new(World::new(settings, Instant::now()));
    let silent = Arc::new(AtomicBool::new(false));
    for line in world.banner() {
        print(&line)?;
    }
    serve(&world, &silent)?;
    begin(&world)?;
    live(&world, &silent, &stopped)
}

/// Starts the API, unless its port is in use: XMRig mines on without one then.
fn serve(world: &Arc<World>, silent: &Arc<AtomicBool>) -> io::Result<()> {
    let address = ("127.0.0.1", world.settings.port);
    let taken = world.settings.simulate.api_port_taken == Some(true);
    let blocker = if taken { TcpListener::bind(address).ok() } else { None };
    match TcpListener::bind(address) {
        Ok(listener) => {
            print(&format!(" * HTTP API     {} ", listener.local_addr()?))?;
            let api = Api { world: world.clone(), silent: silent.clone() };
            thread::spawn("sim-api", move || api.serve(&listener))?;
        }
        Err(_) => {
            print(&format!(" * HTTP API     127.0.0.1:{} address already in use", address.1))?;
            say("  net      HTTP API server failed to start.");
        }
    }
    // Whoever took the port keeps it.
    std::mem::forget(blocker);
    Ok(())
}

fn begin(world: &World) -> io::Result<()> {
    if world.settings.simulate.grandchild == Some(true) {
        process::companion(&std::env::current_exe()?, &["simulate-miner", "--sleep"])?;
    }
    let burst = world.settings.simulate.log_burst.unwrap_or(0);
    let mut out = io::BufWriter::new(io::stdout().lock());
    for number in 1..=burst {
        writeln!(out, "[{}]  sim      line {number} of {burst}", stamp())?;
    }
    out.flush()
}

/// Sleeps from one event of the simulated world to the next, until it is told to end.
fn live(world: &World, silent: &AtomicBool, stopped: &Receiver<()>) -> io::Result<ExitCode> {
    let simulate = &world.settings.simulate;
    let mut last = -1.0;
    loop {
        let now = world.now();
        if simulate.exit_after.is_some_and(|at| now >= at) {
            return Ok(ExitCode::from(
                simulate.exit_code.and_then(|c| u8::try_from(c).ok()).unwrap_or(0),
            ));
        }
        if simulate.hang_after.is_some_and(|at| now >= at) {
            silent.store(true, Ordering::SeqCst);
        } else {
            world.lines(last, now).iter().for_each(|line| say(line));
        }
        last = now;
        match stopped.recv_timeout(world.sleep(now)) {
            Ok(()) if simulate.ignore_term == Some(true) => {}
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    say("  signal   SIGTERM received, exiting");
    if let Some(seconds) = simulate.slow_term {
        // The API is gone at once, the process is not: so does XMRig while it builds a data set.
        silent.store(true, Ordering::SeqCst);
        let (_silent, nothing) = reply_channel::<()>();
        let _ = nothing.recv_timeout(Duration::from_secs_f64(seconds));
    }
    say("  cpu      stopped (0 ms)");
    Ok(ExitCode::SUCCESS)
}

/// A line with the time, as XMRig writes it. A reader that has gone stops no miner.
fn say(text: &str) {
    let _ = print(&format!("[{}]{text}", stamp()));
}

fn print(line: &str) -> io::Result<()> {
    io::stdout().write_all(format!("{line}\n").as_bytes())
}

fn stamp() -> String {
    clock::wall().to_string().replace('T', " ").replace('Z', "")
}
