//! From the rules of a schema to programs, and what is said where rules are wrong.

use std::sync::Arc;

use serde_json::Value;

use super::{Rule, Rules, join, text};
use crate::embedded::api::status::Cause;
use crate::embedded::cel::{self, Program, Type, schema as typed};
use crate::embedded::reach::Reach as _;

/// Compiles the rules of a schema; says what is wrong with them, with `path` before every field.
pub(in crate::embedded::write) fn compile(
    schema: &Arc<Value>,
    path: &str,
) -> (Option<Rules>, Vec<Cause>) {
    let mut compiler = Compiler {
        schema,
        causes: Vec::new(),
    };
    let rules = compiler.node("", path, true, "", Some(String::new()));
    (rules, compiler.causes)
}

struct Compiler<'a> {
    schema: &'a Arc<Value>,
    causes: Vec<Cause>,
}

impl Compiler<'_> {
    /// `shown` is where it is in an object; `known` is none where items have no identity over time.
    fn node(
        &mut self,
        at: &str,
        path: &str,
        root: bool,
        shown: &str,
        known: Option<String>,
    ) -> Option<Rules> {
        let whole = Arc::clone(self.schema);
        let here = whole.reach(at)?;
        let mut rules = Rules {
            schema: Arc::new(here.clone()),
            ..Rules::default()
        };
        let list = here
            .get("x-kubernetes-validations")
            .and_then(Value::as_array);
        if let Some(list) = list {
            let found = typed::type_at(self.schema, at, root);
            for (number, rule) in list.iter().enumerate() {
                let path = format!("{path}.x-kubernetes-validations[{number}]");
                rules
                    .own
                    .extend(self.rule(rule, &path, found.as_ref(), known.is_some(), shown));
            }
        }
        let properties = here.get("properties").and_then(Value::as_object);
        for name in properties.into_iter().flatten().map(|(name, _)| name) {
            let token = name.replace('~', "~0").replace('/', "~1");
            let shown = join(shown, name);
            let inner = self.node(
                &format!("{at}/properties/{token}"),
                &format!("{path}.properties[{name}]"),
                false,
                &shown,
                known.clone(),
            );
            rules
                .fields
                .extend(inner.map(|inner| (name.clone(), inner)));
        }
        if here.get("items").is_some_and(Value::is_object) {
            let keyed = text(here, "x-kubernetes-list-type") == "map";
            let (at, path) = (format!("{at}/items"), format!("{path}.items"));
            let known = known.clone().filter(|_| keyed);
            rules.items = self
                .node(&at, &path, false, &format!("{shown}[*]"), known)
                .map(Box::new);
        }
        if here
            .get("additionalProperties")
            .is_some_and(Value::is_object)
        {
            let at = format!("{at}/additionalProperties");
            let path = format!("{path}.additionalProperties");
            rules.values = self
                .node(&at, &path, false, &format!("{shown}[*]"), known)
                .map(Box::new);
        }
        let empty = rules.own.is_empty()
            && rules.fields.is_empty()
            && rules.items.is_none()
            && rules.values.is_none();
        (!empty).then_some(rules)
    }

    fn rule(
        &mut self,
        rule: &Value,
        path: &str,
        of: Option<&Type>,
        known: bool,
        shown: &str,
    ) -> Option<Rule> {
        let source = text(rule, "rule");
        let message = text(rule, "message");
        let before = self.causes.len();
        if source.trim().is_empty() {
            let cause = Cause::required(format!("{path}.rule"), "rule is not specified");
            self.causes.push(cause);
            return None;
        }
        let at = format!("{path}.message");
        if rule.get("message").is_some_and(|m| m != "") && message.trim().is_empty() {
            let cause = Cause::invalid(
                at,
                &message.into(),
                "message must be non-empty if specified",
            );
            self.causes.push(cause);
        } else if message.contains('\n') {
            let cause = Cause::invalid(at, &message.into(), "message must not contain line breaks");
            // The real server says it shorter.
            self.causes.push(Cause {
                message: cause.message.replace("message must", "must"),
                ..cause
            });
        } else if source.trim().contains('\n') && message.is_empty() {
            let detail = "message must be specified if rule contains line breaks";
            self.causes.push(Cause::required(at, detail));
        }
        let reason = match text(rule, "reason") {
            "" | "FieldValueInvalid" => "FieldValueInvalid",
            "FieldValueRequired" => "FieldValueRequired",
            "FieldValueForbidden" => "FieldValueForbidden",
            "FieldValueDuplicate" => "FieldValueDuplicate",
            other => {
                let all = [
                    "FieldValueRequired",
                    "FieldValueForbidden",
                    "FieldValueInvalid",
                    "FieldValueDuplicate",
                ];
                let cause = Cause::unsupported(format!("{path}.reason"), &other.into(), &all);
                self.causes.push(cause);
                "FieldValueInvalid"
            }
        };
        let of = of?;
        let optional_old = rule.get("optionalOldSelf") == Some(&Value::Bool(true));
        let old = if optional_old {
            Type::optional(of.clone())
        } else {
            of.clone()
        };
        let variables = [(Arc::from("self"), of.clone()), (Arc::from("oldSelf"), old)];
        let program = self.compile(rule, "rule", source, path, &variables, &Type::Bool)?;
        let uses_old = program.mentions("oldSelf");
        if uses_old && !known {
            let detail = format!(
                "oldSelf cannot be used on the uncorrelatable portion of the schema within {}",
                shown.split("[*]").next().unwrap_or_default()
            );
            let cause = Cause::invalid(format!("{path}.rule"), &source.into(), &detail);
            self.causes.push(cause);
        }
        let expression = match text(rule, "messageExpression") {
            "" => None,
            source => Some(self.compile(
                rule,
                "messageExpression",
                source,
                path,
                &variables,
                &Type::Str,
            )?),
        };
        (self.causes.len() == before).then(|| Rule {
            program,
            text: source.trim().to_owned(),
            message: message.trim().to_owned(),
            expression,
            reason,
            field: text(rule, "fieldPath").to_owned(),
            old: uses_old,
            optional_old,
        })
    }

    fn compile(
        &mut self,
        rule: &Value,
        what: &str,
        source: &str,
        path: &str,
        variables: &[(Arc<str>, Type)],
        wanted: &Type,
    ) -> Option<Program> {
        let problem = match cel::compile(source, variables) {
            Ok(program) if program.result() == wanted || *program.result() == Type::Dyn => {
                return Some(program);
            }
            Ok(_) if what == "rule" => "cel expression must evaluate to a bool".to_owned(),
            Ok(_) => "messageExpression must evaluate to a string".to_owned(),
            Err(drawn) if what == "rule" => format!("compilation failed: {drawn}"),
            Err(drawn) => format!("messageExpression compilation failed: {drawn}"),
        };
        self.causes.push(Cause {
            reason: "FieldValueInvalid",
            message: format!("Invalid value: {}: {problem}", whole(rule)),
            field: format!("{path}.{what}"),
        });
        None
    }
}

/// A rule as the real server prints it: all its fields, by their names in Go.
fn whole(rule: &Value) -> String {
    let quoted = |name: &str| {
        let text = Value::from(text(rule, name)).to_string();
        let text = text.replace('<', "\\u003c").replace('>', "\\u003e");
        text.replace('&', "\\u0026")
    };
    let or_null = |name: &str| rule.get(name).map_or("null".to_owned(), Value::to_string);
    format!(
        "{{\"Rule\":{},\"Message\":{},\"MessageExpression\":{},\"Reason\":{},\"FieldPath\":{},\"OptionalOldSelf\":{}}}",
        quoted("rule"),
        quoted("message"),
        quoted("messageExpression"),
        or_null("reason"),
        quoted("fieldPath"),
        or_null("optionalOldSelf")
    )
}
