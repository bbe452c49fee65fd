//! The promises, against the real binary over real sockets. One program for all of them: it links once.
//!
//! Every node is a daemon process of its own in a folder of its own; it is ended by its process id when its
//! [`node::Node`] is dropped.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]
mod audit;
mod demo;
mod events;
mod honest;
mod hostile;
mod logs;
mod many;
mod miners;
mod node;
mod pairing;
mod policy;
mod rest;
mod transcript;
mod troubles;
