//! The network that all clusters share: made with the range that kind would give it, another one if that is taken, and
//! without IPv6 where the engine has none.

use super::super::Job;
use crate::diag::codes::docker::SUBNET_TAKEN;
use crate::distribution::vanilla;
use crate::docker::labels;
use crate::error::{Error, Result};

/// Makes the network unless it is there; one that is there is used as it is. One of the user's naming is known by a label
/// as made by ksail, and goes with the last cluster in it.
pub(super) async fn ensure(job: &Job<'_>, name: &str) -> Result<()> {
    let engine = job.engine;
    let mtu = engine.usual_mtu().await?;
    let network = |attempt| {
        let mut network = vanilla::network(name, attempt, mtu);
        if name != vanilla::NETWORK {
            let label = (labels::NAME.to_string(), job.name().to_string());
            network.labels.extend([label]);
        }
        network
    };
    let mut last = None;
    for attempt in 0..vanilla::ATTEMPTS {
        match engine.ensure_network(&network(Some(attempt))).await {
            Ok(_) => return Ok(()),
            Err(problem) if is_without_ipv6(&problem) => {
                return engine.ensure_network(&network(None)).await.map(|_| ());
            }
            Err(problem) if problem.code().id == SUBNET_TAKEN.id => {
                last = Some(problem);
            }
            Err(problem) => return Err(problem),
        }
    }
    match last {
        Some(problem) => Err(problem),
        None => Ok(()),
    }
}

fn is_without_ipv6(problem: &Error) -> bool {
    says(
        problem,
        &["ipv6 setup", "ip6tables", "read ipv6", "ipv6 is disabled"],
    )
}

fn says(problem: &Error, words: &[&str]) -> bool {
    let text = problem.causes().join(" ").to_lowercase();
    words.iter().any(|word| text.contains(word))
}
