//! Admission: what a cluster's owner lets others say no to, or change, between a request and the store.
//!
//! | part | what it does |
//! |---|---|
//! | `matching` | which requests a policy or a hook is about |
//! | `policy`, `policy_check` | ValidatingAdmissionPolicies: evaluating them, and whether they make sense |
//! | `hooks`, `caller` | webhooks: in which order and with which outcome, and the call itself |
//! | `escalation` | nobody gives rights that he does not have |
//! | `limits`, `quota`, `security` | LimitRanges, ResourceQuotas, Pod Security labels |
//! | `review` | what a request looks like to hooks and expressions |
//!
//! What is configured is kept ready in [`Admission`], so that clusters that configure nothing pay nothing. To add a part: a
//! file, and a line in [`mutate`] or [`validate`].

mod caller;
pub(super) mod conversion;
mod escalation;
mod hooks;
pub(super) mod limits;
mod matching;
mod policy;
mod policy_check;
pub(super) mod quota;
mod review;
mod security;

pub(super) use policy_check::{check, complete};

use std::sync::{Arc, PoisonError, RwLock};

use serde_json::Value;

use super::api::registry::Kind;
use super::api::status::Status;
use super::server::Server;
use super::write::Options;
use crate::embedded::reach::Reach as _;

/// The group whose objects configure admission; they are never subject to it themselves.
pub(super) const GROUP: &str = "admissionregistration.k8s.io";

/// What a request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Create,
    Update,
    Delete,
}

impl Operation {
    fn name(self) -> &'static str {
        match self {
            Self::Create => "CREATE",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
        }
    }
}

/// A request on its way to the store.
pub(super) struct Request<'a> {
    pub(super) server: &'a Server,
    pub(super) kind: &'a Kind,
    pub(super) namespace: &'a str,
    pub(super) name: &'a str,
    /// Such as `status`; empty for the object itself.
    pub(super) part: &'a str,
    pub(super) operation: Operation,
    pub(super) options: &'a Options,
}

/// What is configured, ready to be used.
#[derive(Default)]
pub(super) struct Admission(RwLock<Arc<Loaded>>);

#[derive(Default)]
struct Loaded {
    policies: Vec<policy::Policy>,
    mutating: Vec<hooks::Hook>,
    validating: Vec<hooks::Hook>,
}

impl Admission {
    /// Reads again what is configured.
    pub(super) fn reload(&self, server: &Server) {
        let all = |plural: &str| -> Vec<Arc<Value>> {
            let Some(kind) = server.kind(GROUP, plural) else {
                return Vec::new();
            };
            let objects = server.list(&kind, "").objects;
            objects.iter().map(|object| object.value()).collect()
        };
        let bindings = all("validatingadmissionpolicybindings");
        let policies = all("validatingadmissionpolicies");
        let hooks = |plural: &str| {
            let all = all(plural);
            all.iter().flat_map(|config| hooks::read(config)).collect()
        };
        let loaded = Loaded {
            policies: policies
                .iter()
                .filter_map(|value| policy::Policy::read(value, &bindings))
                .collect(),
            mutating: hooks("mutatingwebhookconfigurations"),
            validating: hooks("validatingwebhookconfigurations"),
        };
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(loaded);
    }

    fn loaded(&self) -> Arc<Loaded> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Lets hooks change an object; says whether they did.
pub(super) async fn mutate(
    request: &Request<'_>,
    before: Option<&Value>,
    value: &mut Value,
    warnings: &mut Vec<String>,
) -> Result<bool, Status> {
    if request.kind.group == GROUP {
        return Ok(false);
    }
    let loaded = request.server.admission().loaded();
    if loaded.mutating.is_empty() {
        return Ok(false);
    }
    hooks::mutate(&loaded.mutating, request, before, value, warnings).await
}

/// Asks all that may refuse: limits, pod security, policies, hooks, and quotas at last.
pub(super) async fn validate(
    request: &Request<'_>,
    before: Option<&Value>,
    value: Option<&Value>,
    warnings: &mut Vec<String>,
) -> Result<(), Status> {
    let (server, kind) = (request.server, request.kind);
    if let Some(value) = value {
        escalation::check(request, before, value)?;
    }
    if kind.group == GROUP {
        return Ok(());
    }
    if let Some(value) = value.filter(|_| kind.namespaced && request.part.is_empty()) {
        if before.is_none() {
            limits::check(server, kind, request.namespace, request.name, value)?;
        }
        security::check(request, before, value, warnings)?;
    }
    if let Some(value) = value.filter(|_| kind.bucket() == "namespaces") {
        security::look_again(server, before, value, warnings);
    }
    let loaded = server.admission().loaded();
    if !loaded.policies.is_empty() {
        policy::ask(&loaded.policies, request, before, value, warnings)?;
    }
    if !loaded.validating.is_empty() {
        hooks::validate(&loaded.validating, request, before, value, warnings).await?;
    }
    if let Some(value) = value.filter(|_| matches!(request.part, "" | "resize")) {
        let (namespace, name) = (request.namespace, request.name);
        quota::check(server, kind, namespace, name, before, value)?;
    }
    Ok(())
}

fn text<'a>(value: &'a Value, at: &str) -> &'a str {
    value.reach(at).and_then(Value::as_str).unwrap_or_default()
}

fn list<'a>(value: &'a Value, at: &str) -> impl Iterator<Item = &'a Value> {
    let list = value.reach(at).and_then(Value::as_array);
    list.into_iter().flatten()
}
