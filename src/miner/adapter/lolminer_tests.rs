use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::fake_tests::{LOLMINER, LOLMINER_OLD, any_json, is_honest, mutated};
use super::{Adapter as _, LolMiner, arguments, summary};
use crate::miner::adapter::StartProblem;
use crate::model::stats::MinerSample;

fn args(config: Value) -> Result<String, StartProblem> {
    arguments(&serde_json::from_value(config).unwrap(), 4321).map(|args| args.join(" "))
}

fn changed(reply: &str, change: impl FnOnce(&mut Value)) -> MinerSample {
    let mut value = serde_json::from_str(reply).unwrap();
    change(&mut value);
    summary(value.to_string().as_bytes()).unwrap()
}

#[test]
fn a_profile_becomes_a_command_line() {
    let full = args(json!({
        "pool": "a:1", "pools": ["stratum+ssl://b:2"], "wallet": "-W.rig-7", "password": "x", "algo": "etchash",
        "devices": [0, 2], "cliArgs": ["--dagdelay=-1"]
    }));
    assert_eq!(
        full.unwrap(),
        "--algo=ETCHASH --pool=a:1 --user=-W.rig-7 --pass=x --tls=off --pool=b:2 --user=-W.rig-7 --pass=x --tls=on \
         --devices=0,2 --watchdog=exit --apihost=127.0.0.1 --apiport=4321 --dagdelay=-1"
    );
    let coin = args(json!({"pool": "a:1", "wallet": "W", "coin": "beam", "devices": []}));
    assert_eq!(
        coin.unwrap(),
        "--coin=BEAM --pool=a:1 --user=W --watchdog=exit --apihost=127.0.0.1 --apiport=4321"
    );
    for (config, word) in [
        (json!({"pool": "a:1", "wallet": "W"}), "algo or coin"),
        (json!({"pool": "a:1", "wallet": "W", "algo": "x", "threads": 2}), "threads"),
        (json!({"pool": "a:1", "wallet": "W", "algo": "x", "intensity": 2}), "intensity"),
        (
            json!({"pool": "stratum+tcp://a:1", "wallet": "W", "algo": "x", "tls": true}),
            "contradict",
        ),
    ] {
        let problem = args(config).unwrap_err();
        assert!(problem.permanent && problem.reason.contains(word), "{problem:?}");
    }
}

#[test]
fn both_forms_tell_the_same() {
    for reply in [LOLMINER, LOLMINER_OLD] {
        let sample = summary(reply.as_bytes()).unwrap();
        assert_eq!(sample.hashrate.now, Some(64_500_000.0));
        assert_eq!((sample.accepted, sample.rejected), (Some(33), Some(2)));
        assert_eq!((sample.uptime, sample.power), (Some(754), Some(240.0)));
        assert_eq!(sample.pool.url.as_deref(), Some("pool.example:4444"));
        let second = &sample.devices[1];
        assert_eq!((second.index, second.name.as_deref()), (1, Some("GPU B")));
        assert_eq!((second.hashrate, second.temperature), (Some(32_250_000.0), Some(63.0)));
        assert_eq!((second.fan, second.power), (Some(50.0), Some(121.5)));
    }
    let new = summary(LOLMINER.as_bytes()).unwrap();
    assert_eq!((new.stale, new.invalid, new.version.as_deref()), (Some(3), Some(1), Some("1.88")));
    assert_eq!(new.algorithm.as_deref(), Some("etchash"));
    let old = summary(LOLMINER_OLD.as_bytes()).unwrap();
    assert_eq!((old.stale, old.invalid, old.version.as_deref()), (None, Some(3), Some("1.29")));
    assert_eq!((old.algorithm.as_deref(), old.pool.ping_ms), (Some("ethash"), Some(21.5)));
}

#[test]
fn the_unit_is_read_or_known_by_version() {
    let rate = |sample: MinerSample| sample.hashrate.now;
    let unit = |unit: &str| {
        rate(changed(LOLMINER_OLD, |all| all["Session"]["Performance_Unit"] = unit.into()))
    };
    assert_eq!(
        (unit("mh/s"), unit("sol/s"), unit("kH/s")),
        (Some(64.5e6), Some(64.5), Some(64.5e3))
    );
    let version =
        |version: &str| rate(changed(LOLMINER_OLD, |all| all["Software"] = version.into()));
    assert_eq!(version("lolMiner 1.06"), Some(64.5), "1.06 is before 1.10");
    assert_eq!((version("lolMiner 1.10"), version("lolMiner 1.4a")), (Some(64.5e6), Some(64.5)));
    let beam = changed(LOLMINER_OLD, |all| all["Mining"]["Algorithm"] = "BeamHash III".into());
    assert_eq!((rate(beam.clone()), beam.algorithm.as_deref()), (Some(64.5), Some("beamhash iii")));
    let no_factor = |all: &mut Value| all["Algorithms"][0]["Performance_Factor"] = Value::Null;
    assert_eq!(rate(changed(LOLMINER, no_factor)), Some(64.5e6));
    let nothing = changed(LOLMINER, |all| {
        no_factor(all);
        all["Algorithms"][0]["Performance_Unit"] = "parsec".into();
    });
    assert_eq!((rate(nothing.clone()), nothing.devices[0].hashrate), (None, None));
}

#[test]
fn algorithms_are_never_added_together() {
    let dual = changed(LOLMINER, |all| {
        let mut second = all["Algorithms"][0].clone();
        second["Algorithm"] = "Kaspa".into();
        all["Algorithms"].as_array_mut().unwrap().push(second);
    });
    assert_eq!((dual.hashrate.now, dual.algorithm.as_deref()), (Some(64.5e6), Some("etchash")));
}

#[test]
fn a_zero_is_one_only_when_it_was_measured() {
    let zero = |uptime: u64, accepted: u64| {
        let sample = changed(LOLMINER, |all| {
            all["Session"]["Uptime"] = uptime.into();
            let first = &mut all["Algorithms"][0];
            first["Total_Performance"] = 0.0.into();
            first["Total_Accepted"] = accepted.into();
            first["Worker_Performance"] = json!([0.0, 0.0]);
        });
        (sample.hashrate.now, sample.devices[0].hashrate)
    };
    assert_eq!(zero(20, 0), (None, None), "it builds its DAG");
    assert_eq!((zero(20, 1), zero(600, 0)), ((Some(0.0), Some(0.0)), (Some(0.0), Some(0.0))));
    let dead = changed(LOLMINER, |all| all["Algorithms"][0]["Worker_Performance"][1] = 0.0.into());
    assert_eq!(dead.devices[1].hashrate, Some(0.0), "one dead GPU is seen");
    assert!(summary(br#"{"Software": "lolMiner 1.29", "Session": {"Uptime": 5}}"#).is_err());
    assert!(summary(LOLMINER.replace("lolMiner", "T-Rex").as_bytes()).is_err());
    let empty = changed(LOLMINER, |all| all["Algorithms"] = json!([]));
    assert_eq!((empty.hashrate.now, empty.accepted), (None, None), "it starts");
}

#[test]
fn its_watchdog_is_told_from_other_ends() {
    let (reason, permanent) = LolMiner.exit_reason(Some(42), None, &[]);
    assert!(reason.contains("a GPU crashed") && !permanent);
    assert_eq!(LolMiner.exit_reason(Some(1), None, &[]).0, "it ended with exit code 1");
}

proptest! {
    #[test]
    fn no_answer_panics_or_becomes_a_zero_that_was_not_sent(
        old in any::<bool>(), which in any::<usize>(), put in any_json(), raw in any::<Vec<u8>>(),
        text in "[0-9;.e-]{1,12}",
    ) {
        let _ = summary(&raw);
        let _ = summary(put.to_string().as_bytes());
        let reply = if old { LOLMINER_OLD } else { LOLMINER };
        for put in [&put, &Value::from(text)] {
            if let Ok(sample) = summary(mutated(reply, which, put).as_bytes()) {
                is_honest(&sample, put)?;
            }
        }
    }
}
