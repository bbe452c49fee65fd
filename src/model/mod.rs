//! Plain data without IO: what a node, a peer, a miner and a profile are.
pub mod address;
pub mod arguments;
pub mod crockford;
pub mod event;
pub mod fault;
pub mod invite;
pub mod key;
pub mod miner;
pub mod name;
pub mod node;
pub mod peer;
pub mod profile;
pub mod profile_rules;
pub mod score;
pub mod stats;
pub mod text;
pub mod time;
