//! Certificates and keys as files hold them.
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest as _, Sha256};

use crate::model::trust::Pin;

/// All certificates of a PEM text, at least one.
///
/// # Errors
/// What is wrong with it.
pub fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found = CertificateDer::pem_slice_iter(text)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| "its PEM text is damaged".to_owned())?;
    if found.is_empty() {
        return Err("it holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)".to_owned());
    }
    Ok(found)
}

/// # Errors
/// What is wrong with it.
pub fn key(text: &[u8]) -> Result<PrivateKeyDer<'static>, String> {
    use rustls::pki_types::pem::Error;
    PrivateKeyDer::from_pem_slice(text).map_err(|e| match e {
        Error::NoItemsFound if contains(text, b"ENCRYPTED PRIVATE KEY") => {
            "the key is encrypted with a passphrase, which nobody types when the daemon starts; \
             `openssl pkey -in IN -out OUT` writes it without"
                .to_owned()
        }
        Error::NoItemsFound => {
            "it holds no private key in PEM form (-----BEGIN PRIVATE KEY-----)".to_owned()
        }
        _ => "its PEM text is damaged".to_owned(),
    })
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|w| w == part)
}

pub fn digest(certificate: &CertificateDer<'_>) -> Pin {
    Pin(Sha256::digest(certificate).into())
}
