//! The threads of a node that has an identity, and their end.
use std::net::TcpListener;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use super::start::{VERSION, address_of, failed};
use super::{Ends, Ground, Lines};
use crate::bus::Event;
use crate::identity::Identity;
use crate::link::{self, Shared};
use crate::logs::disk;
use crate::miner::{self, MinerSetup};
use crate::model::fault::Fault;
use crate::model::stats::REPORT_EVERY_S;
use crate::registry::{self, Ports, Registry, Setup};
use crate::store;
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

pub fn start(ground: &Ground, identity: Arc<Identity>, lines: &Lines) -> Result<Threads, Fault> {
    let (store, saved) = store::open(&ground.paths.node_db)?;
    let Ends {
        store: (store_in, store_out),
        dial: (dial_in, dial_out),
        host: (host_in, host_out),
        disk: (disk_in, disk_out),
    } = Ends::new();

    let setup = Setup {
        me: identity.card.clone(),
        version: VERSION.to_owned(),
        listen: Some(address_of(&ground.p2p)?.to_string()),
        api: ground.api.clone(),
        policy: ground.config.policy.clone(),
        seed: random::bytes(),
    };
    let shared =
        Arc::new(Shared::new(identity, lines.events.clone(), ground.logs.clone(), saved.epoch));
    let miners = MinerSetup {
        programs: ground.config.miners.clone(),
        folder: ground.paths.miners_dir(),
        leftovers: ground.paths.run_dir.join("miners.json"),
        node_name: setup.me.name.clone(),
        logs: ground.logs.clone(),
        own_program: std::env::current_exe().map_err(|e| failed("the path of this program", &e))?,
    };
    let (registry, first) = Registry::new(setup, saved, clock::now());
    let ports = Ports {
        dialler: dial_in,
        spawner: lines.spawn.clone(),
        store: store_in,
        logs: ground.logs.clone(),
    };

    let (events, commands) = (lines.events.clone(), lines.spawned.clone());
    let spawner = vital("spawner", move || miner::run(miners, commands, events))?;
    let events = lines.events.clone();
    let store = vital("store", move || store.run(store_out, events))?;
    let dialler = link::dialler(dial_out, shared.clone()).map_err(|e| failed("the dialler", &e))?;
    let inbox = lines.inbox.clone();
    let registry =
        vital("registry", move || registry::run(registry, first, &inbox, &ports, clock::now))?;
    let events = lines.events.clone();
    let figures = thread::spawn("host", move || watch_host(&host_out, &events))
        .map_err(|e| failed("host", &e))?;
    let (writer, news) = (disk::Writer::new(&ground.logs), lines.log_news_in.clone());
    let keeping = thread::spawn("miner-logs", move || writer.run(&news, &disk_out))
        .map_err(|e| failed("miner-logs", &e))?;
    let p2p = ground.p2p.iter().map(TcpListener::try_clone).collect::<Result<_, _>>();
    let listening = p2p
        .and_then(|p2p| link::listen(p2p, &shared))
        .map_err(|e| failed("the P2P listener", &e))?;
    Ok(Threads {
        registry,
        listening,
        links: shared,
        host: (host_in, figures),
        disk: (disk_in, keeping),
        others: vec![spawner, store, dialler],
    })
}

/// Every 10 s: the beat on which this node looks after its miners and reports.
fn watch_host(end: &Receiver<()>, events: &Sender<Event>) {
    while let Err(RecvTimeoutError::Timeout) = end.recv_timeout(Duration::from_secs(REPORT_EVERY_S))
    {
        // A registry that has no room for this has better things to do than to report.
        drop(events.try_send(Event::Host(host::read())));
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
