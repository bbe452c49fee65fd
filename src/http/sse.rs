//! A followed log as server-sent events: one event a line.
use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, select};

use super::answer::Answer;
use super::asked::Asked;
use super::server::Outcome;
use crate::bus::{self, Call, Event, LogPart, Reply, Request};
use crate::model::fault::{Code, Fault};

/// Parts that may wait for a slow client before the registry begins to skip.
const PARTS: usize = 64;

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

/// A followed log on its way to a client; dropped, it stops following.
#[derive(Debug)]
pub struct Run {
    events: Sender<Event>,
    who: &'static str,
    follow: u64,
    parts: Receiver<LogPart>,
    gone: Receiver<()>,
    closing: Receiver<()>,
    keepalive: Duration,
}

/// Begins to follow.
///
/// # Errors
/// The registry's, or its time-out.
pub fn follow(
    asked: &Asked<'_>,
    peer: String,
    miner: String,
    lines: usize,
) -> Result<Outcome, Fault> {
    let shared = asked.shared;
    let gone = asked.stream.and_then(|number| shared.streams.take(number));
    let gone = gone.ok_or_else(|| Fault::new(Code::Internal, "the stream has no place"))?;
    let (sink, parts) = bus::wire_channel(PARTS);
    match asked.call(Request::FollowLogs { peer, miner, lines, sink })? {
        Reply::Follow { follow } => Ok(Outcome::Stream(Run {
            events: shared.context.events.clone(),
            who: asked.who,
            follow,
            parts,
            gone,
            closing: shared.closing.clone(),
            keepalive: shared.keepalive,
        })),
        other => Ok(Outcome::Answer(super::api::answer(other))),
    }
}

impl Run {
    pub fn to(self, mut out: Box<dyn Write + Send>) {
        if let Err(e) = self.pump(&mut *out) {
            crate::debug!("a followed log lost its client: {e}");
        }
    }

    fn pump(&self, out: &mut dyn Write) -> io::Result<()> {
        send(out, &Answer::stream_head())?;
        loop {
            select! {
                recv(self.parts) -> part => {
                    let Ok(part) = part else { return send(out, &end("the log ended")) };
                    send(out, &events(&part))?;
                    if part.ended {
                        return send(out, &end("the miner was stopped"));
                    }
                    if !part.lines.is_empty() {
                        self.tell(Request::FollowCredit { follow: self.follow, lines: part.lines.len() });
                    }
                }
                recv(self.gone) -> _ => return Ok(()),
                recv(self.closing) -> _ => return send(out, &end("the daemon is ending")),
                default(self.keepalive) => send(out, ": still there\n\n")?,
            }
        }
    }

    /// Says something to the registry whose answer does not matter.
    fn tell(&self, request: Request) {
        let (reply, _) = bus::reply_channel();
        let call = Event::Call(Call { request, who: self.who, reply });
        if self.events.send_timeout(call, Duration::from_secs(1)).is_err() {
            crate::debug!("the registry did not take a word about followed log {}", self.follow);
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.tell(Request::Unfollow { follow: self.follow });
    }
}

/// Flushed at once: every layer below holds bytes back otherwise.
fn send(out: &mut dyn Write, text: &str) -> io::Result<()> {
    out.write_all(text.as_bytes())?;
    out.flush()
}

fn events(part: &LogPart) -> String {
    let mut out = String::new();
    if part.skipped > 0 {
        out.push_str(&format!("event: skipped\ndata: {}\n\n", part.skipped));
    }
    for line in &part.lines {
        out.push_str(&format!("data: {}\n\n", quoted(line)));
    }
    out
}

fn end(reason: &str) -> String {
    format!("event: end\ndata: {}\n\n", quoted(reason))
}

/// A JSON string: whatever a miner printed, it stays on its line.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::{LogPart, end, events};

    #[test]
    fn a_line_cannot_break_out_of_its_event() {
        let part = LogPart {
            lines: vec!["plain".into(), "a\n\nevent: end\ndata: \r\"x\"".into()],
            skipped: 3,
            ended: false,
        };
        assert_eq!(
            events(&part),
            "event: skipped\ndata: 3\n\ndata: \"plain\"\n\ndata: \"a\\n\\nevent: end\\ndata: \\r\\\"x\\\"\"\n\n"
        );
        assert_eq!(end("done"), "event: end\ndata: \"done\"\n\n");
    }
}
