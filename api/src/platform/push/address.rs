//! Which addresses a message may go to.
//! Promise: only public ones, and what is judged is what is connected to: the same numbers, after the last look-up.
//!
//! Source: IANA's IPv4 and IPv6 Special-Purpose Address Registries, and its IPv6 Address Space registry.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::Host;

/// Blocks of IPv4 that are not the public internet: the first address and the length of the prefix.
const V4_CLOSED: &[(Ipv4Addr, u32)] = &[
    (Ipv4Addr::new(0, 0, 0, 0), 8),        // this network
    (Ipv4Addr::new(10, 0, 0, 0), 8),       // private
    (Ipv4Addr::new(100, 64, 0, 0), 10),    // between a carrier and its customers; metadata at Alibaba
    (Ipv4Addr::new(127, 0, 0, 0), 8),      // this machine
    (Ipv4Addr::new(168, 63, 129, 16), 32), // in no registry: Azure answers its machines there, and nobody else
    (Ipv4Addr::new(169, 254, 0, 0), 16),   // this link; metadata in most clouds
    (Ipv4Addr::new(172, 16, 0, 0), 12),    // private
    (Ipv4Addr::new(192, 0, 0, 0), 24),     // protocol assignments; metadata at Oracle
    (Ipv4Addr::new(192, 0, 2, 0), 24),     // documentation
    (Ipv4Addr::new(192, 88, 99, 0), 24),   // 6to4 relays, given up
    (Ipv4Addr::new(192, 168, 0, 0), 16),   // private
    (Ipv4Addr::new(198, 18, 0, 0), 15),    // benchmarks
    (Ipv4Addr::new(198, 51, 100, 0), 24),  // documentation
    (Ipv4Addr::new(203, 0, 113, 0), 24),   // documentation
    (Ipv4Addr::new(224, 0, 0, 0), 4),      // multicast
    (Ipv4Addr::new(240, 0, 0, 0), 4),      // reserved, and broadcast
];

/// All of IPv6 that IANA hands out. What lies outside is closed without being named: `::`, `::1`, IPv4 written as IPv6
/// (`::ffff:0:0/96`, `::/96`), `64:ff9b:1::/48`, `100::/64`, `5f00::/16`, `fc00::/7`, `fe80::/10`, `fec0::/10`, `ff00::/8`.
const V6_OPEN: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);
/// Translation to IPv4 (RFC 6052), the only way out of some networks: as public as the address inside.
const V6_TRANSLATED: (Ipv6Addr, u32) = (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96);
/// Blocks within [`V6_OPEN`] that are not the public internet.
const V6_CLOSED: &[(Ipv6Addr, u32)] = &[
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23), // protocol assignments: Teredo, benchmarks, ORCHID
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32), // documentation
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16), // 6to4: IPv4 inside, given up
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20), // documentation
];

/// Last labels of names that mean something only inside a network, or nothing at all.
const INNER_NAMES: &[&str] = &[
    "alt",
    "arpa",
    "corp",
    "example",
    "home",
    "internal",
    "intranet",
    "invalid",
    "lan",
    "local",
    "localdomain",
    "localhost",
    "mail",
    "onion",
    "private",
    "test",
];

/// Whether everybody on the internet means the same machine by this address. The standard library has no stable answer.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let number = u32::from(address);
    !V4_CLOSED.iter().any(|(first, length)| (number ^ u32::from(*first)) >> (32 - length) == 0)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let number = u128::from(address);
    let within = |(first, length): &(Ipv6Addr, u32)| (number ^ u128::from(*first)) >> (128 - length) == 0;
    if within(&V6_TRANSLATED) {
        let [.., a, b, c, d] = address.octets();
        return is_public_v4(Ipv4Addr::new(a, b, c, d));
    }
    within(&V6_OPEN) && !V6_CLOSED.iter().any(within)
}

/// What is wrong with a host as the `url` crate understands it, for whoever wrote it. None: it may be asked for, and
/// what its name leads to is judged then.
pub(super) fn objection(host: &Host<&str>) -> Option<&'static str> {
    let name = match host {
        Host::Ipv4(address) => return (!is_public_v4(*address)).then_some(PRIVATE),
        Host::Ipv6(address) => return (!is_public_v6(*address)).then_some(PRIVATE),
        Host::Domain(name) => name,
    };
    // A bare label is looked up in the search domains of whoever asks.
    let last = name.rsplit_once('.').map(|(_, last)| last);
    last.is_none_or(|last| INNER_NAMES.contains(&last)).then_some(PRIVATE)
}

const PRIVATE: &str = "leads into a private network: only public push services are called.";

/// Looks names up and hands out the public addresses only.
pub(super) struct PublicOnly<R> {
    pub(super) names: R,
    /// Lets everything through.
    pub(super) allow_private: bool,
}

impl<R: Resolve> Resolve for PublicOnly<R> {
    fn resolve(&self, name: Name) -> Resolving {
        let resolving = self.names.resolve(name);
        let allow_private = self.allow_private;
        Box::pin(async move {
            let open: Vec<SocketAddr> = resolving.await?.filter(|at| allow_private || is_public(at.ip())).collect();
            if open.is_empty() {
                return Err(NotPublic.into());
            }
            Ok(Box::new(open.into_iter()) as Addrs)
        })
    }
}

/// A name leads to no public address.
#[derive(Debug)]
pub(super) struct NotPublic;

impl std::fmt::Display for NotPublic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the name leads to no public address")
    }
}

impl std::error::Error for NotPublic {}

/// Looks names up as the machine does.
pub(super) struct SystemNames;

impl Resolve for SystemNames {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            // The port is put in by the caller.
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives these for every name.
    struct Fixed(Vec<SocketAddr>);

    impl Resolve for Fixed {
        fn resolve(&self, _: Name) -> Resolving {
            let found = self.0.clone();
            Box::pin(async move { Ok(Box::new(found.into_iter()) as Addrs) })
        }
    }

    #[tokio::test]
    async fn of_a_mixed_answer_the_public_addresses_are_left() {
        let at = |text: &str| SocketAddr::new(text.parse().expect("an address"), 0);
        let mixed = vec![at("127.0.0.1"), at("8.8.8.8"), at("::1"), at("2606:4700::1111"), at("::ffff:8.8.8.8")];
        let closed = PublicOnly { names: Fixed(mixed.clone()), allow_private: false };
        let name = || "push.example.net".parse::<Name>().expect("a name");
        let left: Vec<SocketAddr> = closed.resolve(name()).await.expect("some").collect();
        assert_eq!(left, [at("8.8.8.8"), at("2606:4700::1111")]);
        let open = PublicOnly { names: Fixed(mixed.clone()), allow_private: true };
        assert_eq!(open.resolve(name()).await.expect("all").count(), mixed.len());
        let none = PublicOnly { names: Fixed(vec![at("10.0.0.1")]), allow_private: false };
        assert!(none.resolve(name()).await.err().expect("refused").is::<NotPublic>());
    }
}
