//! Patches: how a change is described.

use serde_json::Value;

use super::strategic;
use crate::embedded::api::registry::Kind;
use crate::embedded::api::status::Status;
use crate::embedded::proto::shape::Shape;

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
    /// What one manager wants to be true.
    Apply(Value),
}

impl Patch {
    /// Reads a patch of a media type.
    pub fn read(media: &str, body: &[u8]) -> Result<Self, Status> {
        let media = media.split(';').next().unwrap_or_default().trim();
        let json =
            || serde_json::from_slice::<Value>(body).map_err(|cause| decoding(&json_error(&cause)));
        match media {
            "application/json-patch+json" => match json()? {
                list @ Value::Array(_) => serde_json::from_value(list)
                    .map(Self::Json)
                    .map_err(|_| rejected()),
                other => Err(decoding(&format!(
                    "json: cannot unmarshal {} into Go value of type []handlers.jsonPatchOp",
                    go_type(&other)
                ))),
            },
            "application/merge-patch+json" => Ok(Self::Merge(json()?)),
            "application/strategic-merge-patch+json" => Ok(Self::Strategic(json()?)),
            APPLY => Ok(Self::Apply(yaml(body)?)),
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
                if json_patch::patch(&mut next, patch).is_err() {
                    return Err(rejected());
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
            Self::Apply(_) => return Err(Status::bad_request(format!("cannot apply {name} here"))),
        }
        Ok(next)
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

/// Reads YAML, of which JSON is a part.
pub fn yaml(body: &[u8]) -> Result<Value, Status> {
    if let Ok(value) = serde_json::from_slice(body) {
        return Ok(value);
    }
    let text = std::str::from_utf8(body)
        .map_err(|_| Status::bad_request("the body of the request is not UTF-8"))?;
    let options = serde_saphyr::options! { legacy_octal_numbers: true };
    serde_saphyr::from_str_with_options(text, options)
        .map_err(|cause| Status::bad_request(format!("error decoding YAML: {cause}")))
}
