//! The network of a cluster. Several servers have fixed addresses in it, for etcd remembers them and an engine that was
//! restarted gives others; engines give fixed ones only in a range that was asked for.

use super::given::FIXED;
use crate::diag::codes::docker::SUBNET_TAKEN;
use crate::distribution::k3s::Definition;
use crate::docker::labels;
use crate::error::Result;
use crate::provider::docker::Job;
use crate::step::Network;

/// How often a free range is looked for: somebody else may take it before it is asked for.
const TRIES: usize = 4;
/// The option that holds the length of packets.
const MTU: &str = "com.docker.network.driver.mtu";

/// Makes the network unless it is there.
pub(super) async fn ensure(job: &Job<'_>, mut network: Network) -> Result<()> {
    let engine = job.engine;
    if engine.network_id(&network.name).await?.is_some() {
        return job.own_network(&network).await;
    }
    if let Some(mtu) = engine.usual_mtu().await?.filter(|mtu| *mtu > 0) {
        network.options.insert(MTU.into(), mtu.to_string());
    }
    let is_own = network.labels.contains_key(labels::CLUSTER);
    let servers = job
        .work
        .spec
        .map_or(1, |spec| Definition::of(spec).servers());
    if !is_own || servers < 2 || network.subnet.is_some() {
        return job.own_network(&network).await;
    }
    network.labels.insert(FIXED.into(), "true".into());
    let mut tried = 0;
    loop {
        tried += 1;
        network.subnet = free_range(job, &network).await?;
        match job.own_network(&network).await {
            Err(problem) if problem.code().id == SUBNET_TAKEN.id && tried < TRIES => {}
            answer => return answer,
        }
    }
}

/// A range that the engine would give: one network is made to see it, and removed.
async fn free_range(job: &Job<'_>, network: &Network) -> Result<Option<String>> {
    let probe = Network {
        name: format!("{}-range", network.name),
        labels: network.labels.clone(),
        ..Network::default()
    };
    job.engine.ensure_network(&probe).await?;
    let found = job.engine.network_subnet(&probe.name).await?;
    job.engine.remove_network(&probe.name).await?;
    Ok(found.map(|(range, _)| range))
}
