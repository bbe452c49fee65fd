//! Sums over miners, and means over time. What runs side by side adds up; what runs one after the other does not.
use std::collections::BTreeSet;

use crate::model::key::NodeId;

/// What one series did in a reading's time, a minute or an hour.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Part {
    /// Readings that had a hashrate.
    pub n: i64,
    pub sum: f64,
    pub min: f64,
    pub max: f64,
    /// Which units of time have such readings, a bit each.
    pub units: u64,
    pub accepted: i64,
    pub rejected: i64,
    pub work: Option<f64>,
}

impl Part {
    /// One more reading within the same unit.
    pub fn add(&mut self, hashrate: Option<f64>, accepted: i64, rejected: i64, work: Option<f64>) {
        if let Some(rate) = hashrate {
            self.min = if self.n == 0 { rate } else { self.min.min(rate) };
            self.max = if self.n == 0 { rate } else { self.max.max(rate) };
            self.n += 1;
            self.sum += rate;
            self.units = 1;
        }
        self.accepted += accepted;
        self.rejected += rejected;
        self.work = plus(self.work, work);
    }
}

/// Several series over the same time.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Together {
    /// H/s, by the unit of time.
    rates: f64,
    units: u64,
    rigs: BTreeSet<NodeId>,
    min: Option<f64>,
    max: Option<f64>,
    accepted: i64,
    rejected: i64,
    work: Option<f64>,
}

impl Together {
    pub fn add(&mut self, rig: NodeId, part: &Part) {
        if part.n > 0 {
            self.rates += part.sum / part.n as f64 * f64::from(part.units.count_ones());
            self.units |= part.units;
            self.rigs.insert(rig);
            self.min = Some(self.min.map_or(part.min, |m| m.min(part.min)));
            self.max = Some(self.max.map_or(part.max, |m| m.max(part.max)));
        }
        self.accepted += part.accepted;
        self.rejected += part.rejected;
        self.work = plus(self.work, part.work);
    }

    /// `unit`: how many seconds a bit stands for.
    #[must_use]
    pub fn total(&self, unit: i64) -> Total {
        let units = self.units.count_ones();
        Total {
            hashrate: (units > 0).then(|| self.rates / f64::from(units)),
            seconds: i64::from(units) * unit,
            rigs: u32::try_from(self.rigs.len()).unwrap_or(u32::MAX),
            min: self.min,
            max: self.max,
            accepted: self.accepted,
            rejected: self.rejected,
            work: self.work,
        }
    }
}

/// A sum over series, over `seconds` that have readings.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Total {
    pub hashrate: Option<f64>,
    pub seconds: i64,
    pub rigs: u32,
    pub min: Option<f64>,
    pub max: Option<f64>,
    pub accepted: i64,
    pub rejected: i64,
    pub work: Option<f64>,
}

impl Total {
    /// What came before or after it.
    pub fn extend(&mut self, other: &Self) {
        let weight = |t: &Self| t.hashrate.unwrap_or(0.0) * t.seconds as f64;
        let seconds = self.seconds + other.seconds;
        if seconds > 0 {
            self.hashrate = Some((weight(self) + weight(other)) / seconds as f64);
        }
        self.seconds = seconds;
        self.rigs = self.rigs.max(other.rigs);
        self.min = self.min.map_or(other.min, |m| Some(other.min.map_or(m, |o| m.min(o))));
        self.max = self.max.map_or(other.max, |m| Some(other.max.map_or(m, |o| m.max(o))));
        self.accepted += other.accepted;
        self.rejected += other.rejected;
        self.work = plus(self.work, other.work);
    }

    /// Hashes that were paid for, a second.
    #[must_use]
    pub fn effective(&self) -> Option<f64> {
        self.work.filter(|_| self.seconds > 0).map(|work| work / self.seconds as f64)
    }
}

/// Unknown adds nothing, and all unknown is unknown.
fn plus(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    a.map_or(b, |a| Some(a + b.unwrap_or(0.0)))
}

#[cfg(test)]
mod tests {
    use super::{Part, Together, Total};
    use crate::model::key::NodeId;

    const RIG: NodeId = NodeId([1; 8]);

    fn part(rate: f64, units: u64) -> Part {
        let n = i64::from(units.count_ones()) * 6;
        Part { n, sum: rate * n as f64, min: rate, max: rate, units, ..Part::default() }
    }

    fn sum(parts: &[Part]) -> Total {
        let mut all = Together::default();
        parts.iter().for_each(|p| all.add(RIG, p));
        all.total(60)
    }

    #[test]
    fn miners_side_by_side_add_up_and_one_after_the_other_do_not() {
        let side = sum(&[part(100.0, 0b1111), part(50.0, 0b1111)]);
        assert_eq!((side.hashrate, side.seconds, side.rigs), (Some(150.0), 240, 1));
        let after = sum(&[part(100.0, 0b0011), part(50.0, 0b1100)]);
        assert_eq!((after.hashrate, after.seconds), (Some(75.0), 240));
        assert_eq!((after.min, after.max), (Some(50.0), Some(100.0)));
        // One of them for half the time only.
        assert_eq!(sum(&[part(100.0, 0b1111), part(50.0, 0b0011)]).hashrate, Some(125.0));
    }

    #[test]
    fn without_readings_nothing_is_known() {
        let shares = Part { accepted: 3, work: Some(9.0), ..Part::default() };
        let none = sum(&[shares, Part::default()]);
        assert_eq!((none.hashrate, none.seconds, none.rigs, none.min), (None, 0, 0, None));
        assert_eq!((none.accepted, none.work, none.effective()), (3, Some(9.0), None));
        assert_eq!(sum(&[]), Total::default());
    }

    #[test]
    fn a_mean_over_time_counts_only_the_time_with_readings() {
        let mut all = Total::default();
        all.extend(&Total { hashrate: Some(10.0), seconds: 60, work: Some(600.0), ..all });
        all.extend(&Total { hashrate: None, rigs: 0, accepted: 2, ..Total::default() });
        all.extend(&Total { hashrate: Some(40.0), seconds: 120, rigs: 3, ..Total::default() });
        assert_eq!((all.hashrate, all.seconds, all.rigs, all.accepted), (Some(30.0), 180, 3, 2));
        assert_eq!(all.effective(), Some(600.0 / 180.0));
    }
}
