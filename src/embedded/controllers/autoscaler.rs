//! Horizontal autoscalers: simulated pods use nothing that could be measured, so only the bounds are kept.

use serde_json::{Value, json};

use super::owned::{is_going, number, set_status, text};
use super::{Context, Controller, Event, Next};
use crate::embedded::api::status::Status;
use crate::embedded::reach::Reach as _;
use crate::embedded::store::Change;
use crate::embedded::write::{self, Options, Part};

const NAME: &str = "horizontal-pod-autoscaler";

/// The controller.
pub(super) struct Autoscalers;

impl Controller for Autoscalers {
    fn sources(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("autoscaling", "horizontalpodautoscalers"),
            ("apps", "deployments"),
            ("apps", "statefulsets"),
            ("apps", "replicasets"),
        ]
    }

    fn keys(&mut self, context: &Context, source: usize, change: &Change) -> Vec<String> {
        if source == 0 {
            return vec![change.object.key().to_owned()];
        }
        let Ok(kind) = context.kind("autoscaling", "horizontalpodautoscalers") else {
            return Vec::new();
        };
        let all = context.server.list(&kind, change.object.namespace());
        let mine = all.objects.iter().filter(|scaler| {
            text(&scaler.value(), "/spec/scaleTargetRef/name") == change.object.name()
        });
        mine.map(|scaler| scaler.key().to_owned()).collect()
    }

    async fn reconcile(&mut self, context: &Context, key: &str) -> Result<Next, Status> {
        let kind = context.kind("autoscaling", "horizontalpodautoscalers")?;
        let Some(object) = context.find(&kind, key) else {
            return Ok(Next::Done);
        };
        let value = object.value();
        if is_going(&value) {
            return Ok(Next::Done);
        }
        let target = |at: &str| text(&value, at);
        let of = context.server.registry().of_object(
            target("/spec/scaleTargetRef/apiVersion"),
            target("/spec/scaleTargetRef/kind"),
        );
        let name = target("/spec/scaleTargetRef/name");
        let found = of.and_then(|of| {
            let scaled = context.server.get(&of, object.namespace(), name)?;
            Some((of, scaled))
        });
        let Some((of, scaled)) = found else {
            let message = format!(
                "the HPA controller was unable to get the target's current scale: {name:?} not found"
            );
            let condition = condition(&value, "AbleToScale", "False", "FailedGetScale", &message);
            let status = json!({"conditions": [condition], "desiredReplicas": 0});
            set_status(context, &kind, &object, status, NAME).await?;
            return Ok(Next::Done);
        };
        let now = scaled
            .value()
            .reach("/spec/replicas")
            .and_then(Value::as_i64)
            .unwrap_or(1);
        let (wanted, why) = bounded(&value, now);
        let mut status = json!({
            "observedGeneration": value.reach("/metadata/generation"),
            "currentReplicas": number(&scaled.value(), "/status/replicas"),
            "desiredReplicas": wanted,
        });
        if wanted == now {
            let (active, reason, message) = match now {
                0 => (
                    "False",
                    "ScalingDisabled",
                    "scaling is disabled since the replica count of the target is zero",
                ),
                _ => (
                    "False",
                    "FailedGetResourceMetric",
                    "the HPA was unable to compute the replica count: no metrics are measured of simulated pods",
                ),
            };
            let conditions = [
                condition(
                    &value,
                    "AbleToScale",
                    "True",
                    "SucceededGetScale",
                    "the HPA controller was able to get the target's current scale",
                ),
                condition(&value, "ScalingActive", active, reason, message),
            ];
            json_patch::merge(&mut status, &json!({"conditions": conditions}));
            set_status(context, &kind, &object, status, NAME).await?;
            return Ok(Next::Done);
        }
        let options = Options::controller(NAME);
        let edit =
            |value: &mut Value| json_patch::merge(value, &json!({"spec": {"replicas": wanted}}));
        context
            .server
            .modify(
                &of,
                object.namespace(),
                scaled.name(),
                Part::Main,
                &options,
                &edit,
            )
            .await?;
        json_patch::merge(&mut status, &json!({"lastScaleTime": write::now()}));
        set_status(context, &kind, &object, status, NAME).await?;
        let event = Event::normal(
            NAME,
            "SuccessfulRescale",
            format!("New size: {wanted}; reason: {why}"),
        );
        event.tell(context, &kind, &object).await;
        Ok(Next::Done)
    }
}

/// How many there should be by the bounds alone, and why.
fn bounded(scaler: &Value, now: i64) -> (i64, &'static str) {
    let least = scaler
        .reach("/spec/minReplicas")
        .and_then(Value::as_i64)
        .unwrap_or(1);
    let most = number(scaler, "/spec/maxReplicas");
    match now {
        // Zero switches autoscaling off.
        0 => (0, ""),
        now if now > most => (most, "Current number of replicas above Spec.MaxReplicas"),
        now if now < least => (least, "Current number of replicas below Spec.MinReplicas"),
        now => (now, ""),
    }
}

fn condition(scaler: &Value, kind: &str, state: &str, reason: &str, message: &str) -> Value {
    let before = scaler.reach("/status/conditions").and_then(Value::as_array);
    let same = before
        .into_iter()
        .flatten()
        .find(|old| text(old, "/type") == kind && text(old, "/status") == state);
    let since = match same {
        Some(old) => text(old, "/lastTransitionTime").to_owned(),
        None => write::now(),
    };
    json!({
        "type": kind, "status": state, "reason": reason, "message": message,
        "lastTransitionTime": since,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::bounded;

    #[test]
    fn bounds_are_kept_and_zero_is_left_alone() {
        let scaler = json!({"spec": {"minReplicas": 2, "maxReplicas": 5}});
        let wanted = [0, 1, 3, 9].map(|now| bounded(&scaler, now).0);
        assert_eq!(wanted, [0, 2, 3, 5]);
    }
}
