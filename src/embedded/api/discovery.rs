//! Which groups, versions and resources there are, as clients ask for it: legacy and aggregated.

use std::sync::Arc;

use serde_json::{Value, json};

use super::registry::{Kind, Registry, api_version};

/// `/api`.
pub fn core_versions(address: &str) -> Value {
    json!({
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
    })
}

/// `/apis`.
pub fn groups(registry: &Registry) -> Value {
    let groups: Vec<Value> = ordered(registry)
        .into_iter()
        .filter(|(group, _)| !group.is_empty())
        .map(|(group, versions)| describe(&group, &versions))
        .collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

/// `/apis/GROUP`.
pub fn group(registry: &Registry, name: &str) -> Option<Value> {
    let (group, versions) = ordered(registry)
        .into_iter()
        .find(|(group, _)| group == name)?;
    let mut value = describe(&group, &versions);
    if let Some(root) = value.as_object_mut() {
        root.insert("kind".to_owned(), "APIGroup".into());
        root.insert("apiVersion".to_owned(), "v1".into());
    }
    Some(value)
}

fn describe(group: &str, versions: &[(String, Vec<Arc<Kind>>)]) -> Value {
    let each = |(version, _): &(String, Vec<Arc<Kind>>)| json!({"groupVersion": api_version(group, version), "version": version});
    let versions: Vec<Value> = versions.iter().map(each).collect();
    let preferred = versions.first().cloned().unwrap_or_default();
    json!({"name": group, "versions": versions, "preferredVersion": preferred})
}

/// `/api/v1` or `/apis/GROUP/VERSION`.
pub fn resources(registry: &Registry, group: &str, version: &str) -> Option<Value> {
    let mut list = Vec::new();
    let mut found = false;
    for kind in registry.all() {
        if kind.group != group || kind.version != version {
            continue;
        }
        found = true;
        let mut entry = json!({
            "name": kind.plural, "singularName": kind.singular, "namespaced": kind.namespaced,
            "kind": kind.kind, "verbs": kind.verbs,
        });
        if let Some(entry) = entry.as_object_mut() {
            if !kind.short_names.is_empty() {
                entry.insert("shortNames".to_owned(), json!(kind.short_names));
            }
            if !kind.categories.is_empty() {
                entry.insert("categories".to_owned(), json!(kind.categories));
            }
            if kind.allows("create") && kind.allows("watch") {
                entry.insert("storageVersionHash".to_owned(), hash(&kind).into());
            }
        }
        list.push(entry);
        for part in &kind.subresources {
            let mut entry = json!({
                "name": format!("{}/{}", kind.plural, part.name), "singularName": "",
                "namespaced": kind.namespaced, "kind": part.kind, "verbs": part.verbs,
            });
            if let Some(entry) = entry.as_object_mut()
                && !part.version.is_empty()
                && (part.group != kind.group || part.version != kind.version)
            {
                entry.insert("group".to_owned(), part.group.as_str().into());
                entry.insert("version".to_owned(), part.version.as_str().into());
            }
            list.push(entry);
        }
    }
    found.then(|| {
        let mut document = json!({
            "kind": "APIResourceList", "apiVersion": "v1",
            "groupVersion": api_version(group, version), "resources": list,
        });
        // The oldest of these documents was written before they had a version.
        if let Some(root) = document.as_object_mut().filter(|_| group.is_empty()) {
            root.shift_remove("apiVersion");
        }
        document
    })
}

/// Both roots in one document, as clients prefer it; `core` chooses which root.
pub fn aggregated(registry: &Registry, core: bool) -> Value {
    let items: Vec<Value> = ordered(registry)
        .into_iter()
        .filter(|(group, _)| group.is_empty() == core)
        .map(|(group, versions)| {
            let versions: Vec<Value> = versions
                .iter()
                .map(|(version, kinds)| {
                    let resources: Vec<Value> = kinds.iter().map(|kind| aggregate(kind)).collect();
                    json!({"version": version, "resources": resources, "freshness": "Current"})
                })
                .collect();
            let metadata = match group.as_str() {
                "" => json!({"creationTimestamp": null}),
                group => json!({"name": group, "creationTimestamp": null}),
            };
            json!({"metadata": metadata, "versions": versions})
        })
        .collect();
    json!({
        "kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {}, "items": items,
    })
}

/// What a request is answered with; the built-in kinds leave out where they are, as that is said around them.
fn response(kind: &Kind, name: &str) -> Value {
    match kind.custom {
        Some(_) => json!({"group": kind.group, "version": kind.version, "kind": name}),
        None => json!({"group": "", "version": "", "kind": name}),
    }
}

fn aggregate(kind: &Kind) -> Value {
    let scope = match kind.namespaced {
        true => "Namespaced",
        false => "Cluster",
    };
    let mut entry = json!({
        "resource": kind.plural,
        "responseKind": response(kind, &kind.kind),
        "scope": scope,
        "singularResource": kind.singular,
        "verbs": kind.verbs,
    });
    let Some(root) = entry.as_object_mut() else {
        return entry;
    };
    if !kind.short_names.is_empty() {
        root.insert("shortNames".to_owned(), json!(kind.short_names));
    }
    if !kind.categories.is_empty() {
        root.insert("categories".to_owned(), json!(kind.categories));
    }
    let parts: Vec<Value> = kind
        .subresources
        .iter()
        .map(|part| {
            let answered = match part.version.as_str() {
                "" => response(kind, &part.kind),
                version => json!({"group": part.group, "version": version, "kind": part.kind}),
            };
            json!({
                "subresource": part.name,
                "responseKind": answered,
                "verbs": part.verbs,
            })
        })
        .collect();
    if !parts.is_empty() {
        root.insert("subresources".to_owned(), parts.into());
    }
    entry
}

type Versions = Vec<(String, Vec<Arc<Kind>>)>;

/// Groups in order, their versions with the best first.
fn ordered(registry: &Registry) -> Vec<(String, Versions)> {
    let mut groups: Vec<(String, Versions)> = Vec::new();
    for kind in registry.all() {
        let at = groups.iter().position(|(group, _)| *group == kind.group);
        let at = at.unwrap_or_else(|| {
            groups.push((kind.group.clone(), Vec::new()));
            groups.len() - 1
        });
        let Some((_, versions)) = groups.get_mut(at) else {
            continue;
        };
        match versions.iter_mut().find(|(name, _)| *name == kind.version) {
            Some((_, kinds)) => kinds.push(kind),
            None => versions.push((kind.version.clone(), vec![kind])),
        }
    }
    for (_, versions) in &mut groups {
        versions.sort_by_key(|(version, _)| std::cmp::Reverse(rank(version)));
    }
    groups
}

/// `v2` before `v1` before `v1beta2` before `v1alpha1` before anything else.
fn rank(version: &str) -> (u8, u32, u32) {
    let read = || {
        let rest = version.strip_prefix('v')?;
        let digits = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        let (major, stage) = rest.split_at(digits);
        let major: u32 = major.parse().ok()?;
        let stage = match stage {
            "" => (3, 0),
            stage if stage.starts_with("beta") => (2, stage.get(4..)?.parse().ok()?),
            stage if stage.starts_with("alpha") => (1, stage.get(5..)?.parse().ok()?),
            _ => return None,
        };
        Some((stage.0, major, stage.1))
    };
    read().unwrap_or((0, 0, 0))
}

/// Some text that changes with the storage version; clients only compare it.
fn hash(kind: &Kind) -> String {
    use base64::Engine as _;
    use sha2::Digest as _;
    let text = format!("{}/{}/{}", kind.group, kind.storage_version, kind.kind);
    let digest = sha2::Sha256::digest(text.as_bytes());
    base64::engine::general_purpose::STANDARD.encode(digest.get(..8).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::rank;

    #[test]
    fn stable_versions_come_first() {
        let mut versions = ["v1alpha1", "v1beta1", "v2", "foo", "v1", "v1beta2"];
        versions.sort_by_key(|version| std::cmp::Reverse(rank(version)));
        assert_eq!(
            versions,
            ["v2", "v1", "v1beta2", "v1beta1", "v1alpha1", "foo"]
        );
    }
}
