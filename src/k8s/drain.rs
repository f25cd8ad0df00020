//! A node on its way out: no new pods, the old ones asked to go, then forgotten.

use std::time::{Duration, Instant};

use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::{Node, Pod, Secret};
use kube::api::{Api, DeleteParams, EvictParams, ListParams, WatchEvent, WatchParams};
use kube::{Client, ResourceExt as _};

use super::failed;
use crate::diag::codes::run::NO_PROGRESS;
use crate::error::{Error, Result};
use crate::world::{Happening, Reporter};

/// How long no pod may leave before the node is given up on.
const PATIENCE: Duration = Duration::from_mins(2);
/// After how long an eviction that a budget forbids is asked for again, if no pod leaves before.
const PACE: Duration = Duration::from_secs(2);

/// Keeps new pods off a node and has those on it move elsewhere, as their disruption budgets allow. A node that is not
/// there is fine.
pub async fn drain(client: &Client, node: &str, report: &Reporter) -> Result<()> {
    match Api::<Node>::all(client.clone()).cordon(node).await {
        Err(kube::Error::Api(status)) if status.code == 404 => return Ok(()),
        Err(cause) => return Err(failed(format!("keeping pods off {node}"), cause)),
        Ok(_) => {}
    }
    let pods = Api::<Pod>::all(client.clone());
    let on_it = ListParams::default().fields(&format!("spec.nodeName={node}"));
    let mut best = (usize::MAX, Instant::now());
    loop {
        let list = pods.list(&on_it).await;
        let list = list.map_err(|cause| failed(format!("listing the pods of {node}"), cause))?;
        let left: Vec<&Pod> = list.items.iter().filter(|pod| must_go(pod)).collect();
        if left.is_empty() {
            return Ok(());
        }
        if left.len() < best.0 {
            best = (left.len(), Instant::now());
        } else if best.1.elapsed() > PATIENCE {
            let names: Vec<String> = left.iter().map(|pod| pod.name_any()).collect();
            let message = format!("{node} cannot be drained: {} stay", names.join(", "));
            return Err(Error::new(&NO_PROGRESS, message).help(
                "look at their disruption budgets with `kubectl get pdb -A`, or delete them",
            ));
        }
        report.tell(Happening::Waiting {
            on: format!("{node} to be drained"),
            saw: format!("{} pods left", left.len()),
        });
        for pod in left
            .iter()
            .filter(|pod| pod.metadata.deletion_timestamp.is_none())
        {
            evict(client, pod).await?;
        }
        let version = list.metadata.resource_version.clone().unwrap_or_default();
        let watch = WatchParams::default().fields(&format!("spec.nodeName={node}"));
        let stream = pods.watch(&watch, &version).await;
        let mut stream = stream
            .map_err(|cause| failed(format!("watching the pods of {node}"), cause))?
            .boxed();
        let one_left = async {
            while let Ok(Some(event)) = stream.try_next().await {
                if matches!(event, WatchEvent::Deleted(_)) {
                    break;
                }
            }
        };
        let _ = tokio::time::timeout(PACE, one_left).await;
    }
}

/// Asks for one eviction; one that a budget forbids for now is asked for again later.
async fn evict(client: &Client, pod: &Pod) -> Result<()> {
    let api = Api::<Pod>::namespaced(client.clone(), &pod.namespace().unwrap_or_default());
    let name = pod.name_any();
    match api.evict(&name, &EvictParams::default()).await {
        Err(kube::Error::Api(status)) if status.code == 404 || status.code == 429 => Ok(()),
        Err(cause) => Err(failed(format!("evicting the pod {name}"), cause)),
        Ok(_) => Ok(()),
    }
}

/// Whether a pod has to leave: those of daemon sets and of the kubelet itself belong to the node.
fn must_go(pod: &Pod) -> bool {
    let is_daemon = pod
        .owner_references()
        .iter()
        .any(|owner| owner.kind == "DaemonSet");
    let is_mirror = pod
        .annotations()
        .contains_key("kubernetes.io/config.mirror");
    let phase = pod
        .status
        .as_ref()
        .and_then(|status| status.phase.as_deref());
    !is_daemon && !is_mirror && !matches!(phase, Some("Succeeded" | "Failed"))
}

/// Takes a node's object away, and the password that k3s keeps of it: a new node of the same name would be refused.
pub async fn forget(client: &Client, node: &str) -> Result<()> {
    let gone = |answer: Result<(), kube::Error>, what: String| match answer {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(cause) => Err(failed(what, cause)),
        Ok(()) => Ok(()),
    };
    let params = DeleteParams::default();
    let nodes = Api::<Node>::all(client.clone());
    let answer = nodes.delete(node, &params).await.map(|_| ());
    gone(answer, format!("removing node {node}"))?;
    let secrets = Api::<Secret>::namespaced(client.clone(), "kube-system");
    let name = format!("{node}.node-password.k3s");
    let answer = secrets.delete(&name, &params).await.map(|_| ());
    gone(answer, format!("removing the password of {node}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn pods_that_belong_to_the_node_stay() {
        let pod = |value| serde_json::from_value::<Pod>(value).unwrap();
        let owner = |kind: &str| json!([{ "apiVersion": "apps/v1", "kind": kind, "name": "x", "uid": "1" }]);
        assert!(must_go(&pod(
            json!({ "metadata": { "ownerReferences": owner("ReplicaSet") } })
        )));
        assert!(!must_go(&pod(
            json!({ "metadata": { "ownerReferences": owner("DaemonSet") } })
        )));
        assert!(!must_go(&pod(
            json!({ "metadata": { "annotations": { "kubernetes.io/config.mirror": "x" } } })
        )));
        assert!(!must_go(&pod(
            json!({ "metadata": {}, "status": { "phase": "Succeeded" } })
        )));
    }
}
