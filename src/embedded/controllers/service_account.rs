//! What every namespace has: its default service account and the cluster's root certificate.

use serde_json::json;

use super::owned::is_going;
use super::{Context, Controller, Next};
use crate::embedded::api::status::Status;
use crate::embedded::store::Change;
use crate::embedded::write::Options;

/// The controller.
pub(super) struct ServiceAccounts;

impl Controller for ServiceAccounts {
    fn sources(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("", "namespaces"),
            ("", "serviceaccounts"),
            ("", "configmaps"),
        ]
    }

    fn keys(&mut self, _: &Context, source: usize, change: &Change) -> Vec<String> {
        let (object, name) = (&change.object, change.object.name());
        match source {
            0 => vec![object.key().to_owned()],
            1 if name == "default" => vec![format!("/{}", object.namespace())],
            2 if name == "kube-root-ca.crt" => vec![format!("/{}", object.namespace())],
            _ => Vec::new(),
        }
    }

    async fn reconcile(&mut self, context: &Context, key: &str) -> Result<Next, Status> {
        let namespaces = context.kind("", "namespaces")?;
        let Some(object) = context.find(&namespaces, key) else {
            return Ok(Next::Done);
        };
        if is_going(&object.value()) {
            return Ok(Next::Done);
        }
        let accounts = context.kind("", "serviceaccounts")?;
        if context
            .server
            .get(&accounts, object.name(), "default")
            .is_none()
        {
            let account = json!({"metadata": {"name": "default"}});
            let options = Options::controller("service-account-controller");
            context
                .server
                .create(&accounts, object.name(), account, &options)
                .await?;
        }
        let maps = context.kind("", "configmaps")?;
        let name = "kube-root-ca.crt";
        if context.server.get(&maps, object.name(), name).is_none() {
            let note = "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.";
            let map = json!({
                "metadata": {"name": name, "annotations": {"kubernetes.io/description": note}},
                "data": {"ca.crt": context.server.settings().authority},
            });
            let options = Options::controller("root-ca-certificate-publisher");
            context
                .server
                .create(&maps, object.name(), map, &options)
                .await?;
        }
        Ok(Next::Done)
    }
}
