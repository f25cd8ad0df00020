//! Endpoints and endpoint slices: where a service's pods are.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::owned::{is_going, text};
use super::{Context, Controller, Next};
use crate::embedded::api::registry::Kind;
use crate::embedded::api::selector::LabelSelector;
use crate::embedded::api::status::Status;
use crate::embedded::reach::Reach as _;
use crate::embedded::store::{Change, ChangeKind, Object};
use crate::embedded::write::{Deletion, Options, Part};

const NAME: &str = "endpointslice-controller";
/// How many endpoints a slice holds.
const SLICE: usize = 100;

/// The controller.
#[derive(Default)]
pub(super) struct Endpoints {
    /// What services select, by key: every pod that changes is held against it.
    selectors: BTreeMap<String, LabelSelector>,
}

impl Controller for Endpoints {
    const GATHERS: bool = true;

    fn sources(&self) -> &'static [(&'static str, &'static str)] {
        &[("", "services"), ("", "pods")]
    }

    fn keys(&mut self, _: &Context, source: usize, change: &Change) -> Vec<String> {
        let key = change.object.key();
        if source == 0 {
            let value = change.object.value();
            let selector = value.reach("/spec/selector").filter(|s| !is_empty(s));
            match selector.filter(|_| change.kind != ChangeKind::Deleted) {
                Some(selector) => {
                    let selector = LabelSelector::from_map(selector);
                    self.selectors.insert(key.to_owned(), selector);
                }
                None => {
                    self.selectors.remove(key);
                }
            }
            return vec![key.to_owned()];
        }
        let prefix = format!("{}/", change.object.namespace());
        let here = self.selectors.range(prefix.clone()..);
        let here = here.take_while(|(key, _)| key.starts_with(&prefix));
        let covering = here.filter(|(_, selector)| {
            let before = change.before.as_ref();
            selector.matches_object(&change.object)
                || before.is_some_and(|before| selector.matches_object(before))
        });
        covering.map(|(key, _)| key.clone()).collect()
    }

    async fn reconcile(&mut self, context: &Context, key: &str) -> Result<Next, Status> {
        let kind = context.kind("", "services")?;
        let Some(service) = context.find(&kind, key) else {
            return forget(context, key).await;
        };
        let value = service.value();
        let selector = value.reach("/spec/selector").filter(|s| !is_empty(s));
        let Some(selector) = selector.map(LabelSelector::from_map) else {
            return Ok(Next::Done);
        };
        if is_going(&value) || text(&value, "/spec/type") == "ExternalName" {
            return Ok(Next::Done);
        }
        let mut places: Vec<Place> = {
            let index = context.pods.look();
            let own = index.all().filter(|pod| {
                pod.object.namespace() == service.namespace()
                    && selector.matches_object(&pod.object)
            });
            own.filter(|pod| !pod.has_ended())
                .filter_map(|pod| Place::read(&pod.object, pod.ready, pod.going))
                .collect()
        };
        places.sort_by(|a, b| a.name.cmp(&b.name));
        let early = value.reach("/spec/publishNotReadyAddresses") == Some(&Value::Bool(true));
        let ports = ports_of(&value, &places);
        ensure_endpoints(context, &service, &places, &ports, early).await?;
        ensure_slices(context, &kind, &service, &places, &ports, early).await?;
        Ok(Next::Done)
    }
}

fn is_empty(selector: &Value) -> bool {
    selector.as_object().is_none_or(serde_json::Map::is_empty)
}

/// Where a pod is.
struct Place {
    name: String,
    uid: String,
    address: String,
    node: String,
    ready: bool,
    going: bool,
    value: std::sync::Arc<Value>,
}

impl Place {
    fn read(pod: &Object, ready: bool, going: bool) -> Option<Self> {
        let value = pod.value();
        let address = text(&value, "/status/podIP").to_owned();
        if address.is_empty() {
            return None;
        }
        Some(Self {
            name: pod.name().to_owned(),
            uid: text(&value, "/metadata/uid").to_owned(),
            address,
            node: text(&value, "/spec/nodeName").to_owned(),
            ready,
            going,
            value,
        })
    }
}

/// A service's ports as its pods have them.
fn ports_of(service: &Value, places: &[Place]) -> Vec<Value> {
    let ports = service.reach("/spec/ports").and_then(Value::as_array);
    let ports = ports.into_iter().flatten().map(|port| {
        let number = match port.get("targetPort") {
            Some(Value::String(name)) => places
                .iter()
                .find_map(|place| named_port(&place.value, name))
                .unwrap_or(Value::Null),
            Some(number) => number.clone(),
            None => port.get("port").cloned().unwrap_or_default(),
        };
        let mut out = json!({
            "name": text(port, "/name"), "port": number, "protocol": port.get("protocol").cloned().unwrap_or_else(|| "TCP".into()),
        });
        if let (Some(out), Some(protocol)) = (out.as_object_mut(), port.get("appProtocol")) {
            out.insert("appProtocol".to_owned(), protocol.clone());
        }
        out
    });
    ports
        .filter(|port| port.get("port").is_some_and(Value::is_number))
        .collect()
}

fn named_port(pod: &Value, name: &str) -> Option<Value> {
    let containers = pod.reach("/spec/containers")?.as_array()?;
    let ports = containers
        .iter()
        .filter_map(|container| container.get("ports")?.as_array())
        .flatten();
    let mut named = ports.filter(|port| text(port, "/name") == name);
    named.next()?.get("containerPort").cloned()
}

async fn forget(context: &Context, key: &str) -> Result<Next, Status> {
    let (namespace, name) = key.split_once('/').unwrap_or(("", key));
    let options = Options::controller(NAME);
    let kind = context.kind("", "endpoints")?;
    if context.server.get(&kind, namespace, name).is_some() {
        let deletion = Deletion::default();
        let _ = context
            .server
            .delete(&kind, namespace, name, &deletion, &options)
            .await;
    }
    Ok(Next::Done)
}

/// Puts an object to what it should be; makes it if it is missing.
async fn ensure(
    context: &Context,
    kind: &Kind,
    wanted: Value,
    fields: &'static [&'static str],
) -> Result<(), Status> {
    let options = Options::controller(NAME);
    let (namespace, name) = (
        text(&wanted, "/metadata/namespace"),
        text(&wanted, "/metadata/name"),
    );
    let Some(found) = context.server.get(kind, namespace, name) else {
        context
            .server
            .create(kind, namespace, wanted.clone(), &options)
            .await?;
        return Ok(());
    };
    let value = found.value();
    if fields
        .iter()
        .all(|field| value.get(*field) == wanted.get(*field))
    {
        return Ok(());
    }
    let edit = |value: &mut Value| {
        let Some(root) = value.as_object_mut() else {
            return;
        };
        for field in fields {
            match wanted.get(*field) {
                Some(wanted) => root.insert((*field).to_owned(), wanted.clone()),
                None => root.shift_remove(*field),
            };
        }
    };
    context
        .server
        .modify(kind, namespace, name, Part::Main, &options, &edit)
        .await?;
    Ok(())
}

async fn ensure_endpoints(
    context: &Context,
    service: &Object,
    places: &[Place],
    ports: &[Value],
    early: bool,
) -> Result<(), Status> {
    let kind = context.kind("", "endpoints")?;
    let value = service.value();
    let address = |place: &Place| {
        json!({
            "ip": place.address, "nodeName": place.node,
            "targetRef": {"kind": "Pod", "name": place.name, "namespace": service.namespace(), "uid": place.uid},
        })
    };
    let is_ready = |place: &&Place| (place.ready || early) && !place.going;
    let ready: Vec<Value> = places.iter().filter(is_ready).map(address).collect();
    let others: Vec<Value> = places
        .iter()
        .filter(|place| !is_ready(place))
        .map(address)
        .collect();
    let ports: Vec<Value> = ports
        .iter()
        .map(|port| {
            let mut port = port.clone();
            if text(&port, "/name").is_empty()
                && let Some(port) = port.as_object_mut()
            {
                port.shift_remove("name");
            }
            port
        })
        .collect();
    let mut subset = json!({});
    if let Some(subset) = subset.as_object_mut() {
        for (name, list) in [
            ("addresses", ready),
            ("notReadyAddresses", others),
            ("ports", ports),
        ] {
            if !list.is_empty() {
                subset.insert(name.to_owned(), list.into());
            }
        }
    }
    let mut labels = value
        .reach("/metadata/labels")
        .cloned()
        .unwrap_or_else(|| json!({}));
    json_patch::merge(
        &mut labels,
        &json!({"endpoints.kubernetes.io/managed-by": "endpoint-controller"}),
    );
    let mut wanted = json!({
        "apiVersion": "v1", "kind": "Endpoints",
        "metadata": {"name": service.name(), "namespace": service.namespace(), "labels": labels},
    });
    if !places.is_empty()
        && let Some(root) = wanted.as_object_mut()
    {
        root.insert("subsets".to_owned(), json!([subset]));
    }
    ensure(context, &kind, wanted, &["subsets"]).await
}

async fn ensure_slices(
    context: &Context,
    services: &Kind,
    service: &Object,
    places: &[Place],
    ports: &[Value],
    early: bool,
) -> Result<(), Status> {
    let kind = context.kind("discovery.k8s.io", "endpointslices")?;
    let value = service.value();
    let endpoint = |place: &Place| {
        json!({
            "addresses": [place.address],
            "conditions": {
                "ready": (place.ready || early) && !place.going, "serving": place.ready, "terminating": place.going,
            },
            "nodeName": place.node,
            "targetRef": {"kind": "Pod", "name": place.name, "namespace": service.namespace(), "uid": place.uid},
        })
    };
    let mut chunks: Vec<&[Place]> = places.chunks(SLICE).collect();
    if chunks.is_empty() {
        chunks.push(&[]);
    }
    let uid = text(&value, "/metadata/uid");
    // The names must be the same each time, so they come from the service itself.
    let suffix: String = super::template::hash(&uid.into(), 0)
        .chars()
        .take(5)
        .collect();
    let mut names = Vec::new();
    for (at, chunk) in chunks.iter().enumerate() {
        let name = match at {
            0 => format!("{}-{suffix}", service.name()),
            at => format!("{}-{suffix}{at}", service.name()),
        };
        let mut labels = value
            .reach("/metadata/labels")
            .cloned()
            .unwrap_or_else(|| json!({}));
        json_patch::merge(
            &mut labels,
            &json!({
                "kubernetes.io/service-name": service.name(),
                "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
            }),
        );
        let slice = json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {
                "name": name, "namespace": service.namespace(), "labels": labels,
                "ownerReferences": [super::owned::owner_reference(services, &value)],
            },
            "addressType": "IPv4",
            "endpoints": chunk.iter().map(endpoint).collect::<Vec<_>>(),
            "ports": ports,
        });
        names.push(name);
        ensure(context, &kind, slice, &["endpoints", "ports"]).await?;
    }
    let options = Options::controller(NAME);
    for slice in context.server.list(&kind, service.namespace()).objects {
        let own = slice.label("kubernetes.io/service-name") == Some(service.name())
            && slice.label("endpointslice.kubernetes.io/managed-by")
                == Some("endpointslice-controller.k8s.io");
        if own && !names.iter().any(|name| name == slice.name()) {
            let (namespace, name) = (slice.namespace(), slice.name());
            let deletion = Deletion::default();
            context
                .server
                .delete(&kind, namespace, name, &deletion, &options)
                .await?;
        }
    }
    Ok(())
}
