//! From the old replica sets to the new one: how many pods each has meanwhile.

use serde_json::{Value, json};

use super::{NAME, Rollout, Set};
use crate::embedded::api::status::Status;
use crate::embedded::controllers::Event;
use crate::embedded::controllers::owned::{is_going, portion};
use crate::embedded::reach::Reach as _;
use crate::embedded::write::{Deletion, Options};

impl Rollout<'_> {
    pub(super) async fn tell_scaled(&self, name: &str, from: i64, to: i64) {
        if from == to {
            return;
        }
        let way = if to > from { "up" } else { "down" };
        let event = Event::normal(
            NAME,
            "ScalingReplicaSet",
            format!("Scaled {way} replica set {name} from {from} to {to}"),
        );
        event.tell(self.context, self.kind, self.object).await;
    }

    pub(super) async fn scale(&self, set: &Set, to: i64) -> Result<(), Status> {
        let (surge, _) = self.room();
        let wanted = self.wanted();
        let annotations = json!({
            "deployment.kubernetes.io/desired-replicas": wanted.to_string(),
            "deployment.kubernetes.io/max-replicas": (wanted + surge).to_string(),
        });
        if set.wanted() == to {
            return Ok(());
        }
        let edit = |value: &mut Value| {
            let patch = json!({"metadata": {"annotations": annotations}, "spec": {"replicas": to}});
            json_patch::merge(value, &patch);
        };
        self.edit(self.sets, &set.object, &edit).await?;
        self.tell_scaled(set.object.name(), set.wanted(), to).await;
        Ok(())
    }

    /// How many pods there may be beyond, and may be missing from, what is asked for.
    pub(super) fn room(&self) -> (i64, i64) {
        let rolling = |name: &str| {
            self.value
                .reach(&format!("/spec/strategy/rollingUpdate/{name}"))
        };
        let wanted = self.wanted();
        let surge = portion(rolling("maxSurge"), wanted, true);
        let missing = portion(rolling("maxUnavailable"), wanted, false).min(wanted);
        match (surge, missing) {
            (0, 0) => (0, 1.min(wanted)),
            room => room,
        }
    }

    pub(super) async fn roll(&self, new: &Set, old: &[Set]) -> Result<(), Status> {
        let (surge, missing) = self.room();
        let wanted = self.wanted();
        let total: i64 = new.wanted() + old.iter().map(Set::wanted).sum::<i64>();
        if new.wanted() > wanted {
            return self.scale(new, wanted).await;
        }
        if new.wanted() < wanted {
            let more = (wanted + surge - total).min(wanted - new.wanted());
            if more > 0 {
                return self.scale(new, new.wanted() + more).await;
            }
        }
        let old_total: i64 = old.iter().map(Set::wanted).sum();
        if old_total == 0 {
            return Ok(());
        }
        let new_missing = new.wanted() - new.status("availableReplicas");
        let mut spare = total - (wanted - missing) - new_missing;
        // What isn't healthy goes first; it helps nobody.
        for set in old {
            let sick = (set.wanted() - set.status("availableReplicas")).min(spare);
            if sick > 0 && set.wanted() > 0 {
                self.scale(set, set.wanted() - sick).await?;
                spare -= sick;
            }
        }
        let (_, old) = self.own_sets();
        let available = new.status("availableReplicas")
            + old
                .iter()
                .map(|set| set.status("availableReplicas"))
                .sum::<i64>();
        let mut spare = spare.min(available - (wanted - missing));
        for set in &old {
            let less = set.wanted().min(spare);
            if less > 0 {
                self.scale(set, set.wanted() - less).await?;
                spare -= less;
            }
        }
        Ok(())
    }

    pub(super) async fn clean_up(&self, old: &[Set]) -> Result<(), Status> {
        let limit = self
            .value
            .reach("/spec/revisionHistoryLimit")
            .and_then(Value::as_u64);
        let limit = usize::try_from(limit.unwrap_or(10)).unwrap_or(usize::MAX);
        let idle: Vec<&Set> = old
            .iter()
            .filter(|set| set.wanted() == 0 && set.status("replicas") == 0 && !is_going(&set.value))
            .collect();
        let options = Options::controller(NAME);
        for set in idle.iter().take(idle.len().saturating_sub(limit)) {
            let (namespace, name) = (set.object.namespace(), set.object.name());
            let deletion = Deletion::default();
            let server = &self.context.server;
            server
                .delete(self.sets, namespace, name, &deletion, &options)
                .await?;
        }
        Ok(())
    }
}
