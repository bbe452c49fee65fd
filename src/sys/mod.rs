//! The operating system: threads, clock, log, and the only `unsafe` of the project.
pub mod clock;
pub mod disk;
pub mod files;
pub mod host;
pub mod limits;
pub mod local;
pub mod log;
pub mod net;
pub mod notify;
pub mod poll;
pub mod process;
pub mod random;
pub mod service;
pub mod signals;
pub mod stack;
pub mod thread;
pub mod usage;
