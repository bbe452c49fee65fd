//! Text that a peer or a miner sent is hostile until it passed through here.
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::{Deserializer, Error, Visitor};

/// Whether `c` could move a cursor, hide text or turn its direction: controls, bidirectional marks, zero-width marks.
#[must_use]
pub fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{2028}' | '\u{2029}')
}

/// `text` without unsafe characters, cut to `most` characters (with `…` where cut).
#[must_use]
pub fn clean(text: &str, most: usize) -> String {
    let mut out = String::with_capacity(text.len().min(most * 4));
    for (i, c) in text.chars().filter(|c| !is_unsafe(*c)).enumerate() {
        if i == most {
            out.push('…');
            break;
        }
        out.push(c);
    }
    out
}

/// The same in place; text that is fit already is not copied.
pub fn tidy(text: &mut String, most: usize) {
    let fit = |b: u8| (b' '..0x7f).contains(&b);
    if text.len() > most || !text.bytes().all(fit) {
        *text = clean(text, most);
    }
}

/// For `Deserialize`: what is read out of text, without a copy of the text.
///
/// # Errors
/// It is no text, or not one of these.
pub fn parsed<'de, T: FromStr<Err = String>, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
    struct Text<T>(PhantomData<T>);
    impl<T: FromStr<Err = String>> Visitor<'_> for Text<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
            text.parse().map_err(E::custom)
        }
    }
    from.deserialize_str(Text(PhantomData))
}

#[cfg(test)]
mod tests {
    use super::{clean, tidy};

    #[test]
    fn what_is_tidied_is_as_what_is_cleaned() {
        for text in ["", "rig-1", "abc", "abcd", "a\u{7f}", "é", "éééé", "a\u{202e}b", "\t"] {
            let mut tidied = text.to_owned();
            tidy(&mut tidied, 3);
            assert_eq!(tidied, clean(text, 3));
        }
    }

    #[test]
    fn escape_sequences_and_marks_are_removed() {
        assert_eq!(clean("\u{1b}[2Jrig\u{202e}\u{200b}\n\0", 10), "[2Jrig");
        assert_eq!(clean("abcdef", 3), "abc…");
    }
}
