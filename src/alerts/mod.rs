//! Delivers what the registry's alerts say. Every channel has a thread and a bounded queue of its own, so that a
//! receiver which is slow or away delays nobody else.
mod channel;
mod command;
mod format;
mod trial;
mod webhook;

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};

use crate::bus::{self, AlertCommand, Event, Reply};
use crate::config::ChannelConfig;
use crate::sys::thread;
use channel::Channel;
use trial::Trials;

/// How often and how long a message is tried.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// The wait after the first failure; it doubles …
    pub first: Duration,
    /// … up to this.
    pub longest: Duration,
    /// Messages of this age are given up.
    pub age: Duration,
    /// Tries of a message.
    pub tries: u32,
    /// Tries of one that the receiver turns down, which it will hardly take later.
    pub refusals: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(1),
            longest: Duration::from_secs(300),
            age: Duration::from_secs(24 * 3600),
            tries: 300,
            refusals: 8,
        }
    }
}

/// Starts the `alerts` thread, which sorts, and one for each channel. It ends when `commands` does; the channels' threads
/// follow when their present try is over, and nobody waits for them.
///
/// # Errors
/// No further thread can be had.
pub fn start(
    channels: Vec<ChannelConfig>,
    commands: Receiver<AlertCommand>,
    events: &Sender<Event>,
    pace: Pace,
) -> io::Result<JoinHandle<()>> {
    let (closer, closing) = bus::reply_channel();
    let mut all = Vec::new();
    for (n, config) in channels.into_iter().enumerate() {
        let (channel, queue) = Channel::new(config);
        let channel = Arc::new(channel);
        let (own, events, closing) = (channel.clone(), events.clone(), closing.clone());
        thread::spawn(&format!("alert-{n}"), move || own.run(&queue, &events, &closing, pace))?;
        all.push(channel);
    }
    let desk = Desk { channels: all, trials: Arc::default(), _closer: closer };
    thread::spawn("alerts", move || desk.run(&commands))
}

struct Desk {
    channels: Vec<Arc<Channel>>,
    trials: Arc<Trials>,
    /// Dropped, it ends the channels' threads.
    _closer: Sender<()>,
}

impl Desk {
    fn run(self, commands: &Receiver<AlertCommand>) {
        for command in commands {
            match command {
                AlertCommand::Notice(notice) => {
                    let notice = Arc::new(*notice);
                    self.channels.iter().for_each(|channel| channel.offer(&notice));
                }
                AlertCommand::Overview { mut overview, reply } => {
                    overview.channels = self.channels.iter().map(|c| c.view()).collect();
                    let _ = reply.try_send(Ok(Reply::Alerts(overview)));
                }
                AlertCommand::Test { channel, notice, reply } => {
                    trial::start(&self.trials, &self.channels, channel.as_deref(), &notice, reply);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tls_tests;

#[cfg(test)]
pub mod testing {
    //! For the tests of TLS.
    pub use super::tests::{hook, notice};
    use crate::config::Webhook;
    use crate::model::alert::Notice;

    pub fn send(hook: &Webhook, notice: &Notice) -> Result<(), String> {
        super::webhook::deliver(hook, notice).map_err(|failure| failure.text)
    }
}
