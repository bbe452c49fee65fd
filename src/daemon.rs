//! The composition root: the only place that makes the channels and starts and joins the threads.
//!
//! ARCHITECTURE.md draws what is built here. Order matters at both ends: ports are bound before anything is
//! written, the run file appears when everything answers, and the registry is the last to go.
mod start;
mod threads;

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::bus::{self, DialRequest, Event, SpawnCommand, StoreCommand};
use crate::config::{Config, Flags, Paths, RunFile};
use crate::http::HttpServer;
use crate::identity::Identity;
use crate::logs::Logs;
use crate::model::fault::Fault;
use crate::sys::log::{self, Level};
use crate::sys::{files, limits, signals};

/// What `node serve` was given.
pub struct ServeOptions {
    pub paths: Paths,
    pub listen: Option<String>,
    pub api: Option<String>,
    pub log_level: Option<Level>,
}

/// Events that may wait for the registry: a burst of every link's report.
const EVENTS: usize = 1024;
/// Words of the registry that may wait for one of its helpers. When they are full the registry goes on without.
const COMMANDS: usize = 1024;
/// Beyond the miners' own last grace, the time in which everything must have ended.
const ENDING: Duration = Duration::from_secs(20);

/// The sending and receiving ends that several parts share.
struct Lines {
    events: Sender<Event>,
    inbox: Receiver<Event>,
    /// Tells the main thread to end: a signal came.
    stop: Sender<()>,
    stopped: Receiver<()>,
    spawn: Sender<SpawnCommand>,
    spawned: Receiver<SpawnCommand>,
    /// Tells the thread that keeps the miners' output on disk that there is some.
    log_news: Sender<()>,
    log_news_in: Receiver<()>,
}

impl Lines {
    #[expect(clippy::disallowed_methods, reason = "the composition root makes the channels")]
    fn new() -> Self {
        let (events, inbox) = bounded(EVENTS);
        let (stop, stopped) = bounded(1);
        let (spawn, spawned) = bounded(COMMANDS);
        let (log_news, log_news_in) = bounded(1);
        Self { events, inbox, stop, stopped, spawn, spawned, log_news, log_news_in }
    }
}

/// Channels with one owner at each end: their threads end when the other end is dropped.
struct Ends {
    store: (Sender<StoreCommand>, Receiver<StoreCommand>),
    dial: (Sender<DialRequest>, Receiver<DialRequest>),
    host: (Sender<()>, Receiver<()>),
    disk: (Sender<()>, Receiver<()>),
}

impl Ends {
    #[expect(clippy::disallowed_methods, reason = "the composition root makes the channels")]
    fn new() -> Self {
        Self {
            store: bounded(COMMANDS),
            dial: bounded(COMMANDS),
            host: bounded(0),
            disk: bounded(0),
        }
    }
}

/// What is settled before the node has an identity.
struct Ground {
    paths: Paths,
    config: Config,
    api: String,
    p2p: Vec<TcpListener>,
    logs: Arc<Logs>,
}

/// Runs the daemon until SIGTERM or SIGINT.
///
/// # Errors
/// It cannot start: the folder, the configuration, a port, the identity or node.db is not usable; nothing is left
/// half done.
pub fn serve(options: ServeOptions) -> Result<(), Fault> {
    let ServeOptions { paths, listen, api, log_level } = options;
    let config = Config::load(&paths.config_file)?.with_flags(Flags { listen, api })?;
    log::set_level(log_level.unwrap_or(config.log_level));
    paths.prepare()?;
    limits::open_many_files();
    let _lock = files::lock(&paths.lock_file())?;
    // Identity and database are looked at before a port opens: what is wrong with them is said at once.
    let identity = Identity::load(&paths.node_json, &paths.private_key)?;
    let api_listeners = start::bind("API", &config.api.bind)?;
    let p2p = start::bind("P2P", &config.listen)?;
    let api = start::url(&api_listeners)?;

    let lines = Lines::new();
    let (stop, spawn) = (lines.stop.clone(), lines.spawn.clone());
    let _signals = signals::watch(
        move || {
            let _ = stop.try_send(());
        },
        move || drop(spawn.try_send(SpawnCommand::Reap)),
    )
    .map_err(|e| start::failed("the signal handlers", &e))?;

    let logs = Arc::new(Logs::on_disk(paths.logs_dir(), lines.log_news.clone()));
    let server = start::http(&paths, &config, api_listeners, &lines.events, &logs)?;
    let ground = Ground { paths, config, api, p2p, logs };
    let result = run(&ground, identity, &lines, server);
    drop(RunFile::remove(&ground.paths.run_file()));
    crate::info!("ended");
    result
}

fn run(
    ground: &Ground,
    identity: Option<Identity>,
    lines: &Lines,
    server: HttpServer,
) -> Result<(), Fault> {
    let identity = match identity {
        Some(identity) => identity,
        None => match start::await_identity(ground, lines)? {
            Some(identity) => identity,
            None => {
                server.stop();
                return Ok(());
            }
        },
    };
    let threads = threads::start(ground, Arc::new(identity), lines)?;
    start::announce(ground, Some(&ground.p2p))?;
    // Nobody else holds the sending end of `stopped` for ever: a signal is the only thing that comes.
    let _ = lines.stopped.recv();
    crate::info!("stopping: miners get {} s to end", crate::registry::LAST_GRACE.as_secs());
    let (done, all_gone) = bus::reply_channel();
    drop(lines.events.send_timeout(Event::Shutdown { done }, ENDING));
    if all_gone.recv_timeout(crate::registry::LAST_GRACE + Duration::from_secs(5)).is_err() {
        crate::warning!("some miners did not end in time");
    }
    // While the registry still answers, so that nobody waits for an answer that cannot come.
    server.stop();
    drop(lines.events.send_timeout(Event::End, ENDING));
    threads.join(ENDING);
    Ok(())
}
