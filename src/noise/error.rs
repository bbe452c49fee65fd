//! Why a Noise message was refused.

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NoiseError {
    /// Read when it was our turn to write, or the other way round, or after the last message.
    OutOfTurn,
    /// An earlier message of this handshake failed; nothing more can come of it.
    Failed,
    /// The transport was asked for before the third message.
    Unfinished,
    /// More than 65,535 bytes with tags and keys.
    TooLong,
    TooShort,
    /// Changed on the way, out of order, replayed, or sealed with another key or prologue.
    NotAuthentic,
    /// A public key of low order: the shared secret would be the same for everyone.
    WeakKey,
    /// 2^64 - 1 messages were sealed with this key.
    Exhausted,
    /// The operating system gave no random bytes for the ephemeral key.
    NoRandomness,
}

impl std::fmt::Display for NoiseError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::OutOfTurn => "a handshake message came out of turn",
            Self::Failed => "this handshake has already failed",
            Self::Unfinished => "the handshake is not finished",
            Self::TooLong => "the message is longer than 65,535 bytes",
            Self::TooShort => "the message is too short to be one of this protocol",
            Self::NotAuthentic => {
                "the message was not sealed by the other side or not meant to come now"
            }
            Self::WeakKey => "the other side sent a public key that gives no secret",
            Self::Exhausted => "the key of this link is used up",
            Self::NoRandomness => "the operating system gave no random bytes",
        })
    }
}

impl std::error::Error for NoiseError {}
