//! Where a call comes from when there are proxies in front of the service.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use super::{HeaderFields, members};

/// The proxies whose `X-Forwarded-For` is believed, as networks. Without any, nobody's is.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies(Vec<(IpAddr, u8)>);

impl TrustedProxies {
    /// Trusts these networks, each an address with the length of its prefix in bits. IPv4 networks are written as such:
    /// a network of one family holds no address of the other.
    pub const fn new(networks: Vec<(IpAddr, u8)>) -> Self {
        Self(networks)
    }

    /// Whether this is the address of a trusted proxy.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|(network, bits)| holds(*network, *bits, address))
    }

    /// The client of a connection from `peer`: the last address in the chain that no trusted proxy has. Each hop is
    /// read by itself, from the last one on. What stands before the first that is no trusted proxy, or before one that
    /// is no address, anybody may have written.
    pub fn client(&self, peer: IpAddr, fields: &impl HeaderFields) -> IpAddr {
        let mut client = peer.to_canonical();
        if !self.contains(client) {
            return client;
        }
        for hop in members(fields, "x-forwarded-for").rev() {
            let Some(address) = parse(hop) else { break };
            client = address;
            if !self.contains(client) {
                break;
            }
        }
        client
    }
}

/// An address as proxies write it: alone, in brackets, with a port, or with an IPv6 zone (RFC 4007 §11). IPv4 addresses
/// that are mapped into IPv6 are the IPv4 addresses that they stand for.
fn parse(hop: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(hop).ok()?;
    let alone = |text: &str| text.parse::<IpAddr>().ok();
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    let of_zone = || {
        let (address, zone) = text.strip_prefix('[').unwrap_or(text).split_once('%')?;
        let zone = zone.split(']').next().unwrap_or_default();
        let named = !zone.is_empty() && zone.bytes().all(|byte| byte.is_ascii_alphanumeric());
        named.then(|| address.parse::<Ipv6Addr>().ok()).flatten().map(IpAddr::V6)
    };
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    alone(text).or_else(with_port).or_else(bracketed).or_else(of_zone).map(|address| address.to_canonical())
}

/// Whether a network has an address. Neither family has a network that holds addresses of the other.
fn holds(network: IpAddr, bits: u8, address: IpAddr) -> bool {
    let shared = match (network, address) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros(),
        (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros(),
        _ => return false,
    };
    shared >= u32::from(bits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderMap, HeaderValue};

    fn client(networks: &[(&str, u8)], peer: &str, lines: &[&[u8]]) -> String {
        let networks = networks.iter().map(|(address, bits)| (address.parse().unwrap(), *bits)).collect();
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append("x-forwarded-for", HeaderValue::from_bytes(line).unwrap());
        }
        TrustedProxies::new(networks).client(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn only_what_a_trusted_proxy_has_seen_is_believed() {
        let proxies = [("10.0.0.0", 8), ("fd00::", 8)];
        for (peer, line, expected) in [
            ("198.51.100.7", b"192.0.2.1".as_slice(), "198.51.100.7"),
            ("10.0.0.1", b"192.0.2.1", "192.0.2.1"),
            ("10.0.0.1", b"203.0.113.9, 192.0.2.1", "192.0.2.1"),
            ("10.0.0.1", b"192.0.2.1, 10.9.9.9", "192.0.2.1"),
            ("10.0.0.1", b"192.0.2.1 ,10.9.9.9", "192.0.2.1"),
            ("10.0.0.1", b"192.0.2.1:4711", "192.0.2.1"),
            ("10.0.0.1", b"[2001:db8::1]:80", "2001:db8::1"),
            ("10.0.0.1", b"[2001:db8::1]", "2001:db8::1"),
            ("10.0.0.1", b"fe80::1%eth0", "fe80::1"),
            ("10.0.0.1", b"[fe80::1%25]:80", "fe80::1"),
            ("10.0.0.1", b"::ffff:192.0.2.1", "192.0.2.1"),
            ("10.0.0.1", b"[::ffff:192.0.2.1]:80", "192.0.2.1"),
            ("10.0.0.1", b"192.0.2.1, ::ffff:10.9.9.9", "192.0.2.1"),
            ("10.0.0.1", b"", "10.0.0.1"),
            ("10.0.0.1", b"unknown", "10.0.0.1"),
            ("10.0.0.1", b"192.0.2.1, unknown", "10.0.0.1"),
            ("fd00::1", b"2001:db8::1", "2001:db8::1"),
            ("::ffff:10.0.0.1", b"192.0.2.1", "192.0.2.1"),
            ("fe80::1", b"2001:db8::1", "fe80::1"),
        ] {
            assert_eq!(client(&proxies, peer, &[line]), expected, "{peer} {}", line.escape_ascii());
        }
        assert_eq!(client(&[], "10.0.0.1", &[b"192.0.2.1"]), "10.0.0.1", "nobody is trusted by default");
    }

    #[test]
    fn what_a_client_wrote_before_hides_no_hop() {
        let proxies = [("10.0.0.0", 8)];
        for lines in [
            &[b"\xE9, 192.0.2.1".as_slice()][..],
            &[b"\xE9", b"192.0.2.1"],
            &[b"unknown", b"\xFF\xFE, 192.0.2.1", b"10.2.2.2"],
            &[b"203.0.113.9", b"192.0.2.1"],
        ] {
            assert_eq!(client(&proxies, "10.0.0.1", lines), "192.0.2.1", "{lines:?}");
        }
        assert_eq!(client(&proxies, "10.0.0.1", &[b"192.0.2.1, \xE9"]), "10.0.0.1", "what the proxy saw");
    }

    #[test]
    fn a_network_holds_no_address_of_the_other_family() {
        assert_eq!(client(&[("::", 0)], "10.0.0.1", &[b"192.0.2.1"]), "10.0.0.1");
        assert_eq!(client(&[("0.0.0.0", 0)], "fd00::1", &[b"192.0.2.1"]), "fd00::1");
        assert_eq!(client(&[("0.0.0.0", 0)], "::ffff:10.0.0.1", &[b"192.0.2.1"]), "192.0.2.1");
    }
}
