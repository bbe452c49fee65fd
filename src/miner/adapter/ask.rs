//! Asking a miner's API, over HTTP or as JSON-RPC over plain TCP. Whoever answers is bounded in size and time.
use std::io::{self, Read as _, Write as _};
use std::time::Instant;

use super::Api;
use crate::httpc::{self, HttpRequest};
use crate::sys::net::{self, DeadlineStream};

/// A summary has a few KB; the back ends of a machine with 256 threads about 30 KB.
pub const LONGEST_ANSWER: usize = 1 << 20;

/// The body of the answer to a GET.
///
/// # Errors
/// None came by `deadline`, or it is longer than [`LONGEST_ANSWER`], or its status is not 200.
pub fn get(
    api: &Api,
    path: &str,
    headers: &[(&str, &str)],
    deadline: Instant,
) -> Result<Vec<u8>, String> {
    let request = HttpRequest {
        method: "GET",
        address: &address(api),
        path,
        headers,
        body: None,
        deadline: deadline.saturating_duration_since(Instant::now()),
        most: LONGEST_ANSWER,
    };
    let answer = httpc::send(&request).map_err(|e| format!("the miner's API: {e}"))?;
    match answer.status {
        200 => Ok(answer.body),
        401 | 403 => {
            Err("the miner's API refuses our token: another program may have its port".to_owned())
        }
        status => Err(format!("the miner's API answered with status {status}")),
    }
}

/// The JSON that is answered to one line of JSON. Some miners keep the connection open and some end the answer with
/// neither newline nor NUL, so it ends where its first bracket closes.
///
/// # Errors
/// None came by `deadline`, or it is longer than [`LONGEST_ANSWER`], or it is no JSON object or array.
pub fn json_rpc(api: &Api, request: &str, deadline: Instant) -> Result<Vec<u8>, String> {
    let failed = |e: io::Error| match e.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => {
            "the miner's API: no answer in time".to_owned()
        }
        _ => format!("the miner's API: {e}"),
    };
    let socket = net::connect(&address(api), deadline).map_err(failed)?;
    let mut stream = DeadlineStream::new(socket, deadline);
    stream.write_all(format!("{request}\n").as_bytes()).map_err(failed)?;
    let mut brackets = Brackets::default();
    let mut got = Vec::new();
    let mut part = [0; 4096];
    loop {
        let n = stream.read(&mut part).map_err(failed)?;
        if n == 0 {
            return Err("the miner's API: the answer ended early".to_owned());
        }
        let before = got.len();
        got.extend_from_slice(&part[..n]);
        match brackets.feed(&part[..n]) {
            Seen::End(at) => {
                got.truncate(before + at);
                return Ok(got);
            }
            Seen::Other => return Err("the miner's API port answers with no JSON".to_owned()),
            Seen::More if got.len() > LONGEST_ANSWER => {
                return Err("the miner's API: the answer is too long".to_owned());
            }
            Seen::More => {}
        }
    }
}

fn address(api: &Api) -> String {
    format!("127.0.0.1:{}", api.port)
}

/// Finds the end of a JSON object or array in a stream.
#[derive(Default)]
struct Brackets {
    depth: usize,
    in_string: bool,
    escaped: bool,
}

#[derive(PartialEq, Eq, Debug)]
enum Seen {
    More,
    /// So many bytes of this part belong to it.
    End(usize),
    /// It begins with something else.
    Other,
}

impl Brackets {
    fn feed(&mut self, part: &[u8]) -> Seen {
        for (i, byte) in part.iter().enumerate() {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.in_string => self.escaped = true,
                b'"' if self.depth > 0 => self.in_string = !self.in_string,
                _ if self.in_string => {}
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' if self.depth > 1 => self.depth -= 1,
                b'}' | b']' if self.depth == 1 => return Seen::End(i + 1),
                _ if self.depth > 0 || byte.is_ascii_whitespace() => {}
                _ => return Seen::Other,
            }
        }
        Seen::More
    }
}

#[cfg(test)]
mod tests {
    use super::{Brackets, Seen};

    #[test]
    fn an_answer_ends_where_its_first_bracket_closes() {
        let text = br#" {"a":["}\"]",{}]} and more"#;
        let mut whole = Brackets::default();
        assert_eq!(whole.feed(text), Seen::End(18));
        let mut dripping = Brackets::default();
        let ends: Vec<Seen> = text[..18].iter().map(|byte| dripping.feed(&[*byte])).collect();
        assert!(ends[..17].iter().all(|seen| *seen == Seen::More));
        assert_eq!(ends[17], Seen::End(1));
        for other in [&b"SSH-2.0"[..], b"\0", b"}", b"\"{\"", b"12"] {
            assert_eq!(Brackets::default().feed(other), Seen::Other, "{other:?}");
        }
        assert_eq!(Brackets::default().feed(b"{\"a\":\"}"), Seen::More);
    }
}
