//! TLS over real sockets: who is believed, what is said when not, and what a stranger can do before and after.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod tls_support;

use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use miner_cli::model::trust::{Pin, Trust};
use miner_cli::sys::net::Timed as _;
use miner_cli::sys::{net, thread};
use miner_cli::tls::{Client, Server, Stream, check_authorities};
use rustls::pki_types::ServerName;
use tls_support::{Authority, Folder, HOME, Made, certificate, good, impostor};

const PATIENCE: Duration = Duration::from_secs(20);

fn soon() -> Instant {
    Instant::now() + PATIENCE
}

/// Two ends of a TCP connection.
fn ends() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = net::connect(&listener.local_addr().unwrap().to_string(), soon()).unwrap();
    near.set_read_timeout(Some(PATIENCE)).unwrap();
    (near, listener.accept().unwrap().0)
}

type Opened = Result<(), String>;

fn opening(stream: Stream) -> JoinHandle<(Stream, Opened)> {
    let open = move || {
        let opened = stream.open(Instant::now() + PATIENCE);
        (stream, opened)
    };
    thread::spawn("opening", open).unwrap()
}

/// What came of a handshake, at the client and at the server.
fn meet(server: &Server, trust: &Trust, host: &str) -> (Opened, Opened) {
    let (near, far) = ends();
    let serving = opening(server.over(far).unwrap());
    let stream = Client::new(trust).unwrap().over(near, host).unwrap();
    let (client, server) = (stream.open(soon()), serving.join().unwrap().1);
    (client, server)
}

/// Two ends of a TLS connection: the client's and the server's.
fn linked() -> (Arc<Stream>, Arc<Stream>) {
    let (near, far) = ends();
    let serving = opening(good().server().over(far).unwrap());
    let client = Client::new(&Trust::Pin(good().pin)).unwrap();
    let near = client.over(near, "127.0.0.1").unwrap();
    near.open(soon()).unwrap();
    let (far, opened) = serving.join().unwrap();
    opened.unwrap();
    (Arc::new(near), Arc::new(far))
}

#[test]
fn an_authority_the_certificate_itself_or_a_pin_is_believed() {
    let authority = Authority::new();
    let signed = authority.signs(&["rig.lan", "127.0.0.1", "::1"], 2020..2090);
    let server = signed.server();
    for host in ["rig.lan", "127.0.0.1", "::1"] {
        assert_eq!(meet(&server, &authority.trust(), host), (Ok(()), Ok(())), "{host}");
    }
    // A self-signed one; also when it is marked as an authority's, as openssl does by itself.
    let own = certificate(&HOME, 2020..2090);
    assert_eq!(meet(&own.server(), &Trust::Ca(own.cert.clone()), "localhost"), (Ok(()), Ok(())));
    let marked = &authority.made;
    let (client, _) = meet(&marked.server(), &Trust::Ca(marked.cert.clone()), "rig.lan");
    assert_eq!(client.unwrap_err(), "its certificate is for no name, not for rig.lan");
    // A pin needs neither a name nor a date.
    let old = certificate(&["elsewhere"], 2001..2002);
    assert_eq!(meet(&old.server(), &Trust::Pin(old.pin), "127.0.0.1"), (Ok(()), Ok(())));
}

#[test]
fn what_is_wrong_with_a_certificate_is_said_in_words() {
    let authority = Authority::new();
    let trust = authority.trust();
    let said = |made: &Made, trust: &Trust, host| meet(&made.server(), trust, host).0.unwrap_err();
    let fine = authority.signs(&HOME, 2020..2090);
    let other = Authority::new();
    let unknown = "its certificate is of an authority that is not trusted here";
    assert_eq!(said(&fine, &other.trust(), "localhost"), unknown);
    assert_eq!(said(&fine, &Trust::System, "localhost"), unknown);
    assert_eq!(
        said(&authority.signs(&HOME, 2001..2002), &trust, "localhost"),
        "its certificate expired at 2002-01-01T00:00:00.000Z"
    );
    let early = said(&authority.signs(&HOME, 2080..2090), &trust, "localhost");
    assert!(early.contains("not good before 2080-01-01") && early.contains("clock"), "{early}");
    assert_eq!(
        said(&authority.signs(&["a.lan", "b.lan"], 2020..2090), &trust, "localhost"),
        "its certificate is for a.lan, b.lan, not for localhost"
    );
    let pinned = said(&fine, &Trust::Pin(Pin([7; 32])), "localhost");
    assert!(pinned.contains(&fine.pin.to_string()) && pinned.contains("0707"), "{pinned}");
    // The very certificate of the file is judged by name and dates as well.
    let own = certificate(&["a.lan"], 2001..2002);
    let by_itself = Trust::Ca(own.cert.clone());
    assert!(said(&own, &by_itself, "b.lan").contains("for a.lan, not for b.lan"));
    assert!(said(&own, &by_itself, "a.lan").contains("expired"));
    let (_, heard) = meet(&fine.server(), &other.trust(), "localhost");
    assert_eq!(heard.unwrap_err(), "the other side does not accept the certificate");
}

#[test]
fn a_certificate_without_its_key_opens_nothing() {
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        for trust in [Trust::Pin(good().pin), Trust::Ca(good().cert.clone())] {
            let (near, mut far) = ends();
            let mut posing = rustls::ServerConnection::new(Arc::new(impostor(version))).unwrap();
            let ended = thread::spawn("posing", move || drop(posing.complete_io(&mut far)));
            let opened = Client::new(&trust).unwrap().over(near, "localhost").unwrap().open(soon());
            assert!(opened.unwrap_err().contains("does not have the key"), "{version:?}");
            ended.unwrap().join().unwrap();
        }
    }
}

#[test]
fn a_file_of_authorities_is_checked_before_it_is_kept() {
    assert_eq!(check_authorities(&good().cert), Ok(()));
    let many = good().cert.repeat(65);
    for (text, why) in [
        ("", "no certificate in PEM form"),
        (good().key.as_str(), "no certificate in PEM form"),
        ("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----", "damaged"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "damaged"),
        (many.as_str(), "more than 64"),
    ] {
        let error = check_authorities(text).unwrap_err();
        assert!(error.contains(why), "{error}");
    }
}

/// The first record of a client that knows this version at most.
fn hello(version: u16) -> Vec<u8> {
    let [high, low] = version.to_be_bytes();
    let suites = [0xc0, 0x2b, 0xc0, 0x2f, 0xc0, 0x09, 0xc0, 0x13, 0x00, 0x2f];
    let mut body = [[high, low].as_slice(), &[7; 32], &[0, 0, suites.len() as u8]].concat();
    body.extend(suites);
    body.extend([1, 0]);
    let mut out = vec![0x16, 3, 1, 0, body.len() as u8 + 4, 1, 0, 0, body.len() as u8];
    out.extend(body);
    out
}

/// What a server says to bytes of a stranger's, and why it gave up.
fn strange(bytes: &[u8]) -> (Vec<u8>, String) {
    let (mut near, far) = ends();
    let serving = opening(good().server().over(far).unwrap());
    let _ = near.write_all(bytes);
    let _ = near.shutdown(std::net::Shutdown::Write);
    let (stream, opened) = serving.join().unwrap();
    drop(stream);
    let mut answer = Vec::new();
    let _ = near.read_to_end(&mut answer);
    (answer, opened.unwrap_err())
}

#[test]
fn old_versions_find_nothing_in_common() {
    for version in [0x0300, 0x0301, 0x0302] {
        let (answer, why) = strange(&hello(version));
        assert_eq!(answer[..6], [0x15, 3, 3, 0, 2, 2], "a fatal alert");
        assert!(why.contains("no TLS version and cipher that both sides know"), "{why}");
    }
    // And the other way round: a server that is too old.
    let (near, mut far) = ends();
    let stream = Client::new(&Trust::System).unwrap().over(near, "localhost").unwrap();
    far.write_all(&[0x15, 3, 1, 0, 2, 2, 70]).unwrap();
    assert!(stream.open(soon()).unwrap_err().contains("no TLS version and cipher"));
}

#[test]
fn tls_1_2_and_1_3_are_spoken_without_resumption_and_with_http_1_1_alone() {
    let (server, pin) = (good().server(), good().pin);
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let mut config = scripted(&[version]);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let config = Arc::new(config);
        for _ in 0..2 {
            let (mut tcp, far) = ends();
            let serving = opening(server.over(far).unwrap());
            let name = ServerName::try_from("localhost").unwrap();
            let mut connection = rustls::ClientConnection::new(config.clone(), name).unwrap();
            connection.complete_io(&mut tcp).unwrap();
            let (stream, opened) = serving.join().unwrap();
            opened.unwrap();
            assert_eq!(connection.protocol_version(), Some(version.version));
            assert_eq!(connection.alpn_protocol(), Some(b"http/1.1".as_slice()));
            // A ticket would come with the first bytes.
            assert_eq!((&mut &stream).write(b"x").unwrap(), 1);
            connection.complete_io(&mut tcp).unwrap();
            assert_eq!(connection.handshake_kind(), Some(rustls::HandshakeKind::Full));
            assert_eq!(connection.tls13_tickets_received(), 0);
        }
    }
    let mut config = scripted(&[&rustls::version::TLS13]);
    config.alpn_protocols = vec![b"h2".to_vec()];
    let (mut tcp, far) = ends();
    let serving = opening(server.over(far).unwrap());
    let name = ServerName::try_from("localhost").unwrap();
    let mut connection = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    assert!(connection.complete_io(&mut tcp).is_err());
    assert!(serving.join().unwrap().1.unwrap_err().contains("another protocol inside TLS"));
    assert_eq!(server.pin(), pin);
}

/// A client of rustls itself that trusts the good certificate.
fn scripted(versions: &[&'static rustls::SupportedProtocolVersion]) -> rustls::ClientConfig {
    use rustls::pki_types::pem::PemObject as _;
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(rustls::pki_types::CertificateDer::from_pem_slice(good().cert.as_bytes()).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

#[test]
fn plain_bytes_are_told_that_this_is_tls() {
    let (answer, why) = strange(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 426 "), "{head}");
    assert!(head.contains(&format!("Content-Length: {}", body.len())), "{head}");
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    assert!(body["error"].as_str().unwrap().contains("https://"));
    assert_eq!(why, "the other side does not speak TLS");
    let (_, why) = strange(&[0; 5000]);
    assert_eq!(why, "the other side does not speak TLS");
    // Plain bytes behind a beginning that could be TLS.
    for bytes in [b"\x16GET / HTTP/1.1\r\n\r\n".as_slice(), b"\x16\x03\x01\xff\xffxxxx"] {
        assert_eq!(strange(bytes).1, "the other side does not speak TLS");
    }
}

#[test]
fn who_is_called_under_tls_and_does_not_speak_it_is_told_apart() {
    let dial = |answer: &'static [u8]| {
        let (near, mut far) = ends();
        let client = Client::new(&Trust::Pin(good().pin)).unwrap();
        let opening = opening(client.over(near, "localhost").unwrap());
        far.read_exact(&mut [0; 50]).unwrap();
        let _ = far.write_all(answer);
        let _ = far.shutdown(std::net::Shutdown::Write);
        opening.join().unwrap().1.unwrap_err()
    };
    assert_eq!(dial(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "the other side does not speak TLS");
    let silent = dial(b"");
    assert!(silent.contains("perhaps the other side does not speak TLS"), "{silent}");
    assert_eq!(dial(&[0x16, 3, 3, 0, 90]), "the connection ended in the TLS handshake");
}

#[test]
fn a_handshake_has_one_deadline_and_a_bounded_number_of_bytes() {
    let (mut near, far) = ends();
    let stream = good().server().over(far).unwrap();
    let time = Duration::from_millis(400);
    let serving = thread::spawn("opening", move || {
        let begun = Instant::now();
        (stream.open(begun + time), begun.elapsed())
    });
    // One byte after the other, each as soon as the last is gone and the wait for an answer is over.
    near.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    for byte in hello(0x0303) {
        if near.write_all(&[byte]).is_err() || matches!(near.read(&mut [0]), Ok(0)) {
            break;
        }
    }
    let (opened, took) = serving.unwrap().join().unwrap();
    assert_eq!(opened, Err("no answer in time".to_owned()));
    assert!(took >= time && took < PATIENCE / 2, "{took:?}");

    // A hello that claims 60,000 bytes, in records of 1,000.
    let mut endless = vec![0x16, 3, 1, 0x03, 0xe8, 1, 0, 0xea, 0x60];
    endless.extend([0; 996]);
    for _ in 0..59 {
        endless.extend([0x16, 3, 1, 0x03, 0xe8]);
        endless.extend([0; 1000]);
    }
    assert_eq!(strange(&endless).1, "more bytes than a TLS handshake has");
}

#[test]
fn a_farewell_in_the_handshake_ends_it() {
    let mut bytes = hello(0x0303)[..20].to_vec();
    bytes.extend([0; 500]);
    for bytes in [
        // "I say no more", and more.
        [[0x15, 3, 3, 0, 2, 1, 0].as_slice(), &hello(0x0303), &hello(0x0303)].concat(),
        [[0x15, 3, 3, 0, 2, 1, 0].repeat(200).as_slice(), &bytes].concat(),
    ] {
        let begun = Instant::now();
        strange(&bytes);
        assert!(begun.elapsed() < PATIENCE / 2);
    }
}

#[test]
fn half_a_record_wakes_nobody_and_is_not_lost() {
    let (mut tcp, far) = ends();
    let serving = opening(good().server().over(far).unwrap());
    let config = Arc::new(scripted(&[&rustls::version::TLS13]));
    let name = ServerName::try_from("localhost").unwrap();
    let mut connection = rustls::ClientConnection::new(config, name).unwrap();
    connection.complete_io(&mut tcp).unwrap();
    let (stream, _) = serving.join().unwrap();
    connection.writer().write_all(b"hello").unwrap();
    let mut record = Vec::new();
    connection.write_tls(&mut record).unwrap();
    let (last, most) = record.split_last().unwrap();
    let mut buffer = [0; 9];
    for part in most.chunks(5) {
        tcp.write_all(part).unwrap();
        let read = stream.read_until(&mut buffer, Instant::now() + Duration::from_millis(10));
        assert_eq!(read.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
    tcp.write_all(&[*last]).unwrap();
    assert_eq!(stream.read_until(&mut buffer, soon()).unwrap(), 5);
    assert_eq!(&buffer[..5], b"hello");
    // Two records in one piece: the second one is not waited for.
    for text in [b"one", b"two"] {
        connection.writer().write_all(text).unwrap();
    }
    connection.complete_io(&mut tcp).unwrap();
    for text in [b"one", b"two"] {
        assert_eq!(stream.read_until(&mut buffer[..3], soon()).unwrap(), 3);
        assert_eq!(&buffer[..3], text);
    }
}

#[test]
fn an_end_is_told_from_a_cable_that_was_cut() {
    let mut buffer = [0; 9];
    let (near, far) = linked();
    (&mut &*near).write_all(b"bye").unwrap();
    near.end_writing();
    assert_eq!(far.read_until(&mut buffer, soon()).unwrap(), 3);
    assert_eq!(far.read_until(&mut buffer, soon()).unwrap(), 0, "it said that it was the end");
    // That side still hears.
    (&mut &*far).write_all(b"heard").unwrap();
    assert_eq!(near.read_until(&mut buffer, soon()).unwrap(), 5);
    let (near, far) = linked();
    near.tcp().shutdown(std::net::Shutdown::Write).unwrap();
    let cut = far.read_until(&mut buffer, soon()).unwrap_err();
    assert_eq!(cut.kind(), io::ErrorKind::UnexpectedEof);
}

/// Far more than the buffers of both sockets hold.
const MUCH: usize = 24 * 1024 * 1024;

#[test]
fn both_sides_write_at_once_into_full_buffers_and_both_go_on() {
    let (near, far) = linked();
    let mut threads = Vec::new();
    for stream in [near, far] {
        let writer = stream.clone();
        threads.push(thread::spawn("writes", move || {
            let part = vec![7; 60_000];
            let mut left = MUCH;
            while left > 0 {
                let now = left.min(part.len());
                (&mut &*writer).write_all(&part[..now]).unwrap();
                left -= now;
            }
        }));
        threads.push(thread::spawn("reads", move || {
            let (mut got, mut buffer) = (0, vec![0; 10_000]);
            // Reading begins when both writers are stuck, and by then nobody may hold what a reader needs.
            let stuck = Instant::now() + Duration::from_millis(300);
            let waited = stream.tcp().peek(&mut [0]).map(drop);
            let _ = crossbeam_channel::at(stuck).recv();
            waited.unwrap();
            while got < MUCH {
                let read = stream.read_until(&mut buffer, soon()).unwrap();
                assert!(read > 0 && buffer[..read].iter().all(|byte| *byte == 7));
                got += read;
            }
        }));
    }
    for thread in threads {
        thread.unwrap().join().unwrap();
    }
}

#[test]
fn a_writer_that_is_stuck_stops_no_reader_and_ends_at_its_deadline() {
    let (near, far) = linked();
    let writer = near.clone();
    let deadline = Instant::now() + Duration::from_secs(2);
    let writing = thread::spawn("stuck", move || {
        let part = vec![7; 60_000];
        loop {
            if let Err(e) = writer.write_until(&part, deadline) {
                return (e.kind(), Instant::now());
            }
        }
    });
    let mut buffer = [0; 9];
    for round in 0..100_u8 {
        (&mut &*far).write_all(&[round; 9]).unwrap();
        assert_eq!(near.read_until(&mut buffer, deadline).unwrap(), 9);
        let _ = crossbeam_channel::after(Duration::from_millis(2)).recv();
    }
    let waiting = near.clone();
    let reading = thread::spawn("reads", move || waiting.read_until(&mut [0], soon()));
    let (kind, ended) = writing.unwrap().join().unwrap();
    assert_eq!(kind, io::ErrorKind::TimedOut);
    assert!(ended >= deadline && ended < deadline + PATIENCE / 2);
    // A cut wakes whoever waits, also while nobody else does anything.
    near.cut();
    let _ = reading.unwrap().join().unwrap();
}

fn load(cert: &str, key: &str) -> Result<Server, String> {
    let folder = Folder::new();
    let (cert, key) = (folder.write("c.pem", cert), folder.write("k.pem", key));
    Server::load(&cert, &key).map_err(|fault| {
        let folder = format!("{}/", folder.0.display());
        assert!(fault.message.contains(&folder), "{fault}");
        fault.message.replace(&folder, "")
    })
}

#[test]
fn what_is_wrong_with_the_files_is_said_with_their_name() {
    let (good, other) = (good(), certificate(&HOME, 2020..2090));
    let damaged = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let locked =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    for (cert, key, said) in [
        ("", good.key.as_str(), "TLS certificate c.pem: it holds no certificate in PEM form"),
        (good.key.as_str(), good.key.as_str(), "TLS certificate c.pem: it holds no certificate"),
        (damaged, good.key.as_str(), "TLS certificate c.pem: it is damaged"),
        (good.cert.as_str(), "", "TLS key k.pem: it holds no private key in PEM form"),
        (good.cert.as_str(), good.cert.as_str(), "TLS key k.pem: it holds no private key"),
        (good.cert.as_str(), locked, "TLS key k.pem: the key is encrypted with a passphrase"),
        (
            good.cert.as_str(),
            other.key.as_str(),
            "TLS key k.pem: it is not the key of the certificate in c.pem",
        ),
    ] {
        let error = load(cert, key).map(drop).unwrap_err();
        assert!(error.starts_with(said), "{error}");
    }
    let folder = Folder::new();
    let (cert, key) = good.files(&folder);
    let none = folder.0.join("none.pem");
    let said = |cert, key| Server::load(cert, key).unwrap_err().message;
    assert!(said(&none, &key).ends_with("none.pem: there is no such file"));
    assert!(said(&cert, &none).starts_with("TLS key"));
    let directory = said(&folder.0, &key);
    assert!(directory.starts_with("TLS certificate: ") && directory.contains("no regular file"));
    let large = folder.write("large.pem", &"x".repeat(300_000));
    assert!(said(&large, &key).contains("longer than"));
    // One that has expired serves, with a warning in the log.
    let old = certificate(&HOME, 2001..2002);
    assert_eq!(load(&old.cert, &old.key).unwrap().pin(), old.pin);
}

#[test]
fn new_files_count_for_those_who_connect_then_and_bad_ones_for_nobody() {
    let folder = Folder::new();
    let (first, second) = (certificate(&HOME, 2020..2090), certificate(&HOME, 2020..2090));
    let (cert, key) = (folder.0.join("c.pem"), folder.0.join("k.pem"));
    let server = first.server_at(&cert, &key);
    let works = |made: &Made| meet(&server, &Trust::Pin(made.pin), "localhost").0.is_ok();
    assert!(works(&first));
    // Half of what is new: the key does not fit.
    std::fs::write(&cert, &second.cert).unwrap();
    assert!(server.reload().unwrap_err().message.contains("is not the key of"));
    assert!(works(&first) && server.pin() == first.pin);
    std::fs::write(&key, &second.key).unwrap();
    server.reload().unwrap();
    assert!(works(&second) && !works(&first) && server.pin() == second.pin);
    std::fs::remove_file(&cert).unwrap();
    assert!(server.reload().is_err());
    assert!(works(&second));
}
