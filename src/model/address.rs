//! `host:port` as people write it: a name, an IPv4 address, or an IPv6 address in brackets.
use std::net::{Ipv4Addr, Ipv6Addr};

/// Splits `host:port`; the host comes without brackets. The host may be empty (`:9091`) and the port 0: whoever
/// cannot use those says so.
///
/// # Errors
/// Says what is wrong with it.
pub fn split(text: &str) -> Result<(&str, u16), String> {
    let (host, port) =
        text.rsplit_once(':').ok_or("host:port is wanted, and the port is missing")?;
    if port.is_empty() || port.len() > 5 || !port.bytes().all(|b| b.is_ascii_digit()) {
        return Err(format!("the port {:?} is no number", super::text::clean(port, 16)));
    }
    let port = port.parse().map_err(|_| "a port is at most 65535".to_owned())?;
    Ok((bare_host(host)?, port))
}

fn bare_host(host: &str) -> Result<&str, String> {
    if let Some(inner) = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        let fine = inner.parse::<Ipv6Addr>().is_ok();
        return if fine {
            Ok(inner)
        } else {
            Err("this is no IPv6 address in brackets".to_owned())
        };
    }
    if host.contains(':') {
        return Err("an IPv6 address stands in brackets: [::1]:9091".to_owned());
    }
    if host.is_empty() || is_name(host) {
        return Ok(host);
    }
    Err(format!("{:?} is no host name or address", super::text::clean(host, 64)))
}

/// Whether `host` could be a host name or an IPv4 address: letters, digits, `.`, `-` and `_`.
#[must_use]
pub fn is_name(host: &str) -> bool {
    let odd = |b: u8| !(b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
    let numeric = host.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    (1..=253).contains(&host.len())
        && !host.bytes().any(odd)
        && !host.starts_with(['-', '.'])
        && (!numeric || host.parse::<Ipv4Addr>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn names_and_addresses_are_split() {
        assert_eq!(split("pool.example.org:3333"), Ok(("pool.example.org", 3333)));
        assert_eq!(split("10.0.0.7:1"), Ok(("10.0.0.7", 1)));
        assert_eq!(split("[::1]:65535"), Ok(("::1", 65535)));
        assert_eq!(split(":0"), Ok(("", 0)));
    }

    #[test]
    fn what_is_none_is_refused() {
        for bad in [
            "",
            "host",
            "host:",
            "host:x",
            "host:+1",
            "host:65536",
            "host:123456",
            "::1:80",
            "[::1:80",
            "[x]:80",
            "300.1.1.1:80",
            "1.2.3:80",
            "a b:80",
            "user@host:80",
            "host/path:80",
            "-x:80",
            "a\u{202e}b:80",
        ] {
            assert!(split(bad).is_err(), "{bad:?}");
        }
        assert!(split(&format!("{}:80", "a".repeat(254))).is_err());
    }
}
