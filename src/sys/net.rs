//! TCP with deadlines: one [`Instant`] bounds everything that a stranger can draw out.
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream, ToSocketAddrs};
use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How many finished connections may wait to be accepted: all rigs of a large farm call within a second when their
/// controller is back. The kernel has a limit of its own, usually 4,096.
const QUEUE: libc::c_int = 4_096;

/// Lengthens the queue of a listener, which is made with room for 128.
#[expect(unsafe_code, reason = "listen on a descriptor that is borrowed for the call")]
pub fn lengthen_queue(listener: &TcpListener) {
    // Linux takes the new length of a socket that listens already; where it does not, the old one stays.
    unsafe {
        libc::listen(listener.as_raw_fd(), QUEUE);
    }
}

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

/// A socket that may be used by several threads at once, each with a deadline of its own.
/// A read or write past it fails with `TimedOut`.
pub trait Timed {
    /// # Errors
    /// Those of the socket, and `TimedOut`.
    fn read_until(&self, buf: &mut [u8], deadline: Instant) -> io::Result<usize>;

    /// # Errors
    /// Those of the socket, and `TimedOut`.
    fn write_until(&self, buf: &[u8], deadline: Instant) -> io::Result<usize>;
}

impl Timed for TcpStream {
    fn read_until(&self, buf: &mut [u8], deadline: Instant) -> io::Result<usize> {
        unstopped(|| {
            self.set_read_timeout(Some(left(deadline)?))?;
            let mut stream = self;
            stream.read(buf)
        })
    }

    fn write_until(&self, buf: &[u8], deadline: Instant) -> io::Result<usize> {
        unstopped(|| {
            self.set_write_timeout(Some(left(deadline)?))?;
            let mut stream = self;
            stream.write(buf)
        })
    }
}

/// Sharing spares the file descriptor of a `try_clone`.
impl<S: Timed> Timed for Arc<S> {
    fn read_until(&self, buf: &mut [u8], deadline: Instant) -> io::Result<usize> {
        self.as_ref().read_until(buf, deadline)
    }

    fn write_until(&self, buf: &[u8], deadline: Instant) -> io::Result<usize> {
        self.as_ref().write_until(buf, deadline)
    }
}

/// A process that was stopped and goes on (SIGSTOP and SIGCONT, a debugger, a laptop's lid) finds its waits on sockets
/// with a time-out interrupted, handlers or not (signal(7)): that is no reason to lose a link.
fn unstopped(mut wait: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match wait() {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            other => return other.map_err(named),
        }
    }
}

/// Linux reports a socket's own time-out as `WouldBlock`.
fn named(e: io::Error) -> io::Error {
    if e.kind() == io::ErrorKind::WouldBlock { io::ErrorKind::TimedOut.into() } else { e }
}

/// A stream whose every read and write ends at one deadline, however slowly the other side drips.
#[derive(Debug)]
pub struct DeadlineStream<S = TcpStream> {
    stream: S,
    deadline: Instant,
}

impl<S: Timed> DeadlineStream<S> {
    #[must_use]
    pub fn new(stream: S, deadline: Instant) -> Self {
        Self { stream, deadline }
    }

    pub fn set_deadline(&mut self, deadline: Instant) {
        self.deadline = deadline;
    }
}

impl<S: Timed> Read for DeadlineStream<S> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.stream.read_until(buf, self.deadline)
    }
}

impl<S: Timed> Write for DeadlineStream<S> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.stream.write_until(buf, self.deadline)
    }

    /// Nothing is held back.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
