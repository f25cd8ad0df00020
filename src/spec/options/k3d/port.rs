//! Published ports as text: `[HOST:][HOSTPORT:]PORT[/PROTOCOL]`, with ranges.

use std::net::IpAddr;

use crate::diag::codes::model::BAD_VALUE;
use crate::error::{Error, Result};

/// One published port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// The host's address.
    pub address: String,
    /// The host's port; `None` for any free one.
    pub host: Option<u16>,
    /// The container's port.
    pub container: u16,
    /// `tcp`, `udp` or `sctp`.
    pub protocol: &'static str,
}

/// How many ports one range may hold.
const MOST: usize = 1000;

/// Reads a port, or a range of them.
pub fn parse(text: &str) -> Result<Vec<Published>> {
    let wrong = |help: &str| {
        Error::new(&BAD_VALUE, format!("{text:?} is no published port")).help(help.to_string())
    };
    let (rest, protocol) = match text.rsplit_once('/') {
        None => (text, "tcp"),
        Some((rest, name)) => match name.to_ascii_lowercase().as_str() {
            "tcp" => (rest, "tcp"),
            "udp" => (rest, "udp"),
            "sctp" => (rest, "sctp"),
            _ => return Err(wrong("the protocol is tcp, udp or sctp")),
        },
    };
    let (rest, container) = rest.rsplit_once(':').map_or(("", rest), |(a, b)| (a, b));
    // What is left is HOST:HOSTPORT, HOSTPORT or nothing; an IPv6 address stands in brackets.
    let (address, host) = match rest.rsplit_once(':') {
        _ if rest.is_empty() => ("", ""),
        Some((address, host)) if !rest.ends_with(']') => (address, host),
        _ => ("", rest),
    };
    let address = address.trim_start_matches('[').trim_end_matches(']');
    let address = if address.is_empty() {
        "0.0.0.0"
    } else {
        address
    };
    if address.parse::<IpAddr>().is_err() {
        return Err(wrong(
            "before the ports stands an address such as 127.0.0.1",
        ));
    }
    let form = "use a form such as 8080:80, 127.0.0.1:8080:80/tcp or 8000-8010:8000-8010";
    let containers = range(container).ok_or_else(|| wrong(form))?;
    let hosts = match host {
        "" | "0" => None,
        host => Some(range(host).ok_or_else(|| wrong(form))?),
    };
    if hosts
        .as_ref()
        .is_some_and(|hosts| hosts.len() != containers.len())
    {
        return Err(wrong("both ranges must be of one length"));
    }
    let published = containers
        .iter()
        .enumerate()
        .map(|(index, container)| Published {
            address: address.to_string(),
            host: hosts.as_ref().and_then(|hosts| hosts.get(index).copied()),
            container: *container,
            protocol,
        });
    Ok(published.collect())
}

fn range(text: &str) -> Option<Vec<u16>> {
    let number = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0);
    let (low, high) = match text.split_once('-') {
        None => (number(text)?, number(text)?),
        Some((low, high)) => (number(low)?, number(high)?),
    };
    let is_right = low <= high && usize::from(high - low) < MOST;
    is_right.then(|| (low..=high).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> (String, Option<u16>, u16, &'static str) {
        let mut all = parse(text).unwrap();
        assert_eq!(all.len(), 1);
        let port = all.remove(0);
        (port.address, port.host, port.container, port.protocol)
    }

    #[test]
    fn reads_every_form() {
        assert_eq!(one("80"), ("0.0.0.0".into(), None, 80, "tcp"));
        assert_eq!(one("8080:80"), ("0.0.0.0".into(), Some(8080), 80, "tcp"));
        assert_eq!(
            one("127.0.0.1:8080:80/UDP"),
            ("127.0.0.1".into(), Some(8080), 80, "udp")
        );
        assert_eq!(one("127.0.0.1::80"), ("127.0.0.1".into(), None, 80, "tcp"));
        assert_eq!(one("[::1]:8080:80"), ("::1".into(), Some(8080), 80, "tcp"));
        let ports = parse("8000-8002:9000-9002").unwrap();
        assert_eq!(ports.len(), 3);
        assert_eq!((ports[2].host, ports[2].container), (Some(8002), 9002));
    }

    #[test]
    fn refuses_what_is_no_port() {
        for text in [
            "",
            "x",
            "0",
            "70000:80",
            "80/http",
            "host:80:80",
            "8000-8001:80",
            "9-8:9-8",
            "1:2:3:4",
            "1-2000:1-2000",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
