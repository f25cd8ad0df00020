//! The garbage collector: what an object owned goes with it, or before it, or is set free.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use serde_json::{Value, json};

use super::owned::{is_going, set_free, text};
use crate::embedded::api::registry::Kind;
use crate::embedded::reach::Reach as _;
use crate::embedded::server::Server;
use crate::embedded::store::{Change, ChangeKind, Object};
use crate::embedded::write::{Deletion, Options, Part, Propagation};

const NAME: &str = "generic-garbage-collector";

/// Where an object is: bucket and key.
type Place = (Arc<str>, String);

#[derive(Default)]
struct Graph {
    /// The uids of the objects there are, by place.
    uids: HashMap<Place, String>,
    /// What an object, by uid, owns.
    owned: HashMap<String, BTreeSet<Place>>,
    /// The owners of an object.
    owners: HashMap<Place, Vec<String>>,
}

/// Follows everything that is written, for as long as the task lives.
pub(super) async fn run(server: Server) {
    let mut wake = server.store().any_change();
    let mut graph = Graph::default();
    let mut seen = server.store().revision();
    let mut due = Due::new();
    for (bucket, _) in server.store().counts() {
        for object in server.store().list(&bucket, "").objects {
            graph.take(&bucket, ChangeKind::Added, &object, &mut due);
        }
    }
    loop {
        work(&server, &mut graph, std::mem::take(&mut due)).await;
        wake.borrow_and_update();
        let (changes, upto) = server.store().changes_everywhere(seen);
        for (bucket, changes) in changes {
            for Change { kind, object, .. } in changes {
                graph.take(&bucket, kind, &object, &mut due);
            }
        }
        seen = upto;
        if due.is_empty() && wake.changed().await.is_err() {
            return;
        }
    }
}

/// Why an object is looked at.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Why {
    /// One of its owners is gone, or may never have been there.
    Owners,
    /// It waits for what it owns.
    Waits,
}

type Due = BTreeSet<(Place, Why)>;

impl Graph {
    fn take(&mut self, bucket: &Arc<str>, kind: ChangeKind, object: &Object, due: &mut Due) {
        // Most of what is written is owned by nobody and owns nothing, or is where it was.
        let known = object.owners().is_empty() && !object.is_going() && kind != ChangeKind::Deleted;
        let place: Place = (Arc::clone(bucket), object.key().to_owned());
        if known && !self.owners.contains_key(&place) {
            return;
        }
        let uids = object.owners().iter().map(|owner| &*owner.uid);
        let same = self
            .owners
            .get(&place)
            .is_some_and(|before| before.iter().map(String::as_str).eq(uids));
        if same && kind == ChangeKind::Modified && !object.is_going() {
            return;
        }
        for owner in self.owners.remove(&place).unwrap_or_default() {
            if let Some(owned) = self.owned.get_mut(&owner) {
                owned.remove(&place);
                if owned.is_empty() {
                    self.owned.remove(&owner);
                }
            }
            // An owner that waits for its last dependent must hear of its end.
            if kind == ChangeKind::Deleted
                && let Some(at) = self.place_of_waiting(&owner)
            {
                due.insert((at, Why::Waits));
            }
        }
        let uid = object.uid().to_owned();
        if kind == ChangeKind::Deleted {
            self.uids.remove(&place);
            let owned = self.owned.get(&uid).into_iter().flatten();
            due.extend(owned.map(|place| (place.clone(), Why::Owners)));
            return;
        }
        let owners: Vec<String> = object
            .owners()
            .iter()
            .map(|owner| owner.uid.to_string())
            .collect();
        for owner in &owners {
            self.owned
                .entry(owner.clone())
                .or_default()
                .insert(place.clone());
        }
        if !owners.is_empty() {
            self.owners.insert(place.clone(), owners);
            if kind == ChangeKind::Added {
                due.insert((place.clone(), Why::Owners));
            }
        }
        let waits = |value: &Value| {
            has_finalizer(value, "foregroundDeletion") || has_finalizer(value, "orphan")
        };
        if object.is_going() && waits(&object.value()) {
            self.uids.insert(place.clone(), uid);
            due.insert((place, Why::Waits));
        }
    }

    /// Where an object is that waits for what it owns.
    fn place_of_waiting(&self, uid: &str) -> Option<Place> {
        self.waiting()
            .find(|(_, own)| *own == uid)
            .map(|(place, _)| place.clone())
    }

    #[allow(clippy::iter_over_hash_type, reason = "a uid is there once")]
    fn waiting(&self) -> impl Iterator<Item = (&Place, &str)> {
        self.uids.iter().map(|(place, uid)| (place, uid.as_str()))
    }

    /// Whether what an object owns, and so on, comes round to the owner with a uid: then neither may wait for the other.
    fn leads_back(&self, server: &Server, object: &Object, uid: &str) -> bool {
        let mut seen = BTreeSet::from([object.uid().to_owned()]);
        let mut due = vec![object.uid().to_owned()];
        while let Some(next) = due.pop() {
            for (bucket, key) in self.owned.get(&next).into_iter().flatten() {
                let Some(inner) = server.store().get(bucket, key) else {
                    continue;
                };
                if inner.uid() == uid {
                    return true;
                }
                if seen.insert(inner.uid().to_owned()) {
                    due.push(inner.uid().to_owned());
                }
            }
        }
        false
    }

    fn owned_by(&self, uid: &str) -> Vec<Place> {
        self.owned.get(uid).into_iter().flatten().cloned().collect()
    }
}

fn has_finalizer(value: &Value, name: &str) -> bool {
    let list = value
        .reach("/metadata/finalizers")
        .and_then(Value::as_array);
    list.into_iter()
        .flatten()
        .any(|finalizer| finalizer == name)
}

async fn work(server: &Server, graph: &mut Graph, due: Due) {
    for (place, why) in due {
        let Some(kind) = server.registry().in_bucket(&place.0) else {
            continue;
        };
        let Some(object) = server.store().get(&place.0, &place.1) else {
            continue;
        };
        // What fails here is tried again when something about the object changes.
        match why {
            Why::Owners => {
                let _ = check_owners(server, &kind, &object).await;
            }
            Why::Waits => {
                let _ = settle(server, graph, &kind, &object).await;
            }
        }
        tokio::task::yield_now().await;
    }
}

/// Removes an object whose owners are all gone; takes out those references that lead nowhere.
async fn check_owners(
    server: &Server,
    kind: &Kind,
    object: &Object,
) -> Result<(), crate::embedded::api::status::Status> {
    let value = object.value();
    if is_going(&value) {
        return Ok(());
    }
    let owners = value
        .reach("/metadata/ownerReferences")
        .and_then(Value::as_array);
    let owners = owners.cloned().unwrap_or_default();
    let lives = |owner: &Value| is_there(server, object.namespace(), owner);
    let options = Options::controller(NAME);
    let alive: Vec<Value> = owners
        .iter()
        .filter(|owner| lives(owner))
        .cloned()
        .collect();
    let (namespace, name) = (object.namespace(), object.name());
    if alive.is_empty() && !owners.is_empty() {
        let propagation = match has_finalizer(&value, "foregroundDeletion") {
            true => Propagation::Foreground,
            false => Propagation::Background,
        };
        let deletion = Deletion::with(propagation);
        return server
            .delete(kind, namespace, name, &deletion, &options)
            .await;
    }
    if alive.len() < owners.len() {
        let edit = |value: &mut Value| {
            json_patch::merge(value, &json!({"metadata": {"ownerReferences": alive}}));
        };
        server
            .modify(kind, namespace, name, Part::Other, &options, &edit)
            .await?;
    }
    Ok(())
}

fn is_there(server: &Server, namespace: &str, owner: &Value) -> bool {
    // Where nobody knows whether it is there, nobody removes what it owns.
    find_owner(server, namespace, owner).is_none_or(|found| found.is_some())
}

/// An owner, if it is there; `None` if nobody knows its kind.
fn find_owner(server: &Server, namespace: &str, owner: &Value) -> Option<Option<Arc<Object>>> {
    let registry = server.registry();
    let kind = registry.of_object(text(owner, "/apiVersion"), text(owner, "/kind"))?;
    let found = server.get(&kind, namespace, text(owner, "/name"));
    Some(found.filter(|found| found.uid() == text(owner, "/uid")))
}

/// Whether an object has another owner that stays.
fn has_other_owner(server: &Server, inner: &Object, value: &Value, uid: &str) -> bool {
    let owners = value
        .reach("/metadata/ownerReferences")
        .and_then(Value::as_array);
    let others = owners.into_iter().flatten();
    others
        .filter(|owner| text(owner, "/uid") != uid)
        .any(|owner| {
            let found = find_owner(server, inner.namespace(), owner);
            found.is_none_or(|found| {
                found.is_some_and(|found| !has_finalizer(&found.value(), "foregroundDeletion"))
            })
        })
}

/// Whether an owner waits for this object's end.
fn blocks(value: &Value, uid: &str) -> bool {
    let owners = value
        .reach("/metadata/ownerReferences")
        .and_then(Value::as_array);
    let mut owners = owners.into_iter().flatten();
    owners.any(|owner| {
        text(owner, "/uid") == uid && owner.get("blockOwnerDeletion") == Some(&Value::Bool(true))
    })
}

/// Lets an object go that waits for what it owns: after them, or having set them free.
async fn settle(
    server: &Server,
    graph: &mut Graph,
    kind: &Kind,
    object: &Object,
) -> Result<(), crate::embedded::api::status::Status> {
    let value = object.value();
    let uid = text(&value, "/metadata/uid").to_owned();
    let options = Options::controller(NAME);
    let orphan = has_finalizer(&value, "orphan");
    let mut left = 0_usize;
    for (bucket, key) in graph.owned_by(&uid) {
        let Some(inner_kind) = server.registry().in_bucket(&bucket) else {
            continue;
        };
        let Some(inner) = server.store().get(&bucket, &key) else {
            continue;
        };
        let (namespace, name) = (inner.namespace(), inner.name());
        if orphan {
            let edit = |value: &mut Value| set_free(value, &uid);
            server
                .modify(&inner_kind, namespace, name, Part::Other, &options, &edit)
                .await?;
            continue;
        }
        let value = inner.value();
        if inner.owners().len() > 1 && has_other_owner(server, &inner, &value, &uid) {
            let edit = |value: &mut Value| set_free(value, &uid);
            server
                .modify(&inner_kind, namespace, name, Part::Other, &options, &edit)
                .await?;
            continue;
        }
        left += usize::from(blocks(&value, &uid) && !graph.leads_back(server, &inner, &uid));
        if !is_going(&value) {
            let deletion = Deletion::with(Propagation::Foreground);
            server
                .delete(&inner_kind, namespace, name, &deletion, &options)
                .await?;
            if server.store().get(&bucket, &key).is_none() {
                left = left.saturating_sub(1);
            }
        }
    }
    if left > 0 {
        return Ok(());
    }
    graph
        .uids
        .remove(&(Arc::from(kind.bucket()), object.key().to_owned()));
    let edit = |value: &mut Value| {
        let list = value
            .reach_mut("/metadata/finalizers")
            .and_then(Value::as_array_mut);
        if let Some(list) = list {
            list.retain(|finalizer| finalizer != "foregroundDeletion" && finalizer != "orphan");
        }
    };
    let (namespace, name) = (object.namespace(), object.name());
    server
        .modify(kind, namespace, name, Part::Other, &options, &edit)
        .await?;
    Ok(())
}
