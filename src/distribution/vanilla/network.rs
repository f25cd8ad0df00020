//! The network that all clusters share, and its IPv6 range.

use crate::step::Network;

/// How many ranges are tried when one is taken.
pub const ATTEMPTS: u32 = 5;

/// The network of a name with the range of an attempt; without IPv6 for `None`.
pub fn network(name: &str, attempt: Option<u32>, mtu: Option<u32>) -> Network {
    let mut options = std::collections::BTreeMap::from([(
        "com.docker.network.bridge.enable_ip_masquerade".to_string(),
        "true".to_string(),
    )]);
    if let Some(mtu) = mtu.filter(|mtu| *mtu > 0) {
        options.insert("com.docker.network.driver.mtu".into(), mtu.to_string());
    }
    Network {
        name: name.into(),
        options,
        subnet6: attempt.map(|attempt| range(name, attempt)),
        ..Network::default()
    }
}

/// The private range that follows from the network's name: every machine comes to the same one.
fn range(name: &str, attempt: u32) -> String {
    let mut text = name.as_bytes().to_vec();
    text.extend(attempt.to_le_bytes());
    let digest = ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, &text);
    let mut bytes = [0u8; 16];
    bytes[0] = 0xfc;
    for (to, from) in bytes.iter_mut().zip(digest.as_ref()).take(8).skip(2) {
        *to = *from;
    }
    format!("{}/64", std::net::Ipv6Addr::from(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_as_long_as_the_engine_makes_them() {
        let option = |mtu| {
            let made = network("kind", Some(0), mtu);
            made.options.get("com.docker.network.driver.mtu").cloned()
        };
        assert_eq!(option(Some(1_450)).as_deref(), Some("1450"));
        assert_eq!((option(Some(0)), option(None)), (None, None));
    }

    #[test]
    fn the_ranges_are_kinds() {
        let ranges: Vec<String> = (0..3).map(|attempt| range("kind", attempt)).collect();
        assert_eq!(
            ranges,
            [
                "fc00:f853:ccd:e793::/64",
                "fc00:8866:27d0:bd7e::/64",
                "fc00:ddd9:fcae:c61c::/64"
            ]
        );
    }
}
