//! What objects of kinds that run nothing must say.
//!
//! To add a kind: an arm in [`look`] and a function.

use base64::Engine as _;
use serde_json::{Value, json};

use super::containers::one_of;
use super::{list, text};
use crate::embedded::api::registry::Kind;
use crate::embedded::api::status::Cause;
use crate::embedded::quantity;
use crate::embedded::reach::Reach as _;

const KEY: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";

/// What is wrong with an object for its kind.
pub(super) fn look(kind: &Kind, value: &Value, causes: &mut Vec<Cause>) {
    match (kind.group.as_str(), kind.plural.as_str()) {
        ("", "configmaps") => {
            keys(value, "data", causes);
            keys(value, "binaryData", causes);
        }
        ("", "secrets") => secret(value, causes),
        ("", "persistentvolumeclaims") => claim(value, causes),
        ("", "persistentvolumes") => volume(value, causes),
        ("", "resourcequotas") => quota(value, causes),
        ("storage.k8s.io", "storageclasses") => {
            if text(value, "/provisioner").is_empty() {
                causes.push(Cause::required("provisioner", ""));
            }
            let modes = ["Immediate", "WaitForFirstConsumer"];
            let mode = value.get("volumeBindingMode");
            one_of(mode, "volumeBindingMode", &modes, causes);
        }
        ("networking.k8s.io", "ingresses") => ingress(value, causes),
        ("policy", "poddisruptionbudgets") => budget(value, causes),
        ("autoscaling", _) => autoscaler(value, causes),
        ("rbac.authorization.k8s.io", "roles" | "clusterroles") => {
            for (at, rule) in list(value, "rules").enumerate() {
                if list(rule, "verbs").next().is_none() {
                    let detail = "verbs must contain at least one value";
                    causes.push(Cause::required(format!("rules[{at}].verbs"), detail));
                }
            }
        }
        ("rbac.authorization.k8s.io", plural) => {
            let allowed: &[&str] = match plural {
                "clusterrolebindings" => &["ClusterRole"],
                _ => &["Role", "ClusterRole"],
            };
            let kind = value.reach("/roleRef/kind");
            one_of(kind, "roleRef.kind", allowed, causes);
            if text(value, "/roleRef/name").is_empty() {
                causes.push(Cause::required("roleRef.name", ""));
            }
        }
        ("certificates.k8s.io", "certificatesigningrequests") => request(value, causes),
        ("scheduling.k8s.io", _) => {
            let number = value.get("value").and_then(Value::as_i64).unwrap_or(0);
            if number > 1_000_000_000 && !text(value, "/metadata/name").starts_with("system-") {
                let detail = "maximum allowed value of a user defined priority is 1000000000";
                causes.push(Cause::forbidden("value", detail));
            }
        }
        ("discovery.k8s.io", _) => slice(value, causes),
        _ => {}
    }
}

fn keys(value: &Value, field: &str, causes: &mut Vec<Cause>) {
    let map = value.get(field).and_then(Value::as_object);
    for key in map.into_iter().flat_map(serde_json::Map::keys) {
        let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        if key.is_empty() || key.len() > 253 || !key.bytes().all(good) {
            let at = format!("{field}[{key}]");
            causes.push(Cause::invalid(at, &key.as_str().into(), KEY));
        }
    }
}

fn secret(value: &Value, causes: &mut Vec<Cause>) {
    keys(value, "data", causes);
    let needed: &[&str] = match text(value, "/type") {
        "kubernetes.io/tls" => &["tls.crt", "tls.key"],
        "kubernetes.io/dockerconfigjson" => &[".dockerconfigjson"],
        "kubernetes.io/dockercfg" => &[".dockercfg"],
        "kubernetes.io/ssh-auth" => &["ssh-privatekey"],
        _ => &[],
    };
    for key in needed {
        if value.get("data").is_none_or(|data| data.get(key).is_none()) {
            causes.push(Cause::required(format!("data[{key}]"), ""));
        }
    }
}

fn claim(value: &Value, causes: &mut Vec<Cause>) {
    let spec = value.get("spec").unwrap_or(&Value::Null);
    if list(spec, "accessModes").next().is_none() {
        let detail = "at least 1 access mode is required";
        causes.push(Cause::required("spec.accessModes", detail));
    }
    if spec.reach("/resources/requests/storage").is_none() {
        causes.push(Cause::required("spec.resources[storage]", ""));
    }
}

fn volume(value: &Value, causes: &mut Vec<Cause>) {
    let spec = value.get("spec").unwrap_or(&Value::Null);
    if list(spec, "accessModes").next().is_none() {
        causes.push(Cause::required("spec.accessModes", ""));
    }
    if spec.get("capacity").is_none() {
        causes.push(Cause::required("spec.capacity", ""));
        causes.push(Cause::unsupported(
            "spec.capacity",
            &Value::Null,
            &["storage"],
        ));
    }
    // Whatever is none of these says where the volume is.
    const ABOUT: &[&str] = &[
        "accessModes",
        "capacity",
        "claimRef",
        "mountOptions",
        "nodeAffinity",
        "persistentVolumeReclaimPolicy",
        "storageClassName",
        "volumeAttributesClassName",
        "volumeMode",
    ];
    let fields = spec.as_object();
    let mut fields = fields.into_iter().flat_map(serde_json::Map::keys);
    if !fields.any(|field| !ABOUT.contains(&field.as_str())) {
        causes.push(Cause::required("spec", "must specify a volume type"));
    }
}

fn quota(value: &Value, causes: &mut Vec<Cause>) {
    let hard = value.reach("/spec/hard").and_then(Value::as_object);
    for (name, amount) in hard.into_iter().flatten() {
        if quantity::of(amount).is_some_and(|amount| amount < 0) {
            let at = format!("spec.hard[{name}]");
            causes.push(Cause::invalid(
                at,
                amount,
                "must be greater than or equal to 0",
            ));
        }
    }
}

fn ingress(value: &Value, causes: &mut Vec<Cause>) {
    let spec = value.get("spec").unwrap_or(&Value::Null);
    if spec.get("defaultBackend").is_none() && list(spec, "rules").next().is_none() {
        let detail = "either `defaultBackend` or `rules` must be specified";
        causes.push(Cause::invalid("spec", &Value::Null, detail));
    }
    for (number, rule) in list(spec, "rules").enumerate() {
        let http = rule.get("http").unwrap_or(&Value::Null);
        for (at, path) in list(http, "paths").enumerate() {
            let at = format!("spec.rules[{number}].http.paths[{at}]");
            let place = text(path, "/path");
            match text(path, "/pathType") {
                "" => causes.push(Cause::required(
                    format!("{at}.pathType"),
                    "pathType must be specified",
                )),
                "ImplementationSpecific" => {}
                "Exact" | "Prefix" if place.starts_with('/') => {}
                "Exact" | "Prefix" => causes.push(Cause::invalid(
                    format!("{at}.path"),
                    &place.into(),
                    "must be an absolute path",
                )),
                other => causes.push(Cause::unsupported(
                    format!("{at}.pathType"),
                    &other.into(),
                    &["Exact", "ImplementationSpecific", "Prefix"],
                )),
            }
        }
    }
}

fn budget(value: &Value, causes: &mut Vec<Cause>) {
    let field = |name: &str| value.reach(&format!("/spec/{name}")).cloned();
    let (least, most) = (field("minAvailable"), field("maxUnavailable"));
    if least.is_some() && most.is_some() {
        let shown = json!({
            "MinAvailable": least, "Selector": field("selector"), "MaxUnavailable": most,
            "UnhealthyPodEvictionPolicy": field("unhealthyPodEvictionPolicy"),
        });
        let detail = "minAvailable and maxUnavailable cannot be both set";
        causes.push(Cause::invalid("spec", &shown, detail));
    }
}

fn autoscaler(value: &Value, causes: &mut Vec<Cause>) {
    let number = |name: &str| {
        let number = value.reach(&format!("/spec/{name}"));
        number.and_then(Value::as_i64).unwrap_or(0)
    };
    let (least, most) = (number("minReplicas"), number("maxReplicas"));
    if most < 1 {
        let detail = "must be greater than 0";
        causes.push(Cause::invalid("spec.maxReplicas", &most.into(), detail));
    }
    if most < least {
        let detail = "must be greater than or equal to `minReplicas`";
        causes.push(Cause::invalid("spec.maxReplicas", &most.into(), detail));
    }
    if text(value, "/spec/scaleTargetRef/kind").is_empty() {
        causes.push(Cause::required("spec.scaleTargetRef.kind", ""));
    }
    if text(value, "/spec/scaleTargetRef/name").is_empty() {
        causes.push(Cause::required("spec.scaleTargetRef.name", ""));
    }
    let version = text(value, "/spec/scaleTargetRef/apiVersion");
    let core = text(value, "/spec/scaleTargetRef/kind") == "ReplicationController";
    if version.is_empty() && !core {
        causes.push(Cause::invalid(
            "spec.scaleTargetRef.apiVersion",
            &version.into(),
            "apiVersion must specify API group",
        ));
    }
}

fn slice(value: &Value, causes: &mut Vec<Cause>) {
    let of = text(value, "/addressType");
    if matches!(of, "" | "FQDN") {
        return;
    }
    for (number, endpoint) in list(value, "endpoints").enumerate() {
        for (at, address) in list(endpoint, "addresses").enumerate() {
            let given = address.as_str().unwrap_or_default();
            if given.parse::<std::net::IpAddr>().is_err() {
                let at = format!("endpoints[{number}].addresses[{at}]");
                let detail = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
                causes.push(Cause::invalid(at, address, detail));
            }
        }
    }
}

/// What is asked to be signed must be a request for a certificate, in PEM.
fn request(value: &Value, causes: &mut Vec<Cause>) {
    let asked = text(value, "/spec/request");
    if asked.is_empty() {
        causes.push(Cause::required("spec.request", ""));
        return;
    }
    let decoded = base64::engine::general_purpose::STANDARD.decode(asked);
    let decoded = decoded.unwrap_or_default();
    if !String::from_utf8_lossy(&decoded).contains("-----BEGIN CERTIFICATE REQUEST-----") {
        let detail = "PEM block type must be CERTIFICATE REQUEST";
        causes.push(Cause::invalid("spec.request", &asked.into(), detail));
    }
}
