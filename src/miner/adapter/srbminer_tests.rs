use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::fake_tests::{INSTANCE, SRBMINER, SRBMINER_OLD, any_json, is_honest, mutated};
use super::{Api, arguments, summary};
use crate::miner::adapter::StartProblem;
use crate::model::stats::{Hashrate, MinerSample};

fn args(config: Value) -> Result<String, StartProblem> {
    let api = Api { port: 4321, token: "TOKEN".to_owned(), instance: INSTANCE.to_owned() };
    arguments(&serde_json::from_value(config).unwrap(), &api).map(|args| args.join(" "))
}

fn changed(reply: &str, change: impl FnOnce(&mut Value)) -> Result<MinerSample, String> {
    let mut value = serde_json::from_str(reply).unwrap();
    change(&mut value);
    summary(value.to_string().as_bytes(), INSTANCE)
}

#[test]
fn a_profile_becomes_a_command_line() {
    let full = args(json!({
        "pool": "stratum+ssl://a:1", "wallet": "W.rig-7", "password": "c=X,mc=Y", "algo": "verushash",
        "devices": [0, 2], "intensity": 21, "threads": 4, "hugePages": false, "cliArgs": ["--esm=2", "--disable-gpu-amd"]
    }));
    assert_eq!(
        full.unwrap(),
        format!(
            "--algorithm verushash --pool a:1 --wallet W.rig-7 --password c=X,mc=Y --tls true --gpu-id 0,2 \
             --gpu-intensity 21,21 --cpu-threads 4 --disable-huge-pages --api-enable --api-port 4321 \
             --api-rig-name {INSTANCE} --esm 2 --disable-gpu-amd"
        )
    );
    for (config, word) in [
        (json!({"pool": "a:1", "wallet": "W"}), "algo"),
        (json!({"pool": "a:1", "pools": ["b:1"], "wallet": "W", "algo": "x"}), "one pool"),
        (json!({"pool": "a:1", "wallet": "W!evil", "algo": "x"}), "separators"),
        (json!({"pool": "a:1", "wallet": "W,evil", "algo": "x"}), "separators"),
        (json!({"pool": "a:1", "wallet": "W", "password": "a;b", "algo": "x"}), "separators"),
        (json!({"pool": "a:1", "wallet": "--pool", "algo": "x"}), "begins with -"),
        (json!({"pool": "a:1", "wallet": "W", "algo": "x", "coin": "VRSC"}), "coin"),
    ] {
        let problem = args(config).unwrap_err();
        assert!(problem.permanent && problem.reason.contains(word), "{problem:?}");
    }
}

#[test]
fn the_documented_layout_is_read() {
    let sample = summary(SRBMINER.as_bytes(), INSTANCE).unwrap();
    let rates = Hashrate {
        now: Some(64_502.0),
        minute: Some(64_100.5),
        quarter: None,
        highest: Some(65_000.5),
    };
    assert_eq!(sample.hashrate, rates);
    assert_eq!((sample.accepted, sample.rejected, sample.uptime), (Some(33), Some(2), Some(754)));
    assert_eq!(
        (sample.algorithm.as_deref(), sample.version.as_deref()),
        (Some("verushash"), Some("2.9.8"))
    );
    assert_eq!((sample.difficulty, sample.pool.ping_ms), (Some(4096.5), Some(88.0)));
    assert_eq!(sample.pool.url.as_deref(), Some("pool.example:9997"));
    let told: Vec<_> =
        sample.devices.iter().map(|d| (d.name.as_deref(), d.hashrate, d.fan, d.power)).collect();
    assert_eq!(
        told,
        [
            (Some("GPU A"), Some(32_000.5), Some(45.0), Some(118.0)),
            (Some("GPU B"), Some(32_000.5), None, Some(121.0)),
            (Some("CPU"), Some(501.0), None, None),
        ]
    );
    assert_eq!(sample.power, None, "the CPU's watts are not known");
    let old = summary(SRBMINER_OLD.as_bytes(), INSTANCE).unwrap();
    assert_eq!((old.hashrate.now, old.hashrate.highest), (Some(501.0), Some(600.5)));
    assert_eq!(old.devices.len(), 0);
}

#[test]
fn another_process_on_its_port_is_known_by_its_name() {
    let named = |name: &str| changed(SRBMINER, |all| all["rig_name"] = name.into());
    assert!(named(&INSTANCE[..20]).is_ok(), "a long name may be cut");
    for other in ["", "0123", "SRBMiner-Multi-Rig", "0123456789abcdefX"] {
        assert_eq!(named(other).unwrap_err(), "another program has the miner's API port");
    }
}

#[test]
fn a_zero_is_one_only_when_it_was_measured() {
    let zero = |uptime: u64| {
        let sample = changed(SRBMINER, |all| {
            all["mining_time"] = uptime.into();
            let first = &mut all["algorithms"][0];
            first["shares"]["accepted"] = 0.into();
            first["hashrate"] = json!({"1min": 0.0, "gpu": {"gpu0": 0.0, "total": 0.0}});
        });
        let sample = sample.unwrap();
        (sample.hashrate.now, sample.hashrate.minute, sample.devices[0].hashrate)
    };
    assert_eq!(zero(20), (None, None, None));
    assert_eq!(zero(600), (Some(0.0), Some(0.0), Some(0.0)));
    let young = changed(SRBMINER, |all| {
        all["mining_time"] = 30.into();
        all["algorithms"][0]["hashrate"]["1min"] = 0.0.into();
    });
    assert_eq!(young.unwrap().hashrate.minute, None, "its window is not full");
    let half =
        changed(SRBMINER, |all| all["algorithms"][0]["hashrate"]["gpu"]["total"] = "?".into());
    assert_eq!(half.unwrap().hashrate.now, None, "half of it is not all of it");
    assert!(changed(SRBMINER, |all| all["algorithms"] = json!([])).is_err());
}

proptest! {
    #[test]
    fn no_answer_panics_or_becomes_a_zero_that_was_not_sent(
        old in any::<bool>(), which in any::<usize>(), put in any_json(), raw in any::<Vec<u8>>(),
        text in "[0-9;.e-]{1,12}",
    ) {
        let _ = summary(&raw, INSTANCE);
        let _ = summary(put.to_string().as_bytes(), INSTANCE);
        let reply = if old { SRBMINER_OLD } else { SRBMINER };
        for put in [&put, &Value::from(text)] {
            if let Ok(sample) = summary(mutated(reply, which, put).as_bytes(), INSTANCE) {
                is_honest(&sample, put)?;
            }
        }
    }
}
