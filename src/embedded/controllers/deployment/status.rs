//! What a deployment says of itself: counts and conditions.

use std::time::Duration;

use serde_json::{Value, json};

use super::{NAME, Rollout, Set};
use crate::embedded::api::status::Status;
use crate::embedded::controllers::Next;
use crate::embedded::controllers::owned::{count, number, set_status, text};
use crate::embedded::reach::Reach as _;
use crate::embedded::write;

impl Rollout<'_> {
    pub(super) async fn tell(&self, new: Option<&Set>, old: &[Set]) -> Result<Next, Status> {
        let all = || old.iter().chain(new);
        let sum = |name: &str| all().map(|set| set.status(name)).sum::<i64>();
        let (total, ready, available) = (
            sum("replicas"),
            sum("readyReplicas"),
            sum("availableReplicas"),
        );
        let updated = new.map_or(0, |set| set.status("replicas"));
        let wanted = self.wanted();
        let mut conditions = Conditions::of(&self.value);
        let (_, missing) = self.room();
        if available >= wanted - missing {
            conditions.set(
                "Available",
                "True",
                "MinimumReplicasAvailable",
                "Deployment has minimum availability.",
            );
        } else {
            conditions.set(
                "Available",
                "False",
                "MinimumReplicasUnavailable",
                "Deployment does not have minimum availability.",
            );
        }
        let next = self.tell_progress(&mut conditions, new, (total, updated, available));
        let status = json!({
            "observedGeneration": number(&self.value, "/metadata/generation"),
            "replicas": count(total),
            "updatedReplicas": count(updated),
            "readyReplicas": count(ready),
            "availableReplicas": count(available),
            "unavailableReplicas": count((total.max(wanted) - available).max(0)),
            "terminatingReplicas": sum("terminatingReplicas"),
            "conditions": conditions.list,
        });
        set_status(self.context, self.kind, self.object, status, NAME).await?;
        Ok(next)
    }

    fn tell_progress(
        &self,
        conditions: &mut Conditions,
        new: Option<&Set>,
        (total, updated, available): (i64, i64, i64),
    ) -> Next {
        const KIND: &str = "Progressing";
        let paused = self.value.reach("/spec/paused") == Some(&Value::Bool(true));
        if paused {
            conditions.set(KIND, "Unknown", "DeploymentPaused", "Deployment is paused");
            return Next::Done;
        }
        let wanted = self.wanted();
        let name = new.map_or("", |set| set.object.name());
        if updated == wanted && total == wanted && available == wanted {
            let message = format!("ReplicaSet \"{name}\" has successfully progressed.");
            conditions.set(KIND, "True", "NewReplicaSetAvailable", &message);
            return Next::Done;
        }
        let status = |value: &Value, name: &str| number(value, &format!("/status/{name}"));
        let moved = updated > status(&self.value, "updatedReplicas")
            || available > status(&self.value, "availableReplicas")
            || total - updated
                < status(&self.value, "replicas") - status(&self.value, "updatedReplicas");
        let reason = conditions.reason(KIND).to_owned();
        if moved
            || reason.is_empty()
            || reason == "DeploymentPaused"
            || reason == "NewReplicaSetAvailable"
        {
            let message = format!("ReplicaSet \"{name}\" is progressing.");
            conditions.renew(KIND, "True", "ReplicaSetUpdated", &message);
        }
        let limit = number(&self.value, "/spec/progressDeadlineSeconds");
        let since = conditions.updated(KIND);
        let waited = jiff::Timestamp::now().as_second() - since;
        if limit <= 0 || limit >= i64::from(i32::MAX) {
            return Next::Done;
        }
        if waited > limit {
            let message = format!("ReplicaSet \"{name}\" has timed out progressing.");
            conditions.set(KIND, "False", "ProgressDeadlineExceeded", &message);
            return Next::Done;
        }
        let left = u64::try_from(limit - waited + 1).unwrap_or(1);
        Next::After(Duration::from_secs(left))
    }
}

/// A list of conditions that change only when they say something else.
struct Conditions {
    list: Vec<Value>,
}

impl Conditions {
    fn of(value: &Value) -> Self {
        let list = value.reach("/status/conditions").and_then(Value::as_array);
        Self {
            list: list.cloned().unwrap_or_default(),
        }
    }

    fn find(&self, kind: &str) -> Option<&Value> {
        self.list
            .iter()
            .find(|condition| text(condition, "/type") == kind)
    }

    fn reason(&self, kind: &str) -> &str {
        self.find(kind)
            .map_or("", |condition| text(condition, "/reason"))
    }

    fn updated(&self, kind: &str) -> i64 {
        let at = self
            .find(kind)
            .map_or("", |condition| text(condition, "/lastUpdateTime"));
        let at: Option<jiff::Timestamp> = at.parse().ok();
        at.unwrap_or_else(jiff::Timestamp::now).as_second()
    }

    fn set(&mut self, kind: &str, status: &str, reason: &str, message: &str) {
        let same = self.find(kind).is_some_and(|old| {
            text(old, "/status") == status
                && text(old, "/reason") == reason
                && text(old, "/message") == message
        });
        if !same {
            self.renew(kind, status, reason, message);
        }
    }

    fn renew(&mut self, kind: &str, status: &str, reason: &str, message: &str) {
        let now = write::now();
        let turned = match self.find(kind) {
            Some(old) if text(old, "/status") == status => {
                text(old, "/lastTransitionTime").to_owned()
            }
            _ => now.clone(),
        };
        self.list
            .retain(|condition| text(condition, "/type") != kind);
        self.list.push(json!({
            "type": kind, "status": status, "lastUpdateTime": now, "lastTransitionTime": turned,
            "reason": reason, "message": message,
        }));
    }
}
