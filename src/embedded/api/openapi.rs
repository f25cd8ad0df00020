//! OpenAPI v3: what can be done where, and what objects look like, one document per group version.

use std::collections::HashMap;
use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Map, Value, json};

use super::registry::{Kind, Registry};
use crate::embedded::kinds::prose;
use crate::embedded::kinds::schema::Pack;

/// The schema of what all objects have in common.
const METADATA: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";

/// The documents as they were made last, packed: they are large, and asked for again and again.
#[derive(Default)]
pub(in crate::embedded) struct Kept(Mutex<Documents>);

#[derive(Default)]
struct Documents {
    generation: u64,
    by_path: HashMap<String, Bytes>,
}

impl Kept {
    /// The document at a path, packed with gzip.
    pub(super) fn packed(&self, registry: &Registry, path: &str) -> Option<Bytes> {
        let generation = registry.generation();
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.generation != generation {
            kept.generation = generation;
            kept.by_path.clear();
        }
        if let Some(packed) = kept.by_path.get(path) {
            return Some(packed.clone());
        }
        let (group, version) = group_version(path)?;
        let text = document(registry, &Pack::open(), group, version)?.to_string();
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        // Writing to memory cannot fail.
        encoder.write_all(text.as_bytes()).ok()?;
        let packed = Bytes::from(encoder.finish().ok()?);
        kept.by_path.insert(path.to_owned(), packed.clone());
        Some(packed)
    }
}

/// `/openapi/v3`: where the documents are.
pub fn index(registry: &Registry) -> Value {
    let mut paths = Map::new();
    for kind in registry.all() {
        let path = document_path(&kind.group, &kind.version);
        if paths.contains_key(&path) {
            continue;
        }
        // Clients keep a document for as long as this text stays the same.
        let hash = hash_of(registry, &kind.group, &kind.version);
        let url = format!("/openapi/v3/{path}?hash={hash}");
        paths.insert(path, json!({ "serverRelativeURL": url }));
    }
    json!({ "paths": paths })
}

/// Reads the path of a document.
pub fn group_version(path: &str) -> Option<(&str, &str)> {
    let mut parts = path.split('/');
    let found = match (parts.next()?, parts.next()?, parts.next()) {
        ("api", version, None) => ("", version),
        ("apis", group, Some(version)) => (group, version),
        _ => return None,
    };
    parts.next().is_none().then_some(found)
}

/// One document.
pub fn document(registry: &Registry, pack: &Pack, group: &str, version: &str) -> Option<Value> {
    let kinds: Vec<Arc<Kind>> = registry
        .all()
        .into_iter()
        .filter(|kind| kind.group == group && kind.version == version)
        .collect();
    if kinds.is_empty() {
        return None;
    }
    let mut paths = Map::new();
    let custom = kinds.iter().any(|kind| kind.custom.is_some());
    let more: &[&str] = if custom { &[METADATA] } else { &[] };
    let built_in = pack.of(group, version, more);
    let mut schemas = built_in.all;
    for kind in &kinds {
        let name = match built_in.names.get(&kind.kind) {
            Some(name) if kind.custom.is_none() => name.clone(),
            _ => add_schema(kind, &mut schemas),
        };
        add_paths(kind, &name, &mut paths);
    }
    Some(json!({
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": "unversioned"},
        "paths": paths,
        "components": {"schemas": schemas},
    }))
}

fn document_path(group: &str, version: &str) -> String {
    match group {
        "" => format!("api/{version}"),
        group => format!("apis/{group}/{version}"),
    }
}

fn hash_of(registry: &Registry, group: &str, version: &str) -> String {
    use sha2::Digest as _;
    let mut digest = sha2::Sha256::new();
    for kind in registry.all() {
        if kind.group == group && kind.version == version {
            digest.update(kind.plural.as_bytes());
            if let Some(custom) = &kind.custom {
                digest.update(custom.schema.to_string().as_bytes());
            }
        }
    }
    let sum = digest.finalize();
    let bytes: &[u8] = sum.as_ref();
    bytes.iter().take(16).fold(String::new(), |mut out, byte| {
        out.push_str(&format!("{byte:02X}"));
        out
    })
}

/// The name of a kind's schema.
fn schema_name(kind: &Kind) -> String {
    let mut group: Vec<&str> = kind.group.split('.').collect();
    group.reverse();
    format!("{}.{}.{}", group.join("."), kind.version, kind.kind)
        .trim_start_matches('.')
        .to_owned()
}

fn kind_mark(kind: &Kind) -> Value {
    json!({"group": kind.group, "version": kind.version, "kind": kind.kind})
}

/// Adds the schema of a custom kind; answers with its name.
fn add_schema(kind: &Kind, schemas: &mut Map<String, Value>) -> String {
    let mut schema = match &kind.custom {
        Some(custom) if custom.schema.is_object() => custom.schema.clone(),
        _ => json!({"type": "object"}),
    };
    if let Some(root) = schema.as_object_mut() {
        add_common(root);
        root.insert(
            "x-kubernetes-group-version-kind".to_owned(),
            json!([kind_mark(kind)]),
        );
    }
    let name = schema_name(kind);
    schemas.insert(name.clone(), schema);
    name
}

/// Adds the fields that every object has, which definitions leave out.
fn add_common(root: &mut Map<String, Value>) {
    let properties = root.entry("properties").or_insert_with(|| json!({}));
    let Some(properties) = properties.as_object_mut() else {
        return;
    };
    for (name, about) in prose::ROOT {
        let schema = json!({"type": "string", "description": about});
        properties.insert((*name).to_owned(), schema);
    }
    let metadata = json!({
        "description": "Standard object's metadata.",
        "allOf": [{"$ref": format!("#/components/schemas/{METADATA}")}],
    });
    properties.insert("metadata".to_owned(), metadata);
}

fn add_paths(kind: &Kind, schema: &str, paths: &mut Map<String, Value>) {
    let root = format!("/{}", document_path(&kind.group, &kind.version));
    let base = match kind.namespaced {
        true => format!("{root}/namespaces/{{namespace}}/{}", kind.plural),
        false => format!("{root}/{}", kind.plural),
    };
    let mut collection = Map::new();
    let mut object = Map::new();
    for verb in &kind.verbs {
        let (map, method, writes) = match verb.as_str() {
            "list" => (&mut collection, "get", false),
            "create" => (&mut collection, "post", true),
            "deletecollection" => (&mut collection, "delete", false),
            "get" => (&mut object, "get", false),
            "update" => (&mut object, "put", true),
            "patch" => (&mut object, "patch", true),
            "delete" => (&mut object, "delete", false),
            _ => continue,
        };
        map.insert(method.to_owned(), operation(kind, schema, verb, writes));
    }
    if !collection.is_empty() {
        paths.insert(base.clone(), collection.into());
    }
    if !object.is_empty() {
        paths.insert(format!("{base}/{{name}}"), object.into());
    }
    for part in &kind.subresources {
        let mut map = Map::new();
        for verb in &part.verbs {
            let method = match verb.as_str() {
                "get" => "get",
                "create" => "post",
                "update" => "put",
                "patch" => "patch",
                "delete" => "delete",
                _ => continue,
            };
            map.insert(
                method.to_owned(),
                operation(kind, schema, verb, method != "get"),
            );
        }
        paths.insert(format!("{base}/{{name}}/{}", part.name), map.into());
    }
}

fn operation(kind: &Kind, schema: &str, verb: &str, writes: bool) -> Value {
    let query = |name: &str| {
        json!({
            "name": name, "in": "query",
            "schema": {"type": "string", "uniqueItems": true},
        })
    };
    let mut parameters = Vec::new();
    if writes || verb == "delete" {
        parameters.push(query("dryRun"));
    }
    if writes {
        parameters.extend([query("fieldManager"), query("fieldValidation")]);
    }
    if verb == "patch" {
        parameters.push(query("force"));
    }
    let action = match verb {
        "create" => "post",
        "update" => "put",
        other => other,
    };
    let reference = format!("#/components/schemas/{schema}");
    json!({
        "parameters": parameters,
        "responses": {"200": {
            "description": "OK",
            "content": {"application/json": {"schema": {"$ref": reference}}},
        }},
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": kind_mark(kind),
    })
}
