//! Who may do what, what is admitted and in which turn: roles, requests for certificates, webhooks, policies, flows.

use serde_json::Value;

use super::cells::{count, count_at, list, or_none, plain, plain_number, span, text};
use super::{AGE, CREATED, Column, NAME, NUMBER, TEXT, api_service};
use crate::embedded::reach::Reach as _;

/// The columns of these kinds.
pub(super) fn columns(group: &str, plural: &str) -> Option<Vec<Column>> {
    Some(match (group, plural) {
        ("", "serviceaccounts") => vec![NAME, AGE],
        ("rbac.authorization.k8s.io", "roles" | "clusterroles") => vec![NAME, CREATED],
        ("rbac.authorization.k8s.io", _) => vec![
            NAME,
            Column("Role", TEXT, 0, role),
            AGE,
            Column("Users", TEXT, 1, |v| subjects(v, "User")),
            Column("Groups", TEXT, 1, |v| subjects(v, "Group")),
            Column("ServiceAccounts", TEXT, 1, |v| {
                subjects(v, "ServiceAccount")
            }),
        ],
        ("certificates.k8s.io", _) => vec![
            NAME,
            AGE,
            Column("SignerName", TEXT, 0, |v| plain(v, "/spec/signerName")),
            Column("Requestor", TEXT, 0, |v| plain(v, "/spec/username")),
            Column("RequestedDuration", TEXT, 0, request_span),
            Column("Condition", TEXT, 0, request_state),
        ],
        ("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations") => vec![
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
        ],
        (
            "admissionregistration.k8s.io",
            "validatingwebhookconfigurations" | "mutatingwebhookconfigurations",
        ) => vec![
            NAME,
            Column("Webhooks", NUMBER, 0, |v| count_at(v, "/webhooks")),
            AGE,
        ],
        ("apiregistration.k8s.io", "apiservices") => vec![
            NAME,
            Column("Service", TEXT, 0, api_service::host),
            Column("Available", TEXT, 0, api_service::available),
            AGE,
        ],
        ("admissionregistration.k8s.io", "validatingadmissionpolicies") => vec![
            NAME,
            Column("Validations", NUMBER, 0, |v| {
                count_at(v, "/spec/validations")
            }),
            Column("ParamKind", TEXT, 0, policy_parameter_kind),
            AGE,
        ],
        ("admissionregistration.k8s.io", "validatingadmissionpolicybindings") => vec![
            NAME,
            Column("PolicyName", TEXT, 0, |v| plain(v, "/spec/policyName")),
            Column("ParamRef", TEXT, 0, policy_parameter),
            AGE,
        ],
        ("flowcontrol.apiserver.k8s.io", "flowschemas") => vec![
            NAME,
            Column("PriorityLevel", TEXT, 0, |v| {
                plain(v, "/spec/priorityLevelConfiguration/name")
            }),
            Column("MatchingPrecedence", TEXT, 0, |v| {
                plain_number(v, "/spec/matchingPrecedence")
            }),
            Column("DistinguisherMethod", TEXT, 0, |v| {
                or_none(v, "/spec/distinguisherMethod/type")
            }),
            AGE,
            Column("MissingPL", TEXT, 0, flow_is_dangling),
        ],
        _ => return None,
    })
}

fn role(value: &Value) -> Value {
    format!(
        "{}/{}",
        text(value, "/roleRef/kind"),
        text(value, "/roleRef/name")
    )
    .into()
}

fn subjects(value: &Value, kind: &str) -> Value {
    let each: Vec<String> = list(value, "/subjects")
        .filter(|subject| text(subject, "/kind") == kind)
        .map(|subject| match kind {
            "ServiceAccount" => {
                format!("{}/{}", text(subject, "/namespace"), text(subject, "/name"))
            }
            _ => text(subject, "/name").to_owned(),
        })
        .collect();
    each.join(", ").into()
}

/// How long a requested certificate should count.
fn request_span(value: &Value) -> Value {
    match count(value, "/spec/expirationSeconds") {
        0 => "<none>".into(),
        seconds => span(seconds).into(),
    }
}

/// What became of a request for a certificate.
fn request_state(value: &Value) -> Value {
    let has = |kind: &str| {
        let mut all = list(value, "/status/conditions");
        all.any(|condition| text(condition, "/type") == kind)
    };
    let mut state: Vec<&str> = Vec::new();
    match (has("Denied"), has("Approved")) {
        (true, _) => state.push("Denied"),
        (false, true) => state.push("Approved"),
        (false, false) => state.push("Pending"),
    }
    if has("Failed") {
        state.push("Failed");
    }
    if !text(value, "/status/certificate").is_empty() {
        state.push("Issued");
    }
    state.join(",").into()
}

fn policy_parameter_kind(value: &Value) -> Value {
    match value.reach("/spec/paramKind") {
        Some(kind) if !kind.is_null() => {
            format!("{}/{}", text(kind, "/apiVersion"), text(kind, "/kind")).into()
        }
        _ => "<unset>".into(),
    }
}

fn policy_parameter(value: &Value) -> Value {
    let part = |name: &str| text(value, &format!("/spec/paramRef/{name}"));
    match (part("namespace"), part("name")) {
        ("", "") if value.reach("/spec/paramRef/selector").is_some() => "*".into(),
        ("", "") => "<unset>".into(),
        ("", name) => name.into(),
        (namespace, name) => format!("{namespace}/{name}").into(),
    }
}

/// Whether the priority level that it sends requests to is missing.
fn flow_is_dangling(value: &Value) -> Value {
    let found = list(value, "/status/conditions").find(|one| text(one, "/type") == "Dangling");
    match found.map(|condition| text(condition, "/status")) {
        Some("") | None => "?".into(),
        Some(said) => said.into(),
    }
}
