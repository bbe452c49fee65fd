//! The spawner and the adapter against a real XMRig 6.x, named by MINER_CLI_TEST_XMRIG, on loopback or offline.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests are tests")]

mod miner_support;

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use miner_cli::bus::Note;
use miner_cli::sys::{random, thread};
use miner_support::{FAR, Spawner, script, temp};
use serde_json::{Value, json};

fn xmrig() -> Option<PathBuf> {
    let path = std::env::var_os("MINER_CLI_TEST_XMRIG").map(PathBuf::from);
    if path.is_none() {
        println!("skipped: MINER_CLI_TEST_XMRIG names no XMRig");
    }
    path
}

fn spawner(path: PathBuf) -> Spawner {
    Spawner::with_xmrig(temp(), Some(path), None)
}

/// XMRig behind a script that does something first.
fn behind(path: &std::path::Path, first: &str) -> Spawner {
    let root = temp();
    let program = script(&root, &format!("{first}\nexec {} \"$@\"", path.display()));
    Spawner::with_xmrig(root, Some(program), None)
}

/// A pool for one miner: a light algorithm, every fourth share rejected, until it is closed.
struct Pool {
    address: String,
    closed: Arc<AtomicBool>,
    streams: Arc<std::sync::Mutex<Vec<TcpStream>>>,
}

impl Pool {
    fn open(login_error: Option<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let pool = Self { address, closed: Arc::default(), streams: Arc::default() };
        let (closed, streams) = (pool.closed.clone(), pool.streams.clone());
        let shares = Arc::new(AtomicU64::new(0));
        thread::spawn("test-pool", move || {
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                if closed.load(Ordering::SeqCst) {
                    return;
                }
                streams.lock().unwrap().push(stream.try_clone().unwrap());
                let shares = shares.clone();
                thread::spawn("test-client", move || talk(&stream, &shares, login_error)).unwrap();
            }
        })
        .unwrap();
        pool
    }

    /// Ends every connection and takes no further one.
    fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        for stream in self.streams.lock().unwrap().drain(..) {
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
        let _ = TcpStream::connect_timeout(&self.address.parse().unwrap(), FAR);
    }

    fn config(&self) -> Value {
        json!({"pool": self.address, "wallet": "W.{rig}", "algo": "cn-pico/0", "threads": 1,
               "cliArgs": ["--retries=1", "--retry-pause=1"]})
    }
}

fn talk(stream: &TcpStream, shares: &AtomicU64, login_error: Option<&str>) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    while let Some(Ok(line)) = lines.next() {
        let asked: Value = serde_json::from_str(&line).unwrap();
        let (error, result) = match (asked["method"].as_str(), login_error) {
            (Some("login"), Some(text)) => (json!({"code": -1, "message": text}), Value::Null),
            (Some("login"), None) => {
                (Value::Null, json!({"id": "1", "job": job(), "status": "OK"}))
            }
            (Some("submit"), _) if shares.fetch_add(1, Ordering::SeqCst) % 4 == 3 => {
                (json!({"code": -1, "message": "Low difficulty share"}), Value::Null)
            }
            _ => (Value::Null, json!({"status": "OK"})),
        };
        let answer = json!({"id": asked["id"], "jsonrpc": "2.0", "error": error, "result": result});
        if (&mut &*stream).write_all(format!("{answer}\n").as_bytes()).is_err() {
            return;
        }
    }
}

fn job() -> Value {
    let blob = format!("0e0e{}00000000{}", random::hex::<37>(), random::hex::<33>());
    let target = data_encoding::HEXLOWER.encode(&(u32::MAX / 500).to_le_bytes());
    json!({"blob": blob, "job_id": random::hex::<8>(), "target": target, "algo": "cn-pico/0",
           "height": 3_000_000, "seed_hash": "11".repeat(32)})
}

#[test]
fn mining_shares_and_a_lost_pool() {
    let Some(path) = xmrig() else { return };
    let (spawner, pool) = (spawner(path), Pool::open(None));
    spawner.start("xmrig-1", "xmrig", &pool.config());
    spawner.started();
    let young = spawner.sample(|_| true);
    assert_eq!((young.hashrate.now, young.hashrate.minute), (None, None), "unknown, not 0");
    assert!(young.version.is_some_and(|version| version.starts_with("6.")));
    spawner.note(|note| *note == Note::ShareAccepted);
    let warm = spawner.sample(|sample| sample.hashrate.now.is_some() && sample.rejected > Some(0));
    assert!(warm.hashrate.now > Some(0.0) && warm.hashrate.quarter.is_none(), "{warm:?}");
    assert_eq!((warm.algorithm.as_deref(), warm.threads), (Some("cn-pico"), Some(1)));
    assert_eq!(
        (warm.pool.url.as_deref(), warm.pool.connected),
        (Some(pool.address.as_str()), Some(true))
    );
    assert!(warm.accepted > warm.rejected && warm.devices[0].hashrate.is_some());
    pool.close();
    let trouble = spawner.note(|note| matches!(note, Note::PoolTrouble(_)));
    let said = format!("the connection to the pool {} broke: end of file", pool.address);
    assert_eq!(trouble, Note::PoolTrouble(said));
    let lost = spawner.sample(|sample| sample.pool.connected == Some(false));
    assert_eq!((lost.pool.url.as_deref(), lost.pool.ping_ms), (Some(pool.address.as_str()), None));
    assert!(lost.accepted >= warm.accepted);
    spawner.stop("xmrig-1", FAR);
    let ended = spawner.ended();
    assert_eq!((ended.code, ended.reason.as_str()), (Some(0), "it was stopped"));
    assert!(spawner.log("xmrig-1").iter().any(|line| line.contains("SIGTERM received")));
}

#[test]
fn the_offline_benchmark_has_no_pool() {
    let Some(path) = xmrig() else { return };
    let spawner = spawner(path);
    let config = json!({"threads": 1, "cliArgs": ["--bench=250K", "--randomx-mode=light"]});
    spawner.start("xmrig-1", "xmrig", &config);
    spawner.started();
    assert_eq!(spawner.sample(|_| true).hashrate.now, None);
    let warm = spawner.sample(|sample| sample.hashrate.now.is_some());
    assert!(warm.hashrate.now > Some(0.0));
    assert_eq!((warm.algorithm.as_deref(), warm.difficulty), (Some("rx/0"), None));
}

#[test]
fn a_login_that_is_refused_is_told_and_ends_nothing() {
    let Some(path) = xmrig() else { return };
    let (spawner, pool) = (spawner(path), Pool::open(Some("Invalid address used for login")));
    spawner.start("xmrig-1", "xmrig", &pool.config());
    spawner.started();
    let trouble = spawner.note(|note| matches!(note, Note::PoolTrouble(_)));
    let said = format!("the pool {} says: Invalid address used for login", pool.address);
    assert_eq!(trouble, Note::PoolTrouble(said));
    let idle = spawner.sample(|_| true);
    assert_eq!((idle.hashrate.now, idle.pool.connected), (None, Some(false)));
    pool.close();
}

#[test]
fn a_taken_api_port_is_told() {
    let Some(path) = xmrig() else { return };
    let taker = env!("CARGO_BIN_EXE_miner-cli");
    let first = format!(
        "{taker} simulate-miner \"$1\" > out 2>&1 &\nuntil grep -q 'HTTP API' out; do sleep 0.1; done"
    );
    let (spawner, pool) = (behind(&path, &first), Pool::open(None));
    spawner.start("xmrig-1", "xmrig", &pool.config());
    spawner.started();
    spawner.note(|note| *note == Note::ApiPortTaken);
    pool.close();
}

#[test]
fn a_broken_configuration_is_permanent() {
    let Some(path) = xmrig() else { return };
    let spawner = behind(&path, "echo '{ \"pools\": [ nope }' > config.json");
    spawner.start("xmrig-1", "xmrig", &json!({"pool": "127.0.0.1:1", "wallet": "W"}));
    spawner.started();
    let ended = spawner.ended();
    assert_eq!((ended.code, ended.permanent), (Some(2), true));
    assert!(ended.reason.contains("<line:1, position:"), "{}", ended.reason);
}

#[test]
fn the_version_is_asked() {
    let Some(path) = xmrig() else { return };
    let version = spawner(path).survey().remove(0).version.unwrap();
    assert!(version.starts_with("6."), "{version}");
}
