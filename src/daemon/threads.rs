//! The threads of a node that has an identity, and their end.
use std::net::TcpListener;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use super::start::{VERSION, failed, listen};
use super::{Ends, Ground, Lines};
use crate::alerts::{self, Pace};
use crate::bus::{AlertCommand, Event};
use crate::config::HistoryConfig;
use crate::identity::Identity;
use crate::link::{self, Shared};
use crate::logs::disk;
use crate::miner::{self, MinerSetup};
use crate::model::fault::Fault;
use crate::model::history::HistoryStatus;
use crate::model::stats::REPORT_EVERY_S;
use crate::registry::{self, Alive, Ports, Registry, Setup};
use crate::store::{self, history};
use crate::sys::{clock, host, random, thread};

/// Everything that is to be joined, in this order.
pub struct Threads {
    registry: JoinHandle<()>,
    listening: link::Listening,
    links: Arc<Shared>,
    /// Dropped, it ends the thread that reads the machine's figures.
    host: (Sender<()>, JoinHandle<()>),
    /// Likewise the one that keeps the miners' output on disk: after the miners, for their last lines.
    disk: (Sender<()>, JoinHandle<()>),
    others: Vec<JoinHandle<()>>,
}

/// A panic in one of these leaves the node without state: the daemon ends, and systemd starts it anew.
fn vital(name: &'static str, f: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Fault> {
    let guarded = move || {
        if catch_unwind(AssertUnwindSafe(f)).is_err() {
            crate::error!("the {name} thread panicked: the daemon ends");
            std::process::exit(70);
        }
    };
    thread::spawn(name, guarded).map_err(|e| failed(name, &e))
}

pub fn start(
    ground: &Ground,
    identity: Arc<Identity>,
    p2p: &[TcpListener],
    lines: &Lines,
) -> Result<Threads, Fault> {
    let (store, saved) = store::open(&ground.paths.node_db)?;
    let Ends {
        store: (store_in, store_out),
        history: (history_in, history_out),
        dial: (dial_in, dial_out),
        host: (host_in, host_out),
        disk: (disk_in, disk_out),
        alerts: (alert_in, alert_out),
    } = Ends::new();

    let HistoryConfig { enabled, retention_days } = ground.config.history;
    let setup = Setup {
        me: identity.card.clone(),
        version: VERSION.to_owned(),
        listen: Some(listen(p2p, &ground.tls)?),
        api: ground.api.clone(),
        policy: ground.config.policy.clone(),
        alerts: ground.config.alerts.clone(),
        history: HistoryStatus { enabled, retention_days, ..HistoryStatus::default() },
        seed: random::bytes(),
    };
    let mut shared = Shared::new(identity, lines.events.clone(), ground.logs.clone(), saved.epoch);
    shared.tls = ground.tls.p2p.clone();
    shared.counters = ground.counters.clone();
    let shared = Arc::new(shared);
    let miners = miner_setup(ground, &setup.me.name)?;
    let history = history::Options {
        path: ground.paths.mining_db.clone(),
        me: setup.me.public_key.node_id(),
        retention_days,
    };
    let (registry, first) = Registry::new(setup, saved, clock::now());
    let ports = Ports {
        dialler: dial_in,
        spawner: lines.spawn.clone(),
        store: store_in,
        history: enabled.then_some(history_in),
        logs: ground.logs.clone(),
        alerts: alert_in,
        counters: ground.counters.clone(),
        alive: alive(ground),
    };

    let (events, commands) = (lines.events.clone(), lines.spawned.clone());
    let spawner = vital("spawner", move || miner::run(miners, commands, events))?;
    let events = lines.events.clone();
    let store = vital("store", move || store.run(store_out, events))?;
    let mut others = vec![spawner, store];
    // Not vital: miners mine on without it.
    if enabled {
        let events = lines.events.clone();
        let run = move || history::run(&history, &history_out, &events, clock::now);
        others.push(thread::spawn("history", run).map_err(|e| failed("history", &e))?);
    }
    let dialler = link::dialler(dial_out, shared.clone()).map_err(|e| failed("the dialler", &e))?;
    others.push(dialler);
    let inbox = lines.inbox.clone();
    let registry =
        vital("registry", move || registry::run(registry, first, &inbox, &ports, clock::now))?;
    let events = lines.events.clone();
    let data = ground.paths.logs_dir();
    let figures = thread::spawn("host", move || watch_host(&host_out, &events, &data))
        .map_err(|e| failed("host", &e))?;
    others.push(alerting(ground, alert_out, lines)?);
    let (writer, news) = (disk::Writer::new(&ground.logs), lines.log_news_in.clone());
    let keeping = thread::spawn("miner-logs", move || writer.run(&news, &disk_out))
        .map_err(|e| failed("miner-logs", &e))?;
    let p2p = p2p.iter().map(TcpListener::try_clone).collect::<Result<_, _>>();
    let listening = p2p
        .and_then(|p2p| link::listen(p2p, &shared))
        .map_err(|e| failed("the P2P listener", &e))?;
    Ok(Threads {
        registry,
        listening,
        links: shared,
        host: (host_in, figures),
        disk: (disk_in, keeping),
        others,
    })
}

fn miner_setup(ground: &Ground, node_name: &str) -> Result<MinerSetup, Fault> {
    Ok(MinerSetup {
        programs: ground.config.miners.clone(),
        folder: ground.paths.miners_dir(),
        leftovers: ground.paths.run_dir.join("miners.json"),
        node_name: node_name.to_owned(),
        logs: ground.logs.clone(),
        own_program: std::env::current_exe().map_err(|e| failed("the path of this program", &e))?,
    })
}

fn alerting(
    ground: &Ground,
    commands: Receiver<AlertCommand>,
    lines: &Lines,
) -> Result<JoinHandle<()>, Fault> {
    let channels = ground.config.channels.clone();
    alerts::start(channels, commands, &lines.events, Pace::default())
        .map_err(|e| failed("alerts", &e))
}

/// The registry feeds the watchdog of the service manager, where there is one.
fn alive(ground: &Ground) -> Option<Alive> {
    let notifier = ground.notifier.clone()?;
    let every = notifier.watchdog()?;
    Some(Alive { every, tell: Box::new(move || notifier.tell("WATCHDOG=1")) })
}

/// Every 10 s: the beat on which this node looks after its miners and reports.
fn watch_host(end: &Receiver<()>, events: &Sender<Event>, data: &Path) {
    while let Err(RecvTimeoutError::Timeout) = end.recv_timeout(Duration::from_secs(REPORT_EVERY_S))
    {
        // A registry that has no room for this has better things to do than to report.
        drop(events.try_send(Event::Host(host::read(data))));
    }
}

impl Threads {
    /// Waits for all of them, at most `patience` in total: a thread that hangs must not keep the service from
    /// ending.
    pub fn join(self, patience: Duration) {
        let (done, joined) = crate::bus::reply_channel();
        let deadline = Instant::now() + patience;
        let joiner = thread::spawn("joiner", move || {
            drop(self.registry.join());
            drop(self.host.0);
            drop(self.host.1.join());
            self.listening.stop();
            for thread in self.others {
                drop(thread.join());
            }
            drop(self.disk.0);
            drop(self.disk.1.join());
            // The last `bye` of every link is on its way before the process ends.
            self.links.wait(deadline);
            let _ = done.try_send(());
        });
        if joiner.is_err() || joined.recv_timeout(patience).is_err() {
            crate::warning!("some threads did not end in time");
        }
    }
}
