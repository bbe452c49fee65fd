//! A connection that may be under TLS.
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use rustls::Connection;

use super::session::Session;
use crate::sys::net::Timed;

/// How long the last record, which says that this side says no more, may take to go out.
const FAREWELL: Duration = Duration::from_secs(1);

/// A TCP connection, plain or under TLS. One thread may read while another one writes; neither waits for the other.
#[derive(Debug)]
pub enum Stream {
    Plain(TcpStream),
    Tls(TcpStream, Box<Session>),
}

impl Stream {
    pub(super) fn tls(tcp: TcpStream, connection: Connection) -> Self {
        Self::Tls(tcp, Box::new(Session::new(connection)))
    }

    #[must_use]
    pub fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(tcp) | Self::Tls(tcp, _) => tcp,
        }
    }

    /// Does what has to be done before the first byte of the user's: nothing, or the TLS handshake.
    ///
    /// # Errors
    /// Why there is no connection, as a sentence.
    pub fn open(&self, deadline: Instant) -> Result<(), String> {
        match self {
            Self::Plain(_) => Ok(()),
            Self::Tls(tcp, session) => session.handshake(tcp, deadline),
        }
    }

    /// Says that nothing more comes from here, in the words of TLS too; still hears.
    pub fn end_writing(&self) {
        if let Self::Tls(tcp, session) = self {
            session.say_farewell(tcp, Instant::now() + FAREWELL);
        }
        let _ = self.tcp().shutdown(Shutdown::Write);
    }

    /// Ends it at once; wakes every thread that waits on it.
    pub fn cut(&self) {
        let _ = self.tcp().shutdown(Shutdown::Both);
    }
}

impl Timed for Stream {
    fn read_until(&self, buf: &mut [u8], deadline: Instant) -> io::Result<usize> {
        match self {
            Self::Plain(tcp) => tcp.read_until(buf, deadline),
            Self::Tls(tcp, session) => session.read(buf, |raw| tcp.read_until(raw, deadline)),
        }
    }

    fn write_until(&self, buf: &[u8], deadline: Instant) -> io::Result<usize> {
        match self {
            Self::Plain(tcp) => tcp.write_until(buf, deadline),
            Self::Tls(tcp, session) => session.write(buf, |raw| tcp.write_until(raw, deadline)),
        }
    }
}

/// Reads with the time-out that the socket has.
impl Read for &Stream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(tcp) => (&mut &*tcp).read(buf),
            Stream::Tls(tcp, session) => session.read(buf, |raw| (&mut &*tcp).read(raw)),
        }
    }
}

/// Writes with the time-out that the socket has.
impl Write for &Stream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(tcp) => (&mut &*tcp).write(buf),
            Stream::Tls(tcp, session) => session.write(buf, |raw| (&mut &*tcp).write(raw)),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
