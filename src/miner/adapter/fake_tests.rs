//! One fake server for all dialects: it replays what they are documented to answer, and everything that goes wrong.
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use proptest::prelude::*;
use serde_json::Value;

use super::ask::LONGEST_ANSWER;
use super::{Api, find};
use crate::bus::reply_channel;
use crate::model::stats::MinerSample;
use crate::sys::thread;

pub const INSTANCE: &str = "0123456789abcdef0123456789abcdef";
/// Nothing that answers takes as long.
const FAR: Duration = Duration::from_secs(30);

pub const TT_MINER: &str = include_str!("../../../tests/fixtures/tt-miner/getstat1.json");
pub const LOLMINER: &str = include_str!("../../../tests/fixtures/lolminer/summary-1.88.json");
pub const LOLMINER_OLD: &str = include_str!("../../../tests/fixtures/lolminer/summary-1.29.json");
pub const SRBMINER: &str = include_str!("../../../tests/fixtures/srbminer/api-2.json");
pub const SRBMINER_OLD: &str = include_str!("../../../tests/fixtures/srbminer/api-0.5.json");

/// What one connection gets.
enum Answer {
    /// These bytes, and the end.
    Ended(Vec<u8>),
    /// These bytes, and then nothing: the connection stays open.
    Kept(Vec<u8>),
    ClosedAtOnce,
}

/// Answers as many connections as there are answers; holds them until it is dropped.
struct Fake {
    port: u16,
    over: Option<Sender<()>>,
    thread: Option<JoinHandle<Vec<String>>>,
}

impl Fake {
    fn start(answers: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (over, wait) = reply_channel();
        let thread = thread::spawn("fake-api", move || {
            let mut held = Vec::new();
            let mut asked = Vec::new();
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                if matches!(answer, Answer::ClosedAtOnce) {
                    continue;
                }
                asked.push(request(&mut stream));
                let (Answer::Ended(bytes) | Answer::Kept(bytes)) = &answer else { continue };
                // Whoever asked may have heard enough.
                let _ = stream.write_all(bytes);
                if matches!(answer, Answer::Ended(_)) {
                    let _ = stream.shutdown(Shutdown::Write);
                }
                held.push(stream);
            }
            let _ = wait.recv();
            asked
        });
        Self { port, over: Some(over), thread: Some(thread.unwrap()) }
    }

    fn api(&self) -> Api {
        Api { port: self.port, token: "TOKEN".to_owned(), instance: INSTANCE.to_owned() }
    }

    fn poll(&self, dialect: &str, patience: Duration) -> Result<MinerSample, String> {
        find(dialect).ok().unwrap().adapter.poll(&self.api(), Instant::now() + patience)
    }

    /// What was asked.
    fn end(mut self) -> Vec<String> {
        self.over = None;
        self.thread.take().unwrap().join().unwrap()
    }
}

/// The first line, and all of an HTTP head.
fn request(stream: &mut TcpStream) -> String {
    let mut got = Vec::new();
    let mut byte = [0];
    let whole = |got: &[u8]| {
        if got.starts_with(b"GET ") { got.ends_with(b"\r\n\r\n") } else { got.ends_with(b"\n") }
    };
    while !whole(&got) && stream.read(&mut byte).unwrap_or(0) == 1 {
        got.push(byte[0]);
    }
    String::from_utf8(got).unwrap()
}

fn http(body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// Each dialect's documented replies, and how they travel.
type Wrap = fn(&[u8]) -> Vec<u8>;
const DOCUMENTED: &[(&str, &str, Wrap)] = &[
    ("tt-miner", TT_MINER, <[u8]>::to_vec),
    ("lolminer", LOLMINER, http),
    ("lolminer", LOLMINER_OLD, http),
    ("srbminer", SRBMINER, http),
    ("srbminer", SRBMINER_OLD, http),
];

fn polled(dialect: &str, answer: Answer) -> Result<MinerSample, String> {
    Fake::start(vec![answer]).poll(dialect, FAR)
}

#[test]
fn the_documented_replies_are_readings() {
    for (dialect, reply, wrap) in DOCUMENTED {
        let sample = polled(dialect, Answer::Ended(wrap(reply.as_bytes()))).unwrap();
        assert!(sample.hashrate.now > Some(500.0), "{dialect}: {sample:?}");
        assert_eq!((sample.accepted, sample.rejected), (Some(33), Some(2)), "{dialect}");
        // Nobody has to close the connection, or to end the answer with a newline.
        let kept = polled(dialect, Answer::Kept(wrap(reply.trim().as_bytes()))).unwrap();
        assert_eq!(kept, sample, "{dialect}");
    }
}

#[test]
fn each_dialect_is_asked_in_its_own_words() {
    let asked = |dialect: &str, answer: Vec<u8>| {
        let fake = Fake::start(vec![Answer::Ended(answer)]);
        fake.poll(dialect, FAR).unwrap();
        fake.end().remove(0)
    };
    let line = "{\"id\":0,\"jsonrpc\":\"2.0\",\"method\":\"miner_getstat1\"}\n";
    assert_eq!(asked("tt-miner", TT_MINER.as_bytes().to_vec()), line);
    let head = asked("lolminer", http(LOLMINER.as_bytes()));
    assert!(head.starts_with("GET /summary HTTP/1.1\r\n"), "{head}");
    let head = asked("srbminer", http(SRBMINER.as_bytes()));
    assert!(head.starts_with("GET / HTTP/1.1\r\n"), "{head}");
    // Their APIs know no token: it is not to be told to whoever has the port.
    assert!(!head.contains("TOKEN"), "{head}");
}

#[test]
fn almost_json_is_read_all_the_same() {
    fn as_texts(value: &mut Value) {
        match value {
            Value::Number(number) => *value = Value::from(number.to_string()),
            Value::Array(all) => all.iter_mut().for_each(as_texts),
            Value::Object(all) => all.values_mut().for_each(as_texts),
            _ => {}
        }
    }
    for (dialect, reply, wrap) in DOCUMENTED {
        let sample = polled(dialect, Answer::Ended(wrap(reply.as_bytes()))).unwrap();
        let mut texts: Value = serde_json::from_str(reply).unwrap();
        as_texts(&mut texts);
        let commas = reply.trim().replace(']', ",]").replace('}', ", }").replace("[,", "[");
        let nul = format!("{}\0\0trailing", reply.trim());
        for changed in [texts.to_string(), commas, nul] {
            let got = polled(dialect, Answer::Ended(wrap(changed.as_bytes())));
            assert_eq!(got.as_ref(), Ok(&sample), "{dialect}: {changed}");
        }
    }
}

#[test]
fn what_is_broken_is_no_reading() {
    let failed = |dialect: &str, answer: Answer| polled(dialect, answer).unwrap_err();
    for (dialect, reply, wrap) in DOCUMENTED {
        let whole = reply.trim().as_bytes();
        for end in (0..whole.len()).step_by(whole.len() / 7) {
            failed(dialect, Answer::Ended(wrap(&whole[..end])));
            failed(dialect, Answer::Ended(wrap(whole)[..end].to_vec()));
        }
        failed(dialect, Answer::ClosedAtOnce);
        for garbage in ["", "\0", "null", "[]", "{}", "SSH-2.0-OpenSSH\r\n", "{\"result\":{}}"] {
            failed(dialect, Answer::Ended(wrap(garbage.as_bytes())));
            failed(dialect, Answer::Ended(garbage.as_bytes().to_vec()));
        }
    }
}

#[test]
fn a_late_answer_is_waited_for_until_the_deadline_alone() {
    for (dialect, reply, wrap) in DOCUMENTED {
        let cut = wrap(reply.as_bytes());
        for said in [Vec::new(), cut[..cut.len() / 2].to_vec()] {
            let fake = Fake::start(vec![Answer::Kept(said)]);
            let late = fake.poll(dialect, Duration::from_millis(100)).unwrap_err();
            assert_eq!(late, "the miner's API: no answer in time", "{dialect}");
        }
    }
}

#[test]
fn an_answer_of_a_mebibyte_is_too_long() {
    for (dialect, reply, wrap) in DOCUMENTED {
        let padded = |most: usize| {
            let reply = reply.trim();
            let padding = " ".repeat(most - reply.len());
            wrap(format!("{}{padding}}}", &reply[..reply.len() - 1]).as_bytes())
        };
        assert!(polled(dialect, Answer::Ended(padded(LONGEST_ANSWER))).is_ok(), "{dialect}");
        let long = polled(dialect, Answer::Ended(padded(LONGEST_ANSWER + 8192))).unwrap_err();
        assert_eq!(long, "the miner's API: the answer is too long", "{dialect}");
    }
}

// ---- for the property tests of the parsers ----

/// Any JSON, with what miners say among it.
pub fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (0..300_u32).prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
        "[0-9.;e+-]{0,12}".prop_map(Value::from),
        Just(Value::from("TT-Miner")),
        Just(Value::from("lolMiner 1.4")),
        Just(Value::from(INSTANCE)),
    ];
    let key = prop_oneof![
        ".{0,8}",
        Just("result".to_owned()),
        Just("Session".to_owned()),
        Just("Algorithms".to_owned()),
        Just("total".to_owned()),
        Just("gpu7".to_owned()),
    ];
    leaf.prop_recursive(3, 16, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((key.clone(), inner), 0..5)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

/// `reply` with one part of it, the `which`-th, replaced.
pub fn mutated(reply: &str, which: usize, put: &Value) -> String {
    fn parts(value: &Value, at: String, out: &mut Vec<String>) {
        match value {
            Value::Array(all) => {
                all.iter().enumerate().for_each(|(i, v)| parts(v, format!("{at}/{i}"), out));
            }
            Value::Object(all) => all.iter().for_each(|(k, v)| {
                parts(v, format!("{at}/{}", k.replace('~', "~0").replace('/', "~1")), out);
            }),
            _ => {}
        }
        out.push(at);
    }
    let mut all: Value = serde_json::from_str(reply).unwrap();
    let mut places = Vec::new();
    parts(&all, String::new(), &mut places);
    *all.pointer_mut(&places[which % places.len()]).unwrap() = put.clone();
    all.to_string()
}

/// Whether something in it can be read as a 0.
pub fn says_zero(value: &Value) -> bool {
    match value {
        Value::Array(all) => all.iter().any(says_zero),
        Value::Object(all) => all.values().any(says_zero),
        Value::String(text) => {
            text.split(';').any(|part| part.trim().parse::<f64>().is_ok_and(|n| n == 0.0))
        }
        other => other.as_f64() == Some(0.0),
    }
}

/// Every figure of a reading. Their order does not matter.
pub fn figures(sample: &MinerSample) -> Vec<f64> {
    let rate = sample.hashrate;
    let counts = [
        sample.accepted,
        sample.rejected,
        sample.stale,
        sample.invalid,
        sample.uptime,
        sample.threads.map(u64::from),
    ];
    let own = [
        rate.now,
        rate.minute,
        rate.quarter,
        rate.highest,
        sample.difficulty,
        sample.power,
        sample.pool.ping_ms,
    ];
    let of_device = |d: &crate::model::stats::Device| [d.hashrate, d.temperature, d.fan, d.power];
    let counts = counts.into_iter().flatten().map(|n| n as f64);
    counts
        .chain(own.into_iter().flatten())
        .chain(sample.devices.iter().flat_map(of_device).flatten())
        .collect()
}

/// What holds for every reading of an answer whose own zeros are in `put` alone.
pub fn is_honest(sample: &MinerSample, put: &Value) -> Result<(), TestCaseError> {
    let figures = figures(sample);
    prop_assert!(figures.iter().all(|n| n.is_finite() && *n >= 0.0), "{sample:?}");
    prop_assert!(!figures.contains(&0.0) || says_zero(put), "a zero of {put}: {sample:?}");
    let texts = [&sample.algorithm, &sample.version, &sample.pool.url];
    let names = sample.devices.iter().map(|device| &device.name);
    for text in texts.into_iter().chain(names).flatten() {
        prop_assert!(
            text.chars().count() <= 201 && !text.chars().any(crate::model::text::is_unsafe)
        );
    }
    prop_assert!(sample.devices.len() <= super::reading::MOST_DEVICES + 1);
    Ok(())
}
