//! Patches that made of an object what is not of its kind any more: the real server tells of that as the patch's fault.

use http::{Method, header};
use serde_json::Value;

use super::Call;
use super::registry::Kind;
use super::status::{Cause, Status};

/// How a refusal begins the words of what did not fit.
const MARK: &str = " cannot be handled as a ";

/// Says of a refusal which patch it is about, if it is about what a patch made.
pub(super) fn patched(call: &Call<'_>, status: Status) -> Status {
    if call.method != Method::PATCH || status.code != 400 {
        return status;
    }
    let Some((_, said)) = status.message.split_once(MARK) else {
        return status;
    };
    let wrong = said.split_once(": ").map_or(said, |(_, wrong)| wrong);
    let media = call.header(header::CONTENT_TYPE);
    let patch: Option<Value> = match media.starts_with("application/strategic-merge-patch") {
        true => serde_json::from_slice(&call.body).ok(),
        false => None,
    };
    let cause = match patch {
        Some(patch) => Cause::invalid("patch", &shown(&patch).into(), &restoring(wrong)),
        None => {
            let text = String::from_utf8_lossy(&call.body).into_owned();
            Cause::invalid("patch", &text.into(), wrong)
        }
    };
    Status::invalid(&Kind::new("", "", "", ""), "", &[cause])
}

/// A value as Go prints maps, by which the real server shows such a patch.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(list) => {
            let each: Vec<String> = list.iter().map(shown).collect();
            format!("[{}]", each.join(" "))
        }
        Value::Object(map) => {
            let mut each: Vec<String> = map
                .iter()
                .map(|(name, value)| format!("{name}:{}", shown(value)))
                .collect();
            each.sort_unstable();
            format!("map[{}]", each.join(" "))
        }
        other => other.to_string(),
    }
}

/// What is wrong, in the words of whoever lays such a patch over an object.
fn restoring(wrong: &str) -> String {
    let parts = wrong
        .strip_prefix("json: cannot unmarshal ")
        .and_then(|rest| {
            let (from, rest) = rest.split_once(' ')?;
            let (_, to) = rest.rsplit_once(" of type ")?;
            Some((from, to))
        });
    let Some((from, to)) = parts else {
        return wrong.to_owned();
    };
    let from = match from {
        "number" => "int64",
        "array" => "slice",
        "object" => "map",
        other => other,
    };
    match to {
        _ if to.starts_with("[]") => format!("cannot restore slice from {from}"),
        _ if to.starts_with("map[") => format!("cannot restore map from {from}"),
        _ if to.contains('.') => format!("cannot restore struct from: {from}"),
        plain => format!("unrecognized type: {plain}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{restoring, shown};

    #[test]
    fn patches_are_shown_as_go_shows_maps() {
        let patch = json!({"spec": {"b": null, "a": [1, true, "x"]}});
        assert_eq!(shown(&patch), "map[spec:map[a:[1 true x] b:<nil>]]");
    }

    #[test]
    fn what_cannot_be_laid_over_is_told_by_its_type() {
        let of = |kind: &str| {
            restoring(&format!(
                "json: cannot unmarshal string into Go struct field S.spec.x of type {kind}"
            ))
        };
        assert_eq!(of("int32"), "unrecognized type: int32");
        assert_eq!(of("[]v1.ServicePort"), "cannot restore slice from string");
        assert_eq!(of("map[string]string"), "cannot restore map from string");
        assert_eq!(of("v1.PodSpec"), "cannot restore struct from: string");
        assert_eq!(
            restoring("strict decoding error: x"),
            "strict decoding error: x"
        );
    }
}
