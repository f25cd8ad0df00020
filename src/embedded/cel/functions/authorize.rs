//! Asking from an expression whether somebody may do something.

use std::fmt;
use std::sync::Arc;

use super::Answer;
use crate::embedded::access::User;
use crate::embedded::access::rbac::{self, Attempt};
use crate::embedded::cel::eval::Stop;
use crate::embedded::cel::value::Val;
use crate::embedded::server::Server;

/// A question that is being put together, or its answer.
#[derive(Clone)]
pub(in crate::embedded) struct Authorize {
    server: Server,
    user: User,
    attempt: Attempt,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Start,
    Path,
    Group,
    Resource,
    Decided(bool),
}

impl fmt::Debug for Authorize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authorize")
            .field("user", &self.user.name)
            .field("attempt", &self.attempt)
            .field("stage", &self.stage)
            .finish_non_exhaustive()
    }
}

impl Authorize {
    /// The beginning of every question about a user.
    pub(in crate::embedded) fn new(server: &Server, user: &User) -> Self {
        Self {
            server: server.clone(),
            user: user.clone(),
            attempt: Attempt::default(),
            stage: Stage::Start,
        }
    }

    /// A question about what a request is about, ready to be asked with a verb.
    pub(in crate::embedded) fn about(server: &Server, user: &User, attempt: Attempt) -> Self {
        Self {
            attempt,
            stage: Stage::Resource,
            ..Self::new(server, user)
        }
    }

    pub(in crate::embedded::cel) fn type_name(&self) -> &'static str {
        match self.stage {
            Stage::Start => "kubernetes.authorization.Authorizer",
            Stage::Path => "kubernetes.authorization.PathCheck",
            Stage::Group => "kubernetes.authorization.GroupCheck",
            Stage::Resource => "kubernetes.authorization.ResourceCheck",
            Stage::Decided(_) => "kubernetes.authorization.Decision",
        }
    }
}

pub(super) fn call(name: &str, args: &[Val]) -> Answer {
    let [Val::Authorize(own), rest @ ..] = args else {
        return None;
    };
    let mut next = (**own).clone();
    match (name, rest, own.stage) {
        ("path", [Val::Str(path)], Stage::Start) => {
            if path.is_empty() {
                return Some(Stop::failed("path must not be empty"));
            }
            next.attempt.path = path.to_string();
            next.stage = Stage::Path;
        }
        ("group", [Val::Str(group)], Stage::Start) => {
            next.attempt.group = group.to_string();
            next.stage = Stage::Group;
        }
        ("serviceAccount", [Val::Str(namespace), Val::Str(account)], Stage::Start) => {
            next.user = crate::embedded::access::token::service_account(namespace, account);
        }
        ("resource", [Val::Str(resource)], Stage::Group) => {
            next.attempt.resource = resource.to_string();
            next.stage = Stage::Resource;
        }
        ("subresource", [Val::Str(part)], Stage::Resource) => {
            next.attempt.subresource = part.to_string();
        }
        ("namespace", [Val::Str(namespace)], Stage::Resource) => {
            next.attempt.namespace = namespace.to_string();
        }
        ("name", [Val::Str(name)], Stage::Resource) => next.attempt.name = name.to_string(),
        ("fieldSelector" | "labelSelector", [Val::Str(_)], Stage::Resource) => {}
        ("check", [Val::Str(verb)], Stage::Path | Stage::Resource) => {
            next.attempt.verb = verb.to_string();
            next.stage = Stage::Decided(rbac::may(&next.server, &next.user, &next.attempt));
        }
        ("allowed", [], Stage::Decided(allowed)) => return Some(Ok(Val::Bool(allowed))),
        ("errored", [], Stage::Decided(_)) => return Some(Ok(Val::Bool(false))),
        ("error" | "reason", [], Stage::Decided(_)) => return Some(Ok(Val::from(""))),
        _ => return None,
    }
    Some(Ok(Val::Authorize(Arc::new(next))))
}
