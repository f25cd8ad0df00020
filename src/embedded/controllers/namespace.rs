//! Namespaces that end: first everything in them, then they themselves.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use crate::embedded::api::registry::Kind;
use crate::embedded::api::status::Status;
use crate::embedded::server::Server;
use crate::embedded::store::{ChangeKind, Object};
use crate::embedded::write::{Deletion, Options, Part, Propagation};

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

/// Removes what is in a namespace; when nothing is left, lets the namespace go.
async fn end(server: &Server, kind: &Kind, namespace: &str) -> Result<(), Status> {
    let there = server.get(kind, "", namespace);
    if there.is_none_or(|object| !object.is_going()) {
        return Ok(());
    }
    let options = Options::controller(NAME);
    let deletion = Deletion::with(Propagation::Background);
    let mut problem = None;
    let mut left = 0_usize;
    for each in server.registry().all() {
        if !each.namespaced || each.version != each.storage_version || !each.allows("delete") {
            continue;
        }
        for inner in server.list(&each, namespace).objects {
            if !inner.is_going() {
                let done = server
                    .delete(&each, namespace, inner.name(), &deletion, &options)
                    .await;
                problem = done.err().filter(|status| status.code != 404).or(problem);
            }
        }
        left += server.list(&each, namespace).objects.len();
    }
    if let Some(problem) = problem {
        return Err(problem);
    }
    if left > 0 {
        // Pods take their grace, finalizers what they take; the end of each brings it back here.
        return Ok(());
    }
    let edit = |value: &mut Value| json_patch::merge(value, &json!({"spec": {"finalizers": null}}));
    server
        .modify(kind, "", namespace, Part::Other, &options, &edit)
        .await?;
    Ok(())
}
