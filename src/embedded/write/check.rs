//! Whether an object as a whole makes sense for its kind.
//!
//! Here are pods, what makes them, and services; `containers` has what is in pods, `kinds` the kinds that run nothing, and
//! `metadata` what all have.

mod containers;
mod kinds;
mod metadata;

use serde_json::Value;

use super::{Part, definition, rules, schema, validations};
use crate::embedded::admission;
use crate::embedded::api::registry::Kind;
use crate::embedded::api::selector::LabelSelector;
use crate::embedded::api::status::{Cause, Status};
use crate::embedded::controllers::cron_job::Schedule;
use crate::embedded::reach::Reach as _;

/// Refuses a new object that makes no sense.
pub(super) fn object(kind: &Kind, name: &str, value: &Value) -> Result<(), Status> {
    refuse(kind, name, &causes(kind, value, None))
}

/// Refuses a change that makes no sense, or touches what is fixed.
pub(super) fn change(
    kind: &Kind,
    name: &str,
    part: Part,
    before: &Value,
    value: &Value,
) -> Result<(), Status> {
    let mut all = match part {
        Part::Other => Vec::new(),
        // All but metadata and status is as it was, and was looked at when it came.
        Part::Status if kind.custom.is_none() => {
            let mut causes = Vec::new();
            metadata::look(value, &mut causes);
            causes
        }
        Part::Main | Part::Status => causes(kind, value, Some(before)),
    };
    all.extend(rules::fixed(kind, part, before, value));
    refuse(kind, name, &all)
}

fn refuse(kind: &Kind, name: &str, causes: &[Cause]) -> Result<(), Status> {
    if causes.is_empty() {
        return Ok(());
    }
    Err(Status::invalid(kind, name, causes))
}

/// Everything that is wrong with an object.
fn causes(kind: &Kind, value: &Value, before: Option<&Value>) -> Vec<Cause> {
    let mut causes = Vec::new();
    if let Some(custom) = &kind.custom {
        causes.extend(schema::check_change(value, before, &custom.schema));
        if let Some(rules) = &custom.rules {
            if causes.iter().any(blocks_rules) {
                causes.push(validations::not_checked());
            } else {
                causes.extend(validations::check(rules, value, before));
            }
        }
    } else if definition::is_definition(kind) {
        return definition::check(value);
    }
    metadata::look(value, &mut causes);
    kinds::look(kind, value, &mut causes);
    if kind.group == admission::GROUP {
        causes.extend(admission::check(kind, value));
    }
    match (kind.group.as_str(), kind.plural.as_str()) {
        ("", "pods") => pod(value.get("spec"), "spec", true, &mut causes),
        ("apps", "deployments" | "replicasets" | "statefulsets" | "daemonsets") => {
            workload(value, &mut causes);
        }
        ("batch", "jobs") => {
            for field in ["parallelism", "completions", "backoffLimit"] {
                not_negative(value, field, &mut causes);
            }
            pod(
                value.reach("/spec/template/spec"),
                "spec.template.spec",
                false,
                &mut causes,
            );
            let policy = value.reach("/spec/template/spec/restartPolicy");
            if policy.is_some_and(|policy| policy == "Always") {
                let at = "spec.template.spec.restartPolicy";
                causes.push(Cause::required(
                    at,
                    "valid values: \"OnFailure\", \"Never\"",
                ));
            }
        }
        ("batch", "cronjobs") => cron_job(value, &mut causes),
        ("scheduling.k8s.io", "priorityclasses") => priority_class(value, &mut causes),
        ("", "services") => service(value, &mut causes),
        _ => {}
    }
    causes
}

/// Whether something is so wrong that rules could stumble over it.
fn blocks_rules(cause: &Cause) -> bool {
    matches!(
        cause.reason,
        "FieldValueNotSupported"
            | "FieldValueRequired"
            | "FieldValueTooLong"
            | "FieldValueTooMany"
            | "FieldValueTypeInvalid"
    )
}

fn text<'a>(value: &'a Value, at: &str) -> &'a str {
    value.reach(at).and_then(Value::as_str).unwrap_or_default()
}

const VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const KEY: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";

fn is_word(text: &str) -> bool {
    let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let edge = |b: Option<&u8>| b.is_none_or(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    bytes.iter().copied().all(good) && edge(bytes.first()) && edge(bytes.last())
}

fn is_label(text: &str) -> bool {
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    !text.is_empty()
        && text.len() <= 63
        && text.bytes().all(good)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

fn not_negative(value: &Value, field: &str, causes: &mut Vec<Cause>) {
    let number = value.reach(&format!("/spec/{field}"));
    if let Some(number) = number.and_then(Value::as_i64).filter(|number| *number < 0) {
        causes.push(Cause::invalid(
            format!("spec.{field}"),
            &number.into(),
            "must be greater than or equal to 0",
        ));
    }
}

fn pod(spec: Option<&Value>, path: &str, alone: bool, causes: &mut Vec<Cause>) {
    let Some(spec) = spec else {
        causes.push(Cause::required(format!("{path}.containers"), ""));
        return;
    };
    let containers = spec.get("containers").and_then(Value::as_array);
    if containers.is_none_or(Vec::is_empty) {
        causes.push(Cause::required(format!("{path}.containers"), ""));
    }
    containers::pod(spec, path, causes);
    let volumes: Vec<&str> = list(spec, "volumes")
        .map(|volume| text(volume, "/name"))
        .collect();
    let mut seen: Vec<&str> = Vec::new();
    for field in ["initContainers", "containers"] {
        for (at, container) in list(spec, field).enumerate() {
            let at = format!("{path}.{field}[{at}]");
            let name = text(container, "/name");
            if name.is_empty() {
                causes.push(Cause::required(format!("{at}.name"), ""));
            } else if !is_label(name) {
                causes.push(Cause::invalid(format!("{at}.name"), &name.into(), LABEL));
            } else if seen.contains(&name) {
                causes.push(Cause::duplicate(format!("{at}.name"), &name.into()));
            }
            seen.push(name);
            let image = text(container, "/image");
            // Templates may leave the image to whoever fills them in.
            if image.is_empty() && alone {
                causes.push(Cause::required(format!("{at}.image"), ""));
            }
            let hosted = spec.get("hostUsers") != Some(&Value::Bool(false));
            if hosted && text(container, "/securityContext/procMount") == "Unmasked" {
                let field = format!("{at}.securityContext.procMount");
                let detail = "`hostUsers` must be false to use `Unmasked`";
                causes.push(Cause::invalid(field, &"Unmasked".into(), detail));
            }
            containers::container(container, &at, causes);
            for (number, mount) in list(container, "volumeMounts").enumerate() {
                let volume = text(mount, "/name");
                if !volumes.contains(&volume) {
                    causes.push(Cause {
                        reason: "FieldValueNotFound",
                        message: format!("Not found: \"{volume}\""),
                        field: format!("{at}.volumeMounts[{number}].name"),
                    });
                }
            }
            for (number, port) in list(container, "ports").enumerate() {
                check_port(
                    port,
                    "containerPort",
                    &format!("{at}.ports[{number}]"),
                    causes,
                );
            }
        }
    }
    if let Some(policy) = spec.get("restartPolicy")
        && !matches!(policy.as_str(), Some("Always" | "OnFailure" | "Never"))
    {
        let at = format!("{path}.restartPolicy");
        causes.push(Cause::unsupported(
            at,
            policy,
            &["Always", "OnFailure", "Never"],
        ));
    }
}

fn check_port(port: &Value, field: &str, at: &str, causes: &mut Vec<Cause>) {
    match port.get(field).and_then(Value::as_i64) {
        Some(1..=65535) => {}
        None | Some(0) => causes.push(Cause::required(format!("{at}.{field}"), "")),
        Some(number) => causes.push(Cause::invalid(
            format!("{at}.{field}"),
            &number.into(),
            "must be between 1 and 65535, inclusive",
        )),
    }
}

fn list<'a>(value: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> {
    let list = value.get(field).and_then(Value::as_array);
    list.into_iter().flatten()
}

/// The pod of a workload with a volume for each claim that comes with it.
fn with_claims(value: &Value) -> Option<Value> {
    let mut spec = value.reach("/spec/template/spec")?.clone();
    let claims = value
        .reach("/spec/volumeClaimTemplates")
        .and_then(Value::as_array);
    let names = claims.into_iter().flatten().map(|claim| {
        let mut volume = serde_json::Map::new();
        volume.insert("name".to_owned(), text(claim, "/metadata/name").into());
        Value::Object(volume)
    });
    let names: Vec<Value> = names.collect();
    if let Some(spec) = spec.as_object_mut().filter(|_| !names.is_empty()) {
        let volumes = spec.entry("volumes").or_insert(Value::Null);
        match volumes.as_array_mut() {
            Some(volumes) => volumes.extend(names),
            None => *volumes = names.into(),
        }
    }
    Some(spec)
}

fn workload(value: &Value, causes: &mut Vec<Cause>) {
    not_negative(value, "replicas", causes);
    strategy(value, causes);
    let empty = |selector: &Value| selector.as_object().is_none_or(serde_json::Map::is_empty);
    match value.reach("/spec/selector") {
        None | Some(Value::Null) => {
            causes.push(Cause::required("spec.selector", ""));
            let labels = value.reach("/spec/template/metadata/labels");
            let labels = labels.unwrap_or(&Value::Null);
            let detail = "`selector` does not match template `labels`";
            causes.push(Cause::invalid(
                "spec.template.metadata.labels",
                labels,
                detail,
            ));
        }
        Some(selector) if empty(selector) => causes.push(Cause::invalid(
            "spec.selector",
            selector,
            "empty selector is invalid for deployment",
        )),
        Some(selector) => {
            let labels = value.reach("/spec/template/metadata/labels");
            let own = LabelSelector::from_json(selector);
            let label = |name: &str| labels?.get(name)?.as_str();
            if !own.matches(label) {
                let labels = labels
                    .cloned()
                    .unwrap_or_else(|| Value::Object(serde_json::Map::new()));
                causes.push(Cause::invalid(
                    "spec.template.metadata.labels",
                    &labels,
                    "`selector` does not match template `labels`",
                ));
            }
        }
    }
    let spec = with_claims(value);
    pod(spec.as_ref(), "spec.template.spec", false, causes);
    let policy = value.reach("/spec/template/spec/restartPolicy");
    if let Some(policy) = policy.filter(|policy| *policy != "Always") {
        let at = "spec.template.spec.restartPolicy";
        causes.push(Cause::unsupported(at, policy, &["Always"]));
    }
}

fn priority_class(value: &Value, causes: &mut Vec<Cause>) {
    let name = text(value, "/metadata/name");
    let known = matches!(name, "system-node-critical" | "system-cluster-critical");
    if name.starts_with("system-") && !known {
        let detail = format!(
            "priority class names with 'system-' prefix are reserved for system use only. error: {name} is not a known system priority class"
        );
        causes.push(Cause::forbidden("metadata.name", &detail));
    }
}

/// How pods are replaced, where the kind says so.
fn strategy(value: &Value, causes: &mut Vec<Cause>) {
    if let Some(rolling) = value.reach("/spec/strategy/rollingUpdate") {
        let none = |name: &str| {
            let amount = rolling.get(name);
            amount.is_some_and(|amount| amount == 0 || amount == "0%")
        };
        if none("maxSurge") && none("maxUnavailable") {
            let at = "spec.strategy.rollingUpdate.maxUnavailable";
            let zero = rolling.get("maxUnavailable").cloned().unwrap_or_default();
            causes.push(Cause::invalid(
                at,
                &zero,
                "may not be 0 when `maxSurge` is 0",
            ));
        }
    }
    if let Some(policy) = value.reach("/spec/podManagementPolicy") {
        if !matches!(policy.as_str(), Some("OrderedReady" | "Parallel")) {
            let detail = "must be 'OrderedReady' or 'Parallel'";
            causes.push(Cause::invalid("spec.podManagementPolicy", policy, detail));
        }
        let update = value.reach("/spec/updateStrategy");
        let of = update.and_then(|update| update.get("type"));
        if let Some(of) = of.filter(|of| *of != "RollingUpdate" && *of != "OnDelete") {
            let shown = serde_json::json!({"Type": of, "RollingUpdate": null});
            let detail = "must be 'RollingUpdate' or 'OnDelete'";
            causes.push(Cause::invalid("spec.updateStrategy", &shown, detail));
        }
    }
}

fn cron_job(value: &Value, causes: &mut Vec<Cause>) {
    let schedule = text(value, "/spec/schedule");
    if schedule.is_empty() {
        causes.push(Cause::required("spec.schedule", ""));
    } else if !schedule.starts_with('@')
        && let Err(detail) = Schedule::read(schedule)
    {
        causes.push(Cause::invalid("spec.schedule", &schedule.into(), &detail));
    }
    containers::one_of(
        value.reach("/spec/concurrencyPolicy"),
        "spec.concurrencyPolicy",
        &["Allow", "Forbid", "Replace"],
        causes,
    );
    let spec = value.reach("/spec/jobTemplate/spec/template/spec");
    pod(spec, "spec.jobTemplate.spec.template.spec", false, causes);
}

fn service(value: &Value, causes: &mut Vec<Cause>) {
    let kind = text(value, "/spec/type");
    let headless = text(value, "/spec/clusterIP") == "None";
    let spec = value.get("spec").unwrap_or(&Value::Null);
    if list(spec, "ports").next().is_none() && kind != "ExternalName" && !headless {
        causes.push(Cause::required("spec.ports", ""));
    }
    let many = list(spec, "ports").count() > 1;
    for (at, port) in list(spec, "ports").enumerate() {
        let at = format!("spec.ports[{at}]");
        if many && text(port, "/name").is_empty() {
            causes.push(Cause::required(format!("{at}.name"), ""));
        }
        match port.get("port").and_then(Value::as_i64) {
            Some(1..=65535) => {}
            number => causes.push(Cause::invalid(
                format!("{at}.port"),
                &number.unwrap_or(0).into(),
                "must be between 1 and 65535, inclusive",
            )),
        }
        containers::one_of(
            port.get("protocol"),
            &format!("{at}.protocol"),
            &["SCTP", "TCP", "UDP"],
            causes,
        );
        if let Some(number) = port.get("targetPort").and_then(Value::as_i64)
            && !(1..=65535).contains(&number)
        {
            causes.push(Cause::invalid(
                format!("{at}.targetPort"),
                &number.into(),
                "must be between 1 and 65535, inclusive",
            ));
        }
    }
    if !matches!(
        kind,
        "" | "ClusterIP" | "NodePort" | "LoadBalancer" | "ExternalName"
    ) {
        causes.push(Cause::unsupported(
            "spec.type",
            &kind.into(),
            &["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"],
        ));
    }
}
