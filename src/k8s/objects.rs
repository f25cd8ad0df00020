//! Objects of any kind: read, listed, applied, patched, removed, followed; pods' logs and commands.

use futures::stream::{BoxStream, StreamExt as _, TryStreamExt as _};
use kube::Client;
use kube::api::{
    Api, AttachParams, DeleteParams, DynamicObject, ListParams, LogParams, Patch, PatchParams,
};
use kube::runtime::watcher;
use serde_json::Value;
use tokio::io::AsyncReadExt as _;

use super::apply::MANAGER;
use super::failed;
use super::kinds::{Kind, Kinds};
use crate::diag::codes::run::{API_FAILED, BAD_OBJECT};
use crate::error::{Error, Result};

/// Every kind of object that a cluster serves.
#[derive(Clone)]
pub struct Objects {
    client: Client,
    kinds: Kinds,
}

/// One object, by kind, namespace and name.
#[derive(Clone, Debug)]
pub struct Place {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace; without meaning for kinds that are in none.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = self.kind.resource.kind.to_lowercase();
        write!(f, "{kind}/{}", self.name)?;
        if self.kind.is_namespaced {
            write!(f, " in {}", self.namespace)?;
        }
        Ok(())
    }
}

/// Which objects of a kind are listed.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Of this namespace; of all if `None`.
    pub namespace: Option<String>,
    /// A label selector, such as `app=web`.
    pub labels: Option<String>,
    /// A field selector, such as `status.phase=Running`.
    pub fields: Option<String>,
}

/// What a command in a container did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Executed {
    /// Its exit code; `None` if it did not end by itself.
    pub code: Option<i64>,
    /// What it wrote.
    pub stdout: String,
    /// What it complained.
    pub stderr: String,
}

impl Objects {
    /// Asks the cluster what it serves.
    pub async fn discover(client: Client) -> Result<Self> {
        let kinds = Kinds::discover(&client).await?;
        Ok(Self { client, kinds })
    }

    /// The kinds that are served.
    pub fn kinds(&self) -> &Kinds {
        &self.kinds
    }

    /// The place of a whole object; its namespace is `default` unless it names one.
    pub fn place(&self, object: &Value) -> Result<Place> {
        let missing = |what: &str| {
            Error::new(&BAD_OBJECT, format!("an object has no `{what}`"))
                .help("every object wants `apiVersion`, `kind` and `metadata.name`")
        };
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
        let api_version = text("/apiVersion").ok_or_else(|| missing("apiVersion"))?;
        let kind = text("/kind").ok_or_else(|| missing("kind"))?;
        let name = text("/metadata/name").ok_or_else(|| missing("metadata.name"))?;
        Ok(Place {
            kind: self.kinds.of(api_version, kind)?.clone(),
            namespace: text("/metadata/namespace").unwrap_or("default").into(),
            name: name.into(),
        })
    }

    /// Reads an object; `None` if it is not there.
    pub async fn get(&self, place: &Place) -> Result<Option<Value>> {
        let found = self.api(place).get_opt(&place.name).await;
        found
            .map(|object| object.map(|object| plain(&object)))
            .map_err(|cause| failed(format!("reading {place}"), cause))
    }

    /// Lists the objects of a kind.
    pub async fn list(&self, kind: &Kind, selection: &Selection) -> Result<Vec<Value>> {
        let api: Api<DynamicObject> = match &selection.namespace {
            Some(namespace) if kind.is_namespaced => {
                Api::namespaced_with(self.client.clone(), namespace, &kind.resource)
            }
            _ => Api::all_with(self.client.clone(), &kind.resource),
        };
        let mut params = ListParams::default();
        params.label_selector.clone_from(&selection.labels);
        params.field_selector.clone_from(&selection.fields);
        let list = api
            .list(&params)
            .await
            .map_err(|cause| failed(format!("listing {}", kind.resource.plural), cause))?;
        // The members of a list do not tell their kind; whoever reads them on wants it.
        let types = kube::api::TypeMeta {
            api_version: kind.resource.api_version.clone(),
            kind: kind.resource.kind.clone(),
        };
        Ok(list
            .items
            .into_iter()
            .map(|mut object| {
                object.types = Some(types.clone());
                plain(&object)
            })
            .collect())
    }

    /// Brings an object to this content by server-side apply; other managers' fields are taken over.
    pub async fn apply(&self, object: &Value) -> Result<Value> {
        let place = self.place(object)?;
        let params = PatchParams::apply(MANAGER).force();
        let patch = Patch::Apply(object);
        let applied = self.api(&place).patch(&place.name, &params, &patch).await;
        applied
            .map(|object| plain(&object))
            .map_err(|cause| failed(format!("applying {place}"), cause))
    }

    /// Changes an object by a merge patch.
    pub async fn patch(&self, place: &Place, change: &Value) -> Result<Value> {
        let (params, patch) = (PatchParams::default(), Patch::Merge(change));
        let patched = self.api(place).patch(&place.name, &params, &patch).await;
        patched
            .map(|object| plain(&object))
            .map_err(|cause| failed(format!("changing {place}"), cause))
    }

    /// Removes an object; one that is not there is fine.
    pub async fn delete(&self, place: &Place) -> Result<()> {
        let params = DeleteParams::background();
        match self.api(place).delete(&place.name, &params).await {
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            Err(cause) => Err(failed(format!("removing {place}"), cause)),
            Ok(_) => Ok(()),
        }
    }

    /// Tells an object as it is and whenever it changes; `None` while it is not there. Goes on when a stream breaks.
    pub fn follow(&self, place: &Place) -> BoxStream<'static, Result<Option<Value>>> {
        let what = format!("watching {place}");
        watcher::watch_object(self.api(place), &place.name)
            .map_ok(|object| object.map(|object| plain(&object)))
            .map_err(move |cause| Error::new(&API_FAILED, format!("{what} failed")).because(cause))
            .boxed()
    }

    /// What a pod's container wrote.
    pub async fn logs(&self, place: &Place, container: Option<&str>) -> Result<String> {
        let params = LogParams {
            container: container.map(String::from),
            ..LogParams::default()
        };
        let logs = self.pods(place).logs(&place.name, &params).await;
        logs.map_err(|cause| failed(format!("reading the logs of {place}"), cause))
    }

    /// Runs a command in a pod's container.
    pub async fn exec(
        &self,
        place: &Place,
        container: Option<&str>,
        command: &[String],
    ) -> Result<Executed> {
        let fail = |cause: kube::Error| failed(format!("running a command in {place}"), cause);
        let mut params = AttachParams::default().stdin(false);
        params.container = container.map(String::from);
        let mut process = self
            .pods(place)
            .exec(&place.name, command, &params)
            .await
            .map_err(fail)?;
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let (out, err, status) = (process.stdout(), process.stderr(), process.take_status());
        let read_out = async {
            if let Some(mut out) = out {
                let _ = out.read_to_end(&mut stdout).await;
            }
        };
        let read_err = async {
            if let Some(mut err) = err {
                let _ = err.read_to_end(&mut stderr).await;
            }
        };
        let ended = async {
            match status {
                Some(status) => status.await,
                None => None,
            }
        };
        let ((), (), status) = tokio::join!(read_out, read_err, ended);
        Ok(Executed {
            code: status.and_then(|status| exit_code(&status)),
            stdout: String::from_utf8_lossy(&stdout).into_owned(),
            stderr: String::from_utf8_lossy(&stderr).into_owned(),
        })
    }

    fn api(&self, place: &Place) -> Api<DynamicObject> {
        let resource = &place.kind.resource;
        if place.kind.is_namespaced {
            Api::namespaced_with(self.client.clone(), &place.namespace, resource)
        } else {
            Api::all_with(self.client.clone(), resource)
        }
    }

    fn pods(&self, place: &Place) -> Api<k8s_openapi::api::core::v1::Pod> {
        Api::namespaced(self.client.clone(), &place.namespace)
    }
}

fn plain(object: &DynamicObject) -> Value {
    serde_json::to_value(object).unwrap_or_default()
}

/// The exit code in the status that ends a command: a cause `ExitCode` of a failed one.
fn exit_code(status: &k8s_openapi::apimachinery::pkg::apis::meta::v1::Status) -> Option<i64> {
    if status.status.as_deref() == Some("Success") {
        return Some(0);
    }
    let causes = status.details.as_ref()?.causes.as_ref()?;
    let cause = causes
        .iter()
        .find(|cause| cause.reason.as_deref() == Some("ExitCode"))?;
    cause.message.as_ref()?.parse().ok()
}
