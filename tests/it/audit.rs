//! The audit log over the real binary: who asked for what, what came of it, and that nobody rewrites it unseen.
use std::net::TcpStream;
use std::path::PathBuf;

use miner_cli::identity::Identity;
use miner_cli::noise::Handshake;
use miner_cli::smsg::envelope::{Envelope, open};
use miner_cli::smsg::hello::Answer;
use miner_cli::smsg::limits;
use miner_cli::smsg::messages::Body;
use miner_cli::sys::clock;
use rusqlite::Connection;
use serde_json::{Value, json};
use tungstenite::Message;

use super::node::{Node, PATIENCE, children, pair, start_simulated, until};
use super::policy::audit;

fn told<'a>(row: &'a Value, field: &str) -> &'a str {
    row[field].as_str().unwrap()
}

#[test]
fn both_ends_say_who_asked_for_what_and_what_came_of_it() {
    let (controller, rig) = pair();
    start_simulated(&controller, "demo", &json!({})).ok();
    let mut rows = Vec::new();
    until("the outcome is written", || {
        rows = rig.json(&["audit", "control-center"]).as_array().unwrap().clone();
        rows.len() >= 2
    });
    let texts: Vec<_> = rows.iter().map(|r| (told(r, "what"), told(r, "result"))).collect();
    assert_eq!(
        texts,
        [("start_miner", "accepted"), ("start_miner", "done: miner started simulated-1")]
    );
    assert_eq!(rows[0]["command"], rows[1]["command"]);
    assert_eq!((&rows[0]["signed"], &rows[1]["signed"]), (&json!(true), &json!(false)));
    let key = &controller.json(&["node", "info"])["identity"]["publicKey"];
    assert_eq!((&rows[0]["key"], &rows[0]["peerId"]), (key, &json!(controller.id())));

    let here = |whose: &str| controller.json(&["audit", whose]).as_array().unwrap().clone();
    until("the controller has its own", || {
        here("rig-alpha").iter().any(|r| told(r, "result") == "done: simulated-1")
    });
    assert!(here("local:token").iter().any(|r| told(r, "what") == "add profile demo"));
    let said = controller.cli(&["audit", "nobody"]);
    assert!(said.code == 4 && said.err.contains("nobody"), "{said:?}");
    let table = rig.cli(&["audit", "--lines", "1"]).ok();
    assert!(table.contains("simulated-1") && table.lines().count() == 2, "{table}");
    assert_eq!(rig.rest("GET", "/audit?lines=0", None).0, 400);
    assert_eq!(rig.rest("GET", "/audit?lines=1", None).1.as_array().unwrap().len(), 1);
    assert!(audit(&rig).iter().all(|r| r.get("envelope").is_none()), "passwords stand in them");
}

#[test]
fn a_byte_changed_in_the_log_is_found_and_its_row_named() {
    let (controller, rig) = pair();
    start_simulated(&controller, "demo", &json!({})).ok();
    controller.cli(&["remote", "stop", "rig-alpha"]).ok();
    let said = rig.cli(&["audit", "verify"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.contains("2 signatures are good, 0 are bad"), "{said:?}");

    let db = Connection::open(rig.home().join("node.db")).unwrap();
    db.busy_timeout(PATIENCE).unwrap();
    let (id, mut envelope): (i64, Vec<u8>) = db
        .query_row(
            "SELECT id, envelope FROM audit WHERE what = 'start_miner' AND envelope IS NOT NULL",
            [],
            |r| Ok((r.get(0)?, r.get(1)?)),
        )
        .unwrap();
    let at = envelope.windows(5).position(|w| w == b"12500").unwrap();
    envelope[at] = b'9';
    let change = "UPDATE audit SET envelope = ?1 WHERE id = ?2";
    let refused = db.execute(change, rusqlite::params![envelope, id]).unwrap_err();
    assert!(refused.to_string().contains("append-only"), "{refused}");
    db.execute_batch("DROP TRIGGER audit_is_not_changed").unwrap();
    db.execute(change, rusqlite::params![envelope, id]).unwrap();
    drop(db);

    let said = rig.cli(&["audit", "verify"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(
        said.out.contains(&format!("row {id}: ")) && said.out.contains("signature"),
        "{said:?}"
    );
    assert!(said.out.contains("1 signatures are good, 1 are bad"), "{said:?}");
    let (status, report) = rig.rest("POST", "/audit/verify", None);
    assert_eq!(
        (status, &report["bad"], &report["findings"][0]["id"]),
        (200, &json!(1), &json!(id))
    );
}

/// A link to `rig` by somebody who has `node`'s keys, or is it: the answer to `envelope`, sent as it is.
fn send_again(node: &Node, rig: &str, envelope: &[u8]) -> Envelope {
    let me = Identity::load(&node.home().join("node.json"), &node.home().join("node/private.key"))
        .unwrap()
        .unwrap();
    let stream = TcpStream::connect(rig).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut ws = tungstenite::client(format!("ws://{rig}/ws"), stream).unwrap().0;
    let read = |ws: &mut tungstenite::WebSocket<TcpStream>| match ws.read().unwrap() {
        Message::Binary(bytes) => bytes.to_vec(),
        other => panic!("{other:?}"),
    };
    let mut noise = Handshake::initiator(me.secret(), limits::PROLOGUE);
    ws.send(Message::binary(noise.write_message(&[]).unwrap())).unwrap();
    noise.read_message(&read(&mut ws)).unwrap();
    let hello = serde_json::to_vec(&me.hello(None, None, clock::wall())).unwrap();
    ws.send(Message::binary(noise.write_message(&hello).unwrap())).unwrap();
    let peer = miner_cli::model::key::PublicKey(noise.remote_static().unwrap());
    let mut transport = noise.finish().unwrap();
    let mut plain = Vec::new();
    transport.receive.open(&read(&mut ws), &mut plain).unwrap();
    let Answer::Welcome { hello } = serde_json::from_slice(&plain).unwrap() else {
        panic!("{}", String::from_utf8_lossy(&plain))
    };
    let key = ed25519_dalek::VerifyingKey::from_bytes(&hello.signing_key.0).unwrap();
    let mut sealed = Vec::new();
    transport.send.seal(envelope, &mut sealed).unwrap();
    ws.send(Message::binary(sealed)).unwrap();
    loop {
        plain.clear();
        transport.receive.open(&read(&mut ws), &mut plain).unwrap();
        let content = open(&plain, &key, peer.node_id(), me.card.id).unwrap().content.unwrap();
        if content.reply_to.is_some() {
            return content;
        }
    }
}

#[test]
fn a_recorded_start_sent_again_after_both_ends_restarted_is_refused() {
    let (mut controller, mut rig) = pair();
    start_simulated(&controller, "demo", &json!({})).ok();
    controller.cli(&["remote", "stop", "rig-alpha"]).ok();
    let db: PathBuf = rig.home().join("node.db");
    let recorded: Vec<u8> = Connection::open(&db)
        .unwrap()
        .query_row(
            "SELECT envelope FROM audit WHERE what = 'start_miner' AND envelope IS NOT NULL",
            [],
            |r| r.get(0),
        )
        .unwrap();
    let (listen, api) = (rig.p2p(), rig.api());
    // A crash, not an orderly end: what was accepted is on disk all the same.
    rig.kill();
    controller.kill();
    rig.start_with(&["--listen", &listen, "--api", &api]);
    controller.start();
    until("linked again", || rig.peer("control-center")["connected"] == true);
    // Nothing newer has come since: only what is on disk can tell that it is old.
    controller.kill();

    let Body::Error(fault) = send_again(&controller, &listen, &recorded).body else {
        panic!("it was taken")
    };
    assert_eq!(fault.code.text(), "NOT_ALLOWED");
    assert!(fault.message.contains("sequence number is not new"), "{fault}");
    assert!(children(rig.pid()).is_empty(), "nothing was started");
    until("the refusal is written", || {
        audit(&rig).iter().any(|r| told(r, "result").contains("sequence number"))
    });
    assert_eq!(rig.cli(&["audit", "verify"]).code, 0);
}
