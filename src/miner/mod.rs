//! Miners as child processes: started, watched, read and ended (docs/miners.md).
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::config::MinerProgram;
use crate::logs::Logs;

mod adapter;
mod leftovers;
mod output;
#[doc(hidden)]
pub mod parsers;
mod poll;
mod programs;
pub mod simulated;
mod spawner;
mod start;
mod survey;

pub use spawner::run;

/// What the spawner has to know of this node.
#[derive(Debug)]
pub struct MinerSetup {
    /// By miner type: where its program is, if not on PATH, and what its hash must be.
    pub programs: BTreeMap<String, MinerProgram>,
    /// Holds a private folder for each running miner; made where it is missing.
    pub folder: PathBuf,
    /// `miners.json`: which processes we have, for the daemon that comes after a crash.
    pub leftovers: PathBuf,
    /// What `{rig}` in a wallet or password becomes.
    pub node_name: String,
    pub logs: Arc<Logs>,
    /// This program, absolute: it is the simulated miner too.
    pub own_program: PathBuf,
}
