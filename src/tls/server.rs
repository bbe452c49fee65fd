//! TLS as the one who is called: certificate and key from files, read anew when they change.
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::NoServerSessionStorage;
use rustls::{Error, ServerConfig, ServerConnection};

use super::{Stream, pem, provider, validity};
use crate::model::fault::{Code, Fault};
use crate::model::time::Timestamp;
use crate::model::trust::Pin;
use crate::sys::{clock, files};

/// The longest file that is read, in bytes.
const LONGEST: usize = 256 * 1024;

/// Certificate and key of a port. What was accepted with older ones lives on.
#[derive(Debug)]
pub struct Server {
    certificate: PathBuf,
    key: PathBuf,
    loaded: RwLock<Loaded>,
}

#[derive(Clone, Debug)]
struct Loaded {
    config: Arc<ServerConfig>,
    pin: Pin,
}

impl Server {
    /// Reads the files. A certificate that has expired is used, with a warning: the owner sees it in time or else the
    /// callers do, and a rig that does not start would be worse.
    ///
    /// # Errors
    /// Names the file, and says what is wrong with it.
    pub fn load(certificate: &Path, key: &Path) -> Result<Self, Fault> {
        let loaded = RwLock::new(warned(certificate, key)?);
        Ok(Self { certificate: certificate.to_owned(), key: key.to_owned(), loaded })
    }

    /// Reads the files again; whoever connects from now on gets what they hold.
    ///
    /// # Errors
    /// As [`Server::load`]; the old ones are used on.
    pub fn reload(&self) -> Result<(), Fault> {
        let fresh = warned(&self.certificate, &self.key)?;
        *self.loaded.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    /// What names the certificate to those who pin it.
    #[must_use]
    pub fn pin(&self) -> Pin {
        self.loaded().pin
    }

    /// Puts TLS over a caller's connection. [`Stream::open`] does the handshake.
    ///
    /// # Errors
    /// rustls has none for this configuration; it is checked before.
    pub fn over(&self, tcp: TcpStream) -> std::io::Result<Stream> {
        let connection =
            ServerConnection::new(self.loaded().config).map_err(std::io::Error::other)?;
        Ok(Stream::tls(tcp, connection.into()))
    }

    fn loaded(&self) -> Loaded {
        self.loaded.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn warned(certificate: &Path, key: &Path) -> Result<Loaded, Fault> {
    let Pair { config, first, valid } = load(certificate, key)?;
    if let Some(warning) = warning(valid, clock::wall()) {
        crate::warning!("the TLS certificate in {} {warning}", certificate.display());
    }
    Ok(Loaded { config: Arc::new(config), pin: pem::digest(&first) })
}

/// Certificate and key that belong together.
pub(super) struct Pair {
    config: ServerConfig,
    /// The certificate itself, without those between it and its authority.
    pub first: CertificateDer<'static>,
    pub valid: validity::Validity,
}

pub(super) fn load(certificate: &Path, key: &Path) -> Result<Pair, Fault> {
    let wrong_certificate = |why: &str| wrong("certificate", certificate, why);
    let wrong_key = |why: &str| wrong("key", key, why);
    let chain = pem::certificates(&read("certificate", certificate)?)
        .map_err(|why| wrong_certificate(&why))?;
    let secret = pem::key(&read("key", key)?).map_err(|why| wrong_key(&why))?;
    let Some((first, valid)) =
        chain.first().and_then(|first| Some((first.clone(), validity::of(first)?)))
    else {
        return Err(wrong_certificate("it is damaged"));
    };
    let config = config(chain, secret).map_err(|e| match e {
        Error::InconsistentKeys(_) => {
            let why = format!("it is not the key of the certificate in {}", certificate.display());
            wrong_key(&why)
        }
        Error::InvalidCertificate(_) => wrong_certificate("it is damaged"),
        _ => wrong_key("keys of this kind are not known here (RSA, ECDSA P-256 or P-384, Ed25519)"),
    })?;
    Ok(Pair { config, first, valid })
}

fn config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ServerConfig, Error> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    // Nothing is kept of a connection that has ended: no memory that strangers could fill, no key that outlives it.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    // Requests to the API are HTTP/1.1, and so is what a link's WebSocket begins with.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// What a caller would object to.
fn warning(valid: validity::Validity, now: Timestamp) -> Option<String> {
    if now < valid.from {
        return Some(format!("is not good before {}", valid.from));
    }
    (now > valid.until).then(|| format!("expired at {}: others will refuse it", valid.until))
}

fn read(what: &str, path: &Path) -> Result<Vec<u8>, Fault> {
    let read = files::read_small(path, LONGEST).map_err(|e| {
        let text = format!("TLS {what}: {}", e.message);
        Fault { message: text, ..e }
    })?;
    read.ok_or_else(|| wrong(what, path, "there is no such file"))
}

fn wrong(what: &str, path: &Path, why: &str) -> Fault {
    Fault::new(Code::Invalid, format!("TLS {what} {}: {why}", path.display()))
}
