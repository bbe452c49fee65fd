//! SRBMiner-Multi: a miner for CPU and GPUs.
use std::time::Instant;

use serde_json::Value;

use super::reading::{self, MOST_DEVICES, number, word};
use super::{Adapter, Api, Launch, Plan, StartProblem, ask, environment, flags, plain_exit};
use crate::bus::Note;
use crate::model::profile::ProfileConfig;
use crate::model::stats::{Device, Hashrate, MinerSample, Pool};

pub struct SrbMiner;

impl Adapter for SrbMiner {
    fn launch(&self, launch: &Launch<'_>) -> Result<Plan, StartProblem> {
        let args = arguments(&launch.profile.config, launch.api)?;
        Ok(Plan { args, env: environment(launch.folder), files: Vec::new() })
    }

    fn poll(&self, api: &Api, deadline: Instant) -> Result<MinerSample, String> {
        summary(&ask::get(api, "/", &[], deadline)?, &api.instance)
    }

    fn note(&self, line: &str) -> Option<Note> {
        super::port_taken(line)
    }

    fn exit_reason(&self, code: Option<i32>, signal: Option<i32>, _: &[String]) -> (String, bool) {
        (plain_exit(code, signal), false)
    }
}

fn arguments(config: &ProfileConfig, api: &Api) -> Result<Vec<String>, StartProblem> {
    flags::refuse("SRBMiner-Multi", &[("coin", config.coin.is_some())])?;
    let Some(algo) = &config.algo else {
        return Err(StartProblem::permanent("SRBMiner-Multi needs the profile's algo"));
    };
    let (pools, wallet) = (flags::pools(config)?, flags::wallet(config)?);
    let [pool] = pools[..] else {
        return Err(StartProblem::permanent(
            "SRBMiner-Multi separates pools by ! or , depending on its version: the profile can have one pool alone",
        ));
    };
    let password = flags::password(config);
    // These would make one value two, of two pools or algorithms.
    if wallet.contains([';', '!', ',']) || password.is_some_and(|p| p.contains([';', '!', '#'])) {
        return Err(StartProblem::permanent(
            "SRBMiner-Multi takes ; ! or , in a wallet, and ; ! or # in a password, for separators",
        ));
    }
    let mut args = vec!["--algorithm".to_owned(), algo.clone()];
    flags::text(&mut args, "--pool", pool.place)?;
    flags::text(&mut args, "--wallet", wallet)?;
    if let Some(password) = password {
        flags::text(&mut args, "--password", password)?;
    }
    if let Some(tls) = pool.tls {
        flags::own(&mut args, "--tls", tls);
    }
    let devices = config.devices.as_deref().unwrap_or_default();
    if !devices.is_empty() {
        flags::own(&mut args, "--gpu-id", flags::list(devices));
    }
    if let Some(intensity) = config.intensity {
        // One for each GPU that is named.
        let each = vec![intensity.to_string(); devices.len().max(1)];
        flags::own(&mut args, "--gpu-intensity", each.join(","));
    }
    if let Some(threads) = config.threads {
        flags::own(&mut args, "--cpu-threads", threads);
    }
    if config.huge_pages == Some(false) {
        args.push("--disable-huge-pages".to_owned());
    }
    args.push("--api-enable".to_owned());
    flags::own(&mut args, "--api-port", api.port);
    flags::own(&mut args, "--api-rig-name", &api.instance);
    flags::split(&mut args, &config.cli_args);
    Ok(args)
}

pub fn summary(body: &[u8], instance: &str) -> Result<MinerSample, String> {
    let all = reading::parse(body)?;
    let Some(rig) = all["rig_name"].as_str() else {
        return Err("the miner's API port answers with something else than statistics".to_owned());
    };
    // It may cut a long name.
    if rig.len() < 16 || !instance.starts_with(rig) {
        return Err("another program has the miner's API port".to_owned());
    }
    // Of several algorithms at once the first is told: rates of different ones do not add up.
    let first = &all["algorithms"][0];
    let (rates, shares, pool) = (&first["hashrate"], &first["shares"], &first["pool"]);
    if !rates.is_object() {
        return Err("the miner's API answered without a hashrate".to_owned());
    }
    let uptime = reading::count(&all["mining_time"]);
    let accepted = reading::count(&shares["accepted"]);
    // A window that is not full yet is told as 0.
    let full = uptime.is_some_and(|s| s >= 60);
    let minute = number(&rates["1min"]).filter(|rate| *rate > 0.0 || full);
    let devices = devices(&all, rates);
    let mut sample = MinerSample {
        algorithm: word(&first["name"], 40).map(|name| name.to_lowercase()),
        hashrate: Hashrate {
            now: reading::measured(total(rates), uptime, accepted),
            minute: reading::measured(minute, uptime, accepted),
            quarter: None,
            highest: reading::sensor(number(&rates["max"])),
        },
        accepted,
        rejected: reading::count(&shares["rejected"]),
        difficulty: reading::sensor(number(&pool["difficulty"])),
        pool: Pool {
            url: word(&pool["pool"], 200),
            ping_ms: reading::sensor(number(&pool["latency"])),
            connected: None,
        },
        uptime,
        power: reading::power(&devices),
        devices,
        version: word(&all["miner_version"], 40),
        ..MinerSample::default()
    };
    reading::unmeasured(&mut sample);
    Ok(sample)
}

/// CPU and GPUs together; older versions tell that themselves.
fn total(rates: &Value) -> Option<f64> {
    let parts = [&rates["cpu"]["total"], &rates["gpu"]["total"]];
    let mut told = parts.into_iter().filter(|part| !part.is_null()).peekable();
    if told.peek().is_none() {
        return number(&rates["now"]);
    }
    // Half of it would be taken for all of it.
    let sum: f64 = told.map(number).collect::<Option<Vec<f64>>>()?.iter().sum();
    Some(sum).filter(|rate| rate.is_finite())
}

/// The GPUs that the algorithm runs on, and the CPU's threads as one device where there are some.
fn devices(all: &Value, rates: &Value) -> Vec<Device> {
    let mut devices = Vec::new();
    let known = all["gpu_devices"].as_array().map(Vec::as_slice).unwrap_or_default();
    for (name, rate) in rates["gpu"].as_object().into_iter().flatten() {
        let number_of = |name: &str| name.strip_prefix("gpu").and_then(|n| n.parse::<u32>().ok());
        let Some(index) = number_of(name).filter(|_| devices.len() < MOST_DEVICES) else {
            continue;
        };
        let gpu = known.iter().find(|gpu| gpu["device"] == name.as_str()).unwrap_or(&Value::Null);
        devices.push(Device {
            index,
            name: word(&gpu["model"], 100),
            hashrate: number(rate),
            temperature: reading::sensor(number(&gpu["temperature"])),
            // Some versions tell turns a minute here.
            fan: number(&gpu["fan_speed"]).filter(|percent| *percent <= 100.0),
            power: reading::sensor(number(&gpu["asic_power"])),
        });
    }
    devices.sort_by_key(|gpu| gpu.index);
    let cpu = &rates["cpu"];
    if cpu.as_object().is_some_and(|cpu| cpu.keys().any(|key| key.starts_with("thread"))) {
        let (name, hashrate) = (Some("CPU".to_owned()), number(&cpu["total"]));
        devices.push(Device { name, hashrate, ..Device::default() });
    }
    devices
}

#[cfg(test)]
#[path = "srbminer_tests.rs"]
mod tests;
