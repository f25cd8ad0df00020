//! ValidatingAdmissionPolicies: evaluated for every binding that takes a request.

use std::sync::Arc;

use serde_json::Value;

use super::matching::takes;
use super::{Request, list, review, text};
use crate::embedded::access::rbac::Attempt;
use crate::embedded::api::selector::LabelSelector;
use crate::embedded::api::status::Status;
use crate::embedded::cel::schema::plain;
use crate::embedded::cel::{self, Authorize, Key, Map, Program, Stop, Type, Val};
use crate::embedded::reach::Reach as _;

/// What all expressions of one policy may cost together.
const BUDGET: u64 = 10_000_000;

/// A policy with its bindings, ready to be asked.
pub(super) struct Policy {
    name: String,
    spec: Value,
    fails_closed: bool,
    conditions: Vec<Program>,
    variables: Vec<(Arc<str>, Program)>,
    validations: Vec<Validation>,
    bindings: Vec<Value>,
}

struct Validation {
    program: Program,
    text: String,
    message: String,
    expression: Option<Program>,
    reason: String,
}

/// What expressions of a policy may name, and the types of its variables so far.
pub(super) fn declared(
    params: bool,
    variables: Option<&[(Arc<str>, Type)]>,
) -> Vec<(Arc<str>, Type)> {
    let mut all: Vec<(Arc<str>, Type)> = vec![
        (Arc::from("object"), Type::Dyn),
        (Arc::from("oldObject"), Type::Dyn),
        (Arc::from("request"), review::request_type()),
        (Arc::from("namespaceObject"), Type::Dyn),
        (
            Arc::from("authorizer"),
            Type::Opaque("kubernetes.authorization.Authorizer"),
        ),
        (
            Arc::from("authorizer.requestResource"),
            Type::Opaque("kubernetes.authorization.ResourceCheck"),
        ),
    ];
    if params {
        all.push((Arc::from("params"), Type::Dyn));
    }
    if let Some(variables) = variables {
        let fields = Type::Fields(Arc::new(variables.to_vec()));
        all.push((Arc::from("variables"), fields));
    }
    all
}

impl Policy {
    /// Reads a policy and the bindings that name it; one that makes no sense was refused when it was written.
    pub(super) fn read(value: &Value, bindings: &[Arc<Value>]) -> Option<Self> {
        let name = text(value, "/metadata/name").to_owned();
        let bindings: Vec<Value> = bindings
            .iter()
            .filter(|binding| text(binding, "/spec/policyName") == name)
            .map(|binding| (**binding).clone())
            .collect();
        if bindings.is_empty() {
            return None;
        }
        let params = value.reach("/spec/paramKind").is_some_and(Value::is_object);
        let simple = declared(params, None);
        let condition = |each: &Value| cel::compile(text(each, "/expression"), &simple).ok();
        let mut types = Vec::new();
        let mut variables = Vec::new();
        for variable in list(value, "/spec/variables") {
            let name: Arc<str> = text(variable, "/name").into();
            let scope = declared(params, Some(&types));
            let program = cel::compile(text(variable, "/expression"), &scope).ok()?;
            types.push((Arc::clone(&name), program.result().clone()));
            variables.push((name, program));
        }
        let scope = declared(params, (!types.is_empty()).then_some(types.as_slice()));
        let mut validations = Vec::new();
        for each in list(value, "/spec/validations") {
            let message = text(each, "/messageExpression");
            validations.push(Validation {
                program: cel::compile(text(each, "/expression"), &scope).ok()?,
                text: text(each, "/expression").trim().to_owned(),
                message: text(each, "/message").trim().to_owned(),
                expression: match message {
                    "" => None,
                    source => cel::compile(source, &scope).ok(),
                },
                reason: text(each, "/reason").to_owned(),
            });
        }
        Some(Self {
            name,
            fails_closed: text(value, "/spec/failurePolicy") != "Ignore",
            conditions: list(value, "/spec/matchConditions")
                .filter_map(condition)
                .collect(),
            spec: value.get("spec")?.clone(),
            variables,
            validations,
            bindings,
        })
    }

    fn param_kind(&self) -> Option<(&str, &str)> {
        let kind = self.spec.get("paramKind").filter(|kind| kind.is_object())?;
        Some((text(kind, "/apiVersion"), text(kind, "/kind")))
    }
}

/// A refusal and what made it.
struct Refusal {
    message: String,
    reason: String,
}

impl Refusal {
    fn of(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            reason: String::new(),
        }
    }
}

/// Asks all policies about a request.
pub(super) fn ask(
    policies: &[Policy],
    request: &Request<'_>,
    before: Option<&Value>,
    value: Option<&Value>,
    warnings: &mut Vec<String>,
) -> Result<(), Status> {
    let mut denial: Option<Status> = None;
    for policy in policies {
        let constraints = policy.spec.get("matchConstraints").unwrap_or(&Value::Null);
        if list(constraints, "/resourceRules").next().is_none()
            || !takes(constraints, "/resourceRules", request, before, value)
        {
            continue;
        }
        for binding in &policy.bindings {
            let resources = binding.reach("/spec/matchResources");
            let none = Value::Null;
            let resources = resources.unwrap_or(&none);
            if !takes(resources, "/resourceRules", request, before, value) {
                continue;
            }
            let scope = scope_of(request, before, value);
            for refusal in judge(policy, binding, request, &scope) {
                let own = text(binding, "/metadata/name");
                let has = |action: &str| {
                    list(binding, "/spec/validationActions").any(|each| each == action)
                };
                if has("Warn") {
                    warnings.push(format!(
                        "Validation failed for ValidatingAdmissionPolicy '{}' with binding '{own}': {}",
                        policy.name, refusal.message
                    ));
                }
                if has("Deny") && denial.is_none() {
                    let message = format!(
                        "ValidatingAdmissionPolicy '{}' with binding '{own}' denied request: {}",
                        policy.name, refusal.message
                    );
                    denial = Some(Status::denied(
                        request.kind,
                        request.name,
                        &message,
                        &refusal.reason,
                    ));
                }
            }
        }
    }
    match denial {
        Some(status) => Err(status.warn(std::mem::take(warnings))),
        None => Ok(()),
    }
}

/// What expressions may look at.
fn scope_of(
    request: &Request<'_>,
    before: Option<&Value>,
    value: Option<&Value>,
) -> Vec<(Arc<str>, Val)> {
    let (server, kind, user) = (request.server, request.kind, &request.options.user);
    let namespace = server
        .kind("", "namespaces")
        .filter(|_| kind.namespaced)
        .and_then(|kind| server.get(&kind, "", request.namespace));
    let attempt = Attempt {
        group: kind.group.clone(),
        resource: kind.plural.clone(),
        subresource: request.part.to_owned(),
        namespace: request.namespace.to_owned(),
        name: request.name.to_owned(),
        ..Attempt::default()
    };
    let of = |value: Option<&Value>| value.map_or(Val::Null, plain);
    vec![
        (Arc::from("object"), of(value)),
        (Arc::from("oldObject"), of(before)),
        (Arc::from("request"), plain(&review::request_of(request))),
        (
            Arc::from("namespaceObject"),
            namespace.map_or(Val::Null, |namespace| plain(&namespace.value())),
        ),
        (
            Arc::from("authorizer"),
            Val::Authorize(Arc::new(Authorize::new(server, user))),
        ),
        (
            Arc::from("authorizer.requestResource"),
            Val::Authorize(Arc::new(Authorize::about(server, user, attempt))),
        ),
    ]
}

/// All that a policy finds wrong, for one binding.
fn judge(
    policy: &Policy,
    binding: &Value,
    request: &Request<'_>,
    scope: &[(Arc<str>, Val)],
) -> Vec<Refusal> {
    let params = match policy.param_kind() {
        None => vec![None],
        Some((api_version, kind)) => match params(binding, request, api_version, kind) {
            Ok(params) => params.into_iter().map(Some).collect(),
            Err(why) if policy.fails_closed => {
                return vec![Refusal::of(format!("failed to configure binding: {why}"))];
            }
            Err(_) => return Vec::new(),
        },
    };
    let mut refusals = Vec::new();
    for param in params {
        let mut scope = scope.to_vec();
        scope.extend(param.map(|param| (Arc::from("params"), param)));
        refusals.extend(judge_once(policy, scope));
    }
    refusals
}

fn judge_once(policy: &Policy, mut scope: Vec<(Arc<str>, Val)>) -> Vec<Refusal> {
    let mut budget = BUDGET;
    for condition in &policy.conditions {
        match condition.run(scope.clone(), &mut budget) {
            Ok(Val::Bool(true)) => {}
            Ok(_) => return Vec::new(),
            Err(_) if !policy.fails_closed => return Vec::new(),
            Err(stop) => return vec![Refusal::of(why(stop))],
        }
    }
    let mut variables = Map::new();
    for (name, program) in &policy.variables {
        let mut scope = scope.clone();
        scope.push((Arc::from("variables"), Val::from(variables.clone())));
        let value = match program.run(scope, &mut budget) {
            Ok(value) => value,
            Err(stop) => {
                let failed = format!(
                    "composited variable \"{name}\" fails to evaluate: {}",
                    why(stop)
                );
                Val::Failed(failed.into())
            }
        };
        variables.insert(Key::Str(Arc::clone(name)), value);
    }
    scope.push((Arc::from("variables"), Val::from(variables)));
    let mut refusals = Vec::new();
    for validation in &policy.validations {
        match validation.program.run(scope.clone(), &mut budget) {
            Ok(Val::Bool(true)) => {}
            Ok(_) => {
                let said = validation
                    .expression
                    .as_ref()
                    .and_then(|expression| expression.run(scope.clone(), &mut budget).ok());
                let message = match said {
                    Some(Val::Str(said)) if !said.trim().is_empty() && !said.contains('\n') => {
                        said.trim().to_owned()
                    }
                    _ if validation.message.is_empty() => {
                        format!("failed expression: {}", validation.text)
                    }
                    _ => validation.message.clone(),
                };
                refusals.push(Refusal {
                    message,
                    reason: validation.reason.clone(),
                });
            }
            Err(_) if !policy.fails_closed => {}
            Err(stop) => {
                let message = format!(
                    "expression '{}' resulted in error: {}",
                    validation.text,
                    why(stop)
                );
                refusals.push(Refusal {
                    message,
                    reason: validation.reason.clone(),
                });
            }
        }
    }
    refusals
}

fn why(stop: Stop) -> String {
    match stop {
        Stop::Failed(why) => why,
        Stop::Spent => "validation failed due to running out of cost budget, no further validation rules will be run".to_owned(),
    }
}

/// The objects that a binding gives its policy.
fn params(
    binding: &Value,
    request: &Request<'_>,
    api_version: &str,
    kind: &str,
) -> Result<Vec<Val>, String> {
    let reference = binding.reach("/spec/paramRef").filter(|r| r.is_object());
    let Some(reference) = reference else {
        return Ok(vec![Val::Null]);
    };
    let server = request.server;
    let Some(kind) = server.registry().of_object(api_version, kind) else {
        return Err(format!(
            "failed to find resource referenced by paramKind: '{api_version}, Kind={kind}'"
        ));
    };
    let namespace = match text(reference, "/namespace") {
        _ if !kind.namespaced => "",
        "" if request.kind.namespaced => request.namespace,
        "" => {
            return Err(
                "cannot use namespaced paramRef in policy binding that matches cluster-scoped resources"
                    .to_owned(),
            );
        }
        own => own,
    };
    let found: Vec<Val> = match (text(reference, "/name"), reference.get("selector")) {
        ("", Some(selector)) => {
            let selector = LabelSelector::from_json(selector);
            let all = server.list(&kind, namespace).objects;
            let all = all.iter().filter(|object| selector.matches_object(object));
            all.map(|object| plain(&object.value())).collect()
        }
        (name, _) => {
            let found = server.get(&kind, namespace, name);
            found.iter().map(|object| plain(&object.value())).collect()
        }
    };
    if found.is_empty() && text(reference, "/parameterNotFoundAction") == "Deny" {
        return Err(
            "no params found for policy binding with `Deny` parameterNotFoundAction".to_owned(),
        );
    }
    Ok(found)
}
