//! Finds the daemon and asks it, over REST alone.
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Session;
use super::exit::Failure;
use crate::config::{Paths, RunFile};
use crate::httpc::{self, HttpAnswer, HttpError, HttpRequest, HttpStream};
use crate::model::address;
use crate::model::fault::{Code, Fault};
use crate::model::trust::{Pin, Trust};
use crate::sys::files;
use crate::sys::net::DeadlineStream;
use crate::tls::{self, Stream};

pub const BASE: &str = "/api/v1/mining";

/// Longer than the daemon's own patience with any rig (35 s) and its queue (10 s), so that its sentence about a
/// time-out arrives.
const PATIENCE: Duration = Duration::from_secs(50);
/// For finding out whether a daemon runs.
const KNOCK: Duration = Duration::from_secs(3);
/// The longest answer, in bytes: 10,000 lines of a log fit.
const MOST: usize = 64 << 20;
/// The longest file of certificates, in bytes: what the daemon takes.
const MOST_CERTIFICATES: usize = 64 * 1024;

/// An answer whose body is still to be read.
pub type Answering = HttpStream<DeadlineStream<Stream>>;

#[derive(Debug)]
pub struct Client {
    address: String,
    /// Of an API under TLS.
    tls: Option<tls::Client>,
    token: String,
    hint: String,
}

/// An answer that was not an error, as the daemon wrote it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reply {
    pub text: String,
}

impl Reply {
    /// # Errors
    /// The answer has another shape than this version knows.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_str(&self.text)
            .map_err(|e| Failure::own(format!("the daemon's answer is not understood: {e}")))
    }
}

impl Client {
    /// The daemon that the options name, or the one of this home.
    ///
    /// # Errors
    /// No daemon runs there, or its token cannot be read.
    pub fn find(session: &Session) -> Result<Self, Failure> {
        let paths = session.paths()?;
        let run = run_file(&paths)?;
        let hint = start_hint(session);
        let named = session.globals.api.as_ref().or(session.environment.api.as_ref());
        let target = match (named, &run) {
            (Some(api), _) => target(api)?,
            (None, Some(run)) => target(&run.api)?,
            (None, None) => {
                let message = format!(
                    "the daemon does not answer: it does not run (there is no {})",
                    paths.run_file().display()
                );
                return Err(Failure::NoDaemon { message, hint });
            }
        };
        // The token of this home goes to this home's daemon only: another address may be another person's.
        let own = run.and_then(|run| Some((self::target(&run.api).ok()?, run)));
        let own = own.filter(|(own, _)| same(&own.address, &target.address));
        let Target { address, https } = target;
        let https = https.or_else(|| own.as_ref().and_then(|(own, _)| own.https));
        let tls = if https == Some(true) {
            let pin = own.as_ref().and_then(|(_, run)| run.api_pin);
            Some(trusting(session, pin)?)
        } else {
            None
        };
        let token = match (&session.globals.token_file, &session.environment.token) {
            (Some(file), _) => read_token(file)?,
            (None, Some(token)) => token.clone(),
            (None, None) if own.is_some() => read_token(&paths.token_file())?,
            (None, None) => {
                let message = format!("no token is known for the daemon at {address}");
                let hint = "name one: --token-file FILE, or the token in MINER_CLI_TOKEN";
                return Err(Fault::new(Code::Unauthorized, message).hint(hint).into());
            }
        };
        Ok(Self { address, tls, token, hint })
    }

    /// As [`Client::find`]; `None` when no daemon runs on this home and no other was named.
    ///
    /// # Errors
    /// As [`Client::find`]; and a daemon that is there but does not answer.
    pub fn find_running(session: &Session) -> Result<Option<Self>, Failure> {
        if session.globals.api.is_none() && session.environment.api.is_none() {
            let Some(run) = run_file(&session.paths()?)? else { return Ok(None) };
            let Target { address, .. } = target(&run.api)?;
            // An API under TLS answers this too, if not with health.
            let health = HttpRequest { deadline: KNOCK, ..get(&address, "/health", &[]) };
            // A run file that was left behind by a daemon that was killed.
            if let Err(HttpError::Refused(_)) = httpc::send(&health) {
                return Ok(None);
            }
        }
        Self::find(session).map(Some)
    }

    /// `http://host:port`, or `https://…`.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// `path` from behind the base on: `/peers`.
    ///
    /// # Errors
    /// What the daemon says is wrong, or that it does not answer.
    pub fn get(&self, path: &str) -> Result<Reply, Failure> {
        self.ask("GET", path, None)
    }

    /// # Errors
    /// As [`Client::get`].
    pub fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Reply, Failure> {
        let body = body.map(Value::to_string);
        let answer =
            self.raw(method, &format!("{BASE}{path}"), body.as_deref().map(str::as_bytes))?;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        if (200..300).contains(&answer.status) {
            Ok(Reply { text })
        } else {
            Err(fault_of(answer.status, &text).into())
        }
    }

    /// Whatever the daemon answers; `path` is the whole one.
    ///
    /// # Errors
    /// There is no answer.
    pub fn raw(
        &self,
        method: &str,
        path: &str,
        body: Option<&[u8]>,
    ) -> Result<HttpAnswer, Failure> {
        let bearer = format!("Bearer {}", self.token);
        let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
        let used = if body.is_some() { &headers[..] } else { &headers[..1] };
        let request = HttpRequest { method, body, ..get(&self.address, path, used) };
        self.open(&request)?.whole(MOST).map_err(|e| self.failure(&e))
    }

    fn open(&self, request: &HttpRequest<'_>) -> Result<Answering, Failure> {
        let deadline = Instant::now() + request.deadline;
        let tcp = httpc::connect(request, deadline).map_err(|e| self.failure(&e))?;
        let stream = match &self.tls {
            None => Stream::Plain(tcp),
            Some(tls) => self.under_tls(tls, tcp, deadline).map_err(|why| Failure::NoDaemon {
                message: format!("no connection to {}: {why}", self.url()),
                hint: "name the authority of its certificate: --api-ca FILE".to_owned(),
            })?,
        };
        httpc::ask_over(request, DeadlineStream::new(stream, deadline))
            .map_err(|e| self.failure(&e))
    }

    fn under_tls(
        &self,
        tls: &tls::Client,
        tcp: TcpStream,
        deadline: Instant,
    ) -> Result<Stream, String> {
        let (host, _) = address::split(&self.address)?;
        let stream = tls.over(tcp, host)?;
        stream.open(deadline)?;
        Ok(stream)
    }

    /// A stream of events.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub fn stream(&self, path: &str) -> Result<Answering, Failure> {
        let bearer = format!("Bearer {}", self.token);
        let headers = [("Authorization", bearer.as_str()), ("Accept", "text/event-stream")];
        let path = format!("{BASE}{path}");
        let request = get(&self.address, &path, &headers);
        let mut stream = self.open(&request)?.lasting();
        if stream.status == 200 {
            return Ok(stream);
        }
        let mut text = String::new();
        let part = std::io::Read::by_ref(&mut stream);
        let _ = std::io::Read::read_to_string(&mut std::io::Read::take(part, 1 << 16), &mut text);
        Err(fault_of(stream.status, &text).into())
    }

    fn failure(&self, e: &HttpError) -> Failure {
        match e {
            HttpError::TooLarge => Failure::own(format!("{e}: more than {MOST} bytes")),
            _ => Failure::NoDaemon {
                message: format!("the daemon does not answer at {}: {e}", self.url()),
                hint: self.hint.clone(),
            },
        }
    }
}

fn get<'a>(address: &'a str, path: &'a str, headers: &'a [(&'a str, &'a str)]) -> HttpRequest<'a> {
    let (method, body) = ("GET", None);
    HttpRequest { method, address, path, headers, body, deadline: PATIENCE, most: MOST }
}

/// `text` as one segment of a path.
#[must_use]
pub fn segment(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            // `.` too: `.` and `..` alone would name another path.
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// What an answer with an error status says.
#[must_use]
pub fn fault_of(status: u16, text: &str) -> Fault {
    if let Ok(fault) = serde_json::from_str(text) {
        return fault;
    }
    let code = Code::ALL.iter().copied().find(|code| code.status() == status);
    Fault::new(code.unwrap_or(Code::Internal), format!("the daemon answered with status {status}"))
}

/// The token in `file`.
///
/// # Errors
/// It cannot be read or is empty.
pub fn read_token(file: &Path) -> Result<String, Failure> {
    let wrong = |why: String| {
        let hint = "read it as the user who runs the daemon, or name another: --token-file FILE";
        let message = format!("the API token cannot be read from {}: {why}", file.display());
        Failure::from(Fault::new(Code::Unauthorized, message).hint(hint))
    };
    let text = std::fs::read_to_string(file).map_err(|e| wrong(e.to_string()))?;
    let token = text.trim();
    if token.is_empty() || !token.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(wrong("there is no token in it".to_owned()));
    }
    Ok(token.to_owned())
}

/// What the daemon says of itself, where one has.
fn run_file(paths: &Paths) -> Result<Option<RunFile>, Fault> {
    RunFile::read(&paths.run_file()).map_err(|fault| match paths.service {
        true => fault.hint("sudo usermod -aG miner-cli USER, then log in again; or use sudo"),
        false => fault,
    })
}

/// Whether the daemon of this node runs, as far as its run file and the kernel know.
#[must_use]
pub fn runs(paths: &Paths) -> bool {
    let program = |pid: &str| std::fs::read(format!("/proc/{pid}/comm")).ok();
    match RunFile::read(&paths.run_file()) {
        // A killed daemon leaves its run file, and the kernel gives its number to another program.
        Ok(run) => run.is_some_and(|run| program(&run.pid.to_string()) == program("self")),
        Err(_) => true,
    }
}

/// How to start the daemon that was not found.
#[must_use]
pub fn start_hint(session: &Session) -> String {
    match &session.globals.home {
        Some(home) => format!("start it: miner-cli --home {} node serve", home.display()),
        None if session.has_service() => {
            "start it: sudo systemctl start miner-cli (a node of your own: miner-cli --home DIR …)"
                .to_owned()
        }
        None => "start it: miner-cli node serve".to_owned(),
    }
}

/// Whose word is enough for the API's certificate: of what was named, else the run file's for the daemon of this home,
/// else the system's.
fn trusting(session: &Session, own: Option<Pin>) -> Result<tls::Client, Failure> {
    let trust = match (&session.globals.api_ca, own) {
        (Some(file), _) => Trust::Ca(read_certificates(file)?),
        (None, Some(pin)) => Trust::Pin(pin),
        (None, None) => Trust::System,
    };
    tls::Client::new(&trust).map_err(|why| {
        let file = session.globals.api_ca.as_deref().unwrap_or(Path::new("the system's list"));
        Failure::Usage(format!("{}: {why}", file.display()))
    })
}

/// The text of a file of certificates.
///
/// # Errors
/// It cannot be read, or is no text.
pub fn read_certificates(file: &Path) -> Result<String, Failure> {
    let wrong = |why: &str| Failure::Usage(format!("{}: {why}", file.display()));
    let bytes = files::read_small(file, MOST_CERTIFICATES)?;
    let bytes = bytes.ok_or_else(|| wrong("there is no such file"))?;
    String::from_utf8(bytes).map_err(|_| wrong("this is no PEM text"))
}

/// Where an API is; `https` is unknown when that was not said.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Target {
    address: String,
    https: Option<bool>,
}

/// Out of what was typed: a URL or an address.
fn target(text: &str) -> Result<Target, Failure> {
    let (https, rest) = match text.split_once("://") {
        Some(("http", rest)) => (Some(false), rest),
        Some(("https", rest)) => (Some(true), rest),
        _ => (None, text),
    };
    Ok(Target { address: address(text, rest)?, https })
}

/// `host:port`. Addresses that mean "every interface" become loopback, because the API answers to the names of this
/// node only.
fn address(text: &str, rest: &str) -> Result<String, Failure> {
    let plain = rest.trim_end_matches('/');
    let plain = plain.strip_suffix(BASE).unwrap_or(plain);
    let wrong = || Failure::Usage(format!("{text:?} is no address of an API: HOST:PORT is wanted"));
    let (host, port) = plain.rsplit_once(':').ok_or_else(wrong)?;
    let port: u16 = port.parse().map_err(|_| wrong())?;
    match host {
        "" | "0.0.0.0" => Ok(format!("127.0.0.1:{port}")),
        "[::]" => Ok(format!("[::1]:{port}")),
        _ if host.contains(['/', '@', ' ']) => Err(wrong()),
        _ => Ok(format!("{host}:{port}")),
    }
}

fn same(a: &str, b: &str) -> bool {
    let plain = |text: &str| text.replacen("localhost:", "127.0.0.1:", 1);
    plain(a) == plain(b)
}

#[cfg(test)]
mod tests {
    use super::{fault_of, same, segment, target};
    use crate::model::fault::Code;

    #[test]
    fn addresses_are_read() {
        for (typed, wanted) in [
            ("127.0.0.1:9090", "127.0.0.1:9090"),
            ("http://rig:9090/", "rig:9090"),
            ("http://rig:9090/api/v1/mining", "rig:9090"),
            (":9090", "127.0.0.1:9090"),
            ("0.0.0.0:9090", "127.0.0.1:9090"),
            ("[::]:9090", "[::1]:9090"),
        ] {
            assert_eq!(target(typed).unwrap().address, wanted);
        }
        for bad in ["", "rig", "wss://rig:1", "rig:port", "rig:99999", "a/b:1", "https://rig"] {
            assert!(target(bad).is_err(), "{bad}");
        }
        let https = |typed| target(typed).unwrap().https;
        assert_eq!(https("https://rig:9090/"), Some(true));
        assert_eq!((https("http://rig:9090"), https("rig:9090")), (Some(false), None));
        assert!(same("localhost:1", "127.0.0.1:1") && !same("rig:1", "127.0.0.1:1"));
    }

    #[test]
    fn a_name_becomes_one_segment_of_a_path() {
        assert_eq!(segment("rig-1"), "rig-1");
        assert_eq!(segment("Keller rig/№ 1?"), "Keller%20rig%2F%E2%84%96%201%3F");
        assert_eq!(segment(".."), "%2E%2E");
    }

    #[test]
    fn errors_of_the_daemon_are_read() {
        let fault =
            fault_of(404, r#"{"error":"no peer x","code":"PEER_NOT_FOUND","hint":"peer list"}"#);
        assert_eq!((fault.code, fault.hint.as_deref()), (Code::PeerNotFound, Some("peer list")));
        assert_eq!(fault_of(404, "<html>").code, Code::RouteNotFound);
        assert_eq!(fault_of(418, "").code, Code::Internal);
    }
}
