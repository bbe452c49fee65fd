use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use proptest::prelude::{ProptestConfig, any, prop_assert, prop_assert_eq, proptest};

use super::{Envelope, Refusal, Sequence, TooLarge, open, seal};
use crate::model::fault::{Code, Fault};
use crate::model::key::NodeId;
use crate::model::time::Timestamp;
use crate::smsg::limits;
use crate::smsg::messages::{Body, LogLines};

const FROM: NodeId = NodeId([1; 8]);
const TO: NodeId = NodeId([2; 8]);

fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

fn signed(json: &str) -> Vec<u8> {
    [key().sign(json.as_bytes()).to_bytes().as_slice(), json.as_bytes()].concat()
}

fn opened(bytes: &[u8]) -> Result<super::Opened, Refusal> {
    open(bytes, &key().verifying_key(), FROM, TO)
}

fn envelope(body: Body) -> Envelope {
    Envelope {
        id: "a1".to_owned(),
        from: FROM,
        to: TO,
        ts: Timestamp(1_700_000_000_123),
        seq: 9,
        reply_to: None,
        body,
    }
}

fn sealed(body: Body) -> Vec<u8> {
    seal(&envelope(body), |bytes| key().sign(bytes).to_bytes()).unwrap()
}

#[test]
fn the_json_is_as_the_protocol_page_says() {
    let bytes = sealed(Body::Ping {});
    let json: serde_json::Value = serde_json::from_slice(&bytes[64..]).unwrap();
    let wanted = serde_json::json!({
        "id": "a1", "type": "ping", "from": "0101010101010101", "to": "0202020202020202",
        "ts": "2023-11-14T22:13:20.123Z", "seq": 9, "payload": {},
    });
    assert_eq!(json, wanted);
}

#[test]
fn a_bit_flipped_anywhere_is_refused() {
    let good = sealed(Body::Bye { reason: "enough".to_owned() });
    assert!(opened(&good).is_ok());
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1;
        assert_eq!(opened(&bad), Err(Refusal::Signature), "offset {at}");
        assert!(opened(&good[..at]).is_err(), "cut at {at}");
    }
}

#[test]
fn another_key_and_a_weak_key_are_refused() {
    let bytes = sealed(Body::Ping {});
    let other = SigningKey::from_bytes(&[8; 32]).verifying_key();
    assert_eq!(open(&bytes, &other, FROM, TO), Err(Refusal::Signature));
    // The neutral point as key, R neutral, s zero: the lax check takes this for a signature of anything.
    let mut neutral = [0; 32];
    neutral[0] = 1;
    let weak = VerifyingKey::from_bytes(&neutral).unwrap();
    let mut forged = vec![0; 64];
    forged[0] = 1;
    forged.extend_from_slice(&bytes[64..]);
    assert_eq!(open(&forged, &weak, FROM, TO), Err(Refusal::Signature));
}

#[test]
fn the_addressing_is_checked() {
    let bytes = sealed(Body::Ping {});
    let key = key().verifying_key();
    assert_eq!(open(&bytes, &key, TO, TO), Err(Refusal::From(FROM)));
    assert_eq!(open(&bytes, &key, FROM, FROM), Err(Refusal::To(TO)));
    let with = |id: &str, reply: &str| {
        let mut changed = envelope(Body::Ping {});
        changed.id = id.to_owned();
        changed.reply_to = Some(reply.to_owned());
        opened(&seal(&changed, |bytes| self::key().sign(bytes).to_bytes()).unwrap())
    };
    assert!(with(&"x".repeat(64), "y").is_ok());
    for bad in ["", "a b", "a\n", "ä", &"x".repeat(65)] {
        assert_eq!(with(bad, "y"), Err(Refusal::Id), "{bad:?}");
        assert_eq!(with("x", bad), Err(Refusal::Id), "{bad:?}");
    }
}

#[test]
fn another_versions_messages_get_an_error_and_do_not_end_the_link() {
    let head = r#""id":"q","from":"0101010101010101","to":"0202020202020202","ts":"2026-01-01T00:00:00Z","seq":3"#;
    let fault = |rest: &str| -> Fault {
        let opened = opened(&signed(&format!("{{{head},{rest}}}"))).unwrap();
        assert_eq!((opened.id.as_str(), opened.seq), ("q", 3));
        opened.content.unwrap_err()
    };
    let unknown = fault(r#""type":"dance","payload":[1,{"x":null}]"#);
    assert_eq!(unknown.code, Code::Unsupported);
    assert!(unknown.message.contains("dance"));
    assert_eq!(fault(r#""type":"stop_miner","payload":{"deadline":7}"#).code, Code::Invalid);
    let profile = r#"{"id":"a","name":"a","minerType":"xmrig","config":{"newOption":1}}"#;
    let deploy = format!(
        r#""type":"deploy_profile","payload":{{"deadline":"2026-01-01T00:00:00Z","profile":{profile}}}"#
    );
    let refused = fault(&deploy);
    assert_eq!(refused.code, Code::Invalid);
    assert!(refused.message.contains("newOption"), "{refused}");
    let ignored = signed(&format!(r#"{{{head},"new":[1],"type":"ping","payload":{{"more":1}}}}"#));
    assert_eq!(opened(&ignored).unwrap().content.unwrap().body, Body::Ping {});
}

#[test]
fn nesting_without_end_is_refused_and_not_followed() {
    let deep = format!(r#"{{"payload":{}"#, "[".repeat(60_000));
    assert!(matches!(opened(&signed(&deep)), Err(Refusal::Json(_))));
}

#[test]
fn every_type_is_listed() {
    let fault = Fault::new(Code::Invalid, "x");
    for body in [Body::Ping {}, Body::GetStats {}, Body::ListProfiles {}, Body::Error(fault)] {
        let opened = opened(&sealed(body.clone())).unwrap();
        assert_eq!(opened.content.unwrap().body, body);
    }
    // The derive names its variants in the error for a type that it does not know.
    let known = serde_json::from_str::<Body>(r#"{"type":"?","payload":{}}"#).unwrap_err();
    let known = known.to_string();
    for kind in Body::TYPES {
        assert!(known.contains(&format!("`{kind}`")), "{kind} is no message");
    }
    assert_eq!(known.matches('`').count(), 2 * (Body::TYPES.len() + 1), "{known}");
}

#[test]
fn what_does_not_fit_a_noise_message_is_refused_by_the_sender() {
    let lines = |bytes: usize| {
        Body::LogLines(LogLines { lines: vec!["x".repeat(bytes)], ..LogLines::default() })
    };
    let sign = |bytes: &[u8]| key().sign(bytes).to_bytes();
    let overhead = sealed(lines(0)).len();
    let room = limits::ENVELOPE - overhead;
    let fits = seal(&envelope(lines(room)), sign).unwrap();
    assert_eq!(fits.len(), limits::ENVELOPE);
    assert!(opened(&fits).is_ok());
    assert_eq!(seal(&envelope(lines(room + 1)), sign), Err(TooLarge(limits::ENVELOPE + 1)));
}

#[test]
fn a_sequence_rises_strictly() {
    let mut sequence = Sequence::default();
    assert!(sequence.rises(0) && sequence.rises(1) && sequence.rises(7));
    assert!(!sequence.rises(7) && !sequence.rises(6) && !sequence.rises(0));
    assert!(sequence.rises(u64::MAX));
    assert!(!sequence.rises(u64::MAX));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn arbitrary_bytes_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(opened(&bytes).is_err());
    }

    #[test]
    fn arbitrary_signed_text_never_panics(text in any::<String>(), kind in any::<String>()) {
        let _ = opened(&signed(&text));
        let json = serde_json::json!({
            "id": "i", "type": kind, "from": FROM, "to": TO, "ts": "2026-01-01T00:00:00Z", "seq": 1, "payload": text,
        });
        let _ = opened(&signed(&json.to_string()));
    }

    #[test]
    fn an_envelope_comes_out_as_it_went_in(
        lines in proptest::collection::vec(any::<String>(), 0..20),
        (more, ended, skipped, seq) in any::<(bool, bool, u64, u64)>(),
        follow in any::<Option<u64>>(),
        id in "[!-~]{1,64}",
        reply_to in proptest::option::of("[!-~]{1,64}"),
    ) {
        let body = Body::LogLines(LogLines { lines, more, skipped, ended, follow });
        let sent = Envelope { id, reply_to, seq, ..envelope(body) };
        let bytes = seal(&sent, |bytes| key().sign(bytes).to_bytes()).unwrap();
        let opened = opened(&bytes).unwrap();
        prop_assert_eq!(opened.seq, sent.seq);
        prop_assert_eq!(opened.content.unwrap(), sent);
    }
}
