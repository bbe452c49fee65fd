//! Between the registry and the threads that start, watch and reap miners.
use super::Reply;
use crate::model::fault::Fault;
use crate::model::profile::Profile;
use crate::model::stats::MinerSample;
use crossbeam_channel::Sender;
use std::time::Duration;

/// From the threads that start, watch and reap miners. `run` tells one process of a miner from the next.
#[derive(Debug)]
pub enum MinerEvent {
    Started {
        name: String,
        run: u64,
        pid: u32,
    },
    /// There is no process. `permanent`: a restart cannot mend it.
    NotStarted {
        name: String,
        run: u64,
        reason: String,
        permanent: bool,
    },
    Sample {
        name: String,
        run: u64,
        sample: Box<MinerSample>,
    },
    /// The API gave no answer that could be read.
    NoSample {
        name: String,
        run: u64,
        reason: String,
    },
    /// A line of output said something that the API does not.
    Noted {
        name: String,
        run: u64,
        note: Note,
    },
    /// The last lines that a process printed which nobody asked to end; right before its `Exited`.
    LastLines {
        name: String,
        run: u64,
        lines: Vec<String>,
    },
    /// The process and its group are gone and reaped. `reason` is a sentence; `permanent` as above.
    Exited {
        name: String,
        run: u64,
        code: Option<i32>,
        signal: Option<i32>,
        reason: String,
        permanent: bool,
    },
}

/// What an adapter reads out of a line of output.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Note {
    /// The API port was in use: the miner hashes without an API and will not try again.
    ApiPortTaken,
    /// A share was accepted just now.
    ShareAccepted,
    /// The pool said no, as it said it: a login refused, an address unknown. Shown as the reason.
    PoolTrouble(String),
    /// The pool works again.
    PoolFine,
}

/// To the spawner thread, the only one that forks, signals and reaps.
#[derive(Debug)]
pub enum SpawnCommand {
    Start {
        name: String,
        run: u64,
        profile: Box<Profile>,
    },
    /// SIGTERM to the group, SIGKILL after `grace`. `for_good`: it is not to start again, its log's followers may go.
    Stop {
        name: String,
        run: u64,
        grace: Duration,
        for_good: bool,
    },
    /// Stop everything; `done` hears when nothing is left.
    StopAll {
        grace: Duration,
        done: Sender<()>,
    },
    /// SIGCHLD came.
    Reap,
    /// Which miner programs are installed.
    Survey {
        reply: Sender<Result<Reply, Fault>>,
    },
}
