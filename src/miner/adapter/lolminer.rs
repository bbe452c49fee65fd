//! lolMiner: a GPU miner. Since 1.5 its summary lists algorithms; before, it told of one session.
use std::time::Instant;

use serde_json::Value;

use super::reading::{self, MOST_DEVICES, number, word};
use super::{Adapter, Api, Launch, Plan, StartProblem, ask, environment, flags, plain_exit};
use crate::bus::Note;
use crate::model::profile::ProfileConfig;
use crate::model::stats::{Device, MinerSample, Pool};

/// What `--watchdog=exit` ends with.
const GPU_CRASHED: i32 = 42;

pub struct LolMiner;

impl Adapter for LolMiner {
    fn launch(&self, launch: &Launch<'_>) -> Result<Plan, StartProblem> {
        let args = arguments(&launch.profile.config, launch.api.port)?;
        Ok(Plan { args, env: environment(launch.folder), files: Vec::new() })
    }

    fn poll(&self, api: &Api, deadline: Instant) -> Result<MinerSample, String> {
        summary(&ask::get(api, "/summary", &[], deadline)?)
    }

    fn note(&self, line: &str) -> Option<Note> {
        super::port_taken(line)
    }

    fn exit_reason(&self, code: Option<i32>, signal: Option<i32>, _: &[String]) -> (String, bool) {
        match code {
            Some(GPU_CRASHED) => {
                ("a GPU crashed, and lolMiner's watchdog ended it".to_owned(), false)
            }
            _ => (plain_exit(code, signal), false),
        }
    }
}

/// Each option and its value are one argument: so lolMiner reads options whose value may be missing.
fn arguments(config: &ProfileConfig, port: u16) -> Result<Vec<String>, StartProblem> {
    let unknown = [
        ("hugePages", config.huge_pages.is_some()),
        ("threads", config.threads.is_some()),
        ("intensity", config.intensity.is_some()),
    ];
    flags::refuse("lolMiner", &unknown)?;
    let mut args = Vec::new();
    match (&config.algo, &config.coin) {
        (Some(algo), _) => args.push(format!("--algo={}", algo.to_ascii_uppercase())),
        (None, Some(coin)) => args.push(format!("--coin={}", coin.to_ascii_uppercase())),
        (None, None) => {
            return Err(StartProblem::permanent("lolMiner needs the profile's algo or coin"));
        }
    }
    let (pools, wallet) = (flags::pools(config)?, flags::wallet(config)?);
    let some_tls = pools.iter().any(|pool| pool.tls.is_some());
    for pool in &pools {
        args.extend([format!("--pool={}", pool.place), format!("--user={wallet}")]);
        args.extend(flags::password(config).map(|password| format!("--pass={password}")));
        // The n-th of these is of the n-th pool, so they are there for all or for none.
        if some_tls {
            let tls = if pool.tls == Some(true) { "on" } else { "off" };
            args.push(format!("--tls={tls}"));
        }
    }
    if let Some(devices) = config.devices.as_deref().filter(|devices| !devices.is_empty()) {
        args.push(format!("--devices={}", flags::list(devices)));
    }
    // Its own default runs a script when a GPU crashes, and offers its API to the network.
    args.extend([
        "--watchdog=exit".to_owned(),
        "--apihost=127.0.0.1".to_owned(),
        format!("--apiport={port}"),
    ]);
    args.extend(config.cli_args.iter().cloned());
    Ok(args)
}

pub fn summary(body: &[u8]) -> Result<MinerSample, String> {
    let all = reading::parse(body)?;
    let software = word(&all["Software"], 60).unwrap_or_default();
    if !software.starts_with("lolMiner") {
        return Err(
            "the miner's API port answers with something else than lolMiner's summary".to_owned()
        );
    }
    let mut sample = match &all["Algorithms"] {
        Value::Array(algorithms) => listed(&all, algorithms.first().unwrap_or(&Value::Null)),
        _ if all["Session"]["Performance_Summary"].is_null() => {
            return Err("the miner's API answered without a hashrate".to_owned());
        }
        _ => session(&all, &software),
    };
    sample.uptime = reading::count(&all["Session"]["Uptime"]);
    sample.version = reading::version(&software);
    sample.hashrate.now = reading::measured(sample.hashrate.now, sample.uptime, sample.accepted);
    reading::unmeasured(&mut sample);
    Ok(sample)
}

/// The form of 1.5 and later. Of two algorithms at once the first is told: rates of different ones do not add up.
fn listed(all: &Value, first: &Value) -> MinerSample {
    let factor = number(&first["Performance_Factor"]).or_else(|| unit(&first["Performance_Unit"]));
    let rate = |value: &Value| finite(number(value)? * factor?);
    let workers = all["Workers"].as_array().map(Vec::as_slice).unwrap_or_default();
    let device = |(i, worker): (usize, &Value)| Device {
        index: index(&worker["Index"], i),
        name: word(&worker["Name"], 100),
        hashrate: rate(&first["Worker_Performance"][i]),
        temperature: reading::sensor(number(&worker["Core_Temp"])),
        fan: number(&worker["Fan_Speed"]),
        power: reading::sensor(number(&worker["Power"])),
    };
    let devices: Vec<Device> = workers.iter().take(MOST_DEVICES).enumerate().map(device).collect();
    let mut sample = MinerSample {
        algorithm: algorithm(&first["Algorithm"]),
        accepted: reading::count(&first["Total_Accepted"]),
        rejected: reading::count(&first["Total_Rejected"]),
        stale: reading::count(&first["Total_Stales"]),
        invalid: reading::count(&first["Total_Errors"]),
        pool: Pool { url: word(&first["Pool"], 200), ..Pool::default() },
        power: reading::power(&devices),
        devices,
        ..MinerSample::default()
    };
    sample.hashrate.now = rate(&first["Total_Performance"]);
    sample
}

/// The form before 1.5.
fn session(all: &Value, software: &str) -> MinerSample {
    let session = &all["Session"];
    let algorithm = algorithm(&all["Mining"]["Algorithm"]);
    let factor = unit(&session["Performance_Unit"])
        .unwrap_or_else(|| old_factor(algorithm.as_deref(), software));
    let rate = |value: &Value| number(value).and_then(|rate| finite(rate * factor));
    let gpus = all["GPUs"].as_array().map(Vec::as_slice).unwrap_or_default();
    let device = |(i, gpu): (usize, &Value)| Device {
        index: index(&gpu["Index"], i),
        name: word(&gpu["Name"], 100),
        hashrate: rate(&gpu["Performance"]),
        temperature: reading::sensor(number(&gpu["Temp (deg C)"])),
        fan: number(&gpu["Fan Speed (%)"]),
        power: reading::sensor(number(&gpu["Consumption (W)"])),
    };
    let devices: Vec<Device> = gpus.iter().take(MOST_DEVICES).enumerate().map(device).collect();
    let accepted = reading::count(&session["Accepted"]);
    let submitted = reading::count(&session["Submitted"]);
    let errors: Option<Vec<u64>> =
        gpus.iter().take(MOST_DEVICES).map(|gpu| reading::count(&gpu["Session_HWErr"])).collect();
    let total = reading::sensor(number(&session["TotalPower"]));
    let latency = number(&all["Stratum"]["Average_Latency"]);
    let mut sample = MinerSample {
        algorithm,
        accepted,
        rejected: submitted.zip(accepted).and_then(|(all, good)| all.checked_sub(good)),
        invalid: errors
            .filter(|errors| !errors.is_empty())
            .and_then(|errors| errors.into_iter().try_fold(0_u64, u64::checked_add)),
        pool: Pool {
            url: word(&all["Stratum"]["Current_Pool"], 200),
            ping_ms: reading::sensor(latency),
            connected: None,
        },
        power: total.or_else(|| reading::power(&devices)),
        devices,
        ..MinerSample::default()
    };
    sample.hashrate.now = rate(&session["Performance_Summary"]);
    sample
}

/// What `Mh/s` stands for. Solutions and graphs are counted as they are.
fn unit(value: &Value) -> Option<f64> {
    let text = value.as_str()?.to_ascii_lowercase();
    match text.strip_suffix("/s")? {
        "h" | "sol" | "g" | "it" => Some(1.0),
        "kh" => Some(1e3),
        "mh" => Some(1e6),
        "gh" => Some(1e9),
        "th" => Some(1e12),
        _ => None,
    }
}

/// Without a unit: MH/s for the Ethash family from 1.10 on, otherwise H/s.
fn old_factor(algorithm: Option<&str>, software: &str) -> f64 {
    let version = reading::version(software).unwrap_or_default();
    let mut parts = version.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse::<u32>().ok());
    let version = (parts.next().flatten().unwrap_or(0), parts.next().flatten().unwrap_or(0));
    let ethash = matches!(algorithm, Some("ethash" | "etchash"));
    if ethash && version >= (1, 10) { 1e6 } else { 1.0 }
}

fn finite(rate: f64) -> Option<f64> {
    Some(rate).filter(|rate| rate.is_finite())
}

/// Written as the other miners write theirs, so that totals find each other.
fn algorithm(value: &Value) -> Option<String> {
    word(value, 40).map(|name| name.to_lowercase())
}

fn index(value: &Value, position: usize) -> u32 {
    let told = reading::count(value).and_then(|index| u32::try_from(index).ok());
    told.unwrap_or_else(|| u32::try_from(position).unwrap_or(u32::MAX))
}

#[cfg(test)]
#[path = "lolminer_tests.rs"]
mod tests;
