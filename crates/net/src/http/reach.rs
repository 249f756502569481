//! Which addresses are dialled that strangers wrote: a record of theirs is no way into the reader's own machine or network.

use super::client::{dial_some, resolve};
use crate::network::{Failure, Link, Network, Patience, Peer};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Names of which it is remembered where they led.
const MOST_NAMES: usize = 1_024;

/// How near those may be whom strangers name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// At public addresses alone.
    #[default]
    Internet,
    /// In private networks too.
    Network,
    /// On this machine too.
    Machine,
}

/// The IPv4 address that an IPv6 address stands for, or the address itself.
fn canonical(ip: IpAddr) -> IpAddr {
    let IpAddr::V6(long) = ip else { return ip };
    let embedded = |octets: [u8; 4]| IpAddr::V4(Ipv4Addr::from(octets));
    match (long.to_ipv4_mapped(), long.octets()) {
        (Some(mapped), _) => IpAddr::V4(mapped),
        // Through a translator (64:ff9b::/96), through a tunnel (2002::/16), and the form that nobody uses any more (::/96).
        (_, [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d]) => embedded([a, b, c, d]),
        (_, [0x20, 0x02, a, b, c, d, ..]) => embedded([a, b, c, d]),
        (_, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d]) if long > Ipv6Addr::LOCALHOST => embedded([a, b, c, d]),
        _ => ip,
    }
}

/// How near an address is; `None` where nobody is reached by it from anywhere, or only on one cable, where machines keep their secrets.
fn nearness(ip: IpAddr) -> Option<Reach> {
    match canonical(ip) {
        ip if ip.is_unspecified() || ip.is_multicast() => None,
        ip if ip.is_loopback() => Some(Reach::Machine),
        IpAddr::V4(ip) => match ip.octets() {
            [0 | 240.., ..] | [169, 254, ..] => None,
            [100, 64..128, ..] => Some(Reach::Network),
            _ if ip.is_private() => Some(Reach::Network),
            _ => Some(Reach::Internet),
        },
        IpAddr::V6(ip) if ip.is_unicast_link_local() => None,
        IpAddr::V6(ip) if ip.is_unique_local() => Some(Reach::Network),
        IpAddr::V6(_) => Some(Reach::Internet),
    }
}

impl Reach {
    /// Whether an address is dialled.
    pub fn dials(self, ip: IpAddr) -> bool {
        nearness(ip).is_some_and(|near| near <= self)
    }

    /// As near as what somebody has named himself, such as his chain: `http://HOST:PORT`, by what the name leads to. Where it leads nowhere,
    /// nothing near is dialled.
    pub fn of(url: &str) -> Reach {
        let plain = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://")).unwrap_or(url);
        let plain = plain.split('/').next().unwrap_or_default();
        let found = resolve(plain).or_else(|_| resolve(&format!("{plain}:80"))).unwrap_or_default();
        found.iter().filter_map(|address| nearness(address.ip())).max().unwrap_or_default()
    }
}

/// [`Http`](super::Http) for addresses that strangers wrote: names are resolved first, and what they lead to is dialled where it is not nearer than
/// may be, however it is written. Addresses that the caller was told of by somebody it trusts are dialled wherever they lead.
#[derive(Clone, Debug, Default)]
pub struct StrangersHttp {
    reach: Reach,
    told: BTreeSet<String>,
    /// Where addresses led when they were dialled last; clones share it.
    led: Arc<Mutex<BTreeMap<String, Vec<IpAddr>>>>,
}

impl StrangersHttp {
    /// Dials what is not nearer than `reach`, and what it was told of.
    pub fn new(reach: Reach, told: impl IntoIterator<Item = String>) -> StrangersHttp {
        StrangersHttp { reach, told: told.into_iter().collect(), led: Arc::default() }
    }

    fn led(&self) -> MutexGuard<'_, BTreeMap<String, Vec<IpAddr>>> {
        self.led.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where an address led when it was dialled last; nowhere if it was not. Nothing is asked for it.
    pub fn led_to(&self, address: &str) -> Vec<IpAddr> {
        self.led().get(address).cloned().unwrap_or_default()
    }
}

impl Network for StrangersHttp {
    fn dial<'a>(&self, peer: &Peer, patience: &Patience<'a>) -> Result<Box<dyn Link + 'a>, Failure> {
        let mut found = resolve(&peer.address)?;
        if !self.told.contains(&peer.address) {
            found.retain(|address| self.reach.dials(address.ip()));
            if found.is_empty() {
                return Err(Failure::Other(
                    "its address is of a machine or network that no stranger has to do with".into(),
                ));
            }
        }
        let mut led = self.led();
        if led.len() < MOST_NAMES || led.contains_key(&peer.address) {
            led.insert(peer.address.clone(), found.iter().map(|address| address.ip()).collect());
        }
        drop(led);
        dial_some(&found, peer, patience)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::sync::atomic::AtomicBool;
    use std::time::{Duration, Instant};

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn addresses_are_as_near_as_what_they_stand_for() {
        for far in ["203.0.113.7", "2001:db8::1", "::ffff:8.8.8.8", "64:ff9b::808:808", "100.128.0.1"] {
            assert!(Reach::Internet.dials(ip(far)), "{far}");
        }
        let private =
            ["10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "fd00::1", "::ffff:10.0.0.1", "2002:a00:1::1"];
        for near in private {
            assert!(!Reach::Internet.dials(ip(near)) && Reach::Network.dials(ip(near)), "{near}");
        }
        for here in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "::127.0.0.1"] {
            assert!(!Reach::Network.dials(ip(here)) && Reach::Machine.dials(ip(here)), "{here}");
        }
        let never = [
            "0.0.0.0",
            "0.1.2.3",
            "::",
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "fe80::1",
            "224.0.0.1",
            "ff02::1",
            "255.255.255.255",
            "240.0.0.1",
        ];
        for never in never {
            assert!(!Reach::Machine.dials(ip(never)), "{never}");
        }
        assert_eq!(Reach::of("http://127.0.0.1:8899"), Reach::Machine);
        assert_eq!(Reach::of("http://[::1]:8899/"), Reach::Machine);
        assert_eq!(Reach::of("http://10.0.0.5"), Reach::Network);
        assert_eq!(Reach::of("https://203.0.113.7/rpc"), Reach::Internet);
        assert_eq!(Reach::of("nothing at all"), Reach::Internet);
    }

    #[test]
    fn no_way_of_writing_it_makes_a_stranger_dial_its_own_machine() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let stop = AtomicBool::new(false);
        let second = Duration::from_secs(1);
        let patience = Patience {
            by: Instant::now() + second * 20,
            stop: &stop,
            connect: second,
            first_byte: second,
            floor_bytes_per_second: 0,
            floor_window: second,
        };
        let ways =
            ["127.0.0.1", "127.1", "0x7f000001", "2130706433", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0", "0"];
        for way in ways {
            let address = format!("http://{way}:{port}");
            let peer = Peer { id: [1; 32], address: address.clone() };
            assert!(StrangersHttp::default().dial(&peer, &patience).is_err(), "{address}");
            assert!(listener.accept().is_err(), "{address}: somebody called");
        }
        let told = format!("127.0.0.1:{port}");
        let peer = Peer { id: [1; 32], address: told.clone() };
        assert!(StrangersHttp::new(Reach::Internet, [told]).dial(&peer, &patience).is_ok());
        let near = StrangersHttp::new(Reach::Machine, []);
        assert!(near.dial(&peer, &patience).is_ok());
        // Who serves under a name is known by the address that it led to.
        let named = Peer { id: [1; 32], address: format!("localhost:{port}") };
        assert_eq!(near.led_to(&named.address), [] as [IpAddr; 0]);
        assert!(near.dial(&named, &patience).is_ok());
        assert!(near.clone().led_to(&named.address).contains(&ip("127.0.0.1")));
    }
}
