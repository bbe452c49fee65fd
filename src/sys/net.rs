//! TCP with deadlines: one [`Instant`] bounds everything that a stranger can draw out.
use std::borrow::Borrow;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

/// Connects to `host:port`, trying every address of the name until `deadline`. TCP_NODELAY is set.
///
/// # Errors
/// The last address's error; `InvalidInput` when the name has no address.
pub fn connect(address: &str, deadline: Instant) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::InvalidInput, format!("{address} has no address"));
    for one in address.to_socket_addrs()? {
        let left = left(deadline)?;
        match TcpStream::connect_timeout(&one, left) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(e) => last = e,
        }
    }
    Err(last)
}

/// The time until `deadline`; `TimedOut` when there is none. Never zero, which sockets take for "for ever".
///
/// # Errors
/// `TimedOut` when the deadline has passed.
pub fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left < Duration::from_millis(1) {
        return Err(io::Error::new(io::ErrorKind::TimedOut, "the deadline has passed"));
    }
    Ok(left)
}

/// A stream whose every read and write ends at one deadline, however slowly the other side drips.
/// A read or write past it fails with `TimedOut`.
/// The socket may be shared (`Arc<TcpStream>`), which spares the file descriptor of a `try_clone`.
#[derive(Debug)]
pub struct DeadlineStream<S = TcpStream> {
    stream: S,
    deadline: Instant,
}

impl<S: Borrow<TcpStream>> DeadlineStream<S> {
    #[must_use]
    pub fn new(stream: S, deadline: Instant) -> Self {
        Self { stream, deadline }
    }

    pub fn set_deadline(&mut self, deadline: Instant) {
        self.deadline = deadline;
    }

    #[must_use]
    pub fn get_ref(&self) -> &TcpStream {
        self.stream.borrow()
    }

    #[must_use]
    pub fn into_inner(self) -> S {
        self.stream
    }
}

/// Linux reports a socket's own time-out as `WouldBlock`.
fn named(e: io::Error) -> io::Error {
    if e.kind() == io::ErrorKind::WouldBlock { io::ErrorKind::TimedOut.into() } else { e }
}

impl<S: Borrow<TcpStream>> Read for DeadlineStream<S> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut stream = self.get_ref();
        stream.set_read_timeout(Some(left(self.deadline)?))?;
        stream.read(buf).map_err(named)
    }
}

impl<S: Borrow<TcpStream>> Write for DeadlineStream<S> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let mut stream = self.get_ref();
        stream.set_write_timeout(Some(left(self.deadline)?))?;
        stream.write(buf).map_err(named)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.get_ref().flush()
    }
}
