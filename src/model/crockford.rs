//! Crockford base32 with a Luhn mod 32 check digit: text that people read aloud and type.
//! Alphabet: <https://www.crockford.com/base32.html>; the check digit is Luhn's over the 32 symbols,
//! because Crockford's own mod-37 digit needs `*~$=`, which shells and mail programs mangle.

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// The symbols of `bytes`, most significant bit first, zero-padded to a whole symbol.
#[must_use]
pub fn symbols(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() * 8 / 5 + 1);
    let (mut buffer, mut bits) = (0_u32, 0);
    for byte in bytes {
        buffer = (buffer << 8) | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            out.push(((buffer >> bits) & 31) as u8);
        }
    }
    if bits > 0 {
        out.push(((buffer << (5 - bits)) & 31) as u8);
    }
    out
}

/// The first `len` bytes that `symbols` stand for; `None` when there are too few or the padding is not zero.
#[must_use]
pub fn bytes(symbols: &[u8], len: usize) -> Option<Vec<u8>> {
    if symbols.len() != (len * 8).div_ceil(5) {
        return None;
    }
    let mut out = Vec::with_capacity(len);
    let (mut buffer, mut bits) = (0_u32, 0);
    for symbol in symbols {
        buffer = (buffer << 5) | u32::from(*symbol);
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            out.push(((buffer >> bits) & 255) as u8);
        }
    }
    (buffer & ((1 << bits) - 1) == 0).then_some(out)
}

/// The check symbol of `symbols` (Luhn mod N with N = 32): finds every wrong symbol and most swaps.
#[must_use]
pub fn check(symbols: &[u8]) -> u8 {
    let (mut factor, mut sum) = (2_u32, 0_u32);
    for symbol in symbols.iter().rev() {
        let product = factor * u32::from(*symbol);
        sum += product / 32 + product % 32;
        factor = 3 - factor;
    }
    ((32 - sum % 32) % 32) as u8
}

/// `symbols` as text in groups joined by hyphens.
#[must_use]
pub fn grouped(symbols: &[u8], group: usize) -> String {
    let mut out = String::with_capacity(symbols.len() * 2);
    for (i, symbol) in symbols.iter().enumerate() {
        if i > 0 && i % group == 0 {
            out.push('-');
        }
        out.push(char::from(ALPHABET[usize::from(*symbol & 31)]));
    }
    out
}

/// `bytes` with their check digit, as grouped text.
#[must_use]
pub fn with_check_grouped(bytes: &[u8], group: usize) -> String {
    let mut all = symbols(bytes);
    all.push(check(&all));
    grouped(&all, group)
}

/// The symbols in `text`: case, hyphens and spaces do not matter, `O` reads as 0, `I` and `L` as 1.
///
/// # Errors
/// Names the character that is none of the alphabet.
pub fn parse(text: &str) -> Result<Vec<u8>, String> {
    let mut out = Vec::with_capacity(text.len());
    for c in text.chars().filter(|c| *c != '-' && !c.is_whitespace()) {
        let upper = match c.to_ascii_uppercase() {
            'O' => '0',
            'I' | 'L' => '1',
            other => other,
        };
        let at = ALPHABET.iter().position(|a| char::from(*a) == upper);
        out.push(at.ok_or_else(|| format!("{c:?} cannot stand in a code"))? as u8);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::{bytes, check, grouped, parse, symbols};
    use proptest::prelude::{ProptestConfig, any, prop_assert_eq, prop_assert_ne, proptest};

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn what_is_written_is_read_back(data in proptest::collection::vec(any::<u8>(), 1..40)) {
            let written = symbols(&data);
            let text = grouped(&written, 4).to_lowercase().replace('0', "o").replace('1', "l");
            prop_assert_eq!(bytes(&parse(&text).unwrap(), data.len()), Some(data));
        }

        #[test]
        fn one_wrong_symbol_is_found(data in proptest::collection::vec(0_u8..32, 1..40), at in 0_usize..40, by in 1_u8..32) {
            let mut wrong = data.clone();
            let at = at % data.len();
            wrong[at] = (wrong[at] + by) % 32;
            prop_assert_ne!(check(&data), check(&wrong));
        }
    }
}
