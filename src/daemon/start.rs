//! Ports, token, the REST server, and life before the node has an identity.
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;

use crossbeam_channel::{Sender, never, select, tick};

use super::tls::{Tls, pin};
use super::{Ground, Lines};
use crate::bus::{Call, Counters, Event, Reply, Request};
use crate::config::{Config, Paths, RunFile, parse_listen};
use crate::http::{self, GateOptions, HttpContext, HttpServer, Limits};
use crate::identity::Identity;
use crate::logs::Logs;
use crate::model::fault::{Code, Fault};
use crate::model::node::{NodeInfo, Role};
use crate::model::trust::WSS;
use crate::sys::{clock, files, net, random};

pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A unix socket's address has room for 107 bytes; the gate adds a name of its own to the folder.
const LONGEST_GATE: usize = 85;

pub fn failed(what: &str, e: &io::Error) -> Fault {
    Fault::new(Code::Internal, format!("{what} could not be started: {e}"))
}

/// Binds every address that `text` stands for. `:9091` needs only one of its two: the IPv6 socket mostly takes IPv4
/// callers too.
pub fn bind(what: &str, text: &str) -> Result<Vec<TcpListener>, Fault> {
    let addresses = parse_listen(text)
        .map_err(|e| Fault::new(Code::Invalid, format!("{what} address {text:?}: {e}")))?;
    let mut bound = Vec::new();
    let mut problem = None;
    for address in addresses {
        match TcpListener::bind(address) {
            Ok(listener) => {
                net::lengthen_queue(&listener);
                bound.push(listener);
            }
            Err(e) => problem = problem.or(Some((address, e))),
        }
    }
    match problem {
        Some((address, e)) if bound.is_empty() => Err(not_bound(what, address, &e)),
        _ => Ok(bound),
    }
}

/// The P2P port belongs to an identity: without one nothing listens to the network.
pub fn with_port(
    identity: Identity,
    config: &Config,
) -> Result<(Identity, Vec<TcpListener>), Fault> {
    Ok((identity, bind("P2P", &config.listen)?))
}

fn not_bound(what: &str, address: SocketAddr, e: &io::Error) -> Fault {
    let flag = if what == "API" { "--api" } else { "--listen" };
    let fault =
        Fault::new(Code::Conflict, format!("the {what} port {address} cannot be opened: {e}"));
    match e.kind() {
        io::ErrorKind::AddrInUse => fault.hint(format!(
            "another program, perhaps another miner-cli, uses it; stop that, or choose another port with {flag}"
        )),
        io::ErrorKind::PermissionDenied => fault.hint("ports below 1024 need a privilege; choose a higher one"),
        _ => fault.hint(format!("choose an address of this machine with {flag}")),
    }
}

/// The API's URL as other programs on this machine reach it.
pub fn url(listeners: &[TcpListener], tls: &Tls) -> Result<String, Fault> {
    let address = address_of(listeners)?;
    let mut reach = address;
    if reach.ip().is_unspecified() {
        reach.set_ip(if reach.is_ipv4() {
            [127, 0, 0, 1].into()
        } else {
            std::net::Ipv6Addr::LOCALHOST.into()
        });
    }
    let scheme = if tls.api.is_some() { "https" } else { "http" };
    Ok(format!("{scheme}://{reach}"))
}

/// The P2P port's address, as other nodes dial it.
pub fn listen(p2p: &[TcpListener], tls: &Tls) -> Result<String, Fault> {
    let scheme = if tls.p2p.is_some() { WSS } else { "" };
    Ok(format!("{scheme}{}", address_of(p2p)?))
}

fn address_of(listeners: &[TcpListener]) -> Result<SocketAddr, Fault> {
    let none = || io::Error::from(io::ErrorKind::AddrNotAvailable);
    let address = listeners.first().ok_or_else(none).and_then(TcpListener::local_addr);
    address.map_err(|e| failed("the listener", &e))
}

/// The token that opens the API: kept over restarts, made where there is none.
fn token(paths: &Paths) -> Result<String, Fault> {
    let file = paths.token_file();
    if file.exists() {
        let bytes = files::read_private(&file, 1024, paths.run_mode())?;
        let text = String::from_utf8_lossy(&bytes).trim().to_owned();
        if text.len() >= 32 {
            return Ok(text);
        }
        return Err(Fault::new(Code::Conflict, format!("{} holds no token", file.display()))
            .hint("remove that file: the next start makes a new token"));
    }
    let text = random::hex::<32>();
    files::write_atomic(&file, format!("{text}\n").as_bytes(), paths.run_mode())?;
    Ok(text)
}

pub fn http(
    paths: &Paths,
    config: &Config,
    listeners: Vec<TcpListener>,
    tls: &Tls,
    events: &Sender<Event>,
    logs: &Arc<Logs>,
    counters: &Arc<Counters>,
) -> Result<HttpServer, Fault> {
    let context = HttpContext {
        events: events.clone(),
        logs: logs.clone(),
        counters: counters.clone(),
        node_db: paths.node_db.clone(),
        mining_db: config.history.enabled.then(|| paths.mining_db.clone()),
        token: token(paths)?,
        hosts: config.api.hosts.clone(),
        version: VERSION,
    };
    let options = GateOptions {
        listeners,
        gate_dir: gate_dir(paths),
        limits: Limits::default(),
        tls: tls.api.clone(),
    };
    http::serve(options, context).map_err(|e| failed("the REST server", &e))
}

fn gate_dir(paths: &Paths) -> PathBuf {
    let dir = paths.gate_dir();
    if dir.as_os_str().len() <= LONGEST_GATE {
        return dir;
    }
    std::env::temp_dir().join(format!("miner-cli-{}", random::hex::<8>()))
}

/// Tells the command line where this daemon answers, and the service manager that it does.
pub fn announce(ground: &Ground, p2p: Option<&[TcpListener]>) -> Result<(), Fault> {
    let listen = p2p.map(|p2p| self::listen(p2p, &ground.tls)).transpose()?;
    let file = RunFile {
        pid: std::process::id(),
        api: ground.api.clone(),
        api_pin: pin(ground.tls.api.as_ref()),
        listen: listen.clone(),
        listen_pin: pin(ground.tls.p2p.as_ref()),
        started_at: clock::wall(),
        version: VERSION.to_owned(),
    };
    file.write(&ground.paths)?;
    let p2p =
        listen.map_or_else(|| "P2P waits for an identity".to_owned(), |l| format!("P2P on {l}"));
    let status = format!("API on {}, {p2p}", ground.api);
    crate::info!("miner-cli {VERSION}: {status}");
    ground.tell(&format!("READY=1\nSTATUS={status}"));
    Ok(())
}

/// Without an identity only `node info` and `node init` are answered. `None`: the daemon was told to stop.
pub fn await_identity(
    ground: &Ground,
    lines: &Lines,
) -> Result<Option<(Identity, Vec<TcpListener>)>, Fault> {
    announce(ground, None)?;
    let watchdog = ground.notifier.as_ref().and_then(|notifier| notifier.watchdog());
    let sign = watchdog.map_or_else(never, tick);
    let started = clock::mono();
    loop {
        let event = select! {
            recv(lines.stopped) -> _ => return Ok(None),
            recv(lines.reloads) -> _ => {
                ground.tls.reload(&ground.paths);
                continue;
            }
            recv(sign) -> _ => { ground.tell("WATCHDOG=1"); continue }
            recv(lines.inbox) -> event => event,
        };
        let Ok(Event::Call(Call { request, reply, .. })) = event else { continue };
        let answer = match request {
            Request::NodeInfo => Ok(Reply::NodeInfo(Box::new(NodeInfo {
                has_identity: false,
                identity: None,
                registered_peers: 0,
                connected_peers: 0,
                version: VERSION.to_owned(),
                uptime: clock::mono().since(started).as_secs(),
                listen: None,
                api: ground.api.clone(),
            }))),
            Request::NodeInit { name, role } => match init(ground, &name, role) {
                Ok((identity, p2p)) => {
                    let card = Box::new(identity.card.clone());
                    drop(reply.try_send(Ok(Reply::Identity(card))));
                    return Ok(Some((identity, p2p)));
                }
                Err(fault) => Err(fault),
            },
            _ => Err(Fault::new(Code::Conflict, "this node has no identity yet")
                .hint("miner-cli node init --name NAME")),
        };
        drop(reply.try_send(answer));
    }
}

/// The port first: an identity that cannot be used is not made.
fn init(ground: &Ground, name: &str, role: Role) -> Result<(Identity, Vec<TcpListener>), Fault> {
    let Ground { paths, config, .. } = ground;
    let p2p = bind("P2P", &config.listen)?;
    let now = clock::wall();
    let identity = Identity::create(&paths.node_json, &paths.private_key, name, role, now)?;
    Ok((identity, p2p))
}
