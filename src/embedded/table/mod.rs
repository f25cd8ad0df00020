//! Objects as rows: the columns that `kubectl get` shows.
//!
//! `columns` has the built-in kinds' columns, `cells` how they are computed; custom kinds bring theirs in their
//! definition. To add a kind: an arm in `columns`, and the cells it needs.

mod api_service;
mod cells;
mod custom;

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::api::registry::Kind;
use super::store::Object;

/// How a cell is computed from an object.
type Cell = fn(&Value) -> Value;

/// A column of a built-in kind: name, type, whether it is only for wide output, and its cells.
struct Column(&'static str, &'static str, u8, Cell);

const TEXT: &str = "string";
const NUMBER: &str = "integer";

/// What a request wants to have of the objects themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Include {
    /// Their metadata.
    Metadata,
    /// All of them.
    Object,
    /// Nothing.
    None,
}

/// Makes a table of some objects.
pub fn table(
    kind: &Kind,
    objects: &[Arc<Object>],
    include: Include,
    metadata: Value,
    headed: bool,
) -> Value {
    let rows: Vec<Value> = objects
        .iter()
        .map(|object| row(kind, object, include))
        .collect();
    // Tables that the server makes without being told how have no list at all where they have no rows.
    let plain =
        kind.custom.is_none() && columns(kind).iter().any(|Column(_, of, ..)| *of == "date");
    let rows = match rows.is_empty() && plain {
        true => Value::Null,
        false => rows.into(),
    };
    let definitions = if headed {
        definitions(kind)
    } else {
        Value::Null
    };
    json!({
        "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
        "columnDefinitions": definitions, "rows": rows,
    })
}

fn row(kind: &Kind, object: &Object, include: Include) -> Value {
    let value = object.value();
    let cells: Vec<Value> = match &kind.custom {
        Some(custom) => custom::cells(&custom.columns, &value),
        None => columns(kind)
            .iter()
            .map(|Column(_, _, _, cell)| cell(&value))
            .collect(),
    };
    let mut row = Map::new();
    row.insert("cells".to_owned(), cells.into());
    match include {
        Include::None => {}
        Include::Object => {
            row.insert("object".to_owned(), (*value).clone());
        }
        Include::Metadata => {
            row.insert("object".to_owned(), partial(&value));
        }
    }
    Value::Object(row)
}

/// An object without anything but its metadata.
pub fn partial(value: &Value) -> Value {
    json!({
        "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
        "metadata": value.get("metadata").cloned().unwrap_or_else(|| json!({})),
    })
}

fn definitions(kind: &Kind) -> Value {
    if let Some(custom) = &kind.custom {
        return custom::definitions(&custom.columns);
    }
    let each = columns(kind).into_iter().map(|Column(name, of, priority, _)| {
        let format = if name == "Name" { "name" } else { "" };
        json!({"name": name, "type": of, "format": format, "description": "", "priority": priority})
    });
    each.collect::<Vec<_>>().into()
}

/// The columns of a built-in kind; name and age for those that have no others.
#[allow(
    clippy::wildcard_imports,
    reason = "the table names nearly all of them"
)]
fn columns(kind: &Kind) -> Vec<Column> {
    use cells::*;
    const NAME: Column = Column("Name", TEXT, 0, name);
    const AGE: Column = Column("Age", TEXT, 0, age);
    let set = |c: Vec<Column>| c;
    match (kind.group.as_str(), kind.plural.as_str()) {
        ("", "pods") => set(vec![
            NAME,
            Column("Ready", TEXT, 0, pod_ready),
            Column("Status", TEXT, 0, pod_status),
            Column("Restarts", TEXT, 0, pod_restarts),
            AGE,
            Column("IP", TEXT, 1, |v| or_none(v, "/status/podIP")),
            Column("Node", TEXT, 1, |v| or_none(v, "/spec/nodeName")),
            Column("Nominated Node", TEXT, 1, |v| {
                or_none(v, "/status/nominatedNodeName")
            }),
            Column("Readiness Gates", TEXT, 1, pod_gates),
        ]),
        ("", "nodes") => set(vec![
            NAME,
            Column("Status", TEXT, 0, node_status),
            Column("Roles", TEXT, 0, node_roles),
            AGE,
            Column("Version", TEXT, 0, |v| {
                plain(v, "/status/nodeInfo/kubeletVersion")
            }),
            Column("Internal-IP", TEXT, 1, |v| node_address(v, "InternalIP")),
            Column("External-IP", TEXT, 1, |v| node_address(v, "ExternalIP")),
            Column("OS-Image", TEXT, 1, |v| {
                or_unknown(v, "/status/nodeInfo/osImage")
            }),
            Column("Kernel-Version", TEXT, 1, |v| {
                or_unknown(v, "/status/nodeInfo/kernelVersion")
            }),
            Column("Container-Runtime", TEXT, 1, |v| {
                or_unknown(v, "/status/nodeInfo/containerRuntimeVersion")
            }),
        ]),
        ("", "namespaces") => set(vec![
            NAME,
            Column("Status", TEXT, 0, |v| plain(v, "/status/phase")),
            AGE,
        ]),
        ("", "services") => set(vec![
            NAME,
            Column("Type", TEXT, 0, |v| plain(v, "/spec/type")),
            Column("Cluster-IP", TEXT, 0, service_ip),
            Column("External-IP", TEXT, 0, service_external),
            Column("Port(s)", TEXT, 0, service_ports),
            AGE,
            Column("Selector", TEXT, 1, |v| labels_at(v, "/spec/selector")),
        ]),
        ("", "configmaps") => set(vec![NAME, Column("Data", TEXT, 0, data_count), AGE]),
        ("", "secrets") => set(vec![
            NAME,
            Column("Type", TEXT, 0, |v| plain(v, "/type")),
            Column("Data", TEXT, 0, data_count),
            AGE,
        ]),
        ("", "serviceaccounts") => set(vec![NAME, AGE]),
        ("", "endpoints") => set(vec![NAME, Column("Endpoints", TEXT, 0, endpoints), AGE]),
        ("discovery.k8s.io", "endpointslices") => set(vec![
            NAME,
            Column("AddressType", TEXT, 0, |v| plain(v, "/addressType")),
            Column("Ports", TEXT, 0, slice_ports),
            Column("Endpoints", TEXT, 0, slice_endpoints),
            AGE,
        ]),
        ("" | "events.k8s.io", "events") => set(vec![
            Column("Last Seen", TEXT, 0, event_seen),
            Column("Type", TEXT, 0, |v| plain(v, "/type")),
            Column("Reason", TEXT, 0, |v| plain(v, "/reason")),
            Column("Object", TEXT, 0, event_object),
            Column("Subobject", TEXT, 1, |v| {
                plain(v, "/involvedObject/fieldPath")
            }),
            Column("Source", TEXT, 1, |v| plain(v, "/source/component")),
            Column("Message", TEXT, 0, |v| plain(v, "/message")),
            Column("First Seen", TEXT, 1, |v| since(v, "/firstTimestamp")),
            Column("Count", TEXT, 1, |v| number(v, "/count")),
            Column("Name", TEXT, 1, name),
        ]),
        ("", "persistentvolumes") => set(vec![
            NAME,
            Column("Capacity", TEXT, 0, |v| plain(v, "/spec/capacity/storage")),
            Column("Access Modes", TEXT, 0, |v| {
                access_modes(v, "/spec/accessModes")
            }),
            Column("Reclaim Policy", TEXT, 0, |v| {
                plain(v, "/spec/persistentVolumeReclaimPolicy")
            }),
            Column("Status", TEXT, 0, volume_status),
            Column("Claim", TEXT, 0, volume_claim),
            Column("StorageClass", TEXT, 0, |v| {
                plain(v, "/spec/storageClassName")
            }),
            Column("VolumeAttributesClass", TEXT, 0, |v| {
                or_unset(v, "/spec/volumeAttributesClassName")
            }),
            Column("Reason", TEXT, 0, |v| plain(v, "/status/reason")),
            AGE,
            Column("VolumeMode", TEXT, 1, |v| or_unset(v, "/spec/volumeMode")),
        ]),
        ("", "persistentvolumeclaims") => set(vec![
            NAME,
            Column("Status", TEXT, 0, volume_status),
            Column("Volume", TEXT, 0, |v| plain(v, "/spec/volumeName")),
            Column("Capacity", TEXT, 0, |v| {
                plain(v, "/status/capacity/storage")
            }),
            Column("Access Modes", TEXT, 0, |v| {
                access_modes(v, "/status/accessModes")
            }),
            Column("StorageClass", TEXT, 0, |v| {
                plain(v, "/spec/storageClassName")
            }),
            Column("VolumeAttributesClass", TEXT, 0, |v| {
                or_unset(v, "/spec/volumeAttributesClassName")
            }),
            AGE,
            Column("VolumeMode", TEXT, 1, |v| or_unset(v, "/spec/volumeMode")),
        ]),
        ("", "replicationcontrollers") | ("apps", "replicasets") => set(vec![
            NAME,
            Column("Desired", NUMBER, 0, |v| number(v, "/spec/replicas")),
            Column("Current", NUMBER, 0, |v| number(v, "/status/replicas")),
            Column("Ready", NUMBER, 0, |v| number(v, "/status/readyReplicas")),
            AGE,
            Column("Containers", TEXT, 1, containers),
            Column("Images", TEXT, 1, images),
            Column("Selector", TEXT, 1, selector),
        ]),
        ("apps", "deployments") => set(vec![
            NAME,
            Column("Ready", TEXT, 0, replicas_ready),
            Column("Up-to-date", TEXT, 0, |v| {
                number(v, "/status/updatedReplicas")
            }),
            Column("Available", TEXT, 0, |v| {
                number(v, "/status/availableReplicas")
            }),
            AGE,
            Column("Containers", TEXT, 1, containers),
            Column("Images", TEXT, 1, images),
            Column("Selector", TEXT, 1, selector),
        ]),
        ("apps", "statefulsets") => set(vec![
            NAME,
            Column("Ready", TEXT, 0, replicas_ready),
            AGE,
            Column("Containers", TEXT, 1, containers),
            Column("Images", TEXT, 1, images),
        ]),
        ("apps", "daemonsets") => set(vec![
            NAME,
            Column("Desired", NUMBER, 0, |v| {
                number(v, "/status/desiredNumberScheduled")
            }),
            Column("Current", NUMBER, 0, |v| {
                number(v, "/status/currentNumberScheduled")
            }),
            Column("Ready", NUMBER, 0, |v| number(v, "/status/numberReady")),
            Column("Up-to-date", NUMBER, 0, |v| {
                number(v, "/status/updatedNumberScheduled")
            }),
            Column("Available", NUMBER, 0, |v| {
                number(v, "/status/numberAvailable")
            }),
            Column("Node Selector", TEXT, 0, |v| {
                labels_at(v, "/spec/template/spec/nodeSelector")
            }),
            AGE,
            Column("Containers", TEXT, 1, containers),
            Column("Images", TEXT, 1, images),
            Column("Selector", TEXT, 1, selector),
        ]),
        ("apps", "controllerrevisions") => set(vec![
            NAME,
            Column("Controller", TEXT, 0, revision_owner),
            Column("Revision", TEXT, 0, |v| number(v, "/revision")),
            AGE,
        ]),
        ("batch", "jobs") => set(vec![
            NAME,
            Column("Status", TEXT, 0, job_status),
            Column("Completions", TEXT, 0, job_completions),
            Column("Duration", TEXT, 0, job_duration),
            AGE,
            Column("Containers", TEXT, 1, containers),
            Column("Images", TEXT, 1, images),
            Column("Selector", TEXT, 1, selector),
        ]),
        ("batch", "cronjobs") => set(vec![
            NAME,
            Column("Schedule", TEXT, 0, |v| plain(v, "/spec/schedule")),
            Column("Timezone", TEXT, 0, |v| or_none(v, "/spec/timeZone")),
            Column("Suspend", "boolean", 0, |v| title_bool(v, "/spec/suspend")),
            Column("Active", NUMBER, 0, |v| count_at(v, "/status/active")),
            Column("Last Schedule", TEXT, 0, |v| {
                since_or_none(v, "/status/lastScheduleTime")
            }),
            AGE,
            Column("Containers", TEXT, 1, containers),
            Column("Images", TEXT, 1, images),
            Column("Selector", TEXT, 1, selector),
        ]),
        ("networking.k8s.io", "ingresses") => set(vec![
            NAME,
            Column("Class", TEXT, 0, |v| or_none(v, "/spec/ingressClassName")),
            Column("Hosts", TEXT, 0, ingress_hosts),
            Column("Address", TEXT, 0, balancer),
            Column("Ports", TEXT, 0, ingress_ports),
            AGE,
        ]),
        ("networking.k8s.io", "networkpolicies") => set(vec![
            NAME,
            Column("Pod-Selector", TEXT, 0, |v| {
                selector_at(v, "/spec/podSelector")
            }),
            AGE,
        ]),
        ("policy", "poddisruptionbudgets") => set(vec![
            NAME,
            Column("Min Available", TEXT, 0, |v| or_na(v, "/spec/minAvailable")),
            Column("Max Unavailable", TEXT, 0, |v| {
                or_na(v, "/spec/maxUnavailable")
            }),
            Column("Allowed Disruptions", NUMBER, 0, |v| {
                number(v, "/status/disruptionsAllowed")
            }),
            AGE,
        ]),
        ("storage.k8s.io", "storageclasses") => set(vec![
            Column("Name", TEXT, 0, class_name),
            Column("Provisioner", TEXT, 0, |v| plain(v, "/provisioner")),
            Column("ReclaimPolicy", TEXT, 0, |v| plain(v, "/reclaimPolicy")),
            Column("VolumeBindingMode", TEXT, 0, |v| {
                plain(v, "/volumeBindingMode")
            }),
            Column("AllowVolumeExpansion", TEXT, 0, |v| {
                lower_bool(v, "/allowVolumeExpansion")
            }),
            AGE,
        ]),
        ("rbac.authorization.k8s.io", "roles" | "clusterroles") => set(vec![
            NAME,
            Column("Created At", "date", 0, |v| {
                plain(v, "/metadata/creationTimestamp")
            }),
        ]),
        ("rbac.authorization.k8s.io", _) => set(vec![
            NAME,
            Column("Role", TEXT, 0, role),
            AGE,
            Column("Users", TEXT, 1, |v| subjects(v, "User")),
            Column("Groups", TEXT, 1, |v| subjects(v, "Group")),
            Column("ServiceAccounts", TEXT, 1, |v| {
                subjects(v, "ServiceAccount")
            }),
        ]),
        ("coordination.k8s.io", "leases") => set(vec![
            NAME,
            Column("Holder", TEXT, 0, |v| plain(v, "/spec/holderIdentity")),
            AGE,
        ]),
        ("scheduling.k8s.io", "priorityclasses") => set(vec![
            NAME,
            Column("Value", NUMBER, 0, |v| number(v, "/value")),
            Column("Global-Default", "boolean", 0, |v| {
                lower_bool(v, "/globalDefault")
            }),
            AGE,
            Column("PreemptionPolicy", TEXT, 0, |v| {
                plain(v, "/preemptionPolicy")
            }),
        ]),
        ("autoscaling", _) => set(vec![
            NAME,
            Column("Reference", TEXT, 0, scale_target),
            Column("Targets", TEXT, 0, scale_metrics),
            Column("MinPods", TEXT, 0, |v| or_unset(v, "/spec/minReplicas")),
            Column("MaxPods", TEXT, 0, |v| number(v, "/spec/maxReplicas")),
            Column("Replicas", TEXT, 0, |v| {
                number(v, "/status/currentReplicas")
            }),
            AGE,
        ]),
        ("certificates.k8s.io", _) => set(vec![
            NAME,
            AGE,
            Column("SignerName", TEXT, 0, |v| plain(v, "/spec/signerName")),
            Column("Requestor", TEXT, 0, |v| plain(v, "/spec/username")),
            Column("RequestedDuration", TEXT, 0, request_span),
            Column("Condition", TEXT, 0, request_state),
        ]),
        ("", "resourcequotas") => set(vec![
            NAME,
            Column("Request", TEXT, 0, |v| quota(v, false)),
            Column("Limit", TEXT, 0, |v| quota(v, true)),
            AGE,
        ]),
        ("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations") => set(vec![
            NAME,
            Column("Type", TEXT, 0, |v| plain(v, "/spec/type")),
            Column("NominalConcurrencyShares", TEXT, 0, |v| {
                or_none(v, "/spec/limited/nominalConcurrencyShares")
            }),
            Column("Queues", TEXT, 0, |v| {
                or_none(v, "/spec/limited/limitResponse/queuing/queues")
            }),
            Column("HandSize", TEXT, 0, |v| {
                or_none(v, "/spec/limited/limitResponse/queuing/handSize")
            }),
            Column("QueueLengthLimit", TEXT, 0, |v| {
                or_none(v, "/spec/limited/limitResponse/queuing/queueLengthLimit")
            }),
            AGE,
        ]),
        (
            "admissionregistration.k8s.io",
            "validatingwebhookconfigurations" | "mutatingwebhookconfigurations",
        ) => set(vec![
            NAME,
            Column("Webhooks", NUMBER, 0, |v| count_at(v, "/webhooks")),
            AGE,
        ]),
        ("node.k8s.io", _) => set(vec![
            NAME,
            Column("Handler", TEXT, 0, |v| plain(v, "/handler")),
            AGE,
        ]),
        ("apiregistration.k8s.io", "apiservices") => set(vec![
            NAME,
            Column("Service", TEXT, 0, api_service::host),
            Column("Available", TEXT, 0, api_service::available),
            AGE,
        ]),
        ("networking.k8s.io", "ingressclasses") => set(vec![
            NAME,
            Column("Controller", TEXT, 0, |v| plain(v, "/spec/controller")),
            Column("Parameters", TEXT, 0, class_parameters),
            AGE,
        ]),
        ("storage.k8s.io", "csidrivers") => set(vec![
            NAME,
            Column("AttachRequired", "boolean", 0, |v| {
                lower_bool(v, "/spec/attachRequired")
            }),
            Column("PodInfoOnMount", "boolean", 0, |v| {
                lower_bool(v, "/spec/podInfoOnMount")
            }),
            Column("StorageCapacity", "boolean", 0, |v| {
                lower_bool(v, "/spec/storageCapacity")
            }),
            Column("TokenRequests", TEXT, 0, |v| {
                joined_at(v, "/spec/tokenRequests", "/audience", "<unset>")
            }),
            Column("RequiresRepublish", "boolean", 0, |v| {
                lower_bool(v, "/spec/requiresRepublish")
            }),
            Column("Modes", TEXT, 0, |v| {
                joined_at(v, "/spec/volumeLifecycleModes", "", "<none>")
            }),
            AGE,
        ]),
        ("apiextensions.k8s.io", _) | ("", "limitranges") => set(vec![
            NAME,
            Column("Created At", "date", 0, |v| {
                plain(v, "/metadata/creationTimestamp")
            }),
        ]),
        _ => set(vec![NAME, AGE]),
    }
}
