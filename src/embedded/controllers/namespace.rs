//! Namespaces that end: first everything in them, then they themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::embedded::api::registry::Kind;
use crate::embedded::api::status::Status;
use crate::embedded::reach::Reach as _;
use crate::embedded::server::Server;
use crate::embedded::store::{ChangeKind, Object};
use crate::embedded::write::{Deletion, Options, Part, Propagation, now};

const NAME: &str = "namespace-controller";
/// How long to leave alone what could not be removed.
const PATIENCE: Duration = Duration::from_millis(100);

/// Follows namespaces, and what is in those that end, for as long as the task lives.
pub(super) async fn run(server: Server) {
    let Some(kind) = server.kind("", "namespaces") else {
        return;
    };
    let store = server.store();
    let mut wake = store.any_change();
    let mut seen = store.revision();
    let going = |object: &Object| object.is_going().then(|| object.name().to_owned());
    let listed = server.list(&kind, "").objects;
    let mut ending: BTreeSet<String> = listed.iter().filter_map(|object| going(object)).collect();
    let mut due = ending.clone();
    loop {
        let mut failed = false;
        for name in std::mem::take(&mut due) {
            if end(&server, &kind, &name).await.is_err() {
                failed = true;
                due.insert(name);
            }
        }
        wake.borrow_and_update();
        let (happened, upto) = store.changes_everywhere(seen);
        for (bucket, changes) in happened {
            for change in changes {
                let object = &change.object;
                if &*bucket == kind.bucket() {
                    if change.kind == ChangeKind::Deleted {
                        ending.remove(object.name());
                    } else if let Some(name) = going(object)
                        && ending.insert(name.clone())
                    {
                        due.insert(name);
                    }
                } else if change.kind != ChangeKind::Modified && ending.contains(object.namespace())
                {
                    // One thing less in it, or one that came in the last moment.
                    due.insert(object.namespace().to_owned());
                }
            }
        }
        seen = upto;
        if failed {
            let _ = tokio::time::timeout(PATIENCE, wake.changed()).await;
        } else if due.is_empty() && wake.changed().await.is_err() {
            return;
        }
    }
}

/// What is still in a namespace.
#[derive(Default)]
struct Left {
    objects: usize,
    by_kind: BTreeMap<String, usize>,
    by_finalizer: BTreeMap<String, usize>,
}

impl Left {
    fn count(&mut self, kind: &Kind, objects: &[Arc<Object>]) {
        if objects.is_empty() {
            return;
        }
        self.objects += objects.len();
        let group = match kind.group.as_str() {
            "" => String::new(),
            group => format!(".{group}"),
        };
        self.by_kind
            .insert(format!("{}{group}", kind.plural), objects.len());
        for object in objects {
            let value = object.value();
            let list = value.reach("/metadata/finalizers");
            let names = list.and_then(Value::as_array).into_iter().flatten();
            for name in names.filter_map(Value::as_str) {
                *self.by_finalizer.entry(name.to_owned()).or_default() += 1;
            }
        }
    }

    /// Says in the namespace's conditions what it waits for.
    async fn tell(&self, server: &Server, kind: &Kind, namespace: &str) -> Result<(), Status> {
        let list = |what: &BTreeMap<String, usize>, noun: &str| {
            let each = what.iter();
            let each =
                each.map(|(name, count)| format!("{name} {noun} {count} resource instances"));
            each.collect::<Vec<_>>().join(", ")
        };
        let condition = |name: &str, is: bool, reason: (&str, &str), message: (String, &str)| {
            let (reason, message) = match is {
                true => (reason.0, message.0),
                false => (reason.1, message.1.to_owned()),
            };
            json!({
                "type": name, "status": if is { "True" } else { "False" }, "reason": reason, "message": message,
                "lastTransitionTime": now(),
            })
        };
        let pods_first = self.by_kind.contains_key("pods");
        let conditions = [
            condition(
                "NamespaceDeletionDiscoveryFailure",
                false,
                ("DiscoveryFailed", "ResourcesDiscovered"),
                (String::new(), "All resources successfully discovered"),
            ),
            condition(
                "NamespaceDeletionGroupVersionParsingFailure",
                false,
                ("GroupVersionParsingFailed", "ParsedGroupVersions"),
                (String::new(), "All legacy kube types successfully parsed"),
            ),
            condition(
                "NamespaceDeletionContentFailure",
                pods_first && !self.by_finalizer.is_empty(),
                ("ContentDeletionFailed", "ContentDeleted"),
                (
                    format!(
                        "Failed to delete all resource types, 1 remaining: unexpected items still remain in namespace: {namespace} for gvr: /v1, Resource=pods"
                    ),
                    "All content successfully deleted, may be waiting on finalization",
                ),
            ),
            condition(
                "NamespaceContentRemaining",
                true,
                ("SomeResourcesRemain", "ContentRemoved"),
                (
                    format!(
                        "Some resources are remaining: {}",
                        list(&self.by_kind, "has")
                    ),
                    "All content successfully removed",
                ),
            ),
            condition(
                "NamespaceFinalizersRemaining",
                !self.by_finalizer.is_empty(),
                ("SomeFinalizersRemain", "ContentHasNoFinalizers"),
                (
                    format!(
                        "Some content in the namespace has finalizers remaining: {}",
                        list(&self.by_finalizer, "in")
                    ),
                    "All content-preserving finalizers finished",
                ),
            ),
        ];
        let edit = |value: &mut Value| {
            let Some(status) = value.get_mut("status").and_then(Value::as_object_mut) else {
                return;
            };
            let list = status.entry("conditions").or_insert_with(|| json!([]));
            let Some(list) = list.as_array_mut() else {
                return;
            };
            for new in &conditions {
                let same = |old: &&mut Value| old.get("type") == new.get("type");
                match list.iter_mut().find(same) {
                    Some(old) if old.get("message") == new.get("message") => {}
                    Some(old) => old.clone_from(new),
                    None => list.push(new.clone()),
                }
            }
        };
        let options = Options::controller(NAME);
        server
            .modify(kind, "", namespace, Part::Status, &options, &edit)
            .await?;
        Ok(())
    }
}

/// Removes what is in a namespace; when nothing is left, lets the namespace go.
async fn end(server: &Server, kind: &Kind, namespace: &str) -> Result<(), Status> {
    let there = server.get(kind, "", namespace);
    if there.is_none_or(|object| !object.is_going()) {
        return Ok(());
    }
    let options = Options::controller(NAME);
    let deletion = Deletion::with(Propagation::Background);
    let mut problem = None;
    let mut left = Left::default();
    let mut kinds = server.registry().all();
    kinds.retain(|each| {
        each.namespaced && each.version == each.storage_version && each.allows("delete")
    });
    // Nothing that a pod may need goes before the last of them.
    kinds.sort_by_key(|each| each.bucket() != "pods");
    for each in kinds {
        for inner in server.list(&each, namespace).objects {
            if !inner.is_going() {
                let done = server
                    .delete(&each, namespace, inner.name(), &deletion, &options)
                    .await;
                problem = done.err().filter(|status| status.code != 404).or(problem);
            }
        }
        left.count(&each, &server.list(&each, namespace).objects);
        if each.bucket() == "pods" && left.objects > 0 {
            break;
        }
    }
    if let Some(problem) = problem {
        return Err(problem);
    }
    if left.objects > 0 {
        left.tell(server, kind, namespace).await?;
        // Pods take their grace, finalizers what they take; the end of each brings it back here.
        return Ok(());
    }
    let edit = |value: &mut Value| json_patch::merge(value, &json!({"spec": {"finalizers": null}}));
    server
        .modify(kind, "", namespace, Part::Other, &options, &edit)
        .await?;
    Ok(())
}
