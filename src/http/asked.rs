//! A request as its handler sees it: parameters decoded, the sender known.
use crossbeam_channel::{SendTimeoutError, select};
use serde::de::DeserializeOwned;

use super::auth::Claim;
use super::{Shared, json};
use crate::bus::{self, Call, Event, Reply, Request};
use crate::model::fault::{Code, Fault};
use crate::model::text;
use crate::sys::clock;

pub struct Asked<'a> {
    pub shared: &'a Shared,
    /// In the order of the pattern, decoded.
    pub params: Vec<(&'static str, String)>,
    /// Decoded; only keys that the route knows, each once.
    pub query: Vec<(String, String)>,
    pub body: &'a [u8],
    pub content_type: Option<&'a str>,
    pub accept: Option<&'a str>,
    pub claim: Claim<'a>,
    /// For the audit log.
    pub who: &'static str,
    pub stream: Option<u64>,
    pub last_event: Option<&'a str>,
    pub origin: Option<&'a str>,
}

/// How long the registry's queue may be full before a request gives up.
const QUEUE_PATIENCE: std::time::Duration = std::time::Duration::from_secs(1);

impl Asked<'_> {
    /// A parameter of the path.
    ///
    /// # Panics
    /// When the route has no such parameter: table and handler stand side by side, and a test walks all routes.
    #[must_use]
    pub fn param(&self, name: &str) -> String {
        let found = self.params.iter().find(|(n, _)| *n == name);
        found.map(|(_, value)| value.clone()).expect("the route has this parameter")
    }

    /// A parameter of the query.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// `?lines=`, 1 to 10,000; 100 when left out.
    ///
    /// # Errors
    /// INVALID.
    pub fn lines(&self) -> Result<usize, Fault> {
        self.lines_or(100)
    }

    /// The same with another number when left out.
    ///
    /// # Errors
    /// INVALID.
    pub fn lines_or(&self, usual: usize) -> Result<usize, Fault> {
        Ok(self.lines_asked()?.unwrap_or(usual))
    }

    /// # Errors
    /// INVALID.
    fn lines_asked(&self) -> Result<Option<usize>, Fault> {
        let wrong = || Fault::new(Code::Invalid, "lines must be a number from 1 to 10000");
        match self.value("lines") {
            None => Ok(None),
            Some(text) => {
                let number = text.parse().map_err(|_| wrong())?;
                if (1..=10_000).contains(&number) { Ok(Some(number)) } else { Err(wrong()) }
            }
        }
    }

    /// The number of the last event that the client knows: `?since=`, or the header that browsers send when they
    /// connect again, which is the newer one.
    ///
    /// # Errors
    /// INVALID.
    pub fn since(&self) -> Result<Option<u64>, Fault> {
        let wrong = |_| Fault::new(Code::Invalid, "since must be the number of an event");
        let text = self.last_event.filter(|t| !t.is_empty()).or_else(|| self.value("since"));
        text.map(|t| t.parse().map_err(wrong)).transpose()
    }

    /// `?previous=`, `true` or `false`; false when left out.
    ///
    /// # Errors
    /// INVALID.
    pub fn previous(&self) -> Result<bool, Fault> {
        match self.value("previous") {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(Fault::new(Code::Invalid, "previous must be true or false")),
        }
    }

    /// # Errors
    /// INVALID: not declared as JSON, not JSON, or not of this shape.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Fault> {
        let declared = self.content_type.unwrap_or_default().split(';').next().unwrap_or_default();
        if self.body.is_empty() {
            return Err(Fault::new(Code::Invalid, "this needs a JSON body"));
        }
        if !declared.trim().eq_ignore_ascii_case("application/json") {
            return Err(Fault::new(
                Code::Invalid,
                "the body must be sent with Content-Type: application/json",
            ));
        }
        json::read(self.body)
    }

    /// As [`Asked::json`]; no body is the same as `{}`.
    ///
    /// # Errors
    /// As [`Asked::json`].
    pub fn json_or_default<T: DeserializeOwned + Default>(&self) -> Result<T, Fault> {
        if self.body.is_empty() { Ok(T::default()) } else { self.json() }
    }

    /// Asks the registry.
    ///
    /// # Errors
    /// The registry's answer; UNAVAILABLE when it takes no questions; TIMEOUT when it gives no answer.
    pub fn call(&self, request: Request) -> Result<Reply, Fault> {
        let patience = request.patience();
        let (reply, answer) = bus::reply_channel();
        let call = Event::Call(Call { request, who: self.who, reply });
        self.shared.context.events.send_timeout(call, QUEUE_PATIENCE).map_err(|e| match e {
            SendTimeoutError::Timeout(_) => {
                Fault::new(Code::Unavailable, "the daemon is busy; try again in a moment")
            }
            SendTimeoutError::Disconnected(_) => ending(),
        })?;
        select! {
            recv(answer) -> reply => reply.unwrap_or_else(|_| {
                Err(Fault::new(Code::Internal, "the daemon dropped the request without an answer"))
            }),
            recv(self.shared.closing) -> _ => Err(ending()),
            default(patience) => Err(Fault::new(Code::Timeout, "the daemon gave no answer in time")),
        }
    }

    #[must_use]
    pub fn has_session(&self) -> bool {
        self.shared.auth.session(&self.claim, clock::now()).is_some()
    }
}

fn ending() -> Fault {
    Fault::new(Code::Unavailable, "the daemon is ending")
}

/// Percent-decoded text of a path segment or a query.
///
/// # Errors
/// INVALID: a broken escape, no UTF-8, or characters that have no place in a name.
pub fn decode(part: &str) -> Result<String, Fault> {
    let wrong = |why: &str| Fault::new(Code::Invalid, format!("the address of this request {why}"));
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte != b'%' {
            bytes.push(*byte);
            continue;
        }
        let digits = rest.get(..2).filter(|d| d.iter().all(u8::is_ascii_hexdigit));
        let hex = digits.and_then(|d| std::str::from_utf8(d).ok());
        let value = hex.and_then(|h| u8::from_str_radix(h, 16).ok());
        bytes.push(value.ok_or_else(|| wrong("has a broken % escape"))?);
        rest = &rest[2..];
    }
    let text = String::from_utf8(bytes).map_err(|_| wrong("is not UTF-8"))?;
    if text.chars().any(text::is_unsafe) {
        return Err(wrong("has control characters or invisible ones"));
    }
    Ok(text)
}

/// The parts of a query; each of `known` may stand there once.
///
/// # Errors
/// INVALID.
pub fn query(text: &str, known: &[&str]) -> Result<Vec<(String, String)>, Fault> {
    let mut all: Vec<(String, String)> = Vec::new();
    for part in text.split('&').filter(|part| !part.is_empty()) {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let (name, value) = (decode(name)?, decode(&value.replace('+', " "))?);
        if !known.contains(&name.as_str()) {
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            return Err(Fault::new(
                Code::Invalid,
                format!("unknown query parameter `{name}`; known here: {known}"),
            ));
        }
        if all.iter().any(|(n, _)| *n == name) {
            return Err(Fault::new(
                Code::Invalid,
                format!("query parameter `{name}` stands there twice"),
            ));
        }
        all.push((name, value));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::{decode, query};

    #[test]
    fn a_name_comes_through_whatever_it_is() {
        assert_eq!(decode("Kellerrig%20N%c2%ba%2F7").unwrap(), "Kellerrig Nº/7");
        for bad in ["%", "%4", "%zz", "%+1", "%ff", "a%00", "%0d%0a", "%E2%80%AE"] {
            assert_eq!(decode(bad).unwrap_err().code.status(), 400, "{bad}");
        }
    }

    #[test]
    fn a_query_has_known_names_once() {
        assert_eq!(query("lines=5&&previous", &["lines", "previous"]).unwrap().len(), 2);
        assert!(query("lines=5&lines=6", &["lines"]).is_err());
        assert!(query("linse=5", &["lines"]).unwrap_err().message.contains("`linse`"));
    }
}
