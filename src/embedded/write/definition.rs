//! CustomResourceDefinitions: what they fill in, what they must say, and the kinds they add.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{meta, validations};
use crate::embedded::admission::conversion::Converter;
use crate::embedded::api::registry::{Custom, Kind, Registry, Subresource};
use crate::embedded::api::status::Cause;
use crate::embedded::reach::Reach as _;
use crate::embedded::server::Server;
use crate::embedded::store::Object;

/// Whether a kind is that of definitions.
pub(super) fn is_definition(kind: &Kind) -> bool {
    kind.group == "apiextensions.k8s.io" && kind.plural == "customresourcedefinitions"
}

fn text<'a>(value: &'a Value, at: &str) -> &'a str {
    value.reach(at).and_then(Value::as_str).unwrap_or_default()
}

fn versions(value: &Value) -> impl Iterator<Item = &Value> {
    let list = value.reach("/spec/versions").and_then(Value::as_array);
    list.into_iter().flatten()
}

/// Fills in what a definition leaves out; names are accepted and the kind is established at once.
pub(super) fn complete(value: &mut Value) {
    let kind = text(value, "/spec/names/kind").to_owned();
    let Some(spec) = value.get_mut("spec").and_then(Value::as_object_mut) else {
        return;
    };
    if let Some(names) = spec.get_mut("names").and_then(Value::as_object_mut) {
        for (field, other) in [
            ("listKind", format!("{kind}List")),
            ("singular", kind.to_lowercase()),
        ] {
            if names
                .get(field)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .is_empty()
            {
                names.insert(field.to_owned(), other.into());
            }
        }
    }
    spec.entry("conversion")
        .or_insert_with(|| json!({"strategy": "None"}));
    let names = spec.get("names").cloned().unwrap_or_default();
    let stored: Vec<String> = versions(value)
        .filter(|version| version.get("storage") == Some(&Value::Bool(true)))
        .map(|version| text(version, "/name").to_owned())
        .collect();
    let now = meta::now();
    let condition = |kind: &str, reason: &str, message: &str| {
        json!({
            "type": kind, "status": "True", "reason": reason, "message": message, "lastTransitionTime": now,
        })
    };
    let Some(root) = value.as_object_mut() else {
        return;
    };
    let status = root.entry("status").or_insert_with(|| json!({}));
    let Some(status) = status.as_object_mut() else {
        return;
    };
    status.insert("acceptedNames".to_owned(), names);
    status.entry("conditions").or_insert_with(|| {
        json!([
            condition("NamesAccepted", "NoConflicts", "no conflicts found"),
            condition(
                "Established",
                "InitialNamesAccepted",
                "the initial names have been accepted"
            ),
        ])
    });
    let kept = status.entry("storedVersions").or_insert_with(|| json!([]));
    if let Some(kept) = kept.as_array_mut() {
        for version in stored {
            if !kept.iter().any(|old| old == version.as_str()) {
                kept.push(version.into());
            }
        }
    }
}

/// What is wrong with a definition.
pub(super) fn check(value: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let (group, plural) = (
        text(value, "/spec/group"),
        text(value, "/spec/names/plural"),
    );
    for (field, found) in [
        ("spec.group", group),
        ("spec.names.plural", plural),
        ("spec.names.kind", text(value, "/spec/names/kind")),
    ] {
        if found.is_empty() {
            causes.push(Cause::required(field, ""));
        }
    }
    let name = text(value, "/metadata/name");
    if name != format!("{plural}.{group}") {
        causes.push(Cause::invalid(
            "metadata.name",
            &name.into(),
            "must be spec.names.plural+\".\"+spec.group",
        ));
    }
    if !matches!(text(value, "/spec/scope"), "Namespaced" | "Cluster") {
        let scope = value
            .reach("/spec/scope")
            .cloned()
            .unwrap_or_else(|| "".into());
        causes.push(match scope.as_str() {
            Some("") => Cause::required("spec.scope", ""),
            _ => Cause::unsupported("spec.scope", &scope, &["Cluster", "Namespaced"]),
        });
    }
    let stored = versions(value).filter(|v| v.get("storage") == Some(&Value::Bool(true)));
    if stored.count() != 1 {
        causes.push(Cause::invalid(
            "spec.versions",
            &value.reach("/spec/versions").cloned().unwrap_or_default(),
            "must have exactly one version marked as storage version",
        ));
    }
    for (at, version) in versions(value).enumerate() {
        if version.reach("/schema/openAPIV3Schema").is_none() {
            causes.push(Cause::required(
                format!("spec.versions[{at}].schema.openAPIV3Schema"),
                "",
            ));
        }
    }
    causes.extend(check_rules(value));
    causes
}

/// What is wrong with the rules of the schemas.
fn check_rules(value: &Value) -> Vec<Cause> {
    let schema = |version: &Value| version.reach("/schema/openAPIV3Schema").cloned();
    let schemas: Vec<Value> = versions(value).filter_map(schema).collect();
    // A schema that all versions share is kept, and complained about, in one place.
    let shared = schemas.windows(2).all(|pair| pair.first() == pair.last());
    let mut causes = Vec::new();
    for (at, schema) in schemas.into_iter().enumerate() {
        let path = match shared {
            true => "spec.validation.openAPIV3Schema".to_owned(),
            false => format!("spec.versions[{at}].schema.openAPIV3Schema"),
        };
        causes.extend(validations::compile(&Arc::new(schema), &path).1);
        if shared {
            break;
        }
    }
    causes
}

/// The kinds that a definition adds, one per served version.
fn kinds(value: &Value) -> Vec<Kind> {
    let (group, plural) = (
        text(value, "/spec/group"),
        text(value, "/spec/names/plural"),
    );
    let kind = text(value, "/spec/names/kind");
    let words = |at: &str| -> Vec<String> {
        let list = value.reach(at).and_then(Value::as_array);
        let list = list.into_iter().flatten();
        list.filter_map(|word| Some(word.as_str()?.to_owned()))
            .collect()
    };
    let stored = versions(value).find(|v| v.get("storage") == Some(&Value::Bool(true)));
    let stored = stored.map_or("", |version| text(version, "/name"));
    let mut kinds = Vec::new();
    // The storage version counts even if it is not served: objects are kept in it.
    for version in versions(value) {
        let served = version.get("served") == Some(&Value::Bool(true));
        if !served && text(version, "/name") != stored {
            continue;
        }
        let mut made = Kind::new(group, text(version, "/name"), kind, plural);
        text(value, "/spec/names/listKind").clone_into(&mut made.list_kind);
        text(value, "/spec/names/singular").clone_into(&mut made.singular);
        made.short_names = words("/spec/names/shortNames");
        made.categories = words("/spec/names/categories");
        made.namespaced = text(value, "/spec/scope") == "Namespaced";
        if served {
            made.verbs = [
                "delete",
                "deletecollection",
                "get",
                "list",
                "patch",
                "create",
                "update",
                "watch",
            ]
            .map(str::to_owned)
            .to_vec();
        }
        stored.clone_into(&mut made.storage_version);
        let list = |at: &str| {
            version
                .reach(at)
                .and_then(Value::as_array)
                .cloned()
                .unwrap_or_default()
        };
        let schema = version.reach("/schema/openAPIV3Schema");
        let schema = Arc::new(schema.cloned().unwrap_or_default());
        let custom = Custom {
            schema: (*schema).clone(),
            fills: has_default(&schema),
            rules: validations::compile(&schema, "").0,
            columns: list("/additionalPrinterColumns"),
            scale: version.reach("/subresources/scale").cloned(),
            status: version.reach("/subresources/status").is_some(),
            selectable: list("/selectableFields")
                .iter()
                .map(|field| text(field, "/jsonPath").to_owned())
                .collect(),
            converter: value.reach("/spec/conversion").and_then(Converter::read),
            conversion: value.reach("/spec/conversion").cloned().unwrap_or_default(),
        };
        let part = |name: &str, group: &str, version: &str, kind: &str| Subresource {
            name: name.to_owned(),
            group: group.to_owned(),
            version: version.to_owned(),
            kind: kind.to_owned(),
            verbs: ["get", "patch", "update"].map(str::to_owned).to_vec(),
        };
        if custom.status {
            made.subresources.push(part("status", "", "", kind));
        }
        if custom.scale.is_some() {
            made.subresources
                .push(part("scale", "autoscaling", "v1", "Scale"));
        }
        made.custom = Some(Arc::new(custom));
        kinds.push(made);
    }
    kinds
}

/// Whether a schema has a default anywhere.
fn has_default(schema: &Value) -> bool {
    match schema {
        Value::Object(map) => {
            map.contains_key("default")
                || map
                    .iter()
                    .any(|(name, inner)| name != "enum" && name != "example" && has_default(inner))
        }
        Value::Array(list) => list.iter().any(has_default),
        _ => false,
    }
}

/// Serves what a definition defines.
pub(super) fn serve(registry: &Registry, value: &Value) {
    let (group, plural) = (
        text(value, "/spec/group"),
        text(value, "/spec/names/plural"),
    );
    registry.replace(group, plural, kinds(value));
}

/// Serves what the definitions in a store define.
pub(super) fn serve_all(server: &Server) {
    if let Some(kind) = server.kind("apiextensions.k8s.io", "customresourcedefinitions") {
        for object in server.list(&kind, "").objects {
            serve(server.registry(), &object.value());
        }
    }
}

/// Follows the end of a definition: what it defined goes with it.
pub(super) fn forget(server: &Server, object: &Object) {
    let value = object.value();
    let (group, plural) = (
        text(&value, "/spec/group"),
        text(&value, "/spec/names/plural"),
    );
    let Some(kind) = server.kind(group, plural) else {
        return;
    };
    for inner in server.list(&kind, "").objects {
        let last = (*inner.value()).clone();
        // Whoever wrote in between wrote to something that is about to be gone.
        let _ = server
            .store()
            .delete(kind.bucket(), inner.key(), inner.revision(), last);
    }
    server.registry().replace(group, plural, Vec::new());
}

/// Fills in the defaults of a structural schema.
pub(super) fn fill(value: &mut Value, schema: &Value) {
    if let (Some(object), Some(properties)) = (
        value.as_object_mut(),
        schema.get("properties").and_then(Value::as_object),
    ) {
        fill_fields(object, properties);
    }
    match value {
        Value::Object(object) => {
            if let Some(values) = schema.get("additionalProperties").filter(|s| s.is_object()) {
                for value in object.values_mut() {
                    fill(value, values);
                }
            }
        }
        Value::Array(list) => {
            if let Some(items) = schema.get("items") {
                for item in list {
                    fill(item, items);
                }
            }
        }
        _ => {}
    }
}

fn fill_fields(object: &mut Map<String, Value>, properties: &Map<String, Value>) {
    for (name, schema) in properties {
        let nullable = schema.get("nullable") == Some(&Value::Bool(true));
        if object.get(name).is_some_and(Value::is_null)
            && !nullable
            && schema.get("default").is_some()
        {
            object.shift_remove(name);
        }
        if let Some(default) = schema.get("default").filter(|_| !object.contains_key(name)) {
            object.insert(name.clone(), default.clone());
        }
        if let Some(value) = object.get_mut(name) {
            fill(value, schema);
        }
    }
}
