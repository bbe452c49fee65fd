//! One place that messages go to: its queue, its tries, and how it stands.
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError};

use super::{Pace, command, webhook};
use crate::bus::{self, Event};
use crate::config::{ChannelConfig, Target};
use crate::model::alert::{ChannelView, Notice};
use crate::model::time::Timestamp;
use crate::sys::clock;

/// Messages that wait for their turn.
const QUEUE: usize = 64;
/// For the registry to hear of a delivery.
const HEARD: Duration = Duration::from_secs(5);

pub struct Channel {
    pub config: ChannelConfig,
    queue: Sender<Item>,
    state: Mutex<State>,
    /// In the queue, or being tried.
    waiting: AtomicUsize,
    dropped: AtomicU64,
}

#[derive(Default)]
struct State {
    last_delivery: Option<Timestamp>,
    last_error: Option<String>,
}

pub struct Item {
    notice: Arc<Notice>,
    since: Instant,
}

/// Why a message did not arrive. The text holds no secret.
pub struct Failure {
    pub text: String,
    /// The receiver turned it down.
    pub refused: bool,
    /// It wants to be left alone for so long.
    pub wait: Option<Duration>,
}

impl From<String> for Failure {
    fn from(text: String) -> Self {
        Self { text, refused: false, wait: None }
    }
}

impl Channel {
    pub fn new(config: ChannelConfig) -> (Self, Receiver<Item>) {
        let (queue, items) = bus::wire_channel(QUEUE);
        let (state, waiting, dropped) = Default::default();
        (Self { config, queue, state, waiting, dropped }, items)
    }

    /// Puts a message into the queue; without room it is dropped and counted.
    pub fn offer(&self, notice: &Arc<Notice>) {
        if notice.severity < self.config.severity {
            return;
        }
        let item = Item { notice: notice.clone(), since: Instant::now() };
        self.waiting.fetch_add(1, Ordering::Relaxed);
        if self.queue.try_send(item).is_err() {
            self.drop_one(&format!("{QUEUE} messages wait already"));
        }
    }

    fn drop_one(&self, why: &str) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        self.dropped.fetch_add(1, Ordering::Relaxed);
        crate::seldom!(Error, "an alert for {} is given up: {why}", self.config.name);
    }

    pub fn view(&self) -> ChannelView {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (kind, format, target) = match &self.config.target {
            Target::Webhook(hook) => ("webhook", Some(hook.format.text()), hook.shown()),
            Target::Command { path, .. } => ("command", None, path.display().to_string()),
        };
        ChannelView {
            name: self.config.name.clone(),
            kind: kind.to_owned(),
            format: format.map(str::to_owned),
            target,
            last_delivery: state.last_delivery,
            last_error: state.last_error.clone(),
            waiting: self.waiting.load(Ordering::Relaxed),
            dropped: self.dropped.load(Ordering::Relaxed),
        }
    }

    /// The channel's thread, until `closing` ends.
    pub fn run(
        &self,
        queue: &Receiver<Item>,
        events: &Sender<Event>,
        closing: &Receiver<()>,
        pace: Pace,
    ) {
        while closing.try_recv() == Err(TryRecvError::Empty) {
            // The queue's other end is ours: what wakes this thread at the end is `closing`.
            let item = crossbeam_channel::select! {
                recv(queue) -> item => item,
                recv(closing) -> _ => return,
            };
            let Ok(item) = item else { return };
            match self.tries(&item, closing, pace) {
                Some(true) => {
                    self.waiting.fetch_sub(1, Ordering::Relaxed);
                    let event = Event::AlertDelivered { notice: item.notice.number };
                    drop(events.send_timeout(event, HEARD));
                }
                Some(false) => {}
                None => return,
            }
        }
    }

    /// True when it arrived, false when it was given up; `None`: the daemon ends.
    fn tries(&self, item: &Item, closing: &Receiver<()>, pace: Pace) -> Option<bool> {
        let (mut wait, mut refusals) = (pace.first, 0);
        for n in 1..=pace.tries {
            let failure = match self.deliver(&item.notice) {
                Ok(()) => {
                    if n > 1 {
                        crate::info!("{} has taken an alert at try {n}", self.config.name);
                    }
                    return Some(true);
                }
                Err(failure) => failure,
            };
            refusals += u32::from(failure.refused);
            let pause = failure.wait.unwrap_or(wait).clamp(wait, pace.longest.max(wait));
            let late = item.since.elapsed() + pause >= pace.age;
            if late || n == pace.tries || refusals >= pace.refusals {
                self.drop_one(&format!("tried {n} times; the last time: {}", failure.text));
                return Some(false);
            }
            if n == 1 {
                crate::warning!("{} did not take an alert: {}", self.config.name, failure.text);
            }
            if closing.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
                return None;
            }
            wait = (wait * 2).min(pace.longest);
        }
        Some(false)
    }

    /// One try; what came of it shows in the overview.
    pub fn deliver(&self, notice: &Notice) -> Result<(), Failure> {
        let result = match &self.config.target {
            Target::Webhook(hook) => webhook::deliver(hook, notice),
            Target::Command { path, arguments } => {
                command::deliver(path, arguments, notice).map_err(Failure::from)
            }
        };
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match &result {
            Ok(()) => {
                state.last_delivery = Some(clock::wall());
                state.last_error = None;
            }
            Err(failure) => state.last_error = Some(failure.text.clone()),
        }
        result
    }
}
