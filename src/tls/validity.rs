//! From when to when a certificate is good. rustls checks that for certificates of others; of our own it is to be said
//! before peers refuse it.
use rustls::CertificateError;
use rustls::pki_types::UnixTime;

use crate::model::time::Timestamp;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Validity {
    pub from: Timestamp,
    pub until: Timestamp,
}

impl Validity {
    /// # Errors
    /// `now` is outside.
    pub fn check(self, now: Timestamp) -> Result<(), CertificateError> {
        if now < self.from {
            return Err(CertificateError::NotValidYetContext {
                time: unix(now),
                not_before: unix(self.from),
            });
        }
        if now > self.until {
            return Err(CertificateError::ExpiredContext {
                time: unix(now),
                not_after: unix(self.until),
            });
        }
        Ok(())
    }
}

fn unix(at: Timestamp) -> UnixTime {
    let ms = u64::try_from(at.0).unwrap_or(0);
    UnixTime::since_unix_epoch(std::time::Duration::from_millis(ms))
}

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const LONG_TIME: u8 = 0x18;
/// `[0]`: the version.
const VERSION: u8 = 0xa0;

/// Of a certificate in DER (RFC 5280, section 4.1); `None` when it is none.
pub fn of(der: &[u8]) -> Option<Validity> {
    let (certificate, _) = element(der, SEQUENCE)?;
    let (mut body, _) = element(certificate, SEQUENCE)?;
    if let Some((_, rest)) = element(body, VERSION) {
        body = rest;
    }
    // Serial number, algorithm, issuer.
    for tag in [INTEGER, SEQUENCE, SEQUENCE] {
        body = element(body, tag)?.1;
    }
    let (validity, _) = element(body, SEQUENCE)?;
    let (from, rest) = time(validity)?;
    let (until, _) = time(rest)?;
    Some(Validity { from, until })
}

/// Content of the element that `der` begins with, and what follows it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let (bytes, rest) =
            rest.split_at_checked(usize::from(first & 0x7f)).filter(|(b, _)| b.len() <= 4)?;
        (bytes.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest)
    };
    rest.split_at_checked(length).filter(|_| found == tag)
}

/// `YYMMDDHHMMSSZ` (of 1950 to 2049) or `YYYYMMDDHHMMSSZ`.
fn time(der: &[u8]) -> Option<(Timestamp, &[u8])> {
    let (text, rest, century) = match element(der, UTC_TIME) {
        Some((text, rest)) => {
            let century = if *text.first()? < b'5' { "20" } else { "19" };
            (text, rest, century)
        }
        None => element(der, LONG_TIME).map(|(text, rest)| (text, rest, ""))?,
    };
    let digits = text.strip_suffix(b"Z").filter(|d| d.iter().all(u8::is_ascii_digit))?;
    let digits = format!("{century}{}", std::str::from_utf8(digits).ok()?);
    if digits.len() != 14 {
        return None;
    }
    let part = |from: usize, to: usize| &digits[from..to];
    let text = format!(
        "{}-{}-{}T{}:{}:{}Z",
        part(0, 4),
        part(4, 6),
        part(6, 8),
        part(8, 10),
        part(10, 12),
        part(12, 14)
    );
    // Before 1970 is the beginning of time.
    let at = if digits.as_str() < "1970" { Timestamp(0) } else { text.parse().ok()? };
    Some((at, rest))
}
