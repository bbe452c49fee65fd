//! A token bucket: so many at once, so many a second from then on.
use std::time::Instant;

pub struct Bucket {
    tokens: f64,
    burst: f64,
    per_second: f64,
    filled: Instant,
}

impl Bucket {
    /// Full at `now`.
    pub fn new(burst: f64, per_second: f64, now: Instant) -> Self {
        Self { tokens: burst, burst, per_second, filled: now }
    }

    /// Takes one; `false` when there is none.
    pub fn take(&mut self, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.filled).as_secs_f64();
        self.tokens = (self.tokens + passed * self.per_second).min(self.burst);
        self.filled = now;
        if self.tokens < 1.0 {
            return false;
        }
        self.tokens -= 1.0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::Bucket;
    use std::time::{Duration, Instant};

    #[test]
    fn a_burst_then_a_steady_rate_and_never_more_than_the_burst() {
        let mut now = Instant::now();
        let mut bucket = Bucket::new(3.0, 2.0, now);
        let taken = |bucket: &mut Bucket, now| (0..10).filter(|_| bucket.take(now)).count();
        assert_eq!(taken(&mut bucket, now), 3);
        now += Duration::from_millis(1500);
        assert_eq!(taken(&mut bucket, now), 3);
        now += Duration::from_millis(500);
        assert_eq!(taken(&mut bucket, now), 1);
        now += Duration::from_secs(3600);
        assert_eq!(taken(&mut bucket, now), 3);
    }
}
