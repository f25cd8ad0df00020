//! Label and field selectors, as text and as objects carry them.

use serde_json::Value;

use super::status::Status;
use crate::embedded::store::Object;

/// A condition on one label.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Requirement {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Missing(String),
    Greater(String, i64),
    Less(String, i64),
}

/// A conjunction of conditions on labels; empty means everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelSelector(Vec<Requirement>);

impl LabelSelector {
    /// Reads the text form: `a=b,c in (d,e),!f`.
    pub fn parse(text: &str) -> Result<Self, Status> {
        let mut requirements = Vec::new();
        for part in split_outside_brackets(text) {
            let part = part.trim();
            if part.is_empty() {
                if text.trim().is_empty() {
                    continue;
                }
                return Err(Status::bad_request(
                    "found ',', expected: identifier after ','",
                ));
            }
            requirements.push(requirement(part)?);
        }
        Ok(Self(requirements))
    }

    /// Reads the form that objects carry: `matchLabels` and `matchExpressions`.
    pub fn from_json(selector: &Value) -> Self {
        let mut requirements = Vec::new();
        if let Some(labels) = selector.get("matchLabels").and_then(Value::as_object) {
            for (key, value) in labels {
                let value = value.as_str().unwrap_or_default().to_owned();
                requirements.push(Requirement::In(key.clone(), vec![value]));
            }
        }
        let expressions = selector.get("matchExpressions").and_then(Value::as_array);
        for expression in expressions.into_iter().flatten() {
            let text = |name: &str| expression.get(name).and_then(Value::as_str);
            let key = text("key").unwrap_or_default().to_owned();
            let values = expression.get("values").and_then(Value::as_array);
            let values = values
                .into_iter()
                .flatten()
                .filter_map(|value| Some(value.as_str()?.to_owned()))
                .collect();
            requirements.push(match text("operator") {
                Some("NotIn") => Requirement::NotIn(key, values),
                Some("Exists") => Requirement::Exists(key),
                Some("DoesNotExist") => Requirement::Missing(key),
                _ => Requirement::In(key, values),
            });
        }
        Self(requirements)
    }

    /// Reads a plain map of labels, as services and replication controllers have it.
    pub fn from_map(labels: &Value) -> Self {
        Self::from_json(&serde_json::json!({ "matchLabels": labels }))
    }

    /// Whether it lets everything through.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether labels, looked up by name, satisfy it.
    pub fn matches<'a>(&self, label: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.0.iter().all(|requirement| match requirement {
            Requirement::In(key, values) => {
                label(key).is_some_and(|found| values.iter().any(|value| value == found))
            }
            Requirement::NotIn(key, values) => {
                label(key).is_none_or(|found| values.iter().all(|value| value != found))
            }
            Requirement::Exists(key) => label(key).is_some(),
            Requirement::Missing(key) => label(key).is_none(),
            Requirement::Greater(key, than) => number(label(key)).is_some_and(|n| n > *than),
            Requirement::Less(key, than) => number(label(key)).is_some_and(|n| n < *than),
        })
    }

    /// Whether an object's labels satisfy it.
    pub fn matches_object(&self, object: &Object) -> bool {
        self.matches(|name| object.label(name))
    }
}

fn number(text: Option<&str>) -> Option<i64> {
    text?.parse().ok()
}

fn cannot_parse(why: &str) -> Status {
    Status::bad_request(format!("unable to parse requirement: {why}"))
}

fn split_outside_brackets(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut depth = 0_u32;
    let mut start = 0;
    for (at, letter) in text.char_indices() {
        match letter {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(text.get(start..at).unwrap_or_default());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(text.get(start..).unwrap_or_default());
    parts
}

fn requirement(part: &str) -> Result<Requirement, Status> {
    if let Some(key) = part.strip_prefix('!') {
        return Ok(Requirement::Missing(key_of(key)?));
    }
    if let Some((head, list)) = part.split_once('(') {
        let Some(list) = list.trim_end().strip_suffix(')') else {
            return Err(cannot_parse("found '', expected: ',' or ')'"));
        };
        let values: Vec<String> = list
            .split(',')
            .map(|value| value.trim().to_owned())
            .collect();
        for value in &values {
            check_value(value)?;
        }
        let words: Vec<&str> = head.split_whitespace().collect();
        return match words.as_slice() {
            [key, "in"] => Ok(Requirement::In(key_of(key)?, values)),
            [key, "notin"] => Ok(Requirement::NotIn(key_of(key)?, values)),
            [_, other, ..] => Err(cannot_parse(&format!(
                "found '{other}', expected: in, notin, =, ==, !=, gt, lt"
            ))),
            _ => Err(cannot_parse(
                "found '(', expected: in, notin, =, ==, !=, gt, lt",
            )),
        };
    }
    for (sign, equal) in [("!=", false), ("==", true), ("=", true)] {
        if let Some((key, value)) = part.split_once(sign) {
            let value = value.trim().to_owned();
            check_value(&value)?;
            let key = key_of(key)?;
            return Ok(match equal {
                true => Requirement::In(key, vec![value]),
                false => Requirement::NotIn(key, vec![value]),
            });
        }
    }
    for (sign, make) in [
        (">", Requirement::Greater as fn(String, i64) -> Requirement),
        ("<", Requirement::Less),
    ] {
        if let Some((key, value)) = part.split_once(sign) {
            let Ok(value) = value.trim().parse() else {
                return Err(cannot_parse(&format!(
                    "values[0]: Invalid value: {value:?}: for 'Gt', 'Lt' operators, the value must be an integer"
                )));
            };
            return Ok(make(key_of(key)?, value));
        }
    }
    match part.split_whitespace().collect::<Vec<_>>().as_slice() {
        [_, "in" | "notin", found, ..] => {
            Err(cannot_parse(&format!("found '{found}' expected: '('")))
        }
        [_, "in" | "notin"] => Err(cannot_parse("found '' expected: '('")),
        _ => Ok(Requirement::Exists(key_of(part)?)),
    }
}

fn key_of(text: &str) -> Result<String, Status> {
    let key = text.trim();
    let name = key.rsplit('/').next().unwrap_or_default();
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    if name.len() <= 63
        && name.chars().all(good)
        && edge(name.chars().next())
        && edge(name.chars().last())
    {
        return Ok(key.to_owned());
    }
    Err(Status::bad_request(format!(
        "unable to parse requirement: <nil>: Invalid value: {key:?}: name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
    )))
}

fn check_value(value: &str) -> Result<(), Status> {
    if let Some(second) = value.split_whitespace().nth(1) {
        return Err(Status::bad_request(format!(
            "found '{second}', expected: ',' or 'end of string'"
        )));
    }
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let edge = |c: Option<char>| c.is_none_or(|c| c.is_ascii_alphanumeric());
    if value.len() <= 63
        && value.chars().all(good)
        && edge(value.chars().next())
        && edge(value.chars().last())
    {
        return Ok(());
    }
    Err(Status::bad_request(format!(
        "unable to parse requirement: values[0][]: Invalid value: {value:?}: a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
    )))
}

/// A conjunction of conditions on fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSelector(Vec<(String, String, bool)>);

impl FieldSelector {
    /// Reads the text form: `spec.nodeName=a,status.phase!=Failed`.
    pub fn parse(text: &str) -> Result<Self, Status> {
        let mut terms = Vec::new();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let (field, value, equal) = if let Some((field, value)) = part.split_once("!=") {
                (field, value, false)
            } else if let Some((field, value)) = part.split_once("==") {
                (field, value, true)
            } else if let Some((field, value)) = part.split_once('=') {
                (field, value, true)
            } else {
                return Err(Status::bad_request(format!(
                    "invalid selector: '{text}'; can't understand '{part}'"
                )));
            };
            terms.push((field.to_owned(), value.to_owned(), equal));
        }
        Ok(Self(terms))
    }

    /// Whether it lets everything through.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The fields it asks about.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(field, _, _)| field.as_str())
    }

    /// The one name it asks for, if it does.
    pub fn name(&self) -> Option<&str> {
        let by_name =
            |(field, _, equal): &&(String, String, bool)| field == "metadata.name" && *equal;
        self.0
            .iter()
            .find(by_name)
            .map(|(_, value, _)| value.as_str())
    }

    /// Whether an object satisfies it.
    pub fn matches(&self, object: &Object) -> bool {
        self.0.iter().all(|(field, wanted, equal)| {
            let same = match field.as_str() {
                "metadata.name" => object.name() == wanted,
                "metadata.namespace" => object.namespace() == wanted,
                _ => field_text(&object.value(), field) == *wanted,
            };
            same == *equal
        })
    }
}

fn field_text(value: &Value, field: &str) -> String {
    let mut at = value;
    for part in field.split('.') {
        match at.get(part) {
            Some(next) => at = next,
            None => {
                // What is unset reads as the zero value of its type.
                return match field {
                    "spec.unschedulable" | "spec.hostNetwork" => "false".to_owned(),
                    "status.replicas" | "status.successful" => "0".to_owned(),
                    _ => String::new(),
                };
            }
        }
    }
    match at {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{FieldSelector, LabelSelector};

    fn check(selector: &str, labels: &[(&str, &str)]) -> bool {
        let selector = LabelSelector::parse(selector).unwrap();
        let find = |name: &str| labels.iter().find(|(key, _)| *key == name).map(|(_, v)| *v);
        selector.matches(find)
    }

    #[test]
    fn selects_by_labels() {
        let labels = [("app", "web"), ("tier", "front"), ("n", "5")];
        for yes in [
            "",
            "app=web",
            "app==web,tier",
            "app in (api, web),!gone",
            "gone!=x",
            "tier notin (back)",
            "n>4",
            "n<6",
        ] {
            assert!(check(yes, &labels), "{yes}");
        }
        for no in ["app=api", "gone", "!app", "app notin (web)", "n>5"] {
            assert!(!check(no, &labels), "{no}");
        }
    }

    #[test]
    fn refuses_what_is_no_selector() {
        for text in ["a=b,,c", "a in (b", "a b", "=x", "a=!"] {
            assert_eq!(LabelSelector::parse(text).unwrap_err().code, 400, "{text}");
        }
        assert_eq!(FieldSelector::parse("metadata.name").unwrap_err().code, 400);
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in ".{0,60}") {
            let _ = LabelSelector::parse(&text).is_ok();
            let _ = FieldSelector::parse(&text).is_ok();
        }
    }
}
