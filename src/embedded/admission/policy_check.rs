//! What the objects that configure admission fill in, and whether they make sense.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::policy::declared;
use super::{list, text};
use crate::embedded::api::registry::Kind;
use crate::embedded::api::status::Cause;
use crate::embedded::cel::{self, Type};
use crate::embedded::reach::Reach as _;

fn set(map: &mut Map<String, Value>, field: &str, value: Value) {
    match map.get(field) {
        None | Some(Value::Null) => {
            map.insert(field.to_owned(), value);
        }
        Some(_) => {}
    }
}

/// Fills in what an object that configures admission leaves out.
pub(in crate::embedded) fn complete(kind: &Kind, value: &mut Value) {
    match kind.plural.as_str() {
        "validatingadmissionpolicies" => {
            let Some(spec) = value.get_mut("spec").and_then(Value::as_object_mut) else {
                return;
            };
            set(spec, "failurePolicy", json!("Fail"));
            if let Some(of) = spec
                .get_mut("matchConstraints")
                .and_then(Value::as_object_mut)
            {
                complete_match(of);
            }
        }
        "validatingadmissionpolicybindings" => {
            let of = value.reach_mut("/spec/matchResources");
            if let Some(of) = of.and_then(Value::as_object_mut) {
                complete_match(of);
            }
        }
        "validatingwebhookconfigurations" | "mutatingwebhookconfigurations" => {
            let mutating = kind.plural.starts_with("mutating");
            let hooks = value.get_mut("webhooks").and_then(Value::as_array_mut);
            for hook in hooks.into_iter().flatten() {
                let Some(hook) = hook.as_object_mut() else {
                    continue;
                };
                set(hook, "failurePolicy", json!("Fail"));
                set(hook, "timeoutSeconds", json!(10));
                if mutating {
                    set(hook, "reinvocationPolicy", json!("Never"));
                }
                complete_match(hook);
                let service = hook
                    .get_mut("clientConfig")
                    .and_then(|c| c.get_mut("service"));
                if let Some(service) = service.and_then(Value::as_object_mut) {
                    set(service, "port", json!(443));
                }
            }
        }
        _ => {}
    }
}

fn complete_match(of: &mut Map<String, Value>) {
    set(of, "matchPolicy", json!("Equivalent"));
    set(of, "namespaceSelector", json!({}));
    set(of, "objectSelector", json!({}));
    for field in ["rules", "resourceRules", "excludeResourceRules"] {
        let rules = of.get_mut(field).and_then(Value::as_array_mut);
        for rule in rules.into_iter().flatten() {
            if let Some(rule) = rule.as_object_mut() {
                set(rule, "scope", json!("*"));
            }
        }
    }
}

/// What is wrong with an object that configures admission.
pub(in crate::embedded) fn check(kind: &Kind, value: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    match kind.plural.as_str() {
        "validatingadmissionpolicies" => policy(value, &mut causes),
        "validatingadmissionpolicybindings" => binding(value, &mut causes),
        "validatingwebhookconfigurations" | "mutatingwebhookconfigurations" => {
            hooks(value, &mut causes);
        }
        _ => {}
    }
    causes
}

/// Compiles an expression and says if it is wrong or comes to something else than what is wanted.
fn expression(
    source: &str,
    at: &str,
    scope: &[(Arc<str>, Type)],
    wanted: &[(Type, &str)],
    causes: &mut Vec<Cause>,
) -> Type {
    if source.trim().is_empty() {
        causes.push(Cause::required(at, "expression is not specified"));
        return Type::Dyn;
    }
    let complain = |detail: String| Cause {
        reason: "FieldValueInvalid",
        message: format!("Invalid value: {source:?}: {detail}"),
        field: at.to_owned(),
    };
    match cel::compile(source, scope) {
        Err(drawn) => {
            causes.push(complain(format!("compilation failed: {drawn}")));
            Type::Dyn
        }
        Ok(program) => {
            let found = program.result().clone();
            if !wanted.is_empty() && !wanted.iter().any(|(one, _)| *one == found) {
                let names: Vec<&str> = wanted.iter().map(|(_, name)| *name).collect();
                let names = match names.as_slice() {
                    [one] => (*one).to_owned(),
                    many => format!("one of [{}]", many.join(" ")),
                };
                causes.push(complain(format!(
                    "must evaluate to {names} but got {found}"
                )));
            }
            found
        }
    }
}

const BOOL: &[(Type, &str)] = &[(Type::Bool, "bool")];
const TEXT: &[(Type, &str)] = &[(Type::Str, "string")];
const NOTE: &[(Type, &str)] = &[(Type::Str, "string"), (Type::Null, "null_type")];

fn policy(value: &Value, causes: &mut Vec<Cause>) {
    failure_policy(
        value.reach("/spec/failurePolicy"),
        "spec.failurePolicy",
        causes,
    );
    let params = value.reach("/spec/paramKind").is_some_and(Value::is_object);
    let simple = declared(params, None);
    match value.reach("/spec/matchConstraints") {
        None | Some(Value::Null) => causes.push(Cause::required("spec.matchConstraints", "")),
        Some(of) => {
            if list(of, "/resourceRules").next().is_none() {
                causes.push(Cause::required("spec.matchConstraints.resourceRules", ""));
            }
        }
    }
    conditions(
        value,
        "/spec/matchConditions",
        "spec.matchConditions",
        &simple,
        causes,
    );
    let mut types: Vec<(Arc<str>, Type)> = Vec::new();
    for (number, variable) in list(value, "/spec/variables").enumerate() {
        let at = format!("spec.variables[{number}]");
        let name = text(variable, "/name");
        if name.is_empty() {
            causes.push(Cause::required(
                format!("{at}.name"),
                "name is not specified",
            ));
        }
        let scope = declared(params, (!types.is_empty()).then_some(types.as_slice()));
        let source = text(variable, "/expression");
        let found = expression(source, &format!("{at}.expression"), &scope, &[], causes);
        types.push((name.into(), found));
    }
    let scope = declared(params, (!types.is_empty()).then_some(types.as_slice()));
    let notes = list(value, "/spec/auditAnnotations").count();
    if list(value, "/spec/validations").count() + notes == 0 {
        let detail = "validations or auditAnnotations must contain at least one item";
        causes.push(Cause::required("spec.validations", detail));
        causes.push(Cause::required("spec.auditAnnotations", detail));
    }
    for (number, each) in list(value, "/spec/validations").enumerate() {
        let at = format!("spec.validations[{number}]");
        let source = text(each, "/expression");
        expression(source, &format!("{at}.expression"), &scope, BOOL, causes);
        let source = text(each, "/messageExpression");
        if !source.is_empty() {
            expression(
                source,
                &format!("{at}.messageExpression"),
                &scope,
                TEXT,
                causes,
            );
        }
        let message = text(each, "/message");
        if message.contains('\n') {
            let detail = "message must not contain line breaks";
            causes.push(Cause::invalid(
                format!("{at}.message"),
                &message.into(),
                detail,
            ));
        } else if source.trim().contains('\n') && message.is_empty() {
            let detail = "message must be specified if expression contains line breaks";
            causes.push(Cause::required(format!("{at}.message"), detail));
        }
        let reason = text(each, "/reason");
        if !matches!(
            reason,
            "" | "Forbidden" | "Invalid" | "RequestEntityTooLarge" | "Unauthorized"
        ) {
            let allowed = ["Forbidden", "Invalid", "RequestEntityTooLarge"];
            causes.push(Cause::unsupported(
                format!("{at}.reason"),
                &reason.into(),
                &allowed,
            ));
        }
    }
    for (number, each) in list(value, "/spec/auditAnnotations").enumerate() {
        let at = format!("spec.auditAnnotations[{number}].valueExpression");
        expression(text(each, "/valueExpression"), &at, &scope, NOTE, causes);
    }
}

fn failure_policy(value: Option<&Value>, at: &str, causes: &mut Vec<Cause>) {
    if let Some(value) = value.filter(|value| *value != "Fail" && *value != "Ignore") {
        causes.push(Cause::unsupported(at, value, &["Fail", "Ignore"]));
    }
}

fn conditions(
    value: &Value,
    pointer: &str,
    path: &str,
    scope: &[(Arc<str>, Type)],
    causes: &mut Vec<Cause>,
) {
    for (number, condition) in list(value, pointer).enumerate() {
        let at = format!("{path}[{number}]");
        let source = text(condition, "/expression");
        expression(source, &format!("{at}.expression"), scope, BOOL, causes);
        if text(condition, "/name").is_empty() {
            causes.push(Cause::required(format!("{at}.name"), ""));
        }
    }
}

fn binding(value: &Value, causes: &mut Vec<Cause>) {
    if text(value, "/spec/policyName").is_empty() {
        causes.push(Cause::required("spec.policyName", ""));
    }
    let at = "spec.validationActions";
    let actions: Vec<&Value> = list(value, "/spec/validationActions").collect();
    if actions.is_empty() {
        causes.push(Cause::required(
            at,
            "at least one validation action is required",
        ));
    }
    for (number, action) in actions.iter().enumerate() {
        if !matches!(action.as_str(), Some("Audit" | "Deny" | "Warn")) {
            let at = format!("{at}[{number}]");
            causes.push(Cause::unsupported(at, action, &["Audit", "Deny", "Warn"]));
        }
    }
    let has = |wanted: &str| actions.iter().any(|action| **action == *wanted);
    if has("Deny") && has("Warn") {
        let detail = "must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)";
        let all = value.reach("/spec/validationActions").cloned();
        causes.push(Cause::invalid(at, &all.unwrap_or_default(), detail));
    }
}

fn hooks(value: &Value, causes: &mut Vec<Cause>) {
    let scope = declared(false, None);
    let mut names: Vec<&str> = Vec::new();
    for (number, hook) in list(value, "/webhooks").enumerate() {
        let at = format!("webhooks[{number}]");
        let name = text(hook, "/name");
        if name.is_empty() {
            causes.push(Cause::required(format!("{at}.name"), ""));
        } else if name.split('.').count() < 3 {
            let detail = "should be a domain with at least three segments separated by dots";
            causes.push(Cause::invalid(format!("{at}.name"), &name.into(), detail));
        }
        if names.contains(&name) {
            causes.push(Cause::duplicate(format!("{at}.name"), &name.into()));
        }
        names.push(name);
        failure_policy(
            hook.get("failurePolicy"),
            &format!("{at}.failurePolicy"),
            causes,
        );
        let config = format!("{at}.clientConfig");
        let (url, service) = (
            hook.reach("/clientConfig/url"),
            hook.reach("/clientConfig/service")
                .filter(|s| s.is_object()),
        );
        if url.is_some() == service.is_some() {
            let detail = "exactly one of url or service is required";
            causes.push(Cause::required(config.clone(), detail));
        }
        if let Some(url) = url.and_then(Value::as_str)
            && !url.starts_with("https://")
        {
            let detail =
                "'https' is the only allowed URL scheme; desired format: https://host[/path]";
            causes.push(Cause::invalid(format!("{config}.url"), &url.into(), detail));
        }
        let effects = hook.get("sideEffects");
        match effects.and_then(Value::as_str) {
            Some("None" | "NoneOnDryRun") => {}
            Some(other) => causes.push(Cause::unsupported(
                format!("{at}.sideEffects"),
                &other.into(),
                &["None", "NoneOnDryRun"],
            )),
            None => {
                let detail = "must specify one of None, NoneOnDryRun";
                causes.push(Cause::required(format!("{at}.sideEffects"), detail));
            }
        }
        let versions: Vec<&str> = list(hook, "/admissionReviewVersions")
            .filter_map(Value::as_str)
            .collect();
        let field = format!("{at}.admissionReviewVersions");
        if versions.is_empty() {
            let detail = "must specify one of v1, v1beta1";
            causes.push(Cause::required(field, detail));
        } else if !versions
            .iter()
            .any(|version| matches!(*version, "v1" | "v1beta1"))
        {
            let detail = "must include at least one of v1, v1beta1";
            causes.push(Cause::invalid(field, &json!(versions), detail));
        }
        let timeout = hook.get("timeoutSeconds").and_then(Value::as_i64);
        if let Some(seconds) = timeout.filter(|seconds| !(1..=30).contains(seconds)) {
            let detail = "the timeout value must be between 1 and 30 seconds";
            causes.push(Cause::invalid(
                format!("{at}.timeoutSeconds"),
                &seconds.into(),
                detail,
            ));
        }
        let path = format!("{at}.matchConditions");
        conditions(hook, "/matchConditions", &path, &scope, causes);
    }
}
