//! Networks and address ranges that a cluster cannot have.

use super::super::{ProviderSpec, Tree};
use crate::axis::{Distribution, Provider};
use crate::diag::codes::model::{CONTRADICTION, NOT_ON_DISTRIBUTION};
use crate::error::Error;

/// The parts of a KWOK cluster find each other in a network of their own, which kwokctl looks for by its name.
pub(super) fn joins(
    distribution: Distribution,
    provider: &ProviderSpec,
    problems: &mut Vec<Error>,
) {
    if provider.kind == Provider::Docker
        && distribution == Distribution::Kwok
        && provider.options.contains_key("network")
    {
        let message = "kwok has a network of its own and joins no other";
        problems.push(
            Error::new(&NOT_ON_DISTRIBUTION, message)
                .help("leave `network` out: its nodes are simulated, and the API is published on the host")
                .field("provider"),
        );
    }
}

/// The nested cluster's ranges must not meet the ranges that host clusters usually have.
pub(super) fn nested_ranges(provider: &ProviderSpec, problems: &mut Vec<Error>) {
    if provider.kind != Provider::Kubernetes {
        return;
    }
    for key in ["pod_cidr", "service_cidr"] {
        let Some(given) = provider.options.get(key).and_then(Tree::as_text) else {
            continue;
        };
        for host in ["10.244.0.0/16", "10.96.0.0/12"] {
            if overlap(given, host) {
                problems.push(
                    Error::new(&CONTRADICTION, format!("the nested cluster's range {given} overlaps {host}, which host clusters use"))
                        .help("use ranges such as 10.64.0.0/16 and 10.128.0.0/16")
                        .field("provider"),
                );
            }
        }
    }
}

fn overlap(one: &str, other: &str) -> bool {
    let range = |text: &str| -> Option<(u32, u32)> {
        let (address, bits) = text.split_once('/')?;
        let address = u32::from(address.parse::<std::net::Ipv4Addr>().ok()?);
        let bits: u32 = bits.parse().ok().filter(|bits| *bits <= 32)?;
        let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
        Some((address & mask, address | !mask))
    };
    match (range(one), range(other)) {
        (Some((a, b)), Some((c, d))) => a <= d && c <= b,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_ranges_stay_clear_of_the_host() {
        assert!(
            overlap("10.244.1.0/24", "10.244.0.0/16") && !overlap("10.64.0.0/16", "10.244.0.0/16")
        );
        assert!(overlap("0.0.0.0/0", "10.96.0.0/12"));
    }
}
