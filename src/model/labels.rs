//! Labels of peers: `site=garage`, `gpu=none`. Their owner gives them on this node; the peers do not see them.
use std::collections::BTreeMap;

use super::fault::{Code, Fault};
use super::text;

pub type Labels = BTreeMap<String, String>;

/// Labels of one peer.
pub const MOST: usize = 16;
/// Bytes of a key.
pub const LONGEST_KEY: usize = 32;
/// Characters of a value.
pub const LONGEST_VALUE: usize = 64;

/// A whole set: at most 16, each with a key of `[a-z0-9._-]{1,32}` and a value of 1 to 64 printable characters.
///
/// # Errors
/// INVALID, with the label that is wrong.
pub fn check(labels: &Labels) -> Result<(), Fault> {
    let wrong = |why: String| Fault::new(Code::Invalid, format!("labels: {why}"));
    if labels.len() > MOST {
        return Err(wrong(format!(
            "a peer has at most {MOST} of them, and these are {}",
            labels.len()
        )));
    }
    labels.iter().try_for_each(|(key, value)| {
        check_key(key).and_then(|()| check_value(value)).map_err(wrong)
    })
}

fn check_key(key: &str) -> Result<(), String> {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
    if (1..=LONGEST_KEY).contains(&key.len()) && key.bytes().all(fits) {
        return Ok(());
    }
    let shown = text::clean(key, LONGEST_KEY);
    Err(format!("{shown:?} is no key: 1 to {LONGEST_KEY} of a to z, 0 to 9, `.`, `_` and `-`"))
}

fn check_value(value: &str) -> Result<(), String> {
    if (1..=LONGEST_VALUE).contains(&value.chars().count()) && !value.chars().any(text::is_unsafe) {
        return Ok(());
    }
    let shown = text::clean(value, LONGEST_VALUE);
    Err(format!("{shown:?} is no value: 1 to {LONGEST_VALUE} printable characters"))
}

/// `site=garage`.
///
/// # Errors
/// A sentence that says what is wrong with it.
pub fn parse(text: &str) -> Result<(String, String), String> {
    let (key, value) =
        text.split_once('=').ok_or_else(|| format!("{text:?} is no label: KEY=VALUE is wanted"))?;
    check_key(key)?;
    check_value(value)?;
    Ok((key.to_owned(), value.to_owned()))
}

/// Does to `labels` what was typed: `key=value` sets one, `key=` and `key-` remove it.
///
/// # Errors
/// A sentence that says what is wrong with it.
pub fn change(labels: &mut Labels, typed: &str) -> Result<(), String> {
    let key = match typed.split_once('=') {
        Some((key, "")) => key,
        Some(_) => {
            let (key, value) = parse(typed)?;
            labels.insert(key, value);
            return Ok(());
        }
        None => typed.strip_suffix('-').ok_or_else(|| {
            format!("{typed:?} is no label: KEY=VALUE sets one, KEY= or KEY- removes it")
        })?,
    };
    check_key(key)?;
    labels.remove(key);
    Ok(())
}

/// `gpu=none site=garage`.
#[must_use]
pub fn text(labels: &Labels) -> String {
    labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::{Labels, change, check, parse, text};

    fn set(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn keys_values_and_counts_have_bounds() {
        let (longest_key, longest_value) = ("k".repeat(32), "ü".repeat(64));
        assert!(check(&set(&[("site", "Kellerrig Nº 7"), (&longest_key, &longest_value)])).is_ok());
        for (key, value) in [
            ("", "x"),
            ("Site", "x"),
            ("a b", "x"),
            ("ä", "x"),
            (&"k".repeat(33), "x"),
            ("site", ""),
            ("site", "a\nb"),
            ("site", "\u{202e}x"),
            ("site", &"ü".repeat(65)),
        ] {
            assert!(check(&set(&[(key, value)])).is_err(), "{key:?}={value:?}");
        }
        let many = |n: usize| (0..n).map(|i| (format!("k{i}"), "v".to_owned())).collect::<Labels>();
        assert!(check(&many(16)).is_ok() && check(&many(17)).is_err());
    }

    #[test]
    fn what_is_typed_sets_and_removes() {
        let mut labels = set(&[("site", "garage"), ("gpu", "none"), ("a-", "1")]);
        for typed in ["site=attic=left", "gpu-", "new=1", "a-=", "absent="] {
            change(&mut labels, typed).unwrap();
        }
        assert_eq!(text(&labels), "new=1 site=attic=left");
        for bad in ["site", "", "=x", "-", "Site=x", "Site-", "site=\u{1b}"] {
            assert!(change(&mut labels, bad).is_err(), "{bad:?}");
        }
        assert_eq!(parse("site=garage").unwrap(), ("site".to_owned(), "garage".to_owned()));
        assert!(parse("site").is_err() && parse("site=").is_err());
    }
}
