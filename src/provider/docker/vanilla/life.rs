//! Switching clusters off and on again.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use futures::future::try_join_all;

use super::super::Job;
use super::machine::file;
use super::peers::{self, Peer};
use crate::diag::codes::docker::NOT_IN_TIME;
use crate::distribution::vanilla::{BALANCER, NETWORK, ROLE};
use crate::docker::{Life, Listed, Seen};
use crate::error::{Error, Result};
use crate::k8s;

/// How long a node may take to halt once its pods have ended.
const HALT: i32 = 5;
/// Ends what runs in a node, all at once: left to itself, systemd waits for pods that nobody ends any more. What was just
/// being started may be left frozen, and with cgroups of the first version nothing ends what is frozen.
const END_PODS: &str = "systemctl stop kubelet; \
    all() { ctr -n k8s.io tasks ls -q; }; \
    all | xargs -r -P 16 -n 1 ctr -n k8s.io tasks kill -s SIGTERM >/dev/null 2>&1; \
    for _ in $(seq 50); do [ \"$(ctr -n k8s.io tasks ls | grep -c RUNNING)\" = 0 ] && break; sleep 0.1; done; \
    systemctl stop containerd; \
    own=/sys/fs/cgroup/freezer$(sed -n 's/.*:freezer://p' /proc/1/cgroup); \
    [ ! -e $own/freezer.state ] || find $own -mindepth 2 -name freezer.state | \
    while read -r state; do echo THAWED >$state; done; true";
/// How long the API may take to come back.
const PATIENCE: Duration = Duration::from_mins(3);
/// How often the API is asked whether it is back: nothing tells when a process listens.
const PACE: Duration = Duration::from_millis(200);

/// The file that holds the address a container had. Nodes write it themselves when they start.
const FORMER: &str = "/kind/old-ipv4";

/// Switches every container off.
pub(super) async fn stop(job: &Job<'_>, members: &[Listed]) -> Result<()> {
    let stops = members.iter().map(|one| async move {
        if one.life == Life::Running && one.labels.get(ROLE).is_some_and(|role| role != BALANCER) {
            // A node that is too broken for that is switched off all the same.
            let _ = job
                .engine
                .exec(&one.id, &["bash", "-c", END_PODS], None)
                .await;
        }
        job.engine.stop(&one.id, HALT).await
    });
    try_join_all(stops).await.map(|_| ())
}

/// Switches every container on, in the order of their former addresses: the engine hands addresses out from the lowest,
/// so that each gets its own back. A single control plane repairs another address by itself, several are helped.
pub(super) async fn start(job: &Job<'_>, members: &[Listed]) -> Result<()> {
    let former = former(job, members).await?;
    let mut order: Vec<&Listed> = members.iter().collect();
    let gap = first_gap(former.values().copied());
    order.sort_by_key(|one| {
        let address = former.get(&one.name).copied();
        address.map_or(gap, u32::from)
    });
    for one in order {
        job.engine.start(&one.id).await?;
    }
    let control: Vec<&Listed> = members
        .iter()
        .filter(|one| {
            one.labels
                .get(ROLE)
                .is_some_and(|role| role == "control-plane")
        })
        .collect();
    if control.len() < 2 {
        return answers(job, 3).await;
    }
    let mut peers = Vec::new();
    for one in control {
        let now = job.engine.expect(&one.name).await?;
        let now = address(&now).and_then(|address| address.parse().ok());
        // Of one that kind made with IPv6 alone nothing is known, and nothing is mended.
        if let (Some(had), Some(now)) = (former.get(&one.name).copied(), now) {
            let name = one.name.clone();
            peers.push(Peer { name, had, now });
        }
    }
    peers::settle(job, peers).await
}

/// Writes the address of a running container that is no node into it, for the next start.
pub(super) async fn remember(job: &Job<'_>, name: &str) -> Result<()> {
    let seen = job.engine.expect(name).await?;
    let Some(address) = address(&seen) else {
        return Ok(());
    };
    let file = file(FORMER, 0o644, address);
    job.engine.put_files(name, &[file]).await
}

/// The address of a container in the network that its cluster is in: a registry may be in others, a node is in one.
fn address(seen: &Seen) -> Option<&str> {
    let usual = seen.addresses.get(NETWORK);
    usual
        .or_else(|| seen.addresses.values().next())
        .map(String::as_str)
}

/// The addresses that nodes had: each keeps its own in a file that can be read while it is off.
async fn former(job: &Job<'_>, members: &[Listed]) -> Result<BTreeMap<String, Ipv4Addr>> {
    let reads = members.iter().map(|one| async move {
        if one.life == Life::Running {
            let seen = job.engine.expect(&one.name).await?;
            let address = address(&seen).and_then(|a| a.parse().ok());
            return Ok::<_, Error>((one.name.clone(), address));
        }
        let bytes = job.engine.get_file(&one.name, FORMER).await?;
        let text = String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned();
        Ok((one.name.clone(), text.trim().parse().ok()))
    });
    let all = try_join_all(reads).await?;
    let known = all
        .into_iter()
        .filter_map(|(name, address)| Some((name, address?)));
    Ok(known.collect())
}

/// The lowest address that is free among these: where a container was whose address nobody knows, such as the load
/// balancer of a cluster that kind made. The engine's own address ends with 1.
fn first_gap(known: impl Iterator<Item = Ipv4Addr>) -> u32 {
    let mut known: Vec<u32> = known.map(u32::from).collect();
    known.sort_unstable();
    let lowest = known.first().copied().unwrap_or_default();
    let mut gap = (lowest & 0xffff_ff00) + 2;
    while known.contains(&gap) {
        gap += 1;
    }
    gap
}

/// Waits until the API answers so many times in a row: one that comes back may answer once and fall silent again while
/// the members of etcd find each other.
pub(super) async fn answers(job: &Job<'_>, times: usize) -> Result<()> {
    let client = job.client().await?;
    let began = std::time::Instant::now();
    let mut good = 0;
    while good < times {
        match k8s::nodes(&client).await {
            Ok(_) => good += 1,
            Err(problem) if began.elapsed() > PATIENCE => {
                let message = format!("the API of {} does not answer", job.name());
                return Err(Error::new(&NOT_IN_TIME, message)
                    .because(problem)
                    .help("look at the control plane with `docker logs` and `docker exec`"));
            }
            Err(_) => good = 0,
        }
        if good < times {
            tokio::time::sleep(PACE).await;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_without_an_address_fills_the_first_gap() {
        let known = |last: &[u8]| -> Vec<Ipv4Addr> {
            last.iter().map(|last| [172, 18, 0, *last].into()).collect()
        };
        let gap = |last: &[u8]| first_gap(known(last).into_iter()) & 0xff;
        assert_eq!((gap(&[3, 4, 5]), gap(&[2, 3, 5]), gap(&[2, 3])), (2, 4, 4));
    }
}
