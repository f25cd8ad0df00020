//! The control plane as a value: what controllers and the HTTP side share.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::access::Access;
use super::admission::Admission;
use super::api::registry::{Kind, Registry};
use super::api::status::Status;
use super::api::{openapi, openapi2};
use super::audit::Audit;
use super::controllers::{self, Running};
use super::home::Home;
use super::stages;
use super::store::{Listing, Object, Store, TooOld, Watch};
use super::write::{self, Deletion, Options, Part};
use crate::embedded::reach::Reach as _;

/// What a control plane says about itself.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Such as `v1.35.4`.
    pub version: String,
    /// Where it is reached, such as `127.0.0.1:6443`.
    pub address: String,
    /// The certificate of its authority, in PEM; empty if it is reached without TLS.
    pub authority: String,
    /// Where the authority's key is; without it no certificates are signed.
    pub keys: Option<Home>,
    /// How long nothing may be heard of a node until it is given up; simulated nodes are heard of five times as often.
    pub node_grace: Duration,
    /// Where requests are written down, if they are.
    pub audit: Option<Audit>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            version: "v1.35.4".to_owned(),
            address: "127.0.0.1:6443".to_owned(),
            authority: String::new(),
            keys: None,
            node_grace: Duration::from_secs(50),
            audit: None,
        }
    }
}

/// A running control plane; clones are handles on the same one.
#[derive(Clone)]
pub struct Server(Arc<Inner>);

struct Inner {
    store: Arc<Store>,
    registry: Registry,
    settings: Settings,
    access: Access,
    admission: Admission,
    openapi: openapi2::Kept,
    openapi3: openapi::Kept,
}

impl Server {
    /// Makes a control plane on a store and writes what every cluster has, if it is not there.
    pub async fn start(store: Store, settings: Settings, access: Access) -> Result<Self, Status> {
        let server = Self(Arc::new(Inner {
            store: Arc::new(store),
            registry: Registry::default(),
            settings,
            access,
            admission: Admission::default(),
            openapi: openapi2::Kept::default(),
            openapi3: openapi::Kept::default(),
        }));
        stages::kinds::serve(server.registry());
        write::bootstrap::run(&server).await?;
        server.admission().reload(&server);
        Ok(server)
    }

    /// Begins to make objects live; they stop when the answer is dropped.
    pub(super) fn enliven(&self) -> Running {
        controllers::spawn(self)
    }

    /// The store beneath.
    pub fn store(&self) -> &Arc<Store> {
        &self.0.store
    }

    /// Which kinds are served.
    pub fn registry(&self) -> &Registry {
        &self.0.registry
    }

    /// What it says about itself.
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// Who may ask.
    pub fn access(&self) -> &Access {
        &self.0.access
    }

    /// What may refuse or change what is written.
    pub(super) fn admission(&self) -> &Admission {
        &self.0.admission
    }

    /// The document of everything that can be done, as it was made last.
    pub(super) fn openapi(&self) -> &openapi2::Kept {
        &self.0.openapi
    }

    /// The same by group version, for those who know version 3.
    pub(super) fn openapi3(&self) -> &openapi::Kept {
        &self.0.openapi3
    }

    /// Finds the storage version of a built-in or custom resource.
    pub fn kind(&self, group: &str, plural: &str) -> Option<Arc<Kind>> {
        self.0.registry.stored(group, plural)
    }

    /// Finds one object.
    pub fn get(&self, kind: &Kind, namespace: &str, name: &str) -> Option<Arc<Object>> {
        self.0.store.get(kind.bucket(), &kind.key(namespace, name))
    }

    /// Lists the objects of a namespace; of all, if it is empty.
    pub fn list(&self, kind: &Kind, namespace: &str) -> Listing {
        self.0.store.list(kind.bucket(), &kind.prefix(namespace))
    }

    /// Follows all objects of a kind after a revision, such as a listing's.
    pub fn watch(&self, kind: &Kind, after: u64) -> Result<Watch, TooOld> {
        self.0.store.watch(kind.bucket(), after)
    }

    /// Creates an object; the namespace may be empty if the object names it.
    pub async fn create(
        &self,
        kind: &Kind,
        namespace: &str,
        value: Value,
        options: &Options,
    ) -> Result<Arc<Object>, Status> {
        let written = write::create(self, kind, namespace, value, options).await?;
        Ok(written.object)
    }

    /// Replaces an object; if it carries a `resourceVersion`, only that one.
    pub async fn update(
        &self,
        kind: &Kind,
        value: Value,
        part: Part,
        options: &Options,
    ) -> Result<Arc<Object>, Status> {
        let text = |at: &str| value.reach(at).and_then(Value::as_str).unwrap_or_default();
        let (namespace, name) = (text("/metadata/namespace"), text("/metadata/name"));
        let (namespace, name) = (namespace.to_owned(), name.to_owned());
        let replace = move |_: &Value| Ok(value.clone());
        let written = write::change(self, kind, &namespace, &name, part, options, &replace).await?;
        Ok(written.object)
    }

    /// Changes an object as it is at the moment of writing; tried again if somebody else writes in between.
    pub async fn modify(
        &self,
        kind: &Kind,
        namespace: &str,
        name: &str,
        part: Part,
        options: &Options,
        edit: &(dyn Fn(&mut Value) + Send + Sync),
    ) -> Result<Arc<Object>, Status> {
        let change = |current: &Value| {
            let mut next = current.clone();
            edit(&mut next);
            Ok(next)
        };
        let written = write::change(self, kind, namespace, name, part, options, &change).await?;
        Ok(written.object)
    }

    /// Applies a merge patch to an object's status.
    pub async fn patch_status(
        &self,
        kind: &Kind,
        namespace: &str,
        name: &str,
        patch: &Value,
        options: &Options,
    ) -> Result<Arc<Object>, Status> {
        let edit =
            |value: &mut Value| json_patch::merge(value, &serde_json::json!({"status": patch}));
        self.modify(kind, namespace, name, Part::Status, options, &edit)
            .await
    }

    /// Deletes an object, or begins to.
    pub async fn delete(
        &self,
        kind: &Kind,
        namespace: &str,
        name: &str,
        deletion: &Deletion,
        options: &Options,
    ) -> Result<(), Status> {
        write::delete(self, kind, namespace, name, deletion, options).await?;
        Ok(())
    }
}
