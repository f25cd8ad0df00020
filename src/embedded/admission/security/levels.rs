//! The levels of Pod Security: what of a pod is above `baseline` and above `restricted`.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::embedded::admission::{list, text};
use crate::embedded::reach::Reach as _;

/// One kind of thing that is wrong, with its details.
fn say(out: &mut Vec<String>, title: &str, details: &[String]) {
    if !details.is_empty() {
        out.push(format!("{title} ({})", details.join(", ")));
    }
}

fn containers(pod: &Value) -> Vec<&Value> {
    ["/initContainers", "/containers", "/ephemeralContainers"]
        .iter()
        .flat_map(|at| list(pod, at))
        .collect()
}

fn quoted(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
    names.join(", ")
}

/// `container "a"` or `containers "a", "b"`; nothing if there are none.
fn named(names: &[&str], rest: &str) -> Vec<String> {
    match names {
        [] => Vec::new(),
        [_] => vec![format!("container {} {rest}", quoted(names))],
        _ => vec![format!("containers {} {rest}", quoted(names))],
    }
}

fn names_of<'a>(containers: &[&'a Value], bad: impl Fn(&Value) -> bool) -> Vec<&'a str> {
    containers
        .iter()
        .filter(|container| bad(container))
        .map(|container| text(container, "/name"))
        .collect()
}

/// Which containers add capabilities beyond these.
fn added_beyond(containers: &[&Value], allowed: &[&str]) -> Vec<String> {
    let added = |container: &Value| -> BTreeSet<String> {
        list(container, "/securityContext/capabilities/add")
            .filter_map(|each| Some(each.as_str()?.to_owned()))
            .filter(|each| !allowed.contains(&each.as_str()))
            .collect()
    };
    let names = names_of(containers, |container| !added(container).is_empty());
    let which: BTreeSet<String> = containers.iter().flat_map(|one| added(one)).collect();
    let which: Vec<&str> = which.iter().map(String::as_str).collect();
    let rest = format!(
        "must not include {} in securityContext.capabilities.add",
        quoted(&which)
    );
    named(&names, &rest)
}

fn is(value: &Value, at: &str, wanted: bool) -> bool {
    value.reach(at) == Some(&Value::Bool(wanted))
}

/// All that is wrong with a pod by a level.
pub(super) fn violations(pod: &Value, restricted: bool) -> Vec<String> {
    let mut out = Vec::new();
    let all = containers(pod);
    baseline(pod, &all, restricted, &mut out);
    if restricted {
        strict(pod, &all, &mut out);
    }
    out
}

fn baseline(pod: &Value, all: &[&Value], restricted: bool, out: &mut Vec<String>) {
    const ADDED: &[&str] = &[
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    ];
    if !restricted {
        say(out, "non-default capabilities", &added_beyond(all, ADDED));
    }
    let host: Vec<String> = ["hostNetwork", "hostPID", "hostIPC"]
        .iter()
        .filter(|field| is(pod, &format!("/{field}"), true))
        .map(|field| format!("{field}=true"))
        .collect();
    say(out, "host namespaces", &host);
    if !restricted {
        let volumes: Vec<&str> = list(pod, "/volumes")
            .filter(|volume| volume.get("hostPath").is_some())
            .map(|volume| text(volume, "/name"))
            .collect();
        let title = if volumes.len() > 1 {
            "volumes"
        } else {
            "volume"
        };
        let details = match volumes.is_empty() {
            true => Vec::new(),
            false => vec![format!("{title} {}", quoted(&volumes))],
        };
        say(out, "hostPath volumes", &details);
    }
    let mut numbers: Vec<i64> = Vec::new();
    let names = names_of(all, |container| {
        list(container, "/ports").any(|port| host_port(port).is_some())
    });
    for container in all {
        numbers.extend(list(container, "/ports").filter_map(host_port));
    }
    numbers.sort_unstable();
    numbers.dedup();
    let shown: Vec<String> = numbers.iter().map(i64::to_string).collect();
    let word = if shown.len() > 1 {
        "hostPorts"
    } else {
        "hostPort"
    };
    let verb = if names.len() > 1 { "use" } else { "uses" };
    say(
        out,
        "hostPort",
        &named(&names, &format!("{verb} {word} {}", shown.join(", "))),
    );
    let names = names_of(all, |c| is(c, "/securityContext/privileged", true));
    say(
        out,
        "privileged",
        &named(&names, "must not set securityContext.privileged=true"),
    );
    let names = names_of(all, |container| {
        !matches!(
            text(container, "/securityContext/procMount"),
            "" | "Default"
        )
    });
    let details = named(
        &names,
        "must not set securityContext.procMount to \"Unmasked\"",
    );
    say(out, "procMount", &details);
    se_linux(pod, all, out);
    if !restricted {
        let mut details = Vec::new();
        if text(pod, "/securityContext/seccompProfile/type") == "Unconfined" {
            details.push(
                "pod must not set securityContext.seccompProfile.type to \"Unconfined\"".to_owned(),
            );
        }
        let names = names_of(all, |container| {
            text(container, "/securityContext/seccompProfile/type") == "Unconfined"
        });
        let rest = "must not set securityContext.seccompProfile.type to \"Unconfined\"";
        details.extend(named(&names, rest));
        say(out, "seccompProfile", &details);
    }
    const SYSCTLS: &[&str] = &[
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.ping_group_range",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_wmem",
    ];
    let sysctls: Vec<&str> = list(pod, "/securityContext/sysctls")
        .map(|sysctl| text(sysctl, "/name"))
        .filter(|name| !SYSCTLS.contains(name))
        .collect();
    if !sysctls.is_empty() {
        say(out, "forbidden sysctls", &[sysctls.join(", ")]);
    }
}

fn host_port(port: &Value) -> Option<i64> {
    let number = port.get("hostPort").and_then(Value::as_i64);
    number.filter(|number| *number != 0)
}

fn se_linux(pod: &Value, all: &[&Value], out: &mut Vec<String>) {
    const TYPES: &[&str] = &[
        "",
        "container_t",
        "container_init_t",
        "container_kvm_t",
        "container_engine_t",
    ];
    let bad = |of: &Value| {
        let at = |field: &str| text(of, &format!("/securityContext/seLinuxOptions/{field}"));
        !TYPES.contains(&at("type")) || !at("user").is_empty() || !at("role").is_empty()
    };
    let mut setters = Vec::new();
    if bad(pod) {
        setters.push("pod".to_owned());
    }
    let names = names_of(all, bad);
    setters.extend(named(&names, "").iter().map(|name| name.trim().to_owned()));
    if setters.is_empty() {
        return;
    }
    let everybody = std::iter::once(pod).chain(all.iter().copied());
    let mut what = Vec::new();
    let (mut types, mut user, mut role) = (Vec::new(), false, false);
    for each in everybody {
        let at = |field: &str| text(each, &format!("/securityContext/seLinuxOptions/{field}"));
        if !TYPES.contains(&at("type")) {
            types.push(at("type"));
        }
        user |= !at("user").is_empty();
        role |= !at("role").is_empty();
    }
    types.sort_unstable();
    types.dedup();
    if !types.is_empty() {
        let word = if types.len() > 1 { "types" } else { "type" };
        what.push(format!("{word} {}", quoted(&types)));
    }
    if user {
        what.push("user may not be set".to_owned());
    }
    if role {
        what.push("role may not be set".to_owned());
    }
    let details = format!(
        "{} set forbidden securityContext.seLinuxOptions: {}",
        setters.join(" and "),
        what.join("; ")
    );
    say(out, "seLinuxOptions", &[details]);
}

fn strict(pod: &Value, all: &[&Value], out: &mut Vec<String>) {
    let names = names_of(all, |c| {
        !is(c, "/securityContext/allowPrivilegeEscalation", false)
    });
    let rest = "must set securityContext.allowPrivilegeEscalation=false";
    say(
        out,
        "allowPrivilegeEscalation != false",
        &named(&names, rest),
    );
    let names = names_of(all, |container| {
        !list(container, "/securityContext/capabilities/drop").any(|each| each == "ALL")
    });
    let mut details = named(
        &names,
        "must set securityContext.capabilities.drop=[\"ALL\"]",
    );
    details.extend(added_beyond(all, &["NET_BIND_SERVICE"]));
    if !details.is_empty() {
        out.push(format!(
            "unrestricted capabilities ({})",
            details.join("; ")
        ));
    }
    volumes(pod, out);
    users(pod, all, out);
    seccomp(pod, all, out);
}

fn volumes(pod: &Value, out: &mut Vec<String>) {
    const KINDS: &[&str] = &[
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "image",
        "persistentVolumeClaim",
        "projected",
        "secret",
    ];
    let kind = |volume: &Value| -> Option<String> {
        let fields = volume.as_object()?;
        fields.keys().find(|field| *field != "name").cloned()
    };
    let bad: Vec<(&str, String)> = list(pod, "/volumes")
        .filter_map(|volume| Some((text(volume, "/name"), kind(volume)?)))
        .filter(|(_, kind)| !KINDS.contains(&kind.as_str()))
        .collect();
    if bad.is_empty() {
        return;
    }
    let names: Vec<&str> = bad.iter().map(|(name, _)| *name).collect();
    let mut kinds: Vec<&str> = bad.iter().map(|(_, kind)| kind.as_str()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let (volume, uses) = if names.len() > 1 {
        ("volumes", "use")
    } else {
        ("volume", "uses")
    };
    let word = if kinds.len() > 1 { "types" } else { "type" };
    let details = format!(
        "{volume} {} {uses} restricted volume {word} {}",
        quoted(&names),
        quoted(&kinds)
    );
    say(out, "restricted volume types", &[details]);
}

/// What a pod leaves out, its containers must say: `pod or container "a" must …`.
fn pod_or(names: &[&str], rest: &str) -> Vec<String> {
    let said = named(names, rest);
    said.into_iter()
        .map(|said| format!("pod or {said}"))
        .collect()
}

fn users(pod: &Value, all: &[&Value], out: &mut Vec<String>) {
    let at = "/securityContext/runAsNonRoot";
    let mut details = Vec::new();
    let explicit = names_of(all, |container| is(container, at, false));
    if is(pod, at, false) {
        details.push("pod must not set securityContext.runAsNonRoot=false".to_owned());
    }
    details.extend(named(
        &explicit,
        "must not set securityContext.runAsNonRoot=false",
    ));
    if details.is_empty() && !is(pod, at, true) {
        let names = names_of(all, |container| container.reach(at).is_none());
        details = pod_or(&names, "must set securityContext.runAsNonRoot=true");
    }
    say(out, "runAsNonRoot != true", &details);
    let root = |of: &Value| {
        of.reach("/securityContext/runAsUser")
            .and_then(Value::as_i64)
            == Some(0)
    };
    let mut details = Vec::new();
    if root(pod) {
        details.push("pod must not set runAsUser=0".to_owned());
    }
    details.extend(named(&names_of(all, root), "must not set runAsUser=0"));
    say(out, "runAsUser=0", &details);
}

fn seccomp(pod: &Value, all: &[&Value], out: &mut Vec<String>) {
    let at = "/securityContext/seccompProfile/type";
    let bad = |of: &Value| !matches!(text(of, at), "" | "RuntimeDefault" | "Localhost");
    let mut details = Vec::new();
    if bad(pod) {
        details.push(format!(
            "pod must not set securityContext.seccompProfile.type to \"{}\"",
            text(pod, at)
        ));
    }
    let names = names_of(all, bad);
    details.extend(named(
        &names,
        "must not set securityContext.seccompProfile.type to \"Unconfined\"",
    ));
    if details.is_empty() && text(pod, at).is_empty() {
        let names = names_of(all, |container| text(container, at).is_empty());
        let rest =
            "must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\"";
        details = pod_or(&names, rest);
    }
    say(out, "seccompProfile", &details);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::violations;

    #[test]
    fn a_plain_pod_is_baseline_but_not_restricted() {
        let pod = json!({"containers": [{"name": "a"}]});
        assert!(violations(&pod, false).is_empty());
        assert_eq!(violations(&pod, true).len(), 4);
        let pod = json!({
            "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{"name": "a", "securityContext": {
                "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}}}],
        });
        assert!(violations(&pod, true).is_empty());
    }
}
