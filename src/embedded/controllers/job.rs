//! Jobs: pods until enough have succeeded.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::owned::{
    count, create_pod, delete_pod, is_going, number, owner_key, owner_reference, set_status, text,
};
use super::{Context, Controller, Event, Next, Pod, template};
use crate::embedded::api::registry::Kind;
use crate::embedded::api::status::Status;
use crate::embedded::reach::Reach as _;
use crate::embedded::store::{Change, Object};
use crate::embedded::write::{self, Deletion, Options, Propagation};

const NAME: &str = "job-controller";

/// The controller.
pub(super) struct Jobs;

impl Controller for Jobs {
    const GATHERS: bool = true;

    fn sources(&self) -> &'static [(&'static str, &'static str)] {
        &[("batch", "jobs"), ("", "pods")]
    }

    fn keys(&mut self, _: &Context, source: usize, change: &Change) -> Vec<String> {
        match source {
            0 => vec![change.object.key().to_owned()],
            _ => owner_key(&change.object, "Job").into_iter().collect(),
        }
    }

    async fn reconcile(&mut self, context: &Context, key: &str) -> Result<Next, Status> {
        let kind = context.kind("batch", "jobs")?;
        let Some(object) = context.find(&kind, key) else {
            return Ok(Next::Done);
        };
        let value = object.value();
        if is_going(&value) {
            return Ok(Next::Done);
        }
        if let Some(ended) = end_of(&value) {
            return expire(context, &kind, &object, &ended).await;
        }
        let job = Job {
            context,
            kind: &kind,
            object: &object,
            value,
        };
        job.step().await
    }
}

/// When a job ended, if it has.
fn end_of(value: &Value) -> Option<jiff::Timestamp> {
    let conditions = value
        .reach("/status/conditions")
        .and_then(Value::as_array)?;
    let ended = conditions.iter().find(|condition| {
        matches!(text(condition, "/type"), "Complete" | "Failed")
            && text(condition, "/status") == "True"
    })?;
    text(ended, "/lastTransitionTime").parse().ok()
}

/// Removes a job some time after its end, if it asks for that.
async fn expire(
    context: &Context,
    kind: &Kind,
    object: &Object,
    ended: &jiff::Timestamp,
) -> Result<Next, Status> {
    let value = object.value();
    let Some(time) = value
        .reach("/spec/ttlSecondsAfterFinished")
        .and_then(Value::as_i64)
    else {
        return Ok(Next::Done);
    };
    let left = ended.as_second() + time - jiff::Timestamp::now().as_second();
    if let Ok(left) = u64::try_from(left)
        && left > 0
    {
        return Ok(Next::After(Duration::from_secs(left)));
    }
    let options = Options::controller("ttl-after-finished-controller");
    let deletion = Deletion::with(Propagation::Foreground);
    let (namespace, name) = (object.namespace(), object.name());
    context
        .server
        .delete(kind, namespace, name, &deletion, &options)
        .await?;
    Ok(Next::Done)
}

struct Job<'a> {
    context: &'a Context,
    kind: &'a Kind,
    object: &'a Object,
    value: Arc<Value>,
}

impl Job<'_> {
    fn indexed(&self) -> bool {
        text(&self.value, "/spec/completionMode") == "Indexed"
    }

    async fn step(&self) -> Result<Next, Status> {
        let pods = self
            .context
            .pods
            .owned_by(text(&self.value, "/metadata/uid"));
        let active: Vec<&Arc<Pod>> = pods.iter().filter(|pod| pod.is_active()).collect();
        let by_phase = |phase: &str| pods.iter().filter(|pod| &*pod.phase == phase).count();
        let (succeeded, failed) = (by_phase("Succeeded"), by_phase("Failed"));
        let wanted = self
            .value
            .reach("/spec/completions")
            .and_then(Value::as_u64);
        let wanted = wanted.map(|n| usize::try_from(n).unwrap_or(usize::MAX));
        let suspended = self.value.reach("/spec/suspend") == Some(&Value::Bool(true));
        let limit = usize::try_from(number(&self.value, "/spec/backoffLimit")).unwrap_or(0);
        let complete = match wanted {
            Some(wanted) => succeeded >= wanted,
            None => succeeded > 0 && active.is_empty(),
        };
        let (overdue, left) = self.deadline();
        if let Some(rule) = self.met_rule(&pods) {
            for pod in &active {
                delete_pod(self.context, pod, NAME).await?;
            }
            let message = format!("Matched rules at index {rule}");
            return self
                .finish(&pods, "Complete", "SuccessPolicy", &message)
                .await;
        }
        if complete && active.is_empty() {
            return self
                .finish(
                    &pods,
                    "Complete",
                    "CompletionsReached",
                    "Reached expected number of succeeded pods",
                )
                .await;
        }
        if failed > limit || overdue {
            for pod in &active {
                delete_pod(self.context, pod, NAME).await?;
            }
            let (reason, message) = match overdue {
                true => (
                    "DeadlineExceeded",
                    "Job was active longer than specified deadline",
                ),
                false => (
                    "BackoffLimitExceeded",
                    "Job has reached the specified backoff limit",
                ),
            };
            return self.finish(&pods, "Failed", reason, message).await;
        }
        if suspended {
            for pod in &active {
                delete_pod(self.context, pod, NAME).await?;
            }
        } else {
            let parallel = usize::try_from(number(&self.value, "/spec/parallelism")).unwrap_or(0);
            let needed = match wanted {
                Some(wanted) => parallel.min(wanted.saturating_sub(succeeded)),
                None if succeeded > 0 => active.len(),
                None => parallel,
            };
            for _ in active.len()..needed {
                self.create_one().await?;
            }
            for pod in active.iter().skip(needed) {
                delete_pod(self.context, pod, NAME).await?;
            }
        }
        self.tell(suspended, &[]).await?;
        Ok(left.map_or(Next::Done, Next::After))
    }

    /// The first rule of the policy for success that is met.
    fn met_rule(&self, pods: &[Arc<Pod>]) -> Option<usize> {
        let rules = self.value.reach("/spec/successPolicy/rules")?;
        let done = succeeded_indexes(pods);
        let met = |rule: &Value| {
            let (count, all) = match rule.get("succeededIndexes").and_then(Value::as_str) {
                Some(ranges) => {
                    let named = numbers_in(ranges);
                    let found = done.iter().filter(|index| named.contains(index));
                    (found.count(), named.len())
                }
                None => (done.len(), usize::MAX),
            };
            let wanted = rule.get("succeededCount").and_then(Value::as_u64);
            count >= wanted.map_or(all, |n| usize::try_from(n).unwrap_or(usize::MAX))
        };
        rules.as_array()?.iter().position(met)
    }

    /// Whether the job has run for too long, and how long it may still run.
    fn deadline(&self) -> (bool, Option<Duration>) {
        let limit = self
            .value
            .reach("/spec/activeDeadlineSeconds")
            .and_then(Value::as_i64);
        let start: Option<jiff::Timestamp> = text(&self.value, "/status/startTime").parse().ok();
        let (Some(limit), Some(start)) = (limit, start) else {
            return (false, None);
        };
        let left = start.as_second() + limit - jiff::Timestamp::now().as_second();
        match u64::try_from(left) {
            Ok(left) if left > 0 => (false, Some(Duration::from_secs(left))),
            _ => (true, None),
        }
    }

    async fn create_one(&self) -> Result<(), Status> {
        let template = self
            .value
            .reach("/spec/template")
            .cloned()
            .unwrap_or_default();
        let mut pod = template::pod(&template, owner_reference(self.kind, &self.value));
        let mut base = self.object.name().to_owned();
        if self.indexed() {
            let Some(index) = self.free_index() else {
                return Ok(());
            };
            base = format!("{base}-{index}");
            let label = json!({"batch.kubernetes.io/job-completion-index": index.to_string()});
            json_patch::merge(
                &mut pod,
                &json!({"metadata": {"labels": label, "annotations": label}, "spec": {"hostname": base}}),
            );
        }
        json_patch::merge(
            &mut pod,
            &json!({"metadata": {"generateName": format!("{base}-")}}),
        );
        let made = create_pod(self.context, self.object.namespace(), pod, NAME).await;
        Event::of_creation(NAME, &made)
            .tell(self.context, self.kind, self.object)
            .await;
        made.map(|_| ())
    }

    fn free_index(&self) -> Option<i64> {
        let pods = self
            .context
            .pods
            .owned_by(text(&self.value, "/metadata/uid"));
        let taken = |index: i64| {
            pods.iter().any(|pod| {
                let own = pod.object.label("batch.kubernetes.io/job-completion-index");
                own.and_then(|own| own.parse().ok()) == Some(index) && &*pod.phase != "Failed"
            })
        };
        (0..number(&self.value, "/spec/completions")).find(|index| !taken(*index))
    }

    async fn finish(
        &self,
        _pods: &[Arc<Pod>],
        kind: &str,
        reason: &str,
        message: &str,
    ) -> Result<Next, Status> {
        let before = if kind == "Complete" {
            "SuccessCriteriaMet"
        } else {
            "FailureTarget"
        };
        let now = write::now();
        let condition = |kind: &str| {
            json!({
                "type": kind, "status": "True", "lastProbeTime": now, "lastTransitionTime": now,
                "reason": reason, "message": message,
            })
        };
        self.tell(false, &[condition(before), condition(kind)])
            .await?;
        let event = match kind {
            "Failed" => Event::warning(NAME, reason, message.to_owned()),
            _ => Event::normal(NAME, "Completed", "Job completed".to_owned()),
        };
        event.tell(self.context, self.kind, self.object).await;
        Ok(Next::Done)
    }

    async fn tell(&self, suspended: bool, conditions: &[Value]) -> Result<(), Status> {
        let pods = self
            .context
            .pods
            .owned_by(text(&self.value, "/metadata/uid"));
        let as_number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let active: Vec<&Arc<Pod>> = pods.iter().filter(|pod| pod.is_active()).collect();
        let by_phase =
            |phase: &str| as_number(pods.iter().filter(|pod| &*pod.phase == phase).count());
        let ready = active.iter().filter(|pod| pod.ready).count();
        let going = pods
            .iter()
            .filter(|pod| pod.going && !pod.has_ended())
            .count();
        let mut status = json!({
            "active": count(as_number(active.len())),
            "succeeded": count(by_phase("Succeeded")),
            "failed": count(by_phase("Failed")),
            "ready": ready,
            "terminating": going,
            "uncountedTerminatedPods": {},
        });
        let start = text(&self.value, "/status/startTime");
        let mut more = json!({});
        if suspended {
            more = json!({"startTime": null});
        } else if start.is_empty() {
            more = json!({"startTime": write::now()});
        }
        json_patch::merge(&mut status, &more);
        if self.indexed() {
            let done = ranges(&succeeded_indexes(&pods));
            json_patch::merge(&mut status, &json!({"completedIndexes": done}));
        }
        if !conditions.is_empty() {
            let list = self
                .value
                .reach("/status/conditions")
                .and_then(Value::as_array);
            let mut list = list.cloned().unwrap_or_default();
            list.extend_from_slice(conditions);
            json_patch::merge(&mut status, &json!({"conditions": list}));
            if conditions
                .iter()
                .any(|condition| text(condition, "/type") == "Complete")
            {
                json_patch::merge(&mut status, &json!({"completionTime": write::now()}));
            }
        }
        // A null lays itself down as text where nothing was; counts are taken out instead.
        set_status(self.context, self.kind, self.object, status, NAME).await
    }
}

/// The indexes of pods that have succeeded, in order.
fn succeeded_indexes(pods: &[Arc<Pod>]) -> Vec<i64> {
    let index = |pod: &Arc<Pod>| {
        let label = pod.object.label("batch.kubernetes.io/job-completion-index");
        label?.parse().ok()
    };
    let done = pods.iter().filter(|pod| &*pod.phase == "Succeeded");
    let mut done: Vec<i64> = done.filter_map(index).collect();
    done.sort_unstable();
    done.dedup();
    done
}

/// The numbers that ranges name.
fn numbers_in(ranges: &str) -> BTreeSet<i64> {
    // Nobody names more indexes than a job may have.
    const MOST: i64 = 100_000;
    let each = ranges.split(',').filter_map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let first: i64 = first.trim().parse().ok()?;
        let last: i64 = last.trim().parse().ok()?;
        Some(first..=last.min(first.saturating_add(MOST)))
    });
    each.flatten().collect()
}

/// Numbers as ranges: `0-2,4`.
fn ranges(numbers: &[i64]) -> String {
    let mut parts: Vec<(i64, i64)> = Vec::new();
    for number in numbers {
        match parts.last_mut() {
            Some((_, last)) if *last + 1 == *number => *last = *number,
            _ => parts.push((*number, *number)),
        }
    }
    let show = |(from, to): &(i64, i64)| match (from, to) {
        (from, to) if from == to => from.to_string(),
        (from, to) if from + 1 == *to => format!("{from},{to}"),
        (from, to) => format!("{from}-{to}"),
    };
    parts.iter().map(show).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::ranges;

    #[test]
    fn numbers_are_shown_as_ranges() {
        assert_eq!(ranges(&[]), "");
        assert_eq!(ranges(&[0, 1, 2, 4, 6, 7]), "0-2,4,6,7");
    }
}
