//! Followed logs and the events of this node as server-sent events.
use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TryRecvError, select};

use super::answer::Answer;
use super::asked::Asked;
use super::server::Outcome;
use crate::bus::{self, Call, Event, LivePart, LogPart, Reply, Request};
use crate::model::event::{EventPart, EventRecord};
use crate::model::fault::{Code, Fault};
use crate::model::log_end::{LogEnd, LogEndCode};
use crate::sys::clock;

// ---- the client's end -----------------------------------------------------------------------------------------

/// Streams whose client is still there, by number. The gate sees a client go at once; the handler, behind the inner
/// server, would only notice at its next write.
#[derive(Clone, Debug, Default)]
pub struct Streams(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    next: u64,
    /// Not yet taken by their handlers. They disconnect when the client goes.
    gone: HashMap<u64, Receiver<()>>,
}

/// The gate's side of a stream.
#[derive(Debug)]
pub struct Signal {
    streams: Streams,
    number: u64,
    present: Mutex<Option<Sender<()>>>,
}

impl Streams {
    #[must_use]
    pub fn open(&self) -> Arc<Signal> {
        let (present, gone) = bus::reply_channel();
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.next += 1;
        let number = state.next;
        state.gone.insert(number, gone);
        Arc::new(Signal { streams: self.clone(), number, present: Mutex::new(Some(present)) })
    }

    fn take(&self, number: u64) -> Option<Receiver<()>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).gone.remove(&number)
    }
}

impl Signal {
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The client is gone.
    pub fn end(&self) {
        self.present.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl Drop for Signal {
    fn drop(&mut self) {
        self.streams.take(self.number);
    }
}

// ---- the handler's end ----------------------------------------------------------------------------------------

/// What comes in parts: lines of a log, or events.
pub trait Part: Sized {
    /// Parts that may wait for a slow client before the registry begins to skip.
    const ROOM: usize;

    /// The stream over `run`.
    fn stream(run: Run<Self>) -> Stream;
    /// As server-sent events.
    fn text(&self) -> String;
    /// It is the last.
    fn ends(&self) -> bool;
    /// Lines that the sender may send in the place of these.
    fn credit(&self) -> usize;
}

/// A stream on its way to a client; dropped, it stops following.
#[derive(Debug)]
pub enum Stream {
    Log(Run<LogPart>),
    Events(Run<EventPart>),
    Live(Run<LivePart>),
}

#[derive(Debug)]
pub struct Run<P> {
    events: Sender<Event>,
    who: &'static str,
    follow: u64,
    parts: Receiver<P>,
    gone: Receiver<()>,
    /// Disconnects when the session ends that asked for it.
    session: Receiver<()>,
    closing: Receiver<()>,
    keepalive: Duration,
}

/// Begins to follow what `request` asks for.
///
/// # Errors
/// The registry's, or its time-out.
pub fn follow<P: Part>(
    asked: &Asked<'_>,
    request: impl FnOnce(Sender<P>) -> Request,
) -> Result<Outcome, Fault> {
    let shared = asked.shared;
    let gone = asked.stream.and_then(|number| shared.streams.take(number));
    let gone = gone.ok_or_else(|| Fault::new(Code::Internal, "the stream has no place"))?;
    let (sink, parts) = bus::wire_channel(P::ROOM);
    match asked.call(request(sink))? {
        Reply::Follow { follow } => Ok(Outcome::Stream(P::stream(Run {
            events: shared.context.events.clone(),
            who: asked.who,
            follow,
            parts,
            gone,
            session: shared.auth.life(&asked.claim, clock::now()),
            closing: shared.closing.clone(),
            keepalive: shared.keepalive,
        }))),
        other => Ok(Outcome::Answer(super::api::answer(other))),
    }
}

impl Stream {
    pub fn to(self, mut out: Box<dyn Write + Send>) {
        let ended = match &self {
            Self::Log(run) => run.pump(&mut *out),
            Self::Events(run) => run.pump(&mut *out),
            Self::Live(run) => run.pump(&mut *out),
        };
        if let Err(e) = ended {
            crate::debug!("a stream lost its client: {e}");
        }
    }
}

impl<P: Part> Run<P> {
    fn pump(&self, out: &mut dyn Write) -> io::Result<()> {
        send(out, &Answer::stream_head())?;
        loop {
            select! {
                recv(self.parts) -> part => {
                    let Ok(part) = part else { return send(out, &self.cut_off()) };
                    send(out, &part.text())?;
                    if part.ends() {
                        return send(out, &end(LogEndCode::Stopped, "the miner was stopped"));
                    }
                    if part.credit() > 0 {
                        self.tell(Request::FollowCredit { follow: self.follow, lines: part.credit() });
                    }
                }
                recv(self.gone) -> _ => return Ok(()),
                recv(self.session) -> _ => return Ok(()),
                recv(self.closing) -> _ => return send(out, &shutdown()),
                default(self.keepalive) => send(out, ": still there\n\n")?,
            }
        }
    }

    /// The lines end without the log's end. A daemon that ends loses its links, too.
    fn cut_off(&self) -> String {
        match self.closing.try_recv() {
            Err(TryRecvError::Disconnected) => shutdown(),
            _ => end(LogEndCode::LinkLost, "the link to the rig was lost"),
        }
    }
}

impl<P> Run<P> {
    /// Says something to the registry whose answer does not matter.
    fn tell(&self, request: Request) {
        let (reply, _) = bus::reply_channel();
        let call = Event::Call(Call { request, who: self.who, reply });
        if self.events.send_timeout(call, Duration::from_secs(1)).is_err() {
            crate::debug!("the registry did not take a word about stream {}", self.follow);
        }
    }
}

impl<P> Drop for Run<P> {
    fn drop(&mut self) {
        self.tell(Request::Unfollow { follow: self.follow });
    }
}

impl Part for LogPart {
    const ROOM: usize = 64;

    fn stream(run: Run<Self>) -> Stream {
        Stream::Log(run)
    }

    fn text(&self) -> String {
        let lines = self.lines.iter().map(|line| format!("data: {}\n\n", quoted(line)));
        std::iter::once(skipped(self.skipped)).chain(lines).collect()
    }

    fn ends(&self) -> bool {
        self.ended
    }

    fn credit(&self) -> usize {
        self.lines.len()
    }
}

impl Part for EventPart {
    const ROOM: usize = 64;

    fn stream(run: Run<Self>) -> Stream {
        Stream::Events(run)
    }

    fn text(&self) -> String {
        events(&self.events, self.skipped)
    }

    fn ends(&self) -> bool {
        false
    }

    fn credit(&self) -> usize {
        0
    }
}

impl Part for LivePart {
    /// Who reads so slowly is better served with everything as it is by then.
    const ROOM: usize = 4;

    fn stream(run: Run<Self>) -> Stream {
        Stream::Live(run)
    }

    fn text(&self) -> String {
        let name = if self.news.all { "all" } else { "change" };
        let json = self.news.json();
        let rig = self.rig.as_ref().and_then(|rig| serde_json::to_string(&**rig).ok());
        let whole = match (rig, json.strip_suffix('}')) {
            (Some(rig), Some(open)) => format!("event: {name}\ndata: {open},\"rig\":{rig}}}\n\n"),
            _ => format!("event: {name}\ndata: {json}\n\n"),
        };
        whole + &events(&self.events, self.skipped)
    }

    fn ends(&self) -> bool {
        false
    }

    fn credit(&self) -> usize {
        0
    }
}

fn events(events: &[Arc<EventRecord>], lost: u64) -> String {
    // JSON has no line ends outside of its strings, and there they are escaped.
    let events = events.iter().map(|event| {
        let json = serde_json::to_string(&**event).unwrap_or_default();
        format!("id: {}\nevent: event\ndata: {json}\n\n", event.number)
    });
    std::iter::once(skipped(lost)).chain(events).collect()
}

/// Flushed at once: every layer below holds bytes back otherwise.
fn send(out: &mut dyn Write, text: &str) -> io::Result<()> {
    out.write_all(text.as_bytes())?;
    out.flush()
}

fn skipped(count: u64) -> String {
    if count > 0 { format!("event: skipped\ndata: {count}\n\n") } else { String::new() }
}

fn end(code: LogEndCode, reason: &str) -> String {
    let end = serde_json::json!(LogEnd { reason: reason.to_owned(), code });
    format!("event: end\ndata: {end}\n\n")
}

fn shutdown() -> String {
    end(LogEndCode::Shutdown, "the daemon is ending")
}

/// A JSON string: whatever a miner printed, it stays on its line.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::{LogEndCode, LogPart, Part as _, end};

    #[test]
    fn a_line_cannot_break_out_of_its_event() {
        let part = LogPart {
            lines: vec!["plain".into(), "a\n\nevent: end\ndata: \r\"x\"".into()],
            skipped: 3,
            ended: false,
        };
        assert_eq!(
            part.text(),
            "event: skipped\ndata: 3\n\ndata: \"plain\"\n\ndata: \"a\\n\\nevent: end\\ndata: \\r\\\"x\\\"\"\n\n"
        );
        assert_eq!(
            end(LogEndCode::LinkLost, "gone"),
            "event: end\ndata: {\"code\":\"LINK_LOST\",\"reason\":\"gone\"}\n\n"
        );
    }
}
