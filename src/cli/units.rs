//! Figures as people read them. What is unknown is `-`, never 0.
use crate::model::time::Timestamp;

/// Stands for what is unknown.
pub const NONE: &str = "-";

/// H/s scaled by 1000: `12.50 kH/s`, two decimals.
#[must_use]
pub fn hashrate(rate: Option<f64>) -> String {
    const UNITS: [&str; 7] = ["H/s", "kH/s", "MH/s", "GH/s", "TH/s", "PH/s", "EH/s"];
    let Some(mut rate) = rate.filter(|r| r.is_finite()) else { return NONE.to_owned() };
    let mut unit = 0;
    // 999.995 would be rounded up to 1000.00.
    while rate.abs() >= 999.995 && unit + 1 < UNITS.len() {
        rate /= 1000.0;
        unit += 1;
    }
    format!("{rate:.2} {}", UNITS[unit])
}

/// Seconds as the two largest units: `3d 4h`, `2h 5m`, `12m 3s`, `8s`.
#[must_use]
pub fn duration(seconds: Option<u64>) -> String {
    let Some(s) = seconds else { return NONE.to_owned() };
    match s {
        0..60 => format!("{s}s"),
        60..3600 => format!("{}m {}s", s / 60, s % 60),
        3600..86_400 => format!("{}h {}m", s / 3600, s % 3600 / 60),
        _ => format!("{}d {}h", s / 86_400, s % 86_400 / 3600),
    }
}

/// How long ago, in one unit: `4 s ago`, `3 min ago`, `5 h ago`, `2 d ago`. A time in the future, which a clock that
/// was set may leave behind, is `0 s ago`.
#[must_use]
pub fn ago(at: Option<Timestamp>, now: Timestamp) -> String {
    let Some(at) = at else { return NONE.to_owned() };
    match now.since_ms(at).max(0) / 1000 {
        s @ 0..60 => format!("{s} s ago"),
        s @ 60..3600 => format!("{} min ago", s / 60),
        s @ 3600..86_400 => format!("{} h ago", s / 3600),
        s => format!("{} d ago", s / 86_400),
    }
}

/// Whole numbers, or `-`.
#[must_use]
pub fn count(n: Option<u64>) -> String {
    n.map_or_else(|| NONE.to_owned(), |n| n.to_string())
}

/// `part` of `whole` with one decimal: `97.5 %`; `-` where there is no whole.
#[must_use]
pub fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return NONE.to_owned();
    }
    format!("{:.1} %", part as f64 / whole as f64 * 100.0)
}

/// A number with one decimal and its unit: `61.0 °C`.
#[must_use]
pub fn measure(value: Option<f64>, unit: &str) -> String {
    value.filter(|v| v.is_finite()).map_or_else(|| NONE.to_owned(), |v| format!("{v:.1} {unit}"))
}

/// Bytes scaled by 1024: `1.5 GiB`.
#[must_use]
pub fn bytes(n: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut value, mut unit) = (n as f64, 0);
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{n} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

#[cfg(test)]
mod tests {
    use super::{ago, bytes, count, duration, hashrate, measure, percent};
    use crate::model::time::Timestamp;

    #[test]
    fn hashrates_are_scaled_by_1000() {
        for (rate, text) in [
            (0.0, "0.00 H/s"),
            (999.99, "999.99 H/s"),
            (999.999, "1.00 kH/s"),
            (12_500.0, "12.50 kH/s"),
            (1024.0, "1.02 kH/s"),
            (31_415_926.0, "31.42 MH/s"),
            (2e9, "2.00 GH/s"),
            (5e21, "5000.00 EH/s"),
        ] {
            assert_eq!(hashrate(Some(rate)), text);
        }
        assert_eq!(hashrate(None), "-");
        assert_eq!(hashrate(Some(f64::NAN)), "-");
    }

    #[test]
    fn durations_have_two_units() {
        for (s, text) in
            [(8, "8s"), (723, "12m 3s"), (7500, "2h 5m"), (86_400 * 3 + 4 * 3600 + 59, "3d 4h")]
        {
            assert_eq!(duration(Some(s)), text);
        }
        assert_eq!(duration(None), "-");
    }

    #[test]
    fn ages_have_one_unit() {
        let now = Timestamp(1_000_000_000);
        for (s, text) in [
            (-5, "0 s ago"),
            (4, "4 s ago"),
            (200, "3 min ago"),
            (7200, "2 h ago"),
            (864_000, "10 d ago"),
        ] {
            assert_eq!(ago(Some(now.plus_ms(-1000 * s)), now), text);
        }
        assert_eq!(ago(None, now), "-");
    }

    #[test]
    fn the_small_ones() {
        assert_eq!((count(Some(0)), count(None)), ("0".to_owned(), "-".to_owned()));
        assert_eq!((percent(39, 40), percent(0, 0)), ("97.5 %".to_owned(), "-".to_owned()));
        assert_eq!(
            (measure(Some(61.04), "°C"), measure(None, "W")),
            ("61.0 °C".to_owned(), "-".to_owned())
        );
        assert_eq!((bytes(512), bytes(3 << 29)), ("512 B".to_owned(), "1.5 GiB".to_owned()));
    }
}
