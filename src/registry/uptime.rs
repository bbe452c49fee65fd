//! How reliably a peer is there: linked time over the last 24 h and the last 100 pings. Feeds the score.
use std::collections::VecDeque;
use std::time::Duration;

use crate::model::time::Mono;

const DAY: Duration = Duration::from_secs(24 * 3600);
/// Younger peers are judged as if they were this old, so that the first minutes do not decide.
const YOUNGEST: Duration = Duration::from_secs(600);
const PINGS: usize = 100;
/// Intervals kept; more links than this in a day are counted as one with what came before.
const INTERVALS: usize = 256;

#[derive(Default)]
pub struct Uptime {
    /// Finished times of being linked, oldest first.
    linked: VecDeque<(Mono, Mono)>,
    up: Option<Mono>,
    pings: VecDeque<bool>,
    pub ping_ms: Option<f64>,
}

impl Uptime {
    pub fn up(&mut self, now: Mono) {
        self.up = Some(now);
    }

    pub fn down(&mut self, now: Mono) {
        if let Some(up) = self.up.take() {
            self.linked.push_back((up, now));
            if self.linked.len() > INTERVALS {
                self.linked.pop_front();
            }
        }
    }

    pub fn pinged(&mut self, answer_ms: Option<f64>) {
        self.pings.push_back(answer_ms.is_some());
        if self.pings.len() > PINGS {
            self.pings.pop_front();
        }
        if answer_ms.is_some() {
            self.ping_ms = answer_ms;
        }
    }

    /// 0 to 100; `None` for a peer that was never linked. `since` is when we began to watch it.
    pub fn score(&self, since: Mono, now: Mono) -> Option<u8> {
        if self.up.is_none() && self.linked.is_empty() {
            return None;
        }
        let window = now.since(since).clamp(YOUNGEST, DAY);
        let begin =
            Mono(now.0.saturating_sub(u64::try_from(window.as_micros()).unwrap_or(u64::MAX)));
        let open = self.up.map(|up| (up, now));
        let linked: Duration =
            self.linked.iter().copied().chain(open).map(|(a, b)| b.since(a.max(begin))).sum();
        let share = linked.as_secs_f64() / window.as_secs_f64();
        let answered =
            self.pings.iter().filter(|ok| **ok).count() as f64 / self.pings.len().max(1) as f64;
        Some(crate::model::score::score(share, answered, self.ping_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::Uptime;
    use crate::model::time::Mono;

    const S: u64 = 1_000_000;

    #[test]
    fn a_peer_never_linked_has_no_score() {
        assert_eq!(Uptime::default().score(Mono(0), Mono(9000 * S)), None);
    }

    #[test]
    fn linked_half_of_the_time_gives_half_of_the_70() {
        let mut peer = Uptime::default();
        peer.up(Mono(0));
        peer.pinged(Some(10.0));
        peer.down(Mono(1000 * S));
        assert_eq!(peer.score(Mono(0), Mono(2000 * S)), Some(65));
        // A day later nothing of it counts.
        assert_eq!(peer.score(Mono(0), Mono(200_000 * S)), Some(30));
    }

    #[test]
    fn always_linked_and_quick_is_100() {
        let mut peer = Uptime::default();
        peer.up(Mono(5 * S));
        peer.pinged(Some(1.0));
        assert_eq!(peer.score(Mono(5 * S), Mono(605 * S)), Some(100));
        assert_eq!(
            peer.score(Mono(5 * S), Mono(65 * S)),
            Some(37),
            "one minute of the ten it is judged by"
        );
    }
}
