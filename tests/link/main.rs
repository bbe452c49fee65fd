//! Links over real loopback sockets: what they carry, and every threat of docs/protocol.md.
#![allow(clippy::unwrap_used)]
mod attacks;
mod common;
mod frames;
mod greeting;
mod limits;
mod logs;
mod traffic;
