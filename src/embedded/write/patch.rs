//! Patches: how a change is described.

use serde_json::Value;

use super::{strategic, twice};
use crate::embedded::api::registry::Kind;
use crate::embedded::api::status::Status;
use crate::embedded::proto::shape::Shape;
use crate::embedded::reach::Reach as _;

/// The media type of server-side apply.
pub const APPLY: &str = "application/apply-patch+yaml";

/// A change, as a request describes it.
#[derive(Clone, Debug)]
pub enum Patch {
    /// A list of operations (RFC 6902).
    Json(json_patch::Patch),
    /// A piece to lay over the object (RFC 7386).
    Merge(Value),
    /// A piece to lay over the object by the lists' own merge keys.
    Strategic(Value),
    /// What one manager wants to be true, which is not laid over anything here.
    Apply,
}

impl Patch {
    /// Reads a patch of a media type.
    ///
    /// What is to be said of keys that the text has twice is added to the notes.
    pub fn read(media: &str, body: &[u8], notes: &mut Vec<String>) -> Result<Self, Status> {
        let media = media.split(';').next().unwrap_or_default().trim();
        let mut json = |refused: fn(&str) -> Status| match twice::json(body) {
            Ok((value, more)) => {
                notes.extend(more);
                Ok(value)
            }
            Err(cause) => Err(refused(&json_error(&cause))),
        };
        match media {
            "application/json-patch+json" => match json(decoding)? {
                list @ Value::Array(_) => serde_json::from_value(list)
                    .map(Self::Json)
                    .map_err(|_| rejected()),
                other => Err(decoding(&format!(
                    "json: cannot unmarshal {} into Go value of type []handlers.jsonPatchOp",
                    go_type(&other)
                ))),
            },
            "application/merge-patch+json" => Ok(Self::Merge(json(decoding)?)),
            // Of this kind the real server says what is wrong without a word before.
            "application/strategic-merge-patch+json" => {
                json(|why| Status::bad_request(why)).map(Self::Strategic)
            }
            APPLY => Ok(Self::Apply),
            _ => Err(
                Status::new(415, "UnsupportedMediaType", "415: Unsupported Media Type")
                    .with_details(),
            ),
        }
    }

    /// Applies it to an object.
    pub fn apply(&self, kind: &Kind, name: &str, current: &Value) -> Result<Value, Status> {
        let mut next = current.clone();
        match self {
            Self::Json(patch) => {
                for step in &patch.0 {
                    if !asks_for_nothing(step, &next)
                        && json_patch::patch(&mut next, std::slice::from_ref(step)).is_err()
                    {
                        return Err(rejected());
                    }
                }
            }
            Self::Merge(patch) => json_patch::merge(&mut next, patch),
            Self::Strategic(_) if kind.custom.is_some() => {
                return Err(Status::new(
                    415,
                    "UnsupportedMediaType",
                    "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml",
                ));
            }
            Self::Strategic(patch) => strategic::merge(&mut next, patch, Shape::of(kind))?,
            Self::Apply => return Err(Status::bad_request(format!("cannot apply {name} here"))),
        }
        Ok(next)
    }
}

/// Whether a step tests that there is nothing where there is nothing, which clients do before they add a list.
fn asks_for_nothing(step: &json_patch::PatchOperation, value: &Value) -> bool {
    match step {
        json_patch::PatchOperation::Test(test) => {
            test.value.is_null() && value.reach(test.path.as_str()).is_none()
        }
        _ => false,
    }
}

fn decoding(why: &str) -> Status {
    Status::bad_request(format!("error decoding patch: {why}"))
}

/// A patch that cannot be carried out; the real server says no more than this either.
fn rejected() -> Status {
    let message = "the server rejected our request due to an error in our request";
    Status::new(422, "Invalid", message)
}

fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// What is wrong with a text that is no JSON, as clients know it.
pub fn json_error(cause: &serde_json::Error) -> String {
    if cause.is_eof() {
        "unexpected end of JSON input".to_owned()
    } else {
        cause.to_string()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Patch;
    use crate::embedded::api::registry::Registry;

    #[test]
    fn what_is_not_there_passes_a_test_for_null() {
        let registry = Registry::default();
        let kind = registry.find("", "v1", "configmaps").unwrap();
        let steps = json!([
            {"op": "test", "path": "/metadata/finalizers", "value": null},
            {"op": "add", "path": "/metadata/finalizers", "value": ["a/b"]},
        ]);
        let media = "application/json-patch+json";
        let patch = Patch::read(media, steps.to_string().as_bytes(), &mut Vec::new()).unwrap();
        let before = json!({"metadata": {"name": "a"}});
        let after = patch.apply(&kind, "a", &before).unwrap();
        assert_eq!(after["metadata"]["finalizers"], json!(["a/b"]));
        assert!(patch.apply(&kind, "a", &after).is_err());
    }
}
