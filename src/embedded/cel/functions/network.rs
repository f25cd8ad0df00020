//! Addresses, networks and URLs.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use super::Answer;
use crate::embedded::cel::eval::Stop;
use crate::embedded::cel::value::{Key, Map, Val};

/// An address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::embedded) struct Ip(IpAddr);

/// A network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::embedded) struct Cidr {
    address: IpAddr,
    bits: u8,
}

/// A URL and its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::embedded) struct Url {
    text: String,
    scheme: String,
    host: String,
    path: String,
    query: String,
}

impl fmt::Display for Ip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

impl Ip {
    fn read(text: &str) -> Option<Self> {
        let address: IpAddr = text.parse().ok()?;
        let mapped = matches!(address, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some());
        (!mapped).then_some(Self(address))
    }
}

impl Cidr {
    fn read(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/')?;
        let leading_zero = bits.len() > 1 && bits.starts_with('0');
        if leading_zero || !bits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let (address, bits): (IpAddr, u8) = (Ip::read(address)?.0, bits.parse().ok()?);
        (bits <= width(address)).then_some(Self { address, bits })
    }

    fn masked(self) -> Self {
        let address = match self.address {
            IpAddr::V4(v4) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.bits)).unwrap_or(0);
                IpAddr::V4((u32::from(v4) & mask).into())
            }
            IpAddr::V6(v6) => {
                let mask = u128::MAX
                    .checked_shl(128 - u32::from(self.bits))
                    .unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from(u128::from(v6) & mask))
            }
        };
        Self { address, ..self }
    }

    fn contains(self, address: IpAddr) -> bool {
        let other = Self {
            address,
            bits: self.bits,
        };
        width(address) == width(self.address) && other.masked().address == self.masked().address
    }

    fn covers(self, other: Self) -> bool {
        other.bits >= self.bits && self.contains(other.address)
    }
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

impl Url {
    /// Reads an absolute URL or path.
    fn read(text: &str) -> Option<Self> {
        if text.is_empty() || text.chars().any(char::is_control) {
            return None;
        }
        let text_before = text.split('#').next().unwrap_or_default();
        let (head, query) = text_before.split_once('?').unwrap_or((text_before, ""));
        let (scheme, rest) = match head.split_once(':') {
            Some((scheme, rest)) if !scheme.contains('/') => {
                let mut letters = scheme.chars();
                let good = letters.next().is_some_and(|c| c.is_ascii_alphabetic())
                    && letters.all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
                if !good {
                    return None;
                }
                (scheme, rest)
            }
            _ if head.starts_with('/') => ("", head),
            _ => return None,
        };
        let (host, path) = match rest.strip_prefix("//") {
            Some(rest) => {
                let end = rest.find('/').unwrap_or(rest.len());
                rest.split_at(end)
            }
            None => ("", rest),
        };
        let host = host.rsplit('@').next().unwrap_or_default();
        if host.contains(' ') || path.contains(' ') && scheme.is_empty() {
            return None;
        }
        if let Some((_, port)) = host
            .rsplit_once(':')
            .filter(|(_, port)| !port.contains(']'))
            && !port.bytes().all(|b| b.is_ascii_digit())
        {
            return None;
        }
        Some(Self {
            text: text.to_owned(),
            scheme: scheme.to_ascii_lowercase(),
            host: host.to_owned(),
            path: path.replace(' ', "%20"),
            query: query.to_owned(),
        })
    }

    fn host_and_port(&self) -> (&str, &str) {
        if let Some(rest) = self.host.strip_prefix('[') {
            let (name, after) = rest.split_once(']').unwrap_or((rest, ""));
            return (name, after.strip_prefix(':').unwrap_or_default());
        }
        self.host.rsplit_once(':').unwrap_or((&self.host, ""))
    }

    fn queries(&self) -> Val {
        let mut map: Map = Map::new();
        for pair in self.query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let key = Key::Str(decoded(name).into());
            let mut items = match map.get(&key) {
                Some(Val::List(list)) => list.items.clone(),
                _ => Vec::new(),
            };
            items.push(Val::from(decoded(value)));
            map.insert(key, Val::from(items));
        }
        map.into()
    }
}

fn decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                let pair: Vec<u8> = bytes.by_ref().take(2).collect();
                let code = std::str::from_utf8(&pair)
                    .ok()
                    .and_then(|hex| u8::from_str_radix(hex, 16).ok());
                out.extend(code);
            }
            byte => out.push(byte),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn need<T>(found: Option<T>, what: &str, text: &str) -> Result<T, Stop> {
    found.ok_or_else(|| Stop::Failed(format!("{what} {text:?} parse error during conversion")))
}

pub(super) fn call(name: &str, args: &[Val]) -> Answer {
    Some(match (name, args) {
        ("ip", [Val::Str(text)]) => need(Ip::read(text), "IP Address", text).map(Val::Ip),
        ("isIP", [Val::Str(text)]) => Ok(Val::Bool(Ip::read(text).is_some())),
        ("ip.isCanonical", [Val::Str(text)]) => {
            need(Ip::read(text), "IP Address", text).map(|ip| Val::Bool(ip.to_string() == **text))
        }
        ("cidr", [Val::Str(text)]) => {
            need(Cidr::read(text), "network address", text).map(Val::Cidr)
        }
        ("isCIDR", [Val::Str(text)]) => Ok(Val::Bool(Cidr::read(text).is_some())),
        ("url", [Val::Str(text)]) => {
            need(Url::read(text), "URL", text).map(|url| Val::Url(Arc::new(url)))
        }
        ("isURL", [Val::Str(text)]) => Ok(Val::Bool(Url::read(text).is_some())),
        (_, [Val::Ip(ip), rest @ ..]) => return of_ip(name, ip.0, rest),
        (_, [Val::Cidr(cidr), rest @ ..]) => return of_cidr(name, *cidr, rest),
        (_, [Val::Url(url)]) => Ok(match name {
            "getScheme" => Val::from(url.scheme.as_str()),
            "getHost" => Val::from(url.host.as_str()),
            "getHostname" => Val::from(url.host_and_port().0),
            "getPort" => Val::from(url.host_and_port().1),
            "getEscapedPath" => Val::from(url.path.as_str()),
            "getQuery" => url.queries(),
            _ => return None,
        }),
        _ => return None,
    })
}

fn of_ip(name: &str, ip: IpAddr, rest: &[Val]) -> Answer {
    if !rest.is_empty() {
        return None;
    }
    let link_local = match ip {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    let local_multicast = match ip {
        IpAddr::V4(v4) => v4.octets().starts_with(&[224, 0, 0]),
        IpAddr::V6(v6) => v6.segments().first().is_some_and(|s| s & 0xff0f == 0xff02),
    };
    let broadcast = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
    Some(Ok(match name {
        "family" => Val::Int(if ip.is_ipv4() { 4 } else { 6 }),
        "isUnspecified" => Val::Bool(ip.is_unspecified()),
        "isLoopback" => Val::Bool(ip.is_loopback()),
        "isLinkLocalMulticast" => Val::Bool(local_multicast),
        "isLinkLocalUnicast" => Val::Bool(link_local),
        "isGlobalUnicast" => Val::Bool(
            !(ip.is_unspecified()
                || ip.is_loopback()
                || ip.is_multicast()
                || link_local
                || broadcast),
        ),
        _ => return None,
    }))
}

fn of_cidr(name: &str, cidr: Cidr, rest: &[Val]) -> Answer {
    Some(match (name, rest) {
        ("ip", []) => Ok(Val::Ip(Ip(cidr.address))),
        ("prefixLength", []) => Ok(Val::Int(cidr.bits.into())),
        ("masked", []) => Ok(Val::Cidr(cidr.masked())),
        ("containsIP", [Val::Ip(ip)]) => Ok(Val::Bool(cidr.contains(ip.0))),
        ("containsIP", [Val::Str(text)]) => {
            need(Ip::read(text), "IP Address", text).map(|ip| Val::Bool(cidr.contains(ip.0)))
        }
        ("containsCIDR", [Val::Cidr(other)]) => Ok(Val::Bool(cidr.covers(*other))),
        ("containsCIDR", [Val::Str(text)]) => need(Cidr::read(text), "network address", text)
            .map(|other| Val::Bool(cidr.covers(other))),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Cidr, Ip, Url};

    #[test]
    fn urls_have_parts() {
        let url = Url::read("https://me@example.com:80/path?k=a&k=b#frag").unwrap();
        assert_eq!(url.scheme, "https");
        assert_eq!(url.host, "example.com:80");
        assert_eq!(url.host_and_port(), ("example.com", "80"));
        assert_eq!(url.path, "/path");
        let url = Url::read("https://[::1]:80/").unwrap();
        assert_eq!(url.host_and_port(), ("::1", "80"));
        assert!(Url::read("/path").is_some());
        assert!(Url::read("../path").is_none());
        assert!(Url::read("https://a:b").is_none());
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "[-a-z0-9:/?#@%\\[\\]. ]{0,30}") {
            let _ = Url::read(&text).map(|url| (url.queries(), url.host_and_port().0.len()));
            let _ = Ip::read(&text);
            let _ = Cidr::read(&text).map(Cidr::masked);
        }

        #[test]
        fn a_network_holds_its_own_address(a in any::<u32>(), bits in 0_u8..=32) {
            let text = format!("{}/{bits}", std::net::Ipv4Addr::from(a));
            let cidr = Cidr::read(&text).unwrap();
            prop_assert!(cidr.contains(cidr.address) && cidr.covers(cidr.masked()));
        }
    }
}
