//! Webhooks over TLS: whose certificate is good, and whose is not.
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::testing::{hook, notice, send};
use crate::config::{Webhook, WebhookFormat};
use crate::sys::{random, thread};
use crate::tls::Client;

type Authority = Issuer<'static, KeyPair>;

/// A certificate authority, and the file that makes others trust it.
fn authority() -> (Authority, PathBuf) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let file = std::env::temp_dir().join(format!("mc-ca-{}.pem", random::hex::<6>()));
    std::fs::write(&file, params.self_signed(&key).unwrap().pem()).unwrap();
    (Issuer::new(params, key), file)
}

/// A server with a certificate for `name` that ends in the year `until`; it answers 200 to whoever goes that far.
fn server(authority: &Authority, name: &str, until: i32) -> u16 {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(until, 1, 1);
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, authority).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        )
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn("test-tls", move || {
        for stream in listener.incoming() {
            let connection = ServerConnection::new(config.clone()).unwrap();
            let mut stream = StreamOwned::new(connection, stream.unwrap());
            let mut request = [0; 4096];
            if stream.read(&mut request).is_ok_and(|n| n > 0) {
                drop(stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
            }
        }
    })
    .unwrap();
    port
}

fn to(host: &str, port: u16, ca_file: &Path) -> Result<(), String> {
    let hook = Webhook {
        tls: true,
        host: host.to_owned(),
        ca_file: Some(ca_file.to_owned()),
        ..hook(WebhookFormat::Generic, port)
    };
    send(&hook, &notice(1))
}

#[test]
fn the_certificate_of_the_receiver_is_checked() {
    let (ours, file) = authority();
    let (_, others) = authority();
    let good = server(&ours, "localhost", 2099);
    to("localhost", good, &file).unwrap();
    let by_address = server(&ours, "127.0.0.1", 2099);
    to("127.0.0.1", by_address, &file).unwrap();
    for (what, host, port, file, words) in [
        ("unknown authority", "localhost", good, &others, "not trusted"),
        ("wrong name", "localhost", server(&ours, "other.example", 2099), &file, "localhost"),
        ("wrong address", "127.0.0.1", good, &file, "127.0.0.1"),
        ("expired", "localhost", server(&ours, "localhost", 2021), &file, "expired"),
    ] {
        let error = to(host, port, file).unwrap_err();
        assert!(error.contains("certificate") && error.contains(words), "{what}: {error}");
        assert!(!error.contains("s3cret"), "{what}: {error}");
    }
    // Without a file of ours it is the system that says whom to trust, and it does not know us.
    let hook =
        Webhook { tls: true, host: "localhost".to_owned(), ..hook(WebhookFormat::Generic, good) };
    assert!(send(&hook, &notice(1)).is_err());
    for path in [file, others] {
        std::fs::remove_file(path).unwrap();
    }
}

#[test]
fn a_file_without_certificates_is_said() {
    let file = std::env::temp_dir().join(format!("mc-ca-{}.pem", random::hex::<6>()));
    let error = Client::from_file(Some(&file)).unwrap_err();
    assert!(error.contains("cannot be trusted"), "{error}");
    std::fs::write(&file, "nothing\n").unwrap();
    let error = Client::from_file(Some(&file)).unwrap_err();
    assert!(error.contains("no certificate"), "{error}");
    std::fs::remove_file(&file).unwrap();
}

#[test]
fn plain_http_on_the_other_side_is_no_tls() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn("test-plain", move || {
        let (mut stream, _) = listener.accept().unwrap();
        drop(stream.read(&mut [0; 1024]));
        drop(stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n"));
    })
    .unwrap();
    let hook = Webhook { tls: true, ..hook(WebhookFormat::Generic, port) };
    let (_, file) = authority();
    assert!(send(&Webhook { ca_file: Some(file.clone()), ..hook }, &notice(1)).is_err());
    std::fs::remove_file(&file).unwrap();
}
