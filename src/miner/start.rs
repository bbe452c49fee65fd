//! One start of a miner: everything between the profile and the running process.
use std::io::{PipeReader, PipeWriter};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::Sender;

use super::adapter::{self, Adapter, Api, Dialect, Launch, Plan, StartProblem};
use super::output::{Finished, Output};
use super::poll::Poll;
use super::{MinerSetup, programs};
use crate::bus::{Event, reply_channel};
use crate::logs::LogRing;
use crate::model::name;
use crate::model::profile::Profile;
use crate::model::profile_rules;
use crate::sys::files;
use crate::sys::process::{self, Group, Identity, Program};
use crate::sys::{random, thread};

/// A process that nobody watches yet.
pub struct Started {
    pub group: Group,
    pub adapter: &'static dyn Adapter,
    pub identity: Option<Identity>,
    pub folder: PathBuf,
    pub ring: Arc<LogRing>,
    pub pipe: PipeReader,
    pub api: Api,
}

/// Starts the process.
///
/// # Errors
/// There is none then.
pub fn start(setup: &MinerSetup, name: &str, profile: &Profile) -> Result<Started, StartProblem> {
    // It becomes a folder and a part of names.
    if !name::is_slug(name) {
        return Err(StartProblem::permanent(format!("{name:?} is no name of a miner")));
    }
    // First of all, so that the output of earlier runs is there even when this start fails.
    let ring = setup.logs.open(name);
    let api = free_api()?;
    let folder = setup.folder.join(name);
    let (dialect, plan) = plan(setup, profile, &folder, &api)?;
    let program = programs::find(dialect, setup)?;
    fill(&folder, &plan)?;
    ring.begin_run();
    let env: Vec<(String, String)> = plan.env.into_iter().collect();
    let what = Program { path: &program, args: &plan.args, env: &env, folder: &folder };
    let (group, pipe) = process::spawn(&what).map_err(|e| not_run(&program, &e))?;
    let identity = process::identity(group.pid()).ok();
    Ok(Started { group, adapter: dialect.adapter, identity, folder, ring, pipe, api })
}

fn plan(
    setup: &MinerSetup,
    profile: &Profile,
    folder: &Path,
    api: &Api,
) -> Result<(&'static Dialect, Plan), StartProblem> {
    let dialect = adapter::find(&profile.miner_type)?;
    // Whoever sent the profile checked it; a miner's command line is worth a second look.
    profile_rules::validate(profile)
        .map_err(|wrong| StartProblem::permanent(profile_rules::to_fault(&wrong).message))?;
    let profile = profile_rules::for_rig(profile, &setup.node_name);
    Ok((dialect, dialect.adapter.launch(&Launch { profile: &profile, folder, api })?))
}

/// A port that is free now. It may be taken before the miner has it: the miner then says so, or the one who took it
/// does not know `instance`.
fn free_api() -> Result<Api, StartProblem> {
    let port = TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .map_err(|e| {
            StartProblem::passing(format!("there is no free port for the miner's API: {e}"))
        })?
        .port();
    Ok(Api { port, token: random::hex::<16>(), instance: random::hex::<16>() })
}

/// Makes the folder anew, so that nothing of an earlier run is found by the miner.
fn fill(folder: &Path, plan: &Plan) -> Result<(), StartProblem> {
    let _ = std::fs::remove_dir_all(folder);
    files::private_folder(folder).map_err(|fault| StartProblem::passing(fault.message))?;
    plan.files.iter().try_for_each(|(name, bytes)| {
        files::write_atomic(&folder.join(name), bytes, files::PRIVATE)
            .map_err(|fault| StartProblem::passing(fault.message))
    })
}

fn not_run(program: &Path, e: &std::io::Error) -> StartProblem {
    use std::io::ErrorKind as Kind;
    let permanent = matches!(e.kind(), Kind::NotFound | Kind::PermissionDenied)
        || e.raw_os_error() == Some(libc::ENOEXEC);
    StartProblem { reason: format!("{} cannot be run: {e}", program.display()), permanent }
}

/// What keeps the two threads of a miner going.
pub struct Watched {
    /// Dropping it tells the output thread that the process has gone.
    pub gone: PipeWriter,
    /// Dropping it ends the polling.
    pub over: Sender<()>,
    pub threads: [JoinHandle<()>; 2],
}

/// Starts the threads that read the output and ask the API. They report to `events`, and `finished` hears when the
/// output is read.
///
/// # Errors
/// No thread or pipe can be had.
pub fn watch(
    (name, run): (&str, u64),
    adapter: &'static dyn Adapter,
    (pipe, ring, api): (PipeReader, Arc<LogRing>, Api),
    events: &Sender<Event>,
    finished: &Sender<(String, u64)>,
) -> std::io::Result<Watched> {
    // The kernel shows 15 bytes of a thread's name.
    let number: String = name.rsplit('-').next().unwrap_or_default().chars().take(3).collect();
    let (gone_reader, gone) = std::io::pipe()?;
    let (over, over_reader) = reply_channel();
    let (name, events) = (name.to_owned(), events.clone());
    let finished = Finished { name: name.clone(), run, spawner: finished.clone() };
    let poll =
        Poll { name: name.clone(), run, adapter, api, events: events.clone(), over: over_reader };
    let polling = thread::spawn(&format!("miner-stats-{number}"), move || poll.run())?;
    let output = Output { name, run, pipe, gone: gone_reader, ring, adapter, events };
    let reading = thread::spawn(&format!("miner-out-{number}"), move || {
        let _finished = finished;
        output.run();
    })?;
    Ok(Watched { gone, over, threads: [polling, reading] })
}
