//! Certificates of every kind, and connections that may be under TLS.
#![allow(dead_code, reason = "each test binary uses its part")]
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use miner_cli::model::trust::{Pin, Trust, WSS};
use miner_cli::sys::{net, random};
use miner_cli::tls::{Client, Server, Stream};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// A folder that goes when it is dropped.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("mc-tls-{}", random::hex::<8>()));
        std::fs::create_dir(&folder).unwrap();
        Self(folder)
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A certificate and its key, both PEM.
#[derive(Clone)]
pub struct Made {
    pub cert: String,
    pub key: String,
    pub pin: Pin,
}

impl Made {
    fn new(cert: &rcgen::Certificate, key: &KeyPair) -> Self {
        use sha2::Digest as _;
        let pin = Pin(sha2::Sha256::digest(cert.der()).into());
        Self { cert: cert.pem(), key: key.serialize_pem(), pin }
    }

    /// The two files in `folder`.
    pub fn files(&self, folder: &Folder) -> (PathBuf, PathBuf) {
        (folder.write("cert.pem", &self.cert), folder.write("key.pem", &self.key))
    }

    pub fn server(&self) -> Arc<Server> {
        let folder = Folder::new();
        let (cert, key) = self.files(&folder);
        Arc::new(Server::load(&cert, &key).unwrap())
    }

    pub fn server_at(&self, cert: &Path, key: &Path) -> Arc<Server> {
        std::fs::write(cert, &self.cert).unwrap();
        std::fs::write(key, &self.key).unwrap();
        Arc::new(Server::load(cert, key).unwrap())
    }
}

pub const HOME: [&str; 2] = ["127.0.0.1", "localhost"];

/// Self-signed, for these names, good in the years of the range.
pub fn certificate(names: &[&str], years: std::ops::Range<i32>) -> Made {
    let key = KeyPair::generate().unwrap();
    let cert = params(names, years).self_signed(&key).unwrap();
    Made::new(&cert, &key)
}

fn params(names: &[&str], years: std::ops::Range<i32>) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.not_before = date_time_ymd(years.start, 1, 1);
    params.not_after = date_time_ymd(years.end, 1, 1);
    params
}

/// An authority, and what it signs.
pub struct Authority {
    pub made: Made,
    params: CertificateParams,
    key: KeyPair,
}

impl Authority {
    pub fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = params(&[], 2020..2090);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "an authority of a test");
        let made = Made::new(&params.self_signed(&key).unwrap(), &key);
        Self { made, params, key }
    }

    pub fn signs(&self, names: &[&str], years: std::ops::Range<i32>) -> Made {
        let key = KeyPair::generate().unwrap();
        let issuer = Issuer::from_params(&self.params, &self.key);
        let cert = params(names, years).signed_by(&key, &issuer).unwrap();
        Made::new(&cert, &key)
    }

    pub fn trust(&self) -> Trust {
        Trust::Ca(self.made.cert.clone())
    }
}

/// A good one of this machine.
pub fn good() -> &'static Made {
    static GOOD: OnceLock<Made> = OnceLock::new();
    GOOD.get_or_init(|| certificate(&HOME, 2020..2090))
}

/// A connection, plain or under TLS, with the time-outs of its socket.
#[derive(Clone, Debug)]
pub struct Far(pub Arc<Stream>);

impl Far {
    /// To `host:port`, with TLS where `wss://` stands before it.
    pub fn connect(address: &str) -> Self {
        let deadline = Instant::now() + PATIENCE;
        let bare = address.strip_prefix(WSS).unwrap_or(address);
        let tcp = net::connect(bare, deadline).unwrap();
        let far = if bare == address {
            Self::new(Stream::Plain(tcp))
        } else {
            let client = Client::new(&Trust::Pin(good().pin)).unwrap();
            Self::new(client.over(tcp, "127.0.0.1").unwrap())
        };
        // One that is refused shows that with the first byte.
        let _ = far.0.open(deadline);
        far.patient()
    }

    /// The next caller, as a server with the good certificate or with none.
    pub fn accept(listener: &TcpListener, tls: bool) -> Self {
        let tcp = listener.accept().unwrap().0;
        let stream = if tls { good().server().over(tcp).unwrap() } else { Stream::Plain(tcp) };
        stream.open(Instant::now() + PATIENCE).unwrap();
        Self::new(stream).patient()
    }

    fn new(stream: Stream) -> Self {
        Self(Arc::new(stream))
    }

    fn patient(self) -> Self {
        self.set_read_timeout(Some(PATIENCE)).unwrap();
        self.0.tcp().set_write_timeout(Some(PATIENCE)).unwrap();
        self
    }

    pub fn tcp(&self) -> &TcpStream {
        self.0.tcp()
    }

    pub fn set_read_timeout(&self, time: Option<Duration>) -> io::Result<()> {
        self.0.tcp().set_read_timeout(time)
    }

    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(self.clone())
    }

    pub fn shutdown(&self, how: Shutdown) {
        if how == Shutdown::Write { self.0.end_writing() } else { self.0.cut() }
    }
}

impl Read for Far {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        (&*self.0).read(buf)
    }
}

impl Write for Far {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        (&*self.0).write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A server that shows the good certificate, which everybody can see, and signs with another key.
pub fn impostor(version: &'static rustls::SupportedProtocolVersion) -> rustls::ServerConfig {
    use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let secret = certificate(&HOME, 2020..2090).key;
    let secret = PrivateKeyDer::from_pem_slice(secret.as_bytes()).unwrap();
    let key = provider.key_provider.load_private_key(secret).unwrap();
    let shown = vec![CertificateDer::from_pem_slice(good().cert.as_bytes()).unwrap()];
    let certified = rustls::sign::CertifiedKey::new(shown, key);
    rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(certified)))
}
