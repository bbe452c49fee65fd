//! `POST /alerts/test`: one try on each channel, at once and past what waits in its queue.
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;

use super::channel::Channel;
use crate::bus::{self, Reply};
use crate::model::alert::{Notice, TestResult};
use crate::model::fault::{Code, Fault};
use crate::sys::thread;

/// A little longer than the slowest channel, a command, may take.
const PATIENCE: Duration = Duration::from_secs(32);

/// One test at a time: whoever asks for many makes no crowd of threads.
#[derive(Default)]
pub struct Trials(AtomicBool);

type To = Sender<Result<Reply, Fault>>;

pub fn start(
    trials: &Arc<Trials>,
    channels: &[Arc<Channel>],
    wanted: Option<&str>,
    notice: &Notice,
    reply: To,
) {
    let chosen: Vec<Arc<Channel>> = channels
        .iter()
        .filter(|c| wanted.is_none_or(|name| c.config.name == name))
        .cloned()
        .collect();
    if chosen.is_empty() {
        let _ = reply.try_send(Err(none(channels, wanted)));
        return;
    }
    if trials.0.swap(true, Ordering::SeqCst) {
        let fault = Fault::new(Code::Conflict, "a test is under way already; wait for its end");
        let _ = reply.try_send(Err(fault));
        return;
    }
    let (own, notice) = (trials.clone(), notice.clone());
    let refused = reply.clone();
    let begun = thread::spawn("alert-test", move || {
        let results = run(&chosen, &notice);
        own.0.store(false, Ordering::SeqCst);
        let _ = reply.try_send(Ok(Reply::AlertTests(results)));
    });
    if let Err(e) = begun {
        trials.0.store(false, Ordering::SeqCst);
        let fault = Fault::new(Code::Unavailable, format!("no thread can be had: {e}"));
        let _ = refused.try_send(Err(fault));
    }
}

fn none(channels: &[Arc<Channel>], wanted: Option<&str>) -> Fault {
    let known: Vec<&str> = channels.iter().map(|c| c.config.name.as_str()).collect();
    let fault = match wanted {
        Some(name) => {
            let name = crate::model::text::clean(name, 64);
            Fault::new(Code::ChannelNotFound, format!("no channel is called {name:?}"))
        }
        None => Fault::new(Code::ChannelNotFound, "there is no channel for alerts"),
    };
    if known.is_empty() {
        fault.hint("config.toml names none: [[alerts.channels]], docs/alerts.md")
    } else {
        fault.hint(format!("there are: {}", known.join(", ")))
    }
}

fn run(channels: &[Arc<Channel>], notice: &Notice) -> Vec<TestResult> {
    let (done, results) = bus::wire_channel(channels.len());
    for (n, channel) in channels.iter().enumerate() {
        let (channel, notice, done) = (channel.clone(), notice.clone(), done.clone());
        // Without a thread there is no result, which is said below.
        drop(thread::spawn("alert-try", move || {
            let error = channel.deliver(&notice).err().map(|failure| failure.text);
            let _ = done.try_send((n, error));
        }));
    }
    drop(done);
    let mut found: Vec<TestResult> = channels
        .iter()
        .map(|channel| TestResult {
            channel: channel.config.name.clone(),
            delivered: false,
            error: Some("no result in time".to_owned()),
        })
        .collect();
    let deadline = Instant::now() + PATIENCE;
    while let Ok((n, error)) = results.recv_deadline(deadline) {
        let place: &mut TestResult = &mut found[n];
        (place.delivered, place.error) = (error.is_none(), error);
    }
    found
}
