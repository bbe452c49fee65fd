//! The gate: the only part of the HTTP server that touches the network. One request a connection, one deadline for it;
//! whoever dawdles makes room for whoever comes. tiny_http alone can be stopped by a single request, and grows without
//! bound with its clients; so it gets a checked copy of each request, over a socket of ours.
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;

use super::answer::Answer;
use super::crew::Crew;
use super::hosts::Host;
use super::line::{Line, Seat};
use super::meter::Target;
use super::parse::{self, Head};
use super::places::Places;
use super::routes::{self, Lane};
use super::server::{self, Inner};
use super::{Limits, Shared};
use crate::model::fault::{Code, Fault};
use crate::sys::net::DeadlineStream;
use crate::tls::{self, Server, Stream};

type Wire = DeadlineStream<Arc<Stream>>;

/// Bytes of a client that are thrown away after its request, so that closing does not cost it the answer.
const REST: usize = 1024 * 1024;
/// Room for most answers, in bytes. With none to begin with, an answer is read in pieces from 32 bytes upwards.
const ANSWER: usize = 4096;

#[derive(Debug)]
pub struct Gate {
    limits: Limits,
    hosts: Vec<String>,
    tls: Option<Arc<Server>>,
    inner: Inner,
    shared: Arc<Shared>,
    crew: Arc<Crew>,
    closing: Receiver<()>,
    waiting: Arc<Line>,
    leaving: Arc<Line>,
    streaming: Arc<Line>,
    quick: Places,
    calls: Places,
    streams: Places,
}

/// A request that passed every check of the gate.
struct Checked {
    head: Head,
    body: Vec<u8>,
    from: IpAddr,
}

impl Gate {
    pub fn new(
        limits: Limits,
        hosts: Vec<String>,
        tls: Option<Arc<Server>>,
        inner: Inner,
        shared: Arc<Shared>,
        crew: Arc<Crew>,
        closing: Receiver<()>,
    ) -> Self {
        Self {
            waiting: Line::new(limits.waiting),
            leaving: Line::new(limits.leaving),
            streaming: Line::new(limits.streams),
            quick: Places::new(limits.quick, limits.queue),
            calls: Places::new(limits.calls, limits.queue),
            streams: Places::new(limits.streams, 0),
            limits,
            hosts,
            tls,
            inner,
            shared,
            crew,
            closing,
        }
    }

    /// # Errors
    /// No thread can be had.
    pub fn listen(gate: &Arc<Self>, listener: TcpListener) -> io::Result<()> {
        let theirs = gate.clone();
        gate.crew.spawn("http-accept", move || accept(&theirs, &listener))
    }

    /// Takes no further request.
    pub fn refuse(&self) {
        self.waiting.close();
        self.inner.close();
    }

    /// Cuts every connection that is left; the threads end by themselves then.
    pub fn cut(&self) {
        self.leaving.close();
        self.streaming.close();
    }

    pub fn wait(&self, deadline: Instant) -> bool {
        self.crew.wait(deadline)
    }

    fn is_closing(&self) -> bool {
        self.closing.try_recv() == Err(crossbeam_channel::TryRecvError::Disconnected)
    }

    /// Waits a moment for descriptors, memory or threads to come back, having cut some of those who only wait.
    fn breathe(&self) {
        self.waiting.make_room();
        let _ = self.closing.recv_timeout(Duration::from_millis(100));
    }

    /// One connection, from its first byte to its end.
    fn serve(&self, stream: &Arc<Stream>, from: IpAddr, seat: Seat) {
        let Ok(local) = stream.tcp().local_addr() else { return };
        let deadline = Instant::now() + self.limits.reading;
        if let Err(reason) = stream.open(deadline) {
            crate::seldom!(Info, "{from} did not get through to the API: {reason}");
            return;
        }
        let mut wire = Wire::new(stream.clone(), deadline);
        let request = self.read(&mut wire, local.ip(), from);
        drop(seat);
        let begun = Instant::now();
        let (target, answer) = match request {
            Ok(None) => {
                if Instant::now() >= deadline {
                    let what = "it sent no whole request in time";
                    crate::seldom!(Info, "{from} did not get through to the API: {what}");
                }
                return;
            }
            Ok(Some(request)) => {
                let (lane, target) = routes::lane(&request.head);
                let answer = match lane {
                    Lane::Quick => self.ask(&self.quick, &request),
                    Lane::Call => self.ask(&self.calls, &request),
                    Lane::Stream => match self.stream(stream, &request) {
                        Ok(()) => return self.shared.meter.note(target, 200, None),
                        Err(fault) => Err(fault),
                    },
                };
                (target, answer)
            }
            Err(fault) => (Target::Refused, Err(fault)),
        };
        let bytes = answer.unwrap_or_else(|fault| {
            crate::seldom!(Info, "refused an API request from {from}: {fault}");
            Answer::fault(&fault).into_bytes()
        });
        self.shared.meter.note(target, status(&bytes), Some(begun.elapsed()));
        self.finish(stream, wire, &bytes);
    }

    /// The request, or `None` when the client went or took too long.
    fn read(&self, wire: &mut Wire, local: IpAddr, from: IpAddr) -> Result<Option<Checked>, Fault> {
        let admit = |head: &Head| admit(head, local, &self.hosts);
        Ok(receive(wire, admit)?.map(|(head, body)| Checked { head, body, from }))
    }

    /// The whole answer of the inner server. Its place is free again before the client begins to read.
    fn ask(&self, places: &Places, request: &Checked) -> Result<Vec<u8>, Fault> {
        let Some(_place) = places.take(self.limits.queueing, &self.closing) else {
            return Err(Fault::new(Code::Unavailable, "the daemon is busy; try again in a moment"));
        };
        let mut inner = self.pass_on(request, None)?;
        let mut answer = Vec::with_capacity(ANSWER);
        // A read that fails leaves a head that is not whole, or none: judged below.
        let _ = Read::by_ref(&mut inner).take(self.limits.answer + 1).read_to_end(&mut answer);
        if answer.len() as u64 > self.limits.answer {
            return Err(Fault::new(
                Code::Internal,
                "the answer is larger than this server gives; ask for less",
            ));
        }
        closing_head(answer).ok_or_else(lost)
    }

    /// Sends the canonical request to the inner server.
    fn pass_on(&self, request: &Checked, stream: Option<u64>) -> Result<UnixStream, Fault> {
        let failed = |e: io::Error| {
            crate::seldom!(Warn, "the inner HTTP server does not take requests: {e}");
            lost()
        };
        let mut inner = self.inner.connect().map_err(failed)?;
        inner.set_read_timeout(Some(self.limits.answering)).map_err(failed)?;
        inner.set_write_timeout(Some(self.limits.answering)).map_err(failed)?;
        inner.write_all(&request.canonical(stream)).map_err(failed)?;
        Ok(inner)
    }

    /// Writes the answer and ends the connection so that the client surely gets it: closing a socket with unread
    /// bytes would reset it and could take the answer with it.
    fn finish(&self, stream: &Arc<Stream>, mut wire: Wire, answer: &[u8]) {
        let _seat = self.leaving.join(stream);
        wire.set_deadline(Instant::now() + self.limits.writing);
        if wire.write_all(answer).is_ok() {
            stream.end_writing();
            wire.set_deadline(Instant::now() + self.limits.linger);
            drain(&mut wire);
        }
    }

    fn stream(&self, client: &Arc<Stream>, request: &Checked) -> Result<(), Fault> {
        let _place = self.streams.take(Duration::ZERO, &self.closing).ok_or_else(|| {
            Fault::new(Code::Unavailable, "all places for event streams are taken")
        })?;
        let signal = self.shared.streams.open();
        let mut inner = self.pass_on(request, Some(signal.number()))?;
        let _seat = self.streaming.join(client);
        // Watches for the client's end: a silent stream would not notice it.
        let (eyes, gone) = (client.clone(), signal.clone());
        let watching = self.crew.small("http-watch", move || {
            let deadline = Instant::now() + Duration::from_secs(365 * 24 * 3600);
            drain(&mut Wire::new(eyes, deadline));
            gone.end();
        });
        if watching.is_err() {
            return Err(Fault::new(Code::Unavailable, "no thread for the stream can be had"));
        }
        let mut wire = Wire::new(client.clone(), Instant::now());
        if let Err(e) = self.copy(&mut inner, &mut wire) {
            crate::debug!("an event stream ended: {e}");
        }
        signal.end();
        // The place is free when the handler has ended, not before.
        let _ = inner.set_read_timeout(Some(self.limits.linger));
        drain(&mut inner);
        client.end_writing();
        client.cut();
        Ok(())
    }

    fn copy(&self, inner: &mut UnixStream, wire: &mut Wire) -> io::Result<()> {
        let mut head = Vec::new();
        while !head.windows(4).any(|w| w == b"\r\n\r\n") {
            if !more(inner, &mut head) {
                break;
            }
        }
        let mut bytes = closing_head(head).ok_or(io::ErrorKind::UnexpectedEof)?;
        loop {
            wire.set_deadline(Instant::now() + self.limits.stream_writing);
            wire.write_all(&bytes)?;
            bytes.clear();
            if !more(inner, &mut bytes) {
                return Ok(());
            }
        }
    }
}

impl Checked {
    /// The request as the inner server reads it: what was checked, and nothing else that the client sent.
    fn canonical(&self, stream: Option<u64>) -> Vec<u8> {
        let Head { verb, target, host, origin, authorization, accept, .. } = &self.head;
        let Head { cookie, content_type, last_event, .. } = &self.head;
        let mut out = format!("{} {target} HTTP/1.1\r\n", verb.text());
        let mut line = |name: &str, value: &str| {
            out.push_str(&format!("{name}: {value}\r\n"));
        };
        line("Host", host);
        line("Connection", "close");
        line(server::FROM, &self.from.to_string());
        if let Some(number) = stream {
            line(server::STREAM, &number.to_string());
        }
        for (name, value) in [
            ("Origin", origin),
            ("Authorization", authorization),
            ("Cookie", cookie),
            ("Content-Type", content_type),
            ("Accept", accept),
            ("Last-Event-ID", last_event),
        ] {
            if let Some(value) = value {
                line(name, value);
            }
        }
        line("Content-Length", &self.body.len().to_string());
        out.push_str("\r\n");
        let mut out = out.into_bytes();
        out.extend_from_slice(&self.body);
        out
    }
}

/// Head and body of a request whose head is admitted; `None` when the client goes before it is whole.
fn receive(
    wire: &mut (impl Read + Write),
    admit: impl FnOnce(&Head) -> Result<(), Fault>,
) -> Result<Option<(Head, Vec<u8>)>, Fault> {
    let mut bytes = Vec::new();
    let end = loop {
        let seen = bytes.len();
        if !more(wire, &mut bytes) {
            return Ok(None);
        }
        if let Some(end) = parse::head_end(&bytes, seen)? {
            break end;
        }
    };
    let head = parse::head(&bytes[..end])?;
    admit(&head)?;
    let mut body = bytes.split_off(end);
    if head.expects_continue && body.len() < head.length {
        let _ = wire.write_all(b"HTTP/1.1 100 Continue\r\n\r\n");
    }
    while body.len() < head.length {
        if !more(wire, &mut body) {
            return Ok(None);
        }
    }
    body.truncate(head.length);
    Ok(Some((head, body)))
}

fn admit(head: &Head, local: IpAddr, hosts: &[String]) -> Result<(), Fault> {
    let host = Host::parse(&head.host).filter(|host| host.is_ours(local, hosts));
    let Some(host) = host else {
        let why = "the Host header names no address of this node";
        return Err(Fault::new(Code::Forbidden, why)
            .hint("add the name to `api.hosts` in config.toml if it is one of this node's"));
    };
    if head.verb.writes() && head.origin.as_ref().is_some_and(|origin| !host.serves(origin)) {
        let why = "pages of other sites may change nothing here";
        return Err(Fault::new(Code::Forbidden, why)
            .hint("a proxy must pass the page's own Host header on, with its port"));
    }
    Ok(())
}

/// For fuzz/, which would need a daemon to see it otherwise: what the inner server is given of a request that comes to
/// `local` from `from`.
///
/// # Errors
/// It is refused.
#[doc(hidden)]
pub fn passed_on(
    wire: &mut (impl Read + Write),
    local: IpAddr,
    from: IpAddr,
    hosts: &[String],
) -> Result<Option<Vec<u8>>, Fault> {
    let request = receive(wire, |head| admit(head, local, hosts))?;
    Ok(request.map(|(head, body)| Checked { head, body, from }.canonical(None)))
}

/// Takes connections until the server closes. Nothing that accept can say ends it.
fn accept(gate: &Arc<Gate>, listener: &TcpListener) {
    while !gate.is_closing() {
        let (stream, from) = match listener.accept() {
            Ok(accepted) => accepted,
            // The client was gone before it was accepted, or a signal came.
            Err(e)
                if matches!(
                    e.kind(),
                    io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted
                ) =>
            {
                continue;
            }
            Err(e) => {
                crate::seldom!(Warn, "the API cannot take connections at the moment: {e}");
                gate.breathe();
                continue;
            }
        };
        if let Err(e) = begin(gate, stream, from) {
            crate::seldom!(Warn, "no thread for an HTTP connection: {e}");
            gate.breathe();
        }
    }
}

fn begin(gate: &Arc<Gate>, stream: TcpStream, from: SocketAddr) -> io::Result<()> {
    let _ = stream.set_nodelay(true);
    let stream = Arc::new(tls::accepted(stream, gate.tls.as_ref())?);
    let seat = gate.waiting.join(&stream);
    let theirs = gate.clone();
    gate.crew.small("http-conn", move || theirs.serve(&stream, from.ip(), seat))
}

/// Reads what there is; false at the end, a failure or the deadline.
fn more(from: &mut impl Read, into: &mut Vec<u8>) -> bool {
    let mut chunk = [0; 4096];
    match from.read(&mut chunk) {
        Ok(n) => {
            into.extend_from_slice(&chunk[..n]);
            n > 0
        }
        Err(_) => false,
    }
}

/// Throws away what comes, up to its end or [`REST`].
fn drain(from: &mut impl Read) {
    let _ = io::copy(&mut from.take(REST as u64), &mut io::sink());
}

/// Of a whole answer; 0 where it cannot be read.
fn status(answer: &[u8]) -> u16 {
    let digits = answer.get(9..12).and_then(|d| std::str::from_utf8(d).ok());
    digits.and_then(|d| d.parse().ok()).unwrap_or(0)
}

/// The answer with `Connection: close`, which tiny_http does not let its users say; `None` when it is not whole.
fn closing_head(mut answer: Vec<u8>) -> Option<Vec<u8>> {
    let head = answer.windows(4).position(|w| w == b"\r\n\r\n")?;
    let line = answer[..head + 2].windows(2).position(|w| w == b"\r\n")? + 2;
    if !answer.starts_with(b"HTTP/1.1 ") {
        return None;
    }
    answer.splice(line..line, *b"Connection: close\r\n");
    Some(answer)
}

fn lost() -> Fault {
    Fault::new(Code::Unavailable, "the daemon did not answer; try again in a moment")
}
