//! What a simulated rig says of itself: reports of the size and variety of real ones.
use std::collections::VecDeque;
use std::time::Instant;

use miner_cli::model::history::{Batch, Live, Reading, Rows, Series};
use miner_cli::model::key::NodeId;
use miner_cli::model::miner::MinerState;
use miner_cli::model::stats::{
    Device, Disk, Hashrate, HugePages, Memory, MinerStats, NodeStats, Pool, RigState,
};
use miner_cli::sys::clock;

/// A kind of rig: miner type, algorithm, its devices' name and count, H/s of one device.
struct Model {
    miner_type: &'static str,
    version: &'static str,
    algorithm: &'static str,
    device: &'static str,
    devices: u32,
    hashrate: f64,
    watts: f64,
}

const MODELS: [Model; 6] = [
    model("xmrig", "6.26.0", "rx/0", "AMD Ryzen 9 7950X 16-Core Processor", 1, 21_400.0, 170.0),
    model("xmrig", "6.26.0", "rx/0", "AMD EPYC 7742 64-Core Processor", 1, 42_500.0, 225.0),
    model("xmrig", "6.26.0", "ghostrider", "AMD Ryzen 7 5700G", 1, 2_150.0, 65.0),
    model("lolminer", "1.98a", "AUTOLYKOS2", "NVIDIA GeForce RTX 3070", 8, 158.0e6, 112.0),
    model("srbminer", "2.9.8", "kawpow", "AMD Radeon RX 6700 XT", 6, 27.4e6, 118.0),
    model("tt-miner", "2025.1.5", "EthashB3", "NVIDIA GeForce RTX 3060 Ti", 12, 31.8e6, 121.0),
];

const fn model(
    miner_type: &'static str,
    version: &'static str,
    algorithm: &'static str,
    device: &'static str,
    devices: u32,
    hashrate: f64,
    watts: f64,
) -> Model {
    Model { miner_type, version, algorithm, device, devices, hashrate, watts }
}

/// Half of a farm mines on CPUs; the other half has GPUs.
const MIX: [usize; 10] = [0, 3, 0, 4, 1, 3, 0, 5, 2, 4];

/// Readings that a rig remembers for a controller that missed them.
const READINGS: usize = 24;

/// What the rig of this number is built of, and how it stands.
pub struct Figures {
    number: usize,
    model: &'static Model,
    started: Instant,
    /// The miners that are meant to run, and whether each is well.
    miners: Vec<Running>,
    /// The number of the next miner.
    next: u64,
    reports: u64,
    readings: VecDeque<(Series, Reading)>,
    /// Up to which second this link has brought the controller all readings.
    told: Option<i64>,
}

#[derive(Clone)]
struct Running {
    name: String,
    profile: String,
    state: MinerState,
    /// A device of it hashes nothing.
    broken: bool,
}

impl Figures {
    pub fn new(number: usize) -> Self {
        let model = &MODELS[MIX[number % MIX.len()]];
        let mut figures = Self {
            number,
            model,
            started: Instant::now(),
            miners: Vec::new(),
            next: 1,
            reports: 0,
            readings: VecDeque::new(),
            told: None,
        };
        // Of 50 rigs one idles, one is in a crash loop, one waits for its pool, two have a dead device.
        let (state, broken) = match number % 50 {
            11 => return figures,
            23 => (MinerState::CrashLoop, false),
            37 => (MinerState::NotHashing, false),
            17 | 43 => (MinerState::Hashing, true),
            _ => (MinerState::Hashing, false),
        };
        figures.start("fleet");
        figures.miners[0].state = state;
        figures.miners[0].broken = broken;
        figures
    }

    /// `garage`, `attic` … and the kind of the rig: for `PUT /peers/{id}/labels`.
    pub fn labels(&self) -> serde_json::Value {
        let site = ["garage", "attic", "barn", "north-hall", "south-hall"][self.number / 3 % 5];
        let kind = if self.model.devices > 1 { "gpu" } else { "cpu" };
        serde_json::json!({ "site": site, "kind": kind, "row": format!("{}", self.number % 40) })
    }

    /// The new miner's name.
    pub fn start(&mut self, profile: &str) -> String {
        let name = format!("{}-{}", self.model.miner_type, self.next);
        self.next += 1;
        self.miners.push(Running {
            name: name.clone(),
            profile: profile.to_owned(),
            state: MinerState::Hashing,
            broken: false,
        });
        name
    }

    /// The miners that a command means: the one named, or all.
    pub fn meant(&self, name: Option<&str>) -> Vec<String> {
        let fits = |m: &&Running| name.is_none_or(|name| m.name == name);
        self.miners.iter().filter(fits).map(|m| m.name.clone()).collect()
    }

    pub fn stop(&mut self, names: &[String]) {
        self.miners.retain(|m| !names.contains(&m.name));
    }

    pub fn report(&mut self, id: NodeId, name: &str) -> NodeStats {
        self.reports += 1;
        let miners: Vec<MinerStats> = self.miners.iter().map(|m| self.miner(m)).collect();
        let hashes = |m: &&Running| m.state == MinerState::Hashing;
        let state = match self.miners.iter().find(hashes) {
            Some(m) if m.broken => RigState::Degraded,
            Some(_) => RigState::Hashing,
            None if self.miners.is_empty() => RigState::Idle,
            None if self.miners[0].state == MinerState::CrashLoop => RigState::CrashLoop,
            None => RigState::NotHashing,
        };
        NodeStats {
            node_id: id,
            node_name: name.to_owned(),
            state,
            unreachable_since: None,
            as_of: Some(clock::wall()),
            uptime: Some(86_400 + self.started.elapsed().as_secs()),
            version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            load: Some(self.near(16.2)),
            memory: Some(Memory { total: 33_567_485_952, available: 28_112_334_848 }),
            temperature: Some(self.near(61.0)),
            disk: Some(Disk { total: 250_000_000_000, free: 180_000_000_000 }),
            history: None,
            miners,
        }
    }

    /// A new link: its first report says nothing of what was before.
    pub fn linked(&mut self) {
        self.told = None;
    }

    /// The readings that go with `report`: one of each miner that hashes, at most one a second.
    pub fn live(&mut self, report: &NodeStats) -> Live {
        let through = last_second();
        let after = self.told.unwrap_or(through - 1);
        if through > after {
            let hashing = report.miners.iter().filter(|m| m.hashrate.now.is_some());
            self.readings.extend(hashing.map(|miner| reading(miner, through)));
            let surplus = self.readings.len().saturating_sub(READINGS);
            self.readings.drain(..surplus);
        }
        self.told = Some(through.max(after));
        Live { after, batch: self.missed(after) }
    }

    /// Everything behind that second, as far as it is remembered.
    pub fn missed(&self, after: i64) -> Batch {
        let mut series: Vec<Series> = Vec::new();
        let mut rows = Vec::new();
        for (of, reading) in self.readings.iter().filter(|(_, reading)| reading.at > after) {
            let place = series.iter().position(|known| known == of).unwrap_or_else(|| {
                series.push(of.clone());
                series.len() - 1
            });
            rows.push((u16::try_from(place).unwrap_or(u16::MAX), *reading));
        }
        let through = self.told.unwrap_or(0).max(after);
        Batch { series, rows: Rows::Raw(rows), through, more: false }
    }

    fn miner(&self, running: &Running) -> MinerStats {
        let model = self.model;
        let hashing = running.state == MinerState::Hashing;
        let devices: Vec<Device> = (0..model.devices)
            .map(|index| {
                let dead = running.broken && index == 0 && model.devices > 1;
                Device {
                    index,
                    name: Some(model.device.to_owned()),
                    hashrate: hashing.then(|| if dead { 0.0 } else { self.near(model.hashrate) }),
                    temperature: Some(self.near(58.0 + f64::from(index))),
                    fan: (model.devices > 1).then(|| self.near(64.0)),
                    power: Some(self.near(model.watts)),
                }
            })
            .collect();
        let sum = devices.iter().filter_map(|d| d.hashrate).sum::<f64>();
        let known = |rate: f64| hashing.then_some(rate);
        let shares = 4_000 + self.number as u64 + self.reports * 2;
        let many = if running.broken && model.devices == 1 { shares / 8 } else { 3 };
        MinerStats {
            name: running.name.clone(),
            miner_type: model.miner_type.to_owned(),
            simulated: true,
            state: running.state,
            wanted: true,
            reason: (!hashing).then(|| {
                "the pool pool.example.org:3333 closed the connection 14 times in 10 minutes"
                    .to_owned()
            }),
            profile_id: Some(running.profile.clone()),
            algorithm: Some(model.algorithm.to_owned()),
            hashrate: Hashrate {
                now: known(sum),
                minute: known(sum * 0.9987),
                quarter: known(sum * 0.9961),
                highest: Some(self.model.hashrate * f64::from(model.devices) * 1.024),
            },
            accepted: Some(shares),
            rejected: Some(many),
            stale: Some(self.reports / 50),
            invalid: Some(0),
            last_share_at: Some(clock::wall().plus_ms(-4_321)),
            difficulty: Some(480_045.0),
            pool: Pool {
                url: Some("stratum+ssl://pool.example.org:3333".to_owned()),
                connected: Some(hashing),
                ping_ms: Some(self.near(38.0)),
            },
            uptime: Some(self.started.elapsed().as_secs() + 3_600),
            restarts: (self.number % 4) as u64,
            threads: (model.devices == 1).then_some(32),
            huge_pages: (model.devices == 1).then_some(HugePages { used: 1_184, total: 1_184 }),
            power: devices.iter().map(|d| d.power).sum(),
            devices,
            version: Some(model.version.to_owned()),
            as_of: Some(clock::wall()),
        }
    }

    /// `middle` give or take 2 %, another value each time: readings are never round.
    fn near(&self, middle: f64) -> f64 {
        let seed = (self.number as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mixed = (seed ^ self.reports).wrapping_mul(0xD1B5_4A32_D192_ED03) >> 40;
        middle * (0.98 + 0.04 * (mixed as f64 / (1u64 << 24) as f64))
    }
}

/// The last second that is over: no further reading can come of it.
fn last_second() -> i64 {
    clock::wall().0.div_euclid(1000) - 1
}

fn reading(miner: &MinerStats, at: i64) -> (Series, Reading) {
    let series = Series {
        miner: miner.name.clone(),
        miner_type: miner.miner_type.clone(),
        simulated: miner.simulated,
        algorithm: miner.algorithm.clone().unwrap_or_default(),
    };
    let reading = Reading {
        at,
        hashrate: miner.hashrate.now,
        accepted: 2,
        rejected: 0,
        work: miner.difficulty.map(|difficulty| 2.0 * difficulty),
        temperature: Device::hottest(&miner.devices),
        power: miner.power,
    };
    (series, reading)
}
