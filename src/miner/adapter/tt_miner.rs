//! TT-Miner 3 to 2024: a GPU miner that tells its figures as Claymore's did, but in H/s.
use std::time::{Duration, Instant};

use serde_json::Value;

use super::reading::{self, MOST_DEVICES};
use super::{Adapter, Api, Launch, Plan, StartProblem, ask, environment, flags, plain_exit};
use crate::bus::Note;
use crate::model::profile::ProfileConfig;
use crate::model::stats::{Device, MinerSample, Pool};
use crate::model::text;

const REQUEST: &str = r#"{"id":0,"jsonrpc":"2.0","method":"miner_getstat1"}"#;
/// It often leaves a question unanswered, and answers the next one at once.
const ONE_TRY: Duration = Duration::from_millis(1500);

pub struct TtMiner;

impl Adapter for TtMiner {
    fn launch(&self, launch: &Launch<'_>) -> Result<Plan, StartProblem> {
        let args = arguments(&launch.profile.config, launch.api.port)?;
        Ok(Plan { args, env: environment(launch.folder), files: Vec::new() })
    }

    fn poll(&self, api: &Api, deadline: Instant) -> Result<MinerSample, String> {
        statistics(&ask::json_rpc(api, REQUEST, deadline.min(Instant::now() + ONE_TRY))?)
    }

    fn is_flaky(&self) -> bool {
        true
    }

    fn note(&self, line: &str) -> Option<Note> {
        super::port_taken(line)
    }

    fn exit_reason(
        &self,
        code: Option<i32>,
        signal: Option<i32>,
        last: &[String],
    ) -> (String, bool) {
        match last.iter().rev().find_map(|line| expiry(line)) {
            Some(said) => (format!("this build of TT-Miner has expired: {said}"), true),
            None => (plain_exit(code, signal), false),
        }
    }
}

/// `15:37:36.950 Beta 5 test period expired - please check for a new version of TT-Miner.` A job may expire, too.
fn expiry(line: &str) -> Option<String> {
    let small = line.to_ascii_lowercase();
    if !small.contains("expired") || !(small.contains("period") || small.contains("version")) {
        return None;
    }
    let said =
        line.trim_start_matches(|c: char| c.is_ascii_digit() || matches!(c, ':' | '.' | ' '));
    Some(text::clean(said.trim_end(), 200))
}

fn arguments(config: &ProfileConfig, port: u16) -> Result<Vec<String>, StartProblem> {
    flags::refuse("TT-Miner", &[("hugePages", config.huge_pages.is_some())])?;
    let mut args = Vec::new();
    if config.coin.is_none() && config.algo.is_none() {
        return Err(StartProblem::permanent("TT-Miner needs the profile's coin or algo"));
    }
    // With `-a PROGPOW` alone some coins get another coin's variant; `-c` decides.
    if let Some(coin) = &config.coin {
        flags::own(&mut args, "-c", coin.to_ascii_uppercase());
    }
    if let Some(algo) = &config.algo {
        flags::own(&mut args, "-a", algo.to_ascii_uppercase());
    }
    pools(config, &mut args)?;
    if let Some(devices) = config.devices.as_deref().filter(|devices| !devices.is_empty()) {
        flags::own(&mut args, "-d", flags::list(devices));
    }
    if let Some(intensity) = config.intensity {
        flags::own(&mut args, "-i", intensity);
    }
    if let Some(threads) = config.threads {
        flags::own(&mut args, "-cpu", threads);
    }
    flags::own(&mut args, "-b", format_args!("127.0.0.1:{port}"));
    args.push("-nocolor".to_owned());
    flags::split(&mut args, &config.cli_args);
    Ok(args)
}

/// `-P [scheme://]user[.worker][:pass]@host:port` once a pool, or `-o`, `-u` and `-p` where a `:` or `@` in wallet or
/// password would make that say something else.
fn pools(config: &ProfileConfig, args: &mut Vec<String>) -> Result<(), StartProblem> {
    let (pools, wallet, password) =
        (flags::pools(config)?, flags::wallet(config)?, flags::password(config));
    let url = |pool: &flags::Pool<'_>, place: &str| match (pool.scheme, pool.tls) {
        (Some(scheme), _) => format!("{scheme}://{place}"),
        (None, Some(true)) => format!("ssl://{place}"),
        (None, _) => place.to_owned(),
    };
    let plain = |text: &str| !text.contains([':', '@', '/']);
    if plain(wallet) && password.is_none_or(plain) {
        let user = match password {
            Some(password) => format!("{wallet}:{password}"),
            None => wallet.to_owned(),
        };
        return pools.iter().try_for_each(|pool| {
            flags::text(args, "-P", &url(pool, &format!("{user}@{}", pool.place)))
        });
    }
    let [pool] = pools[..] else {
        return Err(StartProblem::permanent(
            "TT-Miner takes a wallet or password with : @ or / for one pool alone, and the profile has more",
        ));
    };
    flags::text(args, "-o", &url(&pool, pool.place))?;
    flags::text(args, "-u", wallet)?;
    password.map_or(Ok(()), |password| flags::text(args, "-p", password))
}

/// `result` is a list of texts, each a list with `;`: version, minutes, `H/s;shares;rejected`, H/s of each GPU, the
/// same two of a second algorithm, `°C;%` of each GPU, pools, `invalid;…`, and sometimes W of each GPU.
pub fn statistics(body: &[u8]) -> Result<MinerSample, String> {
    let all = reading::parse(body)?;
    let Some(result) = all["result"].as_array() else {
        return Err(match reading::word(&all["error"]["message"], 200) {
            Some(said) => format!("the miner's API says: {said}"),
            None => "the miner's API port answers with something else than statistics".to_owned(),
        });
    };
    let name = result.first().and_then(Value::as_str).unwrap_or_default();
    // Others that speak this protocol count in kH/s: theirs would be wrong by a thousand.
    if !name.starts_with("TT-Miner") {
        return Err("another program has the miner's API port".to_owned());
    }
    let field = |i: usize| fields(result.get(i).unwrap_or(&Value::Null));
    let figure = |i: usize, k: usize| field(i).get(k).and_then(|text| reading::number_in(text));
    let count = |i, k| figure(i, k).and_then(reading::whole);
    let Some(rate) = figure(2, 0) else {
        return Err("the miner's API answered without a hashrate".to_owned());
    };
    let uptime = count(1, 0).and_then(|minutes| minutes.checked_mul(60));
    let accepted = count(2, 1);
    let devices = devices(&field(3), &field(6), &field(9));
    let mut sample = MinerSample {
        accepted,
        rejected: count(2, 2),
        invalid: count(8, 0),
        uptime,
        power: reading::power(&devices),
        devices,
        version: reading::version(name),
        pool: Pool {
            url: field(7)
                .first()
                .map(|pool| text::clean(pool, 200))
                .filter(|pool| !pool.is_empty()),
            ..Pool::default()
        },
        ..MinerSample::default()
    };
    sample.hashrate.now = reading::measured(Some(rate), uptime, accepted);
    reading::unmeasured(&mut sample);
    Ok(sample)
}

fn fields(value: &Value) -> Vec<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return Vec::new(),
    };
    text.split(';').take(2 * MOST_DEVICES).map(|part| part.trim().to_owned()).collect()
}

fn devices(rates: &[String], health: &[String], watts: &[String]) -> Vec<Device> {
    // A list may end with its separator.
    let rates = rates.strip_suffix(&[String::new()]).unwrap_or(rates);
    let at = |list: &[String], i: usize| list.get(i).and_then(|text| reading::number_in(text));
    let device = |(i, rate): (usize, &String)| Device {
        index: u32::try_from(i).unwrap_or(u32::MAX),
        hashrate: reading::number_in(rate),
        temperature: reading::sensor(at(health, 2 * i)),
        fan: at(health, 2 * i + 1),
        power: reading::sensor(at(watts, i)),
        ..Device::default()
    };
    rates.iter().take(MOST_DEVICES).enumerate().map(device).collect()
}

#[cfg(test)]
#[path = "tt_miner_tests.rs"]
mod tests;
