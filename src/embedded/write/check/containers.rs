//! What a pod's containers and volumes must look like, beyond what is in them by name.

use serde_json::Value;

use super::metadata::check_labels;
use super::{list, text};
use crate::embedded::api::status::Cause;
use crate::embedded::quantity;
use crate::embedded::reach::Reach as _;

const NOT_NEGATIVE: &str = "must be greater than or equal to 0";

/// What is wrong with a pod as a whole.
pub(super) fn pod(spec: &Value, path: &str, causes: &mut Vec<Cause>) {
    let mut seen: Vec<&str> = Vec::new();
    for (at, volume) in list(spec, "volumes").enumerate() {
        let name = text(volume, "/name");
        let at = format!("{path}.volumes[{at}].name");
        if name.is_empty() {
            causes.push(Cause::required(at, ""));
        } else if seen.contains(&name) {
            causes.push(Cause::duplicate(at, &name.into()));
        }
        seen.push(name);
    }
    one_of(
        spec.get("dnsPolicy"),
        &format!("{path}.dnsPolicy"),
        &["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"],
        causes,
    );
    check_labels(
        spec.get("nodeSelector"),
        &format!("{path}.nodeSelector"),
        causes,
    );
    for (at, toleration) in list(spec, "tolerations").enumerate() {
        let at = format!("{path}.tolerations[{at}].operator");
        let Some(operator) = toleration.get("operator") else {
            continue;
        };
        if text(toleration, "/key").is_empty() && operator != "Exists" {
            let detail = "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
            causes.push(Cause::invalid(at.as_str(), operator, detail));
        }
        one_of(Some(operator), &at, &["Equal", "Exists"], causes);
    }
    if let Some(seconds) = spec.get("activeDeadlineSeconds").and_then(Value::as_i64)
        && seconds < 1
    {
        causes.push(Cause::invalid(
            format!("{path}.activeDeadlineSeconds"),
            &seconds.into(),
            "must be between 1 and 2147483647, inclusive",
        ));
    }
}

/// What is wrong with a container.
pub(super) fn container(container: &Value, at: &str, causes: &mut Vec<Cause>) {
    one_of(
        container.get("imagePullPolicy"),
        &format!("{at}.imagePullPolicy"),
        &["Always", "IfNotPresent", "Never"],
        causes,
    );
    for (number, port) in list(container, "ports").enumerate() {
        let at = format!("{at}.ports[{number}]");
        one_of(
            port.get("protocol"),
            &format!("{at}.protocol"),
            &["SCTP", "TCP", "UDP"],
            causes,
        );
        let name = text(port, "/name");
        let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if !name.bytes().all(good) {
            let detail = "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)";
            causes.push(Cause::invalid(format!("{at}.name"), &name.into(), detail));
        }
    }
    for (number, env) in list(container, "env").enumerate() {
        let at = format!("{at}.env[{number}]");
        if text(env, "/name").is_empty() {
            causes.push(Cause::required(format!("{at}.name"), ""));
        }
        if env.get("valueFrom").is_some() && !text(env, "/value").is_empty() {
            let detail = "may not be specified when `value` is not empty";
            causes.push(Cause::invalid(
                format!("{at}.valueFrom"),
                &"".into(),
                detail,
            ));
        }
    }
    resources(container, at, causes);
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(of) = container.get(probe) {
            look_at_probe(of, &format!("{at}.{probe}"), causes);
        }
    }
}

fn resources(container: &Value, at: &str, causes: &mut Vec<Cause>) {
    let limits = container.reach("/resources/limits");
    let requests = container
        .reach("/resources/requests")
        .and_then(Value::as_object);
    for (name, request) in requests.into_iter().flatten() {
        let Some(limit) = limits.and_then(|limits| limits.get(name)) else {
            continue;
        };
        if let (Some(asked), Some(most)) = (quantity::of(request), quantity::of(limit))
            && asked > most
        {
            let limit = limit.as_str().unwrap_or_default();
            let detail = format!("must be less than or equal to {name} limit of {limit}");
            let at = format!("{at}.resources.requests");
            causes.push(Cause::invalid(at, request, &detail));
        }
    }
}

fn look_at_probe(probe: &Value, at: &str, causes: &mut Vec<Cause>) {
    let handlers = ["exec", "httpGet", "tcpSocket", "grpc"];
    if !handlers.iter().any(|handler| probe.get(handler).is_some()) {
        causes.push(Cause::required(at, "must specify a handler type"));
    }
    for field in [
        "initialDelaySeconds",
        "timeoutSeconds",
        "periodSeconds",
        "successThreshold",
        "failureThreshold",
    ] {
        if let Some(number) = probe.get(field).and_then(Value::as_i64).filter(|n| *n < 0) {
            causes.push(Cause::invalid(
                format!("{at}.{field}"),
                &number.into(),
                NOT_NEGATIVE,
            ));
        }
    }
}

/// A field that is there must have one of some values.
pub(super) fn one_of(value: Option<&Value>, at: &str, allowed: &[&str], causes: &mut Vec<Cause>) {
    if let Some(value) = value
        && !allowed.iter().any(|one| value == one)
    {
        causes.push(Cause::unsupported(at, value, allowed));
    }
}
