//! Resource quotas: how much of what a namespace may have is used.

use serde_json::{Value, json};

use super::owned::{is_going, set_status};
use super::{Context, Controller, Next};
use crate::embedded::admission::quota;
use crate::embedded::api::status::Status;

use crate::embedded::reach::Reach as _;
use crate::embedded::store::Change;

const NAME: &str = "resourcequota-controller";

/// The controller.
pub(super) struct Quotas;

impl Controller for Quotas {
    const GATHERS: bool = true;

    fn sources(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("", "resourcequotas"),
            ("", "pods"),
            ("", "services"),
            ("", "persistentvolumeclaims"),
            ("", "configmaps"),
            ("", "secrets"),
            ("", "replicationcontrollers"),
            ("apps", "deployments"),
            ("apps", "replicasets"),
            ("apps", "statefulsets"),
            ("batch", "jobs"),
            ("batch", "cronjobs"),
            ("networking.k8s.io", "ingresses"),
        ]
    }

    fn keys(&mut self, context: &Context, source: usize, change: &Change) -> Vec<String> {
        if source == 0 {
            return vec![change.object.key().to_owned()];
        }
        let Ok(kind) = context.kind("", "resourcequotas") else {
            return Vec::new();
        };
        let all = context.server.list(&kind, change.object.namespace());
        let keys = all.objects.iter().map(|quota| quota.key().to_owned());
        keys.collect()
    }

    async fn reconcile(&mut self, context: &Context, key: &str) -> Result<Next, Status> {
        let kind = context.kind("", "resourcequotas")?;
        let Some(object) = context.find(&kind, key) else {
            return Ok(Next::Done);
        };
        let value = object.value();
        if is_going(&value) {
            return Ok(Next::Done);
        }
        let hard = value.reach("/spec/hard").and_then(Value::as_object);
        let hard = hard.cloned().unwrap_or_default();
        let used = quota::used(&context.server, object.namespace(), &value, &hard);
        let status = json!({"hard": hard, "used": used});
        set_status(context, &kind, &object, status, NAME).await?;
        Ok(Next::Done)
    }
}
