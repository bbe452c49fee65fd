//! mining.db: what every miner did. One thread, `history`, owns it and is the only one that writes.
//!
//! It may be thrown away: a damaged file is put away and a new one begun, a full disk costs readings, and miners mine on
//! whatever happens here. `keeper` decides, `write`, `roll` and `prune` are the one transaction of a round.
mod file;
pub mod fold;
mod keeper;
mod open;
mod prune;
mod read;
mod roll;
mod schema;
mod write;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use crate::bus::{Event, HistoryCommand};
use crate::model::key::NodeId;
use crate::model::time::Now;

pub use keeper::Keeper;

#[derive(Clone, Debug)]
pub struct Options {
    pub path: PathBuf,
    /// This node: its own rows are read for controllers.
    pub me: NodeId,
    /// How long minutes are kept.
    pub retention_days: u32,
}

/// The `history` thread: until all senders of commands are gone; what waits then is written. A panic costs what waited,
/// not the thread.
pub fn run(
    options: &Options,
    commands: &Receiver<Vec<HistoryCommand>>,
    events: &Sender<Event>,
    clock: impl Fn() -> Now,
) {
    let mut keeper = Keeper::new(options.clone());
    let guarded = |keeper: &mut Keeper, act: Act<'_>| {
        let step = || match act {
            Act::Tick(wait) => {
                let now = clock();
                keeper.tick(now);
                *wait = keeper.deadline().since(now.mono);
            }
            Act::Take(command) => keeper.take(command, clock()),
            Act::End => keeper.end(clock()),
        };
        if catch_unwind(AssertUnwindSafe(step)).is_err() {
            crate::error!("the history thread broke down: it begins anew in a minute");
            keeper.broke_down(clock());
        }
        for event in keeper.events.drain(..) {
            // Nobody listens any more when the daemon ends.
            drop(events.send(Event::History(event)));
        }
    };
    loop {
        let mut wait = Duration::ZERO;
        guarded(&mut keeper, Act::Tick(&mut wait));
        match commands.recv_timeout(wait) {
            Ok(commands) => {
                commands.into_iter().for_each(|one| guarded(&mut keeper, Act::Take(one)));
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return guarded(&mut keeper, Act::End),
        }
    }
}

/// Bytes of the database and its log; 0 when there is none.
#[must_use]
pub fn file_bytes(path: &Path) -> u64 {
    open::length(path) + open::length(&open::beside(path, "-wal"))
}

enum Act<'a> {
    /// Says how long to wait for a command.
    Tick(&'a mut Duration),
    Take(HistoryCommand),
    End,
}

#[cfg(test)]
pub mod tests;
