//! What a certificate of our own says of itself, before callers judge it.
use std::path::Path;

use rustls::client::verify_server_name;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, Error};

use super::{server, words};
use crate::model::fault::Fault;
use crate::model::time::Timestamp;

/// A port's certificate, whose key fits it.
#[derive(Debug)]
pub struct Certificate {
    /// It is good from then …
    pub from: Timestamp,
    /// … until then.
    pub until: Timestamp,
    der: CertificateDer<'static>,
}

/// Reads the files as the daemon does.
///
/// # Errors
/// As [`super::Server::load`].
pub fn inspect(certificate: &Path, key: &Path) -> Result<Certificate, Fault> {
    let server::Pair { first, valid, .. } = server::load(certificate, key)?;
    Ok(Certificate { from: valid.from, until: valid.until, der: first })
}

impl Certificate {
    /// Whether who dials `name`, a host's name or an address, finds it there.
    #[must_use]
    pub fn is_for(&self, name: &str) -> bool {
        self.judge(name).is_ok()
    }

    /// The names and addresses that it is for.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        // Names come with the refusal of one that nobody has.
        match self.judge("no-name.invalid") {
            Err(Error::InvalidCertificate(CertificateError::NotValidForNameContext {
                presented,
                ..
            })) => presented.iter().map(|name| words::bare(name)).collect(),
            _ => Vec::new(),
        }
    }

    fn judge(&self, name: &str) -> Result<(), Error> {
        let unknown = |_| Error::InvalidCertificate(CertificateError::NotValidForName);
        let name = ServerName::try_from(name).map_err(unknown)?;
        verify_server_name(&ParsedCertificate::try_from(&self.der)?, &name)
    }
}
