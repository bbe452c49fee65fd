//! `api METHOD PATH [BODY]`: the REST API as it is.
use std::io::Read as _;

use super::args::Api;
use super::client::{self, BASE};
use super::exit::{Exit, Failure};
use super::{Ended, Session};

/// The longest body that is read from standard input, in bytes; the daemon takes less.
const MOST: u64 = 1 << 20;

/// Prints the body of any answer; the exit code comes from the status and, in an error, its code.
pub fn run(api: &Api, session: &mut Session) -> Ended {
    let method = api.method.to_ascii_uppercase();
    if method.is_empty() || !method.bytes().all(|b| b.is_ascii_uppercase()) {
        return Err(Failure::Usage(format!("{:?} is no HTTP method", api.method)));
    }
    let path = whole_path(&api.path)?;
    let body = match api.body.as_deref() {
        Some("-") => Some(standard_input()?),
        Some(text) => Some(text.as_bytes().to_vec()),
        None => None,
    };
    let answer = session.client()?.raw(&method, &path, body.as_deref())?;
    let text = String::from_utf8_lossy(&answer.body);
    if !text.is_empty() {
        session.screen.body(&text)?;
    }
    if (200..300).contains(&answer.status) {
        return Ok(Exit::Done);
    }
    Ok(Exit::of(client::fault_of(answer.status, &text).code))
}

/// `/peers`, `peers` and `/api/v1/mining/peers` mean the same.
fn whole_path(path: &str) -> Result<String, Failure> {
    if path.is_empty() || !path.bytes().all(|b| b.is_ascii_graphic()) {
        let message = format!("{path:?} is no path: write other characters and spaces as %XX");
        return Err(Failure::Usage(message));
    }
    if path.strip_prefix(BASE).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?'])) {
        return Ok(path.to_owned());
    }
    Ok(format!("{BASE}/{}", path.trim_start_matches('/')))
}

fn standard_input() -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    std::io::stdin()
        .take(MOST)
        .read_to_end(&mut body)
        .map_err(|e| Failure::own(format!("standard input cannot be read: {e}")))?;
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::whole_path;

    #[test]
    fn the_base_may_be_left_out() {
        for typed in ["/peers", "peers", "/api/v1/mining/peers"] {
            assert_eq!(whole_path(typed).unwrap(), "/api/v1/mining/peers");
        }
        assert_eq!(whole_path("/peers?x=1").unwrap(), "/api/v1/mining/peers?x=1");
        assert!(whole_path("/a b").is_err() && whole_path("").is_err());
    }
}
