//! Kubernetes on the first control plane: kubeadm runs, and the pod network and storage go in as soon as the API answers,
//! while kubeadm still does the rest.

use std::net::IpAddr;
use std::time::Duration;

use serde_json::Value;

use super::super::Job;
use super::access;
use super::machine::{file, front_file, place, read};
use super::peers::KEEP;
use super::pki::Pki;
use crate::diag::codes::docker::{BAD_NODE_IMAGE, NOT_IN_TIME};
use crate::distribution::vanilla::{self, CONFIG_PATH, NodeSettings, Settings};
use crate::error::{Error, Result};
use crate::k8s;
use crate::step::File;
use crate::world::Happening;

/// What a node has once kubeadm is through with it.
pub(super) const DONE: &str = "/kind/ksail-done";
/// What a node has once kubeadm has begun.
const BEGUN: &str = "/etc/kubernetes/kubelet.conf";
/// How long the API may take before it answers; kubeadm gives up sooner.
const PATIENCE: Duration = Duration::from_mins(5);
/// How often the API is asked whether it answers: nothing tells when a process listens.
const PACE: Duration = Duration::from_millis(100);
/// The label that keeps load balancers from a cluster's only node.
const EXCLUDED: &str = "node.kubernetes.io/exclude-from-external-load-balancers";

/// Starts Kubernetes on the first control plane.
pub(super) async fn bootstrap(
    job: &Job<'_>,
    settings: &Settings,
    node: &NodeSettings,
) -> Result<()> {
    let name = node.name.as_str();
    let (is_done, place) = tokio::try_join!(is_done(job, name), place(job, settings, name))?;
    if is_done {
        // A run that was cut off after kubeadm may have left the rest undone.
        return apply(&job.client().await?, &manifests(job, settings, node).await?).await;
    }
    let wants_v6 = settings.family == vanilla::Family::V6;
    let address = [&place.v4, &place.v6]
        .into_iter()
        .flatten()
        .filter_map(|text| text.parse::<IpAddr>().ok())
        .find(|address| address.is_ipv6() == wants_v6);
    let address = address.ok_or_else(|| {
        Error::new(&NOT_IN_TIME, format!("the engine gave {name} no address"))
            .help("look at `docker network inspect kind`")
    })?;
    let mut pki = Pki::make(settings, name, address)?;
    pki.files.extend(oidc_authority(settings));
    let server = access::server(job.engine, settings.endpoint(), name).await?;
    if settings.is_balanced() {
        let port = server
            .rsplit_once(':')
            .and_then(|(_, port)| port.parse().ok());
        pki.files.extend(port.map(front_file));
    }
    job.engine.put_files(name, &pki.files).await?;
    let client = job.known.set_way(pki.access(server)).await?.client;
    let install = async { apply(&client, &manifests(job, settings, node).await?).await };
    tokio::try_join!(init(job, settings, name), install)?;
    if settings.is_alone() {
        k8s::unlabel(&client, name, EXCLUDED).await?;
    }
    Ok(())
}

/// The certificate authority of the identity provider, which every control plane needs.
pub(super) fn oidc_authority(settings: &Settings) -> Option<File> {
    let pem = settings.oidc_authority.as_deref()?;
    Some(file(vanilla::OIDC_AUTHORITY, 0o644, pem))
}

/// Takes back what a run that was cut off began on a node.
async fn reset(job: &Job<'_>, node: &str) -> Result<()> {
    let script = "kubeadm reset --force --cri-socket unix:///run/containerd/containerd.sock; rm -rf /etc/kubernetes/pki";
    job.engine
        .exec(node, &["bash", "-c", script], None)
        .await?
        .success(format!("resetting {node}"))
        .map(|_| ())
}

/// Says whether kubeadm is through with a node; what it only began is taken back.
pub(super) async fn is_done(job: &Job<'_>, node: &str) -> Result<bool> {
    if job.known.take_new(node).await {
        return Ok(false);
    }
    let (is_done, has_begun) =
        tokio::try_join!(is_there(job, node, DONE), is_there(job, node, BEGUN))?;
    if !is_done && has_begun {
        reset(job, node).await?;
    }
    Ok(is_done)
}

async fn is_there(job: &Job<'_>, node: &str, path: &str) -> Result<bool> {
    read(job, node, path).await.map(|text| text.is_some())
}

async fn init(job: &Job<'_>, settings: &Settings, node: &str) -> Result<()> {
    let _heavy = job.engine.heavy().await?;
    // Keys and kubeconfigs are there already; kubeadm would make others to compare them with.
    let skipped = if settings.patches_cluster() {
        String::new()
    } else {
        let proxy = if settings.proxy_mode == "none" {
            ",addon/kube-proxy"
        } else {
            ""
        };
        format!(" --skip-phases=preflight,certs,kubeconfig{proxy}")
    };
    let script = format!(
        "kubeadm init --config={CONFIG_PATH} --skip-token-print{skipped} && {KEEP} && touch {DONE}"
    );
    let mut tell = |line: &str| {
        if line.starts_with('[') {
            job.work.report.tell(Happening::Waiting {
                on: "kubeadm init".into(),
                saw: line.to_string(),
            });
        }
    };
    let output = job
        .engine
        .exec_lines(node, &["bash", "-c", &script], None, &mut tell)
        .await?;
    output
        .success(format!("kubeadm init on {node}"))
        .map(|_| ())
        .map_err(|problem| {
            problem.help(format!(
                "`--keep` leaves the node: `docker exec {node} journalctl -u kubelet` tells more"
            ))
        })
}

/// The objects of the node image that make a cluster usable, and where its registry is.
async fn manifests(job: &Job<'_>, settings: &Settings, node: &NodeSettings) -> Result<Vec<Value>> {
    let name = node.name.as_str();
    let mut objects = Vec::new();
    if settings.default_cni {
        let text = read(job, name, vanilla::CNI).await?.ok_or_else(|| {
            let what = format!("the image {} has no {}", node.image, vanilla::CNI);
            Error::new(&BAD_NODE_IMAGE, what).help("use a node image, such as kindest/node")
        })?;
        objects.extend(vanilla::cni(&text, settings)?);
    }
    match read(job, name, vanilla::STORAGE).await? {
        Some(text) => objects.extend(vanilla::objects(&text)?),
        None => objects.push(vanilla::old_storage()),
    }
    objects.extend(super::super::registry::hosting(&job.spec()?.settings));
    Ok(objects)
}

/// Applies objects as soon as the API takes them; it begins to answer before it can do everything.
async fn apply(client: &k8s::Client, objects: &[Value]) -> Result<()> {
    let began = std::time::Instant::now();
    for object in objects {
        while let Err(problem) = k8s::apply(client, object).await {
            if began.elapsed() > PATIENCE {
                return Err(problem);
            }
            tokio::time::sleep(PACE).await;
        }
    }
    Ok(())
}
