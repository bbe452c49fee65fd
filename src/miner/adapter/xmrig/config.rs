//! The command line and the configuration file for a profile.
use serde_json::{Map, Value, json};

use super::super::{Launch, Plan, StartProblem, environment, path_text};
use crate::model::profile::ProfileConfig;
use crate::model::profile_rules;

const FILE: &str = "config.json";

pub fn plan(launch: &Launch<'_>, simulated: bool) -> Result<Plan, StartProblem> {
    let profile = &launch.profile.config;
    // XMRig takes a file without a pool for no configuration, and goes on to one that lies beside its program. A
    // benchmark needs no pool; with one it would not stay offline.
    let offline = profile_rules::is_benchmark(&launch.profile.miner_type, profile);
    let pools = if offline { Vec::new() } else { pools(profile) };
    if pools.is_empty() && !offline && !simulated {
        return Err(StartProblem::permanent("the profile has no pool"));
    }
    let mut config = json!({
        "autosave": false,
        "watch": false,
        "log-file": null,
        "http": {
            "enabled": true,
            "host": "127.0.0.1",
            "port": launch.api.port,
            "access-token": launch.api.token,
            "restricted": true,
        },
        "api": { "id": null, "worker-id": launch.api.instance },
        "pools": pools,
    });
    if let Some(huge_pages) = profile.huge_pages {
        config["cpu"] = json!({ "huge-pages": huge_pages });
    }
    if simulated {
        config["simulate"] = simulation(profile)?;
    }
    let text = serde_json::to_vec_pretty(&config).map_err(|e| {
        StartProblem::permanent(format!("the miner's configuration cannot be written: {e}"))
    })?;
    Ok(Plan {
        args: args(launch, simulated)?,
        env: environment(launch.folder),
        files: vec![(FILE, text)],
    })
}

/// `--config` first: XMRig lets the later of two options win.
fn args(launch: &Launch<'_>, simulated: bool) -> Result<Vec<String>, StartProblem> {
    let file = format!("--config={}", path_text(launch.folder, FILE)?);
    if simulated {
        return Ok(vec!["simulate-miner".to_owned(), file]);
    }
    let profile = &launch.profile.config;
    let mut args = vec![file, "--no-color".to_owned(), "--print-time=60".to_owned()];
    if let Some(threads) = profile.threads {
        args.push(format!("--threads={threads}"));
    }
    args.extend(profile.cli_args.iter().cloned());
    Ok(args)
}

/// What the profile leaves out is left out here: an omitted `tls` is not `false`, the scheme may say it.
fn pools(profile: &ProfileConfig) -> Vec<Value> {
    let common = [
        ("user", profile.wallet.as_deref().map(Value::from)),
        ("pass", profile.password.as_deref().map(Value::from)),
        ("tls", profile.tls.map(Value::from)),
        ("algo", profile.algo.as_deref().map(Value::from)),
        ("coin", profile.coin.as_deref().map(Value::from)),
        ("keepalive", Some(Value::from(true))),
    ];
    let given = common.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    let common: Map<String, Value> = given.collect();
    let pool = |url: &String| {
        let mut pool = common.clone();
        pool.insert("url".to_owned(), Value::from(url.as_str()));
        Value::Object(pool)
    };
    profile.pool.iter().chain(&profile.pools).map(pool).collect()
}

fn simulation(profile: &ProfileConfig) -> Result<Value, StartProblem> {
    let mut simulate = serde_json::to_value(profile.simulate.clone().unwrap_or_default())
        .map_err(|e| StartProblem::permanent(format!("the simulation cannot be written: {e}")))?;
    simulate["algo"] = json!(profile.algo);
    simulate["hashrate"] = json!(profile.hashrate);
    simulate["devices"] = json!(profile.devices);
    simulate["threads"] = json!(profile.threads);
    Ok(simulate)
}

#[cfg(test)]
mod tests {
    use super::plan;
    use crate::miner::adapter::{Api, Launch, Plan, StartProblem};
    use crate::model::profile::Profile;
    use serde_json::{Value, json};
    use std::path::Path;

    fn planned(config: &Value, simulated: bool) -> Result<Plan, StartProblem> {
        let profile: Profile =
            serde_json::from_value(json!({"minerType": "xmrig", "config": config.clone()}))
                .unwrap();
        let api = Api { port: 4321, token: "TOKEN".to_owned(), instance: "INSTANCE".to_owned() };
        let launch = Launch { profile: &profile, folder: Path::new("/run/m/xmrig-1"), api: &api };
        plan(&launch, simulated)
    }

    fn file(plan: &Plan) -> Value {
        serde_json::from_slice(&plan.files[0].1).unwrap()
    }

    #[test]
    fn a_full_profile_is_written_as_xmrig_reads_it() {
        let plan = planned(
            &json!({"pool": "a:1", "pools": ["stratum+ssl://b:2"], "wallet": "W.rig-7", "password": "rig-7:x",
                   "tls": true, "hugePages": false, "threads": 3, "algo": "rx/0", "coin": "monero",
                   "cliArgs": ["--cpu-priority=1"]}),
            false,
        )
        .unwrap();
        let config = file(&plan);
        assert_eq!(
            plan.args,
            [
                "--config=/run/m/xmrig-1/config.json",
                "--no-color",
                "--print-time=60",
                "--threads=3",
                "--cpu-priority=1"
            ]
        );
        assert_eq!(
            config["pools"][0],
            json!({"url": "a:1", "user": "W.rig-7", "pass": "rig-7:x", "tls": true, "keepalive": true,
                   "algo": "rx/0", "coin": "monero"})
        );
        assert_eq!(config["pools"][1]["url"], "stratum+ssl://b:2");
        assert_eq!(config["cpu"], json!({"huge-pages": false}));
        assert_eq!(
            config["http"],
            json!({"enabled": true, "host": "127.0.0.1", "port": 4321, "access-token": "TOKEN", "restricted": true})
        );
        assert_eq!(
            (&config["autosave"], &config["watch"], &config["log-file"]),
            (&json!(false), &json!(false), &Value::Null)
        );
        assert_eq!(plan.env["HOME"], "/run/m/xmrig-1");
    }

    #[test]
    fn what_the_profile_leaves_out_is_left_to_the_miner() {
        let config = file(&planned(&json!({"pool": "a:1"}), false).unwrap());
        assert_eq!(config["pools"][0], json!({"url": "a:1", "keepalive": true}));
        assert!(config.get("cpu").is_none() && config.get("simulate").is_none());
    }

    #[test]
    fn without_a_pool_xmrig_would_look_for_another_configuration() {
        assert!(planned(&json!({}), false).unwrap_err().permanent);
        assert!(planned(&json!({}), true).is_ok());
    }

    #[test]
    fn a_benchmark_has_no_pool_to_talk_to() {
        let plan = planned(&json!({"pool": "a:1", "cliArgs": ["--bench=250K"]}), false).unwrap();
        assert_eq!(file(&plan)["pools"], json!([]));
        assert_eq!(plan.args.last().map(String::as_str), Some("--bench=250K"));
    }

    #[test]
    fn the_simulated_miner_gets_the_same_file_and_its_own_keys() {
        let plan = planned(
            &json!({"algo": "rx/0", "hashrate": 5.0, "simulate": {"exitAfter": 2.0}}),
            true,
        )
        .unwrap();
        assert_eq!(plan.args, ["simulate-miner", "--config=/run/m/xmrig-1/config.json"]);
        let simulate = &file(&plan)["simulate"];
        assert_eq!(
            (&simulate["exitAfter"], &simulate["algo"], &simulate["hashrate"]),
            (&json!(2.0), &json!("rx/0"), &json!(5.0))
        );
    }
}
