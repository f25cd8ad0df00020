//! Nodes, namespaces, events, and small things that hold data.

use serde_json::Value;

use super::cells::{count, list, name, number, or_unknown, plain, since, since_text, text};
use super::{AGE, CREATED, Column, NAME, TEXT};
use crate::embedded::reach::Reach as _;

/// The columns of these kinds.
pub(super) fn columns(group: &str, plural: &str) -> Option<Vec<Column>> {
    Some(match (group, plural) {
        ("", "nodes") => vec![
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
        ],
        ("", "namespaces") => vec![
            NAME,
            Column("Status", TEXT, 0, |v| plain(v, "/status/phase")),
            AGE,
        ],
        ("", "configmaps") => vec![NAME, Column("Data", TEXT, 0, data_count), AGE],
        ("", "secrets") => vec![
            NAME,
            Column("Type", TEXT, 0, |v| plain(v, "/type")),
            Column("Data", TEXT, 0, data_count),
            AGE,
        ],
        ("" | "events.k8s.io", "events") => vec![
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
        ],
        ("coordination.k8s.io", "leases") => vec![
            NAME,
            Column("Holder", TEXT, 0, |v| plain(v, "/spec/holderIdentity")),
            AGE,
        ],
        ("", "resourcequotas") => vec![
            NAME,
            Column("Request", TEXT, 0, |v| quota(v, false)),
            Column("Limit", TEXT, 0, |v| quota(v, true)),
            AGE,
        ],
        ("node.k8s.io", _) => vec![
            NAME,
            Column("Handler", TEXT, 0, |v| plain(v, "/handler")),
            AGE,
        ],
        ("apiextensions.k8s.io", _) | ("", "limitranges") => vec![NAME, CREATED],
        ("", "componentstatuses") => vec![
            NAME,
            Column("Status", TEXT, 0, component_status),
            Column("Message", TEXT, 0, |v| plain(v, "/conditions/0/message")),
            Column("Error", TEXT, 0, |v| plain(v, "/conditions/0/error")),
        ],
        ("resource.k8s.io", "resourceclaims") => {
            vec![NAME, Column("State", TEXT, 0, claim_state), AGE]
        }
        ("resource.k8s.io", "resourceslices") => vec![
            NAME,
            Column("Node", TEXT, 0, slice_node),
            Column("Driver", TEXT, 0, |v| plain(v, "/spec/driver")),
            Column("Pool", TEXT, 0, |v| plain(v, "/spec/pool/name")),
            AGE,
        ],
        _ => return None,
    })
}

fn node_status(value: &Value) -> Value {
    let ready = list(value, "/status/conditions").find(|c| text(c, "/type") == "Ready");
    let mut shown = match ready.map(|c| text(c, "/status")) {
        Some("True") => "Ready",
        Some(_) => "NotReady",
        None => "Unknown",
    }
    .to_owned();
    if value.reach("/spec/unschedulable") == Some(&Value::Bool(true)) {
        shown.push_str(",SchedulingDisabled");
    }
    shown.into()
}

fn node_roles(value: &Value) -> Value {
    let labels = value.reach("/metadata/labels").and_then(Value::as_object);
    let mut roles: Vec<&str> = labels
        .into_iter()
        .flatten()
        .filter_map(
            |(key, value)| match key.strip_prefix("node-role.kubernetes.io/") {
                Some(role) => Some(role),
                None if key == "kubernetes.io/role" => value.as_str(),
                None => None,
            },
        )
        .filter(|role| !role.is_empty())
        .collect();
    roles.sort_unstable();
    roles.dedup();
    match roles.is_empty() {
        true => "<none>".into(),
        false => roles.join(",").into(),
    }
}

fn node_address(value: &Value, kind: &str) -> Value {
    let found = list(value, "/status/addresses").find(|a| text(a, "/type") == kind);
    found
        .map_or("<none>", |address| text(address, "/address"))
        .into()
}

fn data_count(value: &Value) -> Value {
    let size = |at: &str| {
        value
            .reach(at)
            .and_then(Value::as_object)
            .map_or(0, serde_json::Map::len)
    };
    (size("/data") + size("/binaryData")).into()
}

fn event_seen(value: &Value) -> Value {
    let times = [
        "/series/lastObservedTime",
        "/lastTimestamp",
        "/eventTime",
        "/metadata/creationTimestamp",
    ];
    let last = times
        .iter()
        .map(|at| text(value, at))
        .find(|at| !at.is_empty());
    let first = text(value, "/firstTimestamp");
    let times = count(value, "/count");
    let seen = since_text(last.unwrap_or_default());
    if times > 1 && !first.is_empty() {
        return format!("{seen} (x{times} over {})", since_text(first)).into();
    }
    seen.into()
}

fn event_object(value: &Value) -> Value {
    let at = if value.get("involvedObject").is_some() {
        "involvedObject"
    } else {
        "regarding"
    };
    let part = |name: &str| text(value, &format!("/{at}/{name}")).to_owned();
    format!("{}/{}", part("kind").to_lowercase(), part("name")).into()
}

/// What a quota counts: what is used of what may be, either of limits or of all else.
fn quota(value: &Value, limits: bool) -> Value {
    let hard = value.reach("/status/hard").and_then(Value::as_object);
    let mut each: Vec<String> = hard
        .into_iter()
        .flatten()
        .filter(|(name, _)| name.starts_with("limits.") == limits)
        .map(|(name, most)| {
            let used = value.reach("/status/used").and_then(|used| used.get(name));
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let used = used.map_or_else(|| "0".to_owned(), text);
            format!("{name}: {used}/{}", text(most))
        })
        .collect();
    each.sort();
    each.join(", ").into()
}

fn component_status(value: &Value) -> Value {
    match text(value, "/conditions/0/status") {
        "True" => "Healthy".into(),
        "False" => "Unhealthy".into(),
        _ => "Unknown".into(),
    }
}

/// Whether devices were put aside for a claim, and whether somebody uses them.
fn claim_state(value: &Value) -> Value {
    let mut states = Vec::new();
    if value.reach("/metadata/deletionTimestamp").is_some() {
        states.push("deleted");
    }
    if value.reach("/status/allocation").is_none_or(Value::is_null) {
        if value.reach("/metadata/deletionTimestamp").is_none() {
            states.push("pending");
        }
    } else {
        states.push("allocated");
        states.push(match list(value, "/status/reservedFor").next() {
            Some(_) => "reserved",
            None => "unused",
        });
        states.retain(|state| *state != "unused");
    }
    states.join(",").into()
}

fn slice_node(value: &Value) -> Value {
    plain(value, "/spec/nodeName")
}
