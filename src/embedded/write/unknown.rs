//! Fields that the schema doesn't know, and values of the wrong type.

use serde_json::Value;

use super::{Options, Validation, twice};
use crate::embedded::api::registry::Kind;
use crate::embedded::api::status::Status;
use crate::embedded::proto::shape::{Form, Shape};
use crate::embedded::quantity;
use crate::embedded::reach::Reach as _;

/// Takes unknown fields out; says so, or refuses, as was asked for.
pub(super) fn check(
    kind: &Kind,
    value: &mut Value,
    options: &Options,
) -> Result<Vec<String>, Status> {
    look_through(kind, value, options, false)
}

/// The same for a configuration that is applied, which may only say what the schema knows.
pub(super) fn check_applied(
    kind: &Kind,
    value: &mut Value,
    options: &Options,
) -> Result<Vec<String>, Status> {
    look_through(kind, value, options, true)
}

fn undeclared(kind: &Kind, value: &Value, fields: &[String]) -> Status {
    let text = |at: &str| {
        let text = value.reach(at).and_then(Value::as_str);
        text.unwrap_or_default()
    };
    let each = fields
        .iter()
        .map(|field| format!(".{field}: field not declared in schema"));
    let message = format!(
        "failed to create typed patch object ({}/{}; {}/{}, Kind={}): {}",
        text("/metadata/namespace"),
        text("/metadata/name"),
        kind.group,
        kind.version,
        kind.kind,
        each.collect::<Vec<_>>().join("\n")
    );
    // The real server takes this for a mistake of its own.
    Status::new(500, "", message)
}

fn look_through(
    kind: &Kind,
    value: &mut Value,
    options: &Options,
    applied: bool,
) -> Result<Vec<String>, Status> {
    let mut found = Found {
        twice: options.twice.clone(),
        ..Found::default()
    };
    let root = Shape::of(kind);
    let Some(object) = value.as_object_mut() else {
        return Err(Status::bad_request(
            "the body of the request is not an object",
        ));
    };
    let names: Vec<String> = object.keys().cloned().collect();
    for name in names {
        if matches!(name.as_str(), "apiVersion" | "kind") {
            continue;
        }
        let shape = root.field(&name);
        match (shape, object.get_mut(&name)) {
            (Some(shape), Some(value)) => {
                found.look(value, shape, &name, &kind.kind);
                found.see(&name);
            }
            (None, _) => {
                object.shift_remove(&name);
                found.miss(name);
            }
            (Some(_), None) => {}
        }
    }
    if let (Some(wrong), None) = (&found.wrong, &kind.custom) {
        return Err(Status::bad_request(format!(
            "{} in version \"{}\" cannot be handled as a {}: {wrong}",
            kind.kind, kind.version, kind.kind
        )));
    }
    let each = found.notes(kind.custom.is_some());
    if applied && !found.unknown.is_empty() {
        return Err(undeclared(kind, value, &found.unknown));
    }
    match options.validation {
        _ if each.is_empty() => Ok(Vec::new()),
        Validation::Ignore => Ok(Vec::new()),
        Validation::Warn => Ok(each),
        Validation::Strict => Err(Status::bad_request(format!(
            "{} in version \"{}\" cannot be handled as a {}: strict decoding error: {}",
            kind.kind,
            kind.version,
            kind.kind,
            each.join(", ")
        ))),
    }
}

#[derive(Default)]
struct Found {
    unknown: Vec<String>,
    wrong: Option<String>,
    /// What is to be said, in the order of the text.
    notes: Vec<String>,
    /// What is to be said of fields that are there twice, until they are met.
    twice: Vec<String>,
}

impl Found {
    /// A field that nobody knows; whether it is there twice is no matter then.
    fn miss(&mut self, path: String) {
        self.notes.push(format!("unknown field \"{path}\""));
        if !self.twice.is_empty() {
            let note = twice::note(&path);
            self.twice.retain(|other| *other != note);
        }
        self.unknown.push(path);
    }

    /// A field that is known.
    fn see(&mut self, path: &str) {
        if self.twice.is_empty() {
            return;
        }
        let note = twice::note(path);
        if let Some(at) = self.twice.iter().position(|other| *other == note) {
            self.notes.push(self.twice.remove(at));
        }
    }

    /// All there is to say; of custom objects first what their text alone says.
    fn notes(&self, custom: bool) -> Vec<String> {
        let (text, fields) = (self.twice.iter(), self.notes.iter());
        match custom {
            true => text.chain(fields).cloned().collect(),
            false => fields.chain(text).cloned().collect(),
        }
    }

    fn look(&mut self, value: &mut Value, shape: Shape<'_>, path: &str, owner: &str) {
        if value.is_null() {
            return;
        }
        match (shape.form(), &mut *value) {
            (Form::Any, _) => {}
            (Form::Object, Value::Object(object)) => {
                let owner = shape
                    .message_name()
                    .map_or(owner, |name| name.rsplit('.').next().unwrap_or(name));
                let names: Vec<String> = object.keys().cloned().collect();
                for name in names {
                    let inner = format!("{path}.{name}");
                    match shape.field(&name) {
                        None => {
                            object.shift_remove(&name);
                            self.miss(inner);
                        }
                        Some(shape) => {
                            if let Some(value) = object.get_mut(&name) {
                                self.look(value, shape, &inner, owner);
                            }
                            self.see(&inner);
                        }
                    }
                }
            }
            (Form::Map, Value::Object(object)) => {
                for (name, value) in object.iter_mut() {
                    let inner = shape.field(name).unwrap_or(Shape::Any);
                    // Mistakes in a map's values are told of the map.
                    let inner_path = match inner.form() {
                        Form::Scalar => path.to_owned(),
                        _ => format!("{path}.{name}"),
                    };
                    self.look(value, inner, &inner_path, owner);
                }
            }
            (Form::List, Value::Array(list)) => {
                for (at, item) in list.iter_mut().enumerate() {
                    self.look(item, shape.item(), &format!("{path}[{at}]"), owner);
                }
            }
            (Form::Scalar, _) => self.look_scalar(value, shape, path, owner),
            (form, value) => {
                let wanted = match form {
                    Form::List => match shape.item().message_name() {
                        Some(name) => format!("[]v1.{}", name.rsplit('.').next().unwrap_or(name)),
                        None => "[]string".to_owned(),
                    },
                    Form::Map => "map[string]string".to_owned(),
                    _ => format!("v1.{}", type_name(shape, owner)),
                };
                self.complain(value, path, owner, &wanted);
            }
        }
    }

    fn look_scalar(&mut self, value: &mut Value, shape: Shape<'_>, path: &str, owner: &str) {
        let is_quantity = shape
            .message_name()
            .is_some_and(|name| name.ends_with(".Quantity"));
        if is_quantity {
            self.look_quantity(value);
            return;
        }
        let (kind, format) = shape.scalar();
        let fits = match (kind, format) {
            // These may be written as numbers too.
            ("string", "int-or-string") => value.is_string() || value.is_i64() || value.is_u64(),
            ("string", "") if shape.message_name().is_some() => {
                !value.is_object() && !value.is_array()
            }
            ("string", _) => value.is_string(),
            ("integer", _) => value.as_f64().is_some_and(|number| number.fract() == 0.0),
            ("number", _) => value.is_number(),
            ("boolean", _) => value.is_boolean(),
            _ => true,
        };
        if !fits {
            let wanted = match kind {
                "integer" => "int32",
                "number" => "float64",
                "boolean" => "bool",
                _ => "string",
            };
            self.complain(value, path, owner, wanted);
        }
    }

    /// Writes a quantity the way the API does.
    fn look_quantity(&mut self, value: &mut Value) {
        let text = match &*value {
            Value::String(text) => quantity::canonical(text),
            Value::Number(number) => quantity::canonical(&number.to_string()),
            _ => None,
        };
        match text {
            Some(text) => *value = text.into(),
            None => {
                let wrong = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
                self.wrong.get_or_insert_with(|| wrong.to_owned());
            }
        }
    }

    fn complain(&mut self, value: &Value, path: &str, owner: &str, wanted: &str) {
        let is = match value {
            Value::Bool(_) => "bool",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            _ => "object",
        };
        self.wrong.get_or_insert_with(|| {
            let path: String = without_indices(path);
            format!(
                "json: cannot unmarshal {is} into Go struct field {owner}.{path} of type {wanted}"
            )
        });
    }
}

fn type_name<'a>(shape: Shape<'_>, owner: &'a str) -> &'a str {
    match shape.message_name() {
        Some(name) => name.rsplit('.').next().unwrap_or(owner),
        None => owner,
    }
}

/// Go's messages name fields without saying which item of a list they are in.
fn without_indices(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let mut inside = false;
    for letter in path.chars() {
        match letter {
            '[' => inside = true,
            ']' => inside = false,
            letter if !inside => out.push(letter),
            _ => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::check;
    use crate::embedded::api::registry::Registry;
    use crate::embedded::write::{Options, Validation};

    fn checked(mut value: Value, validation: Validation) -> (Value, Result<Vec<String>, String>) {
        let registry = Registry::default();
        let kind = registry.find("apps", "v1", "deployments").unwrap();
        let mut options = Options::controller("test");
        options.validation = validation;
        let result = check(&kind, &mut value, &options);
        (value, result.map_err(|status| status.message))
    }

    #[test]
    fn unknown_fields_are_dropped_and_named() {
        let value = json!({"spec": {"replicas": 1, "foo": 2, "template": {"spec": {"containers": [{"name": "a", "bar": 1}]}}}});
        let (rest, result) = checked(value.clone(), Validation::Warn);
        assert_eq!(rest.pointer("/spec/foo"), None);
        assert_eq!(
            result.unwrap(),
            [
                "unknown field \"spec.foo\"",
                "unknown field \"spec.template.spec.containers[0].bar\""
            ]
        );
        let (_, result) = checked(value, Validation::Strict);
        assert!(
            result
                .unwrap_err()
                .contains("strict decoding error: unknown field \"spec.foo\", ")
        );
    }

    #[test]
    fn wrong_types_are_refused() {
        let (_, result) = checked(json!({"spec": {"replicas": "three"}}), Validation::Ignore);
        assert_eq!(
            result.unwrap_err(),
            "Deployment in version \"v1\" cannot be handled as a Deployment: json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32"
        );
    }
}
