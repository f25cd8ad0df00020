//! The roles and bindings that every cluster begins with.

use serde_json::{Value, json};

/// Group, plural and object of each.
pub(in crate::embedded) fn objects() -> Vec<(&'static str, Value)> {
    let read = json!(["get", "list", "watch"]);
    let write = json!(["create", "delete", "deletecollection", "patch", "update"]);
    let all = json!([
        "create",
        "delete",
        "deletecollection",
        "get",
        "list",
        "patch",
        "update",
        "watch"
    ]);
    let core_shown = json!([
        "configmaps",
        "endpoints",
        "events",
        "limitranges",
        "namespaces",
        "persistentvolumeclaims",
        "persistentvolumeclaims/status",
        "pods",
        "pods/log",
        "pods/status",
        "replicationcontrollers",
        "replicationcontrollers/scale",
        "replicationcontrollers/status",
        "resourcequotas",
        "resourcequotas/status",
        "serviceaccounts",
        "services",
        "services/status",
        "bindings",
    ]);
    let core_edited = json!([
        "configmaps",
        "events",
        "persistentvolumeclaims",
        "pods",
        "pods/attach",
        "pods/eviction",
        "pods/exec",
        "pods/portforward",
        "pods/proxy",
        "replicationcontrollers",
        "replicationcontrollers/scale",
        "secrets",
        "serviceaccounts",
        "serviceaccounts/token",
        "services",
        "services/proxy",
    ]);
    let groups = json!([
        "apps",
        "autoscaling",
        "batch",
        "networking.k8s.io",
        "policy",
        "discovery.k8s.io"
    ]);
    let rule = |groups: &Value, resources: &Value, verbs: &Value| json!({"apiGroups": groups, "resources": resources, "verbs": verbs});
    let (core, any) = (json!([""]), json!(["*"]));
    let shown = vec![rule(&core, &core_shown, &read), rule(&groups, &any, &read)];
    let mut edited = shown.clone();
    edited.push(rule(&core, &core_edited, &all));
    edited.push(rule(&groups, &any, &write));
    edited.push(rule(
        &json!(["coordination.k8s.io"]),
        &json!(["leases"]),
        &all,
    ));
    let mut owned = edited.clone();
    let roles = json!(["roles", "rolebindings"]);
    owned.push(rule(&json!(["rbac.authorization.k8s.io"]), &roles, &all));
    owned.push(rule(
        &json!(["authorization.k8s.io"]),
        &json!(["localsubjectaccessreviews"]),
        &json!(["create"]),
    ));
    let everything = vec![
        rule(&any, &any, &any),
        json!({"nonResourceURLs": ["*"], "verbs": ["*"]}),
    ];
    let health = ["/healthz", "/livez", "/readyz", "/version", "/version/"];
    let mut found = health.to_vec();
    found.extend([
        "/api",
        "/api/*",
        "/apis",
        "/apis/*",
        "/openapi",
        "/openapi/*",
    ]);
    let ask = |group: &str, resources: &[&str]| {
        rule(&json!([group]), &json!(resources), &json!(["create"]))
    };
    let me = vec![
        ask(
            "authorization.k8s.io",
            &["selfsubjectaccessreviews", "selfsubjectrulesreviews"],
        ),
        ask("authentication.k8s.io", &["selfsubjectreviews"]),
    ];
    let get = |urls: &[&str]| vec![json!({"nonResourceURLs": urls, "verbs": ["get"]})];
    let mut objects = Vec::new();
    for (name, rules) in [
        ("cluster-admin", everything),
        ("admin", owned),
        ("edit", edited),
        ("view", shown),
        ("system:basic-user", me),
        ("system:discovery", get(&found)),
        ("system:public-info-viewer", get(&health)),
    ] {
        let mut role = json!({"metadata": metadata(name), "rules": rules});
        let into = match name {
            "view" => "edit",
            "edit" => "admin",
            _ => "",
        };
        if matches!(name, "admin" | "edit" | "view") {
            // Whoever defines kinds adds to these by a label, so they are put together from parts.
            let selector = json!({"matchLabels": {aggregation(name): "true"}});
            let part = format!("system:aggregate-to-{name}");
            let mut from = json!({"metadata": metadata(&part), "rules": rules});
            label(&mut from, name);
            objects.push(("clusterroles", from));
            json_patch::merge(
                &mut role,
                &json!({"aggregationRule": {"clusterRoleSelectors": [selector]}}),
            );
        }
        if !into.is_empty() {
            label(&mut role, into);
        }
        objects.push(("clusterroles", role));
    }
    for (name, groups) in [
        ("cluster-admin", &["system:masters"][..]),
        ("system:basic-user", &["system:authenticated"]),
        ("system:discovery", &["system:authenticated"]),
        (
            "system:public-info-viewer",
            &["system:authenticated", "system:unauthenticated"],
        ),
    ] {
        let subject = |group: &&str| json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": group});
        let subjects: Vec<Value> = groups.iter().map(subject).collect();
        let role =
            json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name});
        let binding = json!({"metadata": metadata(name), "roleRef": role, "subjects": subjects});
        objects.push(("clusterrolebindings", binding));
    }
    objects
}

/// The label of roles that are part of another.
fn aggregation(to: &str) -> String {
    format!("rbac.authorization.k8s.io/aggregate-to-{to}")
}

fn label(role: &mut Value, to: &str) {
    let labels = json!({aggregation(to): "true"});
    json_patch::merge(role, &json!({"metadata": {"labels": labels}}));
}

fn metadata(name: &str) -> Value {
    json!({
        "name": name,
        "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"},
        "annotations": {"rbac.authorization.kubernetes.io/autoupdate": "true"},
    })
}
