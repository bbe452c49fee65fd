//! What answers on a miner's API port, to every adapter, as a body and as HTTP: figures that can be, text that can be
//! shown, sizes that are bound. XMRig's second answer stands after a NUL, where the others stop reading.
#![no_main]
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use miner_cli::httpc::{self, HttpRequest};
use miner_cli::miner::parsers;
use miner_cli::model::stats::{Hashrate, MinerSample};
use miner_cli_fuzz::{Pieces, figure, shown};

/// As in the corpus.
const INSTANCE: &str = "0123456789abcdef0123456789abcdef";
const MOST: usize = 1 << 16;

fn check(sample: &MinerSample) {
    let Hashrate { now, minute, quarter, highest } = sample.hashrate;
    for n in [
        now,
        minute,
        quarter,
        highest,
        sample.difficulty,
        sample.power,
        sample.work,
        sample.pool.ping_ms,
    ] {
        figure(n);
    }
    for text in [&sample.algorithm, &sample.pool.url, &sample.version].into_iter().flatten() {
        shown(text, 200);
    }
    assert!(sample.devices.len() <= 257, "{} devices", sample.devices.len());
    for device in &sample.devices {
        [device.hashrate, device.temperature, device.fan, device.power]
            .into_iter()
            .for_each(figure);
        device.name.iter().for_each(|name| shown(name, 100));
    }
}

fn http(data: &[u8]) {
    let request = HttpRequest {
        method: "GET",
        address: "127.0.0.1:1",
        path: "/2/summary",
        headers: &[],
        body: None,
        deadline: Duration::ZERO,
        most: MOST,
    };
    let answer = |size| httpc::ask_over(&request, Pieces::new(data, size))?.whole(MOST);
    let whole = answer(usize::MAX);
    if let Ok(answer) = &whole {
        assert!(answer.body.len() <= MOST.min(data.len()) && (200..600).contains(&answer.status));
    }
    assert_eq!(whole.ok(), answer(7).ok(), "it depends on how the bytes come");
}

fuzz_target!(|data: &[u8]| {
    let (answer, second) = match data.iter().position(|b| *b == 0) {
        Some(nul) => (&data[..nul], &data[nul + 1..]),
        None => (data, &[][..]),
    };
    for miner in ["xmrig", "tt-miner", "lolminer", "srbminer"] {
        match parsers::reading(miner, answer, second, INSTANCE) {
            Ok(sample) => check(&sample),
            Err(why) => shown(&why, 400),
        }
    }
    http(data);
});
