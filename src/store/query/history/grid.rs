//! The times of a chart: evenly apart, at whole multiples of their distance since 1970, UTC.
use crate::model::history::Window;
use crate::model::time::Timestamp;

const DAY: i64 = 86_400;
/// Seconds from one point to the next; then whole days.
const STEPS: &[i64] =
    &[20, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, DAY];

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Grid {
    first: i64,
    pub step: i64,
    pub count: usize,
}

impl Grid {
    /// The smallest step from `finest` on that gives at most as many points as are wanted, but at least 2.
    #[must_use]
    pub fn new(window: Window, finest: i64) -> Self {
        let points = window.points.clamp(2, 1 << 20) as i64;
        let since = window.since.max(0);
        let last = window.until.max(since + 1) - 1;
        let count = |step: i64| last / step - since / step + 1;
        let fits = |step: &i64| *step >= finest && count(*step) <= points;
        let step = STEPS.iter().copied().find(fits).unwrap_or_else(|| {
            // At most one more than that many days are too few.
            let days = ((last - since) / DAY / points).max(1);
            (days..).map(|days| days * DAY).find(fits).unwrap_or(DAY)
        });
        let count = usize::try_from(count(step)).unwrap_or(0);
        Self { first: since / step * step, step, count }
    }

    pub fn since(&self) -> i64 {
        self.first
    }

    /// The end of the last point.
    pub fn until(&self) -> i64 {
        self.first + self.step * self.count as i64
    }

    /// Which point `ts` belongs to.
    pub fn place(&self, ts: i64) -> Option<usize> {
        let at = usize::try_from((ts - self.first).div_euclid(self.step)).ok()?;
        (at < self.count).then_some(at)
    }

    pub fn times(&self) -> impl Iterator<Item = Timestamp> + use<> {
        let (first, step) = (self.first, self.step);
        (0..self.count as i64).map(move |i| Timestamp((first + i * step) * 1000))
    }
}

#[cfg(test)]
mod tests {
    use super::{DAY, Grid};
    use crate::model::history::Window;

    fn grid(since: i64, until: i64, points: usize, finest: i64) -> Grid {
        Grid::new(Window { since, until, now: until, points }, finest)
    }

    #[test]
    fn the_step_is_the_smallest_that_fits_and_the_grid_is_aligned() {
        let day = grid(1_700_000_123, 1_700_000_123 + DAY, 300, 60);
        assert_eq!((day.step, day.count), (300, 289));
        assert_eq!(day.first % 300, 0);
        assert!(day.first <= 1_700_000_123 && day.until() > 1_700_000_122 + DAY);
        let month = grid(1_700_000_000, 1_700_000_000 + 30 * DAY, 300, 3600);
        assert_eq!((month.step, month.count), (10_800, 241));
        assert_eq!(grid(7200, 14_400, 120, 20).count, 120);
        assert_eq!(grid(7200, 14_400, 119, 20).step, 120);
        assert_eq!(grid(3600, 7200, 2000, 20).step, 20);
    }

    #[test]
    fn any_span_fits_into_two_points() {
        for (since, until) in [(0, 1), (5, 5), (9, 3), (-50, 40), (0, i64::MAX / 2), (1, 3 * DAY)] {
            for points in [0, 2, 3, 2000, usize::MAX] {
                let grid = grid(since, until, points, 20);
                assert!(grid.count >= 1 && grid.count <= points.max(2), "{since} {until} {grid:?}");
                assert_eq!(grid.place(grid.until()), None);
                assert_eq!(grid.place(grid.first - 1), None);
                assert_eq!(grid.place(grid.until() - 1), Some(grid.count - 1));
            }
        }
    }
}
