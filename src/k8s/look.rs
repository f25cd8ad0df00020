//! What a cluster shows of itself.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{ConfigMap, Node};
use kube::api::{Api, ListParams, ObjectMeta};
use kube::{Client, ResourceExt as _};

use super::failed;
use crate::component::{DIGEST, LABEL};
use crate::diag::codes::run::API_FAILED;
use crate::error::{Error, Result};
use crate::facts::{ComponentFacts, NodeFacts, Role};

/// The version that the API speaks, without the `v` and without what distributions append.
pub async fn version(client: &Client) -> Result<String> {
    let info = client
        .apiserver_version()
        .await
        .map_err(|cause| failed("asking for the version", cause))?;
    let text = info.git_version.trim_start_matches('v');
    Ok(text.split(['+', '-']).next().unwrap_or(text).to_string())
}

/// How far an API server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    /// Nothing answers.
    Silent,
    /// It answers administrators and still sets itself up.
    Answers,
    /// It says that it is ready.
    Ready,
}

/// Asks an API server how far it is.
pub async fn health(client: &Client) -> Health {
    let Ok(request) = http::Request::get("/readyz").body(Vec::new()) else {
        return Health::Silent;
    };
    match client.request_text(request).await {
        Ok(_) => Health::Ready,
        Err(kube::Error::Api(_)) => Health::Answers,
        Err(_) => Health::Silent,
    }
}

/// What the API answers to a plain question, as it is.
pub async fn raw(client: &Client, path: &str) -> Result<String> {
    let request = http::Request::get(path).body(Vec::new());
    let request = request
        .map_err(|cause| Error::new(&API_FAILED, "no question can be made").because(cause))?;
    let answer = client.request_text(request).await;
    answer.map_err(|cause| failed(format!("asking for {path}"), cause))
}

/// The nodes, by name.
pub async fn nodes(client: &Client) -> Result<Vec<NodeFacts>> {
    let list = Api::<Node>::all(client.clone())
        .list(&ListParams::default())
        .await;
    let list = list.map_err(|cause| failed("listing nodes", cause))?;
    let mut nodes: Vec<NodeFacts> = list.items.iter().map(facts).collect();
    nodes.sort();
    Ok(nodes)
}

pub(super) fn facts(node: &Node) -> NodeFacts {
    let status = node.status.as_ref();
    let conditions = status.and_then(|status| status.conditions.as_ref());
    let ready =
        conditions.is_some_and(|all| all.iter().any(|c| c.type_ == "Ready" && c.status == "True"));
    let is_control = node
        .labels()
        .contains_key("node-role.kubernetes.io/control-plane");
    let version = status
        .and_then(|status| status.node_info.as_ref())
        .map(|info| info.kubelet_version.clone());
    NodeFacts {
        name: node.name_any(),
        role: if is_control {
            Role::ControlPlane
        } else {
            Role::Worker
        },
        ready,
        version: version.unwrap_or_default(),
    }
}

/// The components that ksail installed, with the workloads that are there.
pub async fn components(client: &Client) -> Result<BTreeMap<String, ComponentFacts>> {
    let labelled = ListParams::default().labels(LABEL);
    let records = Api::<ConfigMap>::namespaced(client.clone(), "kube-system");
    let (deployments, sets, daemons) = (
        Api::<Deployment>::all(client.clone()),
        Api::<StatefulSet>::all(client.clone()),
        Api::<DaemonSet>::all(client.clone()),
    );
    let all = tokio::try_join!(
        records.list(&labelled),
        deployments.list(&labelled),
        sets.list(&labelled),
        daemons.list(&labelled)
    );
    let (records, deployments, sets, daemons) =
        all.map_err(|cause| failed("listing components", cause))?;
    let mut components: BTreeMap<String, ComponentFacts> = BTreeMap::new();
    for record in &records {
        let (Some(name), Some(digest)) =
            (record.labels().get(LABEL), record.annotations().get(DIGEST))
        else {
            continue;
        };
        components.insert(
            name.clone(),
            ComponentFacts {
                digest: digest.clone(),
                workloads: Vec::new(),
            },
        );
    }
    let mut add = |kind: &str, meta: &ObjectMeta| {
        let labels = meta.labels.as_ref();
        let Some(component) = labels.and_then(|labels| components.get_mut(labels.get(LABEL)?))
        else {
            return;
        };
        let (namespace, name) = (
            meta.namespace.as_deref().unwrap_or_default(),
            meta.name.as_deref().unwrap_or_default(),
        );
        component
            .workloads
            .push(format!("{namespace}/{kind}/{name}"));
    };
    deployments
        .iter()
        .for_each(|object| add("Deployment", &object.metadata));
    sets.iter()
        .for_each(|object| add("StatefulSet", &object.metadata));
    daemons
        .iter()
        .for_each(|object| add("DaemonSet", &object.metadata));
    components
        .values_mut()
        .for_each(|component| component.workloads.sort());
    Ok(components)
}
