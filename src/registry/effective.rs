//! The effective hashrate: what was paid for, over time. Hashes that a miner reports may be stale, rejected, or not
//! there at all; the difficulty of its accepted shares cannot be made up.
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::model::history::{Batch, Rows};
use crate::model::stats::REPORT_EVERY_S;
use crate::model::time::Mono;

/// Shares come by chance: a shorter time says too little.
const WINDOW: Duration = Duration::from_secs(3600);
const BUCKET: Duration = Duration::from_secs(300);
/// Readings that must be there: ten minutes.
const ENOUGH: u32 = 60;
/// Algorithms of one rig.
const ALGORITHMS: usize = 16;

/// The last hour of one rig, by algorithm.
#[derive(Default)]
pub struct Effective(BTreeMap<String, VecDeque<Bucket>>);

struct Bucket {
    since: Mono,
    readings: u32,
    /// Readings that did not say what was paid.
    silent: u32,
    work: f64,
}

impl Effective {
    /// Readings that have just come.
    pub fn take(&mut self, batch: &Batch, now: Mono) {
        let Rows::Raw(rows) = &batch.rows else { return };
        for (index, reading) in rows {
            let Some(series) = batch.series.get(usize::from(*index)) else { continue };
            if !self.0.contains_key(&series.algorithm) && self.0.len() >= ALGORITHMS {
                continue;
            }
            let buckets = self.0.entry(series.algorithm.clone()).or_default();
            if buckets.back().is_none_or(|b| now.since(b.since) >= BUCKET) {
                buckets.push_back(Bucket { since: now, readings: 0, silent: 0, work: 0.0 });
            }
            if let Some(bucket) = buckets.back_mut() {
                bucket.readings += 1;
                bucket.silent += u32::from(reading.work.is_none());
                bucket.work += reading.work.unwrap_or(0.0);
            }
        }
        for buckets in self.0.values_mut() {
            buckets.retain(|b| now.since(b.since) < WINDOW);
        }
        self.0.retain(|_, buckets| !buckets.is_empty());
    }

    /// H/s; `None` where too little is known. `miners` is how many of that algorithm hash at once.
    pub fn rate(&self, algorithm: &str, miners: usize, now: Mono) -> Option<f64> {
        let recent = self.0.get(algorithm)?.iter().filter(|b| now.since(b.since) < WINDOW);
        let (mut readings, mut work) = (0, 0.0);
        for bucket in recent {
            if bucket.silent > 0 {
                return None;
            }
            readings += bucket.readings;
            work += bucket.work;
        }
        let seconds = f64::from(readings) * REPORT_EVERY_S as f64 / miners as f64;
        (miners > 0 && readings as usize >= ENOUGH as usize * miners).then(|| work / seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::Effective;
    use crate::model::history::{Batch, Reading, Rows, Series};
    use crate::model::time::Mono;

    fn batch(work: Option<f64>) -> Batch {
        let series = Series { algorithm: "rx/0".to_owned(), ..Series::default() };
        let rows = Rows::Raw(vec![(0, Reading { work, ..Reading::default() })]);
        Batch { series: vec![series], rows, through: 0, more: false }
    }

    fn at(second: u64) -> Mono {
        Mono(second * 1_000_000)
    }

    #[test]
    fn work_over_time_once_there_is_enough_of_it() {
        let mut effective = Effective::default();
        for n in 0..59 {
            effective.take(&batch(Some(5000.0)), at(n * 10));
        }
        assert_eq!(effective.rate("rx/0", 1, at(590)), None);
        for n in 59..720 {
            effective.take(&batch(Some(5000.0)), at(n * 10));
        }
        assert_eq!(effective.rate("rx/0", 1, at(7190)), Some(500.0));
        assert_eq!(effective.rate("kawpow", 1, at(7190)), None);
        assert_eq!(effective.rate("rx/0", 1, at(7190 + 3600)), None, "an hour later it is past");
        effective.take(&batch(None), at(7200));
        assert_eq!(effective.rate("rx/0", 1, at(7200)), None, "a part of it is not the whole");
    }
}
