//! Plain data without IO: what a node, a peer, a miner and a profile are.
pub mod crockford;
pub mod fault;
pub mod invite;
pub mod key;
pub mod miner;
pub mod name;
pub mod node;
pub mod peer;
pub mod profile;
pub mod score;
pub mod stats;
pub mod text;
pub mod time;
