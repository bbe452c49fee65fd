//! Ports, token, the REST server, and life before the node has an identity.
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;

use crossbeam_channel::{Sender, select};

use super::{Ground, Lines};
use crate::bus::{Call, Event, Reply, Request};
use crate::config::{Config, Paths, RunFile, parse_listen};
use crate::http::{self, GateOptions, HttpContext, HttpServer, Limits};
use crate::identity::Identity;
use crate::logs::Logs;
use crate::model::fault::{Code, Fault};
use crate::model::node::NodeInfo;
use crate::sys::{clock, files, random};

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
            Ok(listener) => bound.push(listener),
            Err(e) => problem = problem.or(Some((address, e))),
        }
    }
    match problem {
        Some((address, e)) if bound.is_empty() => Err(not_bound(what, address, &e)),
        _ => Ok(bound),
    }
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
pub fn url(listeners: &[TcpListener]) -> Result<String, Fault> {
    let address = address_of(listeners)?;
    let mut reach = address;
    if reach.ip().is_unspecified() {
        reach.set_ip(if reach.is_ipv4() {
            [127, 0, 0, 1].into()
        } else {
            std::net::Ipv6Addr::LOCALHOST.into()
        });
    }
    Ok(format!("http://{reach}"))
}

pub fn address_of(listeners: &[TcpListener]) -> Result<SocketAddr, Fault> {
    let none = || io::Error::from(io::ErrorKind::AddrNotAvailable);
    let address = listeners.first().ok_or_else(none).and_then(TcpListener::local_addr);
    address.map_err(|e| failed("the listener", &e))
}

/// The token that opens the API: kept over restarts, made where there is none.
fn token(paths: &Paths) -> Result<String, Fault> {
    let file = paths.token_file();
    if file.exists() {
        let bytes = files::read_private(&file, 1024)?;
        let text = String::from_utf8_lossy(&bytes).trim().to_owned();
        if text.len() >= 32 {
            return Ok(text);
        }
        return Err(Fault::new(Code::Conflict, format!("{} holds no token", file.display()))
            .hint("remove that file: the next start makes a new token"));
    }
    let text = random::hex::<32>();
    files::write_atomic(&file, format!("{text}\n").as_bytes(), files::PRIVATE)?;
    Ok(text)
}

pub fn http(
    paths: &Paths,
    config: &Config,
    listeners: Vec<TcpListener>,
    events: &Sender<Event>,
    logs: &Arc<Logs>,
) -> Result<HttpServer, Fault> {
    let context = HttpContext {
        events: events.clone(),
        logs: logs.clone(),
        node_db: paths.node_db.clone(),
        token: token(paths)?,
        hosts: config.api.hosts.clone(),
        version: VERSION,
    };
    let options = GateOptions { listeners, gate_dir: gate_dir(paths), limits: Limits::default() };
    http::serve(options, context).map_err(|e| failed("the REST server", &e))
}

fn gate_dir(paths: &Paths) -> PathBuf {
    let dir = paths.gate_dir();
    if dir.as_os_str().len() <= LONGEST_GATE {
        return dir;
    }
    std::env::temp_dir().join(format!("miner-cli-{}", random::hex::<8>()))
}

/// Tells the command line where this daemon answers.
pub fn announce(ground: &Ground, p2p: Option<&[TcpListener]>) -> Result<(), Fault> {
    let listen = p2p.map(address_of).transpose()?.map(|a| a.to_string());
    let file = RunFile {
        pid: std::process::id(),
        api: ground.api.clone(),
        listen: listen.clone(),
        started_at: clock::wall(),
        version: VERSION.to_owned(),
    };
    file.write(&ground.paths.run_file())?;
    let p2p =
        listen.map_or_else(|| "P2P waits for an identity".to_owned(), |l| format!("P2P on {l}"));
    crate::info!("miner-cli {VERSION}: API on {}, {p2p}", ground.api);
    Ok(())
}

/// Without an identity only `node info` and `node init` are answered. `None`: the daemon was told to stop.
pub fn await_identity(ground: &Ground, lines: &Lines) -> Result<Option<Identity>, Fault> {
    announce(ground, None)?;
    let started = clock::mono();
    loop {
        let event = select! {
            recv(lines.stopped) -> _ => return Ok(None),
            recv(lines.inbox) -> event => event,
        };
        let Ok(Event::Call(Call { request, reply, .. })) = event else { continue };
        let paths = &ground.paths;
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
            Request::NodeInit { name, role } => {
                match Identity::create(
                    &paths.node_json,
                    &paths.private_key,
                    &name,
                    role,
                    clock::wall(),
                ) {
                    Ok(identity) => {
                        let card = Box::new(identity.card.clone());
                        drop(reply.try_send(Ok(Reply::Identity(card))));
                        return Ok(Some(identity));
                    }
                    Err(fault) => Err(fault),
                }
            }
            _ => Err(Fault::new(Code::Conflict, "this node has no identity yet")
                .hint("miner-cli node init --name NAME")),
        };
        drop(reply.try_send(answer));
    }
}
