//! A client's bytes at the API's door: what goes on to the inner server has one meaning, and it is the one that a more
//! lenient reader of the same bytes (a proxy before us) would see too.
#![no_main]
use std::net::{IpAddr, Ipv4Addr};

use libfuzzer_sys::fuzz_target;
use miner_cli::http::passed_on;
use miner_cli_fuzz::Pieces;

const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 168, 1, 5));
const FROM: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 9));
const HEAD: usize = 16 * 1024;
const BODY: usize = 256 * 1024;
/// What one read of the gate may take beyond the request.
const READ: usize = 4096;
/// The headers of the canonical request that the gate writes itself, at most.
const OWN: usize = 512;

/// The answer to these bytes in pieces of `size`, and how many of them were read.
fn gate(bytes: &[u8], size: usize) -> (Result<Option<Vec<u8>>, u16>, usize) {
    let mut wire = Pieces::new(bytes, size);
    let hosts = ["farm.lan".to_owned()];
    let passed = passed_on(&mut wire, LOCAL, FROM, &hosts).map_err(|fault| fault.code.status());
    (passed, bytes.len() - wire.left())
}

/// A head as a careless reader sees it: lines end with or without CR, names have spaces around them, a line that begins
/// with a space stands for itself. Where the body begins, and the headers, with names in lower case, without the request line.
fn careless(bytes: &[u8]) -> (usize, Vec<(String, String)>) {
    let (mut at, mut headers) = (0, Vec::new());
    while let Some(n) = bytes[at..].iter().position(|b| *b == b'\n') {
        let line = String::from_utf8_lossy(&bytes[at..at + n]).into_owned();
        at += n + 1;
        let line = line.trim_end_matches('\r');
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':').filter(|_| at > n + 1) {
            let name = name.trim_matches(|c: char| c.is_whitespace() || c.is_control());
            headers.push((name.to_lowercase(), value.trim().to_owned()));
        }
    }
    (at, headers)
}

fn all<'a>(headers: &'a [(String, String)], name: &str) -> Vec<&'a str> {
    headers.iter().filter(|(n, _)| n == name).map(|(_, value)| value.as_str()).collect()
}

/// The request as it was sent, beside what is passed on.
fn one_meaning(sent: &[u8], passed: &[u8]) {
    let split = passed.windows(4).position(|w| w == b"\r\n\r\n").expect("a whole head") + 4;
    let (head, body) = passed.split_at(split);
    assert!(body.len() <= BODY && head.len() <= HEAD + OWN);
    let head = std::str::from_utf8(head).expect("ASCII");
    assert!(head.replace("\r\n", "").bytes().all(|b| (b' '..0x7f).contains(&b)), "{head:?}");
    let (line, rest) = head.split_once("\r\n").expect("a request line");
    let [verb, target, version] = line.split(' ').collect::<Vec<_>>()[..] else {
        panic!("{line:?}")
    };
    assert!(version == "HTTP/1.1" && target.starts_with('/'), "{line:?}");

    let (_, ours) = careless(passed);
    assert_eq!(ours.len(), rest.lines().filter(|line| !line.is_empty()).count(), "{head:?}");
    assert_eq!(all(&ours, "content-length"), [body.len().to_string()]);
    assert_eq!(all(&ours, "x-gate-from"), [FROM.to_string()], "a client says who it is");
    assert!(all(&ours, "x-gate-stream").is_empty(), "a client names a stream");
    assert!(all(&ours, "transfer-encoding").is_empty() && all(&ours, "host").len() == 1);
    let twice = ours.iter().any(|(name, _)| all(&ours, name).len() > 1);
    assert!(!twice, "a header is there twice: {head:?}");

    let (end, theirs) = careless(sent);
    assert!(sent[end..].starts_with(body), "another body than the one after the head");
    assert!(all(&theirs, "transfer-encoding").is_empty(), "a length and an encoding");
    let lengths = all(&theirs, "content-length");
    assert!(
        lengths.iter().all(|n| n.parse() == Ok(body.len())) && lengths.len() <= 1,
        "{lengths:?}"
    );
    assert_eq!(all(&theirs, "host"), all(&ours, "host"), "two hosts");
    assert_eq!(all(&theirs, "authorization").len(), all(&ours, "authorization").len());
    assert!(sent.starts_with(format!("{verb} {target} HTTP/1.").as_bytes()), "{line:?}");
}

fuzz_target!(|data: &[u8]| {
    let Some((size, bytes)) = data.split_first() else { return };
    let (passed, read) = gate(bytes, usize::MAX);
    assert!(read <= HEAD + BODY + 2 * READ, "{read} bytes were read");
    let (dripped, read) = gate(bytes, usize::from(*size));
    assert!(read <= HEAD + BODY + 2 * READ, "{read} bytes were read");
    assert_eq!(passed.as_ref().ok(), dripped.as_ref().ok(), "it depends on how the bytes come");
    if let Ok(Some(passed)) = passed {
        one_meaning(bytes, &passed);
        assert_eq!(gate(&passed, usize::MAX).0, Ok(Some(passed)), "not its own meaning");
    }
});
