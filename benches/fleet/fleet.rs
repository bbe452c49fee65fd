//! Many rigs in this process.
use std::collections::BTreeMap;
use std::io::PipeWriter;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use miner_cli::model::invite::InviteCode;
use miner_cli::model::key::NodeId;
use miner_cli::sys::thread;

use super::figures::Figures;
use super::hall::{self, Hall};
use super::rig::Rig;
use super::wire::Keys;

/// What the rigs share: where to call, how often to report, and counts of what they did.
pub struct Shared {
    pub invite: InviteCode,
    /// Behind one address, as a farm behind one router is, or each with its own.
    pub one_source: bool,
    controller: Mutex<SocketAddr>,
    every_ms: AtomicU64,
    pub probing: AtomicBool,
    pub closing: AtomicBool,
    pub linked: AtomicUsize,
    /// Rigs that have called and never been linked yet.
    pub beginning: AtomicUsize,
    /// Attempts that came to nothing, and links that were lost.
    pub refused: AtomicU64,
    pub losses: AtomicU64,
    pub reports: AtomicU64,
    /// Of the reports' WebSocket frames.
    pub bytes: AtomicU64,
    took: Mutex<Vec<Duration>>,
    why: Mutex<BTreeMap<String, usize>>,
}

impl Shared {
    pub fn controller(&self) -> SocketAddr {
        *lock(&self.controller)
    }

    pub fn move_controller(&self, to: SocketAddr) {
        *lock(&self.controller) = to;
    }

    pub fn every(&self) -> Duration {
        Duration::from_millis(self.every_ms.load(Relaxed))
    }

    /// Each rig's own address below 127.0.0.0/8, when the controller is on loopback.
    pub fn source(&self, number: usize) -> Option<IpAddr> {
        let loopback = matches!(self.controller().ip(), IpAddr::V4(ip) if ip.is_loopback());
        let digit = |n: usize| u8::try_from(n % 250).unwrap_or(0);
        (loopback && !self.one_source).then(|| {
            let (a, b, c) = (number / 62_500, number / 250, number);
            Ipv4Addr::new(127, 1 + digit(a), digit(b), 1 + digit(c)).into()
        })
    }

    pub fn took(&self, time: Duration) {
        lock(&self.took).push(time);
    }

    /// What the probes measured since the last call.
    pub fn take_times(&self) -> Vec<Duration> {
        std::mem::take(&mut *lock(&self.took))
    }

    pub fn lost(&self, why: &str) {
        self.losses.fetch_add(1, Relaxed);
        *lock(&self.why).entry(format!("lost: {why}")).or_default() += 1;
    }

    pub fn note_refusal(&self, why: &str) {
        *lock(&self.why).entry(format!("no link: {why}")).or_default() += 1;
    }

    /// Why links were lost or did not come about, since the last call.
    pub fn take_reasons(&self) -> BTreeMap<String, usize> {
        std::mem::take(&mut *lock(&self.why))
    }
}

pub struct Fleet {
    pub shared: Arc<Shared>,
    pub ids: Vec<NodeId>,
    bells: Vec<Arc<PipeWriter>>,
    threads: Vec<JoinHandle<()>>,
}

/// How many rigs begin a second: the first registration of each costs the controller a write to disk.
const BEGIN_A_SECOND: u32 = 250;

impl Fleet {
    /// Keys of `rigs` rigs, the first called `rig-0001`.
    pub fn keys(rigs: usize) -> Vec<Arc<Keys>> {
        (1..=rigs).map(|number| Arc::new(Keys::new(format!("rig-{number:04}")))).collect()
    }

    /// Begins the rigs that have these keys.
    pub fn begin(
        keys: &[Arc<Keys>],
        invite: InviteCode,
        controller: SocketAddr,
        every: Duration,
        one_source: bool,
    ) -> Self {
        let shared = Arc::new(Shared {
            invite,
            one_source,
            controller: Mutex::new(controller),
            every_ms: AtomicU64::new(u64::try_from(every.as_millis()).unwrap_or(10_000)),
            probing: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            linked: AtomicUsize::new(0),
            beginning: AtomicUsize::new(0),
            refused: AtomicU64::new(0),
            losses: AtomicU64::new(0),
            reports: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            took: Mutex::default(),
            why: Mutex::default(),
        });
        let ids = keys.iter().map(|keys| keys.id).collect();
        let mut fleet = Self { shared, ids, bells: Vec::new(), threads: Vec::new() };
        let start = Instant::now();
        let first = |number: usize| {
            start + Duration::from_secs(1) * u32::try_from(number).unwrap_or(0) / BEGIN_A_SECOND
        };
        let mut rigs = keys
            .iter()
            .enumerate()
            .map(|(number, keys)| Rig::new(number, keys.clone(), first(number)));
        // Neighbours begin in different halls, so that none has to put all of its rigs through at once.
        let halls = keys.len().div_ceil(hall::RIGS);
        let mut seats: Vec<Vec<Rig>> = (0..halls).map(|_| Vec::new()).collect();
        (0..halls).cycle().map_while(|hall| Some((hall, rigs.next()?))).for_each(|(hall, rig)| {
            seats[hall].push(rig);
        });
        for rigs in seats {
            let (hall, bell) = Hall::new(rigs, fleet.shared.clone()).expect("a pipe for a hall");
            fleet.bells.push(bell);
            let thread = thread::spawn("rigs", move || hall.run());
            fleet.threads.push(thread.expect("a thread for some rigs: raise the limit of threads"));
        }
        fleet
    }

    pub fn len(&self) -> usize {
        self.ids.len()
    }

    pub fn linked(&self) -> usize {
        self.shared.linked.load(Relaxed)
    }

    pub fn report_every(&self, every: Duration) {
        self.shared.every_ms.store(u64::try_from(every.as_millis()).unwrap_or(10_000), Relaxed);
        self.bells.iter().for_each(|bell| hall::ring(bell));
    }

    /// How long it took until all rigs were linked.
    ///
    /// # Errors
    /// How many were, after `patience`, and what kept the others out.
    pub fn wait_linked(&self, patience: Duration) -> Result<Duration, String> {
        let start = Instant::now();
        while self.linked() < self.len() {
            if start.elapsed() > patience {
                let (linked, all, why) = (self.linked(), self.len(), self.shared.take_reasons());
                return Err(format!("{linked} of {all} rigs linked after {patience:?}: {why:?}"));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(start.elapsed())
    }

    /// Labels of the rig of this number.
    pub fn labels(number: usize) -> serde_json::Value {
        Figures::new(number).labels()
    }

    /// The rigs leave, most of them rudely.
    pub fn end(self) {
        self.shared.closing.store(true, Relaxed);
        self.bells.iter().for_each(|bell| hall::ring(bell));
        for thread in self.threads {
            let _ = thread.join();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
