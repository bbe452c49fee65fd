//! A peer's JSON, well signed: read the same a second time, and nothing in it reaches people as it came.
#![no_main]
use std::sync::LazyLock;

use ed25519_dalek::{Signer as _, SigningKey};
use libfuzzer_sys::{Corpus, fuzz_target};
use miner_cli::model::key::NodeId;
use miner_cli::registry::hostile;
use miner_cli::smsg::envelope::{Envelope, Opened, Refusal, open, seal};
use miner_cli::smsg::hello::{Answer, Hello};
use miner_cli::smsg::limits;
use miner_cli::smsg::messages::Body;
use miner_cli_fuzz::{figure, shown};
use serde_json::Value;

/// As in the corpus.
const FROM: NodeId = NodeId([1; 8]);
const TO: NodeId = NodeId([2; 8]);
static KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::from_bytes(&[7; 32]));

fn opened(bytes: &[u8]) -> Result<Opened, Refusal> {
    open(bytes, &KEY.verifying_key(), FROM, TO)
}

fn sign(json: &[u8]) -> [u8; 64] {
    KEY.sign(json).to_bytes()
}

/// What was read says the same when it is written and read again.
fn stable(read: &Envelope) {
    let Ok(sent) = seal(read, sign) else { return };
    assert!(sent.len() <= limits::ENVELOPE, "too long for a message");
    let again = opened(&sent).expect("our own words");
    assert_eq!((&again.id, again.seq), (&read.id, read.seq));
    let again = again.content.expect("our own words");
    assert_eq!(again, *read, "read otherwise the second time");
    assert_eq!(
        seal(&again, sign).expect("as long as before"),
        sent,
        "written otherwise the second time"
    );
}

/// Every text and figure of a report, wherever it stands.
fn clean(value: &Value) {
    match value {
        Value::String(text) => shown(text, 300),
        // JSON has no other number that could not be; and no report counts below 0 but the history that goes with it.
        Value::Number(number) => figure(number.as_f64().filter(|n| !n.is_finite())),
        Value::Array(all) => all.iter().for_each(clean),
        Value::Object(all) => all.values().for_each(clean),
        Value::Null | Value::Bool(_) => {}
    }
}

/// What the registry keeps of it.
fn kept(body: Body) {
    match body {
        Body::Stats(mut stats) => {
            stats.history = None;
            let stats = hostile::report(*stats);
            assert!(stats.miners.len() <= 64 && stats.miners.iter().all(|m| m.devices.len() <= 64));
            for miner in &stats.miners {
                for n in [miner.hashrate.now, miner.hashrate.minute, miner.difficulty, miner.power]
                {
                    figure(n);
                }
                miner
                    .devices
                    .iter()
                    .for_each(|d| [d.hashrate, d.fan, d.power].into_iter().for_each(figure));
            }
            let json = serde_json::to_value(&stats).expect("a report has a JSON form");
            clean(&json);
        }
        Body::Error(fault) => {
            let fault = hostile::fault(&fault);
            shown(&fault.message, 600);
            fault.hint.iter().for_each(|hint| shown(hint, 300));
        }
        Body::Events { events } => {
            for event in events.into_iter().map(hostile::event) {
                shown(&event.text, 600);
                assert!(event.log.len() <= 50);
                event.log.iter().for_each(|line| shown(line, 160));
            }
        }
        Body::ProfileChecked(check) => {
            hostile::deploy_check(check).changes.iter().for_each(|change| shown(change, 600));
        }
        Body::Profiles { profiles } => {
            for profile in hostile::profiles(&profiles) {
                shown(&profile.name, 64);
                assert!(profile.config.password.is_none_or(|p| p == "***"), "a password is shown");
            }
        }
        _ => {}
    }
}

fuzz_target!(|json: &[u8]| -> Corpus {
    if json.len() > limits::ENVELOPE - 64 {
        return Corpus::Reject;
    }
    if let Ok(hello) = serde_json::from_slice::<Hello>(json) {
        let text = serde_json::to_vec(&hello).expect("JSON");
        assert_eq!(serde_json::from_slice::<Hello>(&text).expect("our own words"), hello);
    }
    if let Ok(answer) = serde_json::from_slice::<Answer>(json) {
        let text = serde_json::to_vec(&answer).expect("JSON");
        assert_eq!(serde_json::from_slice::<Answer>(&text).expect("our own words"), answer);
    }
    match opened(&[&sign(json)[..], json].concat()) {
        Err(refusal) => shown(&refusal.to_string(), 300),
        Ok(Opened { id, content, .. }) => {
            assert!((1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic()));
            match content {
                Err(fault) => shown(&fault.message, 300),
                Ok(envelope) => {
                    stable(&envelope);
                    kept(envelope.body);
                }
            }
        }
    }
    Corpus::Keep
});
