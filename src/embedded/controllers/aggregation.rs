//! Cluster roles that are put together from others: their rules are those of all roles that their selectors take.

use serde_json::{Value, json};

use super::{Context, Controller, Next};
use crate::embedded::access::rbac::GROUP;
use crate::embedded::api::selector::LabelSelector;
use crate::embedded::api::status::Status;
use crate::embedded::reach::Reach as _;
use crate::embedded::store::Change;
use crate::embedded::write::{Options, Part};

/// The controller.
pub(super) struct Aggregation;

fn selectors(value: &Value) -> Vec<LabelSelector> {
    let list = value.reach("/aggregationRule/clusterRoleSelectors");
    let list = list.and_then(Value::as_array).into_iter().flatten();
    list.map(LabelSelector::from_json).collect()
}

impl Controller for Aggregation {
    fn sources(&self) -> &'static [(&'static str, &'static str)] {
        &[(GROUP, "clusterroles")]
    }

    /// Any role may be a part of any that is put together.
    fn keys(&mut self, context: &Context, _: usize, _: &Change) -> Vec<String> {
        let Ok(kind) = context.kind(GROUP, "clusterroles") else {
            return Vec::new();
        };
        let all = context.server.list(&kind, "").objects;
        all.iter()
            .filter(|role| {
                role.value()
                    .get("aggregationRule")
                    .is_some_and(Value::is_object)
            })
            .map(|role| role.key().to_owned())
            .collect()
    }

    async fn reconcile(&mut self, context: &Context, key: &str) -> Result<Next, Status> {
        let kind = context.kind(GROUP, "clusterroles")?;
        let Some(object) = context.find(&kind, key) else {
            return Ok(Next::Done);
        };
        let selectors = selectors(&object.value());
        let mut rules: Vec<Value> = Vec::new();
        for role in context.server.list(&kind, "").objects {
            let taken = role.key() != key && selectors.iter().any(|s| s.matches_object(&role));
            if !taken {
                continue;
            }
            let value = role.value();
            let own = value.get("rules").and_then(Value::as_array);
            for rule in own.into_iter().flatten() {
                if !rules.contains(rule) {
                    rules.push(rule.clone());
                }
            }
        }
        let rules = json!(rules);
        if object.value().get("rules") == Some(&rules) {
            return Ok(Next::Done);
        }
        let options = Options::controller("clusterrole-aggregation-controller");
        let edit = move |value: &mut Value| {
            if let Some(root) = value.as_object_mut() {
                root.insert("rules".to_owned(), rules.clone());
            }
        };
        context
            .server
            .modify(&kind, "", object.name(), Part::Main, &options, &edit)
            .await?;
        Ok(Next::Done)
    }
}
