//! XMRig's HTTP API, as far as a reader of figures sees it: one request a connection, answers and refusals alike.
use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::say;
use super::world::World;
use crate::sys::net::DeadlineStream;

const PATIENCE: Duration = Duration::from_secs(2);
const LONGEST_REQUEST: usize = 8 * 1024;
/// Connections that a hung API holds without an answer.
const HELD: usize = 64;

pub struct Api {
    pub world: Arc<World>,
    /// From now on nothing is answered.
    pub silent: Arc<AtomicBool>,
}

impl Api {
    pub fn serve(&self, listener: &TcpListener) {
        let mut held = Vec::new();
        for stream in listener.incoming().flatten() {
            if self.silent.load(Ordering::SeqCst) {
                held.truncate(HELD - 1);
                held.push(stream);
            } else {
                // A caller that breaks off is its own affair.
                let _ = self.answer(stream);
            }
        }
    }

    fn answer(&self, stream: TcpStream) -> io::Result<()> {
        let mut stream = DeadlineStream::new(stream, Instant::now() + PATIENCE);
        let mut got = Vec::new();
        let mut part = [0; 1024];
        while !got.windows(4).any(|four| four == b"\r\n\r\n") && got.len() < LONGEST_REQUEST {
            match stream.read(&mut part)? {
                0 => return Ok(()),
                n => got.extend_from_slice(&part[..n]),
            }
        }
        let (status, body) = self.respond(&got);
        let body = body.to_string();
        let head = format!(
            "HTTP/1.1 {status} -\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(format!("{head}{body}").as_bytes())
    }

    fn respond(&self, request: &[u8]) -> (u16, Value) {
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut parsed = httparse::Request::new(&mut headers);
        let (Ok(httparse::Status::Complete(_)), Some(method), Some(path)) =
            (parsed.parse(request), parsed.method, parsed.path)
        else {
            return refusal(400, "BAD_REQUEST");
        };
        let mut authorizations =
            parsed.headers.iter().filter(|h| h.name.eq_ignore_ascii_case("authorization"));
        let given = authorizations.next().map(|header| header.value);
        match (&self.world.settings.token, given) {
            (Some(_), None) | (None, Some(_)) => return refusal(401, "UNAUTHORIZED"),
            (Some(token), Some(given)) if given != format!("Bearer {token}").as_bytes() => {
                return refusal(403, "FORBIDDEN");
            }
            _ => {}
        }
        match (method, path) {
            ("GET", "/2/summary" | "/1/summary" | "/api.json") => (200, self.world.summary()),
            ("GET", "/2/backends") => (200, self.world.backends()),
            // The API is restricted: no configuration, no commands.
            (_, "/1/config" | "/2/config" | "/json_rpc") => refusal(403, "FORBIDDEN"),
            _ => {
                let path = crate::model::text::clean(path, 200);
                say(&format!(" 127.0.0.1 {method} {path} 404 0 0ms \"(null)\""));
                refusal(404, "NOT_FOUND")
            }
        }
    }
}

fn refusal(status: u16, error: &str) -> (u16, Value) {
    (status, json!({"status": status, "error": error}))
}
