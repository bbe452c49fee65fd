//! Readings: made here from what a node's own miners answer, handed to the history thread, and told to the
//! controllers with the next report.
use std::collections::VecDeque;

use super::miners::Miner;
use super::{Cx, Out, Registry};
use crate::bus::HistoryCommand;
use crate::model::history::{Batch, Live, Reading, Rows, Series};
use crate::model::key::PublicKey;
use crate::model::stats::{Device, MinerSample};
use crate::model::time::{Now, Timestamp};

/// Readings in one report; what is more is for the controller to ask for.
pub const IN_A_REPORT: usize = 100;
/// Readings that wait for the next report.
const RECENT: usize = 512;
/// More than this between the two clocks from one report to the next: the wall clock was set.
const CLOCK_SET_MS: i64 = 1500;

/// The second of a time.
pub fn second(at: Timestamp) -> i64 {
    at.0.div_euclid(1000)
}

/// What a miner had counted when the last reading of it was made.
#[derive(Clone, Copy, Default)]
pub struct Counted {
    /// Its second; no other reading of that miner has it.
    at: Option<i64>,
    uptime: Option<u64>,
    accepted: Option<u64>,
    rejected: Option<u64>,
    work: Option<f64>,
}

impl Counted {
    /// A new process counts from nothing.
    pub fn anew(self) -> Self {
        Self { at: self.at, ..Self::default() }
    }

    /// The reading that `sample` makes; `None` when there was one in this second, or nothing is known.
    fn reading(&mut self, sample: &MinerSample, at: i64) -> Option<Reading> {
        if self.at == Some(at) {
            return None;
        }
        let before = *self;
        let anew = sample.uptime.zip(before.uptime).is_some_and(|(now, then)| now < then);
        let since = |now: Option<u64>, then: Option<u64>| {
            let (now, then) = (now.unwrap_or(0), then.unwrap_or(0));
            let shares = if anew { now } else { now.checked_sub(then).unwrap_or(now) };
            u32::try_from(shares).unwrap_or(u32::MAX)
        };
        let paid = |now: f64| match before.work {
            Some(then) if !anew && now >= then => now - then,
            _ => now,
        };
        let accepted = sample.accepted.map_or(0, |now| since(Some(now), before.accepted));
        let rejected = sample.rejected.map_or(0, |now| since(Some(now), before.rejected));
        let work = sample.work.map(paid);
        *self = Self {
            at: Some(at),
            uptime: sample.uptime.or(before.uptime),
            accepted: sample.accepted.or(before.accepted),
            rejected: sample.rejected.or(before.rejected),
            work: sample.work.or(before.work),
        };
        let temperature = Device::hottest(&sample.devices);
        let hashrate = sample.hashrate.now;
        let reading =
            Reading { at, hashrate, accepted, rejected, work, temperature, power: sample.power };
        let says_something = hashrate.is_some()
            || (accepted, rejected) != (0, 0)
            || work.is_some_and(|work| work > 0.0);
        says_something.then_some(reading)
    }
}

/// The newest readings of this node's own miners, oldest first.
#[derive(Default)]
pub struct Recent {
    kept: VecDeque<(Series, Reading)>,
    /// How many there ever were.
    made: u64,
}

/// Up to where a controller was told the readings, over one link.
#[derive(Clone, Copy)]
pub struct Told {
    made: u64,
    through: i64,
    at: Now,
}

impl Recent {
    fn push(&mut self, series: Series, reading: Reading) {
        self.kept.push_back((series, reading));
        self.made += 1;
        if self.kept.len() > RECENT {
            self.kept.pop_front();
        }
    }

    /// What a report made now carries for one who was told up to `told`, and what it was told then.
    fn live(&self, told: Option<Told>, now: Now) -> (Live, Told) {
        let present = second(now.wall);
        let fits = |told: &Told| {
            let passed = super::ms(now.mono.since(told.at.mono));
            (now.wall.since_ms(told.at.wall) - passed).abs() < CLOCK_SET_MS
                && self.made - told.made <= IN_A_REPORT.min(self.kept.len()) as u64
        };
        // Readings of the present second may still come: nothing is promised of it.
        let (rows, after) = match told.filter(fits) {
            Some(told) => (self.kept.len() - (self.made - told.made) as usize, told.through),
            None => {
                let first = self.kept.iter().rposition(|(_, r)| r.at < present);
                (first.map_or(0, |i| i + 1), present - 1)
            }
        };
        let through = after.max(present - 1);
        let batch = batch(self.kept.range(rows..), through);
        (Live { after, batch }, Told { made: self.made, through, at: now })
    }
}

fn batch<'a>(rows: impl Iterator<Item = &'a (Series, Reading)>, through: i64) -> Batch {
    let mut series: Vec<Series> = Vec::new();
    let mut indexed = Vec::new();
    for (of, reading) in rows.take(IN_A_REPORT) {
        let at = series.iter().position(|s| s == of).unwrap_or_else(|| {
            series.push(of.clone());
            series.len() - 1
        });
        indexed.push((u16::try_from(at).unwrap_or(u16::MAX), *reading));
    }
    Batch { series, rows: Rows::Raw(indexed), through, more: false }
}

impl Miner {
    fn reading(&mut self, now: Now) -> Option<(Series, Reading)> {
        let algorithm = self.algorithm().unwrap_or_default();
        let (sample, _) = self.sample.as_ref()?;
        let reading = self.counted.reading(sample, second(now.wall))?;
        let series = Series {
            miner: self.name.clone(),
            miner_type: self.profile.miner_type.clone(),
            simulated: self.profile.miner_type == "simulated",
            algorithm,
        };
        Some((series, reading))
    }
}

impl Registry {
    /// One of our miners has just answered.
    pub(super) fn make_reading(&mut self, name: &str, cx: &mut Cx) {
        let Some((series, reading)) =
            self.miners.get_mut(name).and_then(|miner| miner.reading(cx.now))
        else {
            return;
        };
        let rows = Rows::Raw(vec![(0, reading)]);
        let batch = Batch { series: vec![series.clone()], rows, through: reading.at, more: false };
        self.history.recent.push(series, reading);
        let node = self.setup.me.id;
        cx.out.push(Out::History(HistoryCommand::Keep { node, batch, after: None }));
    }

    /// What the next report to a controller carries.
    pub(super) fn live(&mut self, key: &PublicKey, cx: &Cx) -> Option<Box<Live>> {
        let link = self.peers.get_mut(key)?.link.as_mut()?;
        let (live, told) = self.history.recent.live(link.told, cx.now);
        link.told = Some(told);
        Some(Box::new(live))
    }
}

#[cfg(test)]
mod tests {
    use super::{Counted, IN_A_REPORT, Live, RECENT, Recent, Series, Told};
    use crate::model::history::{Reading, Rows};
    use crate::model::stats::{Hashrate, MinerSample};
    use crate::model::time::{Mono, Now, Timestamp};

    fn sample(uptime: u64, accepted: u64, work: f64) -> MinerSample {
        MinerSample {
            uptime: Some(uptime),
            accepted: Some(accepted),
            rejected: Some(accepted / 10),
            work: Some(work),
            hashrate: Hashrate { now: Some(500.0), ..Hashrate::default() },
            ..MinerSample::default()
        }
    }

    #[test]
    fn a_reading_holds_what_came_since_the_one_before() {
        let mut counted = Counted::default();
        let mut read = |sample: &MinerSample, at| {
            counted.reading(sample, at).map(|r| (r.accepted, r.rejected, r.work.unwrap()))
        };
        assert_eq!(read(&sample(8, 20, 200.0), 10), Some((20, 2, 200.0)), "its process is new");
        assert_eq!(read(&sample(18, 30, 310.0), 20), Some((10, 1, 110.0)));
        assert_eq!(read(&sample(19, 31, 320.0), 20), None, "one in a second");
        assert_eq!(read(&sample(28, 40, 400.0), 30), Some((10, 1, 90.0)), "and nothing is lost");
        assert_eq!(read(&sample(5, 50, 500.0), 40), Some((50, 5, 500.0)), "it began anew");
        assert_eq!(read(&sample(15, 20, 100.0), 50), Some((20, 2, 100.0)), "so did its counts");
    }

    #[test]
    fn what_is_unknown_is_no_zero_and_nothing_known_is_no_reading() {
        let mut counted = Counted::default();
        let empty = MinerSample::default();
        assert_eq!(counted.reading(&empty, 10), None);
        let hashing = MinerSample { uptime: None, work: None, ..sample(0, 3, 0.0) };
        assert_eq!(counted.reading(&hashing, 20).unwrap().work, None);
        let silent = MinerSample { accepted: None, ..hashing.clone() };
        assert_eq!(counted.reading(&silent, 30).unwrap().accepted, 0);
        assert_eq!(counted.reading(&hashing, 40).unwrap().accepted, 0, "the count goes on");
        let zero = MinerSample {
            hashrate: Hashrate { now: Some(0.0), ..Hashrate::default() },
            ..MinerSample::default()
        };
        assert_eq!(counted.reading(&zero, 50).unwrap().hashrate, Some(0.0), "measured");
    }

    fn at(ms: i64) -> Now {
        Now { mono: Mono(u64::try_from(ms).unwrap() * 1000), wall: Timestamp(ms) }
    }

    fn seconds(live: &Live) -> Vec<i64> {
        let Rows::Raw(rows) = &live.batch.rows else { panic!() };
        rows.iter().map(|(_, r)| r.at).collect()
    }

    fn push(recent: &mut Recent, miner: &str, at: i64) {
        let series = Series {
            miner: miner.to_owned(),
            miner_type: "xmrig".to_owned(),
            simulated: false,
            algorithm: "rx/0".to_owned(),
        };
        recent.push(series, Reading { at, ..Reading::default() });
    }

    #[test]
    fn reports_follow_each_other_without_a_hole() {
        let mut recent = Recent::default();
        push(&mut recent, "a", 90);
        push(&mut recent, "a", 100);
        let (live, told) = recent.live(None, at(100_500));
        assert_eq!((live.after, live.batch.through, seconds(&live)), (99, 99, vec![100]));
        // Another miner answers in a second of which a reading was told already.
        push(&mut recent, "b", 100);
        push(&mut recent, "a", 110);
        let (live, told) = recent.live(Some(told), at(110_900));
        assert_eq!((live.after, live.batch.through, seconds(&live)), (99, 109, vec![100, 110]));
        assert_eq!(live.batch.series.len(), 2);
        let (live, _) = recent.live(Some(told), at(110_950));
        assert_eq!((live.after, live.batch.through, seconds(&live)), (109, 109, vec![]));
    }

    #[test]
    fn a_hole_is_told_where_there_is_one() {
        let breaks = |recent: &Recent, told: Told, now: Now, present: i64| {
            let (live, _) = recent.live(Some(told), now);
            assert_eq!((live.after, live.batch.through), (present - 1, present - 1));
            assert!(seconds(&live).len() <= IN_A_REPORT);
        };
        let mut recent = Recent::default();
        let (_, told) = recent.live(None, at(100_000));
        // The clock was set.
        breaks(&recent, told, Now { wall: Timestamp(500_000), ..at(110_000) }, 500);
        breaks(&recent, told, Now { wall: Timestamp(50_000), ..at(110_000) }, 50);
        // More came than a report holds.
        for n in 0..=IN_A_REPORT {
            push(&mut recent, "a", 101 + n as i64);
        }
        breaks(&recent, told, at(300_000), 300);
        for n in 0..RECENT {
            push(&mut recent, "a", 500 + n as i64);
        }
        breaks(&recent, told, at(2_000_000), 2000);
    }
}
