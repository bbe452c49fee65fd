//! The inner server: tiny_http on a unix socket in a folder of ours. It sees only requests that the gate wrote.
use std::fs;
use std::io::{self, Read as _};
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tiny_http::{Request, Server};

use super::answer::Answer;
use super::crew::Crew;
use super::parse::{BODY_BYTES, Verb};
use super::sse;
use crate::model::fault::{Code, Fault};

/// The client's address and the number of its stream, in headers that the gate alone writes.
pub const FROM: &str = "X-Gate-From";
pub const STREAM: &str = "X-Gate-Stream";

/// A request as the gate passed it on.
pub struct Incoming {
    pub verb: Verb,
    pub target: String,
    pub host: String,
    pub authorization: Option<String>,
    pub cookie: Option<String>,
    pub content_type: Option<String>,
    pub accept: Option<String>,
    pub last_event: Option<String>,
    pub origin: Option<String>,
    pub from: IpAddr,
    /// For routes that stream.
    pub stream: Option<u64>,
    pub body: Vec<u8>,
}

/// What a handler makes of it.
pub enum Outcome {
    Answer(Answer),
    /// Writes events until the stream ends.
    Stream(sse::Stream),
}

pub type Handle = Arc<dyn Fn(&Incoming) -> Outcome + Send + Sync>;

pub struct Inner {
    dir: PathBuf,
    handle: Handle,
    crew: Arc<Crew>,
    /// `None` once it is closed.
    running: Mutex<Option<Running>>,
}

struct Running {
    /// Counts the servers built; each has a socket of its own, so that the end of one removes no other's.
    number: u64,
    path: PathBuf,
    server: Arc<Server>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Inner({})", self.dir.display())
    }
}

impl Inner {
    /// # Errors
    /// The folder or the socket cannot be made, or no thread can be had.
    pub fn start(dir: PathBuf, handle: Handle, crew: Arc<Crew>) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o700))?;
        let running = Mutex::new(Some(build(&dir, 1, &handle, &crew)?));
        Ok(Self { dir, handle, crew, running })
    }

    /// A connection to the server; when it is dead, to a new one.
    ///
    /// # Errors
    /// It is closed; or it is dead and a new one cannot be built.
    pub fn connect(&self) -> io::Result<UnixStream> {
        let (number, path) = {
            let running = self.lock();
            let running = running.as_ref().ok_or(io::ErrorKind::NotConnected)?;
            (running.number, running.path.clone())
        };
        let died = match UnixStream::connect(path) {
            Err(e) if dead(&e) => e,
            other => return other,
        };
        let mut running = self.lock();
        let running = running.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        if running.number == number {
            crate::warning!("the inner HTTP server is gone ({died}); building it anew");
            let new = build(&self.dir, number + 1, &self.handle, &self.crew)?;
            std::mem::replace(running, new).server.unblock();
        }
        UnixStream::connect(&running.path)
    }

    /// Ends the server. Requests that it has taken are still answered; others lose their connection at once.
    pub fn close(&self) {
        if let Some(running) = self.lock().take() {
            running.server.unblock();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn dead(e: &io::Error) -> bool {
    matches!(e.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound)
}

fn build(
    dir: &std::path::Path,
    number: u64,
    handle: &Handle,
    crew: &Arc<Crew>,
) -> io::Result<Running> {
    let path = dir.join(format!("http-{number}.sock"));
    match fs::remove_file(&path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let server = Server::http_unix(&path)
        .map_err(|e| io::Error::other(format!("{} cannot be made: {e}", path.display())))?;
    let server = Arc::new(server);
    let (theirs, handle, threads) = (server.clone(), handle.clone(), crew.clone());
    crew.spawn("http-inner", move || dispatch(&theirs, &handle, &threads))?;
    Ok(Running { number, path, server })
}

/// Ends with the server's accept thread (tiny_http gives up at the first error of accept) or by `unblock`.
fn dispatch(server: &Server, handle: &Handle, crew: &Arc<Crew>) {
    while let Ok(request) = server.recv() {
        let handle = handle.clone();
        // Without a thread the request is dropped, which answers 500.
        if let Err(e) = crew.spawn("http-req", move || respond(request, &handle)) {
            crate::seldom!(Warn, "no thread for an HTTP request: {e}");
        }
    }
}

fn respond(mut request: Request, handle: &Handle) {
    let outcome = match incoming(&mut request) {
        Some(incoming) => {
            catch_unwind(AssertUnwindSafe(|| handle(&incoming))).unwrap_or_else(|_| {
                crate::error!(
                    "the handler of {} {} panicked",
                    incoming.verb.text(),
                    incoming.target
                );
                internal("this request made the daemon stumble; its log says more")
            })
        }
        None => internal("the request was lost inside the daemon"),
    };
    match outcome {
        Outcome::Answer(answer) => {
            let _ = request.respond(answer.into_response());
        }
        Outcome::Stream(run) => run.to(request.into_writer()),
    }
}

fn internal(message: &str) -> Outcome {
    Outcome::Answer(Answer::fault(&Fault::new(Code::Internal, message)))
}

fn incoming(request: &mut Request) -> Option<Incoming> {
    let mut body = Vec::new();
    request.as_reader().take(BODY_BYTES as u64).read_to_end(&mut body).ok()?;
    let header = |name: &'static str| {
        request.headers().iter().find(|h| h.field.equiv(name)).map(|h| h.value.to_string())
    };
    Some(Incoming {
        verb: Verb::parse(&request.method().to_string())?,
        target: request.url().to_owned(),
        host: header("Host")?,
        authorization: header("Authorization"),
        cookie: header("Cookie"),
        content_type: header("Content-Type"),
        accept: header("Accept"),
        last_event: header("Last-Event-ID"),
        origin: header("Origin"),
        from: header(FROM)?.parse().ok()?,
        stream: header(STREAM).and_then(|n| n.parse().ok()),
        body,
    })
}

#[cfg(test)]
mod tests {
    use super::{Answer, Crew, Handle, Inner, Outcome};
    use std::io::{Read as _, Write as _};
    use std::os::unix::fs::PermissionsExt as _;
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    fn ask(inner: &Inner, path: &str) -> String {
        let mut stream = inner.connect().unwrap();
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: a\r\nX-Gate-From: 127.0.0.1\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn a_panic_is_a_500_a_dead_server_is_built_anew_and_close_ends_the_threads() {
        let dir = std::env::temp_dir().join(format!("miner-cli-inner-{}", std::process::id()));
        let handle: Handle = Arc::new(|incoming| {
            assert!(incoming.target != "/panic", "the test wants a panic");
            Outcome::Answer(Answer::status("fine"))
        });
        let crew = Arc::new(Crew::default());
        let inner = Inner::start(dir.clone(), handle, crew.clone()).unwrap();
        assert_eq!(std::fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);

        let answer = ask(&inner, "/panic");
        assert!(
            answer.starts_with("HTTP/1.1 500 ") && answer.contains("\"code\":\"INTERNAL\""),
            "{answer}"
        );
        assert!(ask(&inner, "/").ends_with("{\"status\":\"fine\"}"));

        std::fs::remove_file(dir.join("http-1.sock")).unwrap();
        assert!(ask(&inner, "/").ends_with("{\"status\":\"fine\"}"), "nobody listened any more");
        assert!(dir.join("http-2.sock").exists());

        inner.close();
        assert!(inner.connect().is_err(), "it does not come back after its end");
        assert!(crew.wait(Instant::now() + Duration::from_secs(20)));
        drop(inner);
        std::fs::remove_dir_all(dir).unwrap();
    }
}
