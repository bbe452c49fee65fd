use super::{BODY_BYTES, HEAD_BYTES, Verb, head, head_end};
use proptest::prelude::*;

fn status(text: &str) -> u16 {
    head(text.as_bytes()).err().map_or(200, |fault| fault.code.status())
}

fn with(lines: &str) -> u16 {
    status(&format!("POST /x HTTP/1.1\r\nHost: a\r\n{lines}\r\n"))
}

#[test]
fn a_plain_head_is_read_whole() {
    let text = "PUT /a?b=c HTTP/1.1\r\nhOST:  rig:9090 \r\nContent-Length: 7\r\nExpect: 100-Continue\r\n\r\n";
    let read = head(text.as_bytes()).unwrap();
    assert_eq!(
        (read.verb, read.target.as_str(), read.host.as_str()),
        (Verb::Put, "/a?b=c", "rig:9090")
    );
    assert_eq!((read.length, read.expects_continue, read.cookie), (7, true, None));
}

#[test]
fn what_could_be_read_in_two_ways_is_refused() {
    for (lines, expected) in [
        ("", 200),
        ("Content-Length: 5\r\nContent-Length: 5\r\n", 400),
        ("Content-Length: 5, 5\r\n", 400),
        ("Content-Length: +5\r\n", 400),
        ("Content-Length: -1\r\n", 400),
        ("Content-Length: 0x5\r\n", 400),
        ("Content-Length: \r\n", 400),
        ("Content-Length: 5 5\r\n", 400),
        ("Content-Length: 262144\r\n", 200),
        ("Content-Length: 262145\r\n", 413),
        ("Content-Length: 70368744177664\r\n", 413),
        ("Content-Length: 9223372036854775808\r\n", 413),
        ("Content-Length: 99999999999999999999999999999999\r\n", 413),
        ("Transfer-Encoding: chunked\r\n", 501),
        ("Transfer-Encoding: identity\r\nContent-Length: 5\r\n", 501),
        ("Transfer-Encoding : chunked\r\n", 400),
        ("X: a\r\n Transfer-Encoding: chunked\r\n", 400),
        ("Host: b\r\n", 400),
        ("Authorization: a\r\nauthorization: b\r\n", 400),
        ("Expect: tea\r\n", 400),
        ("Cookie: \u{e9}\r\n", 400),
        ("Cookie: a\rb\r\n", 400),
        ("Cookie: a\0b\r\n", 400),
    ] {
        assert_eq!(with(lines), expected, "{lines:?}");
    }
    for (text, expected) in [
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", 400),
        ("GET / HTTP/0.9\r\nHost: a\r\n\r\n", 400),
        ("GET /\r\n\r\n", 400),
        ("BREW / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET /\u{e9} HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET / HTTP/1.0\r\nHost: a\r\n\r\n", 200),
    ] {
        assert_eq!(status(text), expected, "{text:?}");
    }
}

#[test]
fn what_a_client_accepts_is_one_list_without_lines_that_say_nothing() {
    let accepts = |lines: &str| {
        let read = head(format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n").as_bytes()).unwrap();
        (read.accept, read.wants_events)
    };
    let all = "Accept: text/html\r\naccept: \r\nAccept: Text/Event-Stream;q=1 \r\nAccept:\r\n";
    assert_eq!(accepts(all), (Some("text/html, Text/Event-Stream;q=1".to_owned()), true));
    assert_eq!(accepts("Accept:\r\n"), (None, false));
    assert_eq!(accepts("Accept: text/event-stream \u{e9}\r\n"), (None, false), "of one mind");
}

#[test]
fn a_head_is_bounded_in_lines_and_bytes() {
    assert_eq!(with(&"X: y\r\n".repeat(63)), 200);
    assert_eq!(with(&"X: y\r\n".repeat(64)), 413);
    let long = format!("GET /{}", "a".repeat(HEAD_BYTES));
    assert_eq!(head_end(long.as_bytes(), 0).unwrap_err().code.status(), 413);
}

#[test]
fn the_end_is_found_however_the_bytes_come_and_garbage_is_refused_at_once() {
    let text = b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /2\n";
    for cut in 1..26 {
        assert_eq!(head_end(&text[..cut], 0), Ok(None));
        assert_eq!(head_end(text, cut), Ok(Some(27)));
    }
    for bad in [&b"GET / HTTP/1.0\n\n"[..], b"\x16\x03\x01\x02", b"\r\nGET", b"get /"] {
        assert_eq!(head_end(bad, 0).unwrap_err().code.status(), 400);
    }
}

/// Pieces of requests, so that the generator reaches what matters.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"POST / HTTP/1.1\r\nHost: a\r\n".to_vec()),
        Just(b"Content-Length: 5\r\n".to_vec()),
        Just(b"content-length:7\r\n".to_vec()),
        Just(b"Transfer-Encoding: chunked\r\n".to_vec()),
        Just(b"tRANSFER-eNCODING:\tidentity\r\n".to_vec()),
        Just(b"Host: b\r\n".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"\n".to_vec()),
        Just(b" ".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..12),
    ];
    proptest::collection::vec(piece, 0..8).prop_map(|all| all.concat())
}

proptest! {
    #[test]
    fn no_bytes_panic_and_none_pass_with_two_meanings(bytes in pieces()) {
        let Ok(Some(end)) = head_end(&bytes, 0) else { return Ok(()) };
        let Ok(read) = head(&bytes[..end]) else { return Ok(()) };
        let text = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
        let lines = |name: &str| text.split("\r\n").filter(|l| l.split(':').next().is_some_and(|n| n.trim() == name)).count();
        prop_assert_eq!(lines("transfer-encoding"), 0);
        prop_assert!(lines("content-length") <= 1);
        prop_assert_eq!(lines("host"), 1);
        prop_assert!(read.length <= BODY_BYTES);
        prop_assert!(!read.target.contains([' ', '\r', '\n']) && !read.host.contains(['\r', '\n']));
    }
}
