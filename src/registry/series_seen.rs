//! Which series a rig has used on which day, so that one that makes up names cannot fill a disk with them.
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use crate::model::history::Series;

/// Series of one rig that are taken of each day.
const SERIES: usize = 64;
/// Days that are remembered: more than history is kept for.
const DAYS: i64 = 800;

/// Days in a row with the same series are kept as one, for a rig has the same for months: a year of it is as large as a week.
#[derive(Default)]
pub struct SeriesSeen(Vec<Run>);

/// Runs are in the order of their days, and do not overlap.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Run {
    first: i64,
    last: i64,
    /// Their hashes, in order. Two series of one hash would count as one, which harms nobody.
    series: Vec<u64>,
}

impl SeriesSeen {
    /// Whether a row of that second and series is one of those that are taken; then it is remembered.
    pub fn has_room(&mut self, at: i64, series: &Series) -> bool {
        let day = at.div_euclid(86_400);
        let hash = hash(series);
        let mut place = self.0.partition_point(|run| run.last < day);
        if self.0.get(place).is_none_or(|run| run.first > day) {
            self.0.insert(place, Run { first: day, last: day, series: Vec::new() });
        }
        let run = &self.0[place];
        let Err(within) = run.series.binary_search(&hash) else { return true };
        if run.series.len() >= SERIES {
            return false;
        }
        place = self.single_out(place, day);
        self.0[place].series.insert(within, hash);
        self.join(place);
        while self.0.iter().map(|run| run.last - run.first + 1).sum::<i64>() > DAYS {
            self.forget_first();
        }
        true
    }

    /// Makes `day` a run of its own, where it is one of several in the run at `place`. Where it lies now.
    fn single_out(&mut self, place: usize, day: i64) -> usize {
        let Run { first, last, series } = self.0[place].clone();
        let parts = [(first, day - 1), (day, day), (day + 1, last)];
        let parts = parts.into_iter().filter(|(first, last)| first <= last);
        let parts = parts.map(|(first, last)| Run { first, last, series: series.clone() });
        self.0.splice(place..=place, parts);
        place + usize::from(first < day)
    }

    /// Joins the run at `place` with its neighbours where they are alike.
    fn join(&mut self, place: usize) {
        for left in [Some(place), place.checked_sub(1)].into_iter().flatten() {
            let Some([one, next]) = self.0.get(left..left + 2) else { continue };
            if one.last + 1 == next.first && one.series == next.series {
                self.0[left].last = next.last;
                self.0.remove(left + 1);
            }
        }
    }

    fn forget_first(&mut self) {
        let Some(run) = self.0.first_mut() else { return };
        run.first += 1;
        if run.first > run.last {
            self.0.remove(0);
        }
    }
}

fn hash(series: &Series) -> u64 {
    let mut hasher = DefaultHasher::new();
    series.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::{DAYS, SERIES, SeriesSeen};
    use crate::model::history::Series;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    fn series(number: usize) -> Series {
        Series {
            miner: format!("xmrig-{number}"),
            miner_type: "xmrig".to_owned(),
            simulated: false,
            algorithm: "rx/0".to_owned(),
        }
    }

    const DAY: i64 = 86_400;

    #[test]
    fn a_rig_that_mines_the_same_for_years_takes_no_more_room_than_one_of_a_week() {
        let mut seen = SeriesSeen::default();
        for day in 0..3 * 365 {
            for second in [0, 1, 40_000, DAY - 1] {
                assert!((0..3).all(|n| seen.has_room(day * DAY + second, &series(n))));
            }
            assert!(seen.0.len() <= 2, "day {day}: {:?}", seen.0);
        }
        assert_eq!(seen.0.iter().map(|run| run.last - run.first + 1).sum::<i64>(), DAYS);
    }

    proptest! {
        /// The same answers as a set for each day would give, whatever the order.
        #[test]
        fn runs_of_days_answer_as_a_set_a_day_would(
            rows in prop::collection::vec((-6_i64..6, 0_usize..SERIES + 4), 0..900)
        ) {
            let (mut seen, mut plain) = (SeriesSeen::default(), BTreeMap::<i64, BTreeSet<usize>>::new());
            for (day, number) in rows {
                let set = plain.entry(day).or_default();
                let room = set.contains(&number) || set.len() < SERIES;
                if room {
                    set.insert(number);
                }
                prop_assert_eq!(seen.has_room(day * DAY + 5, &series(number)), room);
                for pair in seen.0.windows(2) {
                    prop_assert!(pair[0].first <= pair[0].last && pair[0].last < pair[1].first);
                    prop_assert!(pair[0].last + 1 < pair[1].first || pair[0].series != pair[1].series);
                }
            }
        }
    }
}
