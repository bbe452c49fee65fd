//! Counts the requests and their times, by route: kept here with atomics, shown by `/metrics`.
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::parse::Verb;
use super::routes::{Route, TABLE};

/// Upper bounds of the histogram, in microseconds: 0.5 ms is what is wanted of most, 10 s is the end of patience.
pub const BOUNDS: [u64; 11] =
    [500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 500_000, 2_500_000, 10_000_000];

/// The statuses that have a count of their own; another one counts as the first.
const STATUSES: [u16; 19] =
    [0, 200, 201, 204, 400, 401, 403, 404, 405, 409, 413, 429, 500, 501, 502, 503, 504, 304, 101];

/// What a request was for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    /// By its place in the table.
    Route(usize),
    /// A file of the dashboard, or a path that is not there.
    Page,
    /// The gate refused it before it looked for a route.
    Refused,
}

#[derive(Debug)]
pub struct Meter {
    /// The routes of the table, pages, refused.
    counts: Vec<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    statuses: [AtomicU64; STATUSES.len()],
    /// Not cumulative; the last is for what took longer than every bound.
    buckets: [AtomicU64; BOUNDS.len() + 1],
    micros: AtomicU64,
}

/// Of one route: what a page of metrics shows.
pub struct Shown {
    pub method: &'static str,
    pub route: &'static str,
    /// Status and count, without those that never came.
    pub statuses: Vec<(u16, u64)>,
    /// Cumulative, one for each of [`BOUNDS`]; the rest is in `count`.
    pub buckets: Vec<u64>,
    pub count: u64,
    pub seconds: f64,
}

impl Default for Meter {
    fn default() -> Self {
        Self { counts: (0..TABLE.len() + 2).map(|_| Counts::default()).collect() }
    }
}

impl Meter {
    /// `took`: from the last byte of the request to the whole answer; `None` for a stream, which has no such time.
    pub fn note(&self, target: Target, status: u16, took: Option<Duration>) {
        let at = match target {
            Target::Route(at) => at,
            Target::Page => TABLE.len(),
            Target::Refused => TABLE.len() + 1,
        };
        let Some(counts) = self.counts.get(at) else { return };
        let place = STATUSES.iter().position(|s| *s == status).unwrap_or(0);
        counts.statuses[place].fetch_add(1, Relaxed);
        if let Some(took) = took {
            let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
            let bucket = BOUNDS.iter().position(|bound| micros <= *bound).unwrap_or(BOUNDS.len());
            counts.buckets[bucket].fetch_add(1, Relaxed);
            counts.micros.fetch_add(micros, Relaxed);
        }
    }

    /// What was asked for at least once.
    pub fn shown(&self) -> Vec<Shown> {
        let rows = self.counts.iter().enumerate().map(|(at, counts)| {
            let (method, route) = match TABLE.get(at) {
                Some(Route { verb, path, .. }) => (verb.text(), *path),
                None if at == TABLE.len() => (Verb::Get.text(), "(pages)"),
                None => ("", "(refused)"),
            };
            counts.shown(method, route)
        });
        rows.filter(|row| !row.statuses.is_empty()).collect()
    }
}

impl Counts {
    fn shown(&self, method: &'static str, route: &'static str) -> Shown {
        let statuses = STATUSES.iter().zip(&self.statuses).map(|(s, n)| (*s, n.load(Relaxed)));
        let mut count = 0;
        let mut cumulative = Vec::new();
        for bucket in &self.buckets {
            count += bucket.load(Relaxed);
            cumulative.push(count);
        }
        cumulative.pop();
        Shown {
            method,
            route,
            statuses: statuses.filter(|(_, n)| *n > 0).collect(),
            buckets: cumulative,
            count,
            seconds: self.micros.load(Relaxed) as f64 / 1e6,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{BOUNDS, Meter, Target};
    use std::time::Duration;

    #[test]
    fn requests_are_counted_by_route_and_status_and_their_times_add_up() {
        let meter = Meter::default();
        assert!(meter.shown().is_empty(), "what nobody asked for is not shown");
        meter.note(Target::Route(0), 200, Some(Duration::from_micros(400)));
        meter.note(Target::Route(0), 200, Some(Duration::from_millis(2)));
        meter.note(Target::Route(0), 503, Some(Duration::from_secs(60)));
        meter.note(Target::Page, 418, None);
        let shown = meter.shown();
        assert_eq!((shown[0].method, shown[0].route), ("GET", "/health"));
        assert_eq!(shown[0].statuses, [(200, 2), (503, 1)]);
        assert_eq!(shown[0].buckets[..3], [1, 1, 2]);
        assert_eq!((shown[0].buckets.len(), shown[0].buckets[10]), (BOUNDS.len(), 2));
        assert_eq!((shown[0].count, shown[0].seconds), (3, 60.0024));
        assert_eq!((shown[1].route, &shown[1].statuses[..]), ("(pages)", &[(0, 1)][..]));
        assert_eq!(shown[1].count, 0, "a stream has no time");
    }
}
