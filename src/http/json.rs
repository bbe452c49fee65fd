//! Bodies of requests: an error says where it is, by line and column and by the field's name.
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use crate::model::fault::{Code, Fault};

/// # Errors
/// INVALID, with line and column; a value of the wrong kind is named by its path, `config.threads`.
pub fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Fault> {
    serde_json::from_slice(body).map_err(|e| {
        let text = e.to_string();
        // These name the field themselves.
        let named = ["missing field", "unknown field", "duplicate field"];
        let path = (e.classify() == Category::Data && !named.iter().any(|n| text.starts_with(n)))
            .then(|| path_at(body, e.line(), e.column()))
            .filter(|path| !path.is_empty());
        Fault::new(
            Code::Invalid,
            match (path, e.classify()) {
                (Some(path), _) => format!("{path}: {text}"),
                (None, Category::Data) => format!("the body does not fit: {text}"),
                (None, _) => format!("the body is not JSON: {text}"),
            },
        )
    })
}

/// The keys that lead to the place at `line` and `column` (both from 1, in bytes) of well-formed JSON.
fn path_at(body: &[u8], line: usize, column: usize) -> String {
    let before: usize =
        body.split_inclusive(|b| *b == b'\n').take(line.saturating_sub(1)).map(<[u8]>::len).sum();
    let body = &body[..(before + column).min(body.len())];
    // One entry an open object or array; in an object, the key last read.
    let mut open: Vec<Option<&[u8]>> = Vec::new();
    let (mut at, mut wants_key) = (0, false);
    while let Some(byte) = body.get(at) {
        match byte {
            b'{' | b'[' => {
                open.push(None);
                wants_key = *byte == b'{';
            }
            b'}' | b']' => {
                open.pop();
                wants_key = false;
            }
            b',' => wants_key = open.last().is_some_and(Option::is_some),
            b'"' => {
                let end = string_end(body, at);
                if let (true, Some(key)) = (wants_key, open.last_mut()) {
                    *key = Some(&body[at + 1..end]);
                    wants_key = false;
                }
                at = end;
            }
            _ => {}
        }
        at += 1;
    }
    let keys: Vec<_> = open.iter().flatten().map(|key| String::from_utf8_lossy(key)).collect();
    keys.join(".")
}

/// Where the string that begins at `from` has its closing quote.
fn string_end(body: &[u8], from: usize) -> usize {
    let mut at = from + 1;
    while at < body.len() && body[at] != b'"' {
        at += if body[at] == b'\\' { 2 } else { 1 };
    }
    at.min(body.len())
}

#[cfg(test)]
mod tests {
    use super::read;
    use crate::model::profile::Profile;

    fn error(text: &str) -> String {
        read::<Profile>(text.as_bytes()).unwrap_err().message
    }

    #[test]
    fn an_error_names_the_place_and_the_field() {
        assert!(
            error("{\"name\":\n nonsense}").contains("not JSON: expected ident at line 2 column 3")
        );
        assert!(error("").contains("not JSON"));
        assert!(error("{\"name\":\"x\"}").contains("missing field `minerType`"));
        assert!(error("{\"colour\":1}").contains("unknown field `colour`"));
        let wrong = error("{\"name\":\"a\\\"{\",\n \"minerType\":7}");
        assert!(
            wrong.starts_with("minerType: invalid type: integer `7`, expected a string at line 2"),
            "{wrong}"
        );
        let deep =
            error("{\"minerType\":\"x\",\"config\":{\"pools\":[\"a\"],\"threads\":\"two\"}}");
        assert!(deep.starts_with("config.threads: invalid type"), "{deep}");
        assert!(error("[").contains("JSON") && error("7").contains("does not fit"));
    }
}
