//! What a rig usually hashes with one algorithm: the median of its hourly means of a day; and for how long it has
//! been under that.
use std::collections::VecDeque;
use std::time::Duration;

/// Hourly means that are kept.
const HOURS: i64 = 24;
/// So many of them say what is usual …
const ENOUGH: usize = 3;
/// … each made of at least so many readings, which are 10 s apart.
const READINGS: u32 = 60;
/// A rate is judged by its mean over this time: single readings jump.
const JUDGED: Duration = Duration::from_secs(60);

#[derive(Default)]
pub struct Baseline {
    /// The profiles that make up the rate. Others hash otherwise: then all is learnt anew.
    profiles: Option<Vec<String>>,
    /// Hours since 1970 and their means, oldest first.
    hours: VecDeque<(i64, f64)>,
    /// The present hour, the sum of its readings and their number.
    forming: (i64, f64, u32),
    /// What the next judgement is made of.
    time: Duration,
    sum: f64,
    count: u32,
    /// The mean of the last full minute.
    pub last: f64,
    /// For so long each of those was under the limit.
    pub under: Duration,
}

/// What all miners of one algorithm do together.
pub struct Rate {
    /// Sorted.
    pub profiles: Vec<String>,
    /// H/s; what is unknown counts as nothing.
    pub sum: f64,
    /// All of them hash: only this is learnt from.
    pub whole: bool,
}

impl Baseline {
    /// A mean from the history, where none is known.
    pub fn seed(&mut self, hour: i64, mean: f64) {
        if mean > 0.0
            && let Err(place) = self.hours.binary_search_by_key(&hour, |(h, _)| *h)
        {
            self.hours.insert(place, (hour, mean));
        }
    }

    /// Takes in a reading for `step`; `limit` is the percentage under the usual rate.
    pub fn take(&mut self, rate: Rate, limit: f64, hour: i64, step: Duration) {
        if self.profiles.as_ref().is_some_and(|known| *known != rate.profiles) {
            *self = Self::default();
        }
        self.profiles = Some(rate.profiles);
        self.turn_to(hour);
        if rate.whole && rate.sum > 0.0 {
            self.forming.1 += rate.sum;
            self.forming.2 += 1;
        }
        self.time += step;
        self.sum += rate.sum;
        self.count += 1;
        if self.time >= JUDGED {
            self.last = self.sum / f64::from(self.count);
            let low = self.usual().is_some_and(|usual| self.last < usual * (1.0 - limit / 100.0));
            self.under = if low { self.under + self.time } else { Duration::ZERO };
            self.begin_minute();
        }
    }

    /// Nothing is meant to hash, or nothing can be said: what was under way is forgotten.
    pub fn pause(&mut self) {
        self.under = Duration::ZERO;
        self.begin_minute();
    }

    fn begin_minute(&mut self) {
        (self.time, self.sum, self.count) = (Duration::ZERO, 0.0, 0);
    }

    fn turn_to(&mut self, hour: i64) {
        let (before, sum, count) = self.forming;
        if before != hour {
            if count >= READINGS {
                self.seed(before, sum / f64::from(count));
            }
            self.forming = (hour, 0.0, 0);
        }
        self.hours.retain(|(h, _)| (hour - HOURS..hour).contains(h));
    }

    /// The median; `None` while too little is known.
    pub fn usual(&self) -> Option<f64> {
        let mut means: Vec<f64> = self.hours.iter().map(|(_, mean)| *mean).collect();
        if means.len() < ENOUGH {
            return None;
        }
        means.sort_by(f64::total_cmp);
        let middle = means.len() / 2;
        Some(if means.len().is_multiple_of(2) {
            f64::midpoint(means[middle - 1], means[middle])
        } else {
            means[middle]
        })
    }
}
