//! Values that the server fills in where a writer leaves them out: pods and what makes them; the rest is in `others`.

pub(super) mod others;

use serde_json::{Map, Value, json};

use super::definition;
use crate::embedded::admission;
use crate::embedded::api::registry::Kind;
use crate::embedded::reach::Reach as _;

/// Fills in a whole object.
pub(super) fn apply(kind: &Kind, value: &mut Value) {
    let (group, plural) = (kind.group.as_str(), kind.plural.as_str());
    if group.is_empty() && plural == "namespaces" {
        let name = value.reach("/metadata/name").cloned().unwrap_or_default();
        json_patch::merge(
            value,
            &json!({"metadata": {"labels": {"kubernetes.io/metadata.name": name}}}),
        );
    }
    if group == "storage.k8s.io"
        && plural == "storageclasses"
        && let Some(root) = value.as_object_mut()
    {
        set(root, "reclaimPolicy", json!("Delete"));
        set(root, "volumeBindingMode", json!("Immediate"));
    }
    if group == "scheduling.k8s.io"
        && let Some(root) = value.as_object_mut()
    {
        set(root, "preemptionPolicy", json!("PreemptLowerPriority"));
    }
    if group == admission::GROUP {
        admission::complete(kind, value);
    }
    if group.is_empty() && plural == "limitranges" {
        admission::limits::complete(value);
    }
    if group.is_empty() && plural == "secrets" {
        secret(value);
    }
    if let Some(custom) = &kind.custom {
        definition::fill(value, &custom.schema);
        return;
    }
    if definition::is_definition(kind) {
        definition::complete(value);
    }
    others::apply(group, plural, value);
    let Some(spec) = value.get_mut("spec").and_then(Value::as_object_mut) else {
        return;
    };
    match (group, plural) {
        ("", "pods") => pod(spec),
        ("", "services") => service(spec),
        ("", "persistentvolumeclaims") => set(spec, "volumeMode", json!("Filesystem")),
        ("", "persistentvolumes") => {
            set(spec, "volumeMode", json!("Filesystem"));
            set(spec, "persistentVolumeReclaimPolicy", json!("Retain"));
            if let Some(host) = spec.get_mut("hostPath").and_then(Value::as_object_mut) {
                set(host, "type", json!(""));
            }
        }
        ("apps", "deployments") => deployment(spec),
        ("apps", "replicasets") => {
            set(spec, "replicas", json!(1));
            template(spec);
        }
        ("", "replicationcontrollers") => {
            set(spec, "replicas", json!(1));
            template(spec);
        }
        ("apps", "statefulsets") => stateful_set(spec),
        ("apps", "daemonsets") => daemon_set(spec),
        ("autoscaling", _) => {
            set(spec, "minReplicas", json!(1));
            let target = json!({"type": "Utilization", "averageUtilization": 80});
            let cpu = json!({"type": "Resource", "resource": {"name": "cpu", "target": target}});
            set(spec, "metrics", json!([cpu]));
        }
        ("batch", "jobs") => job(spec),
        ("batch", "cronjobs") => cron_job(spec),
        _ => {}
    }
}

/// Sets a field that is missing.
pub(super) fn set(map: &mut Map<String, Value>, field: &str, value: Value) {
    match map.get(field) {
        None | Some(Value::Null) => {
            map.insert(field.to_owned(), value);
        }
        Some(_) => {}
    }
}

fn object<'a>(map: &'a mut Map<String, Value>, field: &str) -> Option<&'a mut Map<String, Value>> {
    map.entry(field)
        .or_insert_with(|| json!({}))
        .as_object_mut()
}

fn secret(value: &mut Value) {
    use base64::Engine as _;
    let Some(root) = value.as_object_mut() else {
        return;
    };
    set(root, "type", json!("Opaque"));
    let Some(Value::Object(plain)) = root.shift_remove("stringData") else {
        return;
    };
    if let Some(data) = object(root, "data") {
        for (key, value) in plain {
            let text = value.as_str().unwrap_or_default();
            let encoded = base64::engine::general_purpose::STANDARD.encode(text);
            data.insert(key, encoded.into());
        }
    }
}

pub(super) fn template(spec: &mut Map<String, Value>) {
    if let Some(template) = spec.get_mut("template").and_then(Value::as_object_mut) {
        set(template, "metadata", json!({}));
    }
    let inner = spec.get_mut("template").and_then(|t| t.get_mut("spec"));
    if let Some(inner) = inner.and_then(Value::as_object_mut) {
        let said = inner.get("enableServiceLinks").cloned();
        pod(inner);
        // A default of pods alone, not of their templates.
        if said.is_none() {
            inner.shift_remove("enableServiceLinks");
        }
    }
}

fn deployment(spec: &mut Map<String, Value>) {
    set(spec, "replicas", json!(1));
    set(spec, "revisionHistoryLimit", json!(10));
    set(spec, "progressDeadlineSeconds", json!(600));
    if let Some(strategy) = object(spec, "strategy") {
        set(strategy, "type", json!("RollingUpdate"));
        if strategy.get("type") == Some(&json!("RollingUpdate"))
            && let Some(rolling) = object(strategy, "rollingUpdate")
        {
            set(rolling, "maxUnavailable", json!("25%"));
            set(rolling, "maxSurge", json!("25%"));
        }
    }
    template(spec);
}

fn stateful_set(spec: &mut Map<String, Value>) {
    set(spec, "replicas", json!(1));
    set(spec, "revisionHistoryLimit", json!(10));
    set(spec, "podManagementPolicy", json!("OrderedReady"));
    if let Some(strategy) = object(spec, "updateStrategy") {
        set(strategy, "type", json!("RollingUpdate"));
        if strategy.get("type") == Some(&json!("RollingUpdate"))
            && let Some(rolling) = object(strategy, "rollingUpdate")
        {
            set(rolling, "partition", json!(0));
        }
    }
    if let Some(retention) = object(spec, "persistentVolumeClaimRetentionPolicy") {
        set(retention, "whenDeleted", json!("Retain"));
        set(retention, "whenScaled", json!("Retain"));
    }
    let claims = spec.get_mut("volumeClaimTemplates");
    for claim in claims.and_then(Value::as_array_mut).into_iter().flatten() {
        let Some(claim) = claim.as_object_mut() else {
            continue;
        };
        set(claim, "apiVersion", json!("v1"));
        set(claim, "kind", json!("PersistentVolumeClaim"));
        if let Some(spec) = object(claim, "spec") {
            set(spec, "volumeMode", json!("Filesystem"));
        }
        set(claim, "status", json!({"phase": "Pending"}));
    }
    template(spec);
}

fn daemon_set(spec: &mut Map<String, Value>) {
    set(spec, "revisionHistoryLimit", json!(10));
    if let Some(strategy) = object(spec, "updateStrategy") {
        set(strategy, "type", json!("RollingUpdate"));
        if strategy.get("type") == Some(&json!("RollingUpdate"))
            && let Some(rolling) = object(strategy, "rollingUpdate")
        {
            set(rolling, "maxUnavailable", json!(1));
            set(rolling, "maxSurge", json!(0));
        }
    }
    template(spec);
}

fn job(spec: &mut Map<String, Value>) {
    if spec.get("completions").is_none() && spec.get("parallelism").is_none() {
        set(spec, "completions", json!(1));
    }
    set(spec, "parallelism", json!(1));
    // Where indices are counted one by one, the whole has no bound of its own.
    let bound = match spec.contains_key("backoffLimitPerIndex") {
        true => i32::MAX,
        false => 6,
    };
    set(spec, "backoffLimit", json!(bound));
    set(spec, "manualSelector", json!(false));
    set(spec, "completionMode", json!("NonIndexed"));
    set(spec, "suspend", json!(false));
    set(spec, "podReplacementPolicy", json!("TerminatingOrFailed"));
    template(spec);
}

fn cron_job(spec: &mut Map<String, Value>) {
    set(spec, "concurrencyPolicy", json!("Allow"));
    set(spec, "suspend", json!(false));
    set(spec, "successfulJobsHistoryLimit", json!(3));
    set(spec, "failedJobsHistoryLimit", json!(1));
    if let Some(job) = spec.get_mut("jobTemplate").and_then(Value::as_object_mut) {
        set(job, "metadata", json!({}));
        if let Some(inner) = job.get_mut("spec").and_then(Value::as_object_mut) {
            template(inner);
        }
    }
}

fn service(spec: &mut Map<String, Value>) {
    set(spec, "type", json!("ClusterIP"));
    set(spec, "sessionAffinity", json!("None"));
    let kind = spec.get("type").and_then(Value::as_str).unwrap_or_default();
    let external = matches!(kind, "NodePort" | "LoadBalancer");
    let balanced = kind == "LoadBalancer";
    if kind != "ExternalName" {
        set(spec, "internalTrafficPolicy", json!("Cluster"));
    }
    if spec.get("sessionAffinity") == Some(&json!("ClientIP"))
        && let Some(config) = object(spec, "sessionAffinityConfig")
        && let Some(address) = object(config, "clientIP")
    {
        set(address, "timeoutSeconds", json!(10800));
    }
    if external {
        set(spec, "externalTrafficPolicy", json!("Cluster"));
    }
    if balanced {
        set(spec, "allocateLoadBalancerNodePorts", json!(true));
    }
    for port in list(spec, "ports") {
        set(port, "protocol", json!("TCP"));
        if let Some(number) = port.get("port").cloned() {
            set(port, "targetPort", number);
        }
    }
}

fn list<'a>(
    map: &'a mut Map<String, Value>,
    field: &str,
) -> impl Iterator<Item = &'a mut Map<String, Value>> {
    let items = map.get_mut(field).and_then(Value::as_array_mut);
    items.into_iter().flatten().filter_map(Value::as_object_mut)
}

fn pod(spec: &mut Map<String, Value>) {
    set(spec, "restartPolicy", json!("Always"));
    set(spec, "terminationGracePeriodSeconds", json!(30));
    set(spec, "dnsPolicy", json!("ClusterFirst"));
    set(spec, "schedulerName", json!("default-scheduler"));
    set(spec, "securityContext", json!({}));
    set(spec, "enableServiceLinks", json!(true));
    if let Some(account) = spec.get("serviceAccountName").cloned() {
        set(spec, "serviceAccount", account);
    } else if let Some(account) = spec.get("serviceAccount").cloned() {
        set(spec, "serviceAccountName", account);
    }
    let host_network = spec.get("hostNetwork") == Some(&json!(true));
    for field in ["initContainers", "containers", "ephemeralContainers"] {
        for each in list(spec, field) {
            container(each, host_network);
        }
    }
    for volume in list(spec, "volumes") {
        for (source, mode) in [
            ("configMap", 420),
            ("secret", 420),
            ("projected", 420),
            ("downwardAPI", 420),
        ] {
            if let Some(source) = volume.get_mut(source).and_then(Value::as_object_mut) {
                set(source, "defaultMode", json!(mode));
            }
        }
        for field in ["/downwardAPI", "/projected"] {
            if let Some(source) = volume.get_mut(field.trim_start_matches('/')) {
                projected(source);
            }
        }
        if let Some(host) = volume.get_mut("hostPath").and_then(Value::as_object_mut) {
            set(host, "type", json!(""));
        }
        if volume.len() == 1 {
            set(volume, "emptyDir", json!({}));
        }
    }
}

/// What a volume that is put together from parts leaves open in them.
fn projected(source: &mut Value) {
    let items = |value: &mut Value| {
        let items = value.get_mut("items").and_then(Value::as_array_mut);
        for item in items.into_iter().flatten() {
            let field = item.get_mut("fieldRef").and_then(Value::as_object_mut);
            if let Some(field) = field {
                set(field, "apiVersion", json!("v1"));
            }
        }
    };
    items(source);
    let sources = source.get_mut("sources").and_then(Value::as_array_mut);
    for part in sources.into_iter().flatten() {
        if let Some(inner) = part.get_mut("downwardAPI") {
            items(inner);
        }
        let token = part.get_mut("serviceAccountToken");
        if let Some(token) = token.and_then(Value::as_object_mut) {
            set(token, "expirationSeconds", json!(3600));
        }
    }
}

fn container(container: &mut Map<String, Value>, host_network: bool) {
    let image = container
        .get("image")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let policy = match image.rsplit('/').next().unwrap_or_default() {
        name if image.contains('@') || name.contains(':') && !name.ends_with(":latest") => {
            "IfNotPresent"
        }
        _ => "Always",
    };
    set(container, "imagePullPolicy", json!(policy));
    set(
        container,
        "terminationMessagePath",
        json!("/dev/termination-log"),
    );
    set(container, "terminationMessagePolicy", json!("File"));
    set(container, "resources", json!({}));
    for port in list(container, "ports") {
        set(port, "protocol", json!("TCP"));
        if host_network && let Some(number) = port.get("containerPort").cloned() {
            set(port, "hostPort", number);
        }
    }
    if let Some(resources) = container
        .get_mut("resources")
        .and_then(Value::as_object_mut)
        && let Some(Value::Object(limits)) = resources.get("limits").cloned()
        && let Some(requests) = object(resources, "requests")
    {
        for (name, quantity) in limits {
            set(requests, &name, quantity);
        }
    }
    for env in list(container, "env") {
        let field = env
            .get_mut("valueFrom")
            .and_then(|from| from.get_mut("fieldRef"));
        if let Some(field) = field.and_then(Value::as_object_mut) {
            set(field, "apiVersion", json!("v1"));
        }
        let resource = env
            .get_mut("valueFrom")
            .and_then(|from| from.get_mut("resourceFieldRef"));
        if let Some(resource) = resource.and_then(Value::as_object_mut) {
            set(resource, "divisor", json!("0"));
        }
    }
    if let Some(lifecycle) = container
        .get_mut("lifecycle")
        .and_then(Value::as_object_mut)
    {
        for handler in lifecycle.values_mut() {
            if let Some(http) = handler.get_mut("httpGet").and_then(Value::as_object_mut) {
                set(http, "path", json!("/"));
                set(http, "scheme", json!("HTTP"));
            }
        }
    }
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let Some(probe) = container.get_mut(name).and_then(Value::as_object_mut) else {
            continue;
        };
        set(probe, "timeoutSeconds", json!(1));
        set(probe, "periodSeconds", json!(10));
        set(probe, "successThreshold", json!(1));
        set(probe, "failureThreshold", json!(3));
        if let Some(http) = probe.get_mut("httpGet").and_then(Value::as_object_mut) {
            set(http, "path", json!("/"));
            set(http, "scheme", json!("HTTP"));
        }
        if let Some(grpc) = probe.get_mut("grpc").and_then(Value::as_object_mut) {
            set(grpc, "service", json!(""));
        }
    }
}

/// The class of service that a pod's requests and limits amount to.
pub(super) fn qos_class(spec: Option<&Value>) -> &'static str {
    let (mut any, mut all) = (false, true);
    let names = ["containers", "initContainers"];
    let containers = names
        .iter()
        .filter_map(|name| spec?.get(*name)?.as_array())
        .flatten();
    for container in containers {
        let get = |what: &str, name: &str| container.reach(&format!("/resources/{what}/{name}"));
        for name in ["cpu", "memory"] {
            let (limit, request) = (get("limits", name), get("requests", name));
            any |= limit.is_some() || request.is_some();
            all &= limit.is_some() && (request.is_none() || request == limit);
        }
    }
    match (any, all) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}
