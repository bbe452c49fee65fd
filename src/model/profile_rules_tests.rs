use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_assert, prop_assert_eq};
use proptest::prelude::{prop_oneof, proptest};
use serde_json::{Value, json};

use super::{complete, for_rig, merge_secret, redact, to_fault, validate, with_overrides};
use crate::model::fault::Code;
use crate::model::profile::{Profile, ProfileConfig, Simulate};

fn profile(value: Value) -> Profile {
    serde_json::from_value(value).unwrap()
}

fn xmrig() -> Profile {
    profile(json!({
        "id": "home", "name": "Home", "minerType": "xmrig",
        "config": {"pool": "pool.example.org:3333", "wallet": "44abc", "password": "secret"}
    }))
}

/// The fields that are wrong when `change` is put over a good config.
fn wrong(miner_type: &str, change: &Value) -> Vec<String> {
    let mut whole = serde_json::to_value(xmrig()).unwrap();
    whole["minerType"] = json!(miner_type);
    for (key, value) in change.as_object().unwrap() {
        whole["config"][key] = value.clone();
    }
    match validate(&profile(whole)) {
        Ok(()) => Vec::new(),
        Err(errors) => errors.into_iter().map(|e| e.field).collect(),
    }
}

#[test]
fn good_profiles_pass() {
    assert_eq!(validate(&xmrig()), Ok(()));
    for (miner_type, change) in [
        ("xmrig", json!({"pool": "stratum+ssl://[::1]:1", "pools": ["a:1", "stratum+tcp://b:2"]})),
        ("xmrig", json!({"algo": "cn-heavy/xhv", "coin": "XMR", "threads": 4096})),
        ("xmrig", json!({"wallet": "44abc.{rig}+5000", "password": "{rig} x"})),
        ("tt-miner", json!({"pool": "stratum1+ssl://h:1", "devices": [0, 63], "intensity": 21})),
        ("lolminer", json!({"pool": "stratum+ssl://h:1", "cliArgs": ["--tstop=85"]})),
        ("srbminer", json!({"algo": "verushash", "cliArgs": ["--disable-gpu", "--esm=2"]})),
        ("simulated", json!({"hashrate": 0, "simulate": {"exitAfter": 1.5, "exitCode": 3}})),
        ("simulated", json!({"pool": null, "wallet": null})),
    ] {
        assert_eq!(wrong(miner_type, &change), [""; 0], "{change}");
    }
}

#[test]
fn every_wrong_field_is_named() {
    for (miner_type, change, fields) in [
        ("xmrig", json!({"pool": null, "wallet": null}), vec!["config.pool", "config.wallet"]),
        ("tt-miner", json!({"pool": null, "wallet": ""}), vec!["config.pool", "config.wallet"]),
        ("simulated", json!({"pool": null, "pools": ["a:1"]}), vec!["config.pool"]),
        ("xmrig", json!({"pools": ["a:1", "a"]}), vec!["config.pools[1]"]),
        ("xmrig", json!({"pools": vec!["a:1"; 16]}), vec!["config.pools"]),
        ("xmrig", json!({"wallet": "a b"}), vec!["config.wallet"]),
        ("xmrig", json!({"wallet": "a\u{202e}b"}), vec!["config.wallet"]),
        ("xmrig", json!({"wallet": "a".repeat(257)}), vec!["config.wallet"]),
        ("xmrig", json!({"password": "a\u{1b}"}), vec!["config.password"]),
        ("xmrig", json!({"password": "***"}), vec!["config.password"]),
        ("xmrig", json!({"threads": 0}), vec!["config.threads"]),
        ("xmrig", json!({"threads": 4097}), vec!["config.threads"]),
        ("xmrig", json!({"algo": "RX/0"}), vec!["config.algo"]),
        ("xmrig", json!({"algo": ""}), vec!["config.algo"]),
        ("xmrig", json!({"coin": "X-M"}), vec!["config.coin"]),
        ("tt-miner", json!({"devices": [64]}), vec!["config.devices"]),
        ("tt-miner", json!({"devices": [1, 1]}), vec!["config.devices"]),
        ("tt-miner", json!({"intensity": 0}), vec!["config.intensity"]),
        ("lolminer", json!({"pool": null, "wallet": null}), vec!["config.pool", "config.wallet"]),
        ("lolminer", json!({"pool": "epic://h:1"}), vec!["config.pool"]),
        ("lolminer", json!({"cliArgs": ["--apihost=0.0.0.0"]}), vec!["config.cliArgs[0]"]),
        ("srbminer", json!({"cliArgs": ["--startup-script=/x"]}), vec!["config.cliArgs[0]"]),
        ("xmrig", json!({"hashrate": 1}), vec!["config.hashrate"]),
        ("xmrig", json!({"simulate": {}}), vec!["config.simulate"]),
        ("simulated", json!({"hashrate": -1}), vec!["config.hashrate"]),
        ("simulated", json!({"simulate": {"warmup": -1}}), vec!["config.simulate.warmup"]),
        ("simulated", json!({"simulate": {"shareEvery": 0}}), vec!["config.simulate.shareEvery"]),
        ("simulated", json!({"simulate": {"rejectEvery": 0}}), vec!["config.simulate.rejectEvery"]),
        ("simulated", json!({"simulate": {"exitCode": 256}}), vec!["config.simulate.exitCode"]),
        (
            "simulated",
            json!({"simulate": {"logBurst": 1_000_001}}),
            vec!["config.simulate.logBurst"],
        ),
        ("simulated", json!({"simulate": {"zeroDevice": 64}}), vec!["config.simulate.zeroDevice"]),
        ("xmrig", json!({"cliArgs": ["--verbose", "--config=/x"]}), vec!["config.cliArgs[1]"]),
        ("xmrig", json!({"cliArgs": vec!["--verbose"; 33]}), vec!["config.cliArgs"]),
        ("simulated", json!({"cliArgs": ["--verbose"]}), vec!["config.cliArgs[0]"]),
        ("doom", json!({}), vec!["minerType"]),
    ] {
        assert_eq!(wrong(miner_type, &change), fields, "{miner_type} {change}");
    }
    let mut bad = xmrig();
    bad.id = "../../x".to_owned();
    bad.name = "a\nb".to_owned();
    let fields: Vec<_> = validate(&bad).unwrap_err().into_iter().map(|e| e.field).collect();
    assert_eq!(fields, ["id", "name"]);
}

#[test]
fn numbers_that_json_cannot_hold_are_refused_too() {
    for odd in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let mut bad = xmrig();
        bad.miner_type = "simulated".to_owned();
        bad.config.hashrate = Some(odd);
        bad.config.intensity = Some(odd);
        bad.config.simulate = Some(Simulate { warmup: Some(odd), ..Simulate::default() });
        assert_eq!(validate(&bad).unwrap_err().len(), 3, "{odd}");
    }
}

#[test]
fn pools_are_host_and_port() {
    for bad in [
        "",
        "host",
        ":3333",
        "host:0",
        "host:65536",
        "::1:3333",
        "http://host:1",
        "stratum+tcp://",
        "stratum+tcp://stratum+tcp://host:1",
        "host:1/path",
        "user:pass@host:1",
        "host:1\n--url=x:1",
        " host:1",
    ] {
        assert_eq!(wrong("xmrig", &json!({"pool": bad})), ["config.pool"], "{bad:?}");
    }
}

#[test]
fn a_benchmark_needs_neither_pool_nor_wallet() {
    let bench = json!({"pool": null, "wallet": null, "cliArgs": ["--bench=1M"]});
    assert_eq!(wrong("xmrig", &bench), [""; 0]);
    assert!(wrong("tt-miner", &bench).contains(&"config.pool".to_owned()));
    let other = json!({"pool": null, "wallet": null, "cliArgs": ["--verbose"]});
    assert_eq!(wrong("xmrig", &other), ["config.pool", "config.wallet"]);
}

#[test]
fn the_fault_lists_all_of_them() {
    let mut bad = xmrig();
    bad.config.pool = Some("x".to_owned());
    bad.config.threads = Some(0);
    let fault = to_fault(&validate(&bad).unwrap_err());
    assert_eq!(fault.code, Code::Invalid);
    assert_eq!(
        fault.message,
        "config.pool: host:port is wanted, and the port is missing; \
         config.threads: 1 to 4096 threads are wanted"
    );
}

#[test]
fn ids_and_names_are_filled_in() {
    let bare = |id: &str, name: &str| Profile {
        id: id.to_owned(),
        name: name.to_owned(),
        miner_type: "simulated".to_owned(),
        config: ProfileConfig::default(),
    };
    let ids = |p: Profile| (p.id, p.name);
    let is = |id: &str, name: &str| (id.to_owned(), name.to_owned());
    assert_eq!(ids(complete(bare("", "My Rig!"), None)), is("my-rig", "My Rig!"));
    assert_eq!(ids(complete(bare("", ""), Some("Demo"))), is("demo", "Demo"));
    assert_eq!(ids(complete(bare("x", ""), None)), is("x", "x"));
    assert_eq!(ids(complete(bare("x", "Y"), Some("Z"))), is("x", "Y"));
    assert!(validate(&complete(bare("", ""), None)).is_err());
}

#[test]
fn passwords_are_hidden_and_kept() {
    let stored = xmrig();
    let shown = redact(&stored);
    assert_eq!(shown.config.password.as_deref(), Some("***"));
    assert!(!serde_json::to_string(&shown).unwrap().contains("secret"));
    assert_eq!(merge_secret(shown, &stored), stored);

    let mut none = stored.clone();
    none.config.password = None;
    assert_eq!(redact(&none), none);
    assert_eq!(merge_secret(none.clone(), &stored), none);
    assert_eq!(merge_secret(redact(&stored), &none), none);
    let mut other = stored.clone();
    other.config.password = Some("new".to_owned());
    assert_eq!(merge_secret(other.clone(), &stored), other);
}

#[test]
fn overrides_replace_what_they_say_and_nothing_else() {
    let stored = xmrig();
    assert_eq!(with_overrides(&stored, None, None), stored);
    assert_eq!(with_overrides(&stored, None, Some(&ProfileConfig::default())), stored);
    let config: ProfileConfig = serde_json::from_value(json!({
        "pool": "b:1", "pools": ["c:2"], "wallet": "w", "password": "p", "tls": false,
        "hugePages": false, "threads": 2, "algo": "rx/0", "coin": "XMR", "devices": [],
        "intensity": 1.0, "cliArgs": ["--verbose"], "hashrate": 1.0, "simulate": {}
    }))
    .unwrap();
    let out = with_overrides(&stored, Some("simulated"), Some(&config));
    assert_eq!((&out.config, out.miner_type.as_str()), (&config, "simulated"));
    assert_eq!((out.id, out.name), (stored.id.clone(), stored.name.clone()));
    let hidden = ProfileConfig { password: Some("***".to_owned()), ..ProfileConfig::default() };
    assert_eq!(with_overrides(&stored, None, Some(&hidden)), stored);
}

#[test]
fn the_rigs_name_is_put_in() {
    let mut p = xmrig();
    p.config.wallet = Some("44abc.{rig}".to_owned());
    p.config.password = Some("{rig}:{rig}".to_owned());
    p.config.pool = Some("{rig}:1".to_owned());
    let out = for_rig(&p, "cellar");
    assert_eq!(out.config.wallet.as_deref(), Some("44abc.cellar"));
    assert_eq!(out.config.password.as_deref(), Some("cellar:cellar"));
    assert_eq!(out.config.pool, p.config.pool);
}

/// Any JSON, a few levels deep, whose objects often have the names that a profile has.
fn any_json() -> impl Strategy<Value = Value> {
    let key = prop_oneof![
        Just("pool".to_owned()),
        Just("pools".to_owned()),
        Just("cliArgs".to_owned()),
        Just("simulate".to_owned()),
        Just("threads".to_owned()),
        any::<String>(),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::btree_map(key.clone(), inner, 0..6)
                .prop_map(|m| Value::Object(m.into_iter().collect())),
        ]
    })
}

/// Profiles that are valid, with most fields there or not.
fn any_valid() -> impl Strategy<Value = Profile> {
    let texts = ("[a-z0-9-]{1,64}", "[A-Za-z0-9é]{1,64}", "[!-z]{1,256}", "[ -)]{0,256}");
    let pool = "(stratum\\+(tcp|ssl)://)?[a-z0-9]{1,20}\\.example:[1-9][0-9]{0,3}";
    let list = proptest::collection::vec(pool, 0..15);
    let numbers = (any::<Option<bool>>(), 1_u32..=4096, 1_u32..=1_000_000);
    (texts, pool, list, "[a-z0-9/_-]{1,32}", numbers).prop_map(
        |((id, name, wallet, password), pool, pools, algo, (flag, threads, tenths))| Profile {
            id,
            name,
            miner_type: if flag.is_none() { "simulated" } else { "xmrig" }.to_owned(),
            config: ProfileConfig {
                pool: Some(pool),
                pools,
                wallet: Some(wallet),
                password: (password != "***").then_some(password),
                tls: flag,
                threads: Some(threads),
                algo: Some(algo),
                intensity: Some(f64::from(tenths) / 1000.0),
                hashrate: flag.is_none().then(|| f64::from(tenths) / 10.0),
                cli_args: flag.map_or_else(Vec::new, |_| vec!["--cpu-priority=1".to_owned()]),
                ..ProfileConfig::default()
            },
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn no_json_makes_it_panic(config in any_json(), id in any::<String>(), kind in any::<String>()) {
        for kind in ["xmrig", "tt-miner", "lolminer", "srbminer", "simulated", &kind] {
            let whole = json!({"id": id, "name": id, "minerType": kind, "config": config});
            if let Ok(p) = serde_json::from_value::<Profile>(whole)
                && let Err(errors) = validate(&complete(redact(&p), Some(&id)))
            {
                let escape = char::from(27);
                prop_assert!(!to_fault(&errors).message.contains(escape));
            }
        }
    }

    #[test]
    fn a_valid_profile_survives_json(p in any_valid()) {
        prop_assert_eq!(validate(&p), Ok(()));
        let text = serde_json::to_string(&p).unwrap();
        prop_assert_eq!(serde_json::from_str::<Profile>(&text).unwrap(), p);
    }
}
