//! One TLS connection that a reader and a writer share.
//!
//! rustls keeps both directions in one state, so that is under a lock; but nobody holds it while waiting for the
//! network. Whoever reads waits for bytes outside of it, and never writes once the handshake is done: two sides that
//! write at the same time into full buffers still read, and so go on.
use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Instant;

use rustls::Connection;

use super::words;
use crate::sys::net::Timed as _;

/// Bytes taken from the socket at once.
const RAW: usize = 4 * 1024;
/// What the first byte of TLS can be: an alert or a handshake.
const FIRST: [u8; 2] = [0x15, 0x16];
/// For those who come to a port under TLS with plain HTTP, which is how a link's WebSocket begins too.
const NOT_PLAIN: &str = "HTTP/1.1 426 Upgrade Required\r\n\
    Upgrade: TLS/1.3\r\nConnection: Upgrade, close\r\n\
    Content-Type: application/json\r\nContent-Length: 95\r\n\r\n\
    {\"error\":\"this port is under TLS: use https://, or wss:// between nodes\",\"code\":\"UNSUPPORTED\"}\n";
/// All bytes that the other side may send in its handshake. A caller's hello has less than 2 KiB; the rest is room for
/// a server's chain of certificates.
const HANDSHAKE: usize = 16 * 1024;

pub struct Session {
    /// Locked while bytes are turned into others, never while a thread waits.
    state: Mutex<Connection>,
    /// Locked by the thread that reads, for as long as that takes.
    reading: Mutex<Raw>,
    /// Locked by the thread that sends records, so that they go out in the order in which they were made.
    writing: Mutex<()>,
}

/// Bytes from the socket that are still to be understood.
struct Raw {
    bytes: Box<[u8; RAW]>,
    start: usize,
    end: usize,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Session")
    }
}

impl Session {
    pub fn new(connection: Connection) -> Self {
        let raw = Raw { bytes: Box::new([0; RAW]), start: 0, end: 0 };
        Self { state: Mutex::new(connection), reading: Mutex::new(raw), writing: Mutex::new(()) }
    }

    /// Until both sides may talk. Nobody else may use the session before that.
    ///
    /// # Errors
    /// Why they may not, as a sentence.
    pub fn handshake(&self, tcp: &TcpStream, deadline: Instant) -> Result<(), String> {
        let send = |raw: &[u8]| tcp.write_until(raw, deadline);
        let mut raw = lock(&self.reading);
        let mut heard = 0;
        loop {
            self.flush(send).map_err(|e| words::handshake(&e, heard))?;
            if !lock(&self.state).is_handshaking() {
                return Ok(());
            }
            if raw.is_empty() {
                raw.fill(|bytes| tcp.read_until(bytes, deadline))
                    .map_err(|e| words::handshake(&e, heard))?;
                if raw.is_empty() {
                    return Err(words::ended(heard));
                }
                if heard == 0 && !FIRST.contains(&raw.bytes[0]) {
                    if matches!(&*lock(&self.state), Connection::Server(_)) {
                        let _ = send_all(NOT_PLAIN.as_bytes(), send);
                    }
                    return Err(words::FOREIGN.to_owned());
                }
                heard += raw.end;
                if heard > HANDSHAKE {
                    return Err("more bytes than a TLS handshake has".to_owned());
                }
            }
            let fed = raw.feed(&mut lock(&self.state));
            if let Err(e) = fed {
                // The other side hears why, if it can.
                let _ = self.flush(send);
                return Err(words::handshake(&e, heard));
            }
        }
    }

    /// Waits with `receive` until there is something to read; a piece of a record is nothing yet.
    ///
    /// # Errors
    /// Those of `receive`; `UnexpectedEof` when the connection ended and nobody said that it should; `InvalidData`.
    pub fn read(
        &self,
        buf: &mut [u8],
        receive: impl Fn(&mut [u8]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let mut raw = lock(&self.reading);
        loop {
            let mut state = lock(&self.state);
            match state.reader().read(buf) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                read => return read,
            }
            if !raw.is_empty() {
                raw.feed(&mut state)?;
                continue;
            }
            drop(state);
            raw.fill(&receive)?;
            if raw.is_empty() {
                // The state is to know that nothing more comes.
                lock(&self.state).read_tls(&mut io::empty())?;
            }
        }
    }

    /// # Errors
    /// Those of `send`. Nothing can be written after one: the other side would miss a piece.
    pub fn write(
        &self,
        buf: &[u8],
        send: impl Fn(&[u8]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let _writing = lock(&self.writing);
        let (taken, records) = {
            let mut state = lock(&self.state);
            (state.writer().write(buf)?, records(&mut state)?)
        };
        send_all(&records, send)?;
        Ok(taken)
    }

    /// Tells the other side that nothing more comes. Not when another thread is writing: that one may wait for long,
    /// and what it writes would stand behind the end.
    pub fn say_farewell(&self, tcp: &TcpStream, deadline: Instant) {
        let _writing = match self.writing.try_lock() {
            Ok(writing) => writing,
            Err(TryLockError::Poisoned(writing)) => writing.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        let records = {
            let mut state = lock(&self.state);
            state.send_close_notify();
            records(&mut state)
        };
        if let Ok(records) = records {
            let _ = send_all(&records, |raw| tcp.write_until(raw, deadline));
        }
    }

    /// Sends what the state itself has to say.
    fn flush(&self, send: impl Fn(&[u8]) -> io::Result<usize>) -> io::Result<()> {
        let _writing = lock(&self.writing);
        let records = records(&mut lock(&self.state))?;
        send_all(&records, send)
    }
}

impl Raw {
    fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Waits for bytes; it is empty afterwards when the other side sends no more.
    fn fill(&mut self, receive: impl Fn(&mut [u8]) -> io::Result<usize>) -> io::Result<()> {
        (self.start, self.end) = (0, 0);
        self.end = receive(&mut self.bytes[..])?;
        Ok(())
    }

    fn feed(&mut self, state: &mut Connection) -> io::Result<()> {
        let taken = state.read_tls(&mut &self.bytes[self.start..self.end])?;
        if taken == 0 {
            // The other side said that it says no more, and went on.
            return Err(io::ErrorKind::InvalidData.into());
        }
        self.start += taken;
        state
            .process_new_packets()
            .map(drop)
            .map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))
    }
}

/// What the state wants to have sent.
fn records(state: &mut Connection) -> io::Result<Vec<u8>> {
    let mut records = Vec::new();
    while state.wants_write() {
        state.write_tls(&mut records)?;
    }
    Ok(records)
}

fn send_all(mut bytes: &[u8], send: impl Fn(&[u8]) -> io::Result<usize>) -> io::Result<()> {
    while !bytes.is_empty() {
        match send(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(sent) => bytes = &bytes[sent..],
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
