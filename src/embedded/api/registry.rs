//! Which kinds there are right now: the built-in ones and those that CustomResourceDefinitions have added.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::builtin;

/// A part of an object with a path of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subresource {
    /// Such as `status`.
    pub name: String,
    /// The group of what is exchanged, if it is not the object's own.
    pub group: String,
    /// Its version.
    pub version: String,
    /// What is exchanged, such as `Scale`.
    pub kind: String,
    /// What can be done with it.
    pub verbs: Vec<String>,
}

/// One served version of a kind.
#[derive(Clone, Debug)]
pub struct Kind {
    /// Empty for the core group.
    pub group: String,
    /// Such as `v1`.
    pub version: String,
    /// Such as `Deployment`.
    pub kind: String,
    /// Such as `DeploymentList`.
    pub list_kind: String,
    /// Such as `deployments`.
    pub plural: String,
    /// Such as `deployment`.
    pub singular: String,
    /// Such as `deploy`.
    pub short_names: Vec<String>,
    /// Such as `all`.
    pub categories: Vec<String>,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
    /// What can be done with it.
    pub verbs: Vec<String>,
    /// Its parts.
    pub subresources: Vec<Subresource>,
    /// The version in which its objects are kept.
    pub storage_version: String,
    /// The definition that made it; none for built-in kinds.
    pub custom: Option<Arc<Custom>>,
    bucket: String,
}

/// What a CustomResourceDefinition says about one version of its kind.
#[derive(Debug, Default)]
pub struct Custom {
    /// The structural schema.
    pub schema: serde_json::Value,
    /// Whether the schema has defaults.
    pub fills: bool,
    /// The printer columns.
    pub columns: Vec<serde_json::Value>,
    /// Where the scale lives, if it has one.
    pub scale: Option<serde_json::Value>,
    /// Whether it has a status of its own.
    pub status: bool,
    /// Fields that selectors may name.
    pub selectable: Vec<String>,
    /// How versions are converted.
    pub conversion: serde_json::Value,
    /// Who converts between versions, if that takes a webhook.
    pub(in crate::embedded) converter: Option<crate::embedded::admission::conversion::Converter>,
    /// The rules of the schema, ready to be asked.
    pub(in crate::embedded) rules: Option<crate::embedded::write::validations::Rules>,
}

impl Kind {
    /// Completes a kind: how its objects are found in the store follows from its group and plural.
    pub fn new(group: &str, version: &str, kind: &str, plural: &str) -> Self {
        Self {
            group: group.to_owned(),
            version: version.to_owned(),
            kind: kind.to_owned(),
            list_kind: format!("{kind}List"),
            plural: plural.to_owned(),
            singular: kind.to_lowercase(),
            short_names: Vec::new(),
            categories: Vec::new(),
            namespaced: true,
            verbs: Vec::new(),
            subresources: Vec::new(),
            storage_version: version.to_owned(),
            custom: None,
            bucket: bucket_of(group, plural),
        }
    }

    /// `v1` or `apps/v1`.
    pub fn api_version(&self) -> String {
        api_version(&self.group, &self.version)
    }

    /// `pods` or `deployments.apps`, as messages name it.
    pub fn resource(&self) -> &str {
        &self.bucket
    }

    /// Where the store keeps its objects; all versions of a kind share it.
    pub fn bucket(&self) -> &str {
        match self.bucket.as_str() {
            // Two groups show the same objects.
            "events.events.k8s.io" => "events",
            bucket => bucket,
        }
    }

    /// Finds one of its parts.
    pub fn subresource(&self, name: &str) -> Option<&Subresource> {
        self.subresources.iter().find(|part| part.name == name)
    }

    /// Whether a verb can be used on it.
    pub fn allows(&self, verb: &str) -> bool {
        self.verbs.iter().any(|known| known == verb)
    }

    /// The key of an object in the store.
    pub fn key(&self, namespace: &str, name: &str) -> String {
        match self.namespaced {
            true => format!("{namespace}/{name}"),
            false => format!("/{name}"),
        }
    }

    /// What all keys of a namespace begin with; of all namespaces, if it is empty.
    pub fn prefix(&self, namespace: &str) -> String {
        match namespace {
            "" => String::new(),
            namespace => format!("{namespace}/"),
        }
    }
}

/// `v1` or `apps/v1`.
pub fn api_version(group: &str, version: &str) -> String {
    match group {
        "" => version.to_owned(),
        group => format!("{group}/{version}"),
    }
}

/// `pods` or `deployments.apps`.
pub fn bucket_of(group: &str, plural: &str) -> String {
    match group {
        "" => plural.to_owned(),
        group => format!("{plural}.{group}"),
    }
}

/// All kinds that are served.
pub struct Registry {
    known: RwLock<Known>,
    generation: AtomicU64,
}

#[derive(Clone, Default)]
struct Known {
    ordered: Vec<Arc<Kind>>,
    by_path: HashMap<(String, String, String), Arc<Kind>>,
    stored: HashMap<String, Arc<Kind>>,
}

impl Known {
    fn add(&mut self, kind: Arc<Kind>) {
        let path = (
            kind.group.clone(),
            kind.version.clone(),
            kind.plural.clone(),
        );
        self.by_path.insert(path, Arc::clone(&kind));
        if kind.version == kind.storage_version {
            self.stored.insert(kind.bucket.clone(), Arc::clone(&kind));
        }
        self.ordered.push(kind);
    }
}

impl Default for Registry {
    fn default() -> Self {
        let mut known = Known::default();
        for kind in builtin::kinds() {
            known.add(Arc::new(kind));
        }
        Self {
            known: RwLock::new(known),
            generation: AtomicU64::new(1),
        }
    }
}

impl Registry {
    /// Finds a kind by where it is served.
    pub fn find(&self, group: &str, version: &str, plural: &str) -> Option<Arc<Kind>> {
        let path = (group.to_owned(), version.to_owned(), plural.to_owned());
        self.read(|known| known.by_path.get(&path).cloned())
    }

    /// Finds a kind by what objects say they are.
    pub fn of_object(&self, api_version: &str, kind: &str) -> Option<Arc<Kind>> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let same = |k: &&Arc<Kind>| k.kind == kind && k.group == group && k.version == version;
        self.read(|known| known.ordered.iter().find(same).cloned())
    }

    /// Finds the storage version of a resource.
    pub fn stored(&self, group: &str, plural: &str) -> Option<Arc<Kind>> {
        if group.is_empty() {
            // Asked for all the time, and called as it is.
            return self.in_bucket(plural);
        }
        self.in_bucket(&bucket_of(group, plural))
    }

    /// Finds the storage version of what a bucket of the store holds.
    pub fn in_bucket(&self, bucket: &str) -> Option<Arc<Kind>> {
        self.read(|known| known.stored.get(bucket).cloned())
    }

    /// All kinds, in discovery order.
    pub fn all(&self) -> Vec<Arc<Kind>> {
        self.read(|known| known.ordered.clone())
    }

    /// Replaces the kinds of a group's resource by others: what a definition's coming, change or end does.
    pub fn replace(&self, group: &str, plural: &str, kinds: Vec<Kind>) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let other = |kind: &Arc<Kind>| !(kind.group == group && kind.plural == plural);
        known.ordered.retain(other);
        known.by_path.retain(|_, kind| other(kind));
        known.stored.retain(|_, kind| other(kind));
        for kind in kinds {
            known.add(Arc::new(kind));
        }
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// A number that is another whenever kinds have come, changed or gone.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Whether a group is one of Kubernetes' own.
    pub fn is_built_in(&self, group: &str) -> bool {
        self.read(|known| {
            let own = |kind: &&Arc<Kind>| kind.group == group && kind.custom.is_none();
            known.ordered.iter().any(|kind| own(&kind))
        })
    }

    fn read<T>(&self, ask: impl FnOnce(&Known) -> T) -> T {
        ask(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }
}
