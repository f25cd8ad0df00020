//! Disruption budgets: how many pods may go right now.

use serde_json::{Value, json};

use super::owned::{is_going, portion, set_status, text};
use super::{Context, Controller, Next};
use crate::embedded::api::selector::LabelSelector;
use crate::embedded::api::status::Status;
use crate::embedded::reach::Reach as _;
use crate::embedded::store::Change;
use crate::embedded::write;

const NAME: &str = "disruption-controller";

/// The controller.
pub(super) struct Budgets;

impl Controller for Budgets {
    const GATHERS: bool = true;

    fn sources(&self) -> &'static [(&'static str, &'static str)] {
        &[("policy", "poddisruptionbudgets"), ("", "pods")]
    }

    fn keys(&mut self, context: &Context, source: usize, change: &Change) -> Vec<String> {
        if source == 0 {
            return vec![change.object.key().to_owned()];
        }
        let Ok(kind) = context.kind("policy", "poddisruptionbudgets") else {
            return Vec::new();
        };
        let all = context.server.list(&kind, change.object.namespace());
        all.objects
            .iter()
            .filter(|budget| {
                selector_of(&budget.value())
                    .is_some_and(|selector| selector.matches_object(&change.object))
            })
            .map(|budget| budget.key().to_owned())
            .collect()
    }

    async fn reconcile(&mut self, context: &Context, key: &str) -> Result<Next, Status> {
        let kind = context.kind("policy", "poddisruptionbudgets")?;
        let Some(object) = context.find(&kind, key) else {
            return Ok(Next::Done);
        };
        let value = object.value();
        if is_going(&value) {
            return Ok(Next::Done);
        }
        let selector = selector_of(&value);
        let (mut expected, mut healthy, mut there) = (0_i64, 0_i64, Vec::new());
        {
            let index = context.pods.look();
            for pod in index.all() {
                let covered = pod.object.namespace() == object.namespace()
                    && selector
                        .as_ref()
                        .is_some_and(|selector| selector.matches_object(&pod.object));
                if !covered || pod.has_ended() {
                    continue;
                }
                if !pod.going {
                    expected += 1;
                    healthy += i64::from(pod.ready);
                    there.push(pod.object.name().to_owned());
                }
            }
        }
        let desired = desired_of(&value, expected);
        // Evictions that were allowed count as disruptions until their pods are seen to go.
        let told = value
            .reach("/status/disruptedPods")
            .and_then(Value::as_object);
        let mut disrupted = json!({});
        let mut pending = 0;
        for name in told.into_iter().flatten().map(|(name, _)| name) {
            if there.contains(name) {
                pending += 1;
            } else if let Some(map) = disrupted.as_object_mut() {
                map.insert(name.clone(), Value::Null);
            }
        }
        let allowed = (healthy - pending - desired).max(0);
        let enough = allowed > 0;
        let (state, reason) = match enough {
            true => ("True", "SufficientPods"),
            false => ("False", "InsufficientPods"),
        };
        let condition = json!({
            "type": "DisruptionAllowed", "status": state, "reason": reason, "message": "",
            "observedGeneration": value.reach("/metadata/generation"),
            "lastTransitionTime": since(&value, state),
        });
        let status = json!({
            "observedGeneration": value.reach("/metadata/generation"),
            "currentHealthy": healthy, "desiredHealthy": desired, "expectedPods": expected,
            "disruptionsAllowed": allowed, "conditions": [condition], "disruptedPods": disrupted,
        });
        set_status(context, &kind, &object, status, NAME).await?;
        Ok(Next::Done)
    }
}

/// An empty selector covers all pods of the namespace; none at all covers none.
fn selector_of(budget: &Value) -> Option<LabelSelector> {
    let selector = budget.reach("/spec/selector")?;
    selector
        .is_object()
        .then(|| LabelSelector::from_json(selector))
}

fn desired_of(budget: &Value, expected: i64) -> i64 {
    if let Some(most) = budget.reach("/spec/maxUnavailable") {
        return (expected - portion(Some(most), expected, true)).max(0);
    }
    portion(budget.reach("/spec/minAvailable"), expected, true)
}

/// Since when the condition is as it is.
fn since(budget: &Value, state: &str) -> String {
    let before = budget.reach("/status/conditions/0");
    match before {
        Some(before) if text(before, "/status") == state => {
            text(before, "/lastTransitionTime").to_owned()
        }
        _ => write::now(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::desired_of;

    #[test]
    fn portions_are_rounded_in_favour_of_the_budget() {
        let most = json!({"spec": {"maxUnavailable": "30%"}});
        assert_eq!(desired_of(&most, 4), 2);
        let least = json!({"spec": {"minAvailable": "50%"}});
        assert_eq!(desired_of(&least, 3), 2);
        assert_eq!(desired_of(&json!({"spec": {"minAvailable": 2}}), 3), 2);
    }
}
