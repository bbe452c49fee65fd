//! Names that people give to nodes and profiles, and the names of miners.

/// The longest name of a node, in characters.
pub const LONGEST: usize = 64;

/// A node's or peer's name: 1 to 64 characters, no control, bidirectional or invisible ones, no space at either end.
///
/// # Errors
/// Says which rule it breaks.
pub fn check(name: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err("a name must not be empty".to_owned());
    }
    if name.chars().count() > LONGEST {
        return Err(format!("a name has at most {LONGEST} characters"));
    }
    if name.trim() != name {
        return Err("a name must not begin or end with a space".to_owned());
    }
    match name.chars().find(|c| super::text::is_unsafe(*c) || *c == '/') {
        Some(c) => Err(format!("{c:?} must not stand in a name")),
        None => Ok(()),
    }
}

/// An id made of a name: lower case, runs of anything but letters and digits become one hyphen.
#[must_use]
pub fn slug(name: &str) -> String {
    let mut out = String::new();
    for c in name.to_lowercase().chars() {
        if c.is_ascii_alphanumeric() {
            out.push(c);
        } else if !out.is_empty() && !out.ends_with('-') {
            out.push('-');
        }
    }
    out.truncate(LONGEST);
    out.trim_matches('-').to_owned()
}

/// Whether `text` is an id of a profile or a miner: `[a-z0-9-]+`, at most 64.
#[must_use]
pub fn is_slug(text: &str) -> bool {
    (1..=LONGEST).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::{check, is_slug, slug};

    #[test]
    fn names_are_checked() {
        assert!(check("rig-alpha").is_ok());
        assert!(check("Kellerrig Nº 7").is_ok());
        for bad in ["", " a", "a ", "a\nb", "a/b", "\u{202e}gir", &"x".repeat(65)] {
            assert!(check(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_slug_is_one() {
        assert_eq!(slug("My Profile: rx/0!"), "my-profile-rx-0");
        assert!(is_slug(&slug("../../x")));
        assert!(!is_slug("a/b") && !is_slug("") && !is_slug("A"));
    }
}
