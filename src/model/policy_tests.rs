use super::{Policy, PoolRule, Remote, check_entry, is_as_stored, wallet_fits};
use crate::model::fault::Code;
use crate::model::key::PublicKey;
use crate::model::profile::{Profile, ProfileConfig};

fn profile(config: &serde_json::Value) -> Profile {
    let whole = serde_json::json!({"id": "p", "name": "p", "minerType": "xmrig", "config": config});
    serde_json::from_value(whole).unwrap()
}

fn refused(policy: &Policy, config: &serde_json::Value) -> String {
    let fault = policy.check_profile(&profile(config), "rig-alpha").unwrap_err();
    assert_eq!(fault.code, Code::Policy);
    fault.message
}

#[test]
fn a_pinned_wallet_takes_a_worker_name_and_nothing_else() {
    for fine in ["48W", "48W.{rig}", "48W.rig-alpha", "48W.worker_7", "48W.dead", "48W.Kellerrig"] {
        assert!(wallet_fits("48W", fine, "rig-alpha"), "{fine}");
    }
    let (payment, long) = (format!("48W.{}", "0f".repeat(8)), format!("48W.{}", "aB".repeat(32)));
    for bad in [
        "48w",
        "48",
        "",
        "48WX",
        "48W.",
        "48W..x",
        "48W.a.b",
        "48W+5000",
        "48W/x",
        "48W.x@evil.example:3333",
        "48W.x;other",
        "48W.x y",
        " 48W",
        "other.48W",
        "48W.{other}",
        "48W{rig}",
        &payment,
        &long,
        &format!("48W.{}", "x".repeat(65)),
    ] {
        assert!(!wallet_fits("48W", bad, "rig-alpha"), "{bad}");
    }
    // The rig's own name is its owner's choice, whatever characters it has.
    assert!(wallet_fits("48W", "48W.{rig}", "Keller Nº 7"));
    assert!(wallet_fits("48W.{rig}", "48W.rig-alpha", "rig-alpha"));
    assert!(!wallet_fits("48W.{rig}", "48W.rig-beta", "rig-alpha"));
    assert!(wallet_fits("48W.0f0f0f0f0f0f0f0f", "48W.0f0f0f0f0f0f0f0f.rig", "rig-alpha"));
}

#[test]
fn a_pool_rule_is_a_host_with_or_without_a_port() {
    let rule = |text: &str| text.parse::<PoolRule>().unwrap();
    for fine in ["pool.example:3333", "stratum+ssl://Pool.Example:443", "POOL.example.:1"] {
        assert!(rule("pool.example").fits(fine), "{fine}");
    }
    for bad in ["evil.example:3333", "xpool.example:1", "pool.example.evil:1", "ssl://x:1", ""] {
        assert!(!rule("Pool.Example").fits(bad), "{bad}");
    }
    assert!(rule("pool.example:3333").fits("stratum+tcp://pool.example:3333"));
    assert!(!rule("pool.example:3333").fits("pool.example:3334"));
    assert!(rule("[::1]").fits("[0:0::1]:3333") && rule("[::1]:5").fits("[::1]:5"));
    assert_eq!(rule("[0::1]:5").to_string(), "[::1]:5");
    for bad in ["", ":1", "pool:0", "pool:70000", "::1", "a b", "http://pool:1", "pool/x", "[x]"] {
        assert!(bad.parse::<PoolRule>().is_err(), "{bad}");
    }
}

#[test]
fn every_field_of_a_profile_is_held_against_its_list_and_named() {
    let policy = Policy {
        wallets: Some(vec!["48W".to_owned()]),
        pools: Some(vec!["pool.example".parse().unwrap()]),
        arguments: Some(vec!["--cpu-priority".to_owned(), "--donate-level=1".to_owned()]),
        ..Policy::default()
    };
    let fine = serde_json::json!({"wallet": "48W.{rig}", "pool": "pool.example:1",
        "pools": ["pool.example:2"], "cliArgs": ["--cpu-priority=3", "--donate-level=1"]});
    assert_eq!(policy.check_profile(&profile(&fine), "rig-alpha"), Ok(()));
    for (field, value, named) in [
        ("wallet", serde_json::json!("49Evil"), "config.wallet: 49Evil"),
        ("pool", serde_json::json!("evil.example:1"), "config.pool: evil"),
        ("pools", serde_json::json!(["pool.example:1", "evil.example:1"]), "config.pools[1]: evil"),
        ("cliArgs", serde_json::json!(["--donate-level=10"]), "config.cliArgs[0]: --donate"),
        ("cliArgs", serde_json::json!(["--cpu-priority=3", "--verbose"]), "config.cliArgs[1]: --v"),
    ] {
        let mut config = fine.clone();
        config[field] = value;
        let message = refused(&policy, &config);
        assert!(message.starts_with("rig-alpha refuses: ") && message.contains(named), "{message}");
    }
    let all = refused(&policy, &serde_json::json!({"wallet": "x", "pool": "y:1"}));
    assert!(all.contains("config.wallet") && all.contains("config.pool"), "{all}");
    assert_eq!(policy.check_profile(&profile(&serde_json::json!({})), "r"), Ok(()), "pays nobody");
}

#[test]
fn a_list_that_is_left_out_limits_nothing_and_an_empty_one_allows_nothing() {
    let config = serde_json::json!({"wallet": "w", "pool": "p:1", "cliArgs": ["--verbose"]});
    assert_eq!(Policy::default().check_profile(&profile(&config), "r"), Ok(()));
    let none = Policy {
        wallets: Some(vec![]),
        pools: Some(vec![]),
        arguments: Some(vec![]),
        controllers: Some(vec![]),
        remote: Remote::Full,
    };
    let message = refused(&none, &config);
    for field in ["config.wallet", "config.pool", "config.cliArgs[0]"] {
        assert!(message.contains(field), "{message}");
    }
    assert!(none.check_controller(&PublicKey([1; 32]), "r").is_err());
}

#[test]
fn only_listed_controllers_command_and_with_read_only_nobody() {
    let (one, other) = (PublicKey([1; 32]), PublicKey([2; 32]));
    let mut policy = Policy { controllers: Some(vec![one]), ..Policy::default() };
    assert!(policy.check_controller(&one, "r").is_ok());
    let fault = policy.check_controller(&other, "r").unwrap_err();
    assert!(fault.message.contains("controllers: "), "{fault}");
    policy.remote = Remote::ReadOnly;
    let fault = policy.check_controller(&one, "r").unwrap_err();
    assert!(fault.message.contains("remote: ") && fault.message.contains("read-only"), "{fault}");
    assert!(Policy::default().check_controller(&other, "r").is_ok());
}

#[test]
fn a_start_is_as_stored_when_nothing_of_it_differs() {
    let stored = profile(&serde_json::json!({"wallet": "w", "threads": 2}));
    let same = ProfileConfig { threads: Some(2), ..ProfileConfig::default() };
    let other = ProfileConfig { threads: Some(3), ..ProfileConfig::default() };
    assert!(is_as_stored(&stored, None, None, None));
    assert!(is_as_stored(&stored, Some(&stored), Some("xmrig"), Some(&same)));
    assert!(!is_as_stored(&stored, None, None, Some(&other)));
    assert!(!is_as_stored(&stored, None, Some("simulated"), None));
    let mut changed = stored.clone();
    changed.config.password = Some("p".to_owned());
    assert!(!is_as_stored(&stored, Some(&changed), None, None));
}

#[test]
fn an_entry_is_one_visible_word() {
    assert!(check_entry("48W").is_ok());
    for bad in ["", "a b", "a\u{200b}", "a\n", &"x".repeat(257)] {
        assert!(check_entry(bad).is_err(), "{bad:?}");
    }
}
