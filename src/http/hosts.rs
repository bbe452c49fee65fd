//! Host and Origin: a page of a stranger must not reach this node through the owner's browser, neither by a name
//! that it points here (DNS rebinding) nor by a form (cross-site request).
use std::net::{IpAddr, Ipv6Addr};

/// `name`, `name:port`, `1.2.3.4`, `[::1]:port`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Host {
    /// Lower case, without brackets and final dot.
    pub name: String,
    pub port: Option<u16>,
}

impl Host {
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (name, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (name, port) = rest.split_once(']')?;
                name.parse::<Ipv6Addr>().ok()?;
                (name, port)
            }
            None => text.split_at(text.find(':').unwrap_or(text.len())),
        };
        let port = match port.strip_prefix(':') {
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
                Some(digits.parse().ok()?)
            }
            Some(_) => return None,
            None if port.is_empty() => None,
            None => return None,
        };
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        let known = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':');
        (!name.is_empty() && name.bytes().all(known)).then_some(Self { name, port })
    }

    /// Is it a name of this node: loopback, localhost, the address that the client connected to, a configured one?
    #[must_use]
    pub fn is_ours(&self, local: IpAddr, names: &[String]) -> bool {
        if names.iter().any(|n| n.eq_ignore_ascii_case(&self.name)) {
            return true;
        }
        match self.name.parse::<IpAddr>() {
            Ok(ip) => ip.to_canonical().is_loopback() || ip.to_canonical() == local.to_canonical(),
            Err(_) => self.name == "localhost",
        }
    }

    /// Is `origin` the page that this host serves? TLS may end in a proxy before us, so both schemes will do.
    #[must_use]
    pub fn serves(&self, origin: &str) -> bool {
        let (rest, default) = match origin.split_once("://") {
            Some(("http", rest)) => (rest, 80),
            Some(("https", rest)) => (rest, 443),
            _ => return false,
        };
        Self::parse(rest).is_some_and(|other| {
            other.name == self.name && other.port.unwrap_or(default) == self.port.unwrap_or(default)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Host;

    #[test]
    fn this_node_is_known_by_its_addresses_localhost_and_configured_names() {
        let local = "192.168.1.5".parse().unwrap();
        let names = ["farm.lan".to_owned()];
        for (text, ours) in [
            ("192.168.1.5:9090", true),
            ("192.168.1.5", true),
            ("127.0.0.1", true),
            ("127.9.9.9:80", true),
            ("[::1]:9090", true),
            ("[::ffff:192.168.1.5]", true),
            ("localhost:1", true),
            ("LocalHost.", true),
            ("FARM.lan:9090", true),
            ("192.168.1.6", false),
            ("evil.example", false),
            ("localhost.evil.example", false),
            ("xlocalhost", false),
            ("127.0.0.1.evil.example", false),
            ("0.0.0.0", false),
        ] {
            assert_eq!(Host::parse(text).unwrap().is_ours(local, &names), ours, "{text}");
        }
        for bad in [
            "",
            ":80",
            "a:b",
            "a:99999",
            "a:1:2",
            "[::1",
            "[a]",
            "[::1]x",
            "a/b",
            "a@b",
            "a b",
            "localhost:+9",
        ] {
            assert_eq!(Host::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_origin_must_be_the_host_itself() {
        for (origin, host, same) in [
            ("http://localhost:9090", "localhost:9090", true),
            ("https://localhost:9090", "localhost:9090", true),
            ("http://localhost", "localhost:80", true),
            ("https://farm", "farm", true),
            ("http://[::1]:9090", "[::1]:9090", true),
            ("http://localhost:3000", "localhost:9090", false),
            ("http://127.0.0.1:9090", "localhost:9090", false),
            ("http://localhost", "localhost:9090", false),
            ("null", "localhost", false),
            ("http://localhost:9090/", "localhost:9090", false),
            ("http://a@localhost:9090", "localhost:9090", false),
            ("ftp://localhost", "localhost", false),
            ("", "localhost", false),
        ] {
            assert_eq!(Host::parse(host).unwrap().serves(origin), same, "{origin} {host}");
        }
    }
}
