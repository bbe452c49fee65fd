//! The operating system: threads, clock, log, and the only `unsafe` of the project.
pub mod clock;
pub mod log;
pub mod random;
pub mod thread;
