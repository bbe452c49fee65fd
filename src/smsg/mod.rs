//! What peers say to each other: signed envelopes around typed messages.
pub mod envelope;
pub mod hello;
pub mod limits;
pub mod messages;
