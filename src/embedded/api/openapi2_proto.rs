//! OpenAPI v2 as protobuf, which is how kubectl asks for it.
//!
//! Field numbers are those of `openapi.v2.Document` in gnostic's OpenAPIv2.proto (github.com/google/gnostic-models). What the
//! document of this server never says has no arm here.

use serde_json::Value;

use crate::embedded::canonical::sorted;
use crate::embedded::proto::encode;

/// The media type that the text is of.
pub(super) const MEDIA: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

/// Whether a client asks for this form.
pub(super) fn is_wanted(accept: &str) -> bool {
    let first = accept.split(',').next().unwrap_or_default();
    first.contains("com.github.proto-openapi.spec.v2") && first.contains("protobuf")
}

/// Writes the whole document.
pub(super) fn document(value: &Value) -> Vec<u8> {
    let mut out = Message::default();
    out.text(1, value, "swagger");
    out.inside(2, value.get("info"), |info, value| {
        info.text(1, value, "title");
        info.text(2, value, "version");
    });
    out.inside(8, value.get("paths"), |paths, value| {
        for (path, item) in entries(value) {
            paths.message(2, |named| {
                named.string(1, path);
                named.message(2, |out| path_item(out, item));
            });
        }
    });
    out.inside(9, value.get("definitions"), |all, value| {
        named_schemas(all, 1, value)
    });
    out.0
}

fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn items<'a>(value: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> {
    value
        .get(field)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

fn path_item(out: &mut Message, value: &Value) {
    for (number, method) in [
        (2, "get"),
        (3, "put"),
        (4, "post"),
        (5, "delete"),
        (8, "patch"),
    ] {
        out.inside(number, value.get(method), operation);
    }
    parameters(out, 9, value);
}

fn operation(out: &mut Message, value: &Value) {
    out.texts(1, value, "tags");
    out.text(5, value, "operationId");
    out.texts(6, value, "produces");
    out.texts(7, value, "consumes");
    parameters(out, 8, value);
    out.inside(9, value.get("responses"), |responses, value| {
        for (code, response) in entries(value) {
            responses.message(1, |named| {
                named.string(1, code);
                named.message(2, |one| {
                    one.message(1, |out| {
                        out.text(1, response, "description");
                        out.inside(2, response.get("schema"), |item, value| {
                            item.message(1, |out| schema(out, value));
                        });
                    });
                });
            });
        }
    });
    extensions(out, 13, value);
}

fn parameters(out: &mut Message, number: u32, value: &Value) {
    for parameter in items(value, "parameters") {
        out.message(number, |item| {
            item.message(1, |kind| {
                let place = parameter
                    .get("in")
                    .and_then(Value::as_str)
                    .unwrap_or_default();
                if place == "body" {
                    kind.message(1, |out| {
                        out.text(2, parameter, "name");
                        out.text(3, parameter, "in");
                        out.flag(4, parameter, "required");
                        out.inside(5, parameter.get("schema"), schema);
                    });
                    return;
                }
                // Those of a path have no word for being empty, so that what follows stands one earlier.
                let (place, kind_at) = match place {
                    "path" => (4, 5),
                    _ => (3, 6),
                };
                kind.message(2, |other| {
                    other.message(place, |out| {
                        out.flag(1, parameter, "required");
                        out.text(2, parameter, "in");
                        out.text(4, parameter, "name");
                        out.text(kind_at, parameter, "type");
                    });
                });
            });
        });
    }
}

fn named_schemas(out: &mut Message, number: u32, value: &Value) {
    for (name, inner) in entries(value) {
        out.message(number, |named| {
            named.string(1, name);
            named.message(2, |out| schema(out, inner));
        });
    }
}

fn schema(out: &mut Message, value: &Value) {
    for (number, field) in [
        (1, "$ref"),
        (2, "format"),
        (3, "title"),
        (4, "description"),
        (13, "pattern"),
    ] {
        out.text(number, value, field);
    }
    out.any(5, value.get("default"));
    out.double(7, value, "maximum");
    out.double(9, value, "minimum");
    for (number, field) in [
        (11, "maxLength"),
        (12, "minLength"),
        (14, "maxItems"),
        (15, "minItems"),
        (17, "maxProperties"),
        (18, "minProperties"),
    ] {
        out.whole(number, value, field);
    }
    out.flag(16, value, "uniqueItems");
    out.texts(19, value, "required");
    for one in items(value, "enum") {
        out.any(20, Some(one));
    }
    match value.get("additionalProperties") {
        Some(Value::Bool(any)) => out.message(21, |item| item.number(2, i64::from(*any))),
        Some(inner) => out.message(21, |item| item.message(1, |out| schema(out, inner))),
        None => {}
    }
    if let Some(kind) = value.get("type").and_then(Value::as_str) {
        out.message(22, |of| of.string(1, kind));
    }
    out.inside(23, value.get("items"), |of, value| {
        of.message(1, |out| schema(out, value))
    });
    for one in items(value, "allOf") {
        out.message(24, |out| schema(out, one));
    }
    out.inside(25, value.get("properties"), |all, value| {
        named_schemas(all, 1, value)
    });
    extensions(out, 31, value);
}

/// Fields with names such as `x-kubernetes-action`, each as YAML, of which JSON is a part.
fn extensions(out: &mut Message, number: u32, value: &Value) {
    for (name, value) in entries(value).filter(|(name, _)| name.starts_with("x-")) {
        out.message(number, |named| {
            named.string(1, name);
            named.any(2, Some(value));
        });
    }
}

/// A message as it grows.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn bytes(&mut self, number: u32, bytes: &[u8]) {
        encode::put(&mut self.0, number, bytes);
    }

    fn number(&mut self, number: u32, value: i64) {
        encode::put_number(&mut self.0, number, value);
    }

    fn string(&mut self, number: u32, text: &str) {
        self.bytes(number, text.as_bytes());
    }

    fn message(&mut self, number: u32, fill: impl FnOnce(&mut Self)) {
        let mut inner = Self::default();
        fill(&mut inner);
        self.bytes(number, &inner.0);
    }

    fn inside(&mut self, number: u32, value: Option<&Value>, fill: impl FnOnce(&mut Self, &Value)) {
        if let Some(value) = value {
            self.message(number, |inner| fill(inner, value));
        }
    }

    fn text(&mut self, number: u32, value: &Value, field: &str) {
        if let Some(text) = value.get(field).and_then(Value::as_str) {
            self.string(number, text);
        }
    }

    fn texts(&mut self, number: u32, value: &Value, field: &str) {
        for text in items(value, field).filter_map(Value::as_str) {
            self.string(number, text);
        }
    }

    fn flag(&mut self, number: u32, value: &Value, field: &str) {
        if value.get(field) == Some(&Value::Bool(true)) {
            self.number(number, 1);
        }
    }

    fn whole(&mut self, number: u32, value: &Value, field: &str) {
        if let Some(value) = value.get(field).and_then(Value::as_i64) {
            self.number(number, value);
        }
    }

    fn double(&mut self, number: u32, value: &Value, field: &str) {
        if let Some(value) = value.get(field).and_then(Value::as_f64) {
            encode::varint(&mut self.0, u64::from(number) << 3 | 1);
            self.0.extend_from_slice(&value.to_le_bytes());
        }
    }

    fn any(&mut self, number: u32, value: Option<&Value>) {
        if let Some(value) = value {
            self.message(number, |any| any.string(2, &format!("{}\n", sorted(value))));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{document, is_wanted};

    #[test]
    fn clients_ask_for_it_by_its_name() {
        assert!(is_wanted(
            "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
        ));
        assert!(!is_wanted("application/json"));
    }

    #[test]
    fn a_document_is_written_by_the_numbers_of_its_fields() {
        let value = json!({
            "swagger": "2.0", "info": {"title": "T", "version": "v"},
            "definitions": {"A": {"type": "object", "x-a": [1]}},
        });
        let mut expected = b"\x0a\x032.0\x12\x06\x0a\x01T\x12\x01v".to_vec();
        // Definitions, a named schema of 31 bytes with its type and one field of its own.
        let schema = b"\xb2\x01\x08\x0a\x06object\xfa\x01\x0d\x0a\x03x-a\x12\x06\x12\x04[1]\n";
        let mut named = b"\x0a\x01A\x12".to_vec();
        named.push(u8::try_from(schema.len()).unwrap());
        named.extend_from_slice(schema);
        let mut definitions = vec![0x0a, u8::try_from(named.len()).unwrap()];
        definitions.extend_from_slice(&named);
        expected.extend_from_slice(&[0x4a, u8::try_from(definitions.len()).unwrap()]);
        expected.extend_from_slice(&definitions);
        assert_eq!(document(&value), expected);
    }
}
