//! Readings out of `/2/summary` and `/2/backends`. XMRig says null for what it does not know yet, and in a few
//! places 0: both become `None`.
use serde_json::Value;

use super::super::reading::{MOST_DEVICES, word};
use crate::model::stats::{Device, Hashrate, HugePages, MinerSample, Pool};

/// # Errors
/// The answer is cut off, is no summary, or is that of another process than the one started as `instance`.
pub fn summary(body: &[u8], instance: &str) -> Result<MinerSample, String> {
    let all: Value = serde_json::from_slice(body)
        .map_err(|e| format!("the miner's API gave JSON that cannot be read: {e}"))?;
    if all["kind"] != "miner" || !all["hashrate"].is_object() || !all["results"].is_object() {
        return Err("the miner's API port answers with something else than a summary".to_owned());
    }
    if all["worker_id"] != instance {
        return Err("another program has the miner's API port".to_owned());
    }
    let (results, connection) = (&all["results"], &all["connection"]);
    let accepted = results["shares_good"].as_u64();
    let connected = connection["uptime_ms"].as_u64().map(|ms| ms > 0);
    Ok(MinerSample {
        algorithm: word(&all["algo"], 40),
        hashrate: hashrate(&all["hashrate"]),
        accepted,
        rejected: results["shares_total"]
            .as_u64()
            .zip(accepted)
            .and_then(|(all, good)| all.checked_sub(good)),
        // Without a pool it is 0, and the largest number there is in a benchmark.
        difficulty: connection["diff"]
            .as_u64()
            .filter(|diff| (1..u64::MAX).contains(diff))
            .map(|d| d as f64),
        pool: Pool {
            // The last pool's address is still told after the connection was lost.
            url: word(&connection["pool"], 200),
            connected,
            // 0 until the first share was answered.
            ping_ms: number(&connection["ping"]).filter(|ms| *ms > 0.0 && connected == Some(true)),
        },
        uptime: all["uptime"].as_u64(),
        work: work(results),
        huge_pages: huge_pages(&all["hugepages"]),
        version: word(&all["version"], 40),
        ..MinerSample::default()
    })
}

/// The difficulty of all accepted shares. In a benchmark, whose pool is one in name only, nobody pays for any.
fn work(results: &Value) -> Option<f64> {
    let benchmark = results["diff_current"].as_u64() == Some(u64::MAX);
    results["hashes_total"].as_u64().filter(|_| !benchmark).map(|hashes| hashes as f64)
}

/// Adds threads and devices. What cannot be read adds nothing.
pub fn backends(body: &[u8], sample: &mut MinerSample) {
    let Ok(Value::Array(backends)) = serde_json::from_slice(body) else { return };
    let running =
        backends.iter().filter_map(|backend| Some((backend, backend["threads"].as_array()?)));
    let mut threads = None;
    for (backend, its_threads) in running {
        threads = Some(
            threads.unwrap_or(0)
                + u32::try_from(its_threads.len()).unwrap_or(u32::MAX).min(1 << 20),
        );
        if backend["type"] == "cpu" {
            let (name, hashrate) = (Some("CPU".to_owned()), number(&backend["hashrate"][0]));
            sample.devices.push(Device { name, hashrate, ..Device::default() });
        } else {
            its_threads.iter().for_each(|thread| add_gpu(thread, &mut sample.devices));
        }
    }
    sample.threads = threads;
    sample.devices.truncate(MOST_DEVICES);
    // Nothing is known before the first thread is up, whatever the zeros here say.
    if sample.hashrate == Hashrate::default() {
        sample.devices.iter_mut().for_each(|device| device.hashrate = None);
    }
}

/// A GPU has one row, however many threads feed it.
fn add_gpu(thread: &Value, devices: &mut Vec<Device>) {
    let Some(index) = thread["index"].as_u64().and_then(|index| u32::try_from(index).ok()) else {
        return;
    };
    let hashrate = number(&thread["hashrate"][0]);
    let name = word(&thread["name"], 100);
    if let Some(known) = devices.iter_mut().find(|d| d.index == index && d.name == name) {
        known.hashrate = match (known.hashrate, hashrate) {
            (Some(a), Some(b)) => Some(a + b).filter(|sum| sum.is_finite()),
            (a, b) => a.or(b),
        };
    } else if devices.len() < MOST_DEVICES {
        let health = &thread["health"];
        let known = |value: &Value| number(value).filter(|n| *n > 0.0);
        devices.push(Device {
            index,
            name,
            hashrate,
            temperature: known(&health["temperature"]),
            fan: number(&health["fan_speed"][0]),
            power: known(&health["power"]),
        });
    }
}

/// Zeros with no highest are those of a miner whose threads are not up; with one they are measured.
fn hashrate(value: &Value) -> Hashrate {
    let (total, highest) = (&value["total"], number(&value["highest"]));
    let window = |i: usize| number(&total[i]).filter(|rate| *rate > 0.0 || highest.is_some());
    Hashrate { now: window(0), minute: window(1), quarter: window(2), highest }
}

/// `[used, total]`; older versions give a bare `true`.
fn huge_pages(value: &Value) -> Option<HugePages> {
    let (used, total) = (value[0].as_u64()?, value[1].as_u64()?);
    (total > 0).then_some(HugePages { used, total })
}

fn number(value: &Value) -> Option<f64> {
    value.as_f64().filter(|n| n.is_finite() && *n >= 0.0)
}

#[cfg(test)]
mod tests {
    use super::{backends, summary};
    use crate::model::stats::{Hashrate, HugePages, MinerSample};
    use proptest::prelude::*;
    use serde_json::Value;

    macro_rules! fixture {
        ($name:literal) => {
            include_str!(concat!("../../../../tests/fixtures/xmrig/", $name))
        };
    }

    const ALL: &[&str] = &[
        fixture!("summary-0s.json"),
        fixture!("summary-5s.json"),
        fixture!("summary-66s.json"),
        fixture!("summary-77s-pool-lost.json"),
        fixture!("summary-95s.json"),
        fixture!("summary-bench.json"),
        fixture!("summary-rx0-fast.json"),
    ];

    fn read(text: &str) -> MinerSample {
        summary(text.as_bytes(), "vm").unwrap()
    }

    fn changed(text: &str, change: impl FnOnce(&mut Value)) -> String {
        let mut value = serde_json::from_str(text).unwrap();
        change(&mut value);
        value.to_string()
    }

    fn rates(now: Option<f64>, minute: Option<f64>, highest: Option<f64>) -> Hashrate {
        Hashrate { now, minute, quarter: None, highest }
    }

    #[test]
    fn a_young_miner_knows_no_hashrate() {
        let young = read(fixture!("summary-0s.json"));
        assert_eq!(young.hashrate, Hashrate::default());
        assert_eq!((young.accepted, young.rejected), (Some(0), Some(0)));
        assert_eq!(
            (young.pool.connected, young.pool.ping_ms, young.huge_pages),
            (Some(true), None, None)
        );
        assert_eq!(young.algorithm.as_deref(), Some("cn-pico"), "XMRig's name for cn-pico/0");
        assert_eq!(read(fixture!("summary-5s.json")).hashrate, Hashrate::default());
    }

    #[test]
    fn zeros_before_the_first_thread_are_unknown_and_later_ones_are_measured() {
        let zeros = |highest: Value| {
            changed(fixture!("summary-66s.json"), |all| {
                all["hashrate"] = serde_json::json!({"total": [0.0, 0.0, 0.0], "highest": highest});
            })
        };
        assert_eq!(read(&zeros(Value::Null)).hashrate, Hashrate::default());
        let paused = read(&zeros(831.58.into())).hashrate;
        assert_eq!((paused.now, paused.highest), (Some(0.0), Some(831.58)));
    }

    #[test]
    fn windows_fill_one_after_the_other() {
        let minute = read(fixture!("summary-66s.json"));
        assert_eq!(minute.hashrate, rates(Some(680.74), Some(769.26), Some(831.58)));
        assert_eq!((minute.accepted, minute.rejected, minute.stale), (Some(12), Some(4), None));
        assert_eq!((minute.difficulty, minute.uptime), (Some(3000.0), Some(65)));
        assert_eq!(minute.work, Some(36_000.0), "twelve shares of difficulty 3000");
        assert_eq!(
            (minute.pool.ping_ms, minute.pool.url.as_deref()),
            (Some(21.0), Some("127.0.0.1:13333"))
        );
        assert_eq!(minute.huge_pages, Some(HugePages { used: 1, total: 1 }));
        assert_eq!(minute.version.as_deref(), Some("6.26.0"));
        assert_eq!(
            read(fixture!("summary-rx0-fast.json")).hashrate,
            rates(Some(284.69), None, Some(285.74))
        );
    }

    #[test]
    fn a_lost_pool_is_told_by_its_uptime_alone() {
        let lost = read(fixture!("summary-77s-pool-lost.json"));
        assert_eq!(lost.pool.connected, Some(false));
        assert_eq!(lost.pool.url.as_deref(), Some("127.0.0.1:13333"), "the old address stays");
        assert_eq!((lost.pool.ping_ms, lost.difficulty), (None, None));
        let never = changed(fixture!("summary-77s-pool-lost.json"), |all| {
            all["connection"]["pool"] = "".into();
            all["algo"] = Value::Null;
        });
        assert_eq!((read(&never).pool.url, read(&never).algorithm), (None, None));
    }

    #[test]
    fn a_benchmark_has_no_difficulty() {
        let bench = read(fixture!("summary-bench.json"));
        assert_eq!((bench.difficulty, bench.pool.connected), (None, Some(true)));
        assert_eq!(bench.hashrate.now, Some(39.78));
        assert_eq!(bench.work, None, "nothing is paid for");
    }

    #[test]
    fn cut_off_json_and_other_programs_give_no_reading() {
        for text in ALL {
            for end in (0..text.trim_end().len()).step_by(7) {
                assert!(summary(&text.as_bytes()[..end], "vm").is_err());
            }
            assert!(summary(text.as_bytes(), "other").is_err());
        }
        for other in
            ["", "null", "[]", "{}", "{\"kind\":\"miner\",\"worker_id\":\"vm\"}", "0", "\"x\""]
        {
            assert!(summary(other.as_bytes(), "vm").is_err(), "{other}");
        }
    }

    fn with_backends(text: &str) -> MinerSample {
        let mut sample = read(fixture!("summary-66s.json"));
        backends(text.as_bytes(), &mut sample);
        sample
    }

    #[test]
    fn the_processor_is_one_device() {
        let two = with_backends(fixture!("backends-rx0-fast.json"));
        assert_eq!((two.threads, two.devices.len()), (Some(2), 1));
        assert_eq!(two.devices[0].hashrate, Some(284.69));
        let (_, recorded) = fixture!("backends-cn-pico.http").split_once("}\n").unwrap();
        assert_eq!(with_backends(recorded).threads, Some(1));
        let stopped = with_backends(r#"[{"type":"cpu","enabled":true,"algo":null}]"#);
        assert_eq!((stopped.threads, stopped.devices.len()), (None, 0));
        let mut young = read(fixture!("summary-0s.json"));
        backends(br#"[{"type":"cpu","hashrate":[0.0,0.0,0.0],"threads":[{}]}]"#, &mut young);
        assert_eq!((young.threads, young.devices[0].hashrate), (Some(1), None));
    }

    #[test]
    fn rates_that_add_up_to_more_than_there_is_are_unknown() {
        let thread = r#"{"index":0,"hashrate":[1.5e308]}"#;
        let gpus = with_backends(&format!(r#"[{{"type":"cuda","threads":[{thread},{thread}]}}]"#));
        assert_eq!((gpus.devices.len(), gpus.devices[0].hashrate), (1, None));
    }

    #[test]
    fn the_threads_of_a_gpu_are_one_device() {
        let gpus = with_backends(
            r#"[{"type":"cuda","threads":[
                {"index":0,"name":"RTX","hashrate":[10.0,null,null],"health":{"temperature":61,"power":120,"fan_speed":[40]}},
                {"index":0,"name":"RTX","hashrate":[5.0,null,null]},
                {"index":3,"name":"RTX","hashrate":[0.0,null,null],"health":{"temperature":0,"power":0,"fan_speed":[]}}]}]"#,
        );
        assert_eq!((gpus.threads, gpus.devices.len()), (Some(3), 2));
        assert_eq!((gpus.devices[0].hashrate, gpus.devices[0].fan), (Some(15.0), Some(40.0)));
        let dead = &gpus.devices[1];
        assert_eq!(
            (dead.index, dead.hashrate, dead.temperature, dead.power),
            (3, Some(0.0), None, None)
        );
    }

    /// Any JSON, to be put in the place of any part of a recorded answer.
    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,20}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 12, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((".{0,8}", inner), 0..4)
                    .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
            ]
        })
    }

    fn says_zero(value: &Value) -> bool {
        match value {
            Value::Array(all) => all.iter().any(says_zero),
            other => other.as_f64() == Some(0.0),
        }
    }

    const PARTS: &[&str] = &[
        "/hashrate",
        "/hashrate/total",
        "/hashrate/total/0",
        "/hashrate/highest",
        "/results",
        "/results/shares_good",
        "/results/shares_total",
        "/results/hashes_total",
        "/connection",
        "/connection/pool",
        "/connection/diff",
        "/connection/uptime_ms",
        "/connection/ping",
        "/hugepages",
        "/algo",
        "/version",
        "/uptime",
    ];

    proptest! {
        #[test]
        fn no_answer_panics_or_becomes_a_zero_that_was_not_sent(
            which in 0..ALL.len(), part in 0..PARTS.len(), put in any_json(), raw in any::<Vec<u8>>(),
        ) {
            let _ = summary(&raw, "vm");
            backends(&raw, &mut MinerSample::default());
            backends(put.to_string().as_bytes(), &mut MinerSample::default());
            let mut all: Value = serde_json::from_str(ALL[which]).unwrap();
            *all.pointer_mut(PARTS[part]).unwrap() = put;
            if let Ok(sample) = summary(all.to_string().as_bytes(), "vm") {
                let rate = sample.hashrate;
                let zero = [rate.now, rate.minute, rate.quarter].contains(&Some(0.0));
                prop_assert!(!zero || says_zero(&all["hashrate"]["total"]));
                prop_assert!(sample.accepted != Some(0) || says_zero(&all["results"]["shares_good"]));
                prop_assert!(sample.rejected.is_none() || all["results"]["shares_total"].is_u64());
                prop_assert!(rate.now.is_none_or(|rate| rate.is_finite() && rate >= 0.0));
            }
        }
    }
}
