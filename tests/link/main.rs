//! Links over real loopback sockets: what they carry, and every threat of docs/protocol.md. tests/link_tls has the same
//! tests under TLS.
#![allow(clippy::unwrap_used)]
mod attacks;
mod common;
mod frames;
mod greeting;
mod limits;
mod logs;
#[path = "../tls_support/mod.rs"]
mod tls_support;
mod traffic;

/// Whether the port is under TLS.
const TLS: bool = false;
