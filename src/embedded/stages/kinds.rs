//! The kinds with which KWOK describes simulations, group `kwok.x-k8s.io`: served everywhere, without a definition.
//!
//! Objects of these kinds are kept like any other. Their fields are not checked beyond being there. To add a kind, add it
//! to the list.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::embedded::api::registry::{Custom, Kind, Registry, Subresource};
use crate::embedded::reach::Reach as _;
use crate::embedded::server::Server;

/// The group of these kinds.
pub(in crate::embedded) const GROUP: &str = "kwok.x-k8s.io";

/// Kind, plural, and whether its objects live in namespaces.
const KINDS: &[(&str, &str, bool)] = &[
    ("Stage", "stages", false),
    ("Logs", "logs", true),
    ("ClusterLogs", "clusterlogs", false),
    ("Exec", "execs", true),
    ("ClusterExec", "clusterexecs", false),
    ("Attach", "attaches", true),
    ("ClusterAttach", "clusterattaches", false),
    ("PortForward", "portforwards", true),
    ("ClusterPortForward", "clusterportforwards", false),
];

/// Serves the kinds.
pub(in crate::embedded) fn serve(registry: &Registry) {
    for (name, plural, namespaced) in KINDS {
        let mut kind = Kind::new(GROUP, "v1alpha1", name, plural);
        kind.namespaced = *namespaced;
        let verbs = "create,delete,deletecollection,get,list,patch,update,watch";
        kind.verbs = verbs.split(',').map(str::to_owned).collect();
        kind.subresources.push(Subresource {
            name: "status".to_owned(),
            group: String::new(),
            version: String::new(),
            kind: (*name).to_owned(),
            verbs: ["get", "patch", "update"].map(str::to_owned).to_vec(),
        });
        let anything = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
        kind.custom = Some(Arc::new(Custom {
            schema: json!({
                "type": "object",
                "properties": {"spec": anything.clone(), "status": anything},
            }),
            status: true,
            ..Custom::default()
        }));
        registry.replace(GROUP, plural, vec![kind]);
    }
}

/// What objects of a kind, or of its cluster-wide sister, say about a pod: first its own, then those that select it.
pub(in crate::embedded) fn behaviour(
    server: &Server,
    plural: &str,
    namespace: &str,
    name: &str,
) -> Vec<Value> {
    let entries = |value: &Value| {
        let list = value.reach(&format!("/spec/{plural}"));
        list.and_then(Value::as_array).cloned().unwrap_or_default()
    };
    let mut all = Vec::new();
    if let Some(own) = server
        .kind(GROUP, plural)
        .and_then(|kind| server.get(&kind, namespace, name))
    {
        all.extend(entries(&own.value()));
    }
    if let Some(kind) = server.kind(GROUP, &format!("cluster{plural}")) {
        for object in server.list(&kind, "").objects {
            let value = object.value();
            if selects(value.reach("/spec/selector"), namespace, name) {
                all.extend(entries(&value));
            }
        }
    }
    all
}

/// Whether a selector, if there is one, takes a pod.
fn selects(selector: Option<&Value>, namespace: &str, name: &str) -> bool {
    let takes = |field: &str, wanted: &str| {
        let list = selector
            .and_then(|s| s.get(field))
            .and_then(Value::as_array);
        list.is_none_or(|list| list.is_empty() || list.iter().any(|one| one == wanted))
    };
    takes("matchNamespaces", namespace) && takes("matchNames", name)
}

/// Whether an entry is about a container: one that names none is about all.
pub(in crate::embedded) fn is_about(entry: &Value, container: &str) -> bool {
    let list = entry.get("containers").and_then(Value::as_array);
    list.is_none_or(|list| list.is_empty() || list.iter().any(|one| one == container))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{is_about, selects};

    #[test]
    fn a_selector_that_says_nothing_takes_every_pod() {
        assert!(selects(None, "a", "b"));
        let some = json!({"matchNamespaces": ["a"], "matchNames": ["x"]});
        assert!(selects(Some(&some), "a", "x"));
        assert!(!selects(Some(&some), "a", "b"));
    }

    #[test]
    fn an_entry_without_containers_is_about_all() {
        assert!(is_about(&json!({}), "c"));
        assert!(!is_about(&json!({"containers": ["d"]}), "c"));
    }
}
