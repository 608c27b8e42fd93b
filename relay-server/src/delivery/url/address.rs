//! Which addresses a webhook may be sent to, from the address alone.
//!
//! Public means: IANA calls it globally reachable, and it is nobody's metadata service. Networks that are not public
//! can be allowed one by one. An address that stands for another one (v4-mapped, NAT64) is judged by that one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};

/// Where destinations of kind `url` may point.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UrlPolicy {
    /// Networks allowed although they are not public. Default none. A metadata service of a cloud is only allowed by a
    /// network of exactly its address: `10.0.0.0/8` for one's own services must not open what hands out credentials.
    pub allowed: Vec<IpNet>,
    /// Whether `http://` may be used. Default true.
    pub plain_http: bool,
}

impl Default for UrlPolicy {
    fn default() -> Self {
        Self { allowed: Vec::new(), plain_http: true }
    }
}

impl UrlPolicy {
    /// Why nothing is sent to `ip`; `None` when it may be.
    #[must_use]
    pub fn refuses_address(&self, ip: IpAddr) -> Option<&'static str> {
        let ip = ip.to_canonical();
        why_not_public(ip).filter(|_| !self.allows(ip))
    }

    /// Why nothing is sent to `port` of `ip`, an address that is not refused. Inside the allowed networks every port
    /// is the operator's own business.
    #[must_use]
    pub fn refuses_port(&self, ip: IpAddr, port: u16) -> Option<&'static str> {
        (!is_web_port(port) && !self.allows(ip.to_canonical()))
            .then_some("it is a port of another protocol than HTTP")
    }

    /// Whether `ip`, in its canonical form, lies in a network the operator named.
    pub(super) fn allows(&self, ip: IpAddr) -> bool {
        let needs_whole =
            METADATA.contains(&ip) || embedded(ip).is_some_and(|v4| METADATA.contains(&v4.into()));
        self.allowed
            .iter()
            .any(|net| net.contains(&ip) && (!needs_whole || net.prefix_len() == net.max_prefix_len()))
    }
}

/// Ports past the reserved ones on which browsers speak no HTTP either (WHATWG Fetch, section "Port blocking").
const OTHER_PROTOCOLS: [u16; 19] = [
    1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679,
    6697, 10080,
];

fn is_web_port(port: u16) -> bool {
    matches!(port, 80 | 443 | 1024..) && !OTHER_PROTOCOLS.contains(&port)
}

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix_len: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix_len)
}

const fn v6(a: u16, b: u16, c: u16, prefix_len: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0), prefix_len)
}

/// IANA IPv4 Special-Purpose Address Registry, what is not globally reachable in it, and multicast.
const V4: [(Ipv4Net, &str); 15] = [
    (v4(0, 0, 0, 0, 8), "unspecified"),
    (v4(10, 0, 0, 0, 8), "private"),
    (v4(100, 64, 0, 0, 10), "carrier-grade NAT"),
    (v4(127, 0, 0, 0, 8), "loopback"),
    (v4(169, 254, 0, 0, 16), "link-local"),
    (v4(172, 16, 0, 0, 12), "private"),
    (v4(192, 0, 0, 0, 24), "reserved"),
    (v4(192, 0, 2, 0, 24), "documentation"),
    (v4(192, 88, 99, 0, 24), "reserved"),
    (v4(192, 168, 0, 0, 16), "private"),
    (v4(198, 18, 0, 0, 15), "benchmarking"),
    (v4(198, 51, 100, 0, 24), "documentation"),
    (v4(203, 0, 113, 0, 24), "documentation"),
    (v4(224, 0, 0, 0, 4), "multicast"),
    (v4(240, 0, 0, 0, 4), "reserved"),
];

/// The same for IPv6, as far as it lies inside 2000::/3; and names for well-known parts outside it.
const V6: [(Ipv6Net, &str); 12] = [
    // Teredo, ORCHID, benchmarking: RFC 2928 keeps all of it for protocols.
    (v6(0x2001, 0, 0, 23), "reserved (Teredo and other protocols)"),
    (v6(0x2001, 0xdb8, 0, 32), "documentation"),
    (v6(0x2002, 0, 0, 16), "6to4"),
    (v6(0x3fff, 0, 0, 20), "documentation"),
    (v6(0, 0, 0, 96), "reserved (IPv4-compatible)"),
    (v6(0x64, 0xff9b, 1, 48), "local NAT64"),
    (v6(0x100, 0, 0, 64), "discard-only"),
    (v6(0x5f00, 0, 0, 16), "reserved"),
    (v6(0xfc00, 0, 0, 7), "unique-local"),
    (v6(0xfe80, 0, 0, 10), "link-local"),
    (v6(0xfec0, 0, 0, 10), "site-local"),
    (v6(0xff00, 0, 0, 8), "multicast"),
];

const GLOBAL_UNICAST: Ipv6Net = v6(0x2000, 0, 0, 3);
const NAT64: Ipv6Net = v6(0x64, 0xff9b, 0, 96);

const fn m4(a: u8, b: u8, c: u8, d: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(a, b, c, d))
}

const fn m6(a: u16, b: u16, h: u16) -> IpAddr {
    IpAddr::V6(Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, h))
}

/// What hands out credentials to whoever asks from inside a cloud. Most lie in networks that are refused anyway.
const METADATA: [IpAddr; 11] = [
    m4(169, 254, 169, 254), // AWS, Google, Azure, Oracle, DigitalOcean, Hetzner and others
    m4(169, 254, 170, 2),   // AWS ECS
    m4(169, 254, 170, 23),  // AWS EKS
    m4(169, 254, 42, 42),   // Scaleway
    m4(192, 0, 0, 192),     // Oracle
    m4(100, 100, 100, 200), // Alibaba
    m4(168, 63, 129, 16),   // Azure's host; the one with a public address
    m6(0xfd00, 0xec2, 0x254),
    m6(0xfd00, 0xec2, 0x23),
    m6(0xfd00, 0x42, 0x42),
    m6(0xfd20, 0xce, 0x254),
];

/// The IPv4 address that a NAT64 gateway would turn `ip` into (RFC 6052).
fn embedded(ip: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(ip) = ip else { return None };
    let [.., a, b, c, d] = ip.octets();
    NAT64.contains(&ip).then_some(Ipv4Addr::new(a, b, c, d))
}

/// What is not public about `ip`, which is no v4-mapped address.
fn why_not_public(ip: IpAddr) -> Option<&'static str> {
    if METADATA.contains(&ip) {
        return Some("metadata service of a cloud");
    }
    if let Some(v4) = embedded(ip) {
        return why_not_public(v4.into());
    }
    match ip {
        IpAddr::V4(ip) => V4.iter().find(|(net, _)| net.contains(&ip)).map(|(_, why)| *why),
        IpAddr::V6(Ipv6Addr::LOCALHOST) => Some("loopback"),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Some("unspecified"),
        IpAddr::V6(ip) => {
            let named = V6.iter().find(|(net, _)| net.contains(&ip)).map(|(_, why)| *why);
            named.or((!GLOBAL_UNICAST.contains(&ip)).then_some("reserved"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    #[test]
    fn every_network_that_is_not_public_is_refused_from_its_first_address_to_its_last() {
        let networks = [
            "0.0.0.0/8",
            "10.0.0.0/8",
            "100.64.0.0/10",
            "127.0.0.0/8",
            "169.254.0.0/16",
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.88.99.0/24",
            "192.168.0.0/16",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/4",
            "240.0.0.0/4",
            "168.63.129.16/32",
            "::/96",
            "::1/128",
            "::ffff:10.0.0.0/104",
            "::ffff:127.0.0.0/104",
            "::ffff:169.254.0.0/112",
            "64:ff9b::10.0.0.0/104",
            "64:ff9b::127.0.0.0/104",
            "64:ff9b::169.254.169.254/128",
            "64:ff9b::168.63.129.16/128",
            "64:ff9b:1::/48",
            "100::/64",
            "2001::/23",
            "2001::/32",
            "2001:2::/48",
            "2001:10::/28",
            "2001:db8::/32",
            "2002::/16",
            "3fff::/20",
            "4000::/2",
            "5f00::/16",
            "8000::/1",
            "fc00::/7",
            "fd00:ec2::254/128",
            "fe80::/10",
            "fec0::/10",
            "ff00::/8",
        ];
        let policy = UrlPolicy::default();
        for text in networks {
            let net: IpNet = text.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
            for address in [net.network(), net.broadcast()] {
                assert!(policy.refuses_address(address).is_some(), "{address} of {text}");
            }
        }
    }

    #[test]
    fn what_lies_just_beside_them_is_public() {
        let addresses = [
            "1.0.0.0",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "168.63.129.15",
            "168.63.129.17",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "191.255.255.255",
            "192.0.1.0",
            "192.0.3.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "198.51.99.255",
            "198.51.101.0",
            "203.0.112.255",
            "203.0.114.0",
            "223.255.255.255",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "2000::",
            "2001:200::",
            "2001:4860:4860::8888",
            "2003::",
            "2606:4700::1111",
            "2a00:1450:4001::1",
            "3ffe::1",
            "3fff:1000::",
        ];
        for text in addresses {
            assert_eq!(UrlPolicy::default().refuses_address(ip(text)), None, "{text}");
        }
    }

    #[test]
    fn an_allowed_network_opens_itself_and_nothing_else() {
        let allowed = ["10.1.0.0/16", "fd00::/8", "169.254.0.0/16", "64:ff9b::/96", "169.254.170.2/32"];
        let allowed = allowed.iter().map(|net| net.parse().unwrap()).collect();
        let policy = UrlPolicy { allowed, ..UrlPolicy::default() };
        for text in
            ["10.1.2.3", "::ffff:10.1.2.3", "fd12::1", "169.254.1.1", "64:ff9b::10.0.0.1", "169.254.170.2"]
        {
            assert_eq!(policy.refuses_address(ip(text)), None, "{text}");
        }
        for text in ["10.2.0.0", "127.0.0.1", "::1", "2002:a01:203::", "fe80::1"] {
            assert!(policy.refuses_address(ip(text)).is_some(), "{text}");
        }
    }

    #[test]
    fn a_metadata_service_is_opened_by_its_own_address_only() {
        let wide = ["0.0.0.0/0", "::/0", "169.254.0.0/16"].iter().map(|net| net.parse().unwrap()).collect();
        let policy = UrlPolicy { allowed: wide, ..UrlPolicy::default() };
        for address in
            METADATA.into_iter().chain([ip("64:ff9b::169.254.169.254"), ip("::ffff:169.254.169.254")])
        {
            assert!(policy.refuses_address(address).is_some(), "{address}");
        }
        assert_eq!(policy.refuses_address(ip("127.0.0.1")), None);
    }

    #[test]
    fn ports_of_other_protocols_are_used_in_allowed_networks_only() {
        let policy = UrlPolicy { allowed: vec!["10.0.0.0/8".parse().unwrap()], ..UrlPolicy::default() };
        for port in [1, 22, 25, 53, 110, 445, 465, 993, 1023, 5060, 6667] {
            assert!(policy.refuses_port(ip("8.8.8.8"), port).is_some(), "{port}");
            assert_eq!(policy.refuses_port(ip("10.0.0.1"), port), None, "{port}");
        }
        for port in [80, 443, 1024, 3000, 8080, 8443, 65535] {
            assert_eq!(policy.refuses_port(ip("8.8.8.8"), port), None, "{port}");
        }
    }
}
