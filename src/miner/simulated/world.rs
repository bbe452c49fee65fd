//! What happens in a simulated miner: every figure is a function of the seconds since its start.
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::model::profile::Simulate;

/// Seconds until the first hashrate is known, and between shares.
const WARMUP: f64 = 3.0;
const SHARE_EVERY: f64 = 5.0;
/// Seconds between jobs of the pool, and between lines about the speed.
const JOB_EVERY: f64 = 20.0;
const SPEED_EVERY: f64 = 60.0;
/// Seconds until the longer windows of the hashrate are full.
const MINUTE: f64 = 60.0;
const QUARTER: f64 = 900.0;
/// Without work the hashrate falls to 0 within this many seconds.
const DECAY: f64 = 10.0;
const HASHRATE: f64 = 1000.0;

/// What the configuration file says.
pub struct Settings {
    pub port: u16,
    pub token: Option<String>,
    worker_id: String,
    pool: String,
    algo: String,
    hashrate: f64,
    devices: Vec<u32>,
    pub simulate: Simulate,
}

#[derive(Deserialize)]
struct File {
    http: Http,
    #[serde(default)]
    api: Value,
    #[serde(default)]
    pools: Vec<Value>,
    #[serde(default)]
    simulate: Value,
}

#[derive(Deserialize)]
struct Http {
    port: u16,
    #[serde(rename = "access-token")]
    token: Option<String>,
}

impl Settings {
    /// # Errors
    /// It is no such file.
    pub fn read(text: &[u8]) -> Result<Self, serde_json::Error> {
        let mut file: File = serde_json::from_slice(text)?;
        let mut take = |name: &str| {
            file.simulate.as_object_mut().and_then(|all| all.remove(name)).unwrap_or_default()
        };
        let (algo, hashrate, devices) = (take("algo"), take("hashrate"), take("devices"));
        take("threads");
        let simulate: Simulate = if file.simulate.is_null() {
            Simulate::default()
        } else {
            serde_json::from_value(file.simulate)?
        };
        let devices: Option<Vec<u32>> = serde_json::from_value(devices)?;
        let algo = algo.as_str().unwrap_or("rx/0");
        Ok(Self {
            port: file.http.port,
            token: file.http.token,
            worker_id: file.api["worker-id"].as_str().unwrap_or("simulated").to_owned(),
            pool: file
                .pools
                .first()
                .and_then(|pool| pool["url"].as_str())
                .unwrap_or("simulated:3333")
                .to_owned(),
            // XMRig's own short name for it.
            algo: if algo == "cn-pico/0" { "cn-pico" } else { algo }.to_owned(),
            hashrate: hashrate.as_f64().unwrap_or(HASHRATE),
            devices: devices
                .unwrap_or_else(|| (0..=simulate.zero_device.unwrap_or(0).max(1)).collect()),
            simulate,
        })
    }
}

pub struct World {
    pub settings: Settings,
    start: Instant,
}

impl World {
    pub fn new(settings: Settings, start: Instant) -> Self {
        Self { settings, start }
    }

    /// Seconds since the start.
    pub fn now(&self) -> f64 {
        self.start.elapsed().as_secs_f64()
    }

    /// When the pool is lost, and when it is back.
    fn loss(&self) -> (f64, f64) {
        let simulate = &self.settings.simulate;
        let from = simulate.pool_loss_after.unwrap_or(f64::INFINITY);
        (from, from + simulate.pool_loss_for.unwrap_or(f64::INFINITY))
    }

    fn connected(&self, now: f64) -> bool {
        let (from, to) = self.loss();
        now < from || now >= to
    }

    /// Seconds with a pool, up to now.
    fn mined(&self, now: f64) -> f64 {
        let (from, to) = self.loss();
        now - (now.min(to) - from).max(0.0)
    }

    fn share_every(&self) -> f64 {
        self.settings.simulate.share_every.unwrap_or(SHARE_EVERY)
    }

    /// Such that a share in its time pays for what is hashed.
    fn difficulty(&self) -> u64 {
        (self.settings.hashrate * self.share_every()).round().max(1.0) as u64
    }

    fn shares(&self, now: f64) -> u64 {
        (self.mined(now).max(0.0) / self.share_every()) as u64
    }

    /// Of the first `shares`, how many the pool accepted.
    fn accepted(&self, shares: u64) -> u64 {
        shares - self.settings.simulate.reject_every.map_or(0, |every| shares / every.max(1))
    }

    fn warm(&self, now: f64, seconds: f64) -> bool {
        now >= self.settings.simulate.warmup.unwrap_or(WARMUP) + seconds
    }

    /// H/s of one device; a slow wave of one percent, so that charts move.
    fn device(&self, index: u32, now: f64) -> f64 {
        if self.settings.simulate.zero_device == Some(index) {
            return 0.0;
        }
        let (from, _) = self.loss();
        let work = if self.connected(now) { 1.0 } else { (1.0 - (now - from) / DECAY).max(0.0) };
        let wave = 1.0 + 0.01 * (now / 7.0 + f64::from(index)).sin();
        let share = self.settings.hashrate / self.settings.devices.len().max(1) as f64;
        (share * wave * work * 100.0).round() / 100.0
    }

    fn total(&self, now: f64) -> f64 {
        let sum: f64 = self.settings.devices.iter().map(|index| self.device(*index, now)).sum();
        (sum * 100.0).round() / 100.0
    }

    /// `[10 s, 60 s, 15 min]`, null where the window is not full.
    fn windows(&self, rate: f64, now: f64) -> Value {
        let window = |seconds| self.warm(now, seconds).then_some(rate);
        json!([window(0.0), window(MINUTE), window(QUARTER)])
    }

    pub fn summary(&self) -> Value {
        let now = self.now();
        let shares = self.shares(now);
        let accepted = self.accepted(shares);
        let connected = self.connected(now);
        let since = if now < self.loss().1 { 0.0 } else { self.loss().1 };
        let up = if connected { ((now - since) * 1000.0) as u64 + 1 } else { 0 };
        let ping = if connected && accepted > 0 { 20 } else { 0 };
        let version = env!("CARGO_PKG_VERSION");
        let difficulty = self.difficulty();
        json!({
            "id": "",
            "worker_id": self.settings.worker_id,
            "uptime": now as u64,
            "restricted": true,
            "features": ["api", "http"],
            "results": {
                "diff_current": if connected { difficulty } else { 0 },
                "shares_good": accepted,
                "shares_total": shares,
                "hashes_total": accepted * difficulty,
            },
            "algo": self.settings.algo,
            "connection": {
                "pool": self.settings.pool,
                "ip": connected.then_some("127.0.0.1"),
                "uptime": up / 1000,
                "uptime_ms": up,
                "ping": ping,
                "failures": u64::from(now >= self.loss().0),
                "algo": self.settings.algo,
                "diff": if connected { difficulty } else { 0 },
                "accepted": accepted,
                "rejected": shares - accepted,
            },
            "version": version,
            "kind": "miner",
            "ua": format!("miner-cli-simulated/{version}"),
            "donate_level": 0,
            "paused": false,
            "algorithms": [self.settings.algo],
            "hashrate": {
                "total": self.windows(self.total(now), now),
                "highest": self.warm(now, 0.0).then_some(self.settings.hashrate * 1.01),
            },
            "hugepages": [0, 0],
        })
    }

    pub fn backends(&self) -> Value {
        let now = self.now();
        let thread = |index: &u32| {
            let rate = self.device(*index, now);
            let busy = rate > 0.0;
            json!({
                "index": index,
                "name": "Simulated GPU",
                "hashrate": self.windows(rate, now),
                "health": {
                    "temperature": if busy { 61 + index % 5 } else { 34 },
                    "power": if busy { 120 } else { 15 },
                    "fan_speed": [if busy { 55 } else { 0 }],
                },
            })
        };
        let threads: Vec<Value> = self.settings.devices.iter().map(thread).collect();
        json!([{
            "type": "cuda",
            "enabled": true,
            "algo": self.settings.algo,
            "hashrate": self.windows(self.total(now), now),
            "threads": threads,
        }])
    }

    pub fn banner(&self) -> Vec<String> {
        vec![
            format!(
                " * ABOUT        miner-cli-simulated/{} (no hashing)",
                env!("CARGO_PKG_VERSION")
            ),
            format!(" * POOL #1      {} algo {}", self.settings.pool, self.settings.algo),
        ]
    }

    /// What is printed for the time after `last` up to `now`.
    pub fn lines(&self, last: f64, now: f64) -> Vec<String> {
        let mut lines = Vec::new();
        let (from, to) = self.loss();
        let pool = &self.settings.pool;
        let passed = |at: f64| last < at && at <= now;
        let count = |every: f64, at: f64| (at / every).floor() as i64;
        if passed(from) {
            lines.push(format!("  net      {pool} read error: \"end of file\""));
            lines.push("  net      no active pools, stop mining".to_owned());
        }
        if passed(0.0) || passed(to) {
            lines.push(format!("  net      use pool {pool}  127.0.0.1"));
        }
        if self.connected(now) && (passed(to) || count(JOB_EVERY, now) > count(JOB_EVERY, last)) {
            let (algo, difficulty) = (&self.settings.algo, self.difficulty());
            lines.push(format!(
                "  net      new job from {pool} diff {difficulty} algo {algo} height 1"
            ));
        }
        for share in self.shares(last)..self.shares(now) {
            lines.push(self.share_line(share + 1));
        }
        if last >= 0.0 && count(SPEED_EVERY, now) > count(SPEED_EVERY, last) {
            let rate = self.total(now);
            lines.push(format!("  miner    speed 10s/60s/15m {rate} n/a n/a H/s max {rate} H/s"));
        }
        lines
    }

    fn share_line(&self, number: u64) -> String {
        let accepted = self.accepted(number);
        let counts = format!("({accepted}/{}) diff {}", number - accepted, self.difficulty());
        if accepted == self.accepted(number - 1) {
            format!("  cpu      rejected {counts} \"Low difficulty share\" (20 ms)")
        } else {
            format!("  cpu      accepted {counts} (20 ms)")
        }
    }

    /// How long nothing happens.
    pub fn sleep(&self, now: f64) -> Duration {
        let simulate = &self.settings.simulate;
        let (from, to) = self.loss();
        let multiple = |every: f64| ((now / every).floor() + 1.0) * every;
        // The next share, in seconds with a pool, and then in seconds.
        let mined = (self.shares(now) + 1) as f64 * self.share_every();
        let share = if mined < from { mined } else { mined + (to - from) };
        let times = [multiple(JOB_EVERY), multiple(SPEED_EVERY), share, from, to];
        let ends = [simulate.exit_after, simulate.hang_after];
        let next = times
            .into_iter()
            .chain(ends.into_iter().flatten())
            .filter(|at| *at > now)
            .fold(now + JOB_EVERY, f64::min);
        // A hair later, so that what is due is due.
        Duration::from_secs_f64(next - now + 0.001)
    }
}

#[cfg(test)]
mod tests {
    use super::{Settings, World};
    use serde_json::{Value, json};
    use std::time::{Duration, Instant};

    fn world(simulate: &Value, age: u64) -> World {
        let file = json!({"http": {"port": 1, "access-token": "t"}, "api": {"worker-id": "w"},
            "pools": [{"url": "pool:1"}], "simulate": simulate.clone()});
        let settings = Settings::read(file.to_string().as_bytes()).unwrap();
        World::new(settings, Instant::now().checked_sub(Duration::from_secs(age)).unwrap())
    }

    #[test]
    fn the_hashrate_is_unknown_until_it_is_warm() {
        let total = |age| {
            world(&json!({"hashrate": 500.0, "devices": [0, 1]}), age).summary()["hashrate"]["total"]
                .clone()
        };
        assert_eq!(total(1), json!([null, null, null]));
        let warm = total(10);
        assert!((490.0..510.0).contains(&warm[0].as_f64().unwrap()) && warm[1].is_null());
        assert!(total(100)[1].is_number() && total(100)[2].is_null());
        assert!(total(1000)[2].is_number());
    }

    #[test]
    fn shares_stop_while_the_pool_is_lost_and_every_nth_is_rejected() {
        let lossy = json!({"shareEvery": 2.0, "rejectEvery": 3, "poolLossAfter": 10.0, "poolLossFor": 20.0});
        let results = |age| world(&lossy, age).summary();
        assert_eq!(results(9)["results"]["shares_total"], 4);
        assert_eq!(results(25)["results"]["shares_total"], 5);
        assert_eq!(results(25)["connection"]["uptime_ms"], 0);
        // 1000 H/s and a share every 2 s: accepted shares pay for what is hashed.
        assert_eq!(results(9)["results"]["hashes_total"], 3 * 2000);
        assert_eq!(results(25)["hashrate"]["total"][0], 0.0);
        let later = results(43);
        assert_eq!(
            (&later["results"]["shares_total"], &later["results"]["shares_good"]),
            (&json!(11), &json!(8))
        );
        assert_eq!(later["connection"]["uptime"], 13);
        let world = world(&lossy, 0);
        let said = world.lines(-1.0, 40.0).join("\n");
        assert_eq!(
            (said.matches("accepted (").count(), said.matches("rejected (").count()),
            (7, 3)
        );
        assert!(said.contains("read error") && said.matches("use pool").count() == 1, "{said}");
    }

    #[test]
    fn it_sleeps_from_event_to_event() {
        let world = world(&json!({"exitAfter": 7.5}), 0);
        for (now, next) in [(0.0, 5.0), (5.1, 7.5), (9.0, 10.0), (10.0, 15.0), (59.0, 60.0)] {
            let sleep = world.sleep(now).as_secs_f64();
            assert!((next - now..next - now + 0.01).contains(&sleep), "{now}: {sleep}");
        }
    }

    #[test]
    fn a_dead_device_makes_nothing_and_the_rest_goes_on() {
        let world = world(&json!({"zeroDevice": 2, "hashrate": 300.0}), 10);
        let backends = world.backends();
        let rates: Vec<f64> =
            (0..3).map(|i| backends[0]["threads"][i]["hashrate"][0].as_f64().unwrap()).collect();
        assert!(rates[0] > 95.0 && rates[1] > 95.0 && rates[2] == 0.0, "{rates:?}");
    }

    #[test]
    fn a_file_with_an_unknown_key_is_refused() {
        assert!(
            Settings::read(
                br#"{"http":{"port":1,"access-token":null},"simulate":{"hangafter":1}}"#
            )
            .is_err()
        );
        assert!(Settings::read(b"{\"http\":").is_err());
    }
}
