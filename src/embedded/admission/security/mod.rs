//! Pod Security: the labels of a namespace say how much its pods may want; `levels` has what each level forbids.

mod levels;

use serde_json::Value;

use super::{Request, text};
use crate::embedded::api::status::Status;
use crate::embedded::reach::Reach as _;
use crate::embedded::server::Server;
use levels::violations;

/// Looks at a pod, or at the template of what makes pods.
pub(super) fn check(
    request: &Request<'_>,
    before: Option<&Value>,
    value: &Value,
    warnings: &mut Vec<String>,
) -> Result<(), Status> {
    let at = match request.kind.bucket() {
        "pods" => "",
        "deployments.apps"
        | "replicasets.apps"
        | "statefulsets.apps"
        | "daemonsets.apps"
        | "jobs.batch"
        | "replicationcontrollers" => "/spec/template",
        "cronjobs.batch" => "/spec/jobTemplate/spec/template",
        "podtemplates" => "/template",
        _ => return Ok(()),
    };
    let spec = format!("{at}/spec");
    let Some(pod) = value.reach(&spec) else {
        return Ok(());
    };
    if before.is_some_and(|before| before.reach(&spec) == Some(pod)) {
        return Ok(());
    }
    let namespace = request
        .server
        .kind("", "namespaces")
        .and_then(|kind| request.server.get(&kind, "", request.namespace));
    let Some(namespace) = namespace else {
        return Ok(());
    };
    let label = |mode: &str| {
        let name = format!("pod-security.kubernetes.io/{mode}");
        namespace.label(&name).unwrap_or_default().to_owned()
    };
    let version = |mode: &str| match label(&format!("{mode}-version")) {
        version if version.is_empty() => "latest".to_owned(),
        version => version,
    };
    let level = label("enforce");
    if at.is_empty() && matches!(level.as_str(), "baseline" | "restricted") {
        let found = violations(pod, level == "restricted");
        if !found.is_empty() {
            let why = format!(
                "violates PodSecurity \"{level}:{}\": {}",
                version("enforce"),
                found.join(", ")
            );
            return Err(Status::forbidden(request.kind, request.name, &why));
        }
    }
    // Who says nothing of warnings is warned of what is kept.
    let mode = if label("warn").is_empty() {
        "enforce"
    } else {
        "warn"
    };
    let level = label(mode);
    if matches!(level.as_str(), "baseline" | "restricted") {
        let found = violations(pod, level == "restricted");
        if !found.is_empty() {
            warnings.push(format!(
                "would violate PodSecurity \"{level}:{}\": {}",
                version(mode),
                found.join(", ")
            ));
        }
    }
    Ok(())
}

/// Warns of pods that a namespace has and would not take any more.
pub(super) fn look_again(
    server: &Server,
    before: Option<&Value>,
    value: &Value,
    warnings: &mut Vec<String>,
) {
    let label = |of: &Value, mode: &str| {
        let labels = of.reach("/metadata/labels");
        let name = format!("pod-security.kubernetes.io/{mode}");
        let said = labels.and_then(|all| all.get(&name)?.as_str());
        said.unwrap_or_default().to_owned()
    };
    let (level, version) = (label(value, "enforce"), label(value, "enforce-version"));
    let was = before.map_or_else(String::new, |before| label(before, "enforce"));
    let is_stricter = match level.as_str() {
        "restricted" => was != "restricted",
        "baseline" => !matches!(was.as_str(), "baseline" | "restricted"),
        _ => false,
    };
    let namespace = text(value, "/metadata/name");
    let Some(pods) = server.kind("", "pods").filter(|_| is_stricter) else {
        return;
    };
    // Those with the same faults are told of together, by the first of them.
    let mut faults: Vec<(String, String, usize)> = Vec::new();
    for pod in server.list(&pods, namespace).objects {
        let value = pod.value();
        let found = value
            .get("spec")
            .map(|spec| violations(spec, level == "restricted"));
        let titles: Vec<String> = found
            .into_iter()
            .flatten()
            .map(|said| said.split(" (").next().unwrap_or_default().to_owned())
            .collect();
        let said = titles.join(", ");
        match faults.iter_mut().find(|(other, ..)| *other == said) {
            _ if said.is_empty() => {}
            Some((_, _, more)) => *more += 1,
            None => faults.push((said, pod.name().to_owned(), 0)),
        }
    }
    if faults.is_empty() {
        return;
    }
    let version = if version.is_empty() {
        "latest"
    } else {
        &version
    };
    warnings.push(format!(
        "existing pods in namespace \"{namespace}\" violate the new PodSecurity enforce level \"{level}:{version}\""
    ));
    warnings.extend(faults.into_iter().map(|(said, name, more)| match more {
        0 => format!("{name}: {said}"),
        1 => format!("{name} (and 1 other pod): {said}"),
        more => format!("{name} (and {more} other pods): {said}"),
    }));
}
