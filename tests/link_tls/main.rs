//! The tests of links once more, under TLS: nothing is lost by it, and nothing rests on it.
#![allow(clippy::unwrap_used)]
#[path = "../link/attacks.rs"]
mod attacks;
#[path = "../link/common.rs"]
mod common;
mod doors;
#[path = "../link/frames.rs"]
mod frames;
#[path = "../link/greeting.rs"]
mod greeting;
#[path = "../link/limits.rs"]
mod limits;
#[path = "../link/logs.rs"]
mod logs;
#[path = "../tls_support/mod.rs"]
mod tls_support;
#[path = "../link/traffic.rs"]
mod traffic;

/// Whether the port is under TLS.
const TLS: bool = true;
