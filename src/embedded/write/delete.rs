//! Deleting: at once, after a grace period, or when the last finalizer is gone.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Options, TRIES, meta, miss_to_status};
use crate::embedded::admission::{self, Operation, Request};
use crate::embedded::api::registry::Kind;
use crate::embedded::api::status::Status;
use crate::embedded::reach::Reach as _;
use crate::embedded::server::Server;
use crate::embedded::store::{Expect, Miss, Object};

/// What becomes of the objects that the deleted one owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagation {
    /// They stay and are no longer owned.
    Orphan,
    /// They go afterwards.
    Background,
    /// They go first.
    Foreground,
}

/// How to delete.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deletion {
    /// How long the object may take to end; its own wish if unset.
    pub grace: Option<u64>,
    /// What becomes of what it owns; the kind's habit if unset.
    pub propagation: Option<Propagation>,
    /// Only if it has this uid.
    pub uid: Option<String>,
    /// Only if it has this revision.
    pub revision: Option<String>,
}

impl Deletion {
    /// Deletes without waiting for the object to end by itself.
    pub fn now() -> Self {
        Self {
            grace: Some(0),
            ..Self::default()
        }
    }

    /// Deletes an object with the fate of what it owns.
    pub fn with(propagation: Propagation) -> Self {
        Self {
            propagation: Some(propagation),
            ..Self::default()
        }
    }
}

/// What a deletion led to.
pub enum Removed {
    /// It is gone; this is how it looked in the end.
    Gone(Arc<Object>),
    /// It is marked and will go.
    Going(Arc<Object>),
}

/// Deletes an object, or begins to.
pub async fn delete(
    server: &Server,
    kind: &Kind,
    namespace: &str,
    name: &str,
    deletion: &Deletion,
    options: &Options,
) -> Result<Removed, Status> {
    let key = kind.key(namespace, name);
    for _ in 0..TRIES {
        let Some(current) = server.store().get(kind.bucket(), &key) else {
            return Err(Status::not_found(kind, name));
        };
        let before = current.value();
        check_preconditions(kind, name, deletion, &before)?;
        let request = Request {
            server,
            kind,
            namespace,
            name,
            part: "",
            operation: Operation::Delete,
            options,
        };
        let mut warnings = Vec::new();
        admission::validate(&request, Some(&before), None, &mut warnings).await?;
        if kind.bucket() == "namespaces"
            && matches!(name, "default" | "kube-system" | "kube-public")
        {
            let why = "this namespace may not be deleted";
            return Err(Status::forbidden(kind, name, why));
        }
        let mut value = (*before).clone();
        let grace = grace_of(kind, deletion, &value);
        set_propagation_finalizer(kind, deletion.propagation, &mut value);
        mark(kind, grace, &mut value);
        let gone = is_finished(kind, &value);
        meta_generation(kind, &before, &mut value);
        if options.dry_run {
            let object = Object::unsaved(&key, value);
            return Ok(if gone {
                Removed::Gone(object)
            } else {
                Removed::Going(object)
            });
        }
        if !gone && value == *before {
            return Ok(Removed::Going(current));
        }
        let revision = current.revision();
        let put = match gone {
            true => server.store().delete(kind.bucket(), &key, revision, value),
            false => {
                let expect = Expect::Revision(revision);
                server.store().put(kind.bucket(), &key, expect, value)
            }
        };
        match put {
            Ok(object) if gone => {
                super::rules::after_write(server, kind, &object, true);
                return Ok(Removed::Gone(object));
            }
            Ok(object) => return Ok(Removed::Going(object)),
            Err(Miss::Changed) => {}
            Err(miss) => return Err(miss_to_status(kind, name, miss)),
        }
    }
    Err(Status::modified(kind, name))
}

/// Being marked counts as something asked for.
fn meta_generation(kind: &Kind, before: &Value, value: &mut Value) {
    let was_marked = before.reach("/metadata/deletionTimestamp").is_some();
    if was_marked || !super::rules::counts_generations(kind) {
        return;
    }
    if let Some(metadata) = meta::of(value) {
        let generation = metadata.get("generation").and_then(Value::as_u64);
        metadata.insert(
            "generation".to_owned(),
            (generation.unwrap_or(0) + 1).into(),
        );
    }
}

/// Whether an object that is marked has nothing left to wait for.
pub(super) fn is_finished(kind: &Kind, value: &Value) -> bool {
    let Some(metadata) = value.get("metadata") else {
        return false;
    };
    let empty = |list: Option<&Value>| {
        list.and_then(Value::as_array)
            .is_none_or(std::vec::Vec::is_empty)
    };
    let is_namespace = kind.group.is_empty() && kind.plural == "namespaces";
    metadata
        .get("deletionTimestamp")
        .is_some_and(Value::is_string)
        && metadata
            .get("deletionGracePeriodSeconds")
            .and_then(Value::as_u64)
            .unwrap_or(0)
            == 0
        && empty(metadata.get("finalizers"))
        && (!is_namespace || empty(value.reach("/spec/finalizers")))
}

fn check_preconditions(
    kind: &Kind,
    name: &str,
    deletion: &Deletion,
    before: &Value,
) -> Result<(), Status> {
    for (wanted, field, title, what) in [
        (&deletion.uid, "uid", "UID", "deleted and then recreated"),
        (
            &deletion.revision,
            "resourceVersion",
            "ResourceVersion",
            "modified",
        ),
    ] {
        let Some(wanted) = wanted else { continue };
        let found = before.reach(&format!("/metadata/{field}"));
        let found = found.and_then(Value::as_str).unwrap_or_default();
        if found != wanted {
            let detail = format!(
                "the {title} in the precondition ({wanted}) does not match the {title} in record ({found}). The object might have been {what}"
            );
            // For this conflict alone the kind is named, not the resource.
            let mut named = kind.clone();
            named.plural.clone_from(&kind.kind);
            let mut status = Status::conflict(&named, name, &detail);
            status.message = format!(
                "Operation cannot be fulfilled on {} \"{name}\": {detail}",
                match kind.group.as_str() {
                    "" => kind.kind.clone(),
                    group => format!("{}.{group}", kind.kind),
                }
            );
            return Err(status);
        }
    }
    Ok(())
}

fn grace_of(kind: &Kind, deletion: &Deletion, value: &Value) -> u64 {
    // Only pods take their time.
    if kind.bucket() != "pods" {
        return 0;
    }
    let text = |at: &str| value.reach(at).and_then(Value::as_str).unwrap_or_default();
    let scheduled = !text("/spec/nodeName").is_empty();
    let ended = matches!(text("/status/phase"), "Succeeded" | "Failed");
    if !scheduled || ended {
        return 0;
    }
    let own = value.reach("/spec/terminationGracePeriodSeconds");
    deletion
        .grace
        .or_else(|| own.and_then(Value::as_u64))
        .unwrap_or(30)
}

fn set_propagation_finalizer(kind: &Kind, propagation: Option<Propagation>, value: &mut Value) {
    let habit = match (kind.group.as_str(), kind.plural.as_str()) {
        ("batch", "jobs") | ("", "replicationcontrollers") => Propagation::Orphan,
        _ => Propagation::Background,
    };
    let wanted = match propagation.unwrap_or(habit) {
        Propagation::Orphan => Some("orphan"),
        Propagation::Foreground => Some("foregroundDeletion"),
        Propagation::Background => None,
    };
    let Some(metadata) = meta::of(value) else {
        return;
    };
    let had = metadata.get("finalizers").and_then(Value::as_array);
    let mut list = had.cloned().unwrap_or_default();
    if propagation.is_none()
        && list
            .iter()
            .any(|f| f == "orphan" || f == "foregroundDeletion")
    {
        return;
    }
    list.retain(|f| f != "orphan" && f != "foregroundDeletion");
    list.extend(wanted.map(Value::from));
    if list.is_empty() {
        metadata.shift_remove("finalizers");
    } else {
        metadata.insert("finalizers".to_owned(), list.into());
    }
}

/// Marks an object as going; a second time only makes the time shorter.
fn mark(kind: &Kind, grace: u64, value: &mut Value) {
    let Some(metadata) = meta::of(value) else {
        return;
    };
    let had = metadata
        .get("deletionGracePeriodSeconds")
        .and_then(Value::as_u64);
    let marked = metadata.get("deletionTimestamp").is_some();
    if marked && had.is_some_and(|had| had <= grace) {
        return;
    }
    let seconds = i64::try_from(grace).unwrap_or(i64::MAX / 2);
    let now = jiff::Timestamp::now();
    let at = now
        .checked_add(jiff::SignedDuration::from_secs(seconds))
        .unwrap_or(now);
    metadata.insert("deletionTimestamp".to_owned(), meta::time(at).into());
    if kind.bucket() != "namespaces" {
        metadata.insert("deletionGracePeriodSeconds".to_owned(), grace.into());
    }
    if kind.group.is_empty() && kind.plural == "namespaces" {
        json_patch::merge(value, &json!({"status": {"phase": "Terminating"}}));
    }
}
