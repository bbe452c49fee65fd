//! The client against a scripted server.
use super::{HttpError, HttpRequest, open_stream, send};
use crate::sys::thread;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::Duration;

/// A server for one connection: reads the head of a request, then does what the script says.
fn server(script: impl FnOnce(&mut TcpStream) + Send + 'static) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let running = thread::spawn("test-http", move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
            head.push(byte[0]);
        }
        script(&mut stream);
        String::from_utf8(head).unwrap()
    });
    (address, running.unwrap())
}

fn get(address: &str) -> HttpRequest<'_> {
    HttpRequest {
        method: "GET",
        address,
        path: "/x?y=1",
        headers: &[("Authorization", "Bearer t")],
        body: None,
        deadline: Duration::from_secs(20),
        most: 1000,
    }
}

fn answer_to(answer: &'static str) -> Result<super::HttpAnswer, HttpError> {
    let (address, running) = server(move |s| s.write_all(answer.as_bytes()).unwrap());
    let got = send(&get(&address));
    running.join().unwrap();
    got
}

fn is_malformed(answer: &'static str) -> bool {
    matches!(answer_to(answer), Err(HttpError::Malformed(_)))
}

#[test]
fn the_three_ways_to_end_a_body() {
    for answer in [
        "HTTP/1.1 201 Created\r\nContent-Length: 11\r\nX-A: b\r\n\r\nhello worldIGNORED",
        "HTTP/1.1 201 Created\r\ntransfer-encoding: Chunked\r\nX-A: b\r\n\r\n5;ext=1\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
        "HTTP/1.0 201 Created\r\nX-A: b\r\n\r\nhello world",
    ] {
        let got = answer_to(answer).unwrap();
        assert_eq!((got.status, got.body.as_slice()), (201, &b"hello world"[..]), "{answer}");
        assert!(got.headers.contains(&("x-a".to_owned(), "b".to_owned())));
    }
    assert!(
        answer_to("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n").unwrap().body.is_empty()
    );
}

#[test]
fn the_request_is_written_as_asked() {
    let (address, running) = server(|s| {
        let mut body = [0; 2];
        s.read_exact(&mut body).unwrap();
        assert_eq!(&body, b"{}");
        s.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
    });
    send(&HttpRequest { method: "POST", body: Some(b"{}"), ..get(&address) }).unwrap();
    let head = running.join().unwrap();
    assert!(head.starts_with("POST /x?y=1 HTTP/1.1\r\n"), "{head}");
    for line in [
        &format!("Host: {address}"),
        "Connection: close",
        "Authorization: Bearer t",
        "Content-Length: 2",
    ] {
        assert!(head.contains(&format!("{line}\r\n")), "{line} in {head}");
    }
}

#[test]
fn a_forged_line_is_not_sent() {
    let nowhere = "127.0.0.1:1";
    let forged = [
        HttpRequest { path: "/a\r\nX: y", ..get(nowhere) },
        HttpRequest { path: "/a b", ..get(nowhere) },
        HttpRequest { path: "a", ..get(nowhere) },
        HttpRequest { method: "GET /", ..get(nowhere) },
        HttpRequest { headers: &[("A", "b\r\nC: d")], ..get(nowhere) },
    ];
    for request in forged {
        assert!(matches!(send(&request), Err(HttpError::Malformed(_))), "{request:?}");
    }
}

#[test]
fn what_ends_early_is_no_answer() {
    assert!(is_malformed(""));
    assert!(is_malformed("HTTP/1.1 200 OK\r\nContent-"));
    assert!(is_malformed("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfour"));
    assert!(is_malformed("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel"));
    assert!(is_malformed("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"));
}

#[test]
fn garbage_is_no_answer() {
    assert!(is_malformed("SSH-2.0-OpenSSH_9.6\r\n"));
    assert!(is_malformed("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"));
    assert!(is_malformed("HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\na"));
    assert!(is_malformed("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"));
    assert!(is_malformed(
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    ));
    assert!(is_malformed("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n"));
    assert!(is_malformed("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"));
    assert!(is_malformed("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\naXX0\r\n\r\n"));
    assert!(is_malformed("HTTP/1.1 101 Switching Protocols\r\n\r\n"));
}

#[test]
fn too_much_is_refused() {
    // Said up front, not read first: the server never sends it.
    assert_eq!(
        answer_to("HTTP/1.1 200 OK\r\nContent-Length: 70368744177664\r\n\r\n"),
        Err(HttpError::TooLarge)
    );
    for head in ["", "Transfer-Encoding: chunked\r\n"] {
        let (address, running) = server(move |s| {
            let _ = write!(s, "HTTP/1.1 200 OK\r\n{head}\r\n");
            // Until the client has had enough and hangs up.
            while s.write_all(b"a\r\n0123456789\r\n").is_ok() {}
        });
        assert_eq!(send(&get(&address)), Err(HttpError::TooLarge));
        running.join().unwrap();
    }
    let (address, running) = server(|s| {
        // One line without an end.
        let _ = s.write_all(b"HTTP/1.1 200 OK\r\nX-Filler: ");
        while s.write_all(&[b'x'; 64]).is_ok() {}
    });
    assert!(matches!(send(&get(&address)), Err(HttpError::Malformed(_))));
    running.join().unwrap();
}

#[test]
fn dripping_does_not_outlast_the_deadline() {
    let (address, running) = server(|s| {
        let _ = s.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        // Each byte comes well within the deadline, the end never.
        s.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        while s.write_all(b"x").is_ok() {
            if matches!(s.read(&mut [0]), Ok(0)) {
                break;
            }
        }
    });
    let request =
        HttpRequest { deadline: Duration::from_millis(300), most: usize::MAX - 1, ..get(&address) };
    assert_eq!(send(&request), Err(HttpError::TimedOut));
    running.join().unwrap();
}

#[test]
fn a_closed_port_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    assert!(matches!(send(&get(&address)), Err(HttpError::Refused(_))));
}

#[test]
fn a_stream_is_read_as_it_comes() {
    let (go, wait) = crate::bus::reply_channel::<()>();
    let (address, running) = server(move |s| {
        s.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\nfirst").unwrap();
        // The second part is sent only after the first was read.
        wait.recv().unwrap();
        s.write_all(b"second").unwrap();
    });
    let mut stream = open_stream(&get(&address)).unwrap();
    let mut first = [0; 5];
    stream.read_exact(&mut first).unwrap();
    go.send(()).unwrap();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    assert_eq!((&first[..], rest.as_str()), (&b"first"[..], "second"));
    running.join().unwrap();
}
