//! Patches of kubeadm's documents and of containerd's configuration, as kind applies them.
//!
//! Merge patches follow RFC 7396 but for three lists that people expect to grow: `certSANs`, and the `extraArgs` of
//! v1beta4, which are merged by name. A map of arguments, as v1beta3 has them, fits a v1beta4 document, too.

use serde_json::{Value, json};

use super::node::JsonPatch;
use crate::diag::codes::model::BAD_VALUE;
use crate::error::{Error, Result};
use crate::spec::document;
use crate::spec::options::kind;

/// Applies merge patches, each with one document or several, to the documents of their kinds.
pub(super) fn merge(documents: &mut [Value], patches: &[String]) -> Result<()> {
    for text in patches {
        let patches = document::values(text)
            .map_err(|cause| Error::new(&BAD_VALUE, "a patch is no YAML").because(cause))?;
        for patch in patches {
            for document in documents.iter_mut() {
                if fits(document, &patch) {
                    let patch = prepared(document, patch.clone());
                    json_patch::merge(document, &patch);
                }
            }
        }
    }
    Ok(())
}

/// Applies JSON patches to the documents of their group, version and kind.
pub(super) fn apply(documents: &mut [Value], patches: &[JsonPatch]) -> Result<()> {
    for patch in patches {
        for document in documents.iter_mut() {
            if document["kind"] == patch.kind.as_str()
                && document["apiVersion"] == patch.api_version.as_str()
            {
                operate(document, &patch.patch)?;
            }
        }
    }
    Ok(())
}

/// Merges TOML patches into containerd's configuration, then applies JSON patches; `None` if nothing changes.
pub fn containerd(
    config: &str,
    merges: &[String],
    operations: &[String],
) -> Result<Option<String>> {
    if merges.is_empty() && operations.is_empty() {
        return Ok(None);
    }
    let read = |text: &str| -> Result<Value> {
        let wrong = |cause| Error::new(&BAD_VALUE, "this is no TOML").because(cause);
        let table: toml::Table = toml::from_str(text).map_err(wrong)?;
        Ok(serde_json::to_value(table).unwrap_or_default())
    };
    let mut value = read(config)?;
    for text in merges {
        let patch = read(text)?;
        // A patch for another form of the file would break containerd.
        let is_other = patch
            .get("version")
            .is_some_and(|version| Some(version) != value.get("version"));
        if !is_other {
            json_patch::merge(&mut value, &patch);
        }
    }
    for text in operations {
        operate(&mut value, text)?;
    }
    let text = toml::to_string(&value).map_err(|cause| {
        Error::new(
            &BAD_VALUE,
            "containerd's configuration cannot be written after the patches",
        )
        .because(cause)
    })?;
    Ok(Some(text))
}

fn operate(document: &mut Value, text: &str) -> Result<()> {
    let patch = kind::json_patch(text)?;
    json_patch::patch(document, &patch).map_err(|cause| {
        Error::new(&BAD_VALUE, "a JSON patch does not fit")
            .because(cause)
            .help("look at the path of each operation")
    })
}

fn fits(document: &Value, patch: &Value) -> bool {
    let is_same = |key: &str| {
        patch
            .get(key)
            .is_none_or(|wanted| document.get(key) == Some(wanted))
    };
    patch.get("kind").is_some() && is_same("kind") && is_same("apiVersion")
}

/// A patch whose growing lists already hold what the document has.
fn prepared(document: &Value, mut patch: Value) -> Value {
    let is_list_form = document["apiVersion"]
        .as_str()
        .is_some_and(|version| version.ends_with("/v1beta4"));
    for path in [
        "/apiServer/extraArgs",
        "/controllerManager/extraArgs",
        "/scheduler/extraArgs",
        "/etcd/local/extraArgs",
        "/nodeRegistration/kubeletExtraArgs",
    ] {
        if let Some(given) = patch.pointer_mut(path).filter(|_| is_list_form) {
            *given = arguments(document.pointer(path), given);
        }
    }
    if let Some(Value::Array(names)) = patch.pointer_mut("/apiServer/certSANs") {
        let mut all: Vec<Value> = document
            .pointer("/apiServer/certSANs")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        for name in names.drain(..) {
            if !all.contains(&name) {
                all.push(name);
            }
        }
        *names = all;
    }
    patch
}

/// Arguments merged by name; a null takes one away.
fn arguments(there: Option<&Value>, given: &Value) -> Value {
    let given: Vec<(String, Value)> = match given {
        Value::Object(map) => map
            .iter()
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
        Value::Array(list) => list
            .iter()
            .filter_map(|entry| {
                let value = entry.get("value").cloned().unwrap_or(Value::Null);
                Some((entry.get("name")?.as_str()?.to_string(), value))
            })
            .collect(),
        other => return other.clone(),
    };
    let mut all: Vec<Value> = there.and_then(Value::as_array).cloned().unwrap_or_default();
    for (name, _) in &given {
        all.retain(|entry| entry["name"] != name.as_str());
    }
    for (name, value) in given {
        if !value.is_null() {
            all.push(json!({ "name": name, "value": value }));
        }
    }
    Value::Array(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merges_into_the_kind_that_is_meant() {
        let mut documents = vec![
            json!({ "kind": "ClusterConfiguration", "apiVersion": "kubeadm.k8s.io/v1beta3", "apiServer": { "certSANs": ["a"], "extraArgs": { "x": "1" } } }),
            json!({ "kind": "InitConfiguration", "apiVersion": "kubeadm.k8s.io/v1beta3" }),
        ];
        let patch = "kind: ClusterConfiguration\napiServer: {certSANs: [b, a], extraArgs: {y: \"2\", x: null}}\n---\nkind: InitConfiguration\napiVersion: kubeadm.k8s.io/v1beta4\nskip: me\n";
        merge(&mut documents, &[patch.to_string()]).unwrap();
        assert_eq!(
            documents[0]["apiServer"],
            json!({ "certSANs": ["a", "b"], "extraArgs": { "y": "2" } })
        );
        assert!(documents[1].get("skip").is_none());
    }

    #[test]
    fn arguments_of_either_form_fit_v1beta4() {
        for patch in [
            "kind: C\napiServer: {extraArgs: {y: \"2\", x: null}}",
            "kind: C\napiServer: {extraArgs: [{name: y, value: \"2\"}, {name: x}]}",
        ] {
            let mut documents = vec![
                json!({ "kind": "C", "apiVersion": "kubeadm.k8s.io/v1beta4", "apiServer": { "extraArgs": [{ "name": "x", "value": "1" }] } }),
            ];
            merge(&mut documents, &[patch.to_string()]).unwrap();
            assert_eq!(
                documents[0]["apiServer"]["extraArgs"],
                json!([{ "name": "y", "value": "2" }])
            );
        }
    }

    #[test]
    fn a_json_patch_that_does_not_fit_is_told() {
        let mut documents = vec![json!({ "kind": "C", "apiVersion": "g/v1" })];
        let patch = |patch: &str| JsonPatch {
            api_version: "g/v1".into(),
            kind: "C".into(),
            patch: patch.into(),
        };
        apply(&mut documents, &[patch("- {op: add, path: /a, value: 1}")]).unwrap();
        assert_eq!(documents[0]["a"], 1);
        assert_eq!(
            apply(&mut documents, &[patch("- {op: remove, path: /b}")])
                .unwrap_err()
                .code()
                .id,
            "E0201"
        );
    }

    #[test]
    fn containerd_is_patched_only_in_its_own_version() {
        let config = "version = 2\n[plugins.\"a.b\"]\n  x = 1\n";
        let same = "[plugins.\"a.b\"]\n  y = 2\n".to_string();
        let other = "version = 3\n[plugins.\"a.b\"]\n  z = 3\n".to_string();
        let text = containerd(config, &[same, other], &[]).unwrap().unwrap();
        let table: toml::Table = toml::from_str(&text).unwrap();
        let plugin = &table["plugins"]["a.b"];
        assert_eq!(plugin["x"].as_integer(), Some(1));
        assert_eq!(plugin["y"].as_integer(), Some(2));
        assert!(plugin.get("z").is_none());
        assert_eq!(containerd(config, &[], &[]).unwrap(), None);
    }
}
