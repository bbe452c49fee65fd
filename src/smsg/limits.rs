//! Sizes, counts and times of the link protocol (docs/protocol.md).
use std::time::Duration;

/// The protocol versions this build speaks.
pub const PROTOCOLS: &[u32] = &[1];
/// The Noise prologue: binds name and version of the protocol.
pub const PROLOGUE: &[u8] = b"miner-cli/smsg/1";
/// What the signing key signs, followed by the X25519 public key, in a hello.
pub const IDENTITY_CONTEXT: &[u8] = b"miner-cli/identity/1";
/// TCP connect to welcome.
pub const GREETING: Duration = Duration::from_secs(10);
/// One message before authorisation.
pub const STRANGER_MESSAGE: usize = 2 * 1024;
/// One WebSocket message after it: a Noise transport message.
pub const MESSAGE: usize = 65_535;
/// Signature and JSON of one envelope: a Noise message less its 16-byte tag.
pub const ENVELOPE: usize = MESSAGE - 16;
/// Log text in one `log_lines`; more goes into further envelopes.
pub const LOG_BYTES: usize = 24 * 1024;
/// Unfinished handshakes at once, and of one source address.
pub const HANDSHAKES: usize = 256;
pub const HANDSHAKES_PER_SOURCE: usize = 8;
/// Who has begun one is not pushed out for so long: many times what it takes on a slow line or a busy machine.
pub const HANDSHAKE_BEGUN: Duration = Duration::from_secs(3);
/// Waiting pairing requests, and how long one waits.
pub const PAIRING_REQUESTS: usize = 100;
pub const PAIRING_WAITS: Duration = Duration::from_secs(24 * 3600);
/// Envelopes a peer may send: a second sustained, and at once.
pub const ENVELOPES_PER_SECOND: f64 = 50.0;
pub const ENVELOPE_BURST: f64 = 200.0;
/// Events in one message.
pub const EVENTS_AT_ONCE: usize = 16;
/// Requests that may wait for one peer's answer.
pub const OUTSTANDING: usize = 64;
/// Messages that may wait for one link's writer.
pub const OUTBOX: usize = 64;
pub const PING_EVERY: Duration = Duration::from_secs(30);
/// How often a worker asks its controller for the latency that it shows. What keeps their link alive are the controller's
/// pings, and its own would cost a controller as much again.
pub const PING_CONTROLLER_EVERY: Duration = Duration::from_secs(300);
/// A link silent for this long is dead.
pub const SILENCE: Duration = Duration::from_secs(45);
/// A write that makes no progress for this long ends the link.
pub const WRITE: Duration = Duration::from_secs(10);
/// How long a request waits for its answer …
pub const REQUEST: Duration = Duration::from_secs(5);
/// … a start, restart or deployment …
pub const SLOW_REQUEST: Duration = Duration::from_secs(30);
/// … and for how long after sending a command may still be carried out. Less than the wait, so that what was
/// answered "timed out" never happens afterwards.
pub const COMMAND_VALID: Duration = Duration::from_secs(4);
pub const SLOW_COMMAND_VALID: Duration = Duration::from_secs(15);
