//! What goes back to a client. Header values are constants and checked numbers only: nothing that a client, a peer or
//! a miner sent can stand in one.
use std::borrow::Cow;
use std::io::Cursor;

use serde::Serialize;
use tiny_http::{Header, Response, StatusCode};

use super::auth::SessionId;
use crate::model::fault::{Code, Fault};

pub const JSON: &str = "application/json";

/// Headers of every answer.
const ALWAYS: &[(&str, &str)] = &[
    ("Server", "miner-cli"),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Frame-Options", "DENY"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
];
pub const API_POLICY: &str = "default-src 'none'; frame-ancestors 'none'";
/// Nothing inline, nothing from elsewhere, and no text can become markup or script.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; \
    frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub kind: &'static str,
    pub body: Cow<'static, [u8]>,
    pub extra: Option<Extra>,
    /// A file of the dashboard: kept by the browser, but asked for again.
    page: bool,
}

/// The headers that only some answers have.
#[derive(Clone, Debug)]
pub enum Extra {
    /// Methods of a route.
    Allow(Vec<&'static str>),
    /// Seconds.
    RetryAfter(u64),
    Authenticate,
    /// A session for the dashboard that is reached by this port: browsers do not keep cookies apart by port. Without a
    /// path the cookie goes to the folder of this request alone, which is the API, wherever a proxy has put it.
    Session {
        port: u16,
        id: SessionId,
        /// The page came by TLS.
        secure: bool,
    },
    NoSession(u16),
    /// Seconds from one point of a chart to the next.
    Resolution(i64),
}

impl Extra {
    fn header(&self) -> (&'static str, String) {
        match self {
            Self::Allow(methods) => ("Allow", methods.join(", ")),
            Self::Resolution(seconds) => ("Resolution", seconds.to_string()),
            Self::RetryAfter(seconds) => ("Retry-After", seconds.to_string()),
            Self::Authenticate => ("WWW-Authenticate", "Bearer".to_owned()),
            Self::Session { port, id, secure } => {
                let age = super::auth::SESSION_IDLE.as_secs();
                let (text, secure) = (id.text(), if *secure { "; Secure" } else { "" });
                let value = format!(
                    "miner-{port}={text}; Max-Age={age}; HttpOnly; SameSite=Strict{secure}"
                );
                ("Set-Cookie", value)
            }
            Self::NoSession(port) => {
                let value = format!("miner-{port}=; Max-Age=0; HttpOnly; SameSite=Strict");
                ("Set-Cookie", value)
            }
        }
    }
}

impl Answer {
    #[must_use]
    pub fn json(status: u16, value: &impl Serialize) -> Self {
        match serde_json::to_vec(value) {
            Ok(body) => Self { status, kind: JSON, body: body.into(), extra: None, page: false },
            Err(e) => {
                crate::error!("an answer could not be written as JSON: {e}");
                Self::fault(&Fault::new(Code::Internal, "the answer could not be written"))
            }
        }
    }

    /// `{"status": "…"}`.
    #[must_use]
    pub fn status(text: &str) -> Self {
        Self::json(200, &serde_json::json!({ "status": text }))
    }

    #[must_use]
    pub fn empty() -> Self {
        Self { status: 204, kind: JSON, body: Cow::Borrowed(&[]), extra: None, page: false }
    }

    #[must_use]
    pub fn fault(fault: &Fault) -> Self {
        let body = serde_json::to_vec(fault).unwrap_or_default();
        let extra = match fault.code {
            Code::TooMany => Some(Extra::RetryAfter(super::auth::WINDOW.as_secs())),
            Code::Unauthorized => Some(Extra::Authenticate),
            Code::Unavailable => Some(Extra::RetryAfter(1)),
            _ => None,
        };
        let status = fault.code.status();
        Self { status, kind: JSON, body: body.into(), extra, page: false }
    }

    /// Plain text of some `kind`, which is a Content-Type.
    #[must_use]
    pub fn text(kind: &'static str, text: String) -> Self {
        Self { status: 200, kind, body: text.into_bytes().into(), extra: None, page: false }
    }

    #[must_use]
    pub fn page(status: u16, kind: &'static str, body: &'static [u8]) -> Self {
        Self { status, kind, body: Cow::Borrowed(body), extra: None, page: true }
    }

    #[must_use]
    pub fn with(self, extra: Extra) -> Self {
        Self { extra: Some(extra), ..self }
    }

    fn headers(&self) -> Vec<(&'static str, String)> {
        let mut all: Vec<_> =
            ALWAYS.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let (cache, policy) =
            if self.page { ("no-cache", PAGE_POLICY) } else { ("no-store", API_POLICY) };
        all.push(("Cache-Control", cache.to_owned()));
        all.push(("Content-Security-Policy", policy.to_owned()));
        if self.status != 204 {
            all.push(("Content-Type", self.kind.to_owned()));
        }
        all.extend(self.extra.as_ref().map(Extra::header));
        all
    }

    /// For the inner server. Never chunked: the length is known.
    #[must_use]
    pub fn into_response(self) -> Response<Cursor<Cow<'static, [u8]>>> {
        let headers = self
            .headers()
            .into_iter()
            .filter_map(|(name, value)| Header::from_bytes(name, value).ok())
            .collect();
        let length = self.body.len();
        let body = Cursor::new(self.body);
        Response::new(StatusCode(self.status), headers, body, Some(length), None)
            .with_chunked_threshold(usize::MAX)
    }

    /// For the gate's own answers.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        let reason = StatusCode(self.status).default_reason_phrase();
        let mut out = format!("HTTP/1.1 {} {reason}\r\nConnection: close\r\n", self.status);
        for (name, value) in self.headers() {
            out.push_str(&format!("{name}: {value}\r\n"));
        }
        out.push_str(&format!("Content-Length: {}\r\n\r\n", self.body.len()));
        let mut out = out.into_bytes();
        out.extend_from_slice(&self.body);
        out
    }

    /// The head of a stream of events, written by hand: tiny_http would hold the first 8 KiB back.
    #[must_use]
    pub fn stream_head() -> String {
        let stream = Self {
            status: 200,
            kind: "text/event-stream",
            body: Cow::Borrowed(&[]),
            extra: None,
            page: false,
        };
        // nginx would hold events back otherwise.
        let mut out = "HTTP/1.1 200 OK\r\nX-Accel-Buffering: no\r\n".to_owned();
        for (name, value) in stream.headers() {
            out.push_str(&format!("{name}: {value}\r\n"));
        }
        out + "\r\n"
    }
}
