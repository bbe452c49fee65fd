//! TLS as the one who connects: whose certificate is the right one.
use std::net::TcpStream;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier, verify_server_name};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, Error, OtherError,
    RootCertStore, SignatureScheme,
};

use super::{Stream, pem, provider, validity};
use crate::model::trust::{Pin, Trust};
use crate::sys::{clock, files};

/// The most certificates of authorities that one text may hold.
const MOST: usize = 64;
/// The longest file of them, in bytes.
const LONGEST: usize = 256 * 1024;

/// Begins connections under TLS. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Client(Arc<ClientConfig>);

impl Client {
    /// # Errors
    /// There are no authorities to trust.
    pub fn new(trust: &Trust) -> Result<Self, String> {
        match trust {
            Trust::System => system(),
            Trust::Ca(text) => {
                Self::judged_by(Judge::Authorities(given(text)?, authorities(text)?))
            }
            Trust::Pin(pin) => Self::judged_by(Judge::Pin(*pin)),
        }
    }

    /// Trusts the authorities in `file` and no others; without one, those of the system.
    ///
    /// # Errors
    /// There are none that could be trusted.
    pub fn from_file(file: Option<&Path>) -> Result<Self, String> {
        let Some(file) = file else { return Self::new(&Trust::System) };
        let wrong = |why: &str| format!("{} cannot be trusted: {why}", file.display());
        let bytes = files::read_small(file, LONGEST).map_err(|fault| wrong(&fault.message))?;
        let bytes = bytes.ok_or_else(|| wrong("there is no such file"))?;
        let text = String::from_utf8(bytes).map_err(|_| wrong("this is no PEM text"))?;
        Self::new(&Trust::Ca(text)).map_err(|why| wrong(&why))
    }

    fn judged_by(judge: Judge) -> Result<Self, String> {
        let algorithms = provider().signature_verification_algorithms;
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|e| e.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Verifier { judge, algorithms }))
            .with_no_client_auth();
        // A connection lasts for days: what a resumed one would spare is not worth keeping secrets for.
        config.resumption = Resumption::disabled();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(Arc::new(config)))
    }

    /// Puts TLS over `tcp`, which leads to `host`: a name or an address without brackets and port.
    /// [`Stream::open`] does the handshake.
    ///
    /// # Errors
    /// The host's name cannot stand in a certificate.
    pub fn over(&self, tcp: TcpStream, host: &str) -> Result<Stream, String> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| format!("{host:?} is no name that a certificate can have"))?;
        let connection = ClientConnection::new(self.0.clone(), name).map_err(|e| e.to_string())?;
        Ok(Stream::tls(tcp, connection.into()))
    }
}

/// Read once: the list is long, and every peer's next attempt needs it.
fn system() -> Result<Client, String> {
    static SYSTEM: OnceLock<Client> = OnceLock::new();
    if let Some(client) = SYSTEM.get() {
        return Ok(client.clone());
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err("this machine has no list of authorities to trust (the package is often \
                    called ca-certificates)"
            .to_owned());
    }
    let client = Client::judged_by(Judge::Authorities(Vec::new(), by_roots(roots)?))?;
    Ok(SYSTEM.get_or_init(|| client).clone())
}

/// Whether `text` could be a [`Trust::Ca`].
///
/// # Errors
/// Why not.
pub fn check_authorities(text: &str) -> Result<(), String> {
    authorities(text).map(drop)
}

fn authorities(text: &str) -> Result<Arc<WebPkiServerVerifier>, String> {
    let mut roots = RootCertStore::empty();
    for certificate in given(text)? {
        roots.add(certificate).map_err(|_| "one of the certificates is damaged".to_owned())?;
    }
    by_roots(roots)
}

fn given(text: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let found = pem::certificates(text.as_bytes())?;
    if found.len() > MOST {
        return Err(format!("more than {MOST} certificates"));
    }
    Ok(found)
}

fn by_roots(roots: RootCertStore) -> Result<Arc<WebPkiServerVerifier>, String> {
    let builder = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider());
    builder.build().map_err(|e| e.to_string())
}

#[derive(Debug)]
enum Judge {
    /// Who shows one of the certificates themselves is right, too: a self-signed one is often marked as an authority's,
    /// which would not do for a server's.
    Authorities(Vec<CertificateDer<'static>>, Arc<WebPkiServerVerifier>),
    Pin(Pin),
}

#[derive(Debug)]
struct Verifier {
    judge: Judge,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        stapled: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match &self.judge {
            Judge::Authorities(given, _) if given.contains(certificate) => {
                verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
                validity::of(certificate)
                    .ok_or(CertificateError::BadEncoding)?
                    .check(clock::wall())?;
            }
            Judge::Authorities(_, roots) => {
                return roots.verify_server_cert(certificate, chain, name, stapled, now);
            }
            Judge::Pin(expected) => {
                let got = pem::digest(certificate);
                if got != *expected {
                    return Err(other(OtherPin { expected: *expected, got }));
                }
            }
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
            .map_err(|_| other(NotItsKey))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
            .map_err(|_| other(NotItsKey))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Another certificate than the pinned one.
#[derive(Clone, Copy, Debug)]
struct OtherPin {
    expected: Pin,
    got: Pin,
}

impl std::error::Error for OtherPin {}

impl std::fmt::Display for OtherPin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { expected, got } = self;
        write!(f, "its certificate is not the pinned one (expected {expected}, got {got})")
    }
}

/// Who shows a certificate that anyone may see has to sign with its key.
#[derive(Clone, Copy, Debug)]
struct NotItsKey;

impl std::error::Error for NotItsKey {}

impl std::fmt::Display for NotItsKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the other side does not have the key of the certificate that it shows")
    }
}

fn other(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(error))))
}
