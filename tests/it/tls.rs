//! TLS at the daemon's ports, with the tools that people use.
use std::io::Read as _;
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::node::{Node, PATIENCE, Said, until, within};
use crate::tls_support::{Authority, HOME, Made, certificate};

/// Puts the files into the node's folder.
fn files(node: &Node, made: &Made) -> [String; 2] {
    [node.folder.file("cert.pem", &made.cert), node.folder.file("key.pem", &made.key)]
}

/// A node whose two ports are under TLS with this certificate.
fn served(name: &str, made: &Made) -> Node {
    let mut node = Node::bare(name);
    node.cli(&["node", "init", "--name", name]).ok();
    let [cert, key] = files(&node, made);
    node.start_with(&[
        "--tls-cert",
        &cert,
        "--tls-key",
        &key,
        "--api-tls-cert",
        &cert,
        "--api-tls-key",
        &key,
    ]);
    node
}

/// Whether the tool is on this machine; what needs it is skipped otherwise.
fn has(tool: &str) -> bool {
    Command::new(tool).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

fn curl(args: &[&str]) -> Said {
    Command::new("curl").args(["-sS", "--max-time", "30"]).args(args).output().unwrap().into()
}

fn run_file(node: &Node) -> serde_json::Value {
    let text = std::fs::read_to_string(node.home().join("run/daemon.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn the_command_line_trusts_its_own_daemon_and_others_by_their_authority() {
    let authority = Authority::new();
    let node = served("rig", &authority.signs(&HOME, 2020..2090));
    let info = node.json(&["node", "info"]);
    let api = info["api"].as_str().unwrap().to_owned();
    assert!(api.starts_with("https://127.0.0.1:"), "{api}");
    assert!(info["listen"].as_str().unwrap().starts_with("wss://127.0.0.1:"));
    let link = node.cli(&["dashboard"]).ok();
    assert!(link.starts_with(&format!("{api}/#token=")), "{link}");
    // An address without a scheme is this node's own, too.
    node.cli(&["--api", api.trim_start_matches("https://"), "peer", "list"]).ok();
    assert_eq!(node.cli(&["doctor"]).out.matches(&api).count(), 1);

    // From elsewhere: the system trusts no such authority; the file does.
    let other = Node::bare("elsewhere");
    let ca = other.folder.file("ca.pem", &authority.made.cert);
    let token = other.folder.file("token", &node.token());
    let far = |more: &[&str]| {
        other.cli(&[&["--api", &api, "--token-file", &token, "peer", "list"], more].concat())
    };
    let said = far(&[]);
    assert_ne!(said.code, 0);
    assert!(
        said.err.contains("authority that is not trusted here") && said.err.contains("--api-ca"),
        "{said:?}"
    );
    far(&["--api-ca", &ca]).ok();
    let plain = other.cli(&[
        "--api",
        &api.replace("https", "http"),
        "--token-file",
        &token,
        "peer",
        "list",
    ]);
    assert!(plain.err.contains("under TLS"), "{plain:?}");
    // Another daemon at the address of the run file, or a man in the middle: not the pinned certificate.
    let mut run = run_file(&node);
    run["apiPin"] = "00".repeat(32).into();
    std::fs::write(node.home().join("run/daemon.json"), run.to_string()).unwrap();
    let said = node.cli(&["peer", "list"]);
    assert!(said.code != 0 && said.err.contains("not the pinned one"), "{said:?}");
}

#[test]
fn curl_and_openssl_connect() {
    let authority = Authority::new();
    let node = served("rig", &authority.signs(&HOME, 2020..2090));
    let ca = node.folder.file("ca.pem", &authority.made.cert);
    let api = node.json(&["node", "info"])["api"].as_str().unwrap().to_owned();
    let listen = node.p2p().trim_start_matches("wss://").to_owned();
    if has("curl") {
        for version in ["1.2", "1.3"] {
            let args = ["--cacert", &ca, "--tls-max", version, &format!("{api}/health")];
            assert!(curl(&args).ok().contains("healthy"), "{version}");
        }
        let bearer = format!("Authorization: Bearer {}", node.token());
        let text =
            curl(&["--cacert", &ca, "-H", &bearer, &format!("{api}/api/v1/mining/node/info")]);
        assert!(text.ok().contains("\"rig\""));
        let untrusted = curl(&[&format!("{api}/health")]);
        assert_eq!(untrusted.code, 60, "{untrusted:?}");
        let plain = curl(&[&format!("{}/health", api.replace("https", "http"))]);
        assert!(plain.out.contains("https://"), "{plain:?}");
    }
    if has("openssl") {
        let address = api.trim_start_matches("https://");
        for (port, versions) in
            [(address, ["-tls1_2", "-tls1_3"]), (&listen, ["-tls1_2", "-tls1_3"])]
        {
            for version in versions {
                let said: Said = Command::new("openssl")
                    .args(["s_client", "-connect", port, "-CAfile", &ca, "-verify_return_error"])
                    .args([version, "-alpn", "http/1.1"])
                    .stdin(Stdio::null())
                    .output()
                    .unwrap()
                    .into();
                assert!(
                    said.out.contains("Verify return code: 0 (ok)"),
                    "{port} {version}: {said:?}"
                );
                assert!(said.out.contains("ALPN protocol: http/1.1"), "{said:?}");
            }
        }
    }
}

#[test]
fn nodes_pair_over_wss_by_pin_by_authority_and_with_the_line_that_an_invite_prints() {
    let authority = Authority::new();
    let made = authority.signs(&HOME, 2020..2090);
    let rig = served("rig-alpha", &made);
    let mut controller = Node::serve("control", "controller");
    let address = rig.p2p();
    let add = |more: &[&str]| {
        controller
            .cli(&[&["peer", "add", "--address", &address, "--name", "rig-alpha"], more].concat())
    };
    let said = add(&[]);
    assert!(said.err.contains("authority that is not trusted here"), "{said:?}");
    let said = add(&["--tls-pin", &"00".repeat(32)]);
    assert!(said.err.contains("not the pinned one"), "{said:?}");
    let said = add(&["--tls-pin", "12"]);
    assert!(said.err.contains("64 hex digits"), "{said:?}");
    let none = add(&["--tls-ca", "/no/such/file"]);
    assert!(none.err.contains("/no/such/file: there is no such file"), "{none:?}");
    let plain = controller.cli(&[
        "peer",
        "add",
        "--address",
        "127.0.0.1:9",
        "--name",
        "x",
        "--tls-pin",
        &"00".repeat(32),
    ]);
    assert!(plain.err.contains("begins with wss://"), "{plain:?}");
    let ca = controller.folder.file("ca.pem", &authority.made.cert);
    add(&["--tls-ca", &ca]).ok();
    rig.cli(&["peer", "approve", &controller.id()]).ok();
    until("they are linked", || controller.peer("rig-alpha")["connected"] == true);
    assert_eq!(controller.peer("rig-alpha")["address"], address.as_str());

    // What is believed of the certificate is kept, the file is not needed.
    std::fs::remove_file(ca).unwrap();
    assert_eq!(controller.stop(), Some(0));
    controller.start();
    until("they are linked again", || controller.peer("rig-alpha")["connected"] == true);

    // The line that an invite prints is enough, and one without the pin is not.
    let printed = rig.cli(&["node", "invite"]).ok();
    let line = printed.lines().find(|l| l.contains("node join")).unwrap();
    let words: Vec<&str> = line.split_whitespace().skip(1).collect();
    assert!(words[2].starts_with("wss://127.0.0.1:") && words.contains(&"--tls-pin"), "{line}");
    let second = Node::serve("second", "controller");
    let said = second.cli(&words[..4]);
    assert!(second.peer("rig-alpha").is_null() || !said.err.is_empty(), "{said:?}");
    let third = Node::serve("third", "controller");
    third.cli(&words).ok();
    until("the third is linked", || third.peer("rig-alpha")["connected"] == true);
}

#[test]
fn sighup_brings_a_new_certificate_and_a_bad_one_changes_nothing() {
    let (first, second) = (certificate(&HOME, 2020..2090), certificate(&HOME, 2020..2090));
    let node = served("rig", &first);
    let controller = Node::serve("control", "controller");
    let pin = first.pin.to_string();
    controller
        .cli(&["peer", "add", "--address", &node.p2p(), "--name", "rig", "--tls-pin", &pin])
        .ok();
    node.cli(&["peer", "approve", &controller.id()]).ok();
    until("they are linked", || controller.peer("rig")["connected"] == true);
    let started = run_file(&node)["startedAt"].clone();

    node.folder.file("cert.pem", &second.cert);
    node.signal(1);
    until("it says what is wrong", || node.log().matches("keeps its old certificate").count() == 2);
    assert!(node.log().contains("is not the key of the certificate in"), "{}", node.log());
    assert_eq!(run_file(&node)["apiPin"], pin);
    node.cli(&["peer", "list"]).ok();

    node.folder.file("key.pem", &second.key);
    node.signal(1);
    until("it has the new one", || run_file(&node)["apiPin"] == second.pin.to_string());
    assert_eq!(run_file(&node)["listenPin"], second.pin.to_string());
    assert_eq!(run_file(&node)["startedAt"], started);
    node.cli(&["peer", "list"]).ok();
    // The link lives on; it is for the next one that the pin is old.
    assert_eq!(controller.peer("rig")["connected"], true);
    let other = Node::serve("other", "controller");
    let said =
        other.cli(&["peer", "add", "--address", &node.p2p(), "--name", "rig", "--tls-pin", &pin]);
    assert!(said.err.contains(&second.pin.to_string()), "{said:?}");
}

#[test]
fn what_is_wrong_is_said_before_a_port_opens() {
    let mut node = Node::bare("rig");
    node.cli(&["node", "init", "--name", "rig"]).ok();
    let good = certificate(&HOME, 2020..2090);
    let [cert, key] = files(&node, &good);
    let none = node.home().join("none.pem").to_str().unwrap().to_owned();
    let refused = |node: &mut Node, flags: &[&str], why: &str| {
        let said = node.try_start(flags).unwrap_err();
        assert!(said.contains(why), "{said}");
        assert!(!said.contains("API on"), "{said}");
        drop(std::fs::remove_file(node.home().join("daemon.log")));
    };
    refused(
        &mut node,
        &["--tls-cert", &none, "--tls-key", &key],
        "none.pem: there is no such file",
    );
    refused(&mut node, &["--api-tls-cert", &cert, "--api-tls-key", &cert], "holds no private key");
    refused(&mut node, &["--tls-cert", &cert], "--tls-cert and --tls-key belong together");
    refused(
        &mut node,
        &["--api-tls-key", &key],
        "--api-tls-cert and --api-tls-key belong together",
    );
    let config = node.home().join("config.toml");
    std::fs::write(&config, format!("[tls]\ncert = {none:?}\nkey = {key:?}\n")).unwrap();
    refused(&mut node, &[], "none.pem: there is no such file");

    // Beyond this machine: with TLS and not without. One that has expired serves, and says so.
    let old = certificate(&HOME, 2001..2002);
    let old = (node.folder.file("old.pem", &old.cert), node.folder.file("old-key.pem", &old.key));
    std::fs::write(&config, format!("[api.tls]\ncert = {:?}\nkey = {:?}\n", old.0, old.1)).unwrap();
    let open = ["--listen", "127.0.0.1:0", "--api", "0.0.0.0:0"];
    node.start_with(&open);
    assert!(node.log().contains("old.pem expired at 2002-01-01"), "{}", node.log());
    assert!(
        node.json(&["node", "info"])["api"].as_str().unwrap().starts_with("https://127.0.0.1:")
    );
    node.stop();
    std::fs::remove_file(config).unwrap();
    let said = node.try_start(&open).unwrap_err();
    assert!(said.contains("without encryption") && said.contains("[api.tls]"), "{said}");
}

#[test]
fn sighup_without_tls_ends_nothing() {
    let node = Node::serve("rig", "worker");
    node.signal(1);
    assert!(!within(Duration::from_millis(500), || !super::node::alive(node.pid())));
    node.cli(&["peer", "list"]).ok();
}

#[test]
fn strangers_in_the_handshake_keep_nobody_out() {
    let node = served("rig", &certificate(&HOME, 2020..2090));
    let api = node.json(&["node", "info"])["api"].as_str().unwrap().to_owned();
    let (api, p2p) = (api.trim_start_matches("https://").to_owned(), node.p2p());
    let p2p = p2p.trim_start_matches("wss://");
    let idle: Vec<TcpStream> = (0..300)
        .flat_map(|_| [TcpStream::connect(&api), TcpStream::connect(p2p)])
        .flatten()
        .collect();
    node.cli(&["peer", "list"]).ok();
    let controller = Node::serve("control", "controller");
    let pin = run_file(&node)["listenPin"].as_str().unwrap().to_owned();
    controller
        .cli(&["peer", "add", "--address", &node.p2p(), "--name", "rig", "--tls-pin", &pin])
        .ok();
    drop(idle);
    let mut plain = TcpStream::connect(p2p).unwrap();
    plain.set_read_timeout(Some(PATIENCE)).unwrap();
    std::io::Write::write_all(&mut plain, b"GET /ws HTTP/1.1\r\n\r\n").unwrap();
    let mut answer = String::new();
    drop(plain.read_to_string(&mut answer));
    assert!(answer.starts_with("HTTP/1.1 426 "), "{answer}");
}
