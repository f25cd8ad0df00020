//! Workloads, and what rules over them: pods and their owners, autoscalers, budgets, priorities.

use serde_json::Value;

use super::cells::{
    containers, count, count_at, images, joined_at, labels_at, list, lower_bool, number, or_na,
    or_none, or_unset, plain, selector, since_or_none, span, text, title_bool,
};
use super::{AGE, Column, NAME, NUMBER, TEXT};
use crate::embedded::reach::Reach as _;

const CONTAINERS: Column = Column("Containers", TEXT, 1, containers);
const IMAGES: Column = Column("Images", TEXT, 1, images);
const SELECTOR: Column = Column("Selector", TEXT, 1, selector);

/// The columns of these kinds.
pub(super) fn columns(group: &str, plural: &str) -> Option<Vec<Column>> {
    Some(match (group, plural) {
        ("", "pods") => vec![
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
        ],
        ("", "replicationcontrollers") | ("apps", "replicasets") => vec![
            NAME,
            Column("Desired", NUMBER, 0, |v| number(v, "/spec/replicas")),
            Column("Current", NUMBER, 0, |v| number(v, "/status/replicas")),
            Column("Ready", NUMBER, 0, |v| number(v, "/status/readyReplicas")),
            AGE,
            CONTAINERS,
            IMAGES,
            SELECTOR,
        ],
        ("apps", "deployments") => vec![
            NAME,
            Column("Ready", TEXT, 0, replicas_ready),
            Column("Up-to-date", TEXT, 0, |v| {
                number(v, "/status/updatedReplicas")
            }),
            Column("Available", TEXT, 0, |v| {
                number(v, "/status/availableReplicas")
            }),
            AGE,
            CONTAINERS,
            IMAGES,
            SELECTOR,
        ],
        ("apps", "statefulsets") => vec![
            NAME,
            Column("Ready", TEXT, 0, replicas_ready),
            AGE,
            CONTAINERS,
            IMAGES,
        ],
        ("apps", "daemonsets") => vec![
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
            CONTAINERS,
            IMAGES,
            SELECTOR,
        ],
        ("apps", "controllerrevisions") => vec![
            NAME,
            Column("Controller", TEXT, 0, revision_owner),
            Column("Revision", TEXT, 0, |v| number(v, "/revision")),
            AGE,
        ],
        ("batch", "jobs") => vec![
            NAME,
            Column("Status", TEXT, 0, job_status),
            Column("Completions", TEXT, 0, job_completions),
            Column("Duration", TEXT, 0, job_duration),
            AGE,
            CONTAINERS,
            IMAGES,
            SELECTOR,
        ],
        ("batch", "cronjobs") => vec![
            NAME,
            Column("Schedule", TEXT, 0, |v| plain(v, "/spec/schedule")),
            Column("Timezone", TEXT, 0, |v| or_none(v, "/spec/timeZone")),
            Column("Suspend", "boolean", 0, |v| title_bool(v, "/spec/suspend")),
            Column("Active", NUMBER, 0, |v| count_at(v, "/status/active")),
            Column("Last Schedule", TEXT, 0, |v| {
                since_or_none(v, "/status/lastScheduleTime")
            }),
            AGE,
            CONTAINERS,
            IMAGES,
            SELECTOR,
        ],
        ("policy", "poddisruptionbudgets") => vec![
            NAME,
            Column("Min Available", TEXT, 0, |v| or_na(v, "/spec/minAvailable")),
            Column("Max Unavailable", TEXT, 0, |v| {
                or_na(v, "/spec/maxUnavailable")
            }),
            Column("Allowed Disruptions", NUMBER, 0, |v| {
                number(v, "/status/disruptionsAllowed")
            }),
            AGE,
        ],
        ("scheduling.k8s.io", "priorityclasses") => vec![
            NAME,
            Column("Value", NUMBER, 0, |v| number(v, "/value")),
            Column("Global-Default", "boolean", 0, |v| {
                lower_bool(v, "/globalDefault")
            }),
            AGE,
            Column("PreemptionPolicy", TEXT, 0, |v| {
                plain(v, "/preemptionPolicy")
            }),
        ],
        ("autoscaling", "scales") => vec![
            NAME,
            Column("Desired", NUMBER, 0, |v| number(v, "/spec/replicas")),
            Column("Available", NUMBER, 0, |v| number(v, "/status/replicas")),
            AGE,
        ],
        ("autoscaling", _) => vec![
            NAME,
            Column("Reference", TEXT, 0, scale_target),
            Column("Targets", TEXT, 0, scale_metrics),
            Column("MinPods", TEXT, 0, |v| or_unset(v, "/spec/minReplicas")),
            Column("MaxPods", TEXT, 0, |v| number(v, "/spec/maxReplicas")),
            Column("Replicas", TEXT, 0, |v| {
                number(v, "/status/currentReplicas")
            }),
            AGE,
        ],
        ("", "podtemplates") => vec![
            NAME,
            Column("Containers", TEXT, 0, |v| {
                joined_at(v, "/template/spec/containers", "/name", "")
            }),
            Column("Images", TEXT, 0, |v| {
                joined_at(v, "/template/spec/containers", "/image", "")
            }),
            Column("Pod Labels", TEXT, 0, |v| {
                labels_at(v, "/template/metadata/labels")
            }),
        ],
        _ => return None,
    })
}

fn pod_ready(value: &Value) -> Value {
    let is_sidecar = |c: &&Value| c.get("restartPolicy").and_then(Value::as_str) == Some("Always");
    let sidecars: Vec<&str> = list(value, "/spec/initContainers")
        .filter(is_sidecar)
        .map(|c| text(c, "/name"))
        .collect();
    let total = list(value, "/spec/containers").count() + sidecars.len();
    let ready = |status: &&Value| status.get("ready") == Some(&Value::Bool(true));
    let main = list(value, "/status/containerStatuses")
        .filter(ready)
        .count();
    let side = list(value, "/status/initContainerStatuses")
        .filter(ready)
        .filter(|status| sidecars.contains(&text(status, "/name")))
        .count();
    format!("{}/{total}", main + side).into()
}

fn pod_status(value: &Value) -> Value {
    if value.reach("/metadata/deletionTimestamp").is_some() {
        return "Terminating".into();
    }
    let reason = text(value, "/status/reason");
    let phase = text(value, "/status/phase");
    let mut shown = if reason.is_empty() { phase } else { reason }.to_owned();
    if list(value, "/status/conditions")
        .any(|c| text(c, "/type") == "PodScheduled" && text(c, "/reason") == "SchedulingGated")
    {
        "SchedulingGated".clone_into(&mut shown);
    }
    for status in list(value, "/status/containerStatuses") {
        let waiting = text(status, "/state/waiting/reason");
        let terminated = text(status, "/state/terminated/reason");
        if !waiting.is_empty() {
            waiting.clone_into(&mut shown);
        } else if !terminated.is_empty() {
            terminated.clone_into(&mut shown);
        }
    }
    shown.into()
}

fn pod_restarts(value: &Value) -> Value {
    let restarts: i64 = list(value, "/status/containerStatuses")
        .map(|status| count(status, "/restartCount"))
        .sum();
    restarts.to_string().into()
}

fn pod_gates(value: &Value) -> Value {
    let gates: Vec<&str> = list(value, "/spec/readinessGates")
        .map(|gate| text(gate, "/conditionType"))
        .collect();
    if gates.is_empty() {
        return "<none>".into();
    }
    let met = gates.iter().filter(|gate| {
        list(value, "/status/conditions")
            .any(|c| text(c, "/type") == **gate && text(c, "/status") == "True")
    });
    format!("{}/{}", met.count(), gates.len()).into()
}

fn replicas_ready(value: &Value) -> Value {
    format!(
        "{}/{}",
        count(value, "/status/readyReplicas"),
        count(value, "/spec/replicas")
    )
    .into()
}

fn revision_owner(value: &Value) -> Value {
    let owner = list(value, "/metadata/ownerReferences").next();
    let Some(owner) = owner else {
        return "<none>".into();
    };
    let api = text(owner, "/apiVersion");
    let group = api.split_once('/').map_or("", |(group, _)| group);
    format!(
        "{}.{group}/{}",
        text(owner, "/kind").to_lowercase(),
        text(owner, "/name")
    )
    .into()
}

fn job_status(value: &Value) -> Value {
    let has = |kind: &str| {
        list(value, "/status/conditions")
            .any(|c| text(c, "/type") == kind && text(c, "/status") == "True")
    };
    for (kind, shown) in [("Complete", "Complete"), ("Failed", "Failed")] {
        if has(kind) {
            return shown.into();
        }
    }
    if value.reach("/metadata/deletionTimestamp").is_some() {
        return "Terminating".into();
    }
    for (kind, shown) in [
        ("Suspended", "Suspended"),
        ("FailureTarget", "FailureTarget"),
        ("SuccessCriteriaMet", "SuccessCriteriaMet"),
    ] {
        if has(kind) {
            return shown.into();
        }
    }
    "Running".into()
}

fn job_completions(value: &Value) -> Value {
    let done = count(value, "/status/succeeded");
    match value.reach("/spec/completions").and_then(Value::as_i64) {
        Some(wanted) => format!("{done}/{wanted}").into(),
        None => match count(value, "/spec/parallelism") {
            parallel if parallel > 1 => format!("{done}/1 of {parallel}").into(),
            _ => format!("{done}/1").into(),
        },
    }
}

fn job_duration(value: &Value) -> Value {
    let time = |at: &str| text(value, at).parse::<jiff::Timestamp>().ok();
    let Some(start) = time("/status/startTime") else {
        return "".into();
    };
    let end = time("/status/completionTime").unwrap_or_else(jiff::Timestamp::now);
    span(end.as_second() - start.as_second()).into()
}

fn scale_target(value: &Value) -> Value {
    format!(
        "{}/{}",
        text(value, "/spec/scaleTargetRef/kind"),
        text(value, "/spec/scaleTargetRef/name")
    )
    .into()
}

fn scale_metrics(value: &Value) -> Value {
    let each: Vec<String> = list(value, "/spec/metrics")
        .map(|metric| {
            let name = text(metric, "/resource/name");
            match metric.reach("/resource/target/averageUtilization") {
                Some(target) => format!("{name}: <unknown>/{target}%"),
                None => "<unknown>/<auto>".to_owned(),
            }
        })
        .collect();
    if each.is_empty() {
        "<none>".into()
    } else {
        each.join(", ").into()
    }
}
