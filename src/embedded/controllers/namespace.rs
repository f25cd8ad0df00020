//! Namespaces that end: first everything in them, then they themselves.

use serde_json::{Value, json};

use super::owned::is_going;
use super::{Context, Controller, Next};
use crate::embedded::api::status::Status;
use crate::embedded::store::Change;
use crate::embedded::write::{Deletion, Options, Part, Propagation};

const NAME: &str = "namespace-controller";

/// The controller.
pub(super) struct Namespaces;

impl Controller for Namespaces {
    fn sources(&self) -> &'static [(&'static str, &'static str)] {
        &[("", "namespaces")]
    }

    fn keys(&mut self, _: &Context, _: usize, change: &Change) -> Vec<String> {
        match is_going(&change.object.value()) {
            true => vec![change.object.key().to_owned()],
            false => Vec::new(),
        }
    }

    async fn reconcile(&mut self, context: &Context, key: &str) -> Result<Next, Status> {
        let kind = context.kind("", "namespaces")?;
        let Some(object) = context
            .find(&kind, key)
            .filter(|object| is_going(&object.value()))
        else {
            return Ok(Next::Done);
        };
        let options = Options::controller(NAME);
        let server = &context.server;
        let deletion = Deletion::with(Propagation::Background);
        let mut left = 0_usize;
        for each in server.registry().all() {
            if !each.namespaced || each.version != each.storage_version || !each.allows("delete") {
                continue;
            }
            for inner in server.list(&each, object.name()).objects {
                if !is_going(&inner.value()) {
                    let done = server
                        .delete(&each, inner.namespace(), inner.name(), &deletion, &options)
                        .await;
                    if done.is_err() {
                        left += 1;
                    }
                }
            }
            left += server.list(&each, object.name()).objects.len();
        }
        if left > 0 {
            // Pods take their grace; finalizers take what they take.
            return Ok(Next::After(std::time::Duration::from_millis(100)));
        }
        let edit =
            |value: &mut Value| json_patch::merge(value, &json!({"spec": {"finalizers": null}}));
        server
            .modify(&kind, "", object.name(), Part::Other, &options, &edit)
            .await?;
        Ok(Next::Done)
    }
}
