//! What went wrong, in the one shape that REST, the links and the command line share.
use serde::{Deserialize, Serialize};

/// A refusal or failure: a code for programs, a sentence for people, and what to do next where there is something.
/// JSON: `{"error": "…", "code": "PEER_NOT_FOUND", "hint": "…"?}`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Fault {
    #[serde(rename = "error")]
    pub message: String,
    pub code: Code,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Fault {
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { message: message.into(), code, hint: None }
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident $text:literal $status:literal;)*) => {
        /// The codes of [`Fault`]; each belongs to one HTTP status.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Code { $($(#[$doc])* $name,)* }

        impl Code {
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// `PEER_NOT_FOUND` and the like, as it stands in JSON.
            #[must_use]
            pub fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The HTTP status that an answer with this code carries.
            #[must_use]
            pub fn status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }
        }
    };
}

codes! {
    Invalid "INVALID" 400;
    Unauthorized "UNAUTHORIZED" 401;
    Forbidden "FORBIDDEN" 403;
    /// The sender may not do this: not registered there, or its role forbids it.
    NotAllowed "NOT_ALLOWED" 403;
    /// The rig's own `[policy]` refuses it.
    Policy "POLICY" 403;
    RouteNotFound "ROUTE_NOT_FOUND" 404;
    PeerNotFound "PEER_NOT_FOUND" 404;
    MinerNotFound "MINER_NOT_FOUND" 404;
    ProfileNotFound "PROFILE_NOT_FOUND" 404;
    RequestNotFound "REQUEST_NOT_FOUND" 404;
    InviteNotFound "INVITE_NOT_FOUND" 404;
    /// No channel for alerts is called so.
    ChannelNotFound "CHANNEL_NOT_FOUND" 404;
    SessionNotFound "SESSION_NOT_FOUND" 404;
    MethodNotAllowed "METHOD_NOT_ALLOWED" 405;
    Exists "EXISTS" 409;
    /// A prefix or name that fits more than one.
    Ambiguous "AMBIGUOUS" 409;
    /// Not possible in the present state, for example without an identity.
    Conflict "CONFLICT" 409;
    TooLarge "TOO_LARGE" 413;
    TooMany "TOO_MANY" 429;
    Internal "INTERNAL" 500;
    /// The state could not be written to disk; nothing was changed.
    NotSaved "NOT_SAVED" 500;
    /// A miner on this node could not be started.
    StartFailed "START_FAILED" 500;
    /// A part of HTTP that this server does not speak.
    Unsupported "UNSUPPORTED" 501;
    /// The rig tried and failed, or said no for a reason of its own.
    RigFailed "RIG_FAILED" 502;
    /// The other node is not who it should be: its key changed or does not match the invite.
    KeyMismatch "KEY_MISMATCH" 502;
    Unavailable "UNAVAILABLE" 503;
    /// The peer is not linked.
    PeerUnreachable "PEER_UNREACHABLE" 504;
    /// The peer did not answer in time.
    Timeout "TIMEOUT" 504;
    /// The command reached the rig after its deadline and was not carried out.
    Expired "EXPIRED" 504;
}

impl Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.text())
    }
}

impl<'de> Deserialize<'de> for Code {
    /// A code of a newer version reads as [`Code::RigFailed`].
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ok(Self::ALL.iter().copied().find(|c| c.text() == text).unwrap_or(Self::RigFailed))
    }
}
