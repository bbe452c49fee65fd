//! The composition root: the only place that makes the channels and starts and joins the threads.
//!
//! ARCHITECTURE.md draws what is built here. Order matters at both ends: ports are bound before anything is
//! written, the run file appears when everything answers, and the registry is the last to go.
mod start;
mod threads;
mod tls;

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, select};

use crate::bus::{
    self, AlertCommand, Counters, DialRequest, Event, HistoryCommand, SpawnCommand, StoreCommand,
};
use crate::config::{Config, Flags, Paths, RunFile};
use crate::http::HttpServer;
use crate::identity::Identity;
use crate::logs::Logs;
use crate::model::fault::Fault;
use crate::sys::log::{self, Format, Level};
use crate::sys::notify::Notifier;
use crate::sys::{files, limits, signals};
use tls::Tls;

/// What `node serve` was given.
pub struct ServeOptions {
    pub paths: Paths,
    pub flags: Flags,
    pub log_level: Option<Level>,
    pub log_format: Option<Format>,
}

/// Events that may wait for the registry: a burst of every link's report.
const EVENTS: usize = 1024;
/// Words of the registry that may wait for one of its helpers. When they are full the registry goes on without.
const COMMANDS: usize = 1024;
/// Of up to 64 commands each.
const HISTORY: usize = 64;
/// The same of messages about what is wrong: the thread behind it only sorts them.
const ALERTS: usize = 64;
/// Beyond the miners' own last grace, the time in which everything must have ended.
const ENDING: Duration = Duration::from_secs(20);

/// The sending and receiving ends that several parts share.
struct Lines {
    events: Sender<Event>,
    inbox: Receiver<Event>,
    /// Tells the main thread to end: a signal came.
    stop: Sender<()>,
    stopped: Receiver<()>,
    /// Tells it to read the certificates again: SIGHUP came.
    reload: Sender<()>,
    reloads: Receiver<()>,
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
        let (reload, reloads) = bounded(1);
        let (spawn, spawned) = bounded(COMMANDS);
        let (log_news, log_news_in) = bounded(1);
        Self {
            events,
            inbox,
            stop,
            stopped,
            reload,
            reloads,
            spawn,
            spawned,
            log_news,
            log_news_in,
        }
    }
}

/// Channels with one owner at each end: their threads end when the other end is dropped.
struct Ends {
    store: (Sender<StoreCommand>, Receiver<StoreCommand>),
    history: (Sender<Vec<HistoryCommand>>, Receiver<Vec<HistoryCommand>>),
    dial: (Sender<DialRequest>, Receiver<DialRequest>),
    host: (Sender<()>, Receiver<()>),
    disk: (Sender<()>, Receiver<()>),
    alerts: (Sender<AlertCommand>, Receiver<AlertCommand>),
}

impl Ends {
    #[expect(clippy::disallowed_methods, reason = "the composition root makes the channels")]
    fn new() -> Self {
        Self {
            store: bounded(COMMANDS),
            history: bounded(HISTORY),
            dial: bounded(COMMANDS),
            host: bounded(0),
            disk: bounded(0),
            alerts: bounded(ALERTS),
        }
    }
}

/// What is settled before the node has an identity.
struct Ground {
    paths: Paths,
    config: Config,
    api: String,
    tls: Tls,
    logs: Arc<Logs>,
    counters: Arc<Counters>,
    /// The service manager, where one wants to be told.
    notifier: Option<Arc<Notifier>>,
}

impl Ground {
    fn tell(&self, state: &str) {
        if let Some(notifier) = &self.notifier {
            notifier.tell(state);
        }
    }
}

/// Runs the daemon until SIGTERM or SIGINT.
///
/// # Errors
/// It cannot start: the folder, the configuration, a port, the identity or node.db is not usable; nothing is left
/// half done.
pub fn serve(options: ServeOptions) -> Result<(), Fault> {
    let ServeOptions { paths, flags, log_level, log_format } = options;
    let config = Config::load(&paths.config_file)?.with_flags(flags)?;
    log::set_level(log_level.unwrap_or(config.log_level));
    log::set_format(log_format.unwrap_or(config.log_format));
    log::take_panics();
    paths.prepare()?;
    limits::open_many_files();
    let _lock = files::lock(&paths.lock_file())?;
    // Certificates, identity and database are looked at before a port opens: what is wrong with them is said at once.
    let tls = Tls::load(&config)?;
    let identity = Identity::load(&paths.node_json, &paths.private_key)?;
    let api_listeners = start::bind("API", &config.api.bind)?;
    let known = identity.map(|identity| start::with_port(identity, &config)).transpose()?;
    let api = start::url(&api_listeners, &tls)?;

    let lines = Lines::new();
    let (stop, spawn) = (lines.stop.clone(), lines.spawn.clone());
    let reload = lines.reload.clone();
    let _signals = signals::watch(
        move || {
            let _ = stop.try_send(());
        },
        move || drop(spawn.try_send(SpawnCommand::Reap)),
        move || {
            let _ = reload.try_send(());
        },
    )
    .map_err(|e| start::failed("the signal handlers", &e))?;

    let logs = Arc::new(Logs::on_disk(paths.logs_dir(), lines.log_news.clone()));
    let counters = Arc::default();
    let server =
        start::http(&paths, &config, api_listeners, &tls, &lines.events, &logs, &counters)?;
    let notifier = Notifier::from_environment().map(Arc::new);
    let ground = Ground { paths, config, api, tls, logs, counters, notifier };
    let result = run(&ground, known, &lines, server);
    drop(RunFile::remove(&ground.paths.run_file()));
    crate::info!("ended");
    result
}

fn run(
    ground: &Ground,
    known: Option<(Identity, Vec<TcpListener>)>,
    lines: &Lines,
    server: HttpServer,
) -> Result<(), Fault> {
    let (identity, p2p) = match known {
        Some(known) => known,
        None => match start::await_identity(ground, lines)? {
            Some(known) => known,
            None => {
                ground.tell("STOPPING=1");
                server.stop();
                return Ok(());
            }
        },
    };
    let threads = threads::start(ground, Arc::new(identity), &p2p, lines)?;
    start::announce(ground, Some(&p2p))?;
    // Nobody else holds the sending ends for ever: a signal is the only thing that comes.
    loop {
        select! {
            recv(lines.stopped) -> _ => break,
            recv(lines.reloads) -> _ => ground.tls.reload(&ground.paths),
        }
    }
    let stopping =
        format!("stopping: miners get {} s to end", crate::registry::LAST_GRACE.as_secs());
    crate::info!("{stopping}");
    ground.tell(&format!("STOPPING=1\nSTATUS={stopping}"));
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
