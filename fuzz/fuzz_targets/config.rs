//! config.toml and profiles, as people write them: what is taken keeps its rules, what is not is named by its place.
#![no_main]
use std::path::Path;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use miner_cli::config::listen::is_loopback;
use miner_cli::config::{Config, Flags};
use miner_cli::miner::parsers::{Api, DIALECTS, Launch};
use miner_cli::model::profile::Profile;
use miner_cli::model::{address, profile_rules as rules};
use miner_cli_fuzz::{figure, shown};

const WEEK: Duration = Duration::from_secs(7 * 86_400);

/// `line 3, column 5: …`, on one line; the place is in the text.
fn placed(error: &str, text: &str) {
    assert!(!error.contains('\n'), "{error:?}");
    let place = error.split_once(": ").filter(|(_, why)| !why.is_empty()).map(|(place, _)| place);
    let place = place.and_then(|p| p.strip_prefix("line ")).and_then(|p| p.split_once(", column "));
    let place = place.and_then(|(line, column)| Some((line.parse().ok()?, column.parse().ok()?)));
    let Some((line, column)): Option<(usize, usize)> = place else {
        panic!("no place in {error:?}")
    };
    let lines: Vec<&str> = text.split('\n').collect();
    assert!((1..=lines.len()).contains(&line), "{error:?} of {} lines", lines.len());
    let long = lines[line - 1].chars().count();
    assert!((1..=long + 1).contains(&column), "{error:?}, and that line has {long} characters");
}

fn config(text: &str) {
    let config = match Config::parse(text) {
        Ok(config) => config,
        Err(error) => return placed(&error, text),
    };
    assert!(address::split(&config.listen).is_ok() && address::split(&config.api.bind).is_ok());
    assert!((1..=365).contains(&config.history.retention_days));
    assert!(config.api.hosts.iter().all(|host| address::is_name(host)));
    for program in config.miners.values() {
        assert!(program.path.as_ref().is_none_or(|path| path.is_absolute()));
        assert!(program.sha256.as_ref().is_none_or(|sum| sum.len() == 64));
    }
    let rules = &config.alerts;
    for percent in [rules.hashrate, rules.rejects, rules.disk] {
        figure(percent);
        assert!(percent.is_none_or(|n| n < 100.0));
    }
    assert!(rules.recovery <= WEEK && rules.group <= WEEK && rules.hashrate_for <= WEEK);
    assert!(config.channels.len() <= 16);
    let (tls, plain) = (config.api.tls.is_some(), config.api.allow_plaintext);
    if let Ok(checked) = config.with_flags(Flags::default()) {
        assert!(
            tls || plain || is_loopback(&checked.api.bind),
            "the token goes over the network in the clear"
        );
    }
}

fn profile(text: &str) {
    let Ok(profile) = serde_json::from_str::<Profile>(text) else { return };
    let profile = rules::complete(profile, Some("fuzz"));
    if let Err(wrong) = rules::validate(&profile) {
        assert!(!wrong.is_empty());
        let fields = |field: &str| {
            ["id", "name", "minerType"].contains(&field) || field.starts_with("config.")
        };
        return wrong.iter().for_each(|e| {
            assert!(fields(&e.field), "{e:?}");
            shown(&e.error, 1000);
        });
    }
    let json = serde_json::to_string(&profile).expect("a profile has a JSON form");
    assert_eq!(serde_json::from_str::<Profile>(&json).expect("our own words"), profile);
    let shown_to_all = rules::redact(&profile).config.password;
    assert!(shown_to_all.is_none_or(|password| password == rules::HIDDEN));

    let dialect =
        DIALECTS.iter().find(|d| d.name == profile.miner_type).expect("a type that is known");
    let api = Api { port: 18_111, token: "t".repeat(32), instance: "i".repeat(32) };
    let launch = Launch { profile: &profile, folder: Path::new("/run/miner"), api: &api };
    match dialect.adapter.launch(&launch) {
        Err(problem) => assert!(problem.permanent, "{problem:?}"),
        Ok(plan) => {
            let hidden = |arg: &String| arg.contains(char::is_control) || arg.is_empty();
            assert!(!plan.args.iter().any(hidden), "{:?}", plan.args);
            for (_, file) in &plan.files {
                serde_json::from_slice::<serde_json::Value>(file)
                    .expect("the miner's file is JSON");
            }
        }
    }
}

fuzz_target!(|text: &str| {
    config(text);
    profile(text);
});
