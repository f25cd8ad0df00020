//! Control planes that came back with other addresses. Members of etcd know each other by address, and without a
//! majority nobody can tell them new ones; so the old ones are led to the new until a majority is there.
//!
//! ```text
//! 1  certificates for the old and the new address, signed by the cluster's own authority
//! 2  on every node: what goes to another member's old address is sent to its new one
//! 3  once the API answers: etcd is told to know them by name from now on, and 2 is taken back
//! ```
//!
//! How etcd knows a member is kept in a file of the node, so that a repair that was cut off is begun anew, and one that
//! came to its end is never wanted again.

use std::net::{IpAddr, Ipv4Addr};

use futures::future::{join_all, try_join_all};
use serde_json::Value;
use x509_parser::extensions::GeneralName;

use super::super::Job;
use super::life;
use super::machine::{file, read};
use super::pki;
use crate::diag::codes::docker::ADDRESS_CHANGED;
use crate::docker::{Engine, Listed};
use crate::error::{Error, Result};

/// The file that holds how etcd knows a member: the address it had once, or its name.
const KNOWN: &str = "/kind/ksail-peer";
/// The certificate that a member shows to others.
const CERTIFICATE: &str = "/etc/kubernetes/pki/etcd/peer.crt";
/// Keeps the address by which a new member came to be known: its node finds out only where it is, never where it was.
pub(super) const KEEP: &str =
    "{ [ -e /kind/ksail-peer ] || [ ! -e /kind/old-ipv4 ] || cp /kind/old-ipv4 /kind/ksail-peer; }";
/// Leads an old address to the new one, once.
const LEAD: &str = "iptables -t nat -C OUTPUT -p tcp -d $0 --dport 2380 -j DNAT --to-destination $1:2380 2>/dev/null || \
    iptables -t nat -A OUTPUT -p tcp -d $0 --dport 2380 -j DNAT --to-destination $1:2380";
/// Takes that back, as often as it was done.
const LET_GO: &str = "while iptables -t nat -D OUTPUT -p tcp -d $0 --dport 2380 -j DNAT --to-destination $1:2380 2>/dev/null; do :; done";
/// Runs etcdctl in the container of etcd, with the certificate that its own probes use.
const ETCDCTL: &str = r#"pki=/etc/kubernetes/pki/etcd
for id in $(ctr -n k8s.io containers ls -q 'labels."io.kubernetes.container.name"==etcd'); do
  ctr -n k8s.io tasks ls | grep -q "^$id .*RUNNING" || continue
  exec ctr -n k8s.io tasks exec --exec-id "ksail$$" "$id" etcdctl --endpoints=https://127.0.0.1:2379 \
    --cacert=$pki/ca.crt --cert=$pki/healthcheck-client.crt --key=$pki/healthcheck-client.key "$@"
done
echo "etcd does not run" >&2
exit 1"#;

/// A control plane that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Peer {
    /// Its name.
    pub(super) name: String,
    /// The address it had before.
    pub(super) had: Ipv4Addr,
    /// The address it has.
    pub(super) now: Ipv4Addr,
}

/// How etcd knows a member.
enum Known {
    /// By its name: wherever it is, it is found.
    Name,
    /// By the address that it joined with.
    Address(Ipv4Addr),
    /// Nothing says so.
    Nothing,
}

/// Finds out how etcd knows the member on a node. One that kind made, or ksail long ago, has no file for that; then the
/// address stands in the certificate that the member joined with.
async fn known(engine: &Engine, id: &str, name: &str) -> Result<Known> {
    let text = async |path| {
        let bytes = engine.get_file(id, path).await?.unwrap_or_default();
        Ok::<_, Error>(String::from_utf8_lossy(&bytes).trim().to_string())
    };
    let kept = text(KNOWN).await?;
    if kept == name {
        return Ok(Known::Name);
    }
    let address = match kept.parse().ok() {
        Some(address) => Some(address),
        None => certified(&text(CERTIFICATE).await?),
    };
    Ok(address.map_or(Known::Nothing, Known::Address))
}

/// The address that a certificate counts for, but for the node's own loopback.
fn certified(pem: &str) -> Option<Ipv4Addr> {
    let (_, pem) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).ok()?;
    let certificate = pem.parse_x509().ok()?;
    let names = certificate.subject_alternative_name().ok()??;
    names
        .value
        .general_names
        .iter()
        .find_map(|name| match name {
            GeneralName::IPAddress(bytes) => {
                let address = Ipv4Addr::from(<[u8; 4]>::try_from(*bytes).ok()?);
                (!address.is_loopback()).then_some(address)
            }
            _ => None,
        })
}

/// Has etcd find its members again where they have other addresses, and waits until the API answers.
pub(super) async fn settle(job: &Job<'_>, peers: Vec<Peer>) -> Result<()> {
    let known = peers.into_iter().map(|peer| async move {
        let had = match known(job.engine, &peer.name, &peer.name).await? {
            Known::Name => peer.now,
            Known::Address(had) => had,
            Known::Nothing => peer.had,
        };
        Ok::<_, Error>(Peer { had, ..peer })
    });
    let peers = try_join_all(known).await?;
    let moved: Vec<&Peer> = peers.iter().filter(|peer| peer.had != peer.now).collect();
    let Some(first) = moved.first() else {
        return life::answers(job, 20).await;
    };
    let lost = |problem: Error| lost(first, problem);
    prepare(job, &moved).await.map_err(lost)?;
    on_each(job, &peers, &moved, LEAD).await.map_err(lost)?;
    life::answers(job, 20).await.map_err(lost)?;
    tell(job, &first.name, &moved).await.map_err(lost)?;
    on_each(job, &peers, &moved, LET_GO).await?;
    let told = moved.iter().map(|peer| async move {
        let name = file(KNOWN, 0o644, peer.name.as_str());
        job.engine.put_files(&peer.name, &[name]).await
    });
    try_join_all(told).await?;
    // Members find each other anew by what they were told.
    life::answers(job, 20).await
}

/// Whether a running control plane is elsewhere than etcd knows it to be.
pub(super) async fn is_moved(engine: &Engine, members: &[&Listed]) -> bool {
    let looks = members.iter().map(|one| async move {
        let Known::Address(known) = known(engine, &one.id, &one.name).await.ok()? else {
            return None;
        };
        let now = engine.inspect(&one.id).await.ok().flatten()?;
        let mut now = now.addresses.values().filter_map(|text| text.parse().ok());
        now.next().map(|now: Ipv4Addr| now != known)
    });
    join_all(looks).await.contains(&Some(true))
}

/// Says that a control plane stays lost to the others.
fn lost(peer: &Peer, problem: Error) -> Error {
    let message = format!(
        "{} had the address {} and came back with {}",
        peer.name, peer.had, peer.now
    );
    Error::new(&ADDRESS_CHANGED, message)
        .because(problem)
        .help("stop the container that has the former address, then stop and start the cluster")
}

/// Certificates that count for both addresses, and the old address kept for a run that has to begin anew.
async fn prepare(job: &Job<'_>, moved: &[&Peer]) -> Result<()> {
    let all = moved.iter().map(|peer| async move {
        let (ca, key) = tokio::try_join!(
            read(job, &peer.name, "/etc/kubernetes/pki/etcd/ca.crt"),
            read(job, &peer.name, "/etc/kubernetes/pki/etcd/ca.key")
        )?;
        let addresses = [IpAddr::V4(peer.now), IpAddr::V4(peer.had)];
        let (ca, key) = (ca.unwrap_or_default(), key.unwrap_or_default());
        let mut files = pki::etcd(&ca, &key, &peer.name, &addresses)?;
        files.push(file(KNOWN, 0o644, peer.had.to_string()));
        job.engine.put_files(&peer.name, &files).await
    });
    try_join_all(all).await.map(|_| ())
}

/// Runs a script for every moved member on every other.
async fn on_each(job: &Job<'_>, peers: &[Peer], moved: &[&Peer], script: &str) -> Result<()> {
    for peer in moved {
        let (had, now) = (peer.had.to_string(), peer.now.to_string());
        let argv = ["sh", "-c", script, had.as_str(), now.as_str()];
        let others = peers.iter().filter(|other| other.name != peer.name);
        let all = others.map(|other| async {
            let answer = job.engine.exec(&other.name, &argv, None).await?;
            answer.success(format!("leading {} to {}", other.name, peer.name))
        });
        try_join_all(all).await?;
    }
    Ok(())
}

/// Has etcd know its members by name: a name is never another's, and goes with its container wherever that comes back.
async fn tell(job: &Job<'_>, node: &str, moved: &[&Peer]) -> Result<()> {
    let run = async |more: &[&str]| {
        let argv = [&["bash", "-c", ETCDCTL, "bash"], more].concat();
        let answer = job.engine.exec(node, &argv, None).await?;
        answer.success(format!("asking etcd on {node}"))
    };
    let list = run(&["member", "list", "-w", "json"]).await?;
    for peer in moved {
        let Some(id) = member(&list.text(), &peer.name) else {
            let message = format!("etcd knows no member {}", peer.name);
            return Err(Error::new(&ADDRESS_CHANGED, message));
        };
        let url = format!("--peer-urls=https://{}:2380", peer.name);
        run(&["member", "update", &id, &url]).await?;
    }
    Ok(())
}

/// The id of a member, as etcdctl takes it, in the list that etcdctl gives.
fn member(list: &str, name: &str) -> Option<String> {
    let list: Value = serde_json::from_str(list).ok()?;
    let members = list.get("members")?.as_array()?;
    let found = members.iter().find(|member| member["name"] == name)?;
    Some(format!("{:x}", found.get("ID")?.as_u64()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_which_address_was_lost() {
        let peer = Peer {
            name: "dev-control-plane2".into(),
            had: [172, 18, 0, 3].into(),
            now: [172, 18, 0, 5].into(),
        };
        let problem = lost(&peer, Error::new(&ADDRESS_CHANGED, "no majority"));
        assert_eq!(problem.code().id, "E0842");
        assert_eq!(
            problem.message(),
            "dev-control-plane2 had the address 172.18.0.3 and came back with 172.18.0.5"
        );
        assert!(problem.causes().join("").contains("no majority"));
    }

    #[test]
    fn finds_a_member_by_its_name() {
        let list = r#"{"header":{},"members":[{"ID":18249187646912138824,"name":"dev-control-plane","peerURLs":["https://172.18.0.3:2380"]}]}"#;
        assert_eq!(
            member(list, "dev-control-plane").as_deref(),
            Some("fd422379fda50e48")
        );
        assert_eq!(member(list, "other"), None);
        assert_eq!(member("no JSON", "other"), None);
    }
}
