//! Webhooks: which of them a request goes to, in which order, and what becomes of it.

use base64::Engine as _;
use serde_json::{Value, json};

use super::caller::Caller;
use super::matching::takes;
use super::{Request, list, policy, review, text};
use crate::embedded::access::rbac::Attempt;
use crate::embedded::api::status::Status;
use crate::embedded::cel::schema::plain;
use crate::embedded::cel::{self, Authorize, Program, Val};

/// One webhook of a configuration.
pub(super) struct Hook {
    name: String,
    value: Value,
    fails_closed: bool,
    again: bool,
    dry_run: bool,
    conditions: Vec<Program>,
    caller: Caller,
}

/// Reads the webhooks of a configuration.
pub(super) fn read(config: &Value) -> Vec<Hook> {
    let scope = policy::declared(false, None);
    let hook = |value: &Value| Hook {
        name: text(value, "/name").to_owned(),
        fails_closed: text(value, "/failurePolicy") != "Ignore",
        again: text(value, "/reinvocationPolicy") == "IfNeeded",
        dry_run: matches!(text(value, "/sideEffects"), "None" | "NoneOnDryRun"),
        conditions: list(value, "/matchConditions")
            .filter_map(|each| cel::compile(text(each, "/expression"), &scope).ok())
            .collect(),
        caller: Caller::new(value),
        value: value.clone(),
    };
    list(config, "/webhooks").map(hook).collect()
}

/// What a webhook said.
struct Said {
    patch: Option<Value>,
    warnings: Vec<String>,
}

impl Hook {
    /// Whether a request goes to this webhook.
    fn wants(
        &self,
        request: &Request<'_>,
        before: Option<&Value>,
        value: Option<&Value>,
    ) -> Result<bool, Status> {
        if !takes(&self.value, "/rules", request, before, value) {
            return Ok(false);
        }
        if self.conditions.is_empty() {
            return Ok(true);
        }
        let of = |value: Option<&Value>| value.map_or(Val::Null, plain);
        let (server, user) = (request.server, &request.options.user);
        let attempt = Attempt {
            group: request.kind.group.clone(),
            resource: request.kind.plural.clone(),
            subresource: request.part.to_owned(),
            namespace: request.namespace.to_owned(),
            name: request.name.to_owned(),
            ..Attempt::default()
        };
        let scope = vec![
            ("object".into(), of(value)),
            ("oldObject".into(), of(before)),
            ("request".into(), plain(&review::request_of(request))),
            ("namespaceObject".into(), Val::Null),
            (
                "authorizer".into(),
                Val::Authorize(Authorize::new(server, user).into()),
            ),
            (
                "authorizer.requestResource".into(),
                Val::Authorize(Authorize::about(server, user, attempt).into()),
            ),
        ];
        let mut budget = cel::CALL_BUDGET;
        for condition in &self.conditions {
            match condition.run(scope.clone(), &mut budget) {
                Ok(Val::Bool(true)) => {}
                Ok(_) => return Ok(false),
                Err(_) if !self.fails_closed => return Ok(false),
                Err(_) => {
                    let message = format!("a match condition of webhook {:?} failed", self.name);
                    return Err(Status::forbidden(request.kind, request.name, &message));
                }
            }
        }
        Ok(true)
    }

    async fn ask(
        &self,
        request: &Request<'_>,
        before: Option<&Value>,
        value: Option<&Value>,
    ) -> Result<Said, Status> {
        let nothing = || Said {
            patch: None,
            warnings: Vec::new(),
        };
        if request.options.dry_run && !self.dry_run {
            let message = format!("admission webhook {:?} does not support dry run", self.name);
            return Err(Status::bad_request(message));
        }
        let uid = uuid::Uuid::new_v4().to_string();
        let mut asked = review::request_of(request);
        if let Some(asked) = asked.as_object_mut() {
            asked.insert("uid".to_owned(), uid.as_str().into());
            asked.insert("object".to_owned(), value.cloned().unwrap_or_default());
            asked.insert("oldObject".to_owned(), before.cloned().unwrap_or_default());
        }
        let version = list(&self.value, "/admissionReviewVersions")
            .filter_map(Value::as_str)
            .find(|version| matches!(*version, "v1" | "v1beta1"))
            .unwrap_or("v1");
        let body = json!({
            "kind": "AdmissionReview", "apiVersion": format!("admission.k8s.io/{version}"), "request": asked,
        });
        let answer = match self.caller.call(request.server, &body).await {
            Ok(answer) => answer,
            Err(_) if !self.fails_closed => return Ok(nothing()),
            Err(why) => return Err(self.failed(&format!("failed to call webhook: {why}"))),
        };
        let Some(response) = answer.get("response").filter(|r| r.is_object()) else {
            return match self.fails_closed {
                true => Err(self.failed("webhook response was absent")),
                false => Ok(nothing()),
            };
        };
        let found = text(response, "/uid");
        if found != uid {
            let why = format!(
                "received invalid webhook response: expected response.uid={uid:?}, got {found:?}"
            );
            return match self.fails_closed {
                true => Err(self.failed(&why)),
                false => Ok(nothing()),
            };
        }
        let warnings: Vec<String> = list(response, "/warnings")
            .filter_map(|warning| Some(warning.as_str()?.to_owned()))
            .collect();
        if response.get("allowed") != Some(&Value::Bool(true)) {
            return Err(self.denied(response).warn(warnings));
        }
        let patch = match response.get("patch").and_then(Value::as_str) {
            None | Some("") => None,
            Some(encoded) => {
                let decoded = base64::engine::general_purpose::STANDARD.decode(encoded);
                let patch = decoded
                    .ok()
                    .and_then(|bytes| serde_json::from_slice(&bytes).ok());
                match patch {
                    Some(patch) => Some(patch),
                    None => return Err(self.failed("the patch of the response cannot be read")),
                }
            }
        };
        Ok(Said { patch, warnings })
    }

    fn failed(&self, why: &str) -> Status {
        let message = format!(
            "Internal error occurred: failed calling webhook {:?}: {why}",
            self.name
        );
        Status::new(500, "InternalError", message)
            .causes_plain(&[&format!("failed calling webhook {:?}: {why}", self.name)])
    }

    fn denied(&self, response: &Value) -> Status {
        let status = response.get("status").unwrap_or(&Value::Null);
        let by = format!("admission webhook {:?} denied the request", self.name);
        let (message, reason) = (text(status, "/message"), text(status, "/reason"));
        let message = match (message, reason) {
            ("", "") => format!("{by} without explanation"),
            ("", reason) => format!("{by}: {reason}"),
            (message, _) => format!("{by}: {message}"),
        };
        let code = status.get("code").and_then(Value::as_u64).unwrap_or(0);
        let code = u16::try_from(code).unwrap_or(400).clamp(400, 599);
        Status::new(code, Status::reason_of(reason), message)
    }
}

/// Sends an object through all webhooks that may change it; says whether they did.
pub(super) async fn mutate(
    hooks: &[Hook],
    request: &Request<'_>,
    before: Option<&Value>,
    value: &mut Value,
    warnings: &mut Vec<String>,
) -> Result<bool, Status> {
    let mut changed = false;
    // Where each webhook last saw the object, so that those who wish are asked again about what others made of it.
    let mut seen: Vec<Option<Value>> = Vec::new();
    for hook in hooks {
        if !hook.wants(request, before, Some(value))? {
            seen.push(None);
            continue;
        }
        changed |= pass(hook, request, before, value, warnings).await?;
        seen.push(Some(value.clone()));
    }
    for (hook, seen) in hooks.iter().zip(seen) {
        if hook.again && seen.is_some_and(|seen| seen != *value) {
            changed |= pass(hook, request, before, value, warnings).await?;
        }
    }
    Ok(changed)
}

async fn pass(
    hook: &Hook,
    request: &Request<'_>,
    before: Option<&Value>,
    value: &mut Value,
    warnings: &mut Vec<String>,
) -> Result<bool, Status> {
    let said = hook.ask(request, before, Some(value)).await?;
    warnings.extend(said.warnings);
    let Some(patch) = said.patch else {
        return Ok(false);
    };
    let old = value.clone();
    let applied = serde_json::from_value::<json_patch::Patch>(patch)
        .map_err(|why| why.to_string())
        .and_then(|patch| json_patch::patch(value, &patch).map_err(|why| why.to_string()));
    match applied {
        Ok(()) => Ok(old != *value),
        Err(why) => {
            *value = old;
            Err(Status::new(
                500,
                "InternalError",
                format!("Internal error occurred: {why}"),
            ))
        }
    }
}

/// Asks all webhooks that may only refuse, at once.
pub(super) async fn validate(
    hooks: &[Hook],
    request: &Request<'_>,
    before: Option<&Value>,
    value: Option<&Value>,
    warnings: &mut Vec<String>,
) -> Result<(), Status> {
    let mut asked = Vec::new();
    for hook in hooks {
        if hook.wants(request, before, value)? {
            asked.push(hook.ask(request, before, value));
        }
    }
    for said in futures::future::join_all(asked).await {
        warnings.extend(said?.warnings);
    }
    Ok(())
}
