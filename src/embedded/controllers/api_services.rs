//! API services: one for each version of each group that is served here, all of them available.
//!
//! Those that name a service of the cluster are simulated like everything behind services: available as soon as the service
//! is there.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::owned::{set_status, text};
use super::{Context, Controller, Next};
use crate::embedded::api::status::Status;
use crate::embedded::reach::Reach as _;
use crate::embedded::server::Server;
use crate::embedded::store::{Change, ChangeKind};
use crate::embedded::write::{Deletion, Options, now};

const GROUP: &str = "apiregistration.k8s.io";
const NAME: &str = "autoregister";
const MANAGED: &str = "kube-aggregator.kubernetes.io/automanaged";

/// The rank of the groups, highest first, in steps as the real server gives them.
const RANKS: &[(&str, i64)] = &[
    ("", 18000),
    ("apps", 17800),
    ("events.k8s.io", 17750),
    ("authentication.k8s.io", 17700),
    ("authorization.k8s.io", 17600),
    ("autoscaling", 17500),
    ("batch", 17400),
    ("certificates.k8s.io", 17300),
    ("networking.k8s.io", 17200),
    ("policy", 17100),
    ("rbac.authorization.k8s.io", 17000),
    ("storage.k8s.io", 16800),
    ("apiextensions.k8s.io", 16700),
    ("admissionregistration.k8s.io", 16700),
    ("scheduling.k8s.io", 16600),
    ("coordination.k8s.io", 16500),
    ("node.k8s.io", 16300),
    ("discovery.k8s.io", 16200),
    ("flowcontrol.apiserver.k8s.io", 16100),
];

/// Keeps one for each version of each group, for as long as the task lives.
pub(super) async fn register(server: Server) {
    let Some(definitions) = server.kind("apiextensions.k8s.io", "customresourcedefinitions") else {
        return;
    };
    loop {
        let from = server.store().revision();
        let Ok(mut watch) = server.watch(&definitions, from) else {
            continue;
        };
        // What fails is tried again when the next definition comes or goes.
        let _ = bring_up_to_date(&server).await;
        if watch.next().await.is_err() {
            tokio::task::yield_now().await;
        }
    }
}

async fn bring_up_to_date(server: &Server) -> Result<(), Status> {
    let Some(kind) = server.kind(GROUP, "apiservices") else {
        return Ok(());
    };
    let mut wanted: BTreeMap<String, Value> = BTreeMap::new();
    for each in server.registry().all() {
        if each.group == GROUP || each.verbs.is_empty() {
            continue;
        }
        let own = each.custom.is_none();
        let rank = RANKS.iter().find(|(group, _)| *group == each.group);
        let rank = rank.map_or(if own { 16000 } else { 1000 }, |(_, rank)| *rank);
        let within = match (own, each.version.as_str()) {
            (false, _) => 100,
            (true, "v2") => 30,
            (true, _) if each.group.is_empty() => 1,
            (true, _) => 15,
        };
        let name = format!("{}.{}", each.version, each.group);
        wanted.entry(name.clone()).or_insert_with(|| {
            let mut spec = json!({
                "version": each.version, "groupPriorityMinimum": rank, "versionPriority": within,
            });
            if !each.group.is_empty() {
                json_patch::merge(&mut spec, &json!({"group": each.group}));
            }
            let managed = if own { "onstart" } else { "true" };
            json!({"metadata": {"name": name, "labels": {MANAGED: managed}}, "spec": spec})
        });
    }
    let options = Options::controller(NAME);
    for there in server.list(&kind, "").objects {
        let gone = wanted.remove(there.name()).is_none();
        if gone && there.label(MANAGED) == Some("true") {
            let deletion = Deletion::default();
            server
                .delete(&kind, "", there.name(), &deletion, &options)
                .await?;
        }
    }
    for value in wanted.into_values() {
        // One that somebody has made meanwhile is there, which is all that is wanted.
        match server.create(&kind, "", value, &options).await {
            Err(status) if status.code != 409 => return Err(status),
            _ => {}
        }
    }
    Ok(())
}

/// Says whether they are available.
pub(super) struct Availability;

impl Controller for Availability {
    fn sources(&self) -> &'static [(&'static str, &'static str)] {
        &[(GROUP, "apiservices"), ("", "services")]
    }

    fn keys(&mut self, context: &Context, source: usize, change: &Change) -> Vec<String> {
        if change.kind == ChangeKind::Modified && source == 1 {
            return Vec::new();
        }
        if source == 0 {
            return vec![change.object.key().to_owned()];
        }
        let Ok(kind) = context.kind(GROUP, "apiservices") else {
            return Vec::new();
        };
        let all = context.server.list(&kind, "").objects;
        let behind = all.iter().filter(|one| one.label(MANAGED).is_none());
        behind.map(|one| one.key().to_owned()).collect()
    }

    async fn reconcile(&mut self, context: &Context, key: &str) -> Result<Next, Status> {
        let kind = context.kind(GROUP, "apiservices")?;
        let Some(object) = context.find(&kind, key) else {
            return Ok(Next::Done);
        };
        let value = object.value();
        let service = value.reach("/spec/service").filter(|one| one.is_object());
        let (is, reason, message) = match service {
            None => (
                "True",
                "Local",
                "Local APIServices are always available".to_owned(),
            ),
            Some(service) => {
                let (namespace, name) = (text(service, "/namespace"), text(service, "/name"));
                let services = context.kind("", "services")?;
                match context.server.get(&services, namespace, name) {
                    Some(_) => ("True", "Passed", "all checks passed".to_owned()),
                    None => (
                        "False",
                        "ServiceNotFound",
                        format!("service/{name} in \"{namespace}\" is not present"),
                    ),
                }
            }
        };
        let old = value.reach("/status/conditions").and_then(Value::as_array);
        let mut list = old.cloned().unwrap_or_default();
        let at = list
            .iter()
            .position(|one| text(one, "/type") == "Available");
        let same = at.and_then(|at| list.get(at));
        let since = match same.filter(|one| text(one, "/status") == is) {
            Some(one) if text(one, "/reason") == reason => return Ok(Next::Done),
            Some(one) => text(one, "/lastTransitionTime").to_owned(),
            None => now(),
        };
        if let Some(at) = at {
            list.remove(at);
        }
        list.push(json!({
            "type": "Available", "status": is, "reason": reason, "message": message,
            "lastTransitionTime": since,
        }));
        set_status(context, &kind, &object, json!({"conditions": list}), NAME).await?;
        Ok(Next::Done)
    }
}
