//! Further nodes: control planes with the keys of the first, workers with a token.

use super::super::Job;
use super::bootstrap::{DONE, is_done, oidc_authority};
use super::life;
use super::machine::{file, read};
use super::peers::KEEP;
use crate::diag::codes::docker::NO_CONTAINER;
use crate::distribution::vanilla::{CONFIG_PATH, DISCOVERY, NodeSettings, Settings, discovery};
use crate::error::{Error, Result};
use crate::facts::Role;
use crate::k8s;
use crate::step::File;
use crate::world::Happening;

/// What all control planes share, below `/etc/kubernetes`.
const SHARED: &[&str] = &[
    "pki/ca.crt",
    "pki/ca.key",
    "pki/front-proxy-ca.crt",
    "pki/front-proxy-ca.key",
    "pki/sa.pub",
    "pki/sa.key",
    "pki/etcd/ca.crt",
    "pki/etcd/ca.key",
];

/// Joins a node to the cluster.
pub(super) async fn join(job: &Job<'_>, settings: &Settings, node: &NodeSettings) -> Result<()> {
    let name = node.name.as_str();
    if is_done(job, name).await? {
        return Ok(());
    }
    // A machine that was removed by hand leaves its node behind, and kubeadm refuses to take the name again.
    // Behind a load balancer one answer says little about the next.
    life::answers(job, if settings.is_balanced() { 3 } else { 1 }).await?;
    let client = job.client().await?;
    k8s::ensure_nodes(&client, &[], std::slice::from_ref(&node.name)).await?;
    let mut files = match node.role {
        Role::ControlPlane => {
            let first = settings.control_planes().next();
            let first = first.map(|first| first.name.as_str()).unwrap_or_default();
            let mut files = read_all(job, first, SHARED).await?;
            files.extend(oidc_authority(settings));
            files
        }
        // A worker vouches for nobody and only has to know whom it trusts.
        Role::Worker => Vec::new(),
    };
    let authority = job.access().await?.authority;
    let found = file(DISCOVERY, 0o600, discovery(settings, &authority));
    files.push(found);
    job.engine.put_files(name, &files).await?;
    let script = format!("kubeadm join --config {CONFIG_PATH} && {KEEP} && touch {DONE}");
    let mut tell = |line: &str| {
        if line.starts_with('[') {
            job.work.report.tell(Happening::Waiting {
                on: "kubeadm join".into(),
                saw: line.to_string(),
            });
        }
    };
    let output = job
        .engine
        .exec_lines(name, &["bash", "-c", &script], None, &mut tell)
        .await?;
    output
        .success(format!("kubeadm join on {name}"))
        .map(|_| ())
        .map_err(|problem| {
            problem.help(format!(
                "`--keep` leaves the node: `docker exec {name} journalctl -u kubelet` tells more"
            ))
        })
}

/// Reads files of the first control plane, in the order given.
async fn read_all(job: &Job<'_>, first: &str, paths: &[&str]) -> Result<Vec<File>> {
    let reads = paths.iter().map(|path| async move {
        let path = format!("/etc/kubernetes/{path}");
        let text = read(job, first, &path).await?.ok_or_else(|| {
            Error::new(&NO_CONTAINER, format!("{first} has no {path}"))
                .help("delete the cluster and run again")
        })?;
        let mode = if path.ends_with(".key") { 0o600 } else { 0o644 };
        Ok(file(&path, mode, text))
    });
    futures::future::try_join_all(reads).await
}
