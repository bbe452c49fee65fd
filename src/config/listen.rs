//! Addresses to listen on.
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _};

use crate::model::address;

/// The socket addresses that `:9091` (every interface, IPv6 and IPv4) or `host:port` stand for, in the order in
/// which to try to bind them; the first that works is enough: `[::]` takes IPv4 callers, too, and stands
/// before `0.0.0.0` for machines without IPv6. Port 0 lets the system choose. Looks a host name up.
///
/// # Errors
/// Says what is wrong with the text, or that the name is not known.
pub fn parse_listen(text: &str) -> Result<Vec<SocketAddr>, String> {
    let (host, port) = address::split(text)?;
    if host.is_empty() {
        return Ok(vec![
            (Ipv6Addr::UNSPECIFIED, port).into(),
            (Ipv4Addr::UNSPECIFIED, port).into(),
        ]);
    }
    let found = (host, port).to_socket_addrs().map_err(|e| format!("{host} is not known: {e}"))?;
    let found: Vec<_> = found.collect();
    if found.is_empty() { Err(format!("{host} has no address")) } else { Ok(found) }
}

/// Whether [`parse_listen`] could understand `text`, without asking for the host's address.
pub(super) fn check(text: &str) -> Result<(), String> {
    match address::split(text) {
        Ok(_) => Ok(()),
        Err(e) => Err(format!("{e} (\":9091\" or \"host:port\" is expected)")),
    }
}

/// Whether only this machine can reach what listens there.
#[must_use]
pub fn is_loopback(text: &str) -> bool {
    let Ok((host, _)) = address::split(text) else { return false };
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::{is_loopback, parse_listen};

    #[test]
    fn a_port_alone_means_every_interface() {
        let all: Vec<_> = parse_listen(":9091").unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(all, ["[::]:9091", "0.0.0.0:9091"]);
    }

    #[test]
    fn an_address_stands_for_itself() {
        for text in ["127.0.0.1:0", "[::1]:9090", "0.0.0.0:80"] {
            assert_eq!(parse_listen(text).unwrap(), [text.parse().unwrap()]);
        }
        for bad in ["9091", "127.0.0.1", "::1:9090", "http://127.0.0.1:80", ""] {
            assert!(parse_listen(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn loopback_is_told_from_the_network() {
        assert!(
            ["127.0.0.1:1", "127.8.8.8:1", "[::1]:1", "localhost:1"].into_iter().all(is_loopback)
        );
        for open in [":1", "0.0.0.0:1", "[::]:1", "192.168.1.5:1", "localhost.example.org:1"] {
            assert!(!is_loopback(open), "{open}");
        }
    }
}
