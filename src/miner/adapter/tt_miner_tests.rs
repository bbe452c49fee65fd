use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::fake_tests::{TT_MINER, any_json, is_honest, mutated};
use super::{Adapter as _, TtMiner, arguments, statistics};
use crate::miner::adapter::StartProblem;
use crate::model::stats::{Device, MinerSample};

fn args(config: Value) -> Result<String, StartProblem> {
    arguments(&serde_json::from_value(config).unwrap(), 4321).map(|args| args.join(" "))
}

fn read(result: &Value) -> Result<MinerSample, String> {
    statistics(json!({"id": 0, "result": result}).to_string().as_bytes())
}

#[test]
fn a_full_profile_becomes_a_command_line() {
    let full = args(json!({
        "pool": "a.example:1", "pools": ["stratum1+ssl://b.example:2"], "wallet": "W.rig-7", "password": "x",
        "coin": "rvn", "algo": "kawpow", "devices": [0, 2], "intensity": 21, "threads": 4,
        "cliArgs": ["-tstop=85", "-dag-2mem"]
    }));
    assert_eq!(
        full.unwrap(),
        "-c RVN -a KAWPOW -P W.rig-7:x@a.example:1 -P stratum1+ssl://W.rig-7:x@b.example:2 -d 0,2 -i 21 -cpu 4 \
         -b 127.0.0.1:4321 -nocolor -tstop 85 -dag-2mem"
    );
    let bare = args(json!({"pool": "a:1", "wallet": "W", "algo": "ethash"}));
    assert_eq!(bare.unwrap(), "-a ETHASH -P W@a:1 -b 127.0.0.1:4321 -nocolor");
    let tls = args(json!({"pool": "a:1", "wallet": "W", "algo": "ethash", "tls": true}));
    assert!(tls.unwrap().contains("-P ssl://W@a:1 "));
}

#[test]
fn a_wallet_that_would_be_cut_apart_is_given_whole() {
    let whole =
        args(json!({"pool": "ssl://a:1", "wallet": "kaspa:qq", "password": "c=X@Y", "coin": "x"}));
    assert!(whole.unwrap().starts_with("-c X -o ssl://a:1 -u kaspa:qq -p c=X@Y -b"));
    let password =
        args(json!({"pool": "a:1", "wallet": "W", "password": "a:b@evil:1", "coin": "x"}));
    assert!(password.unwrap().starts_with("-c X -o a:1 -u W -p a:b@evil:1 -b"));
    let two = json!({"pool": "a:1", "pools": ["b:1"], "wallet": "W@evil:1", "coin": "x"});
    assert!(args(two).unwrap_err().permanent);
}

#[test]
fn what_cannot_be_run_is_said() {
    for (config, word) in [
        (json!({"pool": "a:1", "wallet": "W"}), "coin or algo"),
        (json!({"wallet": "W", "algo": "x"}), "no pool"),
        (json!({"pool": "a:1", "algo": "x"}), "no wallet"),
        (json!({"pool": "a:1", "wallet": "-b", "algo": "x"}), "begins with -"),
        (json!({"pool": "a:1", "wallet": "a:b", "password": "-x", "algo": "x"}), "begins with -"),
        (json!({"pool": "a:1", "wallet": "W", "algo": "x", "hugePages": true}), "hugePages"),
    ] {
        let problem = args(config).unwrap_err();
        assert!(problem.permanent && problem.reason.contains(word), "{problem:?}");
    }
}

#[test]
fn the_documented_layout_is_read() {
    let sample = statistics(TT_MINER.as_bytes()).unwrap();
    assert_eq!(sample.hashrate.now, Some(64_500_000.0), "H/s, not kH/s");
    assert_eq!((sample.hashrate.minute, sample.hashrate.highest), (None, None));
    assert_eq!((sample.accepted, sample.rejected, sample.invalid), (Some(33), Some(2), Some(1)));
    assert_eq!((sample.stale, sample.uptime), (None, Some(720)), "minutes");
    assert_eq!(sample.version.as_deref(), Some("2024.3.2"));
    assert_eq!(sample.pool.url.as_deref(), Some("pool.example:4444"));
    assert_eq!((sample.pool.connected, sample.power), (None, Some(239.0)));
    let second = Device {
        index: 1,
        hashrate: Some(32_250_000.0),
        temperature: Some(63.0),
        fan: Some(50.0),
        power: Some(121.0),
        name: None,
    };
    assert_eq!((sample.devices.len(), &sample.devices[1]), (2, &second));
}

#[test]
fn older_versions_tell_less() {
    let old = read(&json!(["TT-Miner - Version: 3.0.6", "7", "30;1;0", "30;off;", "", "", "60"]))
        .unwrap();
    assert_eq!(old.version.as_deref(), Some("3.0.6"));
    assert_eq!((old.hashrate.now, old.rejected, old.power), (Some(30.0), Some(0), None));
    let rates: Vec<_> = old.devices.iter().map(|d| (d.hashrate, d.temperature, d.fan)).collect();
    assert_eq!(rates, [(Some(30.0), Some(60.0), None), (None, None, None)]);
}

#[test]
fn a_zero_is_one_only_when_it_was_measured() {
    let zero = |minutes: &str, shares: &str| {
        let result = json!(["TT-Miner", minutes, format!("0;{shares};0"), "0;0"]);
        let sample = read(&result).unwrap();
        (sample.hashrate.now, sample.devices[0].hashrate)
    };
    assert_eq!(zero("0", "0"), (None, None), "it builds its DAG");
    assert_eq!(zero("5", "0"), (Some(0.0), Some(0.0)));
    assert_eq!(zero("1", "3"), (Some(0.0), Some(0.0)));
    for missing in [json!([]), json!(["TT-Miner", "5"]), json!(["TT-Miner", "5", ";1;2"])] {
        assert!(read(&missing).is_err());
    }
}

#[test]
fn others_that_speak_the_same_protocol_are_not_taken_for_it() {
    // These count in kH/s.
    let other = read(&json!(["PhoenixMiner 5.6", "7", "30;1;0", "30"])).unwrap_err();
    assert_eq!(other, "another program has the miner's API port");
    let refused = statistics(br#"{"error":{"code":-32601,"message":"no\u001b[2Jt here"}}"#);
    assert_eq!(refused.unwrap_err(), "the miner's API says: no[2Jt here");
}

#[test]
fn an_expired_build_is_permanent_with_its_own_words() {
    let end = |line: &str| {
        let last = ["TT-Miner - Version: 2024.2.1 - Beta 5", line, "bye"].map(str::to_owned);
        TtMiner.exit_reason(Some(1), None, &last)
    };
    let (reason, permanent) =
        end("15:37:36.950 Beta 5 test period expired - please check for a new version");
    assert!(permanent);
    let said = "Beta 5 test period expired - please check for a new version";
    assert_eq!(reason, format!("this build of TT-Miner has expired: {said}"));
    assert_eq!(end("12:00:00.000 Job expired"), ("it ended with exit code 1".to_owned(), false));
}

proptest! {
    #[test]
    fn no_answer_panics_or_becomes_a_zero_that_was_not_sent(
        which in any::<usize>(), put in any_json(), raw in any::<Vec<u8>>(), text in "[0-9;.e-]{0,30}",
    ) {
        let _ = statistics(&raw);
        for put in [&put, &Value::from(text)] {
            if let Ok(sample) = statistics(mutated(TT_MINER, which, put).as_bytes()) {
                is_honest(&sample, put)?;
            }
        }
    }
}
