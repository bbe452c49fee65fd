//! A small blocking HTTP/1.1 client: one request a connection, everything bounded in size and time.
//! The command line asks the daemon with it, the miner adapters ask the miners.
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::sys::net::{self, DeadlineStream, Timed};

/// The longest head of an answer, in bytes.
const MOST_HEAD: usize = 16 * 1024;
/// The most header lines of an answer.
const MOST_LINES: usize = 64;
/// The longest line that tells the size of a chunk, with its extensions.
const MOST_CHUNK_LINE: usize = 256;
/// "No deadline", for the body of a stream.
const FAR: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

#[derive(Clone, Copy, Debug)]
pub struct HttpRequest<'a> {
    pub method: &'a str,
    /// `host:port`; also the Host header.
    pub address: &'a str,
    /// From the `/` on, already percent-encoded.
    pub path: &'a str,
    pub headers: &'a [(&'a str, &'a str)],
    pub body: Option<&'a [u8]>,
    /// From the connect to the last byte of the answer (of its head, for [`open_stream`]).
    pub deadline: Duration,
    /// The longest body that is taken, in bytes. [`open_stream`] does not heed it.
    pub most: usize,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HttpAnswer {
    pub status: u16,
    /// Names in lower case, in the order they came.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// Why there is no answer. The text is a sentence without a capital and a full stop.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum HttpError {
    /// No connection: refused, no route, no such host.
    Refused(String),
    TimedOut,
    /// Not HTTP, ended early, or a request that cannot be written as HTTP.
    Malformed(String),
    /// The body is longer than the asker takes.
    TooLarge,
}

impl std::fmt::Display for HttpError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused(why) => write!(f, "no connection: {why}"),
            Self::TimedOut => f.write_str("no answer in time"),
            Self::Malformed(why) => f.write_str(why),
            Self::TooLarge => f.write_str("the answer is too long"),
        }
    }
}

impl std::error::Error for HttpError {}

impl From<io::Error> for HttpError {
    fn from(e: io::Error) -> Self {
        match e.kind() {
            io::ErrorKind::TimedOut => Self::TimedOut,
            io::ErrorKind::UnexpectedEof => malformed("the answer ended early"),
            _ => Self::Malformed(format!("the connection broke: {e}")),
        }
    }
}

fn malformed(why: &str) -> HttpError {
    HttpError::Malformed(why.to_owned())
}

/// Asks and reads the whole answer. Any status is an answer.
///
/// # Errors
/// There was none that could be read within `deadline` and `most`.
pub fn send(request: &HttpRequest<'_>) -> Result<HttpAnswer, HttpError> {
    open(request)?.whole(request.most)
}

/// Asks and returns as soon as the head of the answer is there; its body is read from what is returned, with no
/// deadline: for streams of events that last as long as both sides want.
///
/// # Errors
/// There was no head that could be read within `deadline`.
pub fn open_stream(request: &HttpRequest<'_>) -> Result<HttpStream, HttpError> {
    open(request).map(HttpStream::lasting)
}

/// An answer whose body is still to be read.
#[derive(Debug)]
pub struct HttpStream<S = DeadlineStream> {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    inner: S,
    /// Bytes that came with the head and are not read yet.
    ahead: io::Cursor<Vec<u8>>,
    left: Left,
}

/// What of the body is still to come.
#[derive(Clone, Copy, Debug)]
enum Left {
    Length(u64),
    /// Bytes of the present chunk.
    Chunk(u64),
    /// The size line of a chunk comes next; `true` for the first one, which no line end precedes.
    ChunkLine(bool),
    UntilClose,
    Nothing,
}

fn open(request: &HttpRequest<'_>) -> Result<HttpStream, HttpError> {
    // What cannot be asked needs no connection.
    request_head(request)?;
    let deadline = Instant::now() + request.deadline;
    ask_over(request, DeadlineStream::new(connect(request, deadline)?, deadline))
}

/// TCP to the server.
///
/// # Errors
/// There is nobody, or not in time.
pub fn connect(request: &HttpRequest<'_>, deadline: Instant) -> Result<TcpStream, HttpError> {
    net::connect(request.address, deadline).map_err(|e| match e.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => HttpError::TimedOut,
        _ => HttpError::Refused(e.to_string()),
    })
}

/// Asks over a connection that is there, encrypted perhaps, and returns with the head of the answer: the body is not
/// read. `address` is the Host header alone; the connection keeps to its own deadline.
///
/// # Errors
/// There was no head that could be read.
pub fn ask_over<S: Read + Write>(
    request: &HttpRequest<'_>,
    mut inner: S,
) -> Result<HttpStream<S>, HttpError> {
    let head = request_head(request)?;
    // A server may answer and close before it has read everything (413 to a long body), so the answer is looked for
    // even when writing fails.
    let written = inner
        .write_all(&head)
        .and_then(|()| inner.write_all(request.body.unwrap_or(&[])))
        .and_then(|()| inner.flush());
    match (read_head(request.method, inner), written) {
        (Ok(stream), _) => Ok(stream),
        (Err(_), Err(e)) => Err(e.into()),
        (Err(e), Ok(())) => Err(e),
    }
}

/// The request line and headers; whatever could forge a second line is refused.
fn request_head(request: &HttpRequest<'_>) -> Result<Vec<u8>, HttpError> {
    let word = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
    let value = |text: &str| text.bytes().all(|b| b == b' ' || b == b'\t' || b.is_ascii_graphic());
    if !word(request.method) || !word(request.address) {
        return Err(malformed("this method or address cannot stand in a request"));
    }
    if !word(request.path) || !request.path.starts_with('/') {
        return Err(malformed("this path cannot stand in a request"));
    }
    let mut head = format!(
        "{} {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nAccept-Encoding: identity\r\n",
        request.method, request.path, request.address
    );
    for (name, text) in request.headers {
        if !word(name) || name.contains(':') || !value(text) {
            return Err(malformed("a header has characters that cannot stand in a request"));
        }
        head.push_str(&format!("{name}: {text}\r\n"));
    }
    if let Some(body) = request.body {
        head.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    head.push_str("\r\n");
    Ok(head.into_bytes())
}

fn read_head<S: Read>(method: &str, mut inner: S) -> Result<HttpStream<S>, HttpError> {
    let mut got = Vec::new();
    let mut part = [0; 4096];
    loop {
        let n = inner.read(&mut part)?;
        if n == 0 {
            return Err(malformed("the answer ended early"));
        }
        got.extend_from_slice(&part[..n]);
        if let Some((status, headers, end)) = parse_head(&got)? {
            let left = body_left(method, status, &headers)?;
            let ahead = io::Cursor::new(got.split_off(end));
            return Ok(HttpStream { status, headers, inner, ahead, left });
        }
        if got.len() > MOST_HEAD {
            return Err(malformed("the head of the answer is too long"));
        }
    }
}

type Head = (u16, Vec<(String, String)>, usize);

/// Status, headers and the length of the head; `None` while it is incomplete.
fn parse_head(got: &[u8]) -> Result<Option<Head>, HttpError> {
    let mut lines = [httparse::EMPTY_HEADER; MOST_LINES];
    let mut answer = httparse::Response::new(&mut lines);
    let end = match answer.parse(got) {
        Ok(httparse::Status::Complete(end)) => end,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(e) => return Err(HttpError::Malformed(format!("the answer is not HTTP: {e}"))),
    };
    let status = answer.code.unwrap_or(0);
    if !(200..=599).contains(&status) {
        return Err(HttpError::Malformed(format!("status {status} is no final answer")));
    }
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let headers =
        answer.headers.iter().map(|h| (h.name.to_ascii_lowercase(), text(h.value))).collect();
    Ok(Some((status, headers, end)))
}

/// How the body's end is known. Two lengths that differ, or a length beside chunks, are an attack or a wreck.
fn body_left(method: &str, status: u16, headers: &[(String, String)]) -> Result<Left, HttpError> {
    if method == "HEAD" || status == 204 || status == 304 {
        return Ok(Left::Nothing);
    }
    let all = |wanted: &'static str| {
        headers.iter().filter(move |(name, _)| name == wanted).map(|(_, value)| value.trim())
    };
    let mut lengths = all("content-length");
    let first = lengths.next();
    if lengths.any(|other| Some(other) != first) {
        return Err(malformed("the answer has two lengths"));
    }
    let mut codings = all("transfer-encoding");
    match (codings.next(), first) {
        (None, None) => Ok(Left::UntilClose),
        (None, Some(n)) if n.bytes().all(|b| b.is_ascii_digit()) => n
            .parse()
            .map(Left::Length)
            .map_err(|_| malformed("the length of the answer is no number")),
        (None, Some(_)) => Err(malformed("the length of the answer is no number")),
        (Some(coding), None)
            if coding.eq_ignore_ascii_case("chunked") && codings.next().is_none() =>
        {
            Ok(Left::ChunkLine(true))
        }
        _ => Err(malformed("the answer's Transfer-Encoding is not understood")),
    }
}

impl<S: Timed> HttpStream<DeadlineStream<S>> {
    /// From now on without a deadline.
    #[must_use]
    pub fn lasting(mut self) -> Self {
        self.inner.set_deadline(Instant::now() + FAR);
        self
    }
}

impl<S: Read> HttpStream<S> {
    /// Reads the body to its end.
    ///
    /// # Errors
    /// It ends early, takes too long, or has more than `most` bytes.
    pub fn whole(self, most: usize) -> Result<HttpAnswer, HttpError> {
        if matches!(self.left, Left::Length(n) if n > most as u64) {
            return Err(HttpError::TooLarge);
        }
        let (status, headers) = (self.status, self.headers.clone());
        let mut body = Vec::new();
        self.take(most as u64 + 1).read_to_end(&mut body)?;
        if body.len() > most {
            return Err(HttpError::TooLarge);
        }
        Ok(HttpAnswer { status, headers, body })
    }

    fn raw_read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.ahead.position() == self.ahead.get_ref().len() as u64 {
            let mut part = [0; 4096];
            let n = self.inner.read(&mut part)?;
            self.ahead = io::Cursor::new(part[..n].to_vec());
        }
        self.ahead.read(buf)
    }

    /// Reads at most `most` bytes of a body part that ends before the connection does.
    fn read_part(&mut self, buf: &mut [u8], most: u64) -> io::Result<usize> {
        let room = buf.len().min(usize::try_from(most).unwrap_or(usize::MAX));
        match self.raw_read(&mut buf[..room])? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            n => Ok(n),
        }
    }

    /// A line up to LF, without its line end.
    fn read_line(&mut self) -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        let mut byte = [0];
        loop {
            if self.read_part(&mut byte, 1)? == 1 && byte[0] == b'\n' {
                if line.last() == Some(&b'\r') {
                    line.pop();
                }
                return Ok(line);
            }
            if line.len() == MOST_CHUNK_LINE {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a chunk is malformed"));
            }
            line.push(byte[0]);
        }
    }

    fn read_chunk_line(&mut self, first: bool) -> io::Result<Left> {
        let wrong = || io::Error::new(io::ErrorKind::InvalidData, "a chunk is malformed");
        if !first && !self.read_line()?.is_empty() {
            return Err(wrong());
        }
        let line = self.read_line()?;
        match httparse::parse_chunk_size(&[&line[..], b"\r\n"].concat()) {
            Ok(httparse::Status::Complete((_, 0))) => Ok(Left::Nothing),
            Ok(httparse::Status::Complete((_, size))) => Ok(Left::Chunk(size)),
            _ => Err(wrong()),
        }
    }
}

/// The body without its framing. An answer that ends before its announced end is an `UnexpectedEof`.
impl<S: Read> Read for HttpStream<S> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        loop {
            match self.left {
                Left::Nothing | Left::Length(0) => return Ok(0),
                Left::UntilClose => return self.raw_read(buf),
                Left::Length(most) => {
                    let n = self.read_part(buf, most)?;
                    self.left = Left::Length(most - n as u64);
                    return Ok(n);
                }
                Left::Chunk(0) => self.left = Left::ChunkLine(false),
                Left::Chunk(most) => {
                    let n = self.read_part(buf, most)?;
                    self.left = Left::Chunk(most - n as u64);
                    return Ok(n);
                }
                Left::ChunkLine(first) => self.left = self.read_chunk_line(first)?,
            }
        }
    }
}

#[cfg(test)]
mod tests;
