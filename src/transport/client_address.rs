//! Where a call comes from when there are proxies in front of the service.

use std::net::{IpAddr, Ipv6Addr};

use http::HeaderMap;

/// The proxies whose `X-Forwarded-For` is believed, as networks. Without any, nobody's is.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies(Vec<(IpAddr, u8)>);

impl TrustedProxies {
    /// Trusts these networks, each an address with the length of its prefix in bits.
    pub const fn new(networks: Vec<(IpAddr, u8)>) -> Self {
        Self(networks)
    }

    /// Whether this is the address of a trusted proxy.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|(network, bits)| shared_bits(*network, address) >= u32::from(*bits))
    }

    /// The client of a connection from `peer`: the last address in the chain that no trusted proxy has. What stands
    /// before it in the header, anybody may have written.
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        if !self.contains(client) {
            return client;
        }
        let values: Vec<&str> =
            headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok()).collect();
        for hop in values.iter().flat_map(|value| value.split(',')).rev() {
            let Some(address) = parse(hop.trim()) else { break };
            client = address;
            if !self.contains(client) {
                break;
            }
        }
        client
    }
}

/// An address as proxies write it: alone, in brackets, or with a port.
fn parse(text: &str) -> Option<IpAddr> {
    let address =
        text.parse().or_else(|_| text.parse::<std::net::SocketAddr>().map(|with_port| with_port.ip()));
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    address.ok().or_else(bracketed).map(|address| address.to_canonical())
}

/// How many leading bits two addresses share; none when they are of different families.
fn shared_bits(a: IpAddr, b: IpAddr) -> u32 {
    match (a, b) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros(),
        (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(networks: &[(&str, u8)], peer: &str, header: &str) -> String {
        let networks = networks.iter().map(|(address, bits)| (address.parse().unwrap(), *bits)).collect();
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", header.parse().unwrap());
        TrustedProxies::new(networks).client(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn only_what_a_trusted_proxy_has_seen_is_believed() {
        let proxies = [("10.0.0.0", 8), ("fd00::", 8)];
        for (peer, header, expected) in [
            ("198.51.100.7", "192.0.2.1", "198.51.100.7"),
            ("10.0.0.1", "192.0.2.1", "192.0.2.1"),
            ("10.0.0.1", "203.0.113.9, 192.0.2.1", "192.0.2.1"),
            ("10.0.0.1", "192.0.2.1, 10.9.9.9", "192.0.2.1"),
            ("10.0.0.1", "192.0.2.1:4711", "192.0.2.1"),
            ("10.0.0.1", "[2001:db8::1]:80", "2001:db8::1"),
            ("10.0.0.1", "[2001:db8::1]", "2001:db8::1"),
            ("10.0.0.1", "", "10.0.0.1"),
            ("10.0.0.1", "unknown", "10.0.0.1"),
            ("fd00::1", "2001:db8::1", "2001:db8::1"),
            ("::ffff:10.0.0.1", "192.0.2.1", "192.0.2.1"),
            ("fe80::1", "2001:db8::1", "fe80::1"),
        ] {
            assert_eq!(client(&proxies, peer, header), expected, "{peer} {header:?}");
        }
        assert_eq!(client(&[], "10.0.0.1", "192.0.2.1"), "10.0.0.1", "nobody is trusted by default");
    }
}
