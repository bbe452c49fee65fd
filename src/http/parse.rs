//! The head of a request: everything that is not plainly well-formed is refused here, so that what goes on to the
//! inner server has one meaning only.
use crate::model::fault::{Code, Fault};

pub const HEAD_BYTES: usize = 16 * 1024;
pub const HEAD_LINES: usize = 64;
pub const BODY_BYTES: usize = 256 * 1024;

macro_rules! verbs {
    ($($name:ident $text:literal)*) => {
        /// The methods that this server knows.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Verb { $($name,)* }

        impl Verb {
            #[must_use]
            pub fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$name),)* _ => None }
            }
        }
    };
}

verbs! { Get "GET" Head "HEAD" Post "POST" Put "PUT" Patch "PATCH" Delete "DELETE" Options "OPTIONS" }

impl Verb {
    /// May a request with this method change something?
    #[must_use]
    pub fn writes(self) -> bool {
        !matches!(self, Self::Get | Self::Head | Self::Options)
    }
}

/// What is kept of a request's head. All text is printable ASCII.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Head {
    pub verb: Verb,
    /// Path and query; begins with `/`.
    pub target: String,
    pub host: String,
    pub origin: Option<String>,
    pub authorization: Option<String>,
    pub cookie: Option<String>,
    pub content_type: Option<String>,
    pub accept: Option<String>,
    /// It asks for `text/event-stream`.
    pub wants_events: bool,
    /// The last event that the client has seen.
    pub last_event: Option<String>,
    /// Bytes of the body.
    pub length: usize,
    /// The client waits for `100 Continue` before it sends the body.
    pub expects_continue: bool,
}

fn invalid(why: &str) -> Fault {
    Fault::new(Code::Invalid, format!("this is no valid HTTP request: {why}"))
}

/// Where the head in `bytes` ends, if its end is there; the first `seen` bytes were looked at before.
///
/// # Errors
/// Bytes that cannot begin a request, so that nobody waits for the rest of them; a head that is too large.
pub fn head_end(bytes: &[u8], seen: usize) -> Result<Option<usize>, Fault> {
    if bytes.first().is_some_and(|b| !b.is_ascii_uppercase()) {
        return Err(invalid("it does not begin with a method (is this TLS?)"));
    }
    let from = seen.saturating_sub(3);
    let end = bytes[from..].windows(4).position(|w| w == b"\r\n\r\n").map(|at| from + at + 4);
    let head = &bytes[..end.unwrap_or(bytes.len())];
    if (seen..head.len()).any(|i| head[i] == b'\n' && head[i - 1] != b'\r') {
        return Err(invalid("a line ends without a carriage return"));
    }
    if head.len() > HEAD_BYTES || (end.is_none() && head.len() == HEAD_BYTES) {
        return Err(too_large("the head of the request is larger than 16 KiB"));
    }
    Ok(end)
}

fn too_large(why: &str) -> Fault {
    Fault::new(Code::TooLarge, why)
}

/// Reads a whole head, up to and with its empty line.
///
/// # Errors
/// INVALID, TOO_LARGE, UNSUPPORTED; the connection is closed after each of them.
pub fn head(bytes: &[u8]) -> Result<Head, Fault> {
    let mut lines = [httparse::EMPTY_HEADER; HEAD_LINES];
    let mut request = httparse::Request::new(&mut lines);
    match request.parse(bytes) {
        Ok(httparse::Status::Complete(n)) if n == bytes.len() => {}
        Ok(_) => return Err(invalid("its head does not end where it should")),
        Err(httparse::Error::TooManyHeaders) => {
            return Err(too_large("the request has more than 64 header lines"));
        }
        Err(e) => return Err(invalid(&e.to_string())),
    }
    let method = request.method.unwrap_or_default();
    let verb = Verb::parse(method).ok_or_else(|| invalid("its method is unknown"))?;
    let target = request.path.unwrap_or_default();
    if !target.starts_with('/') || !printable(target.as_bytes()) || target.contains(' ') {
        return Err(invalid("its target is not a path"));
    }
    let fields = Fields(request.headers);
    let accept = fields.all("accept");
    if fields.any("transfer-encoding") {
        let why = "transfer encodings are not supported: send a Content-Length";
        return Err(Fault::new(Code::Unsupported, why));
    }
    Ok(Head {
        verb,
        target: target.to_owned(),
        host: fields.one("host")?.ok_or_else(|| invalid("it has no Host header"))?,
        origin: fields.one("origin")?,
        authorization: fields.one("authorization")?,
        cookie: fields.one("cookie")?,
        content_type: fields.one("content-type")?,
        wants_events: accept
            .as_ref()
            .is_some_and(|all| all.to_ascii_lowercase().contains("text/event-stream")),
        accept,
        last_event: fields.one("last-event-id")?,
        length: length(fields.one("content-length")?.as_deref())?,
        expects_continue: expects(fields.one("expect")?.as_deref())? && request.version == Some(1),
    })
}

struct Fields<'a, 'b>(&'a [httparse::Header<'b>]);

impl Fields<'_, '_> {
    fn any(&self, name: &str) -> bool {
        self.0.iter().any(|h| h.name.eq_ignore_ascii_case(name))
    }

    /// A header that may stand there several times, which is the same as once with commas. A line that is empty or
    /// not ASCII is left out.
    fn all(&self, name: &str) -> Option<String> {
        let lines = self.0.iter().filter(|h| h.name.eq_ignore_ascii_case(name));
        let lines = lines.filter_map(|h| std::str::from_utf8(h.value).ok()).map(str::trim);
        let lines = lines.filter(|line| !line.is_empty() && printable(line.as_bytes()));
        let all = lines.collect::<Vec<_>>().join(", ");
        (!all.is_empty()).then_some(all)
    }

    /// A header that may stand there once.
    fn one(&self, name: &str) -> Result<Option<String>, Fault> {
        let mut found = self.0.iter().filter(|h| h.name.eq_ignore_ascii_case(name));
        let Some(first) = found.next() else { return Ok(None) };
        if found.next().is_some() {
            return Err(invalid(&format!("it has more than one {name} header")));
        }
        if !printable(first.value) {
            return Err(invalid(&format!("its {name} header has characters that are not ASCII")));
        }
        Ok(std::str::from_utf8(first.value).ok().map(|v| v.trim().to_owned()))
    }
}

fn printable(text: &[u8]) -> bool {
    text.iter().all(|b| (0x20..0x7f).contains(b))
}

/// Digits and nothing else: no sign, no list, no space inside.
fn length(value: Option<&str>) -> Result<usize, Fault> {
    let Some(value) = value else { return Ok(0) };
    if value.is_empty() || !value.bytes().all(|b| b.is_ascii_digit()) {
        return Err(invalid("its Content-Length is not a number"));
    }
    match value.parse() {
        Ok(length) if length <= BODY_BYTES => Ok(length),
        _ => Err(too_large("the body of the request is larger than 256 KiB")),
    }
}

fn expects(value: Option<&str>) -> Result<bool, Fault> {
    match value {
        None => Ok(false),
        Some(v) if v.eq_ignore_ascii_case("100-continue") => Ok(true),
        Some(_) => Err(invalid("it expects something other than 100-continue")),
    }
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
