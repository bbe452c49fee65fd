//! REST and the dashboard: our own gate towards the network, tiny_http behind it on a private unix socket.
//!
//! A connection brings one request. The gate reads it under a deadline, refuses what is not plainly well-formed, and
//! passes a canonical copy on; see `gate` for the limits and `routes` for what can be asked.
mod answer;
mod api;
mod asked;
mod auth;
mod crew;
mod gate;
mod hosts;
mod json;
mod line;
mod meter;
mod metrics;
mod openapi;
mod pages;
mod parse;
mod places;
mod routes;
mod server;
mod sse;

#[doc(hidden)]
pub use gate::passed_on;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};

use crate::bus::{self, Counters, Event};
use crate::logs::Logs;
use crate::sys;
use crate::tls::Server;

/// Every route but `/health` and the dashboard's files lies under this.
pub const BASE: &str = "/api/v1/mining";

/// What the handlers need of the rest of the daemon.
#[derive(Clone)]
pub struct HttpContext {
    /// To the registry.
    pub events: Sender<Event>,
    /// This node's own miners' output.
    pub logs: Arc<Logs>,
    /// What the other threads count.
    pub counters: Arc<Counters>,
    /// For `store::query`: what is read without the registry.
    pub node_db: PathBuf,
    /// For `store::query::history`; `None` where history is switched off.
    pub mining_db: Option<PathBuf>,
    /// The API token; an empty one admits nobody.
    pub token: String,
    /// Names and addresses, beside localhost and the address connected to, that may stand in a Host header.
    pub hosts: Vec<String>,
    pub version: &'static str,
}

/// The token stays out of every log.
impl std::fmt::Debug for HttpContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpContext").field("hosts", &self.hosts).finish_non_exhaustive()
    }
}

#[derive(Debug)]
pub struct GateOptions {
    pub listeners: Vec<TcpListener>,
    /// A folder of ours alone for the inner server's socket; made with mode 0700. Its path must fit a unix socket's
    /// address (107 bytes with the name of the socket).
    pub gate_dir: PathBuf,
    pub limits: Limits,
    /// `None`: what comes and goes is plain.
    pub tls: Option<Arc<Server>>,
}

/// Counts and times of the gate; tests make them small.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Accepted to the last byte of the request.
    pub reading: Duration,
    /// A whole answer, to a client that reads slowly.
    pub writing: Duration,
    /// One write to a stream.
    pub stream_writing: Duration,
    /// For the client to close after its answer.
    pub linger: Duration,
    /// For a complete request to get its turn.
    pub queueing: Duration,
    /// For the inner server to answer: longer than every [`bus::Request::patience`].
    pub answering: Duration,
    /// A comment keeps an event stream alive that has nothing to say.
    pub keepalive: Duration,
    /// Connections whose request is not complete.
    pub waiting: usize,
    /// Connections whose client has not yet taken its answer.
    pub leaving: usize,
    /// Complete requests without a place.
    pub queue: usize,
    /// Inner connections at once, for requests that ask the registry …
    pub calls: usize,
    /// … and for those that wait for nothing: `/health` finds a place whatever the others do.
    pub quick: usize,
    /// Event streams.
    pub streams: usize,
    /// The largest answer, bytes: every device of 10,000 rigs, or all their reports.
    pub answer: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            reading: Duration::from_secs(10),
            writing: Duration::from_secs(30),
            stream_writing: Duration::from_secs(10),
            linger: Duration::from_secs(1),
            queueing: Duration::from_secs(10),
            answering: Duration::from_secs(60),
            keepalive: Duration::from_secs(15),
            waiting: 512,
            leaving: 256,
            queue: 256,
            calls: 28,
            quick: 4,
            streams: 64,
            answer: 64 * 1024 * 1024,
        }
    }
}

/// The running server; see [`serve`].
#[derive(Debug)]
pub struct HttpServer {
    gate: Arc<gate::Gate>,
    addresses: Vec<SocketAddr>,
    /// Dropped, it tells every thread to end.
    closer: Sender<()>,
}

/// What every handler shares.
#[derive(Debug)]
struct Shared {
    context: HttpContext,
    auth: auth::Auth,
    streams: sse::Streams,
    health: api::system::Health,
    meter: meter::Meter,
    keepalive: Duration,
    /// Whether what is served is under TLS.
    secure: bool,
    /// Disconnects when the server ends.
    closing: Receiver<()>,
}

/// Begins to serve on the listeners.
///
/// # Errors
/// The folder or its socket cannot be made, or no thread can be had.
pub fn serve(options: GateOptions, context: HttpContext) -> io::Result<HttpServer> {
    let (closer, closing) = bus::reply_channel();
    let addresses =
        options.listeners.iter().map(TcpListener::local_addr).collect::<io::Result<_>>()?;
    let hosts = context.hosts.clone();
    let shared = Arc::new(Shared {
        auth: auth::Auth::new(context.token.clone()),
        context,
        streams: sse::Streams::default(),
        health: api::system::Health::default(),
        meter: meter::Meter::default(),
        keepalive: options.limits.keepalive,
        secure: options.tls.is_some(),
        closing: closing.clone(),
    });
    let crew = Arc::new(crew::Crew::default());
    let asked = shared.clone();
    let handle = Arc::new(move |request: &server::Incoming| routes::answer(&asked, request));
    let inner = server::Inner::start(options.gate_dir, handle, crew.clone())?;
    let gate =
        Arc::new(gate::Gate::new(options.limits, hosts, options.tls, inner, shared, crew, closing));
    let server = HttpServer { gate: gate.clone(), addresses, closer };
    for listener in options.listeners {
        if let Err(e) = gate::Gate::listen(&gate, listener) {
            server.stop();
            return Err(e);
        }
    }
    Ok(server)
}

impl HttpServer {
    /// Where it listens.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Ends: closes the listeners and every connection, and waits up to 5 s for the threads. False when some are left;
    /// tiny_http's own idle threads end within 5 s more. Who waits for an answer is told that the daemon ends.
    pub fn stop(self) -> bool {
        let deadline = Instant::now() + Duration::from_secs(5);
        let Self { gate, addresses, closer } = self;
        drop(closer);
        gate.refuse();
        for address in addresses {
            // Wakes accept; a listener that does not answer is busy accepting and sees the end by itself.
            let soon = Instant::now() + Duration::from_secs(1);
            let _ = sys::net::connect(&reachable(address).to_string(), soon);
        }
        if gate.wait(Instant::now() + Duration::from_millis(500)) {
            return true;
        }
        gate.cut();
        gate.wait(deadline)
    }
}

/// An address by which this machine reaches a listener of its own.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}
