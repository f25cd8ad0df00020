//! OpenAPI v2, for clients from before version 3: the same schemas and operations in one document.
//!
//! It is made from the documents of version 3; `openapi2_proto` writes it as protobuf.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::registry::Registry;
use super::status::Status;
use super::{openapi, openapi2_proto};
use crate::embedded::kinds::schema::Pack;
use crate::embedded::reach::Reach as _;

/// The document as it was made last, in one form; it is large and asked for again and again.
#[derive(Default)]
pub(in crate::embedded) struct Kept(Mutex<Option<Made>>);

struct Made {
    generation: u64,
    media: &'static str,
    text: Bytes,
}

impl Kept {
    /// The text of the document, its media type and what tells it from earlier ones.
    pub(super) fn text(
        &self,
        registry: &Registry,
        accept: &str,
    ) -> Result<(Bytes, &'static str, String), Status> {
        let media = media(accept)?;
        let generation = registry.generation();
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let tag = format!("\"{generation:016X}\"");
        if let Some(made) = kept.as_ref()
            && made.generation == generation
            && made.media == media
        {
            return Ok((made.text.clone(), media, tag));
        }
        let document = document(registry);
        let text = Bytes::from(match media {
            openapi2_proto::MEDIA => openapi2_proto::document(&document),
            _ => document.to_string().into_bytes(),
        });
        *kept = Some(Made {
            generation,
            media,
            text: text.clone(),
        });
        Ok((text, media, tag))
    }
}

/// The form that a client wants.
fn media(accept: &str) -> Result<&'static str, Status> {
    if openapi2_proto::is_wanted(accept) {
        return Ok(openapi2_proto::MEDIA);
    }
    let any = ["application/json", "application/*", "*/*"];
    if accept.is_empty() || any.iter().any(|any| accept.contains(any)) {
        return Ok("application/json");
    }
    Err(Status::not_acceptable(&format!(
        "only the following media types are accepted: application/json, {}",
        openapi2_proto::MEDIA
    )))
}

/// The whole document.
pub(super) fn document(registry: &Registry) -> Value {
    let pack = Pack::open();
    let mut paths = Map::new();
    let mut definitions = Map::new();
    let mut seen: Vec<(String, String)> = Vec::new();
    for kind in registry.all() {
        let place = (kind.group.clone(), kind.version.clone());
        if seen.contains(&place) {
            continue;
        }
        if let Some(mut of) = openapi::document(registry, &pack, &place.0, &place.1) {
            take(&mut of, "/paths", &mut paths);
            take(&mut of, "/components/schemas", &mut definitions);
        }
        seen.push(place);
    }
    for schema in definitions.values_mut() {
        // What may hold anything is said to be an object and no more.
        let open = schema.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(true));
        let mark = schema.get("x-kubernetes-group-version-kind").cloned();
        if let (true, Some(mark)) = (open, mark) {
            *schema = json!({"type": "object", "x-kubernetes-group-version-kind": mark});
        }
    }
    for path in paths.values_mut() {
        for operation in path.as_object_mut().into_iter().flat_map(Map::values_mut) {
            to_version_2(operation);
        }
    }
    let mut document = json!({
        "swagger": "2.0",
        "info": {"title": "Kubernetes", "version": "unversioned"},
        "paths": paths,
        "definitions": definitions,
    });
    adapt(&mut document);
    document
}

fn take(of: &mut Value, at: &str, into: &mut Map<String, Value>) {
    if let Some(found) = of.reach_mut(at).and_then(Value::as_object_mut) {
        into.append(found);
    }
}

/// Moves what an operation says to where version 2 has it.
fn to_version_2(operation: &mut Value) {
    let parameters = operation
        .get_mut("parameters")
        .and_then(Value::as_array_mut);
    for parameter in parameters.into_iter().flatten() {
        if let Some(parameter) = parameter.as_object_mut()
            && let Some(Value::Object(mut schema)) = parameter.shift_remove("schema")
        {
            parameter.append(&mut schema);
        }
    }
    let responses = operation.get_mut("responses");
    let responses = responses.and_then(Value::as_object_mut);
    for response in responses.into_iter().flat_map(Map::values_mut) {
        let schema = response.reach("/content/application~1json/schema").cloned();
        if let Some(response) = response.as_object_mut() {
            response.shift_remove("content");
            if let Some(schema) = schema {
                response.insert("schema".to_owned(), schema);
            }
        }
    }
}

/// Rewrites references, and what version 2 has no word for.
fn adapt(value: &mut Value) {
    match value {
        Value::Object(map) => {
            if let Some(Value::String(reference)) = map.get_mut("$ref") {
                *reference = reference.replace("#/components/schemas/", "#/definitions/");
            }
            // `allOf` with one reference is how version 3 puts a default beside it.
            if let Some(Value::Array(all)) = map.get("allOf")
                && let [only] = all.as_slice()
                && let Some(reference) = only.get("$ref").cloned()
            {
                map.clear();
                map.insert("$ref".to_owned(), reference);
                adapt(value);
                return;
            }
            for unknown in ["oneOf", "anyOf", "not", "nullable"] {
                if map
                    .get(unknown)
                    .is_some_and(|v| v.is_array() || v.is_boolean())
                {
                    map.shift_remove(unknown);
                }
            }
            map.values_mut().for_each(adapt);
        }
        Value::Array(list) => list.iter_mut().for_each(adapt),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::{document, media};
    use crate::embedded::api::registry::Registry;

    #[test]
    fn everything_referred_to_is_defined() {
        let document = document(&Registry::default());
        let text = document.to_string();
        assert!(!text.contains("#/components/"));
        for name in text.split("\"#/definitions/").skip(1) {
            let name = name.split('"').next().unwrap();
            assert!(document["definitions"].get(name).is_some(), "{name}");
        }
        assert!(document["paths"].get("/api/v1/nodes/{name}").is_some());
    }

    #[test]
    fn what_nobody_writes_is_refused() {
        let refused = media("application/xml").unwrap_err();
        assert_eq!(refused.code, 406);
    }
}
