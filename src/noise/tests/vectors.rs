//! The published vectors of this suite, byte by byte.
use data_encoding::HEXLOWER;
use serde_json::Value;

use crate::noise::Handshake;

fn bytes(value: &Value) -> Vec<u8> {
    HEXLOWER.decode(value.as_str().unwrap().as_bytes()).unwrap()
}

fn key(value: &Value) -> [u8; 32] {
    bytes(value).try_into().unwrap()
}

fn check(json: &str) {
    let vector: Value = serde_json::from_str(json).unwrap();
    assert_eq!(vector["protocol_name"], "Noise_XX_25519_ChaChaPoly_SHA256");
    let mut initiator =
        Handshake::initiator(&key(&vector["init_static"]), &bytes(&vector["init_prologue"]))
            .with_ephemeral(&key(&vector["init_ephemeral"]));
    let mut responder =
        Handshake::responder(&key(&vector["resp_static"]), &bytes(&vector["resp_prologue"]))
            .with_ephemeral(&key(&vector["resp_ephemeral"]));

    let messages = vector["messages"].as_array().unwrap();
    let (handshake, rest) = messages.split_at(3);
    for (index, message) in handshake.iter().enumerate() {
        let (writer, reader) = if index == 1 {
            (&mut responder, &mut initiator)
        } else {
            (&mut initiator, &mut responder)
        };
        let (payload, expected) = (bytes(&message["payload"]), bytes(&message["ciphertext"]));
        assert_eq!(writer.write_message(&payload).unwrap(), expected, "message {index}");
        assert_eq!(reader.read_message(&expected).unwrap(), payload, "message {index}");
    }
    assert_eq!(initiator.remote_static(), Some(super::public(key(&vector["resp_static"]))));
    assert_eq!(responder.remote_static(), Some(super::public(key(&vector["init_static"]))));

    let (mut initiator, mut responder) = (initiator.finish().unwrap(), responder.finish().unwrap());
    assert_eq!(initiator.hash, responder.hash);
    if !vector["handshake_hash"].is_null() {
        assert_eq!(initiator.hash, key(&vector["handshake_hash"]));
    }
    assert!(rest.len() >= 2, "both directions are covered");
    let mut out = Vec::new();
    for (index, message) in rest.iter().enumerate() {
        let (sender, receiver) = if index % 2 == 0 {
            (&mut responder.send, &mut initiator.receive)
        } else {
            (&mut initiator.send, &mut responder.receive)
        };
        let (payload, expected) = (bytes(&message["payload"]), bytes(&message["ciphertext"]));
        sender.seal(&payload, &mut out).unwrap();
        assert_eq!(out, expected, "transport message {index}");
        receiver.open(&expected, &mut out).unwrap();
        assert_eq!(out, payload, "transport message {index}");
    }
}

#[test]
fn cacophony() {
    check(include_str!("../../../tests/fixtures/noise/cacophony.json"));
}

#[test]
fn snow() {
    check(include_str!("../../../tests/fixtures/noise/snow.json"));
}
