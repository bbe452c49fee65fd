//! A peer's score, 0 to 100: linked time × 70 + answered pings × 20 + latency × 10.

/// `linked`: share of the last 24 h that the peer was linked; `answered`: share of the last 100 pings answered;
/// `ping_ms`: the last answer time (10 points at 50 ms or less, none from 1,000 ms).
/// A peer that was never reached has no score; this is not asked for it.
#[must_use]
pub fn score(linked: f64, answered: f64, ping_ms: Option<f64>) -> u8 {
    let latency = ping_ms.map_or(0.0, |ms| ((1000.0 - ms) / 950.0).clamp(0.0, 1.0));
    let points = linked.clamp(0.0, 1.0) * 70.0 + answered.clamp(0.0, 1.0) * 20.0 + latency * 10.0;
    points.round() as u8
}

#[cfg(test)]
mod tests {
    use super::score;

    #[test]
    fn the_three_parts_add_up() {
        assert_eq!(score(1.0, 1.0, Some(50.0)), 100);
        assert_eq!(score(1.0, 1.0, Some(1000.0)), 90);
        assert_eq!(score(1.0, 1.0, Some(525.0)), 95);
        assert_eq!(score(0.5, 0.0, None), 35);
        assert_eq!(score(2.0, 9.0, Some(-1.0)), 100);
    }
}
