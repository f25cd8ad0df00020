//! Simulated nodes: shown, removed, waited for.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use futures::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Node as Object;
use kube::api::{
    Api, DeleteParams, ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams,
};
use kube::{Client, ResourceExt as _};
use serde_json::{Value, json};

use super::failed;
use super::look::facts;
use crate::diag::codes::run::{API_FAILED, NO_PROGRESS};
use crate::error::{Error, Result};
use crate::step::Node;
use crate::world::{Happening, Reporter};

/// How many requests are under way at once.
const AT_ONCE: usize = 16;
/// How long nothing may change before a wait is given up.
const PATIENCE: Duration = Duration::from_mins(1);
/// How soon a server that did not answer is asked again: one that comes back gives nothing to follow.
const PACE: Duration = Duration::from_millis(250);

/// Shows these nodes and removes those; nodes that are there already stay as they are.
pub async fn ensure_nodes(client: &Client, wanted: &[Node], remove: &[String]) -> Result<()> {
    let api = Api::<Object>::all(client.clone());
    let there: BTreeSet<String> = api
        .list_metadata(&ListParams::default())
        .await
        .map_err(|cause| failed("listing nodes", cause))?
        .iter()
        .map(kube::ResourceExt::name_any)
        .collect();
    // Owned, so that the requests borrow nothing from the closure that makes them.
    let mut creations = Vec::new();
    for node in wanted.iter().filter(|node| !there.contains(&node.name)) {
        creations.push(create(api.clone(), node.clone()));
    }
    futures::stream::iter(creations)
        .buffer_unordered(AT_ONCE)
        .try_collect::<Vec<()>>()
        .await?;
    for name in remove {
        match api.delete(name, &DeleteParams::background()).await {
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            Err(cause) => return Err(failed(format!("removing node {name}"), cause)),
            Ok(_) => {}
        }
    }
    Ok(())
}

async fn create(api: Api<Object>, node: Node) -> Result<()> {
    let object: Object = serde_json::from_value(object(&node)).map_err(|cause| {
        Error::new(&API_FAILED, format!("node {} cannot be written", node.name)).because(cause)
    })?;
    match api.create(&PostParams::default(), &object).await {
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
        Err(cause) => Err(failed(format!("creating node {}", node.name), cause)),
        Ok(_) => Ok(()),
    }
}

/// The node as its kubelet would register it.
fn object(node: &Node) -> Value {
    let mut labels: BTreeMap<String, String> = [
        ("beta.kubernetes.io/arch", "amd64"),
        ("beta.kubernetes.io/os", "linux"),
        ("kubernetes.io/arch", "amd64"),
        ("kubernetes.io/os", "linux"),
        ("kubernetes.io/hostname", node.name.as_str()),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_string(), value.to_string()))
    .collect();
    labels.extend(node.labels.clone());
    let taints: Vec<Value> = node
        .taints
        .iter()
        .map(|key| json!({ "key": key, "effect": "NoSchedule" }))
        .collect();
    let resources = json!({
        "cpu": node.capacity.cpu.to_string(), "memory": node.capacity.memory, "pods": node.capacity.pods.to_string(),
    });
    json!({
        "metadata": { "name": node.name, "labels": labels, "annotations": node.annotations },
        "spec": { "taints": taints },
        "status": {
            "addresses": [
                { "type": "InternalIP", "address": node.address },
                { "type": "Hostname", "address": node.name },
            ],
            "capacity": resources, "allocatable": resources,
            "nodeInfo": {
                "architecture": "amd64", "bootID": "", "kernelVersion": "",
                "containerRuntimeVersion": node.runtime, "kubeProxyVersion": node.version,
                "kubeletVersion": node.version, "machineID": "", "operatingSystem": "linux",
                "osImage": node.os_image, "systemUUID": "",
            },
        },
    })
}

/// Takes a label away from a node; not having it is fine.
pub async fn unlabel(client: &Client, node: &str, label: &str) -> Result<()> {
    let patch = json!({ "metadata": { "labels": { label: null } } });
    let api = Api::<Object>::all(client.clone());
    let answer = api
        .patch(node, &PatchParams::default(), &Patch::Merge(&patch))
        .await;
    answer
        .map(|_| ())
        .map_err(|cause| failed(format!("taking a label from node {node}"), cause))
}

/// Waits until a node is there, and Ready where that can be had without anything else.
pub async fn wait_node(
    client: &Client,
    name: &str,
    must_be_ready: bool,
    report: &Reporter,
) -> Result<()> {
    let is_well = |node: &Object| !must_be_ready || facts(node).ready;
    wait_for(client, name, &is_well, report).await
}

/// Waits until a node says that it is Ready, and says so anew: what it said before it was switched off does not count.
/// `since` is when its machine was started, by the clock that the node itself goes by.
pub async fn wait_return(
    client: &Client,
    name: &str,
    since: Timestamp,
    report: &Reporter,
) -> Result<()> {
    let is_well = |node: &Object| facts(node).ready && said_at(node) >= since.as_second();
    wait_for(client, name, &is_well, report).await
}

/// When a node's kubelet last said whether it is Ready, in seconds since 1970.
fn said_at(node: &Object) -> i64 {
    let conditions = node.status.as_ref().and_then(|s| s.conditions.as_ref());
    let ready = conditions.and_then(|all| all.iter().find(|one| one.type_ == "Ready"));
    ready
        .and_then(|ready| ready.last_heartbeat_time.as_ref())
        .map_or(i64::MIN, |time| time.0.as_second())
}

async fn wait_for(
    client: &Client,
    name: &str,
    is_well: &(dyn Fn(&Object) -> bool + Sync),
    report: &Reporter,
) -> Result<()> {
    let api = Api::<Object>::all(client.clone());
    let only = format!("metadata.name={name}");
    let mut last: Option<bool> = None;
    let mut changed = Instant::now();
    loop {
        let list = api.list(&ListParams::default().fields(&only)).await;
        let Some(list) = patiently("listing nodes", list, changed).await? else {
            continue;
        };
        let mut seen = list.items.first().map(is_well);
        let version = list.metadata.resource_version.clone().unwrap_or_default();
        let stream = api
            .watch(&WatchParams::default().fields(&only), &version)
            .await;
        let Some(stream) = patiently("watching nodes", stream, changed).await? else {
            continue;
        };
        let mut stream = stream.boxed();
        loop {
            if seen == Some(true) {
                return Ok(());
            }
            if seen != last {
                (last, changed) = (seen, Instant::now());
            }
            let saw = if seen.is_some() {
                "it is not Ready"
            } else {
                "it is not there"
            };
            report.tell(Happening::Waiting {
                on: format!("node {name}"),
                saw: saw.into(),
            });
            let left = PATIENCE.saturating_sub(changed.elapsed());
            let Ok(next) = tokio::time::timeout(left, stream.try_next()).await else {
                let message = format!("node {name} does not become Ready: {saw}");
                return Err(Error::new(&NO_PROGRESS, message)
                    .help(format!("look at it with `kubectl describe node {name}`")));
            };
            match patiently("watching nodes", next, changed).await?.flatten() {
                Some(WatchEvent::Added(node) | WatchEvent::Modified(node)) => {
                    seen = Some(is_well(&node));
                }
                Some(WatchEvent::Deleted(_)) => seen = None,
                Some(WatchEvent::Bookmark(_)) => {}
                // The stream ended before: look afresh.
                Some(WatchEvent::Error(_)) | None => break,
            }
        }
    }
}

/// The answer, or nothing for now: a server may be silent for a moment while it, its etcd or what passes on to it comes
/// back. Fails when nothing has changed for too long.
async fn patiently<T>(what: &str, answer: kube::Result<T>, changed: Instant) -> Result<Option<T>> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(cause) if changed.elapsed() > PATIENCE => Err(failed(what, cause)),
        Err(_) => {
            tokio::time::sleep(PACE).await;
            Ok(None)
        }
    }
}

/// Waits until this many nodes are there and each is Ready; says what it last saw.
pub async fn wait_ready(client: &Client, count: usize, report: &Reporter) -> Result<()> {
    let api = Api::<Object>::all(client.clone());
    // Progress is one more Ready node; a stream that ends or a bookmark is none.
    let mut best = (0, Instant::now());
    loop {
        let list = api.list(&ListParams::default()).await;
        let Some(list) = patiently("listing nodes", list, best.1).await? else {
            continue;
        };
        let version = list.metadata.resource_version.clone().unwrap_or_default();
        let seen = list
            .items
            .iter()
            .map(|node| (node.name_any(), facts(node).ready))
            .collect();
        if follow(&api, count, seen, &version, &mut best, report).await? {
            return Ok(());
        }
        // The stream ended before all were Ready: look afresh.
    }
}

/// Follows changes until all nodes are Ready; `false` if the stream ended before.
async fn follow(
    api: &Api<Object>,
    count: usize,
    mut seen: BTreeMap<String, bool>,
    version: &str,
    best: &mut (usize, Instant),
    report: &Reporter,
) -> Result<bool> {
    let ready = |seen: &BTreeMap<String, bool>| seen.values().filter(|ready| **ready).count();
    let mut last = ready(&seen);
    if seen.len() == count && last == count {
        return Ok(true);
    }
    let saw = |are: usize| format!("{are} of {count} Ready");
    report.tell(Happening::Waiting {
        on: "nodes".into(),
        saw: saw(last),
    });
    let stream = api.watch(&WatchParams::default(), version).await;
    let Some(stream) = patiently("watching nodes", stream, best.1).await? else {
        return Ok(false);
    };
    let mut stream = stream.boxed();
    loop {
        if last > best.0 {
            *best = (last, Instant::now());
        }
        let left = PATIENCE.saturating_sub(best.1.elapsed());
        let Ok(next) = tokio::time::timeout(left, stream.try_next()).await else {
            let message = format!("the nodes do not become Ready: {}", saw(last));
            return Err(Error::new(&NO_PROGRESS, message)
                .help("look at them with `kubectl describe nodes`"));
        };
        match patiently("watching nodes", next, best.1).await?.flatten() {
            Some(WatchEvent::Added(node) | WatchEvent::Modified(node)) => {
                seen.insert(node.name_any(), facts(&node).ready);
            }
            Some(WatchEvent::Deleted(node)) => {
                seen.remove(&node.name_any());
            }
            Some(WatchEvent::Bookmark(_)) => {}
            Some(WatchEvent::Error(_)) | None => return Ok(false),
        }
        let are = ready(&seen);
        if seen.len() == count && are == count {
            return Ok(true);
        }
        if are != last {
            last = are;
            report.tell(Happening::Waiting {
                on: "nodes".into(),
                saw: saw(are),
            });
        }
    }
}
