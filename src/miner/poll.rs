//! The thread miner-stats-M: asks a miner's API until the run is over.
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use super::adapter::{Adapter, Api};
use crate::bus::{Event, MinerEvent};
use crate::model::stats::{MinerSample, REPORT_EVERY_S};

/// A young miner is asked every second until it tells a hashrate, for so long.
const YOUNG: Duration = Duration::from_secs(15);
const YOUNG_EVERY: Duration = Duration::from_secs(1);
const EVERY: Duration = Duration::from_secs(REPORT_EVERY_S);
/// How long one reading may take, with all that is asked again …
const DEADLINE: Duration = Duration::from_secs(4);
/// … this long after a question without an answer.
const AGAIN: Duration = Duration::from_millis(500);
/// How long a reading waits for room in the registry's queue; then it is lost, and the next one is newer.
const PATIENCE: Duration = Duration::from_secs(2);

pub struct Poll {
    pub name: String,
    pub run: u64,
    pub adapter: &'static dyn Adapter,
    pub api: Api,
    pub events: Sender<Event>,
    /// Closed when the run is over.
    pub over: Receiver<()>,
}

impl Poll {
    pub fn run(self) {
        let born = Instant::now();
        let mut young = true;
        loop {
            let every = if young { YOUNG_EVERY } else { EVERY };
            match self.over.recv_timeout(every) {
                Err(RecvTimeoutError::Timeout) => {}
                Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
            }
            let Some(event) = self.ask() else { return };
            if let MinerEvent::Sample { sample, .. } = &event {
                young &= sample.hashrate.now.is_none();
            }
            young &= born.elapsed() < YOUNG;
            let _ = self.events.send_timeout(Event::Miner(event), PATIENCE);
        }
    }

    /// `None`: the run was over meanwhile.
    fn ask(&self) -> Option<MinerEvent> {
        let deadline = Instant::now() + DEADLINE;
        let (name, run) = (self.name.clone(), self.run);
        loop {
            match self.ask_once(deadline) {
                Ok(sample) => {
                    return Some(MinerEvent::Sample { name, run, sample: Box::new(sample) });
                }
                Err(reason) if !self.adapter.is_flaky() || Instant::now() + AGAIN >= deadline => {
                    return Some(MinerEvent::NoSample { name, run, reason });
                }
                Err(_) => {}
            }
            if self.over.recv_timeout(AGAIN) != Err(RecvTimeoutError::Timeout) {
                return None;
            }
        }
    }

    fn ask_once(&self, deadline: Instant) -> Result<MinerSample, String> {
        // A fault in reading one answer must not end all reading of this miner.
        let answer = catch_unwind(AssertUnwindSafe(|| self.adapter.poll(&self.api, deadline)));
        answer.unwrap_or_else(|_| {
            Err("reading the miner's answer failed inside miner-cli".to_owned())
        })
    }
}
