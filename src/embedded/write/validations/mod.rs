//! Rules of custom resources: `x-kubernetes-validations`, compiled once and evaluated on every write.
//!
//! The language is in `cel`; what else a schema asks for is in `schema`. How rules become programs, and what is said where
//! they are wrong, is in `compile`.

mod compile;

pub(super) use compile::compile;

use std::sync::Arc;

use serde_json::Value;

use crate::embedded::api::status::Cause;
use crate::embedded::cel::{Program, Stop, Val, schema as typed};

/// What all rules of an object may cost together.
const BUDGET: u64 = 10_000_000;

/// The rules at one place of a schema, and below.
#[derive(Debug, Default)]
pub(in crate::embedded) struct Rules {
    schema: Arc<Value>,
    own: Vec<Rule>,
    fields: Vec<(String, Rules)>,
    items: Option<Box<Rules>>,
    values: Option<Box<Rules>>,
}

#[derive(Debug)]
struct Rule {
    program: Program,
    text: String,
    message: String,
    expression: Option<Program>,
    reason: &'static str,
    field: String,
    /// Whether it looks at what was there before.
    old: bool,
    /// Whether it is evaluated even if nothing was there before.
    optional_old: bool,
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn join(path: &str, name: &str) -> String {
    match path {
        "" => name.to_owned(),
        path => format!("{path}.{name}"),
    }
}

/// Evaluates rules: what they find is wrong with an object, given what it was before.
pub(super) fn check(rules: &Rules, value: &Value, before: Option<&Value>) -> Vec<Cause> {
    let mut run = Run {
        causes: Vec::new(),
        budget: BUDGET,
        spent: false,
    };
    run.node(rules, value, before, "", true);
    run.causes
}

/// What is said instead when an object is too wrong for its rules to be asked.
pub(super) fn not_checked() -> Cause {
    Cause {
        reason: "FieldValueInvalid",
        message: "Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation".to_owned(),
        field: "<nil>".to_owned(),
    }
}

struct Run {
    causes: Vec<Cause>,
    budget: u64,
    spent: bool,
}

impl Run {
    fn node(
        &mut self,
        rules: &Rules,
        value: &Value,
        before: Option<&Value>,
        path: &str,
        root: bool,
    ) {
        if self.spent || value.is_null() {
            return;
        }
        // What nobody touched need not become right.
        let same = before == Some(value);
        if !rules.own.is_empty() {
            let own = typed::value_of(value, &rules.schema, root);
            let old = before.map(|before| typed::value_of(before, &rules.schema, root));
            for rule in &rules.own {
                let wanted = !rule.old || rule.optional_old || old.is_some();
                if wanted && !same {
                    self.rule(rule, rules, value, &own, old.as_ref(), path);
                }
            }
        }
        match value {
            Value::Object(object) => {
                for (name, inner) in &rules.fields {
                    if let Some(value) = object.get(name) {
                        let before = before.and_then(|before| before.get(name));
                        self.node(inner, value, before, &join(path, name), false);
                    }
                }
                if let Some(inner) = &rules.values {
                    for (name, value) in object {
                        let before = before.and_then(|before| before.get(name));
                        self.node(inner, value, before, &format!("{path}[{name}]"), false);
                    }
                }
            }
            Value::Array(list) => {
                let Some(inner) = &rules.items else { return };
                for (at, item) in list.iter().enumerate() {
                    let before = before.and_then(|before| same_item(&rules.schema, before, item));
                    self.node(inner, item, before, &format!("{path}[{at}]"), false);
                }
            }
            _ => {}
        }
    }

    fn rule(
        &mut self,
        rule: &Rule,
        rules: &Rules,
        value: &Value,
        own: &Val,
        old: Option<&Val>,
        path: &str,
    ) {
        if self.spent {
            return;
        }
        let mut scope = vec![(Arc::from("self"), own.clone())];
        let old = match rule.optional_old {
            true => Some(Val::Optional(old.map(|old| Arc::new(old.clone())))),
            false => old.cloned(),
        };
        scope.extend(old.map(|old| (Arc::from("oldSelf"), old)));
        let at = if path.is_empty() { "<nil>" } else { path };
        let said = |message: String, reason: &'static str, at: String, plain: bool| Cause {
            reason,
            message: match reason {
                "FieldValueRequired" => format!("Required value: {message}"),
                "FieldValueForbidden" => format!("Forbidden: {message}"),
                "FieldValueDuplicate" => format!("Duplicate value: {}", shown(value)),
                _ if plain && !value.is_object() && !value.is_array() => {
                    format!("Invalid value: {}: {message}", shown(value))
                }
                _ => format!("Invalid value: {message}"),
            },
            field: at,
        };
        let why = match rule.program.run(scope.clone(), &mut self.budget) {
            Ok(Val::Bool(true)) => return,
            Ok(_) => {
                let message = self.message(rule, scope);
                let full = format!("{path}{}", rule.field);
                let full = full.trim_start_matches('.');
                let full = if full.is_empty() { "<nil>" } else { full };
                let cause = said(message, rule.reason, full.to_owned(), rule.field.is_empty());
                self.causes.push(cause);
                return;
            }
            Err(Stop::Failed(why)) => why,
            Err(Stop::Spent) if self.budget == 0 => {
                self.spent = true;
                "validation failed due to running out of cost budget, no further validation rules will be run".to_owned()
            }
            Err(Stop::Spent) => {
                "call cost exceeds limit, no further validation rules will be run".to_owned()
            }
        };
        let named = if rule.message.is_empty() {
            &rule.text
        } else {
            &rule.message
        };
        let of = text(&rules.schema, "type");
        self.causes.push(Cause {
            reason: "FieldValueInvalid",
            message: format!("Invalid value: {of:?}: {why} evaluating rule: {named}"),
            field: at.to_owned(),
        });
    }

    fn message(&mut self, rule: &Rule, scope: Vec<(Arc<str>, Val)>) -> String {
        if let Some(expression) = &rule.expression
            && let Ok(Val::Str(text)) = expression.run(scope, &mut self.budget)
            && !text.trim().is_empty()
            && !text.contains('\n')
        {
            return text.trim().to_owned();
        }
        if rule.message.is_empty() {
            return format!("failed rule: {}", rule.text);
        }
        rule.message.clone()
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => format!("{text:?}"),
        other => other.to_string(),
    }
}

/// The item of a list that an item was before, if items are known by keys.
pub(super) fn same_item<'a>(schema: &Value, before: &'a Value, item: &Value) -> Option<&'a Value> {
    if text(schema, "x-kubernetes-list-type") != "map" {
        return None;
    }
    let keys = schema.get("x-kubernetes-list-map-keys")?.as_array()?;
    let keys: Vec<&str> = keys.iter().filter_map(Value::as_str).collect();
    before
        .as_array()?
        .iter()
        .find(|old| keys.iter().all(|key| old.get(*key) == item.get(*key)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::{check, compile};

    fn rules() -> Arc<Value> {
        Arc::new(json!({
            "type": "object",
            "x-kubernetes-validations": [
                {"rule": "!has(self.n) || self.n < 10"},
                {"rule": "self.l.size() < 3", "message": "few", "fieldPath": ".l"},
            ],
            "properties": {
                "n": {"type": "integer", "x-kubernetes-validations": [{"rule": "self == oldSelf", "message": "n is fixed"}]},
                "l": {"type": "array", "items": {"type": "string", "x-kubernetes-validations": [{"rule": "self != 'bad'"}]}},
                "m": {"type": "object", "additionalProperties": {"type": "string", "x-kubernetes-validations": [
                    {"rule": "self.size() > 1", "messageExpression": "'too short: ' + self"}]}},
                "items": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"], "items": {
                    "type": "object", "properties": {"k": {"type": "string"}, "v": {"type": "integer", "x-kubernetes-validations": [
                        {"rule": "self >= oldSelf", "message": "v must not shrink", "reason": "FieldValueForbidden"}]}}}},
            },
        }))
    }

    fn said(value: Value, before: Option<Value>) -> Vec<String> {
        let (rules, causes) = compile(&rules(), "schema");
        assert_eq!(causes, []);
        let causes = check(&rules.unwrap(), &value, before.as_ref());
        let each = causes.into_iter();
        each.map(|cause| format!("{}: {}", cause.field, cause.message))
            .collect()
    }

    #[test]
    fn rules_are_asked_where_they_are() {
        assert_eq!(said(json!({"n": 1, "l": []}), None), Vec::<String>::new());
        assert_eq!(
            said(
                json!({"n": 20, "l": ["a", "bad", "c"], "m": {"k": "v"}}),
                None
            ),
            [
                "<nil>: Invalid value: failed rule: !has(self.n) || self.n < 10",
                "l: Invalid value: few",
                "l[1]: Invalid value: \"bad\": failed rule: self != 'bad'",
                "m[k]: Invalid value: \"v\": too short: v",
            ]
        );
        assert_eq!(
            said(json!({}), None),
            ["<nil>: Invalid value: \"object\": no such key: l evaluating rule: few"]
        );
    }

    #[test]
    fn rules_may_look_back() {
        let before = json!({"n": 1, "l": [], "items": [{"k": "a", "v": 2}]});
        let after = json!({"n": 2, "l": [], "items": [{"k": "b", "v": 0}, {"k": "a", "v": 1}]});
        assert_eq!(
            said(after, Some(before)),
            [
                "n: Invalid value: 2: n is fixed",
                "items[1].v: Forbidden: v must not shrink"
            ]
        );
    }

    #[test]
    fn what_was_wrong_before_may_stay() {
        let before = json!({"l": ["bad"], "m": {"k": "v"}, "n": 1});
        let after = json!({"l": [], "m": {"k": "v"}, "n": 1});
        assert_eq!(said(after, Some(before)), Vec::<String>::new());
    }

    #[test]
    fn wrong_rules_are_refused() {
        let schema = json!({"type": "object", "properties": {"n": {"type": "integer", "x-kubernetes-validations": [
            {"rule": "self > 'a'"}, {"rule": "self"}, {"rule": " "}, {"rule": "self > 1\n&& true"}]}}});
        let (_, causes) = compile(&Arc::new(schema), "schema");
        let messages: Vec<_> = causes
            .iter()
            .map(|c| (c.field.as_str(), c.message.as_str()))
            .collect();
        assert_eq!(
            messages[0].0,
            "schema.properties[n].x-kubernetes-validations[0].rule"
        );
        assert_eq!(
            messages[0].1,
            "Invalid value: {\"Rule\":\"self \\u003e 'a'\",\"Message\":\"\",\"MessageExpression\":\"\",\"Reason\":null,\"FieldPath\":\"\",\"OptionalOldSelf\":null}: compilation failed: ERROR: <input>:1:6: found no matching overload for '_>_' applied to '(int, string)'\n | self > 'a'\n | .....^"
        );
        assert!(
            messages[1]
                .1
                .ends_with("cel expression must evaluate to a bool")
        );
        assert_eq!(messages[2].1, "Required value: rule is not specified");
        assert_eq!(
            messages[3].1,
            "Required value: message must be specified if rule contains line breaks"
        );
    }
}
