//! The promises, against the real binary over real sockets. One program for all of them: it links once.
//!
//! Every node is a daemon process of its own in a folder of its own; it is ended by its process id when its
//! [`node::Node`] is dropped.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]
mod alerts;
mod audit;
mod demo;
mod events;
mod history;
mod history_disk;
mod honest;
mod hostile;
mod live;
mod logs;
mod many;
mod miners;
mod node;
mod packaging;
mod pairing;
mod policy;
mod rest;
mod service;
mod tls;
#[path = "../tls_support/mod.rs"]
mod tls_support;
mod transcript;
mod troubles;
