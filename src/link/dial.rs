//! The p2p-dial thread: every attempt gets a thread of its own and ends as a link or as `NotDialled`.
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

use crossbeam_channel::Receiver;

use super::{Shared, greet, session, thread_name};
use crate::bus::{DialOutcome, DialRequest, LinkEvent};
use crate::model::trust::WSS;
use crate::model::{address, text};
use crate::sys::{net, thread};
use crate::tls::{Client, Stream};

/// Attempts at once.
const ATTEMPTS: usize = 256;

/// Dials whatever comes through `requests`, until that channel is closed.
///
/// # Errors
/// The thread could not be had.
pub fn dialler(requests: Receiver<DialRequest>, shared: Arc<Shared>) -> io::Result<JoinHandle<()>> {
    thread::spawn("p2p-dial", move || {
        let running = Arc::new(AtomicUsize::new(0));
        for request in requests {
            start(request, &running, &shared);
        }
    })
}

fn start(request: DialRequest, running: &Arc<AtomicUsize>, shared: &Arc<Shared>) {
    let dial = request.dial;
    let attempt = Attempt::new(running);
    let result = if running.load(Ordering::Relaxed) > ATTEMPTS {
        Err("too many attempts to connect at once".to_owned())
    } else {
        let link = shared.next_link();
        let own = shared.clone();
        let thread = move || carry_out(&request, link, attempt, &own);
        shared
            .crew
            .spawn(&thread_name("gr", link), thread)
            .map_err(|e| format!("no thread for another attempt: {e}"))
    };
    if let Err(reason) = result {
        let outcome = DialOutcome::Failed { answered: false, reason };
        shared.tell(LinkEvent::NotDialled { dial, outcome });
    }
}

/// Counts itself out when the attempt is over.
struct Attempt(Arc<AtomicUsize>);

impl Attempt {
    fn new(running: &Arc<AtomicUsize>) -> Self {
        running.fetch_add(1, Ordering::Relaxed);
        Self(running.clone())
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn carry_out(
    request: &DialRequest,
    link: crate::bus::LinkId,
    attempt: Attempt,
    shared: &Arc<Shared>,
) {
    let attempted = AssertUnwindSafe(|| attempt_one(request, link, attempt, shared));
    let outcome = catch_unwind(attempted).unwrap_or_else(|_| {
        Err(DialOutcome::Failed { answered: false, reason: "an error of this program".to_owned() })
    });
    if let Err(outcome) = outcome {
        shared.tell(LinkEvent::NotDialled { dial: request.dial, outcome });
    }
}

/// TCP, with TLS over it when the address asks for that.
fn connect(request: &DialRequest, deadline: Instant) -> Result<Stream, DialOutcome> {
    let failed = |answered, reason| DialOutcome::Failed { answered, reason };
    let tcp = |address| {
        net::connect(address, deadline).map_err(|e| failed(false, text::clean(&e.to_string(), 200)))
    };
    let Some(address) = request.address.strip_prefix(WSS) else {
        return Ok(Stream::Plain(tcp(&request.address)?));
    };
    let client = Client::new(&request.trust).map_err(|reason| failed(false, reason))?;
    let (host, _) = address::split(address).map_err(|reason| failed(false, reason))?;
    client.over(tcp(address)?, host).map_err(|reason| failed(true, reason))
}

/// Returns when the link has begun.
fn attempt_one(
    request: &DialRequest,
    link: crate::bus::LinkId,
    attempt: Attempt,
    shared: &Arc<Shared>,
) -> Result<(), DialOutcome> {
    let deadline = Instant::now() + shared.times.greeting;
    let socket = Arc::new(connect(request, deadline)?);
    let greeted = greet::call(socket.clone(), request, deadline, shared)?;
    drop(attempt);
    session::begin(&socket, greeted, link, Some(request.dial), shared)
        .map_err(|reason| DialOutcome::Failed { answered: true, reason })
}
