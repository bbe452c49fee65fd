//! `demo`: a controller and rigs as real daemons on loopback, in a temporary folder, until Ctrl-C.
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::args::Demo;
use super::client::{Client, segment};
use super::exit::{Exit, Failure};
use super::prepass::{Environment, Globals};
use super::screen::Screen;
use super::status::plural;
use super::{Ended, Session, dashboard};
use crate::config::Paths;
use crate::identity::Identity;
use crate::model::invite::InviteView;
use crate::model::node::{NodeInfo, Role};
use crate::model::peer::PeerView;
use crate::sys::service::{Service, look_until};
use crate::sys::{clock, random};

/// How long a daemon may take to answer, and a rig to connect.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a daemon may take to end: it ends its miners first.
const ENDING: Duration = Duration::from_secs(20);
const MOST_RIGS: u32 = 16;

/// A daemon of the demonstration.
struct Node {
    name: String,
    home: PathBuf,
    service: Service,
}

impl Node {
    /// Its REST API; `None` while it does not answer.
    fn client(&self) -> Option<Client> {
        let globals = Globals { home: Some(self.home.clone()), ..Globals::default() };
        let screen = Screen::new(Box::new(std::io::sink()), Box::new(std::io::sink()), false);
        let session = Session { globals, environment: Environment::default(), screen };
        Client::find(&session).ok().filter(|client| client.get("/node/info").is_ok())
    }
}

/// The folder and the daemons; dropping it ends the daemons and removes the folder.
struct Farm {
    folder: PathBuf,
    nodes: Vec<Node>,
}

impl Drop for Farm {
    fn drop(&mut self) {
        for node in &mut self.nodes {
            node.service.ask_to_end();
        }
        for node in &mut self.nodes {
            let _ = node.service.wait(ENDING);
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

pub fn run(demo: &Demo, session: &mut Session) -> Ended {
    if !(1..=MOST_RIGS).contains(&demo.rigs) {
        return Err(Failure::Usage(format!("--rigs is 1 to {MOST_RIGS}")));
    }
    let xmrig = demo.xmrig.as_deref().map(real_path).transpose()?;
    // From here on Ctrl-C is noted, and asked for between the steps.
    let mut signals = Signals::new([SIGINT, SIGTERM])
        .map_err(|e| Failure::own(format!("Ctrl-C cannot be handled: {e}")))?;
    let mut farm = Farm { folder: folder()?, nodes: Vec::new() };
    if build(demo.rigs, xmrig.as_deref(), &mut farm, session, &mut signals)? {
        explain(&farm, session)?;
        signals.forever().next();
    }
    session.screen.line("Ending the daemons and removing the folder.")?;
    Ok(Exit::Done)
}

fn real_path(path: &Path) -> Result<PathBuf, Failure> {
    let wrong =
        |why: &dyn std::fmt::Display| Failure::Usage(format!("--xmrig {}: {why}", path.display()));
    let real = path.canonicalize().map_err(|e| wrong(&e))?;
    if real.is_file() { Ok(real) } else { Err(wrong(&"this is no file")) }
}

fn folder() -> Result<PathBuf, Failure> {
    let folder = std::env::temp_dir().join(format!("miner-cli-demo-{}", random::hex::<4>()));
    std::fs::DirBuilder::new()
        .mode(0o700)
        .create(&folder)
        .map_err(|e| cannot("make", &folder, &e))?;
    Ok(folder)
}

fn cannot(what: &str, path: &Path, e: &std::io::Error) -> Failure {
    Failure::own(format!("cannot {what} {}: {e}", path.display()))
}

/// Starts and pairs everything; false when Ctrl-C came in between.
fn build(
    rigs: u32,
    xmrig: Option<&Path>,
    farm: &mut Farm,
    session: &mut Session,
    signals: &mut Signals,
) -> Result<bool, Failure> {
    start(farm, "controller", Role::Controller, None)?;
    for n in 1..=rigs {
        start(farm, &format!("rig-{n}"), Role::Worker, xmrig)?;
    }
    let (many, folder) = (plural(rigs as usize, "rig"), farm.folder.display().to_string());
    session.screen.line(&format!("Starting a controller and {many} in {folder}"))?;
    let mut clients = Vec::new();
    for node in &mut farm.nodes {
        clients.push(wait_for(node)?);
        if signals.pending().next().is_some() {
            return Ok(false);
        }
    }
    let (controller, workers) = clients.split_first().expect("the controller was started first");
    let invite = json!({"uses": rigs, "expiresSeconds": 600});
    let invite: InviteView = controller.ask("POST", "/node/invites", Some(&invite))?.read()?;
    let address = controller.get("/node/info")?.read::<NodeInfo>()?.listen;
    let wanted = json!({"address": address, "invite": invite.code});
    for worker in workers {
        worker.ask("POST", "/node/join", Some(&wanted))?;
    }
    session.screen.line("The rigs joined the controller with an invite.")?;
    controller.ask("POST", "/profiles", Some(&profile(xmrig.is_some())))?;
    for node in &farm.nodes[1..] {
        if signals.pending().next().is_some() {
            return Ok(false);
        }
        wait_for_link(controller, &node.name)?;
        let path = format!("/remote/{}/start", segment(&node.name));
        controller.ask("POST", &path, Some(&json!({"profileId": "demo"})))?;
        session.screen.line(&format!("{} mines.", node.name))?;
    }
    Ok(true)
}

/// The offline benchmark of a real XMRig, or the built-in simulated miner.
fn profile(real: bool) -> Value {
    if real {
        json!({"id": "demo", "name": "demo", "minerType": "xmrig", "config": {"cliArgs": ["--bench=1M"]}})
    } else {
        let config = json!({"algo": "rx/0", "hashrate": 12500});
        json!({"id": "demo", "name": "demo", "minerType": "simulated", "config": config})
    }
}

fn start(farm: &mut Farm, name: &str, role: Role, xmrig: Option<&Path>) -> Result<(), Failure> {
    let home = farm.folder.join(name);
    std::fs::DirBuilder::new().mode(0o700).create(&home).map_err(|e| cannot("make", &home, &e))?;
    let paths = Paths::resolve(Some(&home))?;
    Identity::create(&paths.node_json, &paths.private_key, name, role, clock::wall())?;
    if let Some(xmrig) = xmrig {
        // A JSON string is also a basic string of TOML.
        let config = format!("[miners.xmrig]\npath = {}\n", json!(xmrig));
        let file = &paths.config_file;
        std::fs::write(file, config).map_err(|e| cannot("write", file, &e))?;
    }
    let loopback = "127.0.0.1:0";
    let args = ["--home".as_ref(), home.as_os_str(), "node".as_ref(), "serve".as_ref()];
    let ports = ["--listen", loopback, "--api", loopback].map(AsRef::as_ref);
    let log = home.join("daemon.log");
    let service = Service::start(&[&args[..], &ports[..]].concat(), &log)
        .map_err(|e| Failure::own(format!("the daemon of {name} cannot be started: {e}")))?;
    farm.nodes.push(Node { name: name.to_owned(), home, service });
    Ok(())
}

/// Until the daemon answers.
fn wait_for(node: &mut Node) -> Result<Client, Failure> {
    let mut ended = false;
    let found = look_until(Instant::now() + PATIENCE, || {
        ended = !matches!(node.service.ended(), Ok(None));
        if ended { Some(None) } else { node.client().map(Some) }
    });
    if let Some(Some(client)) = found {
        return Ok(client);
    }
    let what = if ended { "ended" } else { "does not answer" };
    let log = std::fs::read_to_string(node.home.join("daemon.log")).unwrap_or_default();
    let last = log.lines().last().unwrap_or("nothing").to_owned();
    Err(Failure::own(format!("the daemon of {} {what}; its log ends with: {last}", node.name)))
}

/// Until the controller has a link to the rig.
fn wait_for_link(controller: &Client, rig: &str) -> Result<(), Failure> {
    let path = format!("/peers/{}", segment(rig));
    let linked = look_until(Instant::now() + PATIENCE, || {
        let peer = controller.get(&path).and_then(|reply| reply.read::<PeerView>());
        peer.is_ok_and(|peer| peer.connected).then_some(())
    });
    linked.ok_or_else(|| Failure::own(format!("{rig} did not connect to the controller")))
}

fn explain(farm: &Farm, session: &mut Session) -> Result<(), Failure> {
    let (controller, rigs) = farm.nodes.split_first().expect("the controller was started first");
    let client =
        controller.client().ok_or_else(|| Failure::own("the controller does not answer"))?;
    let program = std::env::current_exe()
        .map_or_else(|_| "miner-cli".to_owned(), |p| p.display().to_string());
    let rig = &rigs[0];
    let (on_controller, on_rig) = (
        format!("{program} --home {}", controller.home.display()),
        format!("{program} --home {}", rig.home.display()),
    );
    session.screen.line("")?;
    session.screen.line(&format!("Dashboard: {}", dashboard::link(&client)))?;
    session.screen.line("")?;
    session.screen.line("Try in another terminal:")?;
    for command in [
        format!("{on_controller} remote status"),
        format!("{on_controller} remote status {}", rig.name),
        format!("{on_controller} remote restart {}", rig.name),
        format!("{on_controller} peer list"),
        format!("{on_rig} miner list"),
    ] {
        session.screen.line(&format!("  {command}"))?;
    }
    session.screen.line("")?;
    session.screen.line("Ctrl-C ends it all and leaves nothing behind.")
}
