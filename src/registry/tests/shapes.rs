//! A reading and a profile as the tests use them.
use crate::model::profile::Profile;
use crate::model::stats::{Hashrate, MinerSample, Pool};

pub fn sample(rate: Option<f64>) -> MinerSample {
    MinerSample {
        algorithm: Some("rx/0".to_owned()),
        hashrate: Hashrate { now: rate, ..Hashrate::default() },
        accepted: Some(3),
        rejected: Some(0),
        pool: Pool { url: None, connected: Some(true), ping_ms: None },
        ..MinerSample::default()
    }
}

pub fn profile(name: &str) -> Profile {
    serde_json::from_value(serde_json::json!({
        "name": name, "minerType": "simulated", "config": {"algo": "rx/0", "hashrate": 1000}
    }))
    .unwrap()
}
