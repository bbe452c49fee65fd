//! Figures out of what miners answer. Their JSON is often not quite JSON: numbers come as strings, lists end with a
//! comma, texts with a NUL. What cannot be read is unknown, never 0.
use serde_json::Value;

use crate::model::stats::{Device, MinerSample};
use crate::model::text;

/// More devices than this in one machine are an error of the answer.
pub const MOST_DEVICES: usize = 256;
/// So long after its start a miner may be building its tables, in seconds. The coarsest clock counts minutes.
const BUILDING: u64 = 180;
/// The longest text that is taken for a number.
const LONGEST_NUMBER: usize = 40;

/// # Errors
/// It is not JSON, or cut off.
pub fn parse(body: &[u8]) -> Result<Value, String> {
    let end = body.iter().position(|byte| *byte == 0).unwrap_or(body.len());
    let text = String::from_utf8_lossy(&body[..end]);
    serde_json::from_str(&text)
        .or_else(|first| serde_json::from_str(&without_trailing_commas(&text)).map_err(|_| first))
        .map_err(|e| format!("the miner's API gave JSON that cannot be read: {e}"))
}

fn without_trailing_commas(text: &str) -> String {
    let (mut in_string, mut escaped) = (false, false);
    let mut out = String::with_capacity(text.len());
    for (i, c) in text.char_indices() {
        let ends_a_list = || text[i + 1..].trim_start().starts_with([']', '}']);
        if !in_string && c == ',' && ends_a_list() {
            continue;
        }
        out.push(c);
        match c {
            _ if escaped => escaped = false,
            '\\' if in_string => escaped = true,
            '"' => in_string = !in_string,
            _ => {}
        }
    }
    out
}

/// A figure that can be: finite, and not below 0.
pub fn number(value: &Value) -> Option<f64> {
    match value {
        Value::String(text) => number_in(text),
        other => other.as_f64().filter(|n| n.is_finite() && *n >= 0.0),
    }
}

/// The same, written out.
pub fn number_in(text: &str) -> Option<f64> {
    let text = text.trim();
    // `-0` is a 0, and no miner counts below it.
    if text.len() > LONGEST_NUMBER || !text.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().filter(|n: &f64| n.is_finite())
}

/// A whole number.
pub fn count(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| number(value).and_then(whole))
}

/// A whole number, if it is one that a double holds exactly.
pub fn whole(n: f64) -> Option<u64> {
    (n.fract() == 0.0 && n < 2_f64.powi(53)).then_some(n as u64)
}

/// A text for people, cleaned, at most so many characters long.
pub fn word(value: &Value, most: usize) -> Option<String> {
    value.as_str().map(|said| text::clean(said, most)).filter(|said| !said.is_empty())
}

/// A sensor's figure: miners tell 0 for a sensor that they do not have.
pub fn sensor(figure: Option<f64>) -> Option<f64> {
    figure.filter(|n| *n > 0.0)
}

/// A hashrate of 0 before the first share, of a miner that is young: it builds its tables, and has measured nothing.
pub fn measured(rate: Option<f64>, uptime: Option<u64>, accepted: Option<u64>) -> Option<f64> {
    let building = uptime.is_some_and(|s| s < BUILDING) && accepted.unwrap_or(0) == 0;
    rate.filter(|rate| *rate > 0.0 || !building)
}

/// Where the miner has measured nothing yet, its devices' zeros say nothing either.
pub fn unmeasured(sample: &mut MinerSample) {
    if sample.hashrate.now.is_none() {
        let zero = |rate: &f64| *rate == 0.0;
        sample.devices.iter_mut().for_each(|d| d.hashrate = d.hashrate.filter(|r| !zero(r)));
    }
}

/// Watts of all devices, where each one's are known.
pub fn power(devices: &[Device]) -> Option<f64> {
    let each: Option<Vec<f64>> = devices.iter().map(|device| device.power).collect();
    let sum: Option<f64> = each.filter(|each| !each.is_empty()).map(|each| each.iter().sum());
    sum.filter(|watts| watts.is_finite())
}

/// The first word that begins with a digit, `2024.3.2` of `TT-Miner/2024.3.2`.
pub fn version(text: &str) -> Option<String> {
    let mut words = text.split(|c: char| c.is_whitespace() || matches!(c, '/' | '-'));
    words.find(|w| w.starts_with(|c: char| c.is_ascii_digit())).map(|w| text::clean(w, 40))
}

#[cfg(test)]
mod tests {
    use super::{count, measured, number, parse, power, version};
    use crate::model::stats::Device;
    use serde_json::json;

    #[test]
    fn what_is_almost_json_is_read() {
        assert_eq!(parse(b"{\"a\":[1,2,],}\0garbage").unwrap(), json!({"a": [1, 2]}));
        assert_eq!(parse(b"{\"a\":\",]\\\",}\", }").unwrap(), json!({"a": ",]\",}"}));
        assert_eq!(parse(b"{\"name\":\"G\xfcPU\"}").unwrap(), json!({"name": "G\u{fffd}PU"}));
        for bad in [&b""[..], b"\0{}", b"{\"a\":1", b"{,,}", b"{} {}", &[b'['; 100_000]] {
            assert!(parse(bad).is_err());
        }
    }

    #[test]
    fn a_text_that_is_no_number_is_no_zero() {
        assert_eq!(number(&json!(" 2.04e+07 ")), Some(2.04e7));
        assert_eq!((number(&json!("0")), number(&json!(0))), (Some(0.0), Some(0.0)));
        for odd in [
            json!(""),
            json!("off"),
            json!("-1"),
            json!(-1),
            json!("inf"),
            json!("NaN"),
            json!("1e999"),
            json!(null),
            json!([0]),
            json!({}),
            json!(false),
            json!("1 2"),
        ] {
            assert_eq!(number(&odd), None, "{odd}");
        }
        assert_eq!(
            (count(&json!("12")), count(&json!(1.5)), count(&json!("1e99"))),
            (Some(12), None, None)
        );
        assert_eq!(count(&json!(u64::MAX)), Some(u64::MAX));
    }

    #[test]
    fn the_zero_of_a_young_miner_is_not_measured() {
        assert_eq!(measured(Some(0.0), Some(0), None), None);
        assert_eq!(measured(Some(0.0), Some(60), Some(0)), None);
        assert_eq!(measured(Some(0.0), Some(60), Some(1)), Some(0.0));
        assert_eq!(measured(Some(0.0), Some(600), Some(0)), Some(0.0));
        assert_eq!(measured(Some(0.0), None, None), Some(0.0));
        assert_eq!(measured(Some(5.0), Some(0), None), Some(5.0));
    }

    #[test]
    fn watts_are_added_where_all_are_known() {
        let device = |power| Device { power, ..Device::default() };
        assert_eq!(power(&[device(Some(100.0)), device(Some(50.5))]), Some(150.5));
        assert_eq!(power(&[device(Some(100.0)), device(None)]), None);
        assert_eq!(power(&[]), None);
        assert_eq!(power(&[device(Some(1e308)), device(Some(1e308))]), None, "more than there are");
    }

    #[test]
    fn versions_are_found() {
        assert_eq!(version("TT-Miner/2024.3.2").as_deref(), Some("2024.3.2"));
        assert_eq!(version("lolMiner 1.29a").as_deref(), Some("1.29a"));
        assert_eq!(version("lolMiner"), None);
    }
}
