//! Exit codes, and everything that ends a command early.
use crate::model::fault::{Code, Fault};

/// What the command line ends with; the numbers are part of the contract.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Exit {
    Done = 0,
    /// It failed; the message says why.
    Failed = 1,
    Usage = 2,
    /// The local daemon does not answer.
    NoDaemon = 3,
    /// No such peer, miner, profile, request or invite; or more than one.
    NotFound = 4,
    /// The peer is unreachable or did not answer in time.
    Unreachable = 5,
    /// Not registered, wrong role, policy.
    Refused = 6,
}

impl Exit {
    #[must_use]
    pub fn of(code: Code) -> Self {
        match code {
            Code::PeerNotFound
            | Code::MinerNotFound
            | Code::ProfileNotFound
            | Code::RequestNotFound
            | Code::InviteNotFound
            | Code::ChannelNotFound
            | Code::SessionNotFound
            | Code::Ambiguous => Self::NotFound,
            Code::PeerUnreachable | Code::Timeout | Code::Expired => Self::Unreachable,
            Code::NotAllowed | Code::Policy | Code::Forbidden => Self::Refused,
            Code::Invalid
            | Code::Unauthorized
            | Code::RouteNotFound
            | Code::MethodNotAllowed
            | Code::Exists
            | Code::Conflict
            | Code::TooLarge
            | Code::TooMany
            | Code::Internal
            | Code::NotSaved
            | Code::StartFailed
            | Code::Unsupported
            | Code::RigFailed
            | Code::KeyMismatch
            | Code::Unavailable => Self::Failed,
        }
    }
}

/// Why a command ends before its end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Failure {
    /// The daemon, or this program itself, said what is wrong.
    Fault(Fault),
    /// The call was wrong; the sentence says how.
    Usage(String),
    /// The local daemon does not answer.
    NoDaemon { message: String, hint: String },
    /// Whoever read our output has gone: nothing is wrong, and nobody is left to tell.
    OutputClosed,
}

impl Failure {
    /// A failure of this program's own, with exit code 1.
    pub fn own(message: impl Into<String>) -> Self {
        Self::Fault(Fault::new(Code::Internal, message))
    }

    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Fault(fault) => Exit::of(fault.code),
            Self::Usage(_) => Exit::Usage,
            Self::NoDaemon { .. } => Exit::NoDaemon,
            Self::OutputClosed => Exit::Done,
        }
    }
}

impl Failure {
    /// In the shape of the daemon's own faults, for a row among others.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Fault(fault) => fault.clone(),
            Self::Usage(message) => Fault::new(Code::Invalid, message),
            Self::NoDaemon { message, hint } => Fault::new(Code::Unavailable, message).hint(hint),
            Self::OutputClosed => Fault::new(Code::Internal, "the output was closed"),
        }
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::Exit;
    use crate::model::fault::Code;

    #[test]
    fn every_code_has_the_exit_of_the_contract() {
        for code in Code::ALL {
            let wanted = match code.text() {
                "ROUTE_NOT_FOUND" => 1,
                "AMBIGUOUS" => 4,
                text if text.ends_with("_NOT_FOUND") => 4,
                "PEER_UNREACHABLE" | "TIMEOUT" | "EXPIRED" => 5,
                "NOT_ALLOWED" | "POLICY" | "FORBIDDEN" => 6,
                _ => 1,
            };
            assert_eq!(Exit::of(*code) as u8, wanted, "{}", code.text());
        }
    }
}
