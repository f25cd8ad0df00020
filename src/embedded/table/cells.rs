//! How single cells are computed.

use serde_json::Value;

use crate::embedded::reach::Reach as _;

pub(super) fn text<'a>(value: &'a Value, at: &str) -> &'a str {
    value.reach(at).and_then(Value::as_str).unwrap_or_default()
}

fn count(value: &Value, at: &str) -> i64 {
    value.reach(at).and_then(Value::as_i64).unwrap_or(0)
}

pub(super) fn list<'a>(value: &'a Value, at: &str) -> impl Iterator<Item = &'a Value> {
    let list = value.reach(at).and_then(Value::as_array);
    list.into_iter().flatten()
}

fn or(value: &Value, at: &str, other: &str) -> Value {
    match value.reach(at) {
        None | Some(Value::Null) => other.into(),
        Some(Value::String(text)) if text.is_empty() => other.into(),
        Some(Value::String(text)) => text.as_str().into(),
        Some(value) => value.to_string().into(),
    }
}

pub(super) fn plain(value: &Value, at: &str) -> Value {
    or(value, at, "")
}

pub(super) fn or_none(value: &Value, at: &str) -> Value {
    or(value, at, "<none>")
}

pub(super) fn or_unknown(value: &Value, at: &str) -> Value {
    or(value, at, "<unknown>")
}

pub(super) fn or_unset(value: &Value, at: &str) -> Value {
    or(value, at, "<unset>")
}

pub(super) fn or_na(value: &Value, at: &str) -> Value {
    or(value, at, "N/A")
}

pub(super) fn number(value: &Value, at: &str) -> Value {
    count(value, at).into()
}

pub(super) fn name(value: &Value) -> Value {
    plain(value, "/metadata/name")
}

pub(super) fn age(value: &Value) -> Value {
    since(value, "/metadata/creationTimestamp")
}

pub(super) fn since(value: &Value, at: &str) -> Value {
    since_text(text(value, at)).into()
}

pub(super) fn since_or_none(value: &Value, at: &str) -> Value {
    match text(value, at) {
        "" => "<none>".into(),
        at => since_text(at).into(),
    }
}

/// How long ago a time is, as short as people say it.
pub(super) fn since_text(at: &str) -> String {
    let Ok(at) = at.parse::<jiff::Timestamp>() else {
        return "<unknown>".to_owned();
    };
    span(jiff::Timestamp::now().as_second() - at.as_second())
}

fn span(seconds: i64) -> String {
    let with = |big: i64, unit: &str, small: i64, small_unit: &str| match small {
        0 => format!("{big}{unit}"),
        small => format!("{big}{unit}{small}{small_unit}"),
    };
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match seconds {
        s if s < -1 => "<invalid>".to_owned(),
        s if s < 0 => "0s".to_owned(),
        s if s < 120 => format!("{s}s"),
        _ if minutes < 10 => with(minutes, "m", seconds % 60, "s"),
        _ if minutes < 180 => format!("{minutes}m"),
        _ if hours < 8 => with(hours, "h", minutes % 60, "m"),
        _ if hours < 48 => format!("{hours}h"),
        _ if hours < 192 => with(days, "d", hours % 24, "h"),
        _ if days < 730 => format!("{days}d"),
        _ if days < 2920 => with(days / 365, "y", days % 365, "d"),
        _ => format!("{}y", days / 365),
    }
}

pub(super) fn pod_ready(value: &Value) -> Value {
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

pub(super) fn pod_status(value: &Value) -> Value {
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

pub(super) fn pod_restarts(value: &Value) -> Value {
    let restarts: i64 = list(value, "/status/containerStatuses")
        .map(|status| count(status, "/restartCount"))
        .sum();
    restarts.to_string().into()
}

pub(super) fn pod_gates(value: &Value) -> Value {
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

pub(super) fn node_status(value: &Value) -> Value {
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

pub(super) fn node_roles(value: &Value) -> Value {
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

pub(super) fn node_address(value: &Value, kind: &str) -> Value {
    let found = list(value, "/status/addresses").find(|a| text(a, "/type") == kind);
    found
        .map_or("<none>", |address| text(address, "/address"))
        .into()
}

pub(super) fn service_ip(value: &Value) -> Value {
    or_none(value, "/spec/clusterIP")
}

pub(super) fn service_external(value: &Value) -> Value {
    let own: Vec<&str> = list(value, "/spec/externalIPs")
        .filter_map(Value::as_str)
        .collect();
    let given: Vec<&str> = list(value, "/status/loadBalancer/ingress")
        .map(|ingress| match text(ingress, "/ip") {
            "" => text(ingress, "/hostname"),
            ip => ip,
        })
        .collect();
    match text(value, "/spec/type") {
        "LoadBalancer" if given.is_empty() && own.is_empty() => "<pending>".into(),
        "LoadBalancer" => [given, own].concat().join(",").into(),
        "ExternalName" => plain(value, "/spec/externalName"),
        _ if own.is_empty() => "<none>".into(),
        _ => own.join(",").into(),
    }
}

pub(super) fn service_ports(value: &Value) -> Value {
    let ports: Vec<String> = list(value, "/spec/ports")
        .map(|port| {
            let (number, node) = (count(port, "/port"), count(port, "/nodePort"));
            let protocol = match text(port, "/protocol") {
                "" => "TCP",
                protocol => protocol,
            };
            match node {
                0 => format!("{number}/{protocol}"),
                node => format!("{number}:{node}/{protocol}"),
            }
        })
        .collect();
    if ports.is_empty() {
        "<none>".into()
    } else {
        ports.join(",").into()
    }
}

pub(super) fn labels_at(value: &Value, at: &str) -> Value {
    let labels = value.reach(at).and_then(Value::as_object);
    let mut all: Vec<String> = labels
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    all.sort();
    if all.is_empty() {
        "<none>".into()
    } else {
        all.join(",").into()
    }
}

pub(super) fn selector_at(value: &Value, at: &str) -> Value {
    let labels = labels_at(value, &format!("{at}/matchLabels"));
    let mut terms: Vec<String> = match labels.as_str() {
        Some("<none>") | None => Vec::new(),
        Some(labels) => vec![labels.to_owned()],
    };
    for e in list(value, &format!("{at}/matchExpressions")) {
        let values: Vec<&str> = list(e, "/values").filter_map(Value::as_str).collect();
        let (key, values) = (text(e, "/key"), values.join(","));
        terms.push(match text(e, "/operator") {
            "Exists" => key.to_owned(),
            "DoesNotExist" => format!("!{key}"),
            "NotIn" => format!("{key} notin ({values})"),
            _ => format!("{key} in ({values})"),
        });
    }
    if terms.is_empty() {
        "<none>".into()
    } else {
        terms.join(",").into()
    }
}

pub(super) fn selector(value: &Value) -> Value {
    let is_rich = value.reach("/spec/selector/matchLabels").is_some()
        || value.reach("/spec/selector/matchExpressions").is_some();
    match is_rich {
        true => selector_at(value, "/spec/selector"),
        false => labels_at(value, "/spec/selector"),
    }
}

pub(super) fn data_count(value: &Value) -> Value {
    let size = |at: &str| {
        value
            .reach(at)
            .and_then(Value::as_object)
            .map_or(0, serde_json::Map::len)
    };
    (size("/data") + size("/binaryData")).into()
}

pub(super) fn count_at(value: &Value, at: &str) -> Value {
    list(value, at).count().into()
}

fn endpoint_list(all: Vec<String>, shown: usize) -> Value {
    let more = all.len().saturating_sub(shown);
    let first: Vec<String> = all.into_iter().take(shown).collect();
    match (first.is_empty(), more) {
        (true, _) => "<none>".into(),
        (false, 0) => first.join(",").into(),
        (false, more) => format!("{} + {more} more...", first.join(",")).into(),
    }
}

pub(super) fn endpoints(value: &Value) -> Value {
    let mut all = Vec::new();
    for subset in list(value, "/subsets") {
        let ports: Vec<i64> = list(subset, "/ports")
            .map(|port| count(port, "/port"))
            .collect();
        for address in list(subset, "/addresses") {
            let ip = text(address, "/ip");
            if ports.is_empty() {
                all.push(ip.to_owned());
            }
            all.extend(ports.iter().map(|port| format!("{ip}:{port}")));
        }
    }
    endpoint_list(all, 3)
}

pub(super) fn slice_ports(value: &Value) -> Value {
    let ports: Vec<String> = list(value, "/ports")
        .map(|port| count(port, "/port").to_string())
        .collect();
    match ports.is_empty() {
        true => "<unset>".into(),
        false => endpoint_list(ports, 3),
    }
}

pub(super) fn slice_endpoints(value: &Value) -> Value {
    let addresses = list(value, "/endpoints").flat_map(|endpoint| list(endpoint, "/addresses"));
    let all: Vec<String> = addresses
        .filter_map(|a| Some(a.as_str()?.to_owned()))
        .collect();
    match all.is_empty() {
        true => "<unset>".into(),
        false => endpoint_list(all, 3),
    }
}

pub(super) fn event_seen(value: &Value) -> Value {
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

pub(super) fn event_object(value: &Value) -> Value {
    let at = if value.get("involvedObject").is_some() {
        "involvedObject"
    } else {
        "regarding"
    };
    let part = |name: &str| text(value, &format!("/{at}/{name}")).to_owned();
    format!("{}/{}", part("kind").to_lowercase(), part("name")).into()
}

pub(super) fn access_modes(value: &Value, at: &str) -> Value {
    let short = |mode: &Value| match mode.as_str() {
        Some("ReadWriteOnce") => "RWO",
        Some("ReadOnlyMany") => "ROX",
        Some("ReadWriteMany") => "RWX",
        Some("ReadWriteOncePod") => "RWOP",
        _ => "",
    };
    let modes: Vec<&str> = list(value, at)
        .map(short)
        .filter(|mode| !mode.is_empty())
        .collect();
    modes.join(",").into()
}

pub(super) fn volume_status(value: &Value) -> Value {
    match value.reach("/metadata/deletionTimestamp") {
        Some(_) => "Terminating".into(),
        None => plain(value, "/status/phase"),
    }
}

pub(super) fn volume_claim(value: &Value) -> Value {
    match value.reach("/spec/claimRef") {
        Some(claim) => format!("{}/{}", text(claim, "/namespace"), text(claim, "/name")).into(),
        None => "".into(),
    }
}

pub(super) fn containers(value: &Value) -> Value {
    joined(value, "/name")
}

pub(super) fn images(value: &Value) -> Value {
    joined(value, "/image")
}

fn joined(value: &Value, field: &str) -> Value {
    let each: Vec<&str> = list(value, "/spec/template/spec/containers")
        .map(|c| text(c, field))
        .collect();
    each.join(",").into()
}

pub(super) fn replicas_ready(value: &Value) -> Value {
    format!(
        "{}/{}",
        count(value, "/status/readyReplicas"),
        count(value, "/spec/replicas")
    )
    .into()
}

pub(super) fn revision_owner(value: &Value) -> Value {
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

pub(super) fn job_status(value: &Value) -> Value {
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

pub(super) fn job_completions(value: &Value) -> Value {
    let done = count(value, "/status/succeeded");
    match value.reach("/spec/completions").and_then(Value::as_i64) {
        Some(wanted) => format!("{done}/{wanted}").into(),
        None => match count(value, "/spec/parallelism") {
            parallel if parallel > 1 => format!("{done}/1 of {parallel}").into(),
            _ => format!("{done}/1").into(),
        },
    }
}

pub(super) fn job_duration(value: &Value) -> Value {
    let time = |at: &str| text(value, at).parse::<jiff::Timestamp>().ok();
    let Some(start) = time("/status/startTime") else {
        return "".into();
    };
    let end = time("/status/completionTime").unwrap_or_else(jiff::Timestamp::now);
    span(end.as_second() - start.as_second()).into()
}

pub(super) fn title_bool(value: &Value, at: &str) -> Value {
    match value.reach(at) {
        Some(Value::Bool(true)) => "True".into(),
        _ => "False".into(),
    }
}

pub(super) fn lower_bool(value: &Value, at: &str) -> Value {
    match value.reach(at) {
        Some(Value::Bool(true)) => "true".into(),
        _ => "false".into(),
    }
}

pub(super) fn ingress_hosts(value: &Value) -> Value {
    let hosts: Vec<&str> = list(value, "/spec/rules")
        .map(|rule| text(rule, "/host"))
        .filter(|host| !host.is_empty())
        .collect();
    if hosts.is_empty() {
        "*".into()
    } else {
        hosts.join(",").into()
    }
}

pub(super) fn ingress_ports(value: &Value) -> Value {
    match list(value, "/spec/tls").next() {
        Some(_) => "80, 443".into(),
        None => "80".into(),
    }
}

pub(super) fn balancer(value: &Value) -> Value {
    let given: Vec<&str> = list(value, "/status/loadBalancer/ingress")
        .map(|ingress| match text(ingress, "/ip") {
            "" => text(ingress, "/hostname"),
            ip => ip,
        })
        .collect();
    given.join(",").into()
}

pub(super) fn class_name(value: &Value) -> Value {
    let annotations = value.reach("/metadata/annotations");
    let is_default = annotations
        .and_then(|all| all.get("storageclass.kubernetes.io/is-default-class"))
        .is_some_and(|value| value == "true");
    let name = text(value, "/metadata/name");
    if is_default {
        format!("{name} (default)").into()
    } else {
        name.into()
    }
}

pub(super) fn role(value: &Value) -> Value {
    format!(
        "{}/{}",
        text(value, "/roleRef/kind"),
        text(value, "/roleRef/name")
    )
    .into()
}

pub(super) fn subjects(value: &Value, kind: &str) -> Value {
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

/// What a quota counts: what is used of what may be, either of limits or of all else.
pub(super) fn quota(value: &Value, limits: bool) -> Value {
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

/// How long a requested certificate should count.
pub(super) fn request_span(value: &Value) -> Value {
    match count(value, "/spec/expirationSeconds") {
        0 => "<none>".into(),
        seconds => span(seconds).into(),
    }
}

/// What became of a request for a certificate.
pub(super) fn request_state(value: &Value) -> Value {
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

/// Where the parameters of an ingress class are.
pub(super) fn class_parameters(value: &Value) -> Value {
    if value.reach("/spec/parameters").is_none() {
        return "<none>".into();
    }
    let part = |name: &str| text(value, &format!("/spec/parameters/{name}")).to_owned();
    let mut kind = part("kind");
    if !part("apiGroup").is_empty() {
        kind = format!("{kind}.{}", part("apiGroup"));
    }
    format!("{kind}/{}", part("name")).into()
}

/// A part of each item of a list.
pub(super) fn joined_at(value: &Value, at: &str, part: &str, none: &str) -> Value {
    let each: Vec<&str> = list(value, at).map(|item| text(item, part)).collect();
    match each.is_empty() {
        true => none.into(),
        false => each.join(",").into(),
    }
}

pub(super) fn scale_target(value: &Value) -> Value {
    format!(
        "{}/{}",
        text(value, "/spec/scaleTargetRef/kind"),
        text(value, "/spec/scaleTargetRef/name")
    )
    .into()
}

pub(super) fn scale_metrics(value: &Value) -> Value {
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

#[cfg(test)]
mod tests {
    use super::span;

    #[test]
    fn spans_are_short() {
        for (seconds, expected) in [
            (5, "5s"),
            (119, "119s"),
            (125, "2m5s"),
            (600, "10m"),
            (3 * 3600, "3h"),
            (3 * 3600 + 65, "3h1m"),
            (50 * 3600, "2d2h"),
            (9 * 86400, "9d"),
            (800 * 86400, "2y70d"),
        ] {
            assert_eq!(span(seconds), expected);
        }
    }
}
