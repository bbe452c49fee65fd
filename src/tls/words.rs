//! What went wrong, as a sentence for people. What it quotes of the other side is cleaned.
use std::io;
use std::time::Duration;

use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, Error};

use crate::model::text::clean;
use crate::model::time::Timestamp;

/// What came is no TLS.
pub const FOREIGN: &str = "the other side does not speak TLS";

/// Why a handshake failed, in which the other side had sent `heard` bytes.
pub fn handshake(error: &io::Error, heard: usize) -> String {
    if let Some(error) = tls_error(error) {
        return tls(error);
    }
    match error.kind() {
        io::ErrorKind::TimedOut => "no answer in time".to_owned(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => ended(heard),
        _ => clean(&error.to_string(), 200),
    }
}

/// The other side ended the connection in the handshake, after it had sent `heard` bytes.
pub fn ended(heard: usize) -> String {
    match heard {
        0 => "the connection ended without a TLS handshake: perhaps the other side does not speak TLS",
        _ => "the connection ended in the TLS handshake",
    }
    .to_owned()
}

/// What TLS has to say, if this is about TLS at all.
pub fn tls_error(error: &io::Error) -> Option<&Error> {
    error.get_ref().and_then(|inner| inner.downcast_ref())
}

pub fn tls(error: &Error) -> String {
    use AlertDescription as Alert;
    match error {
        Error::InvalidMessage(_) => FOREIGN.to_owned(),
        Error::InvalidCertificate(wrong) => certificate(wrong),
        Error::PeerIncompatible(_)
        | Error::AlertReceived(Alert::ProtocolVersion | Alert::HandshakeFailure) => {
            "there is no TLS version and cipher that both sides know (here: TLS 1.2 and 1.3)"
                .to_owned()
        }
        Error::NoApplicationProtocol | Error::AlertReceived(Alert::NoApplicationProtocol) => {
            "the other side expects another protocol inside TLS".to_owned()
        }
        Error::AlertReceived(
            Alert::UnknownCA
            | Alert::BadCertificate
            | Alert::CertificateUnknown
            | Alert::CertificateExpired
            | Alert::UnsupportedCertificate
            | Alert::DecryptError
            | Alert::AccessDenied,
        ) => "the other side does not accept the certificate".to_owned(),
        other => format!("the TLS connection broke: {}", clean(&other.to_string(), 200)),
    }
}

fn certificate(error: &CertificateError) -> String {
    match error {
        // The second is one of the same name with another key.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "its certificate is of an authority that is not trusted here".to_owned()
        }
        CertificateError::ExpiredContext { not_after, .. } => {
            format!("its certificate expired at {}", day(*not_after))
        }
        CertificateError::NotValidYetContext { not_before, .. } => {
            let begins = day(*not_before);
            format!("its certificate is not good before {begins}; is this machine's clock right?")
        }
        CertificateError::NotValidForNameContext { expected, presented } => {
            let presented: Vec<_> = presented.iter().take(4).map(|name| bare(name)).collect();
            let names =
                if presented.is_empty() { "no name".to_owned() } else { presented.join(", ") };
            format!("its certificate is for {names}, not for {}", expected.to_str())
        }
        CertificateError::Other(other) if other.to_string() == "CaUsedAsEndEntity" => {
            "its certificate is an authority's own (CA:TRUE), which none but itself may stand for: \
             trust that very certificate, or pin it"
                .to_owned()
        }
        CertificateError::Other(other) => clean(&other.to_string(), 200),
        other => format!("its certificate is not good: {}", clean(&other.to_string(), 200)),
    }
}

/// `a.lan` out of `DnsName("a.lan")`, and `10.0.0.7` out of `IpAddress(10.0.0.7)`, which is how rustls tells them.
pub fn bare(name: &str) -> String {
    let inner = name.split_once('(').and_then(|(_, rest)| rest.rsplit_once(')'));
    clean(inner.map_or(name, |(inner, _)| inner.trim_matches('"')), 64)
}

fn day(at: UnixTime) -> String {
    let ms = Duration::from_secs(at.as_secs()).as_millis();
    Timestamp(i64::try_from(ms).unwrap_or(i64::MAX)).to_string()
}
