//! Optional TLS under the links and the API: rustls with ring, TLS 1.2 and 1.3. docs/tls.md says what it is for.
//!
//! The security of links never depends on it: inside is the same Noise as over plain TCP.
mod client;
mod inspect;
mod pem;
mod server;
mod session;
mod stream;
mod validity;
mod words;

#[cfg(test)]
mod tests;

pub use client::{Client, check_authorities};
pub use inspect::{Certificate, inspect};
pub use server::Server;
pub use stream::Stream;

use std::io;
use std::net::TcpStream;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// A caller's connection to a port that is under TLS when there is a `server`.
///
/// # Errors
/// As [`Server::over`].
pub fn accepted(tcp: TcpStream, server: Option<&Arc<Server>>) -> io::Result<Stream> {
    match server {
        Some(server) => server.over(tcp),
        None => Ok(Stream::Plain(tcp)),
    }
}
