//! miner-cli: the daemon on every rig and the command line that talks to it.
//!
//! ARCHITECTURE.md says how the parts fit; this list is the table of contents.
pub mod alerts;
pub mod bus;
pub mod cli;
pub mod config;
pub mod daemon;
pub mod http;
pub mod httpc;
pub mod identity;
pub mod link;
pub mod logs;
pub mod miner;
pub mod model;
pub mod noise;
pub mod registry;
pub mod smsg;
pub mod store;
pub mod sys;
pub mod tls;
